-- optim.SGD.

local core = require "tide.core"
local op = require "tide.ops"
local Optimizer = require "tide.optim.optimizer"

local optim = {}

--- optim.SGD(params, {lr = 0.1}): stochastic gradient descent. With g the gradient plus
-- weight_decay * p, and v = momentum * v + (1 - dampening) * g (v = g at first), p becomes p -
-- lr * v; with nesterov = true p - lr * (g + momentum * v) (Sutskever et al. 2013); without
-- momentum p - lr * g. Options: lr (to be given), momentum = 0, dampening = 0, weight_decay = 0,
-- nesterov = false.
--
--   w = tide.tensor{1, 2}:requires_grad_()
--   opt = optim.SGD({w}, {lr = 0.5})
--   w:square():sum():backward()
--   opt:step()
--   w:totable() --> {0, 0}
optim.SGD = Optimizer.class("optim.SGD",
  {momentum = 0, dampening = 0, weight_decay = 0, nesterov = false},
  {lr = {0}, momentum = {0}, weight_decay = {0}}, {"lr"})

function optim.SGD:check(o)
  if o.nesterov and (o.momentum == 0 or o.dampening ~= 0) then
    core.fail("argument", self.class_name, "nesterov needs a momentum, and a dampening of 0")
  end
end

function optim.SGD:update(p, g, state, o, step)
  if o.weight_decay ~= 0 then g = g + p * o.weight_decay end
  if o.momentum ~= 0 then
    local v, is_new = self:tensor(p, state, "velocity")
    local first = is_new and step
    local keep = core.late(function() return state.step == first and 0 or o.momentum end)
    local take = core.late(function() return state.step == first and 1 or 1 - o.dampening end)
    v:assign(v * keep + g * take)
    g = o.nesterov and g + v * o.momentum or v
  end
  p:assign(p - g * core.setting(o, "lr"))
end

-- With momentum every row moves at every step.
function optim.SGD:update_rows(p, g, state, o, step)
  self:refuse_decay(o)
  if o.momentum ~= 0 then return self:update(p, g:to_dense(), state, o, step) end
  op.add_rows(p, g.ids, -g.values * core.setting(o, "lr"))
end

return optim
