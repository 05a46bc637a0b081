-- Eager operations from Lua: what one costs besides its arithmetic. Each figure is the least mean of many
-- short rounds, so that other programs disturb it little; memory is let go as a script does it, by the
-- collector, whose time is in the figures.
local clock = os.clock

local ROUNDS, WARM = 40, 3

-- The time of f(n), which does something n times, in us for one.
local function least(n, f)
  local best = math.huge
  for round = 1, ROUNDS + WARM do
    local from = clock()
    f(n)
    local each = (clock() - from) / n * 1e6
    if round > WARM and each < best then best = each end
  end
  return best
end

-- The same over all rounds together: what a long loop pays, full runs of the collector included.
local function mean(n, f)
  f(n)
  local from = clock()
  for _ = 1, ROUNDS do f(n) end
  return (clock() - from) / (n * ROUNDS) * 1e6
end

local function figure(case, value)
  print(("eager\t%s\t%.4g\tus"):format(case, value))
end

local function adds(x, y)
  return function(n)
    for _ = 1, n do local _ = x + y end
  end
end

local one, two = tide.tensor{1}, tide.tensor{2}
local leaf = tide.tensor{1}:requires_grad_()
local wide, high = tide.randn(64, 128), tide.randn(64, 128)
local wide_leaf = tide.randn(64, 128):requires_grad_()
local vector, matrix = tide.randn(64, 128), tide.randn(128, 10)

tide.threads(1)
figure("empty-loop", least(20000, function(n) for _ = 1, n do end end))
figure("add-1", least(20000, adds(one, two)))
figure("add-1-mean", mean(20000, adds(one, two)))
figure("add-1-number", least(20000, adds(one, 2)))
figure("add-1-gradient", least(20000, adds(leaf, two)))
figure("add-1-gradient-mean", mean(20000, adds(leaf, two)))
figure("relu-1", least(20000, function(n) for _ = 1, n do local _ = one:relu() end end))
figure("add-64x128", least(2000, adds(wide, high)))
figure("add-64x128-mean", mean(2000, adds(wide, high)))
figure("add-64x128-gradient", least(2000, adds(wide_leaf, high)))
figure("matmul-64x128x10", least(2000, function(n) for _ = 1, n do local _ = vector:matmul(matrix) end end))
figure("mul-sum-backward-1", least(2000, function(n)
  for _ = 1, n do
    leaf.grad = nil;
    (leaf * two):sum():backward()
  end
end))
