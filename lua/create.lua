-- Making tensors: from Lua's numbers, filled, counted and random ones.
local core = require "tide.core"
local op = require "tide.ops"

local create = {}

-- What most calls say: nothing. One table for each dtype, that nobody changes.
local plain = setmetatable({}, {__index = function(t, dtype)
  t[dtype] = {dtype = dtype, requires_grad = false}
  return t[dtype]
end})

local function options_of(call, given, default_dtype, extra)
  if given == nil then return plain[default_dtype] end
  local options = core.options(call, given, {dtype = default_dtype, requires_grad = false}, extra)
  core.check_dtype(call, options.dtype)
  return options
end

local function number(call, name, x)
  if type(x) ~= "number" then
    core.fail("argument", call, "%s is a number, got %s", name, core.what(x))
  end
  return x
end

local function integer(call, name, x)
  local i = type(x) == "number" and math.tointeger(x)
  if not i then core.fail("argument", call, "%s is an integer, got %s", name, core.what(x)) end
  return i
end

-- A random op may have a seed and a stream of its own; otherwise the generator gives them.
local RANDOM = {"seed", "stream"}

local function seed_and_stream(call, options)
  if options.seed == nil then return core.random_stream() end
  return integer(call, "seed", options.seed), integer(call, "stream", options.stream or 0)
end

-- Sizes given as numbers or as one table, and the options behind them.
local function sizes_and_options(call, default_dtype, extra, ...)
  local n, given = select("#", ...), nil
  if n > 0 then
    local last = select(n, ...)
    local is_empty = n > 1 and type(last) == "table" and next(last) == nil
    if is_empty or core.is_options(last) then given, n = last, n - 1 end
  end
  local sizes, count = ..., n
  if n == 1 and type(sizes) == "table" then
    count = #sizes
  else
    sizes = {...}
    sizes[n + 1] = nil
  end
  for i = 1, count do
    local size = sizes[i]
    local whole = type(size) == "number" and math.tointeger(size)
    if not whole then
      core.fail("argument", call, "size %d is %s, not an integer", i, core.what(size))
    elseif whole < 0 then
      core.fail("value", call, "size %d is %d, below 0", i, whole)
    end
  end
  return sizes, options_of(call, given, default_dtype, extra)
end

local function finish(x, options)
  if options.requires_grad then x:requires_grad_() end
  return x
end

--- A tensor with the values of a number, a boolean, nested tables of them, or another tensor (copied).
-- Numbers give f32 and booleans bool, unless `dtype` says otherwise.
--
--   tide.tensor(values, {dtype = "f32", requires_grad = false})
--
-- Errors: tables of unequal lengths, and numbers that do not fit the dtype, are refused with their place.
--
--   tide.tensor{{1, 2}, {3, 4}}:size(2)                        --> 2
--   tide.tensor({1, 2, 3}, {dtype = "i64"}):sum():item()       --> 6
function create.tensor(values, given)
  local options = core.options("tensor", given, {requires_grad = false}, {"dtype"})
  core.check_dtype("tensor", options.dtype)
  local x
  if core.is_tensor(values) then
    x = values:detach()
    x = options.dtype and options.dtype ~= x:dtype() and x:to(options.dtype) or x:clone()
  else
    x = core.from_table(values, options.dtype)
  end
  return finish(x, options)
end

--- A tensor of zeros. Sizes are numbers or one table.
--
--   tide.zeros(sizes ..., {dtype = "f32", requires_grad = false})
--
--   tide.zeros(2, 3):numel()                                   --> 6
--   tide.zeros({2, 3}, {dtype = "i64"}):dtype()                --> "i64"
function create.zeros(...)
  local sizes, options = sizes_and_options("zeros", "f32", nil, ...)
  return finish(op.full(nil, sizes, 0, options.dtype), options)
end

--- A tensor of ones. Sizes are numbers or one table.
--
--   tide.ones(sizes ..., {dtype = "f32", requires_grad = false})
--
--   tide.ones(2, 3):sum():item()                               --> 6.0
function create.ones(...)
  local sizes, options = sizes_and_options("ones", "f32", nil, ...)
  return finish(op.full(nil, sizes, 1, options.dtype), options)
end

--- A tensor whose elements are all `value`; `sizes` is a table. A boolean gives a bool tensor.
--
--   tide.full(sizes, value, {dtype = "f32", requires_grad = false})
--
--   tide.full({2, 2}, 7):totable()[1][2]                       --> 7.0
function create.full(sizes, value, given)
  if type(sizes) ~= "table" then
    core.fail("argument", "full", "sizes is a table, got %s", core.what(sizes))
  end
  local dtype = "f32"
  if type(value) == "boolean" then value, dtype = value and 1 or 0, "bool" end
  number("full", "value", value)
  local all, options = sizes_and_options("full", dtype, nil, sizes, given or {})
  return finish(op.full(nil, all, value, options.dtype), options)
end

--- The identity matrix: ones on the diagonal, zeros elsewhere. `columns` is `rows` when it is not given.
--
--   tide.eye(rows, columns, {dtype = "f32", requires_grad = false})
--
--   tide.eye(3):sum():item()                                   --> 3.0
function create.eye(rows, columns, given)
  if type(columns) == "table" then columns, given = nil, columns end
  rows = integer("eye", "rows", rows)
  columns = columns and integer("eye", "columns", columns) or rows
  local options = options_of("eye", given, "f32")
  return finish(op.eye(nil, rows, columns, options.dtype), options)
end

--- The numbers from `start` to `stop` in steps of `step`, both ends included as in a Lua for. With one
-- argument: from 1 to it.
--
--   tide.arange(start, stop, step = 1, {dtype = "f32", requires_grad = false})
--
--   tide.arange(1, 10):numel()                                 --> 10
--   tide.arange(0, 1, 0.25):totable()[2]                       --> 0.25
function create.arange(start, stop, step, given)
  if type(stop) == "table" then stop, given = nil, stop end
  if type(step) == "table" then step, given = nil, step end
  number("arange", "start", start)
  if stop == nil then start, stop = 1, start end
  number("arange", "stop", stop)
  step = number("arange", "step", step or 1)
  if step == 0 then core.fail("value", "arange", "step is 0") end
  local options = options_of("arange", given, "f32")
  return finish(op.arange(nil, start, stop, step, options.dtype), options)
end

--- `steps` numbers from `start` to `stop` at equal distances, both ends included.
--
--   tide.linspace(start, stop, steps, {dtype = "f32", requires_grad = false})
--
--   tide.linspace(0, 1, 5):totable()[4]                        --> 0.75
function create.linspace(start, stop, steps, given)
  number("linspace", "start", start)
  number("linspace", "stop", stop)
  steps = integer("linspace", "steps", steps)
  local options = options_of("linspace", given, "f32")
  return finish(op.linspace(nil, start, stop, steps, options.dtype), options)
end

--- Begins the random numbers anew: the same seed gives the same numbers, bit for bit, on every machine.
--
--   tide.manual_seed(42); a = tide.rand(3)
--   tide.manual_seed(42); tide.equal(a, tide.rand(3))          --> true
function create.manual_seed(seed)
  core.set_seed(integer("manual_seed", "seed", seed))
end

local function random(name, dtype, ...)
  local sizes, options = sizes_and_options(name, dtype, RANDOM, ...)
  local seed, stream = seed_and_stream(name, options)
  return finish(op[name](nil, sizes, seed, stream, options.dtype), options)
end

--- Random numbers, uniform in [0, 1). Sizes are numbers or one table.
--
--   tide.rand(sizes ..., {dtype = "f32", requires_grad = false, seed = nil, stream = 0})
--
-- A `seed` of its own makes the numbers a function of (seed, stream), whatever was drawn before; so for all
-- random functions.
--
--   tide.rand(1000):lt(1):all()                                --> true
function create.rand(...) return random("rand", "f32", ...) end

--- Random numbers of the normal distribution with mean 0 and variance 1. Sizes are numbers or one table.
--
--   tide.randn(sizes ..., {dtype = "f32", requires_grad = false})
--
--   tide.randn(2, 3):size(1)                                   --> 2
function create.randn(...) return random("randn", "f32", ...) end

--- Random integers from `low` to `high`, both included; `sizes` is a table.
--
--   tide.randint(low, high, sizes, {dtype = "i64"})
--
--   tide.randint(0, 9, {100}):le(9):all()                      --> true
function create.randint(low, high, sizes, given)
  low, high = integer("randint", "low", low), integer("randint", "high", high)
  if type(sizes) ~= "table" then
    core.fail("argument", "randint", "sizes is a table, got %s", core.what(sizes))
  end
  local all, options = sizes_and_options("randint", "i64", RANDOM, sizes, given or {})
  local seed, stream = seed_and_stream("randint", options)
  return finish(op.randint(nil, low, high, all, seed, stream, options.dtype), options)
end

--- The numbers from 1 to n in a random order, i64.
--
--   tide.randperm(n, {seed = nil, stream = 0})
--
--   tide.randperm(10):sum():item()                             --> 55
function create.randperm(n, given)
  local seed, stream = seed_and_stream("randperm", core.options("randperm", given, {}, RANDOM))
  return op.randperm(nil, integer("randperm", "n", n), seed, stream)
end

--- Zeros and ones at random, ones with probability p; `sizes` is a table.
--
--   tide.bernoulli(sizes, p, {dtype = "f32", seed = nil, stream = 0})
--
--   tide.bernoulli({2, 3}, 1):sum():item()                     --> 6.0
function create.bernoulli(sizes, p, given)
  number("bernoulli", "p", p)
  if type(sizes) ~= "table" then
    core.fail("argument", "bernoulli", "sizes is a table, got %s", core.what(sizes))
  end
  local all, options = sizes_and_options("bernoulli", "f32", RANDOM, sizes, given or {})
  local seed, stream = seed_and_stream("bernoulli", options)
  return op.bernoulli(nil, all, p, seed, stream, options.dtype)
end

local function like_options(call, x, given, extra)
  if not core.is_tensor(x) then
    core.fail("argument", call, "argument 1 is %s, not a tensor", core.what(x))
  end
  return options_of(call, given, x:dtype(), extra)
end

--- Zeros in the shape and dtype of x, where x lives.
--
--   tide.zeros_like(x, {dtype =, requires_grad = false})
--
--   tide.zeros_like(tide.ones(2, 3)):sum():item()              --> 0.0
function create.zeros_like(x, given)
  local options = like_options("zeros_like", x, given)
  return finish(op.full(x, x:size(), 0, options.dtype), options)
end

--- Ones in the shape and dtype of x, where x lives.
--
--   tide.ones_like(x, {dtype =, requires_grad = false})
--
--   tide.ones_like(tide.zeros(2, 3)):sum():item()              --> 6.0
function create.ones_like(x, given)
  local options = like_options("ones_like", x, given)
  return finish(op.full(x, x:size(), 1, options.dtype), options)
end

--- A tensor filled with `value` in the shape and dtype of x, where x lives.
--
--   tide.full_like(x, value, {dtype =, requires_grad = false})
--
--   tide.full_like(tide.zeros(2, 2), 7):sum():item()           --> 28.0
function create.full_like(x, value, given)
  local options = like_options("full_like", x, given)
  return finish(op.full(x, x:size(), number("full_like", "value", value), options.dtype), options)
end

--- Random numbers, uniform in [0, 1), in the shape and dtype of x, where x lives.
--
--   tide.rand_like(x, {dtype =, requires_grad = false})
--
--   tide.rand_like(tide.zeros(2, 3)):numel()                   --> 6
function create.rand_like(x, given)
  local options = like_options("rand_like", x, given, RANDOM)
  local seed, stream = seed_and_stream("rand_like", options)
  return finish(op.rand(x, x:size(), seed, stream, options.dtype), options)
end

--- Normally distributed random numbers in the shape and dtype of x, where x lives.
--
--   tide.randn_like(x, {dtype =, requires_grad = false})
--
--   tide.randn_like(tide.zeros(2, 3)):numel()                  --> 6
function create.randn_like(x, given)
  local options = like_options("randn_like", x, given, RANDOM)
  local seed, stream = seed_and_stream("randn_like", options)
  return finish(op.randn(x, x:size(), seed, stream, options.dtype), options)
end

core.zeros_like = create.zeros_like

--- Joins tensors of the same shape along a new dimension.
--
--   tide.stack({a, b, ...}, dim = 1)
--
--   tide.stack({tide.zeros(3), tide.ones(3)}):size(1)          --> 2
function create.stack(list, dim)
  if type(list) ~= "table" or #list == 0 then
    core.fail("argument", "stack", "wants a list of tensors, got %s", core.what(list))
  end
  local rows = {}
  for i, x in ipairs(list) do
    if not core.is_tensor(x) then
      core.fail("argument", "stack", "entry %d of the list is %s, not a tensor", i, core.what(x))
    end
    for d = 1, math.max(x:dim(), list[1]:dim()) do
      if x:dim() ~= list[1]:dim() or x:size(d) ~= list[1]:size(d) then
        core.fail("shape", "stack", "entry %d is %s, the first is %s", i, core.shape_text(x),
                  core.shape_text(list[1]))
      end
    end
    if x.location ~= list[1].location then
      local a, b = core.place_name(list[1]), core.place_name(x)
      core.fail("location", "stack", "one tensor is at %s, the other %s; move one of them", a or b,
                a and b and "at " .. b or "here")
    end
    rows[i] = x:unsqueeze(dim or 1)
  end
  return op.cat(rows, dim or 1)
end

--- Is x a tensor (or a pointer to one)?
--
--   tide.is_tensor(tide.zeros(3))                              --> true
--   tide.is_tensor{1, 2, 3}                                    --> false
create.is_tensor = core.is_tensor

return create
