-- Gradients of a few rows: of nn.Embedding with sparse = true. Steps of the optimisers against PyTorch's, what
-- w.grad is and does, time and memory by the rows that are used, and where such gradients are refused.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local golden = dofile(here .. "/../golden/common.lua")
local figures = dofile(here .. "/../golden/sparse.lua")

local function ids_of(list) return tide.tensor(list, {dtype = "i64"}) end

local function table_of(rows, width, dtype, opts)
  local e = nn.Embedding(rows, width, opts or {sparse = true}):to(dtype or "f64")
  tide.no_grad(function() e.weight:assign(golden.even({rows, width}, 1)) end)
  return e
end

-- ---- five steps ----

local cases = {
  sgd = {function(p) return optim.SGD(p, {lr = 0.1}) end},
  clipped = {function(p) return optim.SGD(p, {lr = 0.1}) end, 1.5},
  momentum = {function(p) return optim.SGD(p, {lr = 0.1, momentum = 0.9}) end},
  adagrad = {function(p) return optim.Adagrad(p, {lr = 0.1, lr_decay = 0.1, initial_accumulator_value = 0.5}) end},
  adam = {function(p) return optim.SparseAdam(p, {lr = 0.05, betas = {0.8, 0.95}}) end},
}
golden.same_names("sparse", cases, figures)

local function step_ids(step, k)
  local list = {}
  for i = 0, 5 do list[i + 1] = (i * (step + 3) + step + k) % 8 end
  return ids_of(list)
end

local function steps(name, sparse, compiled)
  local e = table_of(9, 4, "f64", {sparse = sparse})
  local opt = cases[name][1](e:parameters())
  local function forward(ids, want)
    local loss = (e(ids) - want):square():sum()
    loss:backward()
    return loss
  end
  local function whole(ids, want)
    opt:zero_grad()
    local loss = forward(ids, want)
    if cases[name][2] then optim.clip_grad_norm(e:parameters(), cases[name][2]) end
    opt:step()
    return loss
  end
  if compiled then whole = tide.compile(whole) end
  for step = 0, 4 do
    local want = figures[name][step + 1]
    local what = ("%s, step %d"):format(name, step + 1)
    local loss
    if step == 3 and compiled then return end
    if step == 3 then
      opt:zero_grad()
      for k = 0, 1 do loss = forward(step_ids(step, k), golden.even({6, 4}, 50 + step + k)) end
      if cases[name][2] then optim.clip_grad_norm(e:parameters(), cases[name][2]) end
      opt:step()
    else
      loss = whole(step_ids(step, 0), golden.even({6, 4}, 50 + step))
    end
    golden.check_number(what .. ": loss", loss:item(), want.loss)
    golden.check(what .. ": weight", e.weight, want.weight)
    if not compiled then
      check.eq(type(e.weight.grad) == "table", sparse, what)
      local g = sparse and e.weight.grad:to_dense() or e.weight.grad
      golden.check(what .. ": gradient", g, want.gradient)
    end
  end
end

for name in pairs(cases) do
  steps(name, true)
  steps(name, true, true)
  if name ~= "adam" then steps(name, false) end -- these rules are the same for whole gradients
end

-- ---- what w.grad is ----

do
  local e = table_of(10, 3, "f32")
  local ids = ids_of {{1, 5}, {1, 7}}
  local dense = table_of(10, 3, "f32", {})
  local weight = tide.arange(1, 12):reshape(2, 2, 3)
  ;(e(ids) * weight):sum():backward()
  ;(dense(ids) * weight):sum():backward()
  local g = e.weight.grad
  check.eq(tide.equal(g:to_dense(), dense.weight.grad), true)
  check.eq(g:size(), {10, 3})
  check.eq({g:size(1), g:size(-1), g:dim(), g:numel(), g:dtype()}, {10, 3, 2, 30, "f32"})
  check.eq(g.ids, {1, 5, 1, 7})
  check.eq(g.values, {{8, 10, 12}, {4, 5, 6}, {0, 0, 0}, {10, 11, 12}})
  check.near(g:norm():item(), dense.weight.grad:norm():item(), 1e-6)
  check.eq(tide.equal((g + g):to_dense(), dense.weight.grad * 2), true)
  check.eq((g + g).values:size(), {8, 3})
  check.eq(tide.equal(g + dense.weight.grad, dense.weight.grad * 2), true)
  check.eq(tide.equal((2 * g / 4):to_dense(), dense.weight.grad / 2), true)
  check.eq(tide.equal((-g):to_dense(), -dense.weight.grad), true)
  check.eq(tostring(g), "  8  10  12\n  4   5   6\n 10  11  12\n[3x3 f32]\n[gradient of rows of 10x3 f32: 1, 5, 7]")

  -- it accumulates, and a factor put on it stays
  ids:assign(0) -- what was looked up does not change behind its back
  e.weight.grad = g * 10
  ;(e(ids_of {9}) * 3):sum():backward()
  local wanted = dense.weight.grad * 10
  wanted[10] = 3
  check.eq(tide.equal(e.weight.grad:to_dense(), wanted), true)
  check.eq(e.weight.grad.ids, {1, 5, 1, 7, 9})
  e.weight.grad.values:assign(0)
  check.eq(e.weight.grad:norm():item(), 0)
  e:zero_grad()
  check.eq(e.weight.grad, nil)

  -- with a whole gradient beside it, it is whole: a table that is used for both ends of a model
  local tied = (e(ids_of {2}):matmul(e.weight:t())):sum()
  local same = (dense(ids_of {2}):matmul(dense.weight:t())):sum()
  dense:zero_grad()
  tied:backward()
  same:backward()
  check.eq(tide.equal(e.weight.grad, dense.weight.grad), true)
  e(ids_of {4}):sum():backward()
  dense(ids_of {4}):sum():backward()
  check.eq(tide.equal(e.weight.grad, dense.weight.grad), true)

  -- tide.grad, a weight that is computed, second derivatives: whole
  check.eq(tide.grad(e(ids_of {4}):sum(), e.weight):size(), {10, 3})
  local w = tide.ones(4, 2):requires_grad_()
  F.embedding(ids_of {3, 3}, w * 2, {sparse = true}):sum():backward()
  check.eq(w.grad, {{0, 0}, {0, 0}, {0, 0}, {4, 4}})
  local first = tide.grad(F.embedding(ids_of {3}, w, {sparse = true}):pow(3):sum(), w, {create_graph = true})
  check.eq(tide.grad(first:sum(), w)[4], {6, 6})

  -- ids of another dtype, padding, no ids at all
  local padded = nn.Embedding(5, 2, {sparse = true, padding_idx = 3})
  padded(tide.tensor({3, 1}, {dtype = "i32"})):sum():backward()
  check.eq(padded.weight.grad:to_dense(), {{0, 0}, {1, 1}, {0, 0}, {0, 0}, {0, 0}})
  check.eq(tostring(padded), "Embedding(5, 2, padding_idx=3, sparse=true)")
  padded:zero_grad()
  padded(tide.zeros({0}, {dtype = "i64"})):sum():backward()
  check.eq(tostring(padded.weight.grad), "[gradient of rows of 5x2 f32: none]")
  check.eq(padded:state_dict().weight:size(), {5, 2})
end

-- ---- cost ----

-- A step of a table of 16 million numbers takes no memory by its rows.
do
  local core = require "tide.core"
  local e = nn.Embedding(1000000, 16, {sparse = true})
  local opt = optim.SGD(e:parameters(), {lr = 0.1})
  local ids = ids_of {5, 999999, 5}
  local function step()
    opt:zero_grad()
    e(ids):sum():backward()
    optim.clip_grad_norm(e:parameters(), 1)
    opt:step()
  end
  step()
  local before = select(4, core.data_bytes())
  for _ = 1, 10 do step() end
  local bytes = select(4, core.data_bytes()) - before
  assert(bytes < 1000000, ("ten steps took %d bytes"):format(bytes))
  local compiled = tide.compile(step)
  compiled()
  compiled()
  before = select(4, core.data_bytes())
  for _ = 1, 10 do compiled() end
  bytes = select(4, core.data_bytes()) - before
  assert(bytes < 1000000, ("ten compiled steps took %d bytes"):format(bytes))
end

-- ---- what is refused ----

do
  local e, linear = table_of(4, 2), nn.Linear(2, 2)
  local function refused(make, want)
    e:zero_grad()
    e(ids_of {1}):sum():backward()
    return check.fails(want, function() make(e:parameters()):step() end)
  end
  for _, name in ipairs {"Adam", "AdamW", "RMSprop"} do
    local err = refused(optim[name], ("optim.%s: a parameter has a gradient of rows alone"):format(name))
    check.eq(err.hint, "optim.SGD, optim.Adagrad and optim.SparseAdam take them; or leave out {sparse = true}")
  end
  refused(function(p) return optim.SGD(p, {lr = 1, weight_decay = 0.1}) end,
    "optim.SGD: weight_decay does not go with gradients of rows alone")
  refused(function(p) return optim.Adagrad(p, {weight_decay = 0.1}) end,
    "optim.Adagrad: weight_decay does not go with gradients of rows alone")
  linear(tide.ones(1, 2)):sum():backward()
  check.fails("optim.SparseAdam: a parameter has a gradient that is whole", function()
    optim.SparseAdam(linear:parameters()):step()
  end)
  local g = e.weight.grad
  check.fails("grad: a gradient of rows has no field or method 'exp'", function() return g.exp end)
  check.fails("mul: a gradient of rows takes a number, got a tensor 2 f64", function()
    return g * tide.ones({2}, {dtype = "f64"})
  end)
  check.fails("size: dim 3 of a tensor with 2 dimensions", function() return g:size(3) end)
  check.fails("add: gradients of 4x2 and 5x2", function()
    local other = table_of(5, 2)
    other(ids_of {1}):sum():backward()
    return g + other.weight.grad
  end)
  check.fails("grad: a gradient of 4x2 for a tensor of 2x2", function() linear.weight.grad = g end)
  check.fails("grad: can be set to a tensor or nil, got a table", function() linear.weight.grad = {} end)
end
