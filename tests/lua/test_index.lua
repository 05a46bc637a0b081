-- x[key] and x[key] = value: positions, torch7's ranges, masks; gradients through them.
local check = dofile(arg[0]:match("^(.*/)") .. "helper.lua")
local eq, fails = check.eq, check.fails

local function grid() return tide.arange(1, 12):view(3, 4) end
local x = grid()

-- ---- reading ----

eq(x[1], {1, 2, 3, 4})
eq(x[-1], {9, 10, 11, 12})
eq(x[2][3]:item(), 7)
eq(x[2.0], {5, 6, 7, 8})
eq(x[{2, 3}]:item(), 7)
eq(x[{1}], {1, 2, 3, 4})
eq(x[{{1, 2}, 2}], {2, 6})
eq(x[{{}, 1}], {1, 5, 9})
eq(x[{{}, {2, -1}}], {{2, 3, 4}, {6, 7, 8}, {10, 11, 12}})
eq(x[{{-2, -1}, {1}}], {{5}, {9}})
eq(x[{{2}}], {{5, 6, 7, 8}})
eq(x[{}], x:totable())
eq(x[{{2, 1}}]:size(), {0, 4})
eq(tide.zeros(2, 3, 4)[{{}, 2}]:size(), {2, 4})

local mask = x:gt(10)
eq(x[mask], {11, 12})
eq(x[tide.tensor {true, false, true}], {{1, 2, 3, 4}, {9, 10, 11, 12}})
eq(x[tide.zeros(3, 4):gt(0)]:size(), {0})

fails("index: position 4 of dimension 1, which has 3", function() return x[4] end)
fails("index: position -4 of dimension 1, which has 3", function() return x[-4] end)
fails("index: position 0: positions count from 1, or from -1 backwards", function() return x[0] end)
fails("index: a tensor with 0 dimensions has no position 1", function() return tide.tensor(1)[1] end)
fails("index: range {2, 9} of dimension 1, which has 3", function() return x[{{2, 9}}] end)
fails("index: range {0, 1} of dimension 2, which has 4", function() return x[{1, {0, 1}}] end)
fails("index: 3 entries for a tensor with 2 dimensions", function() return x[{1, 1, 1}] end)
fails("index: a range is {}, {i} or {first, last}, got 3 entries", function() return x[{{1, 2, 3}}] end)
fails("index: a range is {}, {i} or {first, last}, got a string in it", function() return x[{{"a", 2}}] end)
fails("index: entry 1 is a position or a range {first, last}, got a string", function() return x[{"a"}] end)
fails("index: a position, a table of ranges or a bool tensor is wanted, got 1.5", function() return x[1.5] end)
fails("index: a position, a table of ranges or a bool tensor is wanted, got true",
      function() return x[true] end)
local err = fails("index: a tensor as an index is a bool mask, got a tensor 3x4 f32", function() return x[x] end)
eq(err.hint, "positions go through x:index_select(dim, ids)")
fails("index: a mask of 4 for a tensor of 3x4", function() return x[tide.ones(4):gt(0)] end)

-- ---- writing ----

local y = grid()
y[1] = 0
eq(y[1], {0, 0, 0, 0})
y[2] = {1, 2, 3, 4}
eq(y[2], {1, 2, 3, 4})
y[{3, {1, 2}}] = tide.tensor {7, 8}
eq(y[3], {7, 8, 11, 12})
y[{{}, 4}] = -1
eq(y[{{}, 4}], {-1, -1, -1})
y[{2, 2}] = 50
eq(y[2][2]:item(), 50)
y[{}] = 5
eq(y:eq(5):all(), true)
y[2][3] = 6
eq(y[2], {5, 5, 6, 5})
y[y:gt(5)] = 0
eq(y[2], {5, 5, 0, 5})
y[tide.tensor {true, false, true}] = tide.tensor {1, 2, 3, 4}
eq(y, {{1, 2, 3, 4}, {5, 5, 0, 5}, {1, 2, 3, 4}})
y[y:eq(5)] = tide.tensor {10, 20, 30}
eq(y, {{1, 2, 3, 4}, {10, 20, 0, 30}, {1, 2, 3, 4}})
y[tide.tensor {true, false, true}] = tide.tensor {{1, 1, 1, 1}, {2, 2, 2, 2}}
eq(y, {{1, 1, 1, 1}, {10, 20, 0, 30}, {2, 2, 2, 2}})
local i = tide.zeros(2, {dtype = "i64"})
i[1] = 3
eq(i, {3, 0})
i[i:eq(0)] = 4
eq(i, {3, 4})
eq(i:dtype(), "i64")
local b = tide.tensor {true, true}
b[1] = false
eq(b, {false, true})

-- Overlapping source and destination.
local o = tide.arange(1, 5)
o[{{2, 5}}] = o[{{1, 4}}]
eq(o, {1, 1, 2, 3, 4})

fails("assign: 3 does not broadcast to 4", function() y[1] = tide.ones(3) end)
fails("index: position 9 of dimension 1, which has 3", function() y[9] = 1 end)
fails("index: a number, tensor or table can be assigned, got a string", function() y[1] = "1" end)
fails("index: 2x4 for a mask with 1 true elements",
      function() y[tide.tensor {true, false, false}] = tide.ones(2, 4) end)

-- ---- gradients ----

local w = grid():requires_grad_()
;(w[{{1, 2}, 2}] * tide.tensor {10, 20}):sum():backward()
eq(w.grad, {{0, 10, 0, 0}, {0, 20, 0, 0}, {0, 0, 0, 0}})
w.grad = nil
eq(w.grad, nil)
w[w:gt(10)]:sum():backward()
eq(w.grad, {{0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 1, 1}})
w.grad = nil
w[-1]:sum():backward()
eq(w.grad, {{0, 0, 0, 0}, {0, 0, 0, 0}, {1, 1, 1, 1}})
err = fails("assign: the tensor requires a gradient and cannot be changed in place", function() w[1] = 0 end)
assert(err.hint:find "no_grad")
tide.no_grad(function() w[1] = 0 end)
eq(w[1], {0, 0, 0, 0})
