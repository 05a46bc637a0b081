-- The training steps that are compared with PyTorch (bench/peers/workloads.lua), as promises: compiled or not, on
-- one thread or two, the same bits, and the golden losses.
local folder = arg[0]:match("^(.*)tests/lua/") or ""
local workloads = dofile(folder .. "bench/peers/workloads.lua")
local check = dofile(folder .. "bench/peers/check.lua")

-- A sanitizer's build takes twenty times as long.
local SLOW = (os.getenv("SAN") or "") ~= ""
local STEPS = 3

-- ---- one workload ----

-- The losses of some steps and all parameters after them, as one string.
local function bits_of(model, beginning, step, x, y)
  local parts = {}
  tide.no_grad(function()
    for i, p in ipairs(model:parameters()) do p:assign(beginning[i]) end
  end)
  for _ = 1, STEPS do parts[#parts + 1] = ("f"):pack(step(x, y):item()) end
  local path = os.tmpname()
  tide.save(path, model:state_dict())
  local file <close> = assert(io.open(path, "rb"))
  parts[#parts + 1] = file:read("a")
  os.remove(path)
  return table.concat(parts)
end

local function check_bits(w, batch)
  local model, x, y = workloads.make(w, batch)
  local beginning = {}
  for i, p in ipairs(model:parameters()) do beginning[i] = p:detach():clone() end
  local plain = workloads.step_of(model, workloads.LR)
  local compiled = tide.compile(plain)
  local wanted
  for threads = 1, 2 do
    tide.threads(threads)
    for kind, step in pairs {eager = plain, compiled = compiled} do
      local bits = bits_of(model, beginning, step, x, y)
      wanted = wanted or bits
      assert(bits == wanted, ("%s: %s on %d threads, a batch of %d: other bits"):format(w.name, kind, threads, batch))
    end
  end
  tide.threads(1)
end

for _, w in ipairs(workloads) do
  if not SLOW then
    tide.threads(1)
    local model, x, y = workloads.make(w)
    local wrong = check(w.name, model, tide.compile(workloads.step_of(model, workloads.LR)), x, y)
    assert(not wrong, ("%s: %s"):format(w.name, wrong))
    check_bits(w, math.min(w.batch, 16))
  end
  check_bits(w, 3)
end
