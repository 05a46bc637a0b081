-- Connections that come and go: leaving and returning, several clients, processes that are killed. The first
-- cases are of virtual workers too.
-- Pointers are held and dropped for what that does at the worker.
-- luacheck: ignore 231 241 311 331
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local eq, fails, now = rig.eq, rig.fails, rig.now

-- f must fail with that kind of error within so many seconds, whatever the machine's load.
local function fails_soon(kind, seconds, f)
  local begin = now()
  local ok, err = pcall(f)
  assert(not ok, "no error")
  eq(err.kind, kind, tostring(err))
  local took = now() - begin
  assert(took < seconds, ("%s after %.1f s"):format(tostring(err), took))
  return err
end

local case = {} -- f(bob, process): process is nil for a virtual worker

case["25: after disconnect and connect the count is unchanged and the old pointer fetches"] = function(bob)
  local p, q = tide.tensor {1, 2}:send(bob), tide.tensor {3}:send(bob)
  local count = #bob:objects()
  assert(bob:disconnect() == bob and bob:connect() == bob)
  eq(#bob:objects(), count)
  eq(p:get(), {1, 2})
  bob:disconnect()
  eq((q + 1):get(), {4}, "the next wait connects by itself")
  p, q = nil, nil
end

case["25: what was recorded before a disconnect arrives once"] = function(bob)
  local p = tide.zeros(1):send(bob)
  bob:wait()
  for _ = 1, 5 do
    p:assign(p + 1)
    bob:flush()
    bob:disconnect()
    p:assign(p + 1)
    bob:disconnect()
  end
  eq(p:get(), {10})
end

case["25: a model in the middle of its training survives a disconnect"] = function(bob)
  local model = nn.Linear(2, 1)
  local opt = optim.Adam(model:parameters())
  local x = tide.ones(4, 2):send(bob)
  model:send(bob)
  for _ = 1, 3 do
    opt:zero_grad()
    model(x):sum():backward()
    bob:disconnect()
    opt:step()
  end
  model:get()
  assert(model.weight:isfinite():all())
end

case["a closed session says so, and its name may be used again"] = function(_, process)
  local carol = process and process:connect() or tide.VirtualWorker("carol")
  local name = carol.name
  local p = tide.ones(2):send(carol)
  local value = p:copy()
  carol:wait()
  carol:close()
  carol:close()
  eq(value, {1, 1}, "what has arrived is here")
  fails("objects: the worker's session has been closed", function() carol:objects() end)
  fails("send: the worker's session has been closed", function() tide.ones(1):send(carol) end)
  eq(tostring(carol), "<worker closed>")
  local ok, err = pcall(function() return p:copy():totable() end)
  eq({ok, err.kind, err.message}, {false, "state", "the session with " .. name .. " has ended"})
  local again = process and process:connect() or tide.VirtualWorker("carol")
  eq(#again:objects(), 0)
  eq(tide.ones(1):send(again):get(), {1})
  again:close()
end

-- Before a wait the collector may run, and with it anything.
case["a worker that a finaliser closes while it is waited for"] = function(_, process)
  for _, call in ipairs {"objects", "search", "wait", "clear"} do
    local carol = process and process:connect() or tide.VirtualWorker("carol")
    local p
    for _ = 1, 40 do p = tide.zeros(1000, 1000):send(carol) + 1 end
    p = nil -- luacheck: ignore
    setmetatable({}, {__gc = function() carol:close() end})
    local ok, err = pcall(carol[call], carol, call == "search" and "#none" or nil)
    assert(ok or err.kind == "state", tostring(err))
    carol:close()
  end
end

local of_process = {}

of_process["two clients at one worker do not see each other's objects"] = function(bob, process)
  local same, you = process:connect("me"), process:connect("you")
  local p = tide.tensor {1, 2, 3}:tag("#mine"):send(bob)
  local q, r = tide.tensor {9}:send(you), tide.tensor {8, 8}:send(same)
  eq({#bob:objects(), #you:objects(), #same:objects()}, {1, 1, 1})
  eq({#bob:search("#mine"), #you:search("#mine"), #same:search("#mine")}, {1, 0, 0})
  you:clear()
  fails(("get: object %d is not at bob"):format(q.id), function() return q:get():totable() end)
  eq(p:copy(), {1, 2, 3})
  eq(r:get(), {8, 8})
  fails("add: one tensor is at bob, the other at bob; move one of them", function()
    return p + tide.ones(3):send(you)
  end)
  eq(p:move(you):get(), {1, 2, 3})
  eq(#process:sessions(), 3)
  same:close()
  you:close()
  rig.becomes_true("their processes have ended", 5, function() return #process:sessions() == 1 end)
end

of_process["a killed session says so within a second, and the worker goes on with a new one"] = function(bob, process)
  local p = tide.ones(1000):send(bob)
  bob:wait()
  rig.kill("KILL", process:sessions()[1])
  local err = fails_soon("gone", 5, function() return p:copy():totable() end)
  eq(err.message, "bob: the session's process was killed (signal 9)")
  local value = tide.tensor {4}:send(bob)
  eq(value:get(), {4})
  fails(("get: object %d is not at bob"):format(p.id), function() return p:get():totable() end)
  eq(#bob:objects(), 0)
end

of_process["a session that is killed while something is computed"] = function(bob, process)
  local p = tide.randn(400, 400):send(bob)
  bob:wait()
  for _ = 1, 200 do p = p:matmul(p):tanh() end
  bob:flush()
  rig.kill("KILL", process:sessions()[1])
  fails_soon("gone", 5, function() return p:get():totable() end)
  eq(tide.ones(1):send(bob):get(), {1})
end

of_process["an old pointer's end does no harm to what a new session holds"] = function(bob, process)
  local x = tide.tensor {5, 6}
  local old = x:send(bob)
  bob:wait()
  rig.kill("KILL", process:sessions()[1])
  fails_soon("gone", 5, function() bob:objects() end)
  local new = x:send(bob)
  bob:wait()
  old = nil
  collectgarbage()
  bob:flush()
  eq(new:get(), {5, 6})
end

of_process["a killed worker: gone at once for whoever waits; usable when it is back"] = function(bob, process)
  local model = nn.Linear(2, 1)
  local p = tide.ones(2):send(bob)
  bob:wait()
  process:kill("KILL")
  fails_soon("gone", 5, function() return p:copy():totable() end)
  fails_soon("gone", 5, function() bob:objects() end)
  fails_soon("gone", 5, function() bob:ping() end)
  eq(tostring(p), "<tensor 2 f32 at bob>")
  p = nil
  collectgarbage()
  process:run()
  rig.becomes_true("bob answers again", 10, function() return (pcall(bob.ping, bob)) end)
  rig.becomes_true("bob works again", 5, function() return (pcall(bob.objects, bob)) end)
  eq(#bob:objects(), 0)
  eq(tide.tensor {1}:send(bob):get(), {1})
  model:send(bob):get()
  assert(model.weight:isfinite():all())
end

of_process["a move that fails leaves the value where it was"] = function(bob, process)
  local carol = tide.VirtualWorker("carol of the move")
  local p = tide.tensor {1, 2, 3}:send(carol)
  bob:wait()
  process:kill("KILL")
  fails_soon("gone", 5, function() p:move(bob) end)
  eq(p:copy(), {1, 2, 3})
  eq(#carol:objects(), 1)
  process:run()
  rig.becomes_true("bob answers again", 10, function() return (pcall(bob.objects, bob)) end)
  local q = p:move(bob)
  assert(q.location == bob)
  eq(#carol:objects(), 0)
  fails_soon("not-found", 5, function() return p + p end)
  eq(q:get(), {1, 2, 3})
end

of_process["a worker that is stopped for a moment is waited for"] = function(bob, process)
  local p = tide.tensor {1}:send(bob)
  bob:wait()
  os.execute(("kill -STOP %s; (sleep 1; kill -CONT %s) &"):format(process.pid, process.pid))
  eq((p + 1):get(), {2})
end

of_process["a wait that is interrupted leaves the session whole"] = function(bob, process)
  local p = tide.tensor {1}:send(bob)
  bob:wait()
  for _, ask in ipairs {function() return bob:objects() end, function() return p:copy():totable() end,
                        function() bob:wait() end} do
    local session = process:sessions()[1]
    os.execute(("kill -STOP %s; (sleep 0.3; kill -INT $PPID; sleep 0.3; kill -CONT %s) &"):format(session, session))
    p:assign(p)
    local ok, err = pcall(ask)
    assert(not ok and err.kind == "interrupted", tostring(err))
    rig.sleep(0.5)
  end
  eq(#bob:objects(), 1)
  eq(p:get(), {1})
end

of_process["many clients that come and go leave no process behind"] = function(_, process)
  for i = 1, 200 do
    local worker = process:connect(i % 2 == 0 and "me" or "you")
    if i % 10 == 0 then eq(tide.tensor {i}:send(worker):get(), {i}) end
    worker:close()
  end
  rig.becomes_true("the processes of closed sessions have ended", 10,
                   function() return #process:sessions() == 1 end)
end

local function run(cases, where, make)
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local worker, process = make()
    local ok, err = xpcall(cases[name], function(e) return debug.traceback(tostring(e), 2) end, worker, process)
    if not ok then error(("%s worker: %s: %s"):format(where, name, err), 0) end
  end
end

rig.guarded(function()
  run(case, "virtual", function() return tide.VirtualWorker("bob") end)
  local process = rig.start("bob")
  local last
  local function fresh()
    if last then last:close() end
    rig.becomes_true("the last case's sessions have ended", 10, function() return #process:sessions() == 0 end)
    last = process:connect()
    return last, process
  end
  run(case, "process", fresh)
  run(of_process, "process", fresh)
end)
