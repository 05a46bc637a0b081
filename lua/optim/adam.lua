-- optim.Adam and optim.AdamW.

local core = require "tide.core"
local op = require "tide.ops"
local Optimizer = require "tide.optim.optimizer"

local optim = {}

local LIMITS = {lr = {0}, eps = {0}, weight_decay = {0}}

local function check_betas(self, o)
  local betas = o.betas
  local ok = type(betas) == "table" and #betas == 2
  for i = 1, 2 do
    ok = ok and type(betas[i]) == "number" and betas[i] >= 0 and betas[i] < 1
  end
  if not ok then core.fail("argument", self.class_name, "betas are two numbers, at least 0 and below 1") end
end

-- m and v are the moving means of g and g^2, divided by what they lack at the beginning: p = p -
-- lr * m' / (sqrt(v') + eps)
local function update(self, p, g, state, o)
  local beta1, beta2 = o.betas[1], o.betas[2]
  local m, v = self:tensor(p, state, "mean"), self:tensor(p, state, "square")
  m:assign(m * beta1 + g * (1 - beta1))
  v:assign(v * beta2 + g * g * (1 - beta2))
  local most = v
  if o.amsgrad then
    most = self:tensor(p, state, "largest_square")
    most:assign(op.maximum(most, v))
  end
  local root = core.late(function() return math.sqrt(1 - beta2 ^ state.step) end)
  local rate = core.late(function() return o.lr / (1 - beta1 ^ state.step) end)
  p:assign(p - m / (most:sqrt() / root + o.eps) * rate)
end

--- optim.Adam(params): moving means of the gradient and of its square set each element's step
-- (Kingma and Ba 2015). Options: lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0
-- (added to the gradient), amsgrad = false (Reddi et al. 2018).
--
--   w = tide.tensor{1, 2}:requires_grad_()
--   opt = optim.Adam({w}, {lr = 0.5})
--   w:square():sum():backward()
--   opt:step()
--   w:totable() --> {0.5, 1.5}
optim.Adam = Optimizer.class("optim.Adam",
  {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0, amsgrad = false}, LIMITS)

optim.Adam.check = check_betas

function optim.Adam:update(p, g, state, o)
  if o.weight_decay ~= 0 then g = g + p * o.weight_decay end
  update(self, p, g, state, o)
end

--- optim.AdamW(params): Adam whose weight decay is apart from the gradient, p = p - lr *
-- weight_decay * p first (Loshchilov and Hutter 2019). Options as Adam's, with weight_decay =
-- 0.01.
--
--   optim.AdamW(nn.Linear(3, 2):parameters()).weight_decay --> 0.01
optim.AdamW = Optimizer.class("optim.AdamW",
  {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01, amsgrad = false}, LIMITS)

optim.AdamW.check = check_betas

function optim.AdamW:update(p, g, state, o)
  p:assign(p * core.late(function() return 1 - o.lr * o.weight_decay end))
  update(self, p, g, state, o)
end

return optim
