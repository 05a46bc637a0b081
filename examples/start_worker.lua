-- Starts a worker process on this machine, as its owner would by hand:
--
--   tide keys new bob; tide keys new me
--   tide worker bob.lua          (bob.lua: name, listen, key, users; written below)
--
-- returns start(name): a connected worker, a function that ends its process, and what is known about it.
local tide_command = arg and arg[-1] or "tide"

local function run(command)
  if not os.execute(command) then error("failed: " .. command, 3) end
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local config = [[
return {
  name = "%s", key = "%s.key", listen = "tcp://127.0.0.1:*", -- any free port
  users = {me = {key = "me.pub", role = "scientist"}},
}
]]

-- start(name, {connect = false}) leaves the worker without a client; about has its url, pid, folder, and the
-- seconds that it took to be ready.
return function(name, opts)
  local folder = os.tmpname()
  run(("rm '%s' && mkdir -m 700 '%s' && cd '%s' && '%s' keys new me >/dev/null && '%s' keys new %s >/dev/null")
    :format(folder, folder, folder, tide_command, tide_command, name))
  write(folder .. "/worker.lua", config:format(name, name))
  local began = tide.clock()
  local process = io.popen(("echo $$; exec '%s' worker '%s/worker.lua'"):format(tide_command, folder))
  local pid, ready = process:read("l"), process:read("l")
  local seconds = tide.clock() - began
  local url = assert(ready and ready:match("tcp://%S+"), "the worker " .. name .. " did not start")
  local worker
  if not opts or opts.connect ~= false then
    worker = tide.connect(url, {key = folder .. "/me.key", server = folder .. "/" .. name .. ".pub"})
  end
  local function stop()
    if worker then worker:close() end
    os.execute("kill " .. pid)
    process:close()
    os.execute(("rm -r '%s'"):format(folder))
  end
  return worker, stop, {url = url, pid = pid, folder = folder, ready_seconds = seconds}
end
