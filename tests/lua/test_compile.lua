-- tide.compile: the same bits as the function itself, for models, losses, optimisers and schedules; each test
-- runs a function as it stands and its compiled twin from the same beginning, and compares all that they leave.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local core = require "tide.core"
local same = check.eq

local function info(step) return core.compiled_info(step) end

-- Bit by bit: NaN equals NaN, and -0 is not 0.
local function bits_equal(a, b, what)
  same(a:size(), b:size(), what)
  same(a:dtype(), b:dtype(), what)
  local x, y = a:reshape(-1):totable(), b:reshape(-1):totable()
  for i = 1, #x do
    local u, v = x[i], y[i]
    if not (u == v and (u ~= 0 or 1 / u == 1 / v) or u ~= u and v ~= v) then
      error(("%s: element %d is %s, the function itself gives %s"):format(what, i, u, v), 2)
    end
  end
end

-- make() gives a table {step = f, model =, batch = function(i) return arguments end}; `steps` steps of f and of
-- its compiled twin. Returns the compiled one.
local function twins(name, make, steps, options)
  local results, models, compiled = {}, {}, nil
  for which = 1, 2 do
    tide.manual_seed(11)
    local world = make()
    local f = world.step
    if which == 2 then
      compiled = tide.compile(f, options or {name = name})
      f = compiled
    end
    results[which], models[which] = {}, world.model
    tide.manual_seed(12)
    for i = 1, steps or 20 do
      if world.before then world.before(i) end
      results[which][i] = f(world.batch(i))
    end
  end
  for i, result in ipairs(results[1]) do bits_equal(results[2][i], result, name .. ": result " .. i) end
  local state = models[1]:state_dict()
  for key, tensor in pairs(models[2]:state_dict()) do bits_equal(tensor, state[key], name .. ": " .. key) end
  return compiled
end

local function mlp_world(opt_name, settings, more)
  return function()
    local model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4))
    local opt = optim[opt_name](model:parameters(), settings)
    local world = {model = model, opt = opt}
    function world.step(x, y)
      opt:zero_grad()
      local loss = F.cross_entropy(model(x), y)
      loss:backward()
      opt:step()
      return loss
    end
    function world.batch() return tide.randn(8, 6), tide.randint(0, 3, {8}) end
    if more then more(world) end
    return world
  end
end

-- ---- optimisers: one program for all steps ----

for _, case in ipairs {
  {"SGD", {lr = 0.1}},
  {"SGD", {lr = 0.1, weight_decay = 0.01}},
  {"SGD", {lr = 0.1, momentum = 0.9}},
  {"SGD", {lr = 0.1, momentum = 0.9, dampening = 0.3}},
  {"SGD", {lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 0.01}},
  {"Adam", {lr = 0.01}},
  {"Adam", {lr = 0.01, amsgrad = true, weight_decay = 0.1}},
  {"AdamW", {lr = 0.01}},
  {"Adagrad", {lr = 0.05, lr_decay = 0.1, initial_accumulator_value = 0.1}},
  {"RMSprop", {lr = 0.01}},
  {"RMSprop", {lr = 0.01, momentum = 0.9, centered = true, weight_decay = 0.01}},
} do
  local step = twins(case[1], mlp_world(case[1], case[2]))
  same(info(step).traces, 1, case[1] .. ": traces")
end

-- Schedules: outside, before each step.
for _, kind in ipairs {"Step", "Cosine", "Warmup"} do
  local step = twins("optim.lr." .. kind, mlp_world("Adam", {lr = 0.05}, function(world)
    local schedule = optim.lr[kind](world.opt, 4)
    world.before = function() schedule:step() end
  end))
  same(info(step).traces, 1, kind .. ": traces")
end

-- Groups with settings of their own, one of them changed on the way.
do
  local step = twins("groups", function()
    local a, b = nn.Linear(3, 3), nn.Linear(3, 1)
    local opt = optim.SGD({{params = a:parameters()}, {params = b:parameters(), lr = 0.5, momentum = 0.5}},
      {lr = 0.1})
    return {
      model = nn.Sequential(a, b),
      step = function(x)
        opt:zero_grad()
        local loss = b(a(x):tanh()):square():mean()
        loss:backward()
        opt:step()
        return loss
      end,
      before = function(i)
        opt.lr = 0.1 / i
        if i == 5 then opt.groups[2].lr = 0.25 end
        if i == 8 then opt.groups[2].momentum = 0.75 end
      end,
      batch = function() return tide.randn(4, 3) end,
    }
  end, 12)
  same(info(step).traces, 2, "a setting that is no learning rate makes another program")
end

-- ---- models ----

local function image_world(layers, last, more)
  return function()
    local model = nn.Sequential(table.unpack(layers()))
    local opt = optim.SGD(model:parameters(), {lr = 0.05, momentum = 0.9})
    local world = {model = model, opt = opt}
    function world.step(x, y)
      opt:zero_grad()
      local loss = last(model(x), y)
      loss:backward()
      opt:step()
      return loss
    end
    function world.batch(i)
      local n = i % 4 == 0 and 3 or 5 -- the last batch of an epoch is smaller
      return tide.randn(n, 1, 8, 8), tide.randint(0, 2, {n})
    end
    if more then more(world) end
    return world
  end
end

do
  local step = twins("cnn", image_world(function()
    return {nn.Conv2d(1, 4, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(),
      nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 3), nn.LogSoftmax()}
  end, F.nll_loss), 12)
  same(info(step).programs, 2, "a program for each size of batch")
  same(info(step).traces, 2)
end

do
  local evals = 0
  local step = twins("normalised", image_world(function()
    return {nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.4), nn.Flatten(),
      nn.Linear(4 * 36, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)}
  end, F.cross_entropy, function(world)
    world.batch = function() return tide.randn(5, 1, 8, 8), tide.randint(0, 2, {5}) end
    world.before = function(i)
      if i == 6 then world.model:eval() end
      if i == 9 then world.model:train() end
      evals = evals + 1
    end
  end), 14)
  same(info(step).traces, 2, "train() and eval() switch between programs")
end

-- ---- what happens between backward and step ----

twins("clipped", mlp_world("SGD", {lr = 0.5}, function(world)
  local model, opt = world.model, world.opt
  world.step = function(x, y)
    opt:zero_grad()
    F.cross_entropy(model(x), y):backward()
    local norm = optim.clip_grad_norm(model:parameters(), 0.1)
    opt:step()
    return norm
  end
end))

twins("accumulated inside", mlp_world("Adam", {lr = 0.01}, function(world)
  local model, opt = world.model, world.opt
  world.step = function(x, y)
    opt:zero_grad()
    local total = 0
    for part = 1, 4 do
      local rows = {{2 * part - 1, 2 * part}}
      local loss = F.cross_entropy(model(x[rows]), y[rows]) / 4
      loss:backward()
      total = total + loss:detach()
    end
    opt:step()
    return total
  end
end))

-- Gradients that are left behind, and added to by the next call.
do
  local function world(compiled)
    tide.manual_seed(3)
    local model = nn.Linear(4, 2)
    local opt = optim.SGD(model:parameters(), {lr = 0.1})
    local micro = function(x)
      local loss = model(x):square():mean()
      loss:backward()
      return loss
    end
    local update = function()
      opt:step()
      opt:zero_grad()
    end
    if compiled then micro, update = tide.compile(micro), tide.compile(update) end
    local losses = {}
    tide.manual_seed(4)
    for i = 1, 12 do
      losses[i] = micro(tide.randn(3, 4))
      if i % 4 == 0 then
        update()
        assert(model.weight.grad == nil)
      else
        assert(model.weight.grad.is_leaf and not model.weight.grad.requires_grad)
      end
    end
    micro(tide.ones(3, 4))
    return model, losses, micro
  end
  local a, la = world(false)
  local b, lb, micro = world(true)
  for i = 1, 12 do bits_equal(lb[i], la[i], "micro batch " .. i) end
  bits_equal(b.weight, a.weight, "weight")
  bits_equal(b.weight.grad, a.weight.grad, "gradient")
  same(info(micro).traces, 2, "one program where gradients are there, one where not")
end

-- A gradient that a step has used up is nil, and there with keep_grads.
do
  local world = mlp_world("SGD", {lr = 0.1})
  local w = world()
  tide.compile(w.step)(w.batch())
  assert(w.model[1].weight.grad == nil)
  tide.manual_seed(1)
  w = world()
  local twin = w.model:clone()
  local x, y = w.batch()
  tide.compile(w.step, {keep_grads = true})(x, y)
  F.cross_entropy(twin(x), y):backward()
  for i, p in ipairs(w.model:parameters()) do bits_equal(p.grad, twin:parameters()[i].grad, "kept " .. i) end
end

-- ---- random numbers ----

do
  local function draw(x)
    return x + tide.rand(2, 3) + tide.randn(2, 3), tide.randint(1, 9, {4}), tide.randperm(5),
      F.dropout(x, 0.5, true), tide.rand(2, {seed = 7}), tide.rand(2, {seed = 7})
  end
  local compiled = tide.compile(draw)
  local function numbers(f)
    tide.manual_seed(21)
    local all = {}
    for i = 1, 3 do
      local before = tide.rand(1)
      all[i] = {before, f(tide.ones(2, 3))}
    end
    return all
  end
  local a, b = numbers(draw), numbers(compiled)
  for i = 1, 3 do
    for k, tensor in ipairs(a[i]) do bits_equal(b[i][k], tensor, ("draw %d of call %d"):format(k, i)) end
  end
  assert(not tide.equal(b[1][2], b[2][2]), "each call draws anew")
  same(info(compiled).traces, 1)
end

-- ---- values that change in place ----

do
  local memory, count = tide.zeros(3), tide.zeros({}, {dtype = "i64"})
  local f = tide.compile(function(x)
    memory[2] = x:sum()
    memory[{{3}}]:assign(memory[{{2}}] * 2)
    count:assign(count + 1)
    local fresh = tide.zeros(3)
    fresh[1] = x[1]
    local own = tide.tensor{1, 2, 3}
    own[3] = x[2]
    return memory * 1, fresh, own, memory
  end)
  for i = 1, 3 do
    local product, fresh, own, it = f(tide.tensor{i, 10})
    same(product, {0, i + 10, 2 * (i + 10)})
    same(fresh, {i, 0, 0})
    same(own, {1, 2, 10})
    assert(rawequal(it, memory), "a tensor from outside comes back as itself")
    product[1] = 99 -- a result is nobody else's memory
    fresh[2] = 99
  end
  same(memory, {0, 13, 26})
  same(count, 3)
  same(info(f).traces, 1)
end

-- An outer tape notices what a program changes.
do
  local w = tide.ones(2):requires_grad_()
  local v = tide.ones(2)
  local change = tide.compile(function() v:assign(v * 2) end)
  change()
  local loss = (w * v):sum()
  change()
  check.raises(function() loss:backward() end, "was changed in place after it was used")
end

-- Memory that overlaps: the function runs as it stands.
do
  local function shift(a, b) a:assign(b + 1) return a * 1 end
  local f = tide.compile(shift)
  same(f(tide.zeros(2), tide.ones(2)), {2, 2})
  local x = tide.tensor{1, 2, 3}
  same(f(x[{{1, 2}}], x[{{2, 3}}]), {3, 4})
  same(x, {3, 4, 3})
  same(info(f).plain, 1)
  local text = tostring(f)
  assert(text:find(": 1 program, 2 calls, 1 of the calls without a program", 1, true), text)
end

-- A plain number that changes makes a program each time, and says so once they no longer fit.
do
  local f = tide.compile(function(x, n) return x * n end, {name = "f", cache = 2})
  for n = 1, 3 do same(f(tide.ones(1), n), {n}) end
  same(tostring(f), "compiled 'f': 2 programs, 3 calls, 3 traces")
end
