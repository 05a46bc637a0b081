-- tide.gradcheck: are the gradients of a function what small steps say they are?
local core = require "tide.core"

local gradcheck = {}

-- One number of what f returned: a weighted sum with weights that are all different, so that errors in
-- elements do not cancel. The same for every call.
local function project(y)
  local n = y:numel()
  local weights = (tide.arange(1, math.max(n, 1), {dtype = "f64"}) * 0.7):cos() + 1.5
  if n == 0 then return y:sum() end
  return (y:reshape(n) * weights):sum()
end

local function call(f, inputs)
  local results = table.pack(f(table.unpack(inputs)))
  local total
  for i = 1, results.n do
    local y = results[i]
    if core.is_tensor(y) and (y:dtype() == "f64" or y:dtype() == "f32") then
      local one = project(y:to("f64"))
      total = total and total + one * (1 + i / 7) or one
    end
  end
  if not total then
    core.fail("argument", "gradcheck", "the function returns no tensor of floats, got %s", core.what(results[1]))
  end
  return total
end

local function leaves_of(inputs)
  local leaves = {}
  for i, x in ipairs(inputs) do
    if not core.is_tensor(x) then
      core.fail("argument", "gradcheck", "input %d is %s, not a tensor", i, core.what(x))
    end
    if x:dtype() == "f64" then
      leaves[i] = x:detach():clone():requires_grad_()
    elseif x:dtype() == "f32" then
      core.fail_hint("dtype", "gradcheck", "x:to(\"f64\")",
                     "input %d is f32, whose steps are too coarse; f64 is wanted", i)
    else
      leaves[i] = x
    end
  end
  return leaves
end

-- The slope in one element, from two calls a step to each side.
local function slope(f, leaves, flat, at, eps)
  local guard <close> = core.no_grad() -- luacheck: ignore guard
  local value = flat[at]:item()
  flat[at] = value + eps
  local above = call(f, leaves):item()
  flat[at] = value - eps
  local below = call(f, leaves):item()
  flat[at] = value
  return (above - below) / (2 * eps)
end

--- Compares the gradients of f with slopes from small steps, for each element of each f64 input (others are
-- passed on as they are). Returns true; the first element that disagrees is an error.
--
--   tide.gradcheck(f, {x, ...}, {eps = 1e-6, atol = 1e-5, rtol = 1e-3})
--
-- f gets the inputs and returns tensors of any shape; it must give the same for the same input.
--
--   x = tide.tensor({0.5, 1, 2}, {dtype = "f64"})
--   tide.gradcheck(function(x) return x:log() * x end, {x})    --> true
function gradcheck.gradcheck(f, inputs, given)
  local options = core.options("gradcheck", given, {eps = 1e-6, atol = 1e-5, rtol = 1e-3})
  if type(f) ~= "function" then
    core.fail("argument", "gradcheck", "wants a function, got %s", core.what(f))
  end
  if core.is_tensor(inputs) then inputs = {inputs} end
  if type(inputs) ~= "table" then
    core.fail("argument", "gradcheck", "wants a list of tensors, got %s", core.what(inputs))
  end
  local leaves = leaves_of(inputs)
  call(f, leaves):backward()
  for i, x in ipairs(leaves) do
    if x:dtype() == "f64" then
      local grad = x.grad and x.grad:reshape(-1):totable() or {}
      local flat = x:detach():reshape(-1)
      for at = 1, x:numel() do
        local by_steps, by_tape = slope(f, leaves, flat, at, options.eps), grad[at] or 0.0
        local allowed = options.atol + options.rtol * math.abs(by_steps)
        if not (math.abs(by_tape - by_steps) <= allowed) then -- luacheck: ignore (NaN fails too)
          core.fail("value", "gradcheck", "input %d, element %d: the gradient is %.8g, small steps say %.8g",
                    i, at, by_tape, by_steps)
        end
      end
    end
  end
  return true
end

return gradcheck
