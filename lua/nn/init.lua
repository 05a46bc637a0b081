-- How weights begin: PyTorch's rules, so that models train as they do there.

local core = require "tide.core"
local tide = require "tide"

local init = {}

-- A parameter of the sizes, drawn evenly from [-bound, bound).
function init.uniform(sizes, bound)
  local _ <close> = core.no_grad()
  return (tide.rand(sizes) * (2 * bound) - bound):requires_grad_()
end

-- Both weights and biases: kaiming_uniform with a = sqrt(5) is sqrt(6 / ((1 + 5) fan_in)) (He et
-- al. 2015).
function init.fan_in(sizes, fan_in)
  return init.uniform(sizes, fan_in > 0 and 1 / math.sqrt(fan_in) or 0)
end

function init.normal(sizes) return tide.randn(sizes):requires_grad_() end

function init.constant(sizes, value) return tide.full(sizes, value):requires_grad_() end

return init
