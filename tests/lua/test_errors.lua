-- Error objects: what they hold, that they behave as texts, and that they name the user's own line.
local check = dofile(arg[0]:match("^(.*/)") .. "helper.lua")
local core = require "tide.core"

-- The line of the call that follows on it.
local line
local function mark() line = debug.getinfo(2, "l").currentline end
local function check_where(err)
  local where = ("test_errors.lua:%d"):format(line)
  assert(err.where:sub(-#where) == where, err.where .. " is not at " .. where)
end

-- The fields of an error from the tensor machine.
local function wrong() mark() return tide.ones(2, 3):matmul(tide.ones(4, 5)) end
local ok, err = pcall(wrong)
assert(not ok)
check.eq(err.code, tide.errors.shape)
check.eq(err.code, 2)
check.eq(err.kind, "shape")
check.eq(err.call, "matmul")
check.eq(err.message, "2x3 does not multiply 4x5")
check_where(err)
check.eq(tostring(err), err.where .. ": matmul: 2x3 does not multiply 4x5")
assert(err.trace:match("stack traceback"))

-- It is as good as a text.
assert(err:find("does not multiply", 1, true))
check.eq(err:match("(%d)x3"), "2")
check.eq(#err, #tostring(err))
check.eq(err .. "!", tostring(err) .. "!")
check.eq(err:upper(), tostring(err):upper())
check.eq(err.nothing, nil)

-- A function of the library that fails inside names the user's line, not the library's.
local _, inside = pcall(function() mark() return tide.stack {tide.ones(2), tide.ones(3)} end)
check_where(inside)
check.eq(inside.message, "entry 2 is 3, the first is 2")

-- In a coroutine too.
local co = coroutine.create(function() mark() return tide.ones(2):matmul(tide.ones(3)) end)
local _, in_co = coroutine.resume(co)
check_where(in_co)

-- Hints.
local _, with_hint = pcall(function() return tide.ones(2) < tide.ones(2) end)
check.eq(with_hint.message, "a comparison of 2 is not one boolean")
check.eq(with_hint.hint, "x:lt(y) compares element by element")

-- Containers put in where it happened, also from the outside in.
local _, nested = pcall(function()
  local _, first = pcall(wrong)
  local _, second = pcall(core.rethrow_with, first, "in module 3 (nn.Linear 784 -> 10)")
  core.rethrow_with(second, "in module 1 (nn.Sequential)")
end)
check.eq(nested.context, "in module 1 (nn.Sequential): in module 3 (nn.Linear 784 -> 10)")
assert(nested:find(line .. ": in module 1 (nn.Sequential): in module 3 (nn.Linear 784 -> 10): " ..
  "matmul: 2x3 does not multiply 4x5", 1, true), tostring(nested))
check.eq(nested.code, tide.errors.shape)

-- Lua's own errors become error objects on their way through a container.
local _, plain = pcall(function()
  local _, e = pcall(function() mark() local t = nil; return t.x end)
  core.rethrow_with(e, "in module 2 (Net)")
end)
check.eq(plain.kind, "script")
check.eq(plain.code, tide.errors.script)
check_where(plain)
assert(plain:find("in module 2 (Net): attempt to index a nil value (local 't')", 1, true), tostring(plain))

-- The library's own failures.
check.fails("call: got 3, wanted 4", core.fail, "value", "call", "got %d, wanted %d", 3, 4)
check.eq(check.fails("call: no", core.fail_hint, "state", "call", "do that", "no").hint, "do that")
assert(not pcall(core.fail, "no such kind", "call", "text"))

-- Codes and words are those of the wire.
check.eq(tide.errors.ok, 0)
check.eq(tide.errors.not_found, 11)
check.eq(tide.errors.internal, 21)

-- Options are refused with the nearest name.
check.fails("sum: unknown option 'keepdims', did you mean 'keepdim'?",
            function() return tide.ones(2):sum(1, {keepdims = true}) end)
check.fails("zeros: unknown option 'dytpe', did you mean 'dtype'?", tide.zeros, 2, {dytpe = "f64"})
check.fails("backward: unknown option 'retain_grap', did you mean 'retain_graph'?",
            function() tide.ones(1):requires_grad_():backward {retain_grap = true} end)
check.fails("call: unknown option 'x': it takes no options", core.options, "call", {x = 1}, {})
check.fails("call: unknown option 'zzz', there are: lr, momentum",
            core.options, "call", {zzz = 1}, {lr = 1}, {"momentum"})
check.fails("call: lr is a number, got true", core.options, "call", {lr = true}, {lr = 1})
check.eq(core.options("call", {a = 2}, {a = 1, b = 3}).b, 3)

-- Names of fields and dtypes too.
check.fails("tensor: there is no field or method 'summ', did you mean 'sum'?",
            function() return tide.ones(2):summ() end)
check.fails("tensor: there is no field or method 'qqqqqq'", function() return tide.ones(2).qqqqqq end)
check.fails("tensor: 'sum' is a method and cannot be set", function() tide.ones(2).sum = 1 end)
check.fails("to: there is no dtype 'f23', did you mean 'f32'? (f64 f32 f16 bf16 i64 i32 u8 bool)",
            function() return tide.ones(2):to "f23" end)
check.fails("to: there is no dtype 'quad' (f64 f32 f16 bf16 i64 i32 u8 bool)",
            function() return tide.ones(2):to "quad" end)
