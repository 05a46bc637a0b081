-- Random choices of the library itself: permutations, and single numbers for Lua code. With a
-- seed they are a sequence of their own; without one each takes the next stream of the common
-- generator.
local core = require "tide.core"
local op = require "tide.ops"

local Draws = {}
Draws.__index = Draws

local BLOCK = 1024

-- draws.new(seed): seed is an integer or nil.
local function new(seed, call)
  if seed ~= nil and math.type(seed) ~= "integer" then
    core.fail("argument", call, "the seed is %s, not an integer", core.what(seed))
  end
  return setmetatable({seed = seed, streams = 0, numbers = {}, used = 0}, Draws)
end

-- Seed and stream of the next random operation.
function Draws:next()
  if not self.seed then return core.random_stream() end
  core.not_traced("seed", "a sequence with a seed of its own")
  self.streams = self.streams + 1
  return self.seed, self.streams
end

-- 1..n in a random order, i64, made where `like` lives (here when it is nil).
function Draws:permutation(n, like)
  local seed, stream = self:next()
  return op.randperm(like, n, seed, stream)
end

-- A number in [0, 1).
function Draws:uniform()
  if self.used == #self.numbers then
    local seed, stream = self:next()
    self.numbers, self.used = op.rand(nil, {BLOCK}, seed, stream, "f64"):totable(), 0
  end
  self.used = self.used + 1
  return self.numbers[self.used]
end

-- A list's entries in a random order, in place.
function Draws:shuffle(list)
  for i = #list, 2, -1 do
    local j = 1 + math.floor(self:uniform() * i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

function Draws:normal()
  local radius = math.sqrt(-2 * math.log(1 - self:uniform()))
  return radius * math.cos(2 * math.pi * self:uniform())
end

-- The logarithm of a number of the gamma distribution with scale 1 (Marsaglia and Tsang 2000).
-- In logarithms because small shapes give numbers below the smallest double.
function Draws:log_gamma(shape)
  if shape < 1 then return self:log_gamma(shape + 1) + math.log(1 - self:uniform()) / shape end
  local d = shape - 1 / 3
  local c = 1 / math.sqrt(9 * d)
  while true do
    local x = self:normal()
    local v = (1 + c * x) ^ 3
    if v > 0 and math.log(1 - self:uniform()) < 0.5 * x * x + d - d * v + d * math.log(v) then
      return math.log(d) + math.log(v)
    end
  end
end

-- n positive numbers that sum to 1, of the symmetric Dirichlet distribution.
function Draws:dirichlet(n, alpha)
  local shares, most, sum = {}, -math.huge, 0
  for i = 1, n do
    shares[i] = self:log_gamma(alpha)
    most = math.max(most, shares[i])
  end
  for i = 1, n do
    shares[i] = math.exp(shares[i] - most)
    sum = sum + shares[i]
  end
  for i = 1, n do shares[i] = shares[i] / sum end
  return shares
end

return {new = new}
