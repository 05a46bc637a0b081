-- F: functions of each element, softmax and dropout.

local core = require "tide.core"
local check = require "tide.check"

local F = {}

--- max(x, 0) of each element.
--
--   F.relu(tide.tensor{-1, 2}):totable() --> {0, 2}
function F.relu(x) return check.tensor("relu", "the input", x):relu() end

--- x where it is positive, otherwise slope * x; slope is 0.01 when left out.
--
--   F.leaky_relu(tide.tensor{-1, 2}, 0.5):totable() --> {-0.5, 2}
function F.leaky_relu(x, slope)
  return check.tensor("leaky_relu", "the input", x):leaky_relu(slope or 0.01)
end

--- The hyperbolic tangent of each element.
--
--   F.tanh(tide.tensor{0}):totable() --> {0}
function F.tanh(x) return check.tensor("tanh", "the input", x):tanh() end

--- 1 / (1 + exp(-x)) of each element.
--
--   F.sigmoid(tide.tensor{0}):totable() --> {0.5}
function F.sigmoid(x) return check.tensor("sigmoid", "the input", x):sigmoid() end

--- log(1 + exp(x)) of each element, without overflow.
--
--   F.softplus(tide.tensor{-1000, 1000}):totable() --> {0, 1000}
function F.softplus(x) return check.tensor("softplus", "the input", x):softplus() end

--- The Gaussian error linear unit, x * Phi(x) with Phi the normal distribution function
-- (Hendrycks and Gimpel 2016); with `{approximate = "tanh"}` its approximation by a tangent.
--
--   F.gelu(tide.tensor{0, 10}):totable() --> {0, 10}
function F.gelu(x, opts)
  check.tensor("gelu", "the input", x)
  local approximate = core.options("gelu", opts, {approximate = "none"}).approximate
  check.word("gelu", "approximate", approximate, {"none", "tanh"})
  if approximate == "none" then return x * ((x * math.sqrt(0.5)):erf() + 1) * 0.5 end
  local inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
  return x * (inner:tanh() + 1) * 0.5
end

--- exp(x) over its sum along dim, the last one when left out.
--
--   F.softmax(tide.zeros(1, 2)):totable() --> {{0.5, 0.5}}
function F.softmax(x, dim) return check.tensor("softmax", "the input", x):softmax(dim or -1) end

--- The logarithm of the softmax along dim, the last one when left out.
--
--   F.log_softmax(tide.zeros(1, 2)):exp():totable() --> {{0.5, 0.5}}
function F.log_softmax(x, dim)
  return check.tensor("log_softmax", "the input", x):log_softmax(dim or -1)
end

--- Sets each element to 0 with probability p, which is 0.5 when left out, and divides the others
-- by 1 - p. With training = false it gives x as it is.
--
--   F.dropout(tide.ones(2), 0.5, false):totable() --> {1, 1}
function F.dropout(x, p, training)
  check.tensor("dropout", "the input", x)
  p = check.number("dropout", "p", p == nil and 0.5 or p, 0, 1)
  if training ~= nil and type(training) ~= "boolean" then
    core.fail("argument", "dropout", "training is %s, not true or false", core.what(training))
  end
  if training == false or p == 0 then return x end
  if p == 1 then return x * 0 end
  return x * (core.bernoulli_like(x, 1 - p) * (1 / (1 - p)))
end

return F
