-- Each module's output, gradients and buffers are PyTorch's, in f64 and in f32.
local here = arg[0]:match("^(.*)/") or "."
local golden = dofile(here .. "/../golden/common.lua")
local figures = dofile(here .. "/../golden/modules.lua")

local vector, image = golden.even({6, 10}, 1000), golden.even({2, 4, 9, 8}, 1000)
local ids = {}
for i = 0, 11 do ids[i + 1] = i * 5 % 7 end
ids = tide.tensor(ids, {dtype = "i64"}):reshape(3, 4)

local function trained(dtype)
  local norm = golden.fill(nn.BatchNorm2d(4):to(dtype))
  norm(image:to(dtype))
  return norm:eval()
end

local cases = {
  linear = {function() return nn.Linear(10, 3) end, vector},
  linear_no_bias = {function() return nn.Linear(10, 3, {bias = false}) end, vector},
  linear_3d = {function() return nn.Linear(8, 5) end, image},
  conv2d = {function() return nn.Conv2d(4, 6, 3) end, image},
  conv2d_strided = {function() return nn.Conv2d(4, 6, {3, 2}, {stride = 2, padding = {1, 2}}) end, image},
  conv2d_dilated = {function() return nn.Conv2d(4, 6, 3, {dilation = {2, 1}, bias = false}) end, image},
  conv2d_grouped = {function() return nn.Conv2d(4, 6, 3, {padding = 1, groups = 2}) end, image},
  conv2d_depthwise = {function() return nn.Conv2d(4, 8, 3, {groups = 4, stride = {1, 3}}) end, image},
  max_pool2d = {function() return nn.MaxPool2d(2) end, image},
  max_pool2d_overlapping = {function() return nn.MaxPool2d(3, {stride = {2, 1}, padding = 1}) end, image},
  avg_pool2d = {function() return nn.AvgPool2d(2) end, image},
  avg_pool2d_padded = {function() return nn.AvgPool2d(3, {stride = 2, padding = 1}) end, image},
  avg_pool2d_inner = {
    function() return nn.AvgPool2d(3, {stride = 2, padding = 1, count_include_pad = false}) end, image,
  },
  flatten = {function() return nn.Flatten() end, image},
  relu = {function() return nn.ReLU() end, vector},
  leaky_relu = {function() return nn.LeakyReLU(0.2) end, vector},
  gelu = {function() return nn.GELU() end, vector},
  gelu_tanh = {function() return nn.GELU{approximate = "tanh"} end, vector},
  tanh = {function() return nn.Tanh() end, vector},
  sigmoid = {function() return nn.Sigmoid() end, vector},
  softmax = {function() return nn.Softmax() end, vector},
  softmax_channels = {function() return nn.Softmax(2) end, image},
  log_softmax = {function() return nn.LogSoftmax() end, vector},
  batch_norm1d = {function() return nn.BatchNorm1d(10) end, vector},
  batch_norm1d_long = {
    function() return nn.BatchNorm1d(4, {momentum = 0.3}) end, golden.even({3, 4, 5}, 1000),
  },
  batch_norm2d = {function() return nn.BatchNorm2d(4) end, image},
  batch_norm2d_eval = {trained, image},
  batch_norm2d_plain = {function() return nn.BatchNorm2d(4, {affine = false, eps = 1e-3}) end, image},
  layer_norm = {function() return nn.LayerNorm(10) end, vector},
  layer_norm_2d = {function() return nn.LayerNorm({9, 8}, {eps = 1e-3}) end, image},
  group_norm = {function() return nn.GroupNorm(2, 4) end, image},
  embedding = {function() return nn.Embedding(7, 3) end, ids},
  embedding_padded = {function() return nn.Embedding(7, 3, {padding_idx = 5}) end, ids},
}
golden.same_names("modules", cases, figures)

local function compare(name, dtype, tolerance)
  local make, input = cases[name][1], cases[name][2]
  local want, what = figures[name], name .. " in " .. dtype
  local module = golden.fill(make(dtype):to(dtype))
  local x = input
  if input:dtype() == "f64" then x = input:to(dtype):detach():clone():requires_grad_() end
  local y = module(x)
  assert(y:dtype() == dtype, what .. " gives " .. y:dtype())
  assert(table.concat(y:size(), "x") == table.concat(want.shape, "x"), what)
  golden.check(what .. ": output", y, want.output, tolerance)
  ;(y * golden.even(y:size(), 77):to(dtype)):sum():backward()
  if want.input_gradient then
    golden.check(what .. ": input's gradient", x.grad, want.input_gradient, tolerance)
  end
  golden.same_names(what, module:named_parameters(), want.gradients)
  for p_name, p in module:named_parameters() do
    golden.check(what .. ": gradient of " .. p_name, p.grad, want.gradients[p_name], tolerance)
  end
  golden.same_names(what, module:named_buffers(), want.buffers)
  for b_name, b in module:named_buffers() do
    golden.check(what .. ": buffer " .. b_name, b, want.buffers[b_name], tolerance)
  end
end

local failures = {}
for name in pairs(cases) do
  for dtype, tolerance in pairs {f64 = 1e-11, f32 = 2e-5} do
    local ok, message = pcall(compare, name, dtype, tolerance)
    if not ok then failures[#failures + 1] = tostring(message) end
  end
end
table.sort(failures)
if #failures > 0 then error(#failures .. " differ\n" .. table.concat(failures, "\n"), 0) end
