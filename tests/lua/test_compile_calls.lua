-- tide.compile: arguments and results of all kinds, what makes another program, what a function may not do, and
-- how errors read.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local core = require "tide.core"
local same, raises = check.eq, check.raises

local function info(f) return core.compiled_info(f) end
local function compile(f, options)
  options = options or {}
  options.name = options.name or "f"
  return tide.compile(f, options)
end

-- ---- arguments ----

do
  local seen
  local f = compile(function(batch, scale, word, flag, other)
    seen = {word, flag, other}
    return batch.x * scale + batch.list[2]
  end)
  local object = setmetatable({}, {})
  local batch = {x = tide.ones(2), list = {tide.zeros(2), tide.full({2}, 5)}}
  same(f(batch, 2, "w", true, object), {7, 7})
  same(seen[1], "w")
  assert(seen[2] == true and rawequal(seen[3], object))
  same(f({list = {tide.zeros(2), tide.full({2}, 6)}, x = tide.full({2}, 3)}, 2, "w", true, object), {12, 12})
  same(info(f).traces, 1, "tables of the same build")
  f(batch, 3, "w", true, object)
  same(info(f).traces, 2, "another number")
  f(batch, 3.0, "w", true, object)
  same(info(f).traces, 3, "a float is no integer")
  f(batch, 3, "v", true, object)
  f(batch, 3, "w", false, object)
  f(batch, 3, "w", nil, object)
  f(batch, 3, "w", true, setmetatable({}, {}))
  f(batch, 3, "w", true, object, nil)
  same(info(f).traces, 8, "whatever differs")
  batch.y = 1
  f(batch, 3, "w", true, object)
  same(info(f).traces, 9, "one more field")
  raises(function() f({x = tide.ones(1), [{}] = 1}) end, "compile: tables among the arguments of 'f' have names")
  local deep = {}
  deep[1] = deep
  raises(function() f(deep) end, "compile: tables among the arguments of 'f' are nested deeper than 16")
end

do
  local f = compile(function(x, y) return x + y end)
  for _, pair in ipairs {{tide.ones(2), tide.ones(2)}, {tide.ones(3), tide.ones(3)},
    {tide.ones(2, {dtype = "f64"}), tide.ones(2)}, {tide.ones(2), tide.ones(2, {dtype = "i64"})},
    {tide.ones(2, 1), tide.ones(2)}, {tide.ones({}), tide.ones(2)}} do
    local traces = info(f).traces
    local want = pair[1] + pair[2]
    for _ = 1, 2 do
      local got = f(pair[1], pair[2])
      assert(tide.equal(got, want) and got:dtype() == want:dtype())
    end
    same(info(f).traces, traces + 1)
  end
  local x = tide.randn(4, 4)
  same(f(x:t(), x:t()):totable(), (x:t() + x:t()):totable(), "other strides, the same program")
  local traces = info(f).traces
  same(f(x, x):totable(), (x + x):totable())
  same(info(f).traces, traces + 1, "the same tensor twice")
end

-- ---- results ----

do
  local kept = tide.ones(1)
  local f = compile(function(x, n)
    return {sum = x:sum(), n = n, inner = {x, x + 1, "text"}, none = false}, nil, kept, x, n
  end)
  for i = 1, 2 do
    local x = tide.full({2}, i)
    local t, none, k, same_x, n = f(x, 4)
    same(t.sum, 2 * i)
    same(t.inner[2], {i + 1, i + 1})
    assert(t.inner[1] == x and same_x == x and t.inner[3] == "text" and t.n == 4 and t.none == false)
    assert(none == nil and k == kept and n == 4)
  end
  same(select("#", compile(function() end)()), 0)
  local a, b = compile(function(x) return x + 1, x + 1 end)(tide.ones(1))
  a[1] = 7
  same(b, {2}, "two results are two tensors")
  local c = compile(function() return tide.ones(2) end)
  c()[1] = 9
  same(c(), {1, 1}, "a constant result is a new tensor each time")
end

-- ---- what makes another program ----

do
  local model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
  local f = compile(function(x) return model(x) end)
  local x = tide.ones(1, 2)
  f(x)
  model:eval()
  assert(tide.equal(f(x), model(x)))
  same(info(f).traces, 2)
  model:train()
  f(x)
  same(info(f).traces, 2, "train() again")
  model:eval()
  model[1].weight = tide.zeros(2, 2):requires_grad_()
  assert(tide.equal(f(x), model(x)), "another tensor in a field")
  model[1] = nn.Linear(2, 3)
  assert(tide.equal(f(x), model(x)), "another module in a field")
  model[3] = nn.Linear(3, 1)
  assert(tide.equal(f(x), model(x)), "one module more")
  same(info(f).traces, 5)
  tide.no_grad(function() model[1].weight:assign(tide.ones(3, 2)) end)
  assert(tide.equal(f(x), model(x)), "new values of a parameter")
  same(info(f).traces, 5)
  model:to("f64")
  x = x:to("f64")
  assert(tide.equal(f(x), model(x)), "another dtype")
end

do
  local w = tide.ones(2):requires_grad_()
  local f = compile(function(x)
    w.grad = nil
    local y = (w * x):sum()
    if y.requires_grad then y:backward() end
    return y
  end)
  f(tide.ones(2))
  same(w.grad, {1, 1})
  w:requires_grad_(false)
  f(tide.ones(2))
  assert(w.grad == nil, "a frozen parameter")
  same(info(f).traces, 2)
  local x = tide.full({2}, 3):requires_grad_()
  f(x)
  same(x.grad, {1, 1}, "an argument's gradient")
  f(x)
  same(x.grad, {2, 2}, "is added to")
  tide.no_grad(function() f(x) end)
  same(x.grad, {2, 2})
end

-- The cache is bounded, and the program that was not used longest goes.
do
  local f = compile(function(x) return x * 2 end, {cache = 2})
  f(tide.ones(1)) f(tide.ones(2)) f(tide.ones(1)) f(tide.ones(3))
  same(info(f).programs, 2)
  f(tide.ones(1))
  same(info(f).traces, 3, "1 was used after 2")
  f(tide.ones(2))
  same(info(f).traces, 4)
end

-- A state that is loaded: the optimiser goes on with it.
do
  local function world()
    local p = tide.tensor{1, 2}:requires_grad_()
    local opt = optim.SGD({p}, {lr = 0.1, momentum = 0.9})
    return p, opt, function()
      opt:zero_grad()
      p:square():sum():backward()
      opt:step()
    end
  end
  local p, opt, step = world()
  local q, opt2, step2 = world()
  step2 = compile(step2)
  for _ = 1, 3 do step() step2() end
  local state = opt:state_dict()
  same(opt2:state_dict().state[1].step, 3)
  step() step2()
  opt:load_state_dict(state)
  opt2:load_state_dict(state)
  for _ = 1, 3 do step() step2() end
  assert(tide.equal(p, q))
end

-- ---- inside one another ----

do
  local inner = compile(function(x) return x * 2 end, {name = "inner"})
  local outer = compile(function(x) return inner(x) + inner(x + 1) end, {name = "outer"})
  same(outer(tide.ones(1)), {6})
  same(info(inner).traces, 0, "inlined")
  same(tostring(inner), "compiled 'inner': 0 programs, 0 calls")
  outer(tide.ones(1))
  same(tostring(outer), "compiled 'outer': 1 program, 2 calls")
  same(tide.compile(nn.Linear(2, 1))(tide.ones(1, 2)):numel(), 1)
end

-- ---- pointers: the function runs as it stands ----

if tide.VirtualWorker then
  local bob = tide.VirtualWorker("bob")
  local w = tide.ones(2)
  local f = compile(function(x) return x + 1 end)
  local g = compile(function(x) return x + w end, {name = "g"})
  same(f(tide.ones(2):send(bob)):get(), {2, 2})
  same(info(f).plain, 1)
  same(info(f).traces, 0)
  g(tide.ones(2))
  local there = w:send(bob)
  raises(function() compile(function(x) return x + there end)(tide.ones(2)) end,
    "add: the tensor is at bob, what tide.compile traces runs here")
  there:get()
end

-- ---- what cannot be traced ----

local x = tide.tensor{1, 2, 3}
local w = tide.ones(3):requires_grad_()
local no_value = "the tensor has no value while tide.compile traces 'f'"
for text, f in pairs {
  ["item: " .. no_value] = function(t) return t:sum():item() end,
  ["totable: " .. no_value] = function(t) return t:totable() end,
  ["lt: " .. no_value] = function(t) if t:sum() > 0 then return t end end,
  ["index: " .. no_value] = function(t) return t[t:gt(1)] end,
} do
  local err = raises(function() compile(f)(x) end, text)
  same(err.kind, "state")
  assert(err.hint)
end
raises(function() compile(function() return x[1]:item() end)() end, no_value)
raises(function() compile(function() return x:item() end)() end, "item: wants a tensor of one element")
raises(function() compile(function() return tide.tensor(1):item() end)() end, no_value)
local one = tide.ones(1)
raises(function() compile(function() return one:item() end)() end,
  "item: tide.compile traces 'f', and each run may find another value")
raises(function() compile(function(t) return tostring(t) end)(x) end, no_value)
raises(function() compile(function() tide.manual_seed(1) end)() end,
  "manual_seed: the seed cannot be part of the compiled function 'f'")
raises(function() compile(function() return (w * 2):sum():backward() end)() return w.grad.x end, "no field")
w.grad = nil

local opt = optim.SGD({w}, {lr = 1})
local schedule = optim.lr.Step(opt, 1)
raises(function() compile(function() schedule:step() end)() end,
  "optim.lr.Step: a step of the schedule cannot be part of the compiled function 'f'")

local outside = w * 2
raises(function() compile(function() return outside + 1 end)() end,
  "add: the tensor was computed outside of the compiled function 'f' and wants a gradient")
raises(function() compile(function() outside:sum():backward() end)() end, "outside of the compiled function")
raises(function() compile(function(t) t:sum():backward() end)(outside) end,
  "backward: argument 1 was computed outside of the compiled function 'f' and wants a gradient")
same(compile(function() return outside:detach() + 1 end)(), {3, 3, 3})

local model = nn.Module:extend("Counts")()
model.calls = 0
raises(function() compile(function(t) model.calls = model.calls + 1 return t end)(x) end,
  "compile: 'f' reads the field 'calls' and changes it: later runs would not")

-- What is left of a trace says so.
local left
compile(function(t) left = t + 1 return left end)(x)
raises(function() return left:item() end, "item: wants a tensor of one element")
raises(function() return left:totable() end,
  "totable: the tensor belongs to a run of the compiled function 'f' that has ended")
raises(function() return left + 1 end, "add: the tensor belongs to a run of the compiled function 'f'")
raises(function() compile(function(t) return t + left end)(x) end, "add: the tensor belongs to a run")

-- An error leaves gradients, the tape and the generator's use as they were, and names the line.
do
  w.grad = tide.full({3}, 5)
  local before = w.grad
  local err = raises(function()
    compile(function(t)
      w.grad = nil
      (w * t):sum():backward()
      return t:matmul(tide.ones(2, 2))
    end)(x)
  end, "matmul: ")
  same(err.where:match("[^/]*$"), ("test_compile_calls.lua:%d"):format(
    debug.getinfo(1, "l").currentline - 4))
  assert(w.grad == before and (w * 1).requires_grad)
  raises(function() compile(function() error("mine") end)() end, "mine")
  raises(function() compile(function() coroutine.yield() end)() end, "yield")
end

-- A check of values that fails in a run names the line of the operation; the step is not counted.
do
  local p = tide.ones(2, 3):requires_grad_()
  local adam = optim.Adam({p})
  local f = compile(function(labels)
    adam:zero_grad()
    local loss = F.nll_loss(p, labels)
    loss:backward()
    adam:step()
    return loss
  end)
  f(tide.tensor({0, 2}, {dtype = "i64"}))
  local err = raises(function() f(tide.tensor({0, 3}, {dtype = "i64"})) end, "nll_loss: ")
  same(err.where:match("[^/]*$"), ("test_compile_calls.lua:%d"):format(
    debug.getinfo(1, "l").currentline - 8))
  same(adam.state[p].step, 1)
end

-- ---- what compile itself is given ----

raises(function() tide.compile(3) end, "compile: wants a function, got 3")
raises(function() tide.compile(print, {cach = 3}) end, "compile: unknown option 'cach', did you mean 'cache'?")
raises(function() tide.compile(print, {cache = 0}) end, "compile: cache is an integer above 0, got 0")
raises(function() tide.compile(print, {name = 3}) end, "compile: name is a string, got 3")
same(tostring(tide.compile(function() end)):match("[^/]*$"), ("test_compile_calls.lua:%d': 0 programs, 0 calls")
  :format(debug.getinfo(1, "l").currentline - 1))

-- An argument that is gone from its table when the trace ends: its first run still has it.
do
  local t = {x = tide.ones(300)}
  local f = tide.compile(function(a)
    t.x = nil
    collectgarbage()
    return a.x * 2
  end)
  same(f(t):sum(), 600)
end

-- More programs than a C integer counts.
do
  local f = tide.compile(function(z) return z * 2 end, {cache = 1 << 32})
  same(f(tide.ones(2)), {2, 2})
  same(f(tide.ones(3)), {2, 2, 2})
  same(info(f).programs, 2)
end

-- Finalizers that call the function, and push out the program that is about to run.
do
  local f = tide.compile(function(v) return v * 2 + tide.rand(1) * 0 end, {cache = 1})
  local calls, armed = 0, true
  local function arm()
    setmetatable({}, {__gc = function()
      if not armed then return end
      calls = calls + 1
      f(tide.ones(4 + calls % 50))
      arm()
    end})
  end
  arm()
  for i = 1, 3000 do
    local n = i % 3 + 1
    same(f(tide.full({n}, i)):sum(), 2 * n * i)
    if i % 100 == 0 then collectgarbage("step") end
  end
  armed = false
  assert(calls > 0)
end
