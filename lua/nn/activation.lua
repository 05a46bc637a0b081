-- nn: functions of each element, softmax and dropout as modules.

local core = require "tide.core"
local tide = require "tide"
local F = require "tide.functional.activation"
local Module = require "tide.module"
local check = require "tide.check"

local nn = {}

--- nn.ReLU(): max(x, 0) of each element.
--
--   nn.ReLU()(tide.tensor{-1, 2}):totable() --> {0, 2}
nn.ReLU = Module:extend("nn.ReLU")

function nn.ReLU:forward(x) return F.relu(x) end

--- nn.LeakyReLU(slope): x where it is positive, otherwise slope * x; 0.01 when left out.
--
--   nn.LeakyReLU(0.5)(tide.tensor{-1, 2}):totable() --> {-0.5, 2}
nn.LeakyReLU = Module:extend("nn.LeakyReLU")

function nn.LeakyReLU:init(slope)
  self.slope = check.number("nn.LeakyReLU", "the slope", slope or 0.01, -math.huge)
end

function nn.LeakyReLU:forward(x) return F.leaky_relu(x, self.slope) end

function nn.LeakyReLU:extra_repr() return "negative_slope=" .. self.slope end

--- nn.GELU(): the Gaussian error linear unit. Option: approximate = "none", or "tanh".
--
--   nn.GELU()(tide.tensor{0, 10}):totable() --> {0, 10}
nn.GELU = Module:extend("nn.GELU")

function nn.GELU:init(opts)
  self.options = core.options("nn.GELU", opts, {approximate = "none"})
  F.gelu(tide.zeros(0), self.options) -- refuses an approximation that there is not
end

function nn.GELU:forward(x) return F.gelu(x, self.options) end

function nn.GELU:extra_repr() return ("approximate='%s'"):format(self.options.approximate) end

--- nn.Tanh(): the hyperbolic tangent of each element.
--
--   nn.Tanh()(tide.tensor{0}):totable() --> {0}
nn.Tanh = Module:extend("nn.Tanh")

function nn.Tanh:forward(x) return F.tanh(x) end

--- nn.Sigmoid(): 1 / (1 + exp(-x)) of each element.
--
--   nn.Sigmoid()(tide.tensor{0}):totable() --> {0.5}
nn.Sigmoid = Module:extend("nn.Sigmoid")

function nn.Sigmoid:forward(x) return F.sigmoid(x) end

--- nn.Softmax(dim): exp(x) over its sum along dim, the last one when left out.
--
--   nn.Softmax()(tide.zeros(1, 2)):totable() --> {{0.5, 0.5}}
nn.Softmax = Module:extend("nn.Softmax")

function nn.Softmax:init(dim) self.dimension = dim or -1 end

function nn.Softmax:forward(x) return F.softmax(x, self.dimension) end

function nn.Softmax:extra_repr() return "dim=" .. self.dimension end

--- nn.LogSoftmax(dim): the logarithm of the softmax along dim, the last one when left out.
--
--   nn.LogSoftmax()(tide.zeros(1, 2)):exp():totable() --> {{0.5, 0.5}}
nn.LogSoftmax = Module:extend("nn.LogSoftmax")

function nn.LogSoftmax:init(dim) self.dimension = dim or -1 end

function nn.LogSoftmax:forward(x) return F.log_softmax(x, self.dimension) end

function nn.LogSoftmax:extra_repr() return "dim=" .. self.dimension end

--- nn.Dropout(p): while training, sets each element to 0 with probability p (0.5 when left out)
-- and divides the others by 1 - p; gives its input after eval().
--
--   nn.Dropout(0.5):eval()(tide.ones(2)):totable() --> {1, 1}
nn.Dropout = Module:extend("nn.Dropout")

function nn.Dropout:init(p)
  self.p = check.number("nn.Dropout", "p", p == nil and 0.5 or p, 0, 1)
end

function nn.Dropout:forward(x) return F.dropout(x, self.p, self.training) end

function nn.Dropout:extra_repr() return "p=" .. self.p end

return nn
