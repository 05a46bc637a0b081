-- What is at a worker for how long: objects end with their pointers, by the next batch or by themselves.
-- Pointers are held and dropped for what that does at the worker.
-- luacheck: ignore 231 241 311 331
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, cost = rig.case, rig.eq, rig.cost

-- Objects and bytes that the session has at a worker.
local function held(worker)
  local bytes, objects = 0, worker:objects()
  for _, o in ipairs(objects) do bytes = bytes + o.bytes end
  return #objects, bytes
end

case("dropped pointers free their objects with the next batch", function(bob)
  local kept = tide.ones(3):send(bob)
  for _ = 1, 100 do tide.ones(1000):send(bob) end
  collectgarbage()
  bob:flush()
  eq({held(bob)}, {1, 12})
  eq(kept:get(), {1, 1, 1})
end)

case("frees cost no wait and no batch of their own when others go out", function(bob)
  local p = tide.ones(3):send(bob)
  bob:wait()
  for _ = 1, 10 do p = p + 1 end
  collectgarbage()
  eq({cost(bob, function() eq(p:copy(), {11, 11, 11}) end)}, {1, 1})
end)

case("views keep their storage alive, and it goes with the last of them", function(bob)
  local p = tide.arange(1, 6):reshape(2, 3):send(bob)
  local row = p[2]
  local last = row[3]
  p, row = nil, nil
  collectgarbage()
  eq(last:copy():item(), 6)
  eq(#bob:objects(), 1)
end)

case("a graph keeps what its gradient needs, and backward lets it go", function(bob)
  local w = tide.ones(10, 10):requires_grad_():send(bob)
  local loss = w:matmul(w):tanh():exp():sum()
  collectgarbage()
  local with = held(bob)
  loss:backward()
  collectgarbage()
  local after = held(bob)
  assert(with > after, ("%d objects before backward, %d after"):format(with, after))
  eq(after, 3, "w, its gradient, the loss")
end)

case("a loop of a thousand steps holds no more at the worker than ten steps do", function(bob)
  local model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2), nn.LogSoftmax(2))
  local opt = optim.SGD(model:parameters(), {lr = 0.01, momentum = 0.9})
  local x, y = tide.randn(4, 8):send(bob), tide.tensor({0, 1, 1, 0}, {dtype = "i64"}):send(bob)
  local function most_of(steps)
    local most_objects, most_bytes = 0, 0
    for i = 1, steps do
      model:send(bob)
      opt:zero_grad()
      local loss = F.nll_loss(model(x), y)
      loss:backward()
      opt:step()
      model:get()
      loss:get():item()
      if i % (steps // 10) == 0 then
        local objects, bytes = held(bob)
        most_objects, most_bytes = math.max(most_objects, objects), math.max(most_bytes, bytes)
      end
    end
    return most_objects, most_bytes
  end
  most_of(10)
  collectgarbage()
  local few, few_bytes = most_of(10)
  local many, many_bytes = most_of(1000)
  assert(many <= few, ("%d objects in a thousand steps, %d in ten"):format(many, few))
  assert(many_bytes <= few_bytes, ("%d bytes in a thousand steps, %d in ten"):format(many_bytes, few_bytes))
end)

case("a loop that never waits holds no more either", function(bob)
  local p = tide.ones(64):send(bob)
  for _ = 1, 20000 do p = p * 1 end
  local objects = held(bob)
  assert(objects < 2000, objects .. " objects")
end)

case("large temporaries at a worker are collected for their size there", function(bob)
  local p = tide.ones(256, 1024):send(bob) -- 1 MiB
  for _ = 1, 400 do
    p = p + 1
    if _ % 20 == 0 then p[1][1]:copy():item() end
  end
  local _, bytes = held(bob)
  assert(bytes <= 160 << 20, bytes .. " bytes")
end)

case("an object freed while a value of it is on its way arrives all the same", function(bob)
  local p = tide.ones(3):send(bob)
  local value = (p * 7):copy()
  p = nil
  collectgarbage()
  eq(value, {7, 7, 7})
end)

case("clear drops everything of the session, and new objects are welcome", function(bob)
  local pointers = {tide.ones(3):send(bob), tide.ones(2):tag("#x"):send(bob)}
  assert(bob:clear() == bob)
  eq(#bob:objects(), 0)
  eq(#bob:search("#x"), 0)
  pointers[1], pointers[2] = nil, nil
  collectgarbage()
  eq(tide.ones(1):send(bob):get(), {1})
end)

case("frees go out by themselves within a second: the client is idle", function(bob, _, where)
  if where == "virtual" then return end -- there is no other thread in which time could pass
  local p = {tide.ones(1000):send(bob)}
  local q = tide.ones(2):send(bob)
  bob:wait()
  p[1] = nil
  collectgarbage()
  eq({cost(bob, function() rig.sleep(1.2) end)}, {0, 1})
  eq({cost(bob, function() rig.sleep(0.6) end)}, {0, 0}, "once is enough")
  eq(#bob:objects(), 1)
  eq(q:get(), {1, 1})
end)

case("frees go out by themselves within a second: the client computes", function(bob, _, where)
  if where == "virtual" then return end
  local p = {tide.ones(1000):send(bob)}
  bob:wait()
  p[1] = nil
  collectgarbage()
  local function compute()
    local x, limit = tide.randn(200, 200), rig.now() + 1.2
    while rig.now() < limit do
      for _ = 1, 20 do x = x:matmul(x):tanh() end
    end
  end
  eq({cost(bob, compute)}, {0, 1})
  eq(#bob:objects(), 0)
end)

rig.run()
