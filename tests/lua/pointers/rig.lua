-- What the tests of pointers share: cases that the same code runs on virtual workers and on worker processes,
-- and worker processes to be started, killed and started again. Loaded by each test with dofile, and harmless
-- when it is run itself.
local folder = (arg and arg[0] or ""):match("^(.*/)") or ""
local check = dofile(folder .. (folder:find("pointers/$") and "../" or "") .. "helper.lua")
local tide_command = os.getenv("TIDE") or arg and arg[-1] or "tide"

local rig = {eq = check.eq, near = check.near, fails = check.fails}

-- ---- time and processes ----

function rig.shell(command)
  local pipe <close> = io.popen(command)
  return pipe:read("a")
end

-- Seconds of the wall's clock.
function rig.now() return tonumber(rig.shell("date +%s.%N")) end

function rig.sleep(seconds) os.execute(("sleep %g"):format(seconds)) end

-- Asks until f is true, for at most that many seconds.
function rig.becomes_true(what, seconds, f)
  local limit = rig.now() + seconds
  repeat
    if f() then return end
    rig.sleep(0.05)
  until rig.now() > limit
  error(("%s: not within %g s"):format(what, seconds), 2)
end

function rig.kill(signal, pid) os.execute(("kill -%s %s 2>/dev/null"):format(signal, pid)) end

local function children(pid)
  local list = {}
  local file <close> = io.open(("/proc/%s/task/%s/children"):format(pid, pid))
  for child in (file and file:read("a") or ""):gmatch("%d+") do list[#list + 1] = child end
  return list
end

-- ---- worker processes ----

local Process = {}
Process.__index = Process
local running = {} -- to be ended, whatever happens

local function command(text)
  if not os.execute(text) then error("failed: " .. text, 3) end
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

-- A worker process of that name, with two users, me and you. more: further lines of its configuration.
function rig.start(name, more)
  local self = setmetatable({name = name, more = more or "", port = "*"}, Process)
  self.folder = os.tmpname()
  command(("rm '%s' && mkdir -m 700 '%s'"):format(self.folder, self.folder))
  for _, key in ipairs {name, "me", "you"} do
    command(("cd '%s' && '%s' keys new %s >/dev/null"):format(self.folder, tide_command, key))
  end
  running[#running + 1] = self
  return self:run()
end

-- Starts the process (again, at the same address).
function Process:run()
  write(self.folder .. "/worker.lua", ([[
    return {
      name = "%s", key = "%s.key", listen = "tcp://127.0.0.1:%s", %s
      users = {me = {key = "me.pub"}, you = {key = "you.pub"}},
    }]]):format(self.name, self.name, self.port, self.more))
  self.pipe = io.popen(("echo $$; exec '%s' worker '%s/worker.lua'"):format(tide_command, self.folder))
  self.pid = self.pipe:read("l")
  local ready = self.pipe:read("l") or ""
  self.url = ready:match("tcp://%S+")
  if not self.url then error(("worker %s did not start: %s"):format(self.name, ready), 2) end
  self.port = self.url:match(":(%d+)$")
  return self
end

function Process:connect(user)
  return tide.connect(self.url, {key = ("%s/%s.key"):format(self.folder, user or "me"),
                                 server = ("%s/%s.pub"):format(self.folder, self.name)})
end

-- The processes of its sessions: children of the one process that it keeps for starting them.
function Process:sessions()
  local list = {}
  for _, template in ipairs(children(self.pid)) do
    for _, pid in ipairs(children(template)) do list[#list + 1] = pid end
  end
  return list
end

function Process:kill(signal)
  rig.kill(signal, self.pid)
  self.pipe:close()
  self.pipe = nil
end

local function stop_all()
  for _, process in ipairs(running) do
    if process.pipe then process:kill("KILL") end
    os.execute(("rm -rf '%s'"):format(process.folder))
  end
  running = {}
end

-- Runs f and ends all worker processes afterwards.
function rig.guarded(f)
  local ok, err = pcall(f)
  stop_all()
  if not ok then error(err, 0) end
end

-- ---- cases ----

local cases = {}

-- f(bob, alice, here): `here` is "virtual" or "process". What it sends must be gone when it is over.
function rig.case(name, f) cases[#cases + 1] = {name = name, f = f} end

local function nothing_left(workers)
  collectgarbage()
  collectgarbage()
  for _, worker in ipairs(workers) do
    worker:wait()
    local objects = worker:objects()
    if #objects > 0 then
      error(("%d objects are left at %s, the first of %d bytes"):format(#objects, worker.name,
            objects[1].bytes), 0)
    end
  end
end

local function run_on(where, workers)
  for _, case in ipairs(cases) do
    local ok, err = xpcall(function()
      case.f(workers[1], workers[2], where)
      nothing_left(workers)
    end, function(e) return debug.traceback(tostring(e), 2) end)
    if not ok then error(("%s workers: %s: %s"):format(where, case.name, err), 0) end
  end
end

-- Runs all cases twice: on virtual workers bob and alice, and on worker processes of these names.
function rig.run()
  rig.guarded(function()
    run_on("virtual", {tide.VirtualWorker("bob"), tide.VirtualWorker("alice")})
    local workers = {rig.start("bob"):connect(), rig.start("alice"):connect()}
    run_on("process", workers)
    for _, worker in ipairs(workers) do worker:close() end
  end)
end

-- ---- what many cases ask ----

-- Waits and batches that f costs at a worker.
function rig.cost(worker, f)
  local before = worker:stats()
  f()
  local after = worker:stats()
  return after.waits - before.waits, after.batches - before.batches
end

-- Both tensors have the same dtype, shape and bits (NaN included).
function rig.same_bits(a, b, what)
  check.eq(a:dtype(), b:dtype(), what)
  check.eq(a:size(), b:size(), what)
  local x, y = os.tmpname(), os.tmpname()
  tide.save(x, {t = a:detach()})
  tide.save(y, {t = b:detach()})
  local first <close> = io.open(x, "rb")
  local second <close> = io.open(y, "rb")
  local equal = first:read("a") == second:read("a")
  os.remove(x)
  os.remove(y)
  if not equal then error((what or "tensors") .. ": the bits differ", 2) end
end

-- All parameters and buffers of two modules have the same bits.
function rig.same_module(a, b)
  local other = b:state_dict()
  for name, tensor in a:state_dict() do rig.same_bits(tensor, other[name], name) end
end

-- The number of the line that an error names.
function rig.line_of(err) return tonumber((err.where or ""):match(":(%d+)$")) end
-- The line where it is called.
function rig.here() return debug.getinfo(2, "l").currentline end

return rig
