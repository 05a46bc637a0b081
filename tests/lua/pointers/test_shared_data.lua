-- Data sets of a worker's owner: open ones through pointers, denied and missing ones, and that nobody changes them.
-- A virtual worker has no owner, so this is of worker processes.
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local eq, fails, same_bits = rig.eq, rig.fails, rig.same_bits

-- Trains a model on the sets of both workers; each row comes once.
local function train(d, e)
  local loader = tide.FederatedDataLoader({d, e}, {batch_size = 8, shuffle = true})
  eq(#loader, 6)
  local model = nn.Linear(3, 2)
  local opt = optim.SGD(model:parameters(), {lr = 0.01})
  local seen = {}
  for data, target in loader do
    model:send(data.location)
    opt:zero_grad()
    local loss = F.cross_entropy(model(data), target)
    loss:backward()
    opt:step()
    model:get()
    assert(loss:get():item() > 0)
    for _, row in ipairs(data:copy():totable()) do
      local key = data.location.name .. row[1]
      assert(not seen[key], "a row came twice")
      seen[key] = true
    end
  end
end

local function checks(bob, alice, you)
  local x = tide.load(rig.files .. "/people.safetensors").x
  local d = bob:dataset("people")
  eq(#d, 20)
  eq({d.x:size(1), d.x:size(2), d.y:size(1)}, {20, 3, 20})
  eq({d.x:dtype(), d.y:dtype()}, {"f32", "i64"})
  eq(tostring(d.x), "<tensor 20x3 f32 at bob>")
  assert(d.x.location == bob and d.y.location == bob)
  same_bits(d.x:copy(), x, "an open data set's rows may be fetched")
  same_bits(d.x[{{3, 5}, 2}]:get(), x[{{3, 5}, 2}]:clone())
  same_bits(d.x:mean(1):get(), x:mean(1))

  train(d, alice:dataset("people"))
  collectgarbage()
  collectgarbage()

  -- It is not the session's object, and cannot be changed, by whatever way.
  eq(#bob:objects(), 0, "objects of the session")
  local denied = "%s: a data set's rows cannot be changed"
  local before = d.x:copy():clone()
  local function refused(call, f)
    f()
    fails(denied:format(call), bob.wait, bob)
  end
  refused("assign", function() d.x:fill_(0) end)
  refused("assign", function() d.x[1] = 7 end)
  refused("assign", function() d.x[{{1, 2}, 1}] = 7 end)
  refused("assign", function() d.x:reshape(60)[3] = 7 end)
  refused("assign", function() d.x:t():assign(d.x:t() * 2) end)
  refused("assign", function() d.y:zero_() end)
  same_bits(d.x:copy(), before)
  same_bits(you:dataset("people").x:copy(), before, "as another user sees it")
  local mine = d.x:clone()
  mine:fill_(3)
  eq(mine:get():sum():item(), 180)

  -- Errors.
  local err = fails("dataset: bob has no data set 'none'", bob.dataset, bob, "none")
  eq(err.kind, "not-found")
  err = fails("dataset: the policy of 'secret' at bob lets no pointer touch its rows", bob.dataset, bob, "secret")
  eq(err.kind, "denied")
  eq(err.hint, "its owner lets approved plans run on it, not single operations")
  fails("dataset: the policy of 'derived' at bob lets no pointer touch its rows", bob.dataset, bob, "derived")
  fails("dataset: the name is nil, not a text", bob.dataset, bob)

  -- Search finds data sets by their tags: those that pointers may touch.
  local hits = bob:search("#people", "#open")
  eq(#hits, 1)
  eq(#hits[1], 20)
  eq(hits[1].tags, {"#people", "#open"})
  eq(#bob:search("#people"), 1)
  eq(#bob:search("#secret"), 0)
  eq(#bob:search(), 1)
  local p = tide.ones(1):tag("#people"):send(bob)
  eq(#bob:search("#people"), 2)
  eq(p:get(), {1})

  -- Files of other kinds.
  eq(bob:dataset("table").x:size(), {3, 2})
  eq(bob:dataset("table").y:get():totable(), {0, 1, 1})
  eq(bob:dataset("table").x:copy():totable(), {{1, 4}, {2, 5}, {3, 6}}, "fetching ends no row")
  local only_x = bob:dataset("matrix")
  eq(only_x.names, {"x"})
  eq(only_x.x:get():totable(), {{1.5, 2.5}})

  -- clear takes the pointers away, not the data.
  bob:clear()
  fails(("get: object %d is not at bob"):format(d.x.id), function() return d.x:copy():totable() end)
  same_bits(bob:dataset("people").x:get(), before)
end

rig.guarded(function()
  rig.files = os.tmpname()
  os.execute(("rm '%s'; mkdir '%s'"):format(rig.files, rig.files))
  local cleaner <close> = setmetatable({}, {__close = function() -- luacheck: ignore cleaner
    os.execute("rm -r " .. rig.files)
  end})
  tide.manual_seed(2)
  tide.save(rig.files .. "/people.safetensors",
            {x = tide.randn(20, 3), y = tide.randint(0, 1, {20}, {dtype = "i64"})})
  tide.save(rig.files .. "/matrix.safetensors", {x = tide.tensor {{1.5, 2.5}}})
  local csv <close> = io.open(rig.files .. "/table.csv", "w")
  csv:write("a,b,outcome\n1,4,0\n2,5,1\n3,6,1\n")
  csv:flush()
  local sets = ([[datasets = {
    people = {path = "DIR/people.safetensors", policy = "open", tags = {"#people", "#open"}},
    secret = {path = "DIR/people.safetensors", policy = "plans", tags = {"#secret"}},
    derived = {path = "DIR/people.safetensors", policy = "derived"},
    table = {path = "DIR/table.csv", policy = "open", target = "outcome"},
    matrix = {path = "DIR/matrix.safetensors", policy = "open"},
  },]]):gsub("DIR", rig.files)
  local bobs, alices = rig.start("bob", sets), rig.start("alice", sets)
  checks(bobs:connect(), alices:connect(), bobs:connect("you"))
end)
