-- Optimisers beside their arithmetic (test_golden_optim.lua): arguments, groups, states, schedules.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local fails, same = check.raises, check.eq

local function parameter(...) return tide.tensor{...}:requires_grad_() end

-- ---- arguments ----

local w = parameter(1, 2)
fails(function() optim.SGD({w}) end, "optim.SGD: option 'lr' is missing")
fails(function() optim.SGD({w}, {lr = 0.1, momentom = 0.9}) end,
      "optim.SGD: unknown option 'momentom', did you mean 'momentum'?")
fails(function() optim.SGD({w}, {lr = -1}) end, "optim.SGD: lr is -1, not a number of at least 0")
fails(function() optim.SGD({w}, {lr = "big"}) end, "optim.SGD: lr is a string")
fails(function() optim.SGD({w}, {lr = 1, nesterov = true}) end,
      "optim.SGD: nesterov needs a momentum, and a dampening of 0")
fails(function() optim.SGD(nn.Linear(1, 1), {lr = 1}) end, "not a list (model:parameters())")
fails(function() optim.SGD({}, {lr = 1}) end, "there are no parameters")
fails(function() optim.SGD({w, 3}, {lr = 1}) end, "parameter 2 is 3, not a tensor")
fails(function() optim.SGD({w, w}, {lr = 1}) end, "parameter 2 is there twice")
fails(function() optim.SGD({w * 2}, {lr = 1}) end, "parameter 1 is the result of an operation")
fails(function() optim.SGD({{params = {w}, momentom = 1}}, {lr = 1}) end, "did you mean 'momentum'?")
fails(function() optim.SGD({{lr = 1}}, {lr = 1}) end, "group 1 has no list `params`")
fails(function() optim.Adam({w}, {betas = {0.9}}) end, "optim.Adam: betas are two numbers")
fails(function() optim.clip_grad_norm(3, 1) end, "clip_grad_norm: the parameters are 3, not a list")
for _, wrong in ipairs {nn.Linear(2, 2), nn.Linear(2, 2):named_parameters()} do
  fails(function() optim.clip_grad_norm(wrong, 1) end,
        "clip_grad_norm: the parameters are a table, not a list (model:parameters())")
end
same(optim.clip_grad_norm({}, 1):item(), 0)
same(tostring(optim.SGD({w}, {lr = 0.1})),
     "optim.SGD(dampening=0, lr=0.1, momentum=0, nesterov=false, weight_decay=0)")
same(tostring(optim.Adam({w})),
     "optim.Adam(amsgrad=false, betas={0.9, 0.999}, eps=1e-08, lr=0.001, weight_decay=0)")

-- ---- steps ----

-- Parameters without a gradient stay; zero_grad forgets; the step is on no tape and keeps the identity.
local a, b = parameter(1, 2), parameter(3)
local opt = optim.SGD({a, b}, {lr = 0.5, momentum = 0.9, weight_decay = 1})
a:square():sum():backward()
opt:step()
same(b:item(), 3.0)
assert(a.is_leaf and a.requires_grad and a.grad)
opt:zero_grad()
assert(a.grad == nil)
local before = a:clone()
opt:step()
assert(tide.equal(a, before))

-- opt.lr takes effect at once, except in groups that have their own.
a, b = parameter(1), parameter(1)
opt = optim.SGD({{params = {a}}, {params = {b}, lr = 1}}, {lr = 0.25})
opt.lr = 0.5
;(a + b):sum():backward()
opt:step()
same(a:item(), 0.5)
same(b:item(), 0.0)

-- ---- states ----

local core = require "tide.core"
local p = parameter(1, 2, 3)
opt = optim.Adam({p}, {lr = 0.1})
p:sum():backward()
opt:step()
local found = {}
for _, companion in ipairs(core.companions[p]) do found[companion.key] = companion.table[companion.key] end
assert(found.mean and found.square, "the tensors that travel with a parameter are known by it")
same(opt.state[p].step, 1)

-- Companions of an optimiser that is gone hold nothing.
opt, found = nil, nil -- luacheck: ignore
collectgarbage()
collectgarbage()
for _, companion in ipairs(core.companions[p]) do assert(companion.table == nil) end
p = nil
collectgarbage()
collectgarbage()
for key in pairs(core.companions) do assert(key ~= p) end

local one, two = parameter(1, 2), parameter(3)
local old = optim.Adam({one, two}, {lr = 0.1})
;(one:sum() * two):sum():backward()
old:step()
local state = old:state_dict()
same(state.state[1].step, 1)
local new = optim.Adam({one, two}, {lr = 0.7})
new:load_state_dict(state)
same(new.lr, 0.1)
new:step()
same(old.state[one].step, 1)
assert(not tide.equal(old.state[one].mean, new.state[one].mean), "states are not shared")
fails(function() optim.Adam({one}):load_state_dict(state) end,
      "the state is not that of optim.Adam for 1 parameters in 1 groups")
fails(function() optim.Adam({two, one}):load_state_dict(state) end, "of parameter 1 is 2, not 1")
fails(function() optim.SGD({one, two}, {lr = 1}):load_state_dict(state) end, "load_state_dict: unknown option")

-- ---- schedules ----

opt = optim.SGD({{params = {parameter(1)}}, {params = {parameter(1)}, lr = 0.1}}, {lr = 1})
local schedule = optim.lr.Step(opt, 1, {gamma = 0.5})
schedule:step()
same(opt.lr, 0.5)
same(opt.groups[2].lr, 0.05)

opt = optim.SGD({parameter(1)}, {lr = 1})
schedule = optim.lr.Warmup(opt, 4, {start = 0, after = optim.lr.Cosine(opt, 2)})
local seen = {}
for i = 1, 7 do
  seen[i] = ("%.2f"):format(opt.lr)
  schedule:step()
end
same(table.concat(seen, " "), "0.00 0.25 0.50 0.75 1.00 0.50 0.00")
opt = optim.SGD({parameter(1)}, {lr = 1})
schedule = optim.lr.Cosine(opt, 3, {least = 0.25})
for _ = 1, 5 do schedule:step() end
same(opt.lr, 0.25)
fails(function() optim.lr.Step(3, 1) end, "optim.lr.Step: argument 1 is 3, not an optimiser")
fails(function() optim.lr.Step(opt, 0) end, "the number of steps is 0, not a whole number of at least 1")
fails(function() optim.lr.Warmup(opt, 3, {after = 3}) end, "after is 3, not a schedule of the same optimiser")

-- ---- a model learns ----

tide.manual_seed(1)
local train, test = tide.data.digits():split(0.8, {seed = 1})
local model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
opt = optim.Adam(model:parameters(), {lr = 3e-3})
for _ = 1, 12 do
  for x, y in tide.DataLoader(train, {batch_size = 32, shuffle = true}) do
    opt:zero_grad()
    F.cross_entropy(model(x), y):backward()
    opt:step()
  end
end
local accuracy = F.accuracy(model:eval()(test.x), test.y)
assert(accuracy > 0.95, "accuracy on the digits: " .. accuracy)
