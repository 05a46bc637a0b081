-- Questions about two tensors that have one answer: equal and allclose.
local core = require "tide.core"

local compare = {}

local function check(call, a, b)
  for i, x in ipairs {a, b} do
    if not core.is_tensor(x) then
      core.fail("argument", call, "argument %d is %s, not a tensor", i, core.what(x))
    end
  end
  if a == nil or b == nil then core.fail("argument", call, "wants two tensors, got nil") end
end

local function same_shape(a, b)
  if a:dim() ~= b:dim() then return false end
  for d = 1, a:dim() do
    if a:size(d) ~= b:size(d) then return false end
  end
  return true
end

-- f16 and bf16 take part in no arithmetic; f32 holds all their values.
local function comparable(x)
  local dtype = x:dtype()
  return (dtype == "f16" or dtype == "bf16") and x:to("f32") or x
end

--- Have a and b the same shape and the same values? NaN equals nothing.
--
--   tide.equal(tide.ones(2), tide.tensor{1, 1})                --> true
--   tide.equal(tide.ones(2), tide.ones(3))                     --> false
function compare.equal(a, b)
  check("equal", a, b)
  return same_shape(a, b) and comparable(a):eq(comparable(b)):all()
end

--- Are all elements of a and b close: |a - b| <= atol + rtol * |b|? Shapes are broadcast.
--
--   tide.allclose(a, b, {rtol = 1e-5, atol = 1e-8, equal_nan = false})
--
--   tide.allclose(tide.ones(2), tide.ones(2) + 1e-7)           --> true
--   tide.allclose(tide.ones(2), tide.ones(2) + 0.1)            --> false
function compare.allclose(a, b, given)
  check("allclose", a, b)
  local options = core.options("allclose", given, {rtol = 1e-5, atol = 1e-8, equal_nan = false})
  local guard <close> = core.no_grad() -- luacheck: ignore guard
  a, b = a:to("f64"), b:to("f64")
  local difference = (a - b):abs()
  local close = difference:le(b:abs() * options.rtol + options.atol) & difference:isfinite() | a:eq(b)
  if options.equal_nan then close = close | a:isnan() & b:isnan() end
  return close:all()
end

return compare
