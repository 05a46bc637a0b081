-- nn: linear maps, and what reshapes between them and images.

local core = require "tide.core"
local F = require "tide.functional.layer"
local Module = require "tide.module"
local init = require "tide.nn.init"
local check = require "tide.check"

local nn = {}

--- nn.Linear(in, out): y = x W' + b for x [..., in], giving [..., out]. weight is [out, in] and
-- bias [out], both drawn evenly from +-1 / sqrt(in). Option: bias = true.
--
--   nn.Linear(784, 10)(tide.ones(64, 784)):size() --> {64, 10}
nn.Linear = Module:extend("nn.Linear")

function nn.Linear:init(inputs, outputs, opts)
  local bias = core.options("nn.Linear", opts, {bias = true}).bias
  self.in_features = check.count("nn.Linear", "the number of inputs", inputs, 1)
  self.out_features = check.count("nn.Linear", "the number of outputs", outputs, 1)
  self.weight = init.fan_in({outputs, inputs}, inputs)
  self.bias = bias and init.fan_in({outputs}, inputs) or nil
end

function nn.Linear:forward(x) return F.linear(x, self.weight, self.bias) end

function nn.Linear:brief() return ("nn.Linear %d -> %d"):format(self.in_features, self.out_features) end

function nn.Linear:extra_repr()
  return ("in_features=%d, out_features=%d, bias=%s"):format(self.in_features, self.out_features,
    self.bias ~= nil)
end

--- nn.Flatten(first, last): the dimensions from first (2 when left out) to last (-1) as one.
--
--   nn.Flatten()(tide.ones(64, 1, 28, 28)):size() --> {64, 784}
nn.Flatten = Module:extend("nn.Flatten")

function nn.Flatten:init(first, last) self.first, self.last = first or 2, last or -1 end

function nn.Flatten:forward(x) return F.flatten(x, self.first, self.last) end

function nn.Flatten:extra_repr() return ("first=%d, last=%d"):format(self.first, self.last) end

return nn
