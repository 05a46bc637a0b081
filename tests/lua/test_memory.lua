-- Tensor memory counts for Lua's collector: loops of temporaries stay small, without a collectgarbage call.
local core = require "tide.core"

-- The most memory this process has had, in MB. nil where the system does not tell.
local function peak_rss()
  local f = io.open "/proc/self/status"
  if not f then return nil end
  local kb = f:read("a"):match "VmHWM:%s*(%d+)"
  f:close()
  return kb and tonumber(kb) / 1024
end

local sanitized = os.getenv "SAN" and os.getenv "SAN" ~= ""

-- Ten thousand temporaries of 4 MB: the data alive never exceeds 64 MB and a few tensors.
local x = tide.ones(1000, 1000)
for _ = 1, sanitized and 100 or 10000 do
  local y = x + 1 -- luacheck: ignore
end
local live, peak = core.data_bytes()
assert(peak < 100e6, ("at most 100 MB of tensors at a time, got %.0f"):format(peak / 1e6))
assert(live < 100e6, live)

-- With a tape, which holds more of them: still bounded.
local w = tide.ones(1000, 1000):requires_grad_()
for _ = 1, sanitized and 20 or 200 do
  local loss = (w * 2 + 1):sum()
  loss:backward()
  w.grad = nil
end
peak = select(2, core.data_bytes())
assert(peak < 150e6, ("at most 150 MB of tensors at a time, got %.0f"):format(peak / 1e6))

-- A value that lives through a few operations on large tensors dies young all the same.
collectgarbage()
local wide, before = tide.ones(256, 512), core.data_bytes()
for _ = 1, 100 do
  local y = wide * wide
  y = y * wide -- luacheck: ignore
end
local kept = core.data_bytes() - before
assert(kept < 16e6, ("a few temporaries are kept, got %.0f MB of them"):format(kept / 1e6))

-- Small tensors: their headers are bounded too.
local small = tide.ones(10)
for _ = 1, sanitized and 5000 or 500000 do
  local y = small + 1 -- luacheck: ignore
end
-- Tables in between do not keep tensors alive, nor does an error.
for i = 1, 50 do
  pcall(function()
    local t = {x + i, x + i + 1}
    error {t}
  end)
end
-- Coroutines' tensors are collected as others are.
for _ = 1, 100 do
  local co = coroutine.wrap(function() coroutine.yield(x + 1) end)
  co()
end
peak = select(2, core.data_bytes())
assert(peak < 150e6, ("at most 150 MB of tensors at a time, got %.0f"):format(peak / 1e6))

local rss = peak_rss()
if rss and not sanitized then
  assert(rss < 200, ("under 200 MB resident, got %.0f"):format(rss))
end
