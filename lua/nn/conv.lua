-- nn: convolution and pooling of images [N, C, H, W].

local core = require "tide.core"
local F = require "tide.functional.layer"
local Module = require "tide.module"
local init = require "tide.nn.init"
local check = require "tide.check"

local nn = {}

-- {vertical, horizontal} from a number or a pair of whole numbers.
local function pair(call, name, value, least)
  local a, b = value, value
  if type(value) == "table" and #value == 2 then a, b = value[1], value[2] end
  if math.type(a) ~= "integer" or math.type(b) ~= "integer" or a < least or b < least then
    core.fail("argument", call, "%s is %s, not a whole number of at least %d or a pair of them", name,
      core.what(value), least)
  end
  return {a, b}
end

local function pair_text(name, value) return ("%s=(%d, %d)"):format(name, value[1], value[2]) end

-- ", padding=(2, 2)" for each of the named options that is not what it is when left out.
local function changed(module, usual)
  local texts = {}
  for _, option in ipairs(usual) do
    local name, value = option[1], module[option[1]]
    if value[1] ~= option[2] or value[2] ~= option[2] then texts[#texts + 1] = ", " .. pair_text(name, value) end
  end
  return table.concat(texts)
end

--- nn.Conv2d(in, out, kernel): cross-correlates images [N, in, H, W] with `out` kernels. kernel
-- is a number or a pair {vertical, horizontal}, as are the options stride = 1, padding = 0,
-- dilation = 1; groups = 1 cuts the channels into groups that do not see each other; bias =
-- true. weight is [out, in / groups, kH, kW] and bias [out], both drawn evenly from +-1 /
-- sqrt(in / groups * kH * kW).
--
--   nn.Conv2d(1, 20, 5, {padding = 2})(tide.ones(64, 1, 28, 28)):size() --> {64, 20, 28, 28}
nn.Conv2d = Module:extend("nn.Conv2d")

function nn.Conv2d:init(inputs, outputs, kernel, opts)
  local call = "nn.Conv2d"
  local o = core.options(call, opts,
    {groups = 1, bias = true}, {"stride", "padding", "dilation"})
  self.in_channels = check.count(call, "the number of input channels", inputs, 1)
  self.out_channels = check.count(call, "the number of output channels", outputs, 1)
  self.kernel_size = pair(call, "the kernel", kernel, 1)
  self.stride = pair(call, "stride", o.stride or 1, 1)
  self.padding = pair(call, "padding", o.padding or 0, 0)
  self.dilation = pair(call, "dilation", o.dilation or 1, 1)
  self.groups = check.count(call, "groups", o.groups, 1)
  if inputs % o.groups ~= 0 or outputs % o.groups ~= 0 then
    core.fail("argument", call, "%d input and %d output channels do not make %d equal groups", inputs,
      outputs, o.groups)
  end
  local kh, kw = self.kernel_size[1], self.kernel_size[2]
  local fan_in = inputs // o.groups * kh * kw
  self.weight = init.fan_in({outputs, inputs // o.groups, kh, kw}, fan_in)
  self.bias = o.bias and init.fan_in({outputs}, fan_in) or nil
end

function nn.Conv2d:forward(x)
  return F.conv2d(x, self.weight, self.bias, {stride = self.stride, padding = self.padding,
    dilation = self.dilation, groups = self.groups})
end

function nn.Conv2d:brief() return ("nn.Conv2d %d -> %d"):format(self.in_channels, self.out_channels) end

function nn.Conv2d:extra_repr()
  local text = ("%d, %d, %s, %s"):format(self.in_channels, self.out_channels,
    pair_text("kernel_size", self.kernel_size), pair_text("stride", self.stride))
  text = text .. changed(self, {{"padding", 0}, {"dilation", 1}})
  if self.groups ~= 1 then text = text .. ", groups=" .. self.groups end
  return self.bias == nil and text .. ", bias=false" or text
end

local function init_pool(self, call, kernel, o)
  self.kernel_size = pair(call, "the kernel", kernel, 1)
  self.stride = o.stride and pair(call, "stride", o.stride, 1) or self.kernel_size
  self.padding = pair(call, "padding", o.padding or 0, 0)
end

local function pool_repr(self)
  return pair_text("kernel_size", self.kernel_size) .. ", " .. pair_text("stride", self.stride) ..
    changed(self, {{"padding", 0}})
end

--- nn.MaxPool2d(kernel): the greatest value under each place of a window. Options: stride (the
-- kernel when left out), padding = 0.
--
--   nn.MaxPool2d(2)(tide.ones(64, 20, 24, 24)):size() --> {64, 20, 12, 12}
nn.MaxPool2d = Module:extend("nn.MaxPool2d")

function nn.MaxPool2d:init(kernel, opts)
  init_pool(self, "nn.MaxPool2d", kernel, core.options("nn.MaxPool2d", opts, {}, {"stride", "padding"}))
end

function nn.MaxPool2d:forward(x)
  return F.max_pool2d(x, self.kernel_size, {stride = self.stride, padding = self.padding})
end

nn.MaxPool2d.extra_repr = pool_repr

--- nn.AvgPool2d(kernel): the mean under each place of a window. Options: stride (the kernel when
-- left out), padding = 0, count_include_pad = true.
--
--   nn.AvgPool2d(2)(tide.ones(64, 20, 24, 24)):size() --> {64, 20, 12, 12}
nn.AvgPool2d = Module:extend("nn.AvgPool2d")

function nn.AvgPool2d:init(kernel, opts)
  local o = core.options("nn.AvgPool2d", opts, {count_include_pad = true}, {"stride", "padding"})
  init_pool(self, "nn.AvgPool2d", kernel, o)
  self.count_include_pad = o.count_include_pad
end

function nn.AvgPool2d:forward(x)
  return F.avg_pool2d(x, self.kernel_size, {stride = self.stride, padding = self.padding,
    count_include_pad = self.count_include_pad})
end

nn.AvgPool2d.extra_repr = pool_repr

return nn
