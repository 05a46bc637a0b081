-- tide.save, tide.load, tide.data.load and tide.data.mnist: what goes out comes back, PyTorch's file is
-- read, and what is wrong with a file is said.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local fails, same = check.raises, check.eq
local golden = dofile(here .. "/../golden/common.lua")

local folder = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder))
local _ <close> = setmetatable({}, {__close = function() os.execute("rm -r " .. folder) end})
local function path(name) return folder .. "/" .. name end
local function write(name, text)
  local file = assert(io.open(path(name), "wb"))
  file:write(text)
  file:close()
  return path(name)
end

-- ---- save and load ----

local tensors = {}
for _, dtype in ipairs{"f64", "f32", "f16", "bf16", "i64", "i32", "u8", "bool"} do
  tensors[dtype] = tide.tensor({{0, 1, 2}, {3, 4, 5}}, {dtype = "f32"}):to(dtype)
end
tensors.scalar, tensors.empty = tide.tensor(3), tide.zeros(0, 4)
tensors.turned = tide.arange(1, 6):reshape(2, 3):t()
tide.save(path "all.safetensors", tensors, {meta = {format = "pt"}})
local back, meta = tide.load(path "all.safetensors")
same(meta.format, "pt")
local count = 0
for name, tensor in pairs(back) do
  count = count + 1
  assert(tide.equal(tensor, tensors[name]) and tensor:dtype() == tensors[name]:dtype(), name)
end
same(count, 11)

tide.save(path "one.npy", tensors.turned)
assert(tide.equal(tide.load(path "one.npy"), tensors.turned))

local model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 3))
tide.save(path "model.safetensors", model:state_dict())
local names = {}
for name in pairs(tide.load(path "model.safetensors")) do names[#names + 1] = name end
same(table.concat(names, " "), "0.weight 0.bias 1.weight 1.bias 1.running_mean 1.running_var " ..
     "1.num_batches_tracked 2.weight 2.bias")
local other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 3))
other:load_state_dict(tide.load(path "model.safetensors"))
assert(tide.equal(other[1].weight, model[1].weight))

fails(function() tide.save(path "x", model) end, "wants a table of tensors by name, got a module")
fails(function() tide.save(path "x", tide.ones(1)) end, "one tensor goes into a path that ends in .npy")
fails(function() tide.save(path "x", {a = 3}) end, "save: 'a' is 3, not a tensor")
fails(function() tide.save(path "x", {tide.ones(1)}) end, "save: a tensor's name is a string, got 1")
fails(function() tide.save(path "no/x", {a = tide.ones(1)}) end, "no/x")
same(fails(function() tide.load(path "none") end, "none").kind, "io")
same(fails(function() tide.load(write("junk", "\0\1\2junk")) end, "junk").kind, "format")
fails(function() tide.load(path "one.npy", {formt = "npy"}) end, "did you mean 'format'?")
assert(io.open(path "x") == nil, "a failed save leaves nothing behind")

-- ---- PyTorch's own file ----

local figures = dofile(here .. "/../golden/file.lua")
local theirs = nn.Sequential(
  nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
  nn.Sequential(nn.Linear(36, 8), nn.Tanh()), nn.Linear(8, 3))
local dict = tide.load(here .. "/../golden/torch-model.safetensors")
theirs:load_state_dict(dict)
names = {}
for name in theirs:state_dict() do names[#names + 1] = name end
same(table.concat(names, " "), table.concat(figures.names, " "))
local x = golden.even({5, 1, 8, 8}, 1000):to("f32")
golden.check("the model of PyTorch's file", theirs:eval()(x), figures.output, 2e-6)
same(theirs[2].num_batches_tracked:item(), 1)

-- ---- data sets from files ----

local csv = "age,weight,city,outcome\n50,70.5,Rome,1\n60,,Bern,0\n70,80,Rome,1\n"
local d = tide.data.load(write("people.csv", csv), {target = "outcome"})
same(#d, 3)
same(table.concat(d.features, " "), "age weight city")
same(table.concat(d.categories.city, " "), "Bern Rome")
same(table.concat(d.y:totable(), " "), "1 0 1")
same(d.y:dtype(), "i64")
same(d.x:dtype(), "f32")
same(d.x[1]:totable()[2], 70.5)
assert(d.x[{2, 2}]:isnan():item())
same(table.concat(d.x[{{}, 3}]:totable(), " "), "1.0 0.0 1.0")
same(d:split(0.5).features[1], "age")
same(tide.data.load(path "people.csv", {target = "city"}).y:totable()[1], 1)
same(tide.data.load(path "people.csv", {target = "weight", dtype = "f64"}).y:dtype(), "f64")
same(tide.data.load(path "people.csv").x:size(2), 4)
fails(function() tide.data.load(path "people.csv", {target = "outcom"}) end,
      "has no column 'outcom', did you mean 'outcome'?; there are: age, weight, city, outcome")
fails(function() tide.data.load(path "people.csv", {format = "npy"}) end, "people.csv")
fails(function() tide.data.load(path "people.csv", {target = 3}) end, "target is a column's name, got 3")
fails(function() tide.data.load(write("short.csv", "a,b\n1,2\n3\n")) end, "short.csv")
d = tide.data.load(write("bare.csv", "1;2\n3;4\n"), {separator = ";", header = false})
same(table.concat(d.features, " "), "column1 column2")

tide.save(path "x.npy", tide.ones(4, 2))
same(table.concat(tide.data.load(path "x.npy").x:size(), "x"), "4x2")
tide.save(path "set.safetensors", {images = tide.ones(4, 2), labels = tide.zeros(4)})
d = tide.data.load(path "set.safetensors", {target = "labels"})
same(table.concat(d.names, " "), "x y")
same(table.concat(tide.data.load(path "set.safetensors").names, " "), "images labels")
fails(function() tide.data.load(path "set.safetensors", {target = "y"}) end,
      "has no array 'y'; there are: images, labels")
fails(function() tide.data.load(path "all.safetensors") end, "Dataset: column")

-- ---- MNIST's files ----

local function idx(sizes, bytes)
  local header = {string.pack(">I2BB", 0, 8, #sizes)}
  for i, size in ipairs(sizes) do header[i + 1] = string.pack(">I4", size) end
  return table.concat(header) .. bytes
end

assert(os.execute("mkdir " .. path "mnist"))
local function halves(train)
  write("mnist/train-images-idx3-ubyte",
        idx({train, 28, 28}, ("\0"):rep(784 * train - 1) .. "\255"))
  write("mnist/train-labels-idx1-ubyte", idx({60000}, ("\7"):rep(60000)))
  write("mnist/t10k-images-idx3-ubyte", idx({10000, 28, 28}, ("\51"):rep(7840000)))
  write("mnist/t10k-labels-idx1-ubyte", idx({10000}, ("\1\2"):rep(5000)))
end
halves(60000)
assert(os.execute("gzip " .. path "mnist/t10k-images-idx3-ubyte"))
local train, test = tide.data.mnist{folder = path "mnist"}
same(table.concat(train.x:size(), "x"), "60000x1x28x28")
same(table.concat(test.x:size(), "x"), "10000x1x28x28")
same(train.x:dtype() .. train.y:dtype(), "f32i64")
same(train.x:sum():item(), 1.0)
same(train.x[-1][1][28][28]:item(), 1.0)
same(train.y[-1]:item(), 7)
assert(math.abs(test.x[1]:mean():item() - 0.2) < 1e-6)
same(test.y[2]:item(), 2)

write("mnist/train-labels-idx1-ubyte", idx({59999}, ("\7"):rep(59999)))
fails(function() tide.data.mnist{folder = path "mnist"} end,
      "mnist: " .. path "mnist/train-labels-idx1-ubyte" .. " holds 59999 u8, not 60000 u8")
os.remove(path "mnist/t10k-labels-idx1-ubyte")
write("mnist/train-labels-idx1-ubyte", idx({60000}, ("\7"):rep(60000)))
local err = fails(function() tide.data.mnist{folder = path "mnist"} end, "t10k-labels-idx1-ubyte is not there")
same(err.kind, "io")
assert(err.hint:find("make demo", 1, true))

fails(function() tide.save(path "z.npz", {a = tide.ones(2)}) end,
      "save: a table of tensors is written as safetensors, which '.npz' is not")
