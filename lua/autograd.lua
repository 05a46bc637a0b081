-- Gradients: tide.grad and tide.no_grad. backward() and x.grad belong to tensors.
local core = require "tide.core"

local autograd = {}

-- What no_grad leaves: closing it puts the tape back to what it was.
local back_on = setmetatable({}, {__close = function() core.tape_off(false) end})
local stay_off = setmetatable({}, {__close = function() core.tape_off(true) end})

-- The tape is off until the block ends: local guard <close> = core.no_grad()
function core.no_grad()
  return core.tape_off(true) and stay_off or back_on
end

--- Calls f(...) with the tape off: nothing in it is remembered for gradients. Returns what f returns.
--
--   w = tide.ones(3):requires_grad_()
--   tide.no_grad(function() return (w * 2).requires_grad end)  --> false
function autograd.no_grad(f, ...)
  if type(f) ~= "function" then
    core.fail("argument", "no_grad", "wants a function, got %s", core.what(f))
  end
  local guard <close> = core.no_grad() -- luacheck: ignore guard
  return (function(...) return ... end)(f(...))
end

--- The gradients of y with respect to the tensors of a list, returned as a list and not added to .grad. One
-- tensor in place of the list gives one gradient.
--
--   tide.grad(y, {x, ...}, {gradient = nil, retain_graph = false, create_graph = false,
--                           allow_unused = false})
--
-- y has one element, or `gradient` gives what flows into it. `create_graph` makes gradients that have
-- gradients themselves. Where y does not depend on a tensor there is an error, or false with `allow_unused`.
--
--   x = tide.tensor(3):requires_grad_()
--   tide.grad(x ^ 2, {x})[1]:item()                            --> 6.0
--   g = tide.grad(x ^ 3, x, {create_graph = true})
--   tide.grad(g, x):item()                                     --> 18.0
function autograd.grad(y, xs, given)
  if core.is_tensor(xs) then return core.grad(y, {xs}, given)[1] end
  return core.grad(y, xs, given)
end

return autograd
