-- Gradients at workers: on leaves that were sent, through models, views and indexing, and on their way home.
-- Pointers are held and dropped for what that does at the worker.
-- luacheck: ignore 231 241 311 331
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, near, fails, cost = rig.case, rig.eq, rig.near, rig.fails, rig.cost

case("11: the gradient of sum(x + x) is two everywhere; fetching x brings it along", function(bob)
  local x = tide.tensor {1, 2, 3}:requires_grad_()
  local p = x:send(bob)
  eq({p.requires_grad, p.is_leaf}, {true, true})
  local waits, batches = cost(bob, function()
    local y = (p + p):sum()
    eq(y.requires_grad, true)
    y:backward()
    assert(p.grad.location == bob)
    eq(p.grad:size(), {3})
  end)
  eq({waits, batches}, {0, 0})
  eq(p.grad:copy(), {2, 2, 2})
  local home = p:get()
  eq(home, {1, 2, 3})
  eq(home.grad, {2, 2, 2})
  eq(home.requires_grad, true)
  collectgarbage()
  eq(#bob:objects(), 0, "the tensor and its gradient are gone there")
  assert(x.grad == nil, "the tensor that was sent is another one")
end)

case("11: copy brings the gradient along and leaves both there", function(bob)
  local p = tide.tensor {1, 2}:requires_grad_():send(bob)
  p:mul(p):sum():backward()
  local value = p:copy()
  eq(value.grad, {2, 4})
  eq(value.requires_grad, true)
  eq(p:copy().grad, {2, 4})
  p:get()
end)

case("only leaves that want a gradient have pointers that do", function(bob)
  local w = tide.ones(2):requires_grad_()
  eq(w:send(bob).requires_grad, true)
  eq((w * 2):send(bob).requires_grad, false)
  eq(tide.ones(2):send(bob).requires_grad, false)
  eq(w:detach():send(bob).requires_grad, false)
  eq(tide.ones(2):send(bob):requires_grad_().requires_grad, true)
end)

case("gradients add up over backward calls, and start anew after nil", function(bob)
  local p = tide.tensor {2}:requires_grad_():send(bob)
  p:mul(3):sum():backward()
  p:mul(p):sum():backward()
  eq(p.grad:copy(), {7})
  p.grad = nil
  p:mul(5):sum():backward()
  eq(p.grad:copy(), {5})
end)

case("a second backward through the same graph is refused at once", function(bob)
  local p = tide.tensor {2}:requires_grad_():send(bob)
  local y = p:mul(p):sum()
  y:backward()
  local ok, err = pcall(y.backward, y)
  assert(not ok and err.kind == "state", tostring(err))
end)

case("backward of more than one element wants a gradient, which lives there too", function(bob)
  local p = tide.tensor {1, 2}:requires_grad_():send(bob)
  local y = p * 3
  assert(not pcall(y.backward, y))
  y:backward(tide.tensor {1, 10}:send(bob))
  eq(p.grad:get(), {3, 30})
end)

case("a gradient that is given lives where the tensor does", function(bob, alice)
  local p = tide.tensor {1, 2}:requires_grad_():send(bob)
  local y = p * 3
  local err = fails("backward: the gradient is here, the tensor at bob", y.backward, y, tide.ones(2))
  eq(err.kind, "location")
  fails("backward: the gradient is at alice, the tensor at bob", y.backward, y, tide.ones(2):send(alice))
  local z = tide.ones(2):requires_grad_() * 2
  fails("backward: the gradient is at bob, the tensor here", z.backward, z, p:detach())
  y:backward(tide.tensor {1, 2}:send(bob))
  eq(p.grad:get(), {3, 6})
end)

case("no_grad holds for operations at workers", function(bob)
  local p = tide.ones(2):requires_grad_():send(bob)
  local y = tide.no_grad(function() return p * 2 end)
  eq(y.requires_grad, false)
  tide.no_grad(function() p:assign(p * 3) end)
  eq(p:copy(), {3, 3})
  fails("assign: the tensor requires a gradient and cannot be changed in place", p.assign, p, 1)
end)

case("tide.grad at a worker, second derivatives too", function(bob)
  local p = tide.tensor(2):requires_grad_():send(bob)
  local g = tide.grad(p ^ 3, p, {create_graph = true})
  assert(g.location == bob)
  local gg = tide.grad(g, p)
  eq({g:get():item(), gg:get():item()}, {12, 12})
  assert(p.grad == nil)
end)

-- The same function of x, here and at a worker, with central differences as the judge.
local function agrees_with_differences(bob, x, f)
  local p = x:clone():requires_grad_():send(bob)
  f(p):backward()
  local got = p:get().grad:reshape(-1)
  local flat, h = x:reshape(-1), 1e-5
  for i = 1, x:numel() do
    local up, down = flat:clone(), flat:clone()
    up[i], down[i] = flat[i]:item() + h, flat[i]:item() - h
    local slope = (f(up:reshape(x:size())):item() - f(down:reshape(x:size())):item()) / (2 * h)
    near(got[i]:item(), slope, 1e-6, "element " .. i)
  end
end

case("gradients through views, indexing, reductions and products are right", function(bob)
  local x = tide.tensor({{0.3, -1.2, 2.1}, {0.7, 0.1, -0.4}}, {dtype = "f64"})
  agrees_with_differences(bob, x, function(t) return (t:t():matmul(t) ^ 2):sum() end)
  agrees_with_differences(bob, x, function(t) return (t[1] * t[2]):exp():mean() end)
  agrees_with_differences(bob, x, function(t) return t[{{}, {2, 3}}]:reshape(-1):softmax(1):log():sum() end)
  agrees_with_differences(bob, x, function(t) return tide.cat({t, t * t}, 2):max(2):sum() + t:logsumexp(1):sum() end)
  agrees_with_differences(bob, x, function(t) return t:var():sqrt() + t:tanh():norm() end)
end)

case("gradients of operations with plain numbers on either side are right", function(bob)
  local x = tide.tensor({0.5, 1.5, 2.5}, {dtype = "f64"})
  for _, f in ipairs {
    function(t) return t ^ 2 end, function(t) return t ^ -1.5 end, function(t) return t ^ 0 end,
    function(t) return 2 ^ t end, function(t) return 0 ^ t end, function(t) return t ^ t end,
    function(t) return 2 / t + t / 4 end, function(t) return 1 - t * 3 end, function(t) return 2.2 - -t end,
    function(t) return tide.maximum(t, 1) * tide.minimum(2, t) end, function(t) return t:clamp(1, 2) end,
    function(t) return tide.where(t:gt(1), t, 0) + tide.where(t:gt(1), 1, t) end,
    function(t) return t:remainder(1) + t:leaky_relu(0.1) + t:masked_fill(t:gt(2), -1) end,
  } do
    agrees_with_differences(bob, x, function(t) return f(t):sum() end)
  end
end)

case("the gradient of a module's parameters is a pointer where they are", function(bob)
  local model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
  local twin = model:clone()
  local x = tide.randn(5, 3)
  model:send(bob)
  model(x:send(bob)):sum():backward()
  twin(x):sum():backward()
  for i, p in ipairs(model:parameters()) do
    assert(p.grad.location == bob)
    eq(p.grad:size(), p:size())
    rig.same_bits(p.grad:copy(), twin:parameters()[i].grad)
  end
  model:get()
  for i, p in ipairs(model:parameters()) do rig.same_bits(p.grad, twin:parameters()[i].grad) end
end)

case("clip_grad_norm at a worker finds the local norm and does not wait", function(bob)
  local model = nn.Linear(4, 4)
  local twin, x = model:clone(), tide.randn(6, 4)
  twin(x):square():sum():backward()
  local want = optim.clip_grad_norm(twin:parameters(), 0.5):item()
  model:send(bob)
  model(x:send(bob)):square():sum():backward()
  local norm
  eq({cost(bob, function() norm = optim.clip_grad_norm(model:parameters(), 0.5) end)}, {0, 0})
  eq(norm:get():item(), want)
  rig.same_bits(model.weight.grad:copy(), twin.weight.grad)
  model:get()
end)

case("what was fetched is a leaf of its own here", function(bob)
  local p = tide.tensor {1, 2}:requires_grad_():send(bob)
  local y = p:mul(2):get()
  eq({y.requires_grad, y.is_leaf}, {false, true})
  local x = p:get()
  x:mul(4):sum():backward()
  eq(x.grad, {4, 4})
end)

rig.run()
