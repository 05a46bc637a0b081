-- The training steps that are compared with PyTorch (bench/peers/workloads.lua), as promises: compiled or not, on
-- one thread or two, the same bits; the golden losses; a compiled step allocates nothing after its first run but
-- the loss that it gives back, and takes little more memory than backward cannot do without.
--
-- Each workload is tried in a process of its own, so that nothing of another's is in its account.
local core = require "tide.core"
local folder = arg[0]:match("^(.*)tests/lua/") or ""
local workloads = dofile(folder .. "bench/peers/workloads.lua")
local check = dofile(folder .. "bench/peers/check.lua")

-- A sanitizer's build takes twenty times as long.
local SLOW = (os.getenv("SAN") or "") ~= ""
local STEPS = 3

-- ---- what backward cannot do without ----

-- Numbers that an example leaves behind for the way back, counted by hand: the outputs of layers that have weights, or
-- rather of what follows them in place, the inputs of the next, and the results of the loss. The input is
-- the caller's.
local function pooled_cnn(c1, side1, c2, side2, hidden)
  return c1 * side1 ^ 2 + c1 * (side1 / 2) ^ 2 + c2 * side2 ^ 2 + c2 * (side2 / 2) ^ 2 + hidden + 10
end

local NEEDED = {
  mlp = 128 + 10,
  tutorial = pooled_cnn(20, 24, 50, 8, 500),
  fedavg = pooled_cnn(32, 28, 64, 14, 512),
  -- 80 characters: the embedding's rows; of both layers four gates, the cell and the output; the loss
  char = 80 * (8 + 2 * (4 * 256 + 256 + 256) + 90),
  logreg = 2,
  -- pools of 30x30 and 13x13 give 15x15 and 6x6
  cifar = 32 * 30 ^ 2 + 32 * 15 ^ 2 + 64 * 13 ^ 2 + 64 * 6 ^ 2 + 64 * 4 ^ 2 + 64 + 10,
  -- the first convolution, those of the block and what follows each of them, the block's output, its mean
  resblock = 5 * 64 * 32 ^ 2 + 64 + 10,
}

-- ---- one workload ----

local function live_bytes()
  collectgarbage()
  collectgarbage()
  return (core.data_bytes())
end

local function total_bytes() return (select(4, core.data_bytes())) end

local function bytes_of(model)
  local sum = 0
  for _, p in ipairs(model:parameters()) do sum = sum + 4 * p:numel() end
  return sum
end

local function check_memory(w, batch, model, step, x, y)
  local before = live_bytes()
  step(x, y)
  local total = total_bytes()
  for _ = 1, STEPS do step(x, y) end
  local more = total_bytes() - total
  assert(more == STEPS * 4, ("%s: %d bytes were allocated in %d steps after the first"):format(w.name, more, STEPS))
  local parameters = bytes_of(model)
  local needed = 2 * parameters + 4 * batch * NEEDED[w.name:match("^%a+")]
  local used = live_bytes() - before + parameters
  -- less than 64 KiB are a matter of the blocks that memory is handed out in; two examples need less than the
  -- transforms of a convolution's filters
  assert(SLOW or used <= math.max(1.25 * needed, needed + 65536),
    ("%s: a step of %d takes %d bytes, 1.25 times %d are allowed"):format(w.name, batch, used, needed))
  return used / needed
end

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

local function check_workload(w)
  tide.threads(1)
  local model, x, y = workloads.make(w, SLOW and 2 or nil)
  local step = tide.compile(workloads.step_of(model, workloads.LR))
  local ratio = check_memory(w, x:size(1), model, step, x, y)
  if not SLOW then
    model, x, y = workloads.make(w)
    local wrong = check(w.name, model, tide.compile(workloads.step_of(model, workloads.LR)), x, y)
    assert(not wrong, ("%s: %s"):format(w.name, wrong))
    check_bits(w, math.min(w.batch, 16))
  end
  check_bits(w, 3)
  print(("%s: %.2f of the memory that is needed"):format(w.name, ratio))
end

-- ---- all of them ----

if arg[1] then
  check_workload(workloads.find(arg[1]))
  return
end

local failed = false
for _, w in ipairs(workloads) do
  local process = io.popen(("'%s' '%s' %s 2>&1"):format(os.getenv("TIDE"), arg[0], w.name))
  local text = process:read("a")
  failed = not process:close() or failed
  io.write(text)
end
if failed then os.exit(1) end
