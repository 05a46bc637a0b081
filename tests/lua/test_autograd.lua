-- Gradients as scripts see them: backward and its options, grad, no_grad, detach, the fields, gradcheck.
local check = dofile(arg[0]:match("^(.*/)") .. "helper.lua")
local eq, near, fails = check.eq, check.near, check.fails

local function leaf(...) return tide.tensor({...}, {dtype = "f64"}):requires_grad_() end

-- ---- backward ----

local w = leaf(1, 2)
local loss = (w ^ 2 * 3):sum()
eq(loss.requires_grad, true)
eq({w.is_leaf, loss.is_leaf}, {true, false})
loss:backward()
eq(w.grad, {6, 12})
;(w * 2):sum():backward()
eq(w.grad, {8, 14}, "gradients add up")
eq(w.grad == w.grad, true)
w.grad = tide.zeros(2, {dtype = "f64"})
eq(w.grad, {0, 0})
;(w * 2):backward(tide.tensor({1, 10}, {dtype = "f64"}))
eq(w.grad, {2, 20})
w.grad = nil
;(w * 2):backward {gradient = tide.tensor({1, 10}, {dtype = "f64"})}
eq(w.grad, {2, 20})

local twice = (w * w):sum()
twice:backward {retain_graph = true}
twice:backward()
local err = fails("backward: the graph has been walked already and its values are freed",
                  function() twice:backward() end)
assert(err.hint:find("retain_graph = true", 1, true))
fails("backward: wants a tensor of one element, got 2", function() (w * 2):backward() end)
fails("backward: nothing that this tensor came from requires a gradient",
      function() tide.ones(1):backward() end)
fails("backward: retain_graph is true or false, got 1", function() (w * 2):sum():backward {retain_graph = 1} end)
fails("backward: gradient is a tensor, got 1", function() (w * 2):sum():backward {gradient = 1} end)
fails("backward: options come in a table, got 3", function() (w * 2):sum():backward(3) end)
fails("grad: a gradient of 3 for a tensor of 2", function() w.grad = tide.ones(3) end)
fails("grad: can be set to a tensor or nil, got 1", function() w.grad = 1 end)
fails("requires_grad_: wants a float dtype, got i64",
      function() tide.ones(1, {dtype = "i64"}):requires_grad_() end)

-- ---- grad ----

local a, b = leaf(3), leaf(2)
local g = tide.grad(a * a * b, {a, b})
eq(g[1], {12})
eq(g[2], {9})
eq(a.grad, nil, "grad leaves .grad alone")
eq(tide.grad(a * b, a), {2})
local first = tide.grad(a ^ 3, a, {create_graph = true})
eq(first, {27})
eq(tide.grad(first, a), {18})
eq(tide.grad(a * 2, {a, b}, {allow_unused = true})[2], false)
err = fails("grad: the result does not depend on tensor 2", function() return tide.grad(a * 2, {a, b}) end)
assert(err.hint:find("allow_unused", 1, true))
fails("grad: tensor 1 does not require a gradient", function() return tide.grad(a, {tide.ones(1)}) end)
fails("grad: entry 1 of the list is 3, not a tensor", function() return tide.grad(a, {3}) end)
eq(tide.grad(a * b, {a}, {gradient = tide.tensor({10}, {dtype = "f64"})})[1], {20})

-- ---- without the tape ----

local results = table.pack(tide.no_grad(function(x, y) return x * 2, y, nil end, a, "y"))
eq({results.n, results[1].requires_grad, results[2]}, {3, false, "y"})
eq((a * 2).requires_grad, true, "on again")
assert(not pcall(tide.no_grad, function() error "inside" end))
eq((a * 2).requires_grad, true, "on again after an error")
tide.no_grad(function()
  tide.no_grad(function() end)
  eq((a * 2).requires_grad, false, "still off after an inner one")
end)
fails("no_grad: wants a function, got 3", tide.no_grad, 3)
eq(a:detach().requires_grad, false)
local frozen = leaf(1):requires_grad_(false)
eq(frozen.requires_grad, false)
frozen.requires_grad = true
eq(frozen.requires_grad, true)
fails("requires_grad_: the tensor is the result of an operation", function() (a * 2):requires_grad_(false) end)

-- ---- changes in place are noticed ----

local x = leaf(1, 2)
local y = tide.ones(2, {dtype = "f64"})
local product = x * y
y:zero_()
fails("backward: a tensor that the gradient of mul needs was changed in place after it was used",
      function() product:sum():backward() end)

-- ---- through dtypes, views and reductions ----

local p = tide.tensor {{1, 2}, {3, 4}}:requires_grad_()
local values = p:max(2)
values:sum():backward()
eq(p.grad, {{0, 1}, {0, 1}})
p.grad = nil
p:t():reshape(-1):narrow(1, 2, 2):to("f64"):sum():backward()
eq(p.grad, {{0, 1}, {1, 0}})
eq(p.grad:dtype(), "f32")
p.grad = nil
p:norm():backward()
near(p.grad, (p:detach() / math.sqrt(30)):totable(), 1e-6)
p.grad = nil
p:std():backward()
near(p.grad, ((p:detach() - 2.5) / (3 * 1.2909944487358056)):totable(), 1e-5)

-- At 0 the slope of a norm is taken as 0: a penalty on a new weight is no source of nan.
for _, length in ipairs {
  function(t) return t:norm() end, function(t) return t:norm(3) end, function(t) return t:std() end,
} do
  local none = tide.zeros(3):requires_grad_()
  local value = length(none)
  eq(value:item(), 0)
  value:backward()
  eq(none.grad, {0, 0, 0})
end
local rows = tide.tensor {{3, 4}, {0, 0}}:requires_grad_()
rows:norm(2, 2):sum():backward()
near(rows.grad, {{0.6, 0.8}, {0, 0}}, 1e-6)

-- ---- gradcheck ----

local q = tide.tensor({{0.5, 1.5}, {2, 0.1}}, {dtype = "f64"})
assert(tide.gradcheck(function(x1) return x1:exp(), x1:log():sum() end, {q}))
assert(tide.gradcheck(function(x1, x2) return x1:matmul(x2) end, {q, q:t()}))
assert(tide.gradcheck(function(x1, k) return x1:index_select(1, k) end,
                      {q, tide.tensor({2, 1}, {dtype = "i64"})}))
-- It finds a gradient that is wrong: half of it hidden by detach.
local _, wrong = pcall(tide.gradcheck, function(x1) return x1 * x1:detach() end, {q})
assert(wrong:find "gradcheck: input 1, element 1: the gradient is .* small steps say", tostring(wrong))
fails("gradcheck: input 1 is f32, whose steps are too coarse; f64 is wanted",
      tide.gradcheck, function(x1) return x1 end, {tide.ones(1)})
fails("gradcheck: the function returns no tensor of floats, got 3", tide.gradcheck, function() return 3 end, {q})
