-- The random numbers' generator. A random op's values are a function of (seed, stream, position) alone; the
-- stream is counted here, whichever place the op runs at, so results do not depend on where they are made.
local core = require "tide.core"
local op = require "tide.ops"

local random = {}
local seed, stream = math.random(0), 0

-- Begins anew: the same seed gives the same numbers.
function random.set_seed(new)
  core.not_traced("manual_seed", "the seed")
  seed, stream = new, 0
end

-- The seed and the stream of the next random op; in a trace such that each run draws anew.
function random.random_stream()
  local traced_seed, traced_stream = core.trace_draw()
  if traced_seed then return traced_seed, traced_stream end
  stream = stream + 1
  return seed, stream
end

-- The same for the `count` streams of a program's run: the seed and the first of them.
core.hook("random_streams", function(count)
  local first = stream + 1
  stream = stream + count
  return seed, first
end)

-- State of the generator, to be kept in a checkpoint and put back.
function random.random_state() return {seed = seed, stream = stream} end
function random.set_random_state(state) seed, stream = state.seed, state.stream end

-- Zeros and ones, ones with probability p, in x's shape and dtype, where x lives.
function random.bernoulli_like(x, p)
  local s, n = random.random_stream()
  return op.bernoulli(x, x:size(), p, s, n, x:dtype())
end

return random
