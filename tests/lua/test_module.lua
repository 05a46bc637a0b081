-- nn.Module: registration, walks, state dicts, repr, errors; and the containers.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local fails, same = check.raises, check.eq

tide.manual_seed(1) -- no unit of the small networks is dead

local function list(map)
  local names = {}
  for name in map do names[#names + 1] = name end
  return table.concat(names, " ")
end

-- ---- registration, in order ----

local Net = nn.Module:extend("Net")
function Net:init(hidden)
  self.fc1 = nn.Linear(4, hidden)
  self.scale = tide.ones(1):requires_grad_()
  self:register_buffer("seen", tide.zeros({}, {dtype = "i64"}))
  self:register_buffer("scratch", tide.zeros(2), {persistent = false})
  self.fc2 = nn.Linear(hidden, 2, {bias = false})
  self.name = "net"
  self.constant = tide.ones(2)
end
function Net:forward(x)
  self.last = self.fc1(x)
  return self.fc2(F.relu(self.last)) * self.scale
end

local net = Net(3)
same(list(net:named_parameters()), "scale fc1.weight fc1.bias fc2.weight")
same(list(net:named_buffers()), "seen scratch")
same(list(net:state_dict()), "scale seen fc1.weight fc1.bias fc2.weight")
same(#net:parameters(), 4)
same(#net:state_dict(), 5)
same(list(net:named_modules()), " fc1 fc2")
same(net.name, "net")
assert(nn.Module.is(net) and not nn.Module.is(Net) and not nn.Module.is {} and not nn.Module.is(3))

-- Results of operations are fields like any other, and leave no name behind.
local y = net(tide.ones(5, 4))
same(table.concat(y:size(), "x"), "5x2")
assert(net.last and not net.last.is_leaf)
same(#net:parameters(), 4)

-- The walks give a table that pairs and the generic for take alike.
local count = 0
for name, p in pairs(net:named_parameters()) do
  assert(type(name) == "string" and p.requires_grad)
  count = count + 1
end
same(count, 4)

-- nil takes away; a tensor over a parameter, and a module over a module, stay where the old one was.
net.fc1 = nn.Linear(4, 3, {bias = false})
same(list(net:named_parameters()), "scale fc1.weight fc2.weight")
net.scale = tide.full({1}, 2):requires_grad_()
same(list(net:named_parameters()), "scale fc1.weight fc2.weight")
net.scale = nil
same(list(net:named_parameters()), "fc1.weight fc2.weight")
net.scale = 1
same(list(net:named_parameters()), "fc1.weight fc2.weight")
net.fc1 = net.fc1.weight
same(list(net:named_parameters()), "fc1 fc2.weight")
net.seen = tide.ones({}, {dtype = "i64"})
same(net:state_dict().seen:item(), 1)

fails(function() net.fc1 = tide.ones(2):requires_grad_() * 2 end, "Net: parameter 'fc1'",
      "result of an operation")
fails(function() net.fc1 = tide.ones(2) end, "parameter 'fc1' would not be trained any more")
fails(function() net:register_buffer("b", 3) end, "register_buffer: b is 3, not a tensor")
fails(function() nn.Module:extend(3) end, "extend: the class's name is 3, not a string")
fails(function() nn.Module()(1) end, "nn.Module: the class has no forward")

-- A shared tensor or module counts once among parameters, and under both names in state dicts.
local Tied = nn.Module:extend("Tied")
function Tied:init()
  self.a = nn.Linear(2, 2)
  self.b = self.a
  self.w = self.a.weight
end
local tied = Tied()
same(#tied:parameters(), 2)
same(list(tied:state_dict()), "w a.weight a.bias b.weight b.bias")
same(#tied:modules(), 2)

-- Fields under whole numbers make a list.
local List = nn.Module:extend("List")
function List:init()
  for i = 1, 3 do self[i] = nn.Linear(2, 2, {bias = false}) end
end
same(list(List():state_dict()), "0.weight 1.weight 2.weight")
same(#List(), 3)

-- Classes extend classes.
local Sub = Net:extend("Sub")
function Sub:init()
  Sub.super.init(self, 5)
  self.extra = nn.ReLU()
end
same(list(Sub():named_modules()), " fc1 fc2 extra")
same(Sub()(tide.ones(1, 4)):size(2), 2)

-- ---- what is set on all ----

net = Net(16)
assert(net.training and net.fc1.training)
net:eval()
assert(not net.training and not net.fc1.training)
net:train()
assert(net.fc1.training)
net:requires_grad_(false)
assert(not net.fc1.weight.requires_grad)
net:requires_grad_()
net(tide.ones(1, 4)):sum():backward()
assert(net.fc2.weight.grad)
net:zero_grad()
assert(net.fc2.weight.grad == nil)

local weight = net.fc1.weight
local opt = optim.SGD(net:parameters(), {lr = 0.1})
assert(net:to("f64") == net)
assert(net.fc1.weight == weight and weight:dtype() == "f64" and net.seen:dtype() == "i64")
net(tide.ones({1, 4}, {dtype = "f64"})):sum():backward()
same(weight.grad:dtype(), "f64")
local before = weight:clone()
opt:step()
assert(not tide.equal(weight, before), "an optimiser made before to() goes on after it")
fails(function() net:to("i64") end, "to: a module's parameters are of a float dtype, not i64")

local order = {}
nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())):apply(function(m) order[#order + 1] = m.class_name end)
same(table.concat(order, " "), "nn.ReLU nn.Tanh nn.Sequential nn.Sequential")

local a = Tied()
local b = a:clone()
assert(tide.equal(a.w, b.w) and a.w ~= b.w and b.w == b.a.weight and b.a == b.b)
assert(b.w.requires_grad and b.w.is_leaf)

-- ---- state dicts ----

local first, second = Net(3), Net(3)
local missing, unexpected = second:load_state_dict(first:state_dict())
assert(#missing == 0 and #unexpected == 0)
for name, p in first:named_parameters() do assert(tide.equal(p, second:named_parameters()[name])) end
-- The dict shares the module's values, and is on no tape.
tide.no_grad(function() first.scale:assign(7) end)
same(first:state_dict().scale:item(), 7.0)
assert(not first:state_dict().scale.requires_grad)

local dict = first:state_dict()
dict["fc1.bias"] = nil
dict.stranger = tide.ones(1)
dict["fc2.weight"] = tide.ones(2, 9)
local err = fails(function() second:load_state_dict(dict) end,
  "load_state_dict: Net: missing fc1.bias; unexpected stranger; fc2.weight is 2x9, not 2x3")
same(err.kind, "argument")
assert(second.scale:item() ~= 7, "nothing changes when something does not fit")
fails(function() second:load_state_dict(dict, {strict = false}) end, "fc2.weight is 2x9, not 2x3")
dict["fc2.weight"] = nil
missing, unexpected = second:load_state_dict(dict, {strict = false})
same(table.concat(missing, " "), "fc1.bias fc2.weight")
same(table.concat(unexpected, " "), "stranger")
same(second.scale:item(), 7.0)
fails(function() second:load_state_dict(dict, {stict = true}) end,
      "load_state_dict: unknown option 'stict', did you mean 'strict'?")
fails(function() second:load_state_dict(3) end, "the state is 3, not a table of tensors by name")

-- ---- texts ----

same(tostring(nn.Linear(784, 10)), "Linear(in_features=784, out_features=10, bias=true)")
same(tostring(nn.Conv2d(1, 20, 5, {padding = 2, bias = false})),
     "Conv2d(1, 20, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), bias=false)")
same(tostring(nn.Sequential(nn.ReLU(), nn.Sequential(nn.Dropout(0.2)))),
     "Sequential(\n  (1): ReLU()\n  (2): Sequential(\n    (1): Dropout(p=0.2)\n  )\n)")
same(tostring(nn.Sequential()), "Sequential()")
same(tostring(Net), "class Net")

-- ---- containers and constructors ----

local seq = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(784, 10), nn.LogSoftmax())
err = fails(function() seq(tide.ones(64, 784)) end,
            "in module 3 (nn.Linear 784 -> 10): matmul: 64x128 does not multiply 784x10",
            "test_module.lua:")
same(err.kind, "shape")
fails(function() nn.Sequential(nn.Sequential(nn.Linear(2, 3)))(tide.ones(1, 4)) end,
      "in module 1 (nn.Sequential): in module 1 (nn.Linear 2 -> 3): matmul: 1x4 does not multiply 2x3")
fails(function() nn.Sequential(nn.ReLU(), 3) end, "nn.Sequential: argument 2 is 3, not a module")
same(seq[1].out_features, 128)
same(#seq, 4)
same(list(seq:state_dict()), "0.weight 0.bias 2.weight 2.bias")
seq[3] = nn.Linear(128, 10)
same(seq(tide.ones(2, 784)):size(2), 10)

fails(function() nn.Linear(3) end, "nn.Linear: the number of outputs is nil, not a whole number")
fails(function() nn.Linear(3, 0) end, "the number of outputs is 0, not a whole number of at least 1")
fails(function() nn.Linear(3, 2, {bais = false}) end, "unknown option 'bais', did you mean 'bias'?")
fails(function() nn.Conv2d(1, 2, 3, {padding = {1}}) end, "nn.Conv2d: padding is")
fails(function() nn.Conv2d(3, 4, 3, {groups = 2}) end, "3 input and 4 output channels do not make 2 equal groups")
fails(function() nn.GroupNorm(3, 4) end, "nn.GroupNorm: 4 channels do not make 3 equal groups")
fails(function() nn.BatchNorm2d(3)(tide.ones(2, 3)) end,
      "nn.BatchNorm2d: the input is 2x3, not [N, C, H, W] with 3 channels")
fails(function() nn.BatchNorm1d(3)(tide.ones(1, 3)) end, "training needs more than one value a channel")
fails(function() nn.LayerNorm(3)(tide.ones(2, 4)) end, "layer_norm: 2x4 does not end in 3")
fails(function() nn.Dropout(2) end, "nn.Dropout: p is 2, not a number from 0 to 1")
fails(function() nn.GELU{approximate = "tan"} end, "approximate is 'tan', not 'none' or 'tanh'")
fails(function() nn.Embedding(3, 2, {padding_idx = 3}) end, "padding_idx 3 of 3 rows")

-- Weights begin as PyTorch's do: even within +-1 / sqrt(fan-in).
tide.manual_seed(7)
local linear = nn.Linear(100, 400)
for _, p in ipairs(linear:parameters()) do
  assert(p:abs():max():item() <= 0.1 and p.is_leaf and p.requires_grad)
end
assert(math.abs(linear.weight:std():item() - 0.1 / math.sqrt(3)) < 1e-3)
assert(math.abs(linear.weight:mean():item()) < 1e-3)
local conv = nn.Conv2d(4, 64, 5, {groups = 2})
same(table.concat(conv.weight:size(), "x"), "64x2x5x5")
assert(conv.weight:abs():max():item() <= 1 / math.sqrt(50))
assert(math.abs(conv.weight:std():item() - 1 / math.sqrt(150)) < 5e-3)
assert(math.abs(nn.Embedding(200, 50).weight:std():item() - 1) < 0.05)
same(nn.Embedding(4, 3, {padding_idx = 1}).weight[2]:abs():sum():item(), 0.0)
tide.manual_seed(7)
assert(tide.equal(nn.Linear(100, 400).weight, linear.weight), "the same seed gives the same weights")

-- ---- dropout ----

local ones = tide.ones(100, 100):requires_grad_()
local dropped = nn.Dropout(0.25)(ones)
local kept = dropped:ne(0):to("f32"):mean():item()
assert(math.abs(kept - 0.75) < 0.02, kept)
assert(tide.allclose(dropped:max(), tide.tensor(1 / 0.75)))
dropped:sum():backward()
assert(tide.equal(ones.grad, dropped), "the gradient has the same mask")
assert(not tide.equal(F.dropout(ones), F.dropout(ones)), "each call draws anew")
same(F.dropout(ones, 1):abs():sum():item(), 0.0)
assert(F.dropout(ones, 0) == ones)
assert(F.dropout(ones, 0.5, false) == ones)
fails(function() F.dropout(ones, 0.5, {training = false}) end, "dropout: training is a table, not true or false")
assert(nn.Dropout(0.5):eval()(ones) == ones)

-- ---- functions ----

fails(function() F.mse_loss(tide.ones(64, 1), tide.ones(64)) end,
      "mse_loss: the input is 64x1, the target 64")
fails(function() F.mse_loss(3, tide.ones(1)) end, "mse_loss: the input is 3, not a tensor")
fails(function() F.cross_entropy(tide.ones(2, 3), tide.zeros(2)) end,
      "cross_entropy: labels are i64, i32 or u8, got f32")
fails(function() F.cross_entropy(tide.ones(2, 3), tide.zeros({2}, {dtype = "i64"}), {reduction = "avg"}) end,
      "cross_entropy: reduction is 'avg', not 'mean', 'sum' or 'none'")
fails(function() F.nll_loss(tide.ones(2, 3), tide.full({2}, 3, {dtype = "i64"})) end,
      "nll_loss: label 3 with 3 classes")
fails(function() F.pad(tide.ones(2), {1}) end, "pad: sizes come in pairs")
local logits = tide.tensor{{1, 3, 2}, {5, 4, 3}, {0, 0, 9}}
local y3 = tide.tensor({1, 0, 1}, {dtype = "i64"})
assert(tide.equal(F.predict(logits), tide.tensor({1, 0, 2}, {dtype = "i64"})))
same(F.predict(logits[1]):item(), 1)
assert(math.abs(F.accuracy(logits, y3) - 2 / 3) < 1e-12)
fails(function() F.accuracy(logits, y3[{{1, 2}}]) end, "accuracy: the logits 3x3 give labels 3, the labels are 2")
assert(tide.equal(F.one_hot(y3, 3), tide.tensor({{0, 1, 0}, {1, 0, 0}, {0, 1, 0}}, {dtype = "i64"})))
same(F.one_hot(y3):size(2), 2)

-- ---- a parameter is assigned a tensor or nil ----

local over = nn.Linear(2, 2)
fails(function() over.weight = 3 end, "nn.Linear: parameter 'weight' is to be a tensor or nil, got 3")
same(#over:parameters(), 2)
over.weight = nil
same(#over:parameters(), 1)
