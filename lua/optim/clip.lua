-- optim.clip_grad_norm.

local core = require "tide.core"
local op = require "tide.ops"
local check = require "tide.check"
require "tide.rows"

local optim = {}

--- Scales the gradients of the parameters, in place, so that the norm of all of them together is
-- at most `most`. Returns the norm that it found, a 0-d tensor (which waits for nothing).
-- Option: p = 2, the kind of norm (math.huge: the largest magnitude).
--
--   w = tide.tensor{1, 1}:requires_grad_()
--   w:mul(tide.tensor{3, 4}):sum():backward()
--   optim.clip_grad_norm({w}, 1):item() --> 5.0
--   tide.allclose(w.grad, tide.tensor{0.6, 0.8}) --> true
function optim.clip_grad_norm(params, most, opts)
  local call = "clip_grad_norm"
  local kind = core.options(call, opts, {p = 2}).p
  if core.is_tensor(params) then params = {params} end
  if type(params) ~= "table" or params.class_name or params[1] == nil and next(params) ~= nil then
    core.fail("argument", call, "the parameters are %s, not a list (model:parameters())", core.what(params))
  end
  check.number(call, "the greatest norm", most, 0)
  local _ <close> = core.no_grad()
  local total, grads = nil, {}
  for _, param in ipairs(params) do
    local g = check.tensor(call, "a parameter", param).grad
    if core.is_rows(g) then g = g.values end -- equal rows are summed in them
    if g then
      grads[#grads + 1] = g
      local part
      if kind == math.huge then
        part = g:abs():amax()
        total = total and op.maximum(total, part) or part
      else
        part = kind == 2 and (g * g):sum() or (g:abs() ^ kind):sum()
        total = total and total + part or part
      end
    end
  end
  if not total then return op.full(nil, {}, 0, "f32") end
  if kind == 2 then
    total = total:sqrt()
  elseif kind ~= math.huge then
    total = total ^ (1 / kind)
  end
  local scale = (most / (total + 1e-6)):clamp(0, 1)
  for _, g in ipairs(grads) do g:assign(g * scale) end
  return total
end

return optim
