-- optim.SparseAdam.

local core = require "tide.core"
local op = require "tide.ops"
local Optimizer = require "tide.optim.optimizer"

local optim = {}

--- optim.SparseAdam(params): Adam for the weights of nn.Embedding with sparse = true: moving means and rows
-- change only where a step's gradient has rows, so that a step takes time by them. Options: lr = 1e-3, betas =
-- {0.9, 0.999}, eps = 1e-8.
--
--   e = nn.Embedding(5, 2, {sparse = true})
--   opt = optim.SparseAdam({e.weight}, {lr = 0.5})
--   before = e.weight:detach():clone()
--   e(tide.tensor({3}, {dtype = "i64"})):sum():backward()
--   opt:step()
--   tide.allclose(before - e.weight, tide.tensor{{0, 0}, {0, 0}, {0, 0}, {0.5, 0.5}, {0, 0}}) --> true
optim.SparseAdam = Optimizer.class("optim.SparseAdam", {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8},
  {lr = {0}, eps = {0}})

optim.SparseAdam.check = require("tide.optim.adam").Adam.check

function optim.SparseAdam:update()
  core.fail_hint("unsupported", self.class_name, "give it to optim.Adam, in an optimiser of its own",
    "a parameter has a gradient that is whole")
end

-- The first of equal ids acts, the others add nothing.
function optim.SparseAdam:update_rows(p, g, state, o)
  local first = g.first:unsqueeze(2)
  local function follow(key, now, beta)
    local mean = self:tensor(p, state, key)
    local old = op.embedding(mean, g.ids)
    local change = (now - old) * (1 - beta)
    op.add_rows(mean, g.ids, change * first)
    return change + old
  end
  local m = follow("mean", g.values, o.betas[1])
  local v = follow("square", g.values * g.values, o.betas[2])
  local rate = core.late(function()
    return o.lr * math.sqrt(1 - o.betas[2] ^ state.step) / (1 - o.betas[1] ^ state.step)
  end)
  op.add_rows(p, g.ids, -m / (v:sqrt() + o.eps) * rate * first)
end

return optim
