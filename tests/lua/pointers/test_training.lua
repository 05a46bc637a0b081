-- Training at workers: one wait a step, and bit for bit what the same loop gives here.
-- Pointers are held and dropped for what that does at the worker.
-- luacheck: ignore 231 241 311 331
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, cost = rig.case, rig.eq, rig.cost

local digits = tide.data.digits():subset((function()
  local rows = {}
  for i = 1, 96 do rows[i] = i end
  return rows
end)())
local images = digits.x:reshape(-1, 1, 8, 8)

local function mlp()
  return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10), nn.LogSoftmax(2))
end

local function cnn()
  return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10),
                       nn.LogSoftmax(2))
end

local function normed()
  return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 16),
                       nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10), nn.LogSoftmax(2))
end

local optimizers = {
  sgd = function(p) return optim.SGD(p, {lr = 0.1}) end,
  momentum = function(p) return optim.SGD(p, {lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 1e-4}) end,
  adam = function(p) return optim.Adam(p, {lr = 1e-3}) end,
  adamw = function(p) return optim.AdamW(p, {lr = 1e-3, amsgrad = true}) end,
  rmsprop = function(p) return optim.RMSprop(p, {lr = 1e-3, momentum = 0.5, centered = true}) end,
  adagrad = function(p) return optim.Adagrad(p, {lr = 0.01}) end,
}

-- One step of the tutorial's loop; returns the loss as a number.
local function federated_step(model, opt, data, target)
  model:send(data.location)
  opt:zero_grad()
  local loss = F.nll_loss(model(data), target)
  loss:backward()
  opt:step()
  model:get()
  return loss:get():item()
end

local function local_step(model, opt, data, target)
  opt:zero_grad()
  local loss = F.nll_loss(model(data), target)
  loss:backward()
  opt:step()
  return loss:item()
end

-- Steps on batches that go round the workers, and on the same batches here: losses and weights agree in every bit.
local function trains_as_here(build, optimizer, workers, steps)
  tide.manual_seed(3)
  local model = build()
  local twin = model:clone()
  local opt, twin_opt = optimizers[optimizer](model:parameters()), optimizers[optimizer](twin:parameters())
  for step = 1, steps do
    local from = (step - 1) * 16 % 96 + 1
    local x, y = images:narrow(1, from, 16), digits.y:narrow(1, from, 16)
    local worker = workers[(step - 1) % #workers + 1]
    local data, target = x:send(worker), y:send(worker)
    tide.manual_seed(step) -- dropout draws from it
    local loss
    local waits, batches = cost(worker, function() loss = federated_step(model, opt, data, target) end)
    eq({waits, batches}, {1, 1}, optimizer .. ": waits and batches of a step")
    tide.manual_seed(step)
    eq(loss, local_step(twin, twin_opt, x, y), optimizer .. ": the loss of step " .. step)
  end
  rig.same_module(model, twin)
  for i, p in ipairs(model:parameters()) do
    for key, state in pairs(opt.state[p]) do
      if tide.is_tensor(state) then
        rig.same_bits(state, twin_opt.state[twin:parameters()[i]][key], key)
      end
    end
  end
end

for name in pairs(optimizers) do
  case("one wait a step and the local bits: MLP, " .. name .. ", one worker", function(bob)
    trains_as_here(mlp, name, {bob}, 4)
  end)
end

for _, name in ipairs {"sgd", "momentum", "adam"} do
  case("one wait a step and the local bits: CNN, " .. name .. ", between two workers", function(bob, alice)
    trains_as_here(cnn, name, {bob, alice}, 5)
  end)
end

case("the buffers of BatchNorm travel with the model", function(bob, alice)
  trains_as_here(normed, "adam", {bob, alice}, 4)
end)

case("dropout draws the same numbers at a worker", function(bob, alice)
  trains_as_here(function()
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.4), nn.Linear(16, 10), nn.LogSoftmax(2))
  end, "sgd", {bob, alice}, 4)
end)

case("a module of the user's own trains at a worker", function(bob)
  local Net = nn.Module:extend("Net")
  function Net:init(hidden)
    self.fc1 = nn.Linear(64, hidden)
    self.fc2 = nn.Linear(hidden, 10)
    self.scale = tide.ones(1):requires_grad_()
    self:register_buffer("shift", tide.full({1}, 0.5))
  end
  function Net:forward(x)
    return F.log_softmax(self.fc2(F.relu(self.fc1(x:view(-1, 64) * self.scale + self.shift))), 2)
  end
  trains_as_here(function() return Net(12) end, "momentum", {bob}, 3)
end)

case("21: federated over two workers, twenty rounds: the loss falls, the local weights come out", function(bob, alice)
  tide.manual_seed(11)
  local model = nn.Linear(2, 1)
  local twin = model:clone()
  local x = tide.tensor {{0, 0}, {0, 1}, {1, 0}, {1, 1}}
  local y = tide.tensor {{0}, {0}, {1}, {1}}
  local opt, twin_opt = optim.SGD(model:parameters(), {lr = 0.1}), optim.SGD(twin:parameters(), {lr = 0.1})
  local loader = tide.FederatedDataLoader(tide.Dataset {x = x, y = y}:federate {bob, alice}, {batch_size = 2})
  local losses, twins = {}, {}
  for round = 1, 20 do
    losses[round], twins[round] = 0, 0
    for data, target in loader do
      model:send(data.location)
      opt:zero_grad()
      local loss = ((model(data) - target) ^ 2):sum()
      loss:backward()
      opt:step()
      model:get()
      losses[round] = losses[round] + loss:get():item()
    end
    for from = 1, 3, 2 do
      twin_opt:zero_grad()
      local loss = ((twin(x:narrow(1, from, 2)) - y:narrow(1, from, 2)) ^ 2):sum()
      loss:backward()
      twin_opt:step()
      twins[round] = twins[round] + loss:item()
    end
  end
  eq(losses, twins)
  assert(losses[20] < losses[1] / 4, ("%g after %g"):format(losses[20], losses[1]))
  rig.same_module(model, twin)
end)

case("federated SGD with one worker is the local loop, bit for bit, over shuffled epochs", function(bob)
  tide.manual_seed(5)
  local model = mlp()
  local twin = model:clone()
  local opt, twin_opt = optimizers.sgd(model:parameters()), optimizers.sgd(twin:parameters())
  local loader = tide.FederatedDataLoader(tide.Dataset {x = images, y = digits.y}:federate {bob},
                                          {batch_size = 20, shuffle = true, seed = 8})
  for _ = 1, 2 do
    for data, target in loader do
      local x, y = data:copy(), target:copy()
      eq(federated_step(model, opt, data, target), local_step(twin, twin_opt, x, y))
    end
  end
  rig.same_module(model, twin)
end)

case("federated SGD with two workers is the local loop over the same batches in the same order", function(bob, alice)
  tide.manual_seed(6)
  local model = cnn()
  local twin = model:clone()
  local opt, twin_opt = optimizers.momentum(model:parameters()), optimizers.momentum(twin:parameters())
  local loader = tide.FederatedDataLoader(tide.Dataset {x = images, y = digits.y}:federate {bob, alice},
                                          {batch_size = 20, shuffle = true})
  for data, target in loader do
    local x, y = data:copy(), target:copy()
    eq(federated_step(model, opt, data, target), local_step(twin, twin_opt, x, y))
  end
  rig.same_module(model, twin)
end)

case("model:send and model:get are in place and wait for nothing; a look waits once", function(bob)
  local model = cnn()
  local weight = model[1].weight
  local twin = model:clone()
  local waits, batches = cost(bob, function()
    assert(model:send(bob) == model)
    assert(model.location == bob and weight.location == bob and model[1].weight == weight)
    assert(model:get() == model)
    assert(model.location == nil)
  end)
  eq({waits, batches}, {0, 0})
  eq({cost(bob, function() rig.same_module(model, twin) end)}, {1, 1})
end)

case("model:copy gives a model here and leaves the other there", function(bob)
  local model = mlp():send(bob)
  local copy = model:copy()
  assert(copy.location == nil and model.location == bob)
  rig.same_module(copy, model:get())
end)

case("a whole model is one batch of one message", function(bob)
  local model = mlp()
  local before = bob:stats()
  model:send(bob)
  bob:wait()
  local after = bob:stats()
  eq({after.batches - before.batches, after.waits - before.waits}, {1, 1})
  assert(after.messages_out - before.messages_out <= 2)
  model:get()
end)

case("sending a model to where it is changes nothing", function(bob)
  local model = mlp():send(bob)
  bob:wait()
  eq({cost(bob, function()
    model:send(bob)
    bob:wait()
  end)}, {0, 0})
  model:get()
end)

case("a model is tested where the data is, with eval and without a tape", function(bob)
  local model = normed():eval()
  local twin = model:clone()
  model:send(bob)
  local y = tide.no_grad(function() return F.predict(model(images:send(bob))) end)
  eq(y.requires_grad, false)
  eq(y:get():totable(), F.predict(twin(images)):totable())
  model:get()
  rig.same_module(model, twin)
end)

case("an optimiser's state that is dropped midway goes too", function(bob)
  local model = mlp()
  local opt = optimizers.adam(model:parameters())
  model:send(bob)
  F.nll_loss(model(images:send(bob)), digits.y:send(bob)):backward()
  opt:step()
  bob:wait()
  local with = #bob:objects()
  opt = nil
  collectgarbage()
  collectgarbage()
  assert(#bob:objects() <= with - 8, "four parameters' means and squares")
  model:get()
end)

case("from the second step on a step's text goes out as its name", function(bob)
  local model = mlp():send(bob)
  local opt = optimizers.sgd(model:parameters())
  local x, y = images:send(bob), digits.y:send(bob)
  local function step()
    opt:zero_grad()
    local loss = F.nll_loss(model(x), y)
    loss:backward()
    opt:step()
    return loss:get():item()
  end
  local first = step()
  step() -- the gradients of the step before are freed in this one
  local before = bob:stats()
  for _ = 1, 10 do step() end
  local after = bob:stats()
  eq(after.batches - before.batches, after.batches_by_name - before.batches_by_name)
  assert(after.bytes_out - before.bytes_out < 10 * 400, "about 200 bytes a step")
  assert(step() < first)
  model:get()
end)

rig.run()
