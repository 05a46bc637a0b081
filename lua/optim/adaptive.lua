-- optim.Adagrad and optim.RMSprop.

local core = require "tide.core"
local op = require "tide.ops"
local Optimizer = require "tide.optim.optimizer"

local optim = {}

--- optim.Adagrad(params): each element's step falls with the sum s of the squares of its
-- gradients (Duchi et al. 2011): p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps).
-- Options: lr = 0.01, lr_decay = 0, weight_decay = 0, initial_accumulator_value = 0, eps =
-- 1e-10.
--
--   w = tide.tensor{1, 2}:requires_grad_()
--   opt = optim.Adagrad({w}, {lr = 0.5})
--   w:square():sum():backward()
--   opt:step()
--   w:totable() --> {0.5, 1.5}
optim.Adagrad = Optimizer.class("optim.Adagrad",
  {lr = 0.01, lr_decay = 0, weight_decay = 0, initial_accumulator_value = 0, eps = 1e-10},
  {lr = {0}, lr_decay = {0}, weight_decay = {0}, initial_accumulator_value = {0}, eps = {0}})

function optim.Adagrad:squares(p, state, o)
  return (self:tensor(p, state, "sum",
    function() return core.zeros_like(p) + o.initial_accumulator_value end))
end

function optim.Adagrad:rate(state, o)
  return core.late(function() return o.lr / (1 + (state.step - 1) * o.lr_decay) end)
end

function optim.Adagrad:update_rows(p, g, state, o)
  self:refuse_decay(o)
  local sum = self:squares(p, state, o)
  op.add_rows(sum, g.ids, g.values * g.values)
  local spread = op.embedding(sum, g.ids):sqrt() + o.eps
  op.add_rows(p, g.ids, -g.values / spread * self:rate(state, o))
end

function optim.Adagrad:update(p, g, state, o)
  if o.weight_decay ~= 0 then g = g + p * o.weight_decay end
  local sum = self:squares(p, state, o)
  sum:assign(sum + g * g)
  p:assign(p - g / (sum:sqrt() + o.eps) * self:rate(state, o))
end

--- optim.RMSprop(params): each element's step is divided by the root of a moving mean of the
-- squares of its gradients (Hinton 2012). Options: lr = 0.01, alpha = 0.99, eps = 1e-8,
-- weight_decay = 0, momentum = 0, centered = false (whether the square of the gradient's moving
-- mean is subtracted).
--
--   w = tide.tensor{1, 2}:requires_grad_()
--   opt = optim.RMSprop({w}, {lr = 0.05})
--   w:square():sum():backward()
--   opt:step()
--   tide.allclose(w, tide.tensor{0.5, 1.5}) --> true
optim.RMSprop = Optimizer.class("optim.RMSprop",
  {lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0, centered = false},
  {lr = {0}, alpha = {0}, eps = {0}, weight_decay = {0}, momentum = {0}})

function optim.RMSprop:update(p, g, state, o)
  if o.weight_decay ~= 0 then g = g + p * o.weight_decay end
  local square = self:tensor(p, state, "square")
  square:assign(square * o.alpha + g * g * (1 - o.alpha))
  local spread = square
  if o.centered then
    local mean = self:tensor(p, state, "mean")
    mean:assign(mean * o.alpha + g * (1 - o.alpha))
    spread = square - mean * mean
  end
  local step = g / (spread:sqrt() + o.eps)
  if o.momentum > 0 then
    local v = self:tensor(p, state, "velocity")
    v:assign(v * o.momentum + step)
    step = v
  end
  p:assign(p - step * core.setting(o, "lr"))
end

return optim
