-- F: normalisations.

local core = require "tide.core"
local op = require "tide.ops"
local check = require "tide.check"

local F = {}

local function scale_and_shift(y, weight, bias)
  if weight then y = y * weight end
  if bias then y = y + bias end
  return y
end

-- Sizes that put a vector of channels along dimension 2.
local function channel_sizes(x)
  local sizes = {1, -1}
  for d = 3, x:dim() do sizes[d] = 1 end
  return sizes
end

local function along_channels(tensor, sizes) return tensor and tensor:reshape(sizes) end

-- norm applied to x, with weight and bias in the same pass when there are both; what it returns.
-- beside_x makes a weight or bias broadcast with x.
local function normalise(norm, x, o, beside_x, ...)
  if o.weight and o.bias then return norm({x, o.weight, o.bias}, o.eps, ...) end
  local y, mean, var = norm({x}, o.eps, ...)
  return scale_and_shift(y, beside_x(o.weight), beside_x(o.bias)), mean, var
end

-- running = (1 - momentum) * running + momentum * now
local function follow(running, now, momentum)
  local _ <close> = core.no_grad()
  running:assign(running * (1 - momentum) + now:reshape(-1) * momentum)
end

--- Normalises each channel of x [N, C, ...] over all its other dimensions (Ioffe and Szegedy
-- 2015). Options: running_mean and running_var [C], which are used when training = false (the
-- default) and follow the batch's, changed in place, when it is true; weight and bias [C];
-- momentum = 0.1; eps = 1e-5.
--
--   F.batch_norm(tide.tensor{{1}, {3}}, {training = true, eps = 0}):totable() --> {{-1}, {1}}
function F.batch_norm(x, opts)
  check.tensor("batch_norm", "the input", x)
  local o = core.options("batch_norm", opts, {training = false, momentum = 0.1, eps = 1e-5},
    {"running_mean", "running_var", "weight", "bias"})
  if x:dim() < 2 then
    core.fail("shape", "batch_norm", "the input is %s, not [N, C, ...]", core.shape_text(x))
  end
  local sizes = channel_sizes(x)
  local function beside_x(tensor) return along_channels(tensor, sizes) end
  if o.training then
    local count = x:numel() // math.max(x:size(2), 1)
    if count < 2 then
      core.fail("shape", "batch_norm", "training needs more than one value a channel, the input is %s",
        core.shape_text(x))
    end
    local y, mean, var = normalise(op.batch_norm, x, o, beside_x)
    if o.running_mean then follow(o.running_mean, mean:detach(), o.momentum) end
    if o.running_var then follow(o.running_var, var:detach() * (count / (count - 1)), o.momentum) end
    return y
  elseif not o.running_mean or not o.running_var then
    core.fail("argument", "batch_norm", "running_mean and running_var are needed when not training")
  end
  local y = (x - beside_x(o.running_mean)) * (beside_x(o.running_var) + o.eps):rsqrt()
  return scale_and_shift(y, beside_x(o.weight), beside_x(o.bias))
end

--- Normalises over the last dimensions, whose sizes are shape, a number or a list (Ba, Kiros and
-- Hinton 2016). Options: weight and bias of those sizes, eps = 1e-5.
--
--   F.layer_norm(tide.tensor{{1, 3}}, 2, {eps = 0}):totable() --> {{-1, 1}}
function F.layer_norm(x, shape, opts)
  check.tensor("layer_norm", "the input", x)
  local o = core.options("layer_norm", opts, {eps = 1e-5}, {"weight", "bias"})
  shape = type(shape) == "table" and shape or {shape}
  local size = x:size()
  for i, want in ipairs(shape) do
    local d = #size - #shape + i
    if size[d] ~= want then
      core.fail("shape", "layer_norm", "%s does not end in %s", core.shape_text(x),
        table.concat(shape, "x"))
    end
  end
  return (normalise(op.layer_norm, x, o, function(tensor) return tensor end, #shape))
end

--- Normalises each of `groups` equal groups of channels of x [N, C, ...] for itself (Wu and He
-- 2018). Options: weight and bias [C], eps = 1e-5.
--
--   F.group_norm(tide.tensor{{1, 3, 2, 4}}, 2, {eps = 0}):totable() --> {{-1, 1, -1, 1}}
function F.group_norm(x, groups, opts)
  check.tensor("group_norm", "the input", x)
  local o = core.options("group_norm", opts, {eps = 1e-5}, {"weight", "bias"})
  check.count("group_norm", "groups", groups, 1)
  if x:dim() < 2 or x:size(2) % groups ~= 0 then
    core.fail("shape", "group_norm", "the channels of %s do not make %d equal groups", core.shape_text(x),
      groups)
  end
  local sizes = channel_sizes(x)
  return (normalise(op.group_norm, x, o, function(tensor) return along_channels(tensor, sizes) end, groups))
end

local function norm_along(x, p, dim)
  local keep = {keepdim = true}
  if p == 2 then return x:square():sum(dim, keep):sqrt() end
  if p == 1 then return x:abs():sum(dim, keep) end
  if p == math.huge then return x:abs():amax(dim, keep) end
  return (x:abs() ^ p):sum(dim, keep) ^ (1 / p)
end

--- x over its norm along a dimension, or over eps where that is larger. Options: p = 2, dim = 2
-- (1 for a vector), eps = 1e-12.
--
--   F.normalize(tide.tensor{{3, 4}}):totable() --> {{0.6, 0.8}}
function F.normalize(x, opts)
  check.tensor("normalize", "the input", x)
  local o = core.options("normalize", opts, {p = 2, dim = x:dim() > 1 and 2 or 1, eps = 1e-12})
  return x / norm_along(x, o.p, o.dim):clamp(o.eps)
end

return F
