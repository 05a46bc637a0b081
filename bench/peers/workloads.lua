-- The training steps that are compared with PyTorch: models, data and the work in them. What each is made
-- of, steps.py says alike for the other side; bench/peers/golden.lua holds what both must compute.
local workloads = {}

-- ---- models ----

local MLP = nn.Module:extend("MLP")
function MLP:init()
  self.a = nn.Linear(784, 128)
  self.b = nn.Linear(128, 10)
end
function MLP:forward(x) return F.log_softmax(self.b(F.relu(self.a(x))), 2) end

-- The network of PySyft's MNIST tutorial; with other sizes the one of McMahan et al. 2017.
local CNN = nn.Module:extend("CNN")
function CNN:init(c1, c2, padding, flat, hidden)
  self.c1 = nn.Conv2d(1, c1, 5, {padding = padding})
  self.c2 = nn.Conv2d(c1, c2, 5, {padding = padding})
  self.f1 = nn.Linear(flat, hidden)
  self.f2 = nn.Linear(hidden, 10)
end
function CNN:forward(x)
  x = F.max_pool2d(F.relu(self.c1(x)), 2)
  x = F.max_pool2d(F.relu(self.c2(x)), 2)
  return F.log_softmax(self.f2(F.relu(self.f1(F.flatten(x, 2)))), 2)
end

-- The Shakespeare model of the same paper.
local CharLSTM = nn.Module:extend("CharLSTM")
function CharLSTM:init()
  self.e = nn.Embedding(90, 8)
  self.l = nn.LSTM(8, 256, 2, {batch_first = true})
  self.f = nn.Linear(256, 90)
end
function CharLSTM:forward(x) return F.log_softmax(self.f((self.l(self.e(x)))):reshape(-1, 90), 2) end

local CifarCNN = nn.Module:extend("CifarCNN")
function CifarCNN:init()
  self.c1 = nn.Conv2d(3, 32, 3)
  self.c2 = nn.Conv2d(32, 64, 3)
  self.c3 = nn.Conv2d(64, 64, 3)
  self.f1 = nn.Linear(1024, 64)
  self.f2 = nn.Linear(64, 10)
end
function CifarCNN:forward(x)
  x = F.max_pool2d(F.relu(self.c1(x)), 2)
  x = F.max_pool2d(F.relu(self.c2(x)), 2)
  x = F.relu(self.c3(x))
  return F.log_softmax(self.f2(F.relu(self.f1(F.flatten(x, 2)))), 2)
end

local ResBlock = nn.Module:extend("ResBlock")
function ResBlock:init(c)
  self.i = nn.Conv2d(3, c, 3, {padding = 1})
  self.c1 = nn.Conv2d(c, c, 3, {padding = 1, bias = false})
  self.g1 = nn.GroupNorm(2, c)
  self.c2 = nn.Conv2d(c, c, 3, {padding = 1, bias = false})
  self.g2 = nn.GroupNorm(2, c)
  self.f = nn.Linear(c, 10)
end
function ResBlock:forward(x)
  x = F.relu(self.i(x))
  local y = self.g2(self.c2(F.relu(self.g1(self.c1(x)))))
  return F.log_softmax(self.f(F.relu(x + y):mean(4):mean(3)), 2)
end

local function logreg() return nn.Sequential(nn.Linear(30, 2), nn.LogSoftmax(2)) end
local function tutorial() return CNN(20, 50, 0, 800, 500) end
local function fedavg() return CNN(32, 64, 2, 3136, 512) end

-- ---- numbers ----

local MIX1, MIX2, GOLDEN = 0xD6E8FEB86659FD93, 0xD1B54A32D192ED03, 0x9E3779B97F4A7C15

-- 24 bits for each (seed, i): whole numbers that look random, the same in any language.
local function bits(seed, i)
  local h = i * GOLDEN + seed * MIX2
  h = (h ~ h >> 32) * MIX1
  h = (h ~ h >> 32) * MIX1
  return h >> 40
end

local function count(sizes)
  local n = 1
  for _, size in ipairs(sizes) do n = n * size end
  return n
end

-- f32 tensor of numbers in [-scale, scale): exact multiples of 2^-23, times scale, rounded once.
local function even(sizes, seed, scale)
  local values = {}
  for i = 1, count(sizes) do values[i] = (bits(seed, i - 1) / 2 ^ 23 - 1) * scale end
  return tide.tensor(values):reshape(sizes)
end

local function labels(sizes, seed, classes)
  local values = {}
  for i = 1, count(sizes) do values[i] = bits(seed, i - 1) % classes end
  return tide.tensor(values, {dtype = "i64"}):reshape(sizes)
end

-- Parameter number k is drawn with seed k: matrices by their fan-in, vectors small, scales of norms near 1.
local function fill(model)
  local seed = 0
  for name, p in model:named_parameters() do
    seed = seed + 1
    local is_scale = p:dim() == 1 and name:find("weight$")
    local u = even(p:size(), seed, p:dim() > 1 and math.sqrt(3 / (p:numel() / p:size(1))) or 0.1)
    tide.no_grad(function() p:assign(is_scale and u + 1 or u) end)
  end
  return model
end

-- ---- work: multiplications and additions of an example's forward pass, 2 to a weight's use ----

local function linear(inputs, outputs) return 2 * inputs * outputs end
local function conv(inputs, outputs, kernel, places) return 2 * inputs * outputs * kernel ^ 2 * places end
local function lstm(inputs, hidden) return 2 * (inputs + hidden) * 4 * hidden end

-- Backward has two products for each of forward, the gradients of the input and of the weight; the first
-- layer has no use for the former. Padding counts as if it were multiplied; everything but products is left out.
local function step_flops(first, ...)
  local rest = 0
  for _, layer in ipairs {...} do rest = rest + layer end
  return 2 * first + 3 * rest
end

local MLP_FLOPS = step_flops(linear(784, 128), linear(128, 10))
local TUTORIAL_FLOPS = step_flops(conv(1, 20, 5, 24 ^ 2), conv(20, 50, 5, 8 ^ 2), linear(800, 500), linear(500, 10))
local FEDAVG_FLOPS = step_flops(conv(1, 32, 5, 28 ^ 2), conv(32, 64, 5, 14 ^ 2), linear(3136, 512), linear(512, 10))
-- 80 characters; the embedding multiplies nothing, and wants a gradient of the first layer's input
local LSTM_FLOPS = 80 * step_flops(0, lstm(8, 256), lstm(256, 256), linear(256, 90))
local CIFAR_FLOPS = step_flops(conv(3, 32, 3, 30 ^ 2), conv(32, 64, 3, 13 ^ 2), conv(64, 64, 3, 4 ^ 2),
                               linear(1024, 64), linear(64, 10))
local RESBLOCK_FLOPS = step_flops(conv(3, 64, 3, 32 ^ 2), conv(64, 64, 3, 32 ^ 2), conv(64, 64, 3, 32 ^ 2),
                                  linear(64, 10))

-- ---- the list ----

local function add(name, model, batch, input, classes, flops)
  workloads[#workloads + 1] = {name = name, model = model, batch = batch, input = input, classes = classes,
                               flops = flops * batch}
end

add("mlp-32", MLP, 32, {784}, 10, MLP_FLOPS)
add("mlp-64", MLP, 64, {784}, 10, MLP_FLOPS)
add("mlp-600", MLP, 600, {784}, 10, MLP_FLOPS)
add("tutorial-cnn-64", tutorial, 64, {1, 28, 28}, 10, TUTORIAL_FLOPS)
add("fedavg-cnn-10", fedavg, 10, {1, 28, 28}, 10, FEDAVG_FLOPS)
add("fedavg-cnn-50", fedavg, 50, {1, 28, 28}, 10, FEDAVG_FLOPS)
add("char-lstm-10x80", CharLSTM, 10, {80}, 90, LSTM_FLOPS)
add("logreg-32", logreg, 32, {30}, 2, step_flops(linear(30, 2)))
add("cifar-cnn-32", CifarCNN, 32, {3, 32, 32}, 10, CIFAR_FLOPS)
add("resblock-32", function() return ResBlock(64) end, 32, {3, 32, 32}, 10, RESBLOCK_FLOPS)

-- Model, input and labels, ready to train; `batch` may be another than the workload's own.
function workloads.make(w, batch)
  batch = batch or w.batch
  local model, sizes = fill(w.model()), {batch, table.unpack(w.input)}
  if w.model == CharLSTM then -- a label for each character
    return model, labels(sizes, 1001, 90), labels({count(sizes)}, 1002, 90)
  end
  return model, even(sizes, 1001, 1.75), labels({batch}, 1002, w.classes)
end

-- One training step as a user writes it; give it to tide.compile, or call it as it is.
function workloads.step_of(model, lr)
  local opt = optim.SGD(model:parameters(), {lr = lr})
  return function(x, y)
    opt:zero_grad()
    local loss = F.nll_loss(model(x), y)
    loss:backward()
    opt:step()
    return loss
  end
end

workloads.LR = 0.01

function workloads.find(name)
  for _, w in ipairs(workloads) do
    if w.name == name then return w end
  end
  error(("there is no workload '%s'"):format(name), 2)
end

return workloads
