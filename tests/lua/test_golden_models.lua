-- One training step of the MLP and of both CNNs is PyTorch's: loss, gradients, parameters afterwards.
local here = arg[0]:match("^(.*)/") or "."
local golden = dofile(here .. "/../golden/common.lua")
local figures = dofile(here .. "/../golden/models.lua")

local function cnn(a, b, padding, features, hidden)
  return nn.Sequential(
    nn.Conv2d(1, a, 5, {padding = padding}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(a, b, 5, {padding = padding}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 10), nn.LogSoftmax())
end

local cases = {
  mlp = {
    nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10), nn.LogSoftmax()), {64, 784},
  },
  tutorial_cnn = {cnn(20, 50, 0, 800, 500), {16, 1, 28, 28}},
  fedavg_cnn = {cnn(32, 64, 2, 3136, 512), {4, 1, 28, 28}},
}
golden.same_names("models", cases, figures)

local function step(name, dtype, tolerance)
  local model, want = golden.fill(cases[name][1]:to(dtype)), figures[name]
  local what = name .. " in " .. dtype
  local x = golden.even(cases[name][2], 1000):to(dtype)
  local y = golden.labels(x:size(1), 10)
  local opt = optim.SGD(model:parameters(), {lr = 0.1})
  opt:zero_grad()
  local loss = F.nll_loss(model(x), y)
  loss:backward()
  golden.check_number(what .. ": loss", loss:item(), want.loss, tolerance)
  golden.same_names(what, model:named_parameters(), want.gradients)
  for p_name, p in model:named_parameters() do
    golden.check(what .. ": gradient of " .. p_name, p.grad, want.gradients[p_name], tolerance)
  end
  opt:step()
  for p_name, p in model:named_parameters() do
    golden.check(what .. ": " .. p_name .. " afterwards", p, want.parameters[p_name], tolerance)
  end
  golden.check_number(what .. ": loss afterwards", F.nll_loss(model(x), y):item(), want.loss_after,
                      tolerance)
end

for name in pairs(cases) do
  step(name, "f64", 1e-11)
  step(name, "f32", 3e-5)
end
