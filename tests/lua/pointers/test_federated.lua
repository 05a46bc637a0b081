-- Data sets cut up over workers, and the loader of batches of pointers.
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, fails, cost = rig.case, rig.eq, rig.fails, rig.cost

-- A set whose x and y both say which row it is.
local function numbered(n)
  local x = tide.arange(1, n):to("f32")
  return tide.Dataset {x = tide.stack({x, -x}, 2), y = tide.arange(1, n)}
end

-- The row numbers of an epoch's batches in their order, checked against their labels; and the workers' names.
local function epoch(loader)
  local rows, places, sizes = {}, {}, {}
  for data, target in loader do
    assert(data.location == target.location)
    places[#places + 1] = data.location.name
    sizes[#sizes + 1] = #data
    local labels = target:copy():totable()
    for i, row in ipairs(data:copy():totable()) do
      eq({row[1], row[2]}, {labels[i], -labels[i]})
      rows[#rows + 1] = labels[i]
    end
  end
  return rows, places, sizes
end

-- Begins an epoch and leaves it at its first batch.
local function abandon(loader)
  for _ in loader do break end -- luacheck: ignore 512
end

local function each_once(rows, n)
  local seen = {}
  for _, row in ipairs(rows) do
    assert(not seen[row], "row " .. row .. " came twice")
    seen[row] = true
  end
  eq(#rows, n, "rows")
end

local function range(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

case("19: six rows over two workers: order, length, places; a shard is not fetched by the way", function(bob, alice)
  local fd = numbered(6):federate {bob, alice}
  eq(fd.workers, {"bob", "alice"})
  eq(#fd, 6)
  eq({#fd.bob, #fd["alice"]}, {3, 3})
  assert(fd.bob.x.location == bob and fd.alice.y.location == alice)
  eq(fd.bob.x:size(), {3, 2})
  local err = fails('get: the rows are at alice; fetch a shard with fd:get_dataset("alice")', fd.alice.get, fd.alice)
  eq(err.kind, "unsupported")
  local shard = fd:get_dataset("alice")
  eq(shard.y, {4, 5, 6})
  eq(#fd, 6)
  fails("get_dataset: there is no shard at carol, there are: bob, alice", fd.get_dataset, fd, "carol")
  eq(tostring(fd), "<federated data set of 6 rows: 3 at bob, 3 at alice>")
end)

case("uneven cuts differ by one row, the larger first", function(bob, alice)
  local fd = numbered(7):federate {alice, bob}
  eq(fd.workers, {"alice", "bob"})
  eq({#fd.alice, #fd.bob}, {4, 3})
  eq(fd:get_dataset("alice").y, {1, 2, 3, 4})
  fails("federate: 1 rows do not go round 2 workers", function() numbered(1):federate {bob, alice} end)
end)

case("a data set is made of shards that live at workers", function(bob, alice)
  local shards = {tide.Dataset {x = tide.ones(4):send(bob)}, tide.Dataset {x = tide.ones(2):send(alice)}}
  local fd = tide.FederatedDataset(shards)
  eq({#fd, #fd.bob, #fd.alice}, {6, 4, 2})
  fails("FederatedDataset: data set 1 is here, not at a worker; federate{...} sends it",
        tide.FederatedDataset, {numbered(2)})
  fails("FederatedDataset: two data sets are at bob", tide.FederatedDataset, {shards[1], shards[1]})
  fails("FederatedDataset: wants a list of data sets at workers, got a table", tide.FederatedDataset, {})
end)

case("without shuffling rows come in order, worker after worker", function(bob, alice)
  local loader = tide.FederatedDataLoader(numbered(10):federate {bob, alice}, {batch_size = 2})
  eq(#loader, 6)
  local rows, places, sizes = epoch(loader)
  eq(rows, range(10))
  eq(places, {"bob", "bob", "bob", "alice", "alice", "alice"})
  eq(sizes, {2, 2, 1, 2, 2, 1})
end)

case("an epoch costs no wait, and shapes are known", function(bob, alice)
  local loader = tide.FederatedDataLoader(numbered(64):federate {bob, alice}, {batch_size = 8, shuffle = true})
  local waits = cost(bob, function()
    local count = 0
    for data, target in loader do
      count = count + 1
      eq({data:size(1), data:size(2), target:size(1)}, {8, 2, 8})
    end
    eq(count, #loader)
  end)
  eq(waits, 0)
end)

case("shuffled: every row exactly once an epoch, each epoch in another order", function(bob, alice)
  local loader = tide.FederatedDataLoader(numbered(400):federate {bob, alice}, {batch_size = 7, shuffle = true})
  local first, places = epoch(loader)
  each_once(first, 400)
  local mixed = false
  for i = 2, #places - 1 do mixed = mixed or places[i] == "alice" and places[i + 1] == "bob" end
  assert(mixed or places[1] == "alice", "the workers' batches are mixed")
  local second = epoch(loader)
  each_once(second, 400)
  assert(table.concat(first, " ") ~= table.concat(second, " "))
  assert(table.concat(first, " ") ~= table.concat(range(50), " "))
end)

case("seeds: the same seed gives the same epochs, another one others", function(bob, alice)
  local fd = numbered(30):federate {bob, alice}
  local function two_epochs(options)
    local loader = tide.FederatedDataLoader(fd, options)
    return table.concat(epoch(loader), " "), table.concat(epoch(loader), " ")
  end
  local a1, a2 = two_epochs {batch_size = 4, shuffle = true, seed = 7}
  local b1, b2 = two_epochs {batch_size = 4, shuffle = true, seed = 7}
  local c1 = two_epochs {batch_size = 4, shuffle = true, seed = 8}
  eq({b1, b2}, {a1, a2})
  assert(a1 ~= a2 and a1 ~= c1)
  tide.manual_seed(3)
  local d1 = two_epochs {batch_size = 4, shuffle = true}
  tide.manual_seed(3)
  eq(two_epochs {batch_size = 4, shuffle = true}, d1, "the common seed")
end)

case("drop_last leaves out what fills no batch, at each worker", function(bob, alice)
  local fd = numbered(11):federate {bob, alice} -- 6 and 5
  local loader = tide.FederatedDataLoader(fd, {batch_size = 4, drop_last = true})
  eq(#loader, 2)
  local rows, _, sizes = epoch(loader)
  eq(sizes, {4, 4})
  eq(rows, {1, 2, 3, 4, 7, 8, 9, 10})
  local shuffled = tide.FederatedDataLoader(fd, {batch_size = 4, drop_last = true, shuffle = true})
  rows = epoch(shuffled)
  each_once(rows, 8)
  eq(#tide.FederatedDataLoader(fd, {batch_size = 20, drop_last = true}), 0)
  eq(#epoch(tide.FederatedDataLoader(fd, {batch_size = 20, drop_last = true})), 0)
  eq(#tide.FederatedDataLoader(fd, {batch_size = 20}), 2)
end)

case("after a break a new for begins an epoch anew", function(bob, alice)
  local loader = tide.FederatedDataLoader(numbered(9):federate {bob, alice}, {batch_size = 2, shuffle = true})
  for _ = 1, 3 do
    abandon(loader)
  end
  each_once(epoch(loader), 9)
  local plain = tide.FederatedDataLoader(loader.dataset, {batch_size = 2})
  abandon(plain)
  eq(epoch(plain), range(9))
end)

case("loops over one loader nest", function(bob, alice)
  local loader = tide.FederatedDataLoader(numbered(8):federate {bob, alice}, {batch_size = 3, shuffle = true})
  local outer, inners = {}, 0
  for _, target in loader do
    for _, row in ipairs(target:copy():totable()) do outer[#outer + 1] = row end
    each_once(epoch(loader), 8)
    inners = inners + 1
    abandon(loader)
  end
  each_once(outer, 8)
  eq(inners, #loader)
end)

case("an error inside the loop does not disturb the next epoch", function(bob, alice)
  local loader = tide.FederatedDataLoader(numbered(8):federate {bob, alice}, {batch_size = 3})
  assert(not pcall(function() for _ in loader do error("stop") end end))
  eq(epoch(loader), range(8))
end)

case("changing a batch in place changes no data", function(bob)
  local loader = tide.FederatedDataLoader(numbered(4):federate {bob}, {batch_size = 2})
  for data, target in loader do
    data:fill_(0)
    target[1] = 99
  end
  eq(epoch(loader), range(4))
end)

case("batches do not pile up at the workers", function(bob, alice)
  local loader = tide.FederatedDataLoader(numbered(400):federate {bob, alice}, {batch_size = 4, shuffle = true})
  for _ = 1, 5 do
    for data in loader do data:sum():copy():item() end
  end
  local objects = #bob:objects() + #alice:objects()
  assert(objects < 300, objects .. " objects")
end)

case("a set with one column gives one pointer", function(bob, alice)
  local loader = tide.FederatedDataLoader(tide.Dataset {x = tide.arange(1, 5)}:federate {bob, alice}, {batch_size = 2})
  local sum = 0
  for data, more in loader do
    assert(more == nil)
    sum = sum + data:sum():get():item()
  end
  eq(sum, 15)
end)

case("wrong arguments are named", function(bob)
  local d = numbered(4)
  fails("FederatedDataLoader: a data set of one place; federate{...} it first, or use tide.DataLoader",
        tide.FederatedDataLoader, d)
  fails("FederatedDataLoader: unknown option 'batchsize', did you mean 'batch_size'?",
        tide.FederatedDataLoader, d:federate {bob}, {batchsize = 2})
  fails("FederatedDataLoader: batch_size is 0, not a whole number of at least 1",
        tide.FederatedDataLoader, d:federate {bob}, {batch_size = 0})
  fails("federate: wants a list of workers, got nil", function() d:federate() end)
  fails("FederatedDataLoader: 1 is not a batch that this loader gave last", tide.FederatedDataLoader(d:federate {bob}),
        nil, 1)
end)

case("federate looks at its workers before it sends anything", function(bob)
  local d = tide.Dataset {x = tide.ones(4)}
  local before = #bob:objects()
  fails("federate: " .. bob.name .. " is there twice", d.federate, d, {bob, bob})
  fails("federate: entry 2 is 7, not a worker", d.federate, d, {bob, 7})
  eq(#bob:objects(), before)
end)

rig.run()
