-- Methods of tensors that are more than one op: what is known of a tensor, reductions in the contract's
-- forms, reshaping, change in place. Ops of the table are methods already.
local core = require "tide.core"
local op = require "tide.ops"

local Tensor = {}

local function check(call, x)
  if not core.is_tensor(x) then
    core.fail("argument", call, "argument 1 is %s, not a tensor", core.what(x))
  end
end

-- ---- what is known without looking ----

--- The sizes of all dimensions as a table, or the size of one. Never waits.
--
--   x:size(dim = nil)
--
--   tide.zeros(2, 3):size()[2]                                 --> 3
--   tide.zeros(2, 3):size(-1)                                  --> 3
Tensor.size = core.size

--- The number of dimensions.
--
--   tide.zeros(2, 3):dim()                                     --> 2
Tensor.dim = core.dim

--- The number of elements.
--
--   tide.zeros(2, 3):numel()                                   --> 6
Tensor.numel = core.numel

--- The name of the dtype: "f64", "f32", "f16", "bf16", "i64", "i32", "u8" or "bool".
--
--   tide.zeros(2, 3):dtype()                                   --> "f32"
Tensor.dtype = core.dtype

--- Are the elements in order and without gaps in memory?
--
--   tide.zeros(2, 3):t():is_contiguous()                       --> false
Tensor.is_contiguous = core.is_contiguous

-- ---- to Lua ----

--- The one element of a tensor as a Lua number or boolean. Waits when the value is on its way; a pointer is to
-- be fetched first, with get() or copy().
--
--   tide.tensor{42}:item()                                     --> 42.0
Tensor.item = core.item

--- The elements as nested tables; a tensor without dimensions gives its element.
--
--   tide.eye(2):totable()[1][1]                                --> 1.0
Tensor.totable = core.totable

-- ---- gradients ----

--- Computes the gradients of x with respect to all leaves that require one, and adds them to their .grad.
--
--   x:backward{gradient = nil, retain_graph = false, create_graph = false}
--
-- x has one element, or `gradient` (also as the only argument) gives what flows into it.
--
--   w = tide.tensor{1, 2}:requires_grad_()
--   (w ^ 2):sum():backward(); w.grad:totable()[2]              --> 4.0
Tensor.backward = core.backward

--- The same values without their past: no gradient flows through the result.
--
--   tide.ones(2):requires_grad_():detach().requires_grad       --> false
Tensor.detach = core.detach

--- Marks x as a leaf that wants a gradient (or no longer: `false`), and returns it.
--
--   x:requires_grad_(on = true)
--
--   tide.ones(2):requires_grad_().requires_grad                --> true
Tensor.requires_grad_ = core.requires_grad_

-- ---- dtypes and shapes ----

--- x in another dtype; x itself when it has that dtype already.
--
--   tide.tensor{1.5, 2.5}:to("i64"):totable()[1]               --> 1
function Tensor.to(x, dtype)
  check("to", x)
  if type(dtype) ~= "string" then
    core.fail("argument", "to", "dtype is a name like \"f64\", got %s", core.what(dtype))
  end
  core.check_dtype("to", dtype)
  if dtype == x:dtype() then return x end
  return op.cast(x, dtype)
end

--- The same elements in another shape; the same as reshape. One size may be -1 and is worked out.
--
--   tide.zeros(2, 6):view(-1, 3):size(1)                       --> 4
Tensor.view = op.reshape

--- The transpose of a matrix. What has fewer than two dimensions is returned as it is.
--
--   tide.zeros(2, 3):t():size(1)                               --> 3
function Tensor.t(x)
  check("t", x)
  if x:dim() < 2 then return x end
  if x:dim() > 2 then
    core.fail_hint("shape", "t", "x:transpose(a, b) swaps two dimensions, x:permute(...) orders all",
                   "wants at most two dimensions, got %s", core.shape_text(x))
  end
  return op.transpose(x, 1, 2)
end

local function dimension(call, x, name, dim)
  local i = type(dim) == "number" and math.tointeger(dim)
  if not i then core.fail("argument", call, "%s is an integer, got %s", name, core.what(dim)) end
  local n = x:dim()
  if i == 0 or i > n or i < -n then
    core.fail("index", call, "%s %d of a tensor with %d dimension%s", name, i, n, n == 1 and "" or "s")
  end
  return i > 0 and i or n + 1 + i
end

--- Dimensions `first` to `last` made into one; all of them when they are not given.
--
--   x:flatten(first = 1, last = -1)
--
--   tide.zeros(2, 3, 4):flatten():numel()                      --> 24
--   tide.zeros(2, 3, 4):flatten(2):size(2)                     --> 12
function Tensor.flatten(x, first, last)
  check("flatten", x)
  if x:dim() == 0 then return x:reshape(1) end
  first = dimension("flatten", x, "first", first or 1)
  last = dimension("flatten", x, "last", last or -1)
  if first > last then core.fail("value", "flatten", "first is %d, last is %d", first, last) end
  local sizes = {}
  for d = 1, first do sizes[d] = x:size(d) end
  for d = first + 1, last do sizes[first] = sizes[first] * x:size(d) end
  for d = last + 1, x:dim() do sizes[#sizes + 1] = x:size(d) end
  return x:reshape(sizes)
end

--- Pieces of `size` entries along a dimension, as a list; the last may be shorter. A table of sizes gives pieces
-- of just those.
--
--   x:split(size, dim = 1)
--
--   #tide.zeros(5):split(2)                                    --> 3
--   tide.zeros(5):split({1, 4})[2]:numel()                     --> 4
function Tensor.split(x, size, dim)
  check("split", x)
  dim = dimension("split", x, "dim", dim or 1)
  local length, sizes = x:size(dim), size
  if type(size) ~= "table" then
    if not (type(size) == "number" and math.tointeger(size)) or size < 1 then
      core.fail("argument", "split", "size is an integer above 0 or a table of them, got %s", core.what(size))
    end
    sizes = {}
    for at = 1, math.max(length, 1), size do
      sizes[#sizes + 1] = math.min(math.tointeger(size), length - at + 1)
    end
  end
  local pieces, at = {}, 1
  for i, n in ipairs(sizes) do
    pieces[i] = x:narrow(dim, at, n)
    at = at + n
  end
  if at ~= length + 1 then
    core.fail("shape", "split", "the sizes add up to %d, dimension %d has %d", at - 1, dim, length)
  end
  return pieces
end

--- `n` pieces along a dimension, as a list; all of one size but the last, and fewer when it does not go up.
--
--   x:chunk(n, dim = 1)
--
--   #tide.zeros(6):chunk(3)                                    --> 3
function Tensor.chunk(x, n, dim)
  check("chunk", x)
  dim = dimension("chunk", x, "dim", dim or 1)
  if math.type(n) ~= "integer" or n < 1 then
    core.fail("argument", "chunk", "n is an integer above 0, got %s", core.what(n))
  end
  return Tensor.split(x, math.max(1, (x:size(dim) + n - 1) // n), dim)
end

-- ---- reductions ----

local function extreme(name, all, by_dim, pairwise)
  return function(x, dim, ...)
    check(name, x)
    if dim == nil then return op[all](x) end
    if core.is_tensor(dim) then return op[pairwise](x, dim) end
    return op[by_dim](x, dim, ...)
  end
end

--- The largest element; along a dimension: the largest values and their positions. With a tensor: the larger of
-- each two elements.
--
--   x:max()          x:max(dim, {keepdim = false})          x:max(y)
--
--   tide.tensor{1, 5, 3}:max():item()                          --> 5.0
--   values, positions = tide.tensor{{1, 5}, {7, 3}}:max(2)
--   positions:totable()[1]                                     --> 2
Tensor.max = extreme("max", "amax", "max_dim", "maximum")

--- The smallest element; along a dimension: the smallest values and their positions. With a tensor: the smaller
-- of each two elements.
--
--   x:min()          x:min(dim, {keepdim = false})          x:min(y)
--
--   tide.tensor{4, 2, 3}:min():item()                          --> 2.0
--   values, positions = tide.tensor{{1, 5}, {7, 3}}:min(2)
--   values:totable()[2]                                        --> 3.0
Tensor.min = extreme("min", "amin", "min_dim", "minimum")

-- The p-th root of sums that are not negative. Its slope at 0 is taken as 0, where that of sqrt has none: what is
-- all zeros (a new weight under a penalty) is at the least norm there is.
local function root(s, p)
  local function power(t) return p and t ^ (1 / p) or t:sqrt() end
  if not s.requires_grad then return power(s) end
  local zero = s:eq(0)
  return power(s:masked_fill(zero, 1)):masked_fill(zero, 0)
end

--- The standard deviation, over all or some dimensions; of a sample (divided by n - 1) unless `correction` is 0.
--
--   x:std(dims, {keepdim = false, correction = 1})
--
--   tide.tensor{1, 2, 3}:std():item()                          --> 1.0
function Tensor.std(x, ...)
  check("std", x)
  return root(op.var(x, ...))
end

--- The p-norm over all elements or along a dimension: the p-th root of the sum of |x|^p; math.huge gives the
-- largest |x|.
--
--   x:norm(p = 2, dim = nil, {keepdim = false})
--
--   tide.tensor{3, 4}:norm():item()                            --> 5.0
--   tide.tensor{3, -4}:norm(1):item()                          --> 7.0
function Tensor.norm(x, p, dim, given)
  check("norm", x)
  if type(p) == "table" then p, given = nil, p end
  if core.is_options(dim) then dim, given = nil, dim end
  p = p or 2
  if type(p) ~= "number" then core.fail("argument", "norm", "p is a number, got %s", core.what(p)) end
  local options = core.options("norm", given, {keepdim = false})
  local size = x:abs()
  if dim == nil then dim = {} end
  if p == math.huge then return size:amax(dim, options) end
  if p == -math.huge then return size:amin(dim, options) end
  if p == 1 then return size:sum(dim, options) end
  if p == 2 then return root(x:square():sum(dim, options)) end
  return root((size ^ p):sum(dim, options), p)
end

-- The one element of a tensor, fetched when it lives at a worker: questions with a plain answer wait.
function core.answer(x)
  if x.location then x = x:copy() end
  return x:item()
end

local function question(name)
  return function(x, ...)
    check(name, x)
    local answer = op[name](x, ...)
    if select("#", ...) == 0 then return core.answer(answer) end
    return answer
  end
end

--- Are all elements true (not zero)? A plain boolean; along dimensions a bool tensor.
--
--   x:all()          x:all(dims, {keepdim = false})
--
--   tide.tensor{1, 1, 0}:all()                                 --> false
Tensor.all = question "all"

--- Is any element true (not zero)? A plain boolean; along dimensions a bool tensor.
--
--   x:any()          x:any(dims, {keepdim = false})
--
--   tide.tensor{0, 1, 0}:any()                                 --> true
Tensor.any = question "any"

-- ---- in place ----

--- Sets all elements to a number, in place, and returns x.
--
--   tide.zeros(3):fill_(2):sum():item()                        --> 6.0
function Tensor.fill_(x, value)
  check("fill_", x)
  if type(value) ~= "number" and type(value) ~= "boolean" then
    core.fail("argument", "fill_", "wants a number, got %s", core.what(value))
  end
  return x:assign(value)
end

--- Sets all elements to zero, in place, and returns x.
--
--   tide.ones(3):zero_():sum():item()                          --> 0.0
function Tensor.zero_(x)
  check("zero_", x)
  return x:assign(0)
end

-- ---- the rest ----

--- x where the mask is false, `value` where it is true.
--
--   tide.tensor{1, 2}:masked_fill(tide.tensor{true, false}, 0):totable()[1]   --> 0.0
function Tensor.masked_fill(x, mask, value)
  check("masked_fill", x)
  return op.where(mask, value, x)
end

--- x expanded to the shape of y.
--
--   tide.ones(1, 3):expand_as(tide.zeros(2, 3)):size(1)        --> 2
function Tensor.expand_as(x, y)
  check("expand_as", y)
  return x:expand(y:size())
end

--- Is x a tensor with the same shape and values as y? See tide.equal.
--
--   tide.ones(2):equal(tide.ones(2))                           --> true
function Tensor.equal(x, y)
  return require("tide").equal(x, y)
end

--- Are x and y close? See tide.allclose.
--
--   tide.ones(2):allclose(tide.ones(2) + 1e-7)                 --> true
function Tensor.allclose(x, y, options)
  return require("tide").allclose(x, y, options)
end

return Tensor
