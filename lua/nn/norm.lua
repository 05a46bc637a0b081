-- nn: normalisations.

local core = require "tide.core"
local tide = require "tide"
local F = require "tide.functional.norm"
local Module = require "tide.module"
local init = require "tide.nn.init"
local check = require "tide.check"

local nn = {}

local function lua_list(sizes) return #sizes == 1 and tostring(sizes[1]) or table.concat(sizes, "x") end

-- What BatchNorm1d and BatchNorm2d share; they differ in the inputs they take.
local BatchNorm = Module:extend("nn.BatchNorm")

function BatchNorm:init(features, opts)
  local call = self.class_name
  local o = core.options(call, opts,
    {eps = 1e-5, momentum = 0.1, affine = true, track_running_stats = true})
  self.num_features = check.count(call, "the number of channels", features, 1)
  self.eps = check.number(call, "eps", o.eps, 0)
  self.momentum = check.number(call, "momentum", o.momentum, 0, 1)
  if o.affine then
    self.weight = init.constant({features}, 1)
    self.bias = init.constant({features}, 0)
  end
  if o.track_running_stats then
    self:register_buffer("running_mean", tide.zeros(features))
    self:register_buffer("running_var", tide.ones(features))
    self:register_buffer("num_batches_tracked", tide.zeros({}, {dtype = "i64"}))
  end
end

function BatchNorm:forward(x)
  self:check_input(x)
  local tracked = self.running_mean ~= nil
  if self.training and tracked then
    self.num_batches_tracked:assign(self.num_batches_tracked + 1)
  end
  return F.batch_norm(x, {running_mean = self.running_mean, running_var = self.running_var,
    weight = self.weight, bias = self.bias, training = self.training or not tracked,
    momentum = self.momentum, eps = self.eps})
end

function BatchNorm:check_channels(x, wanted, fits)
  if not fits or x:size(2) ~= self.num_features then
    core.fail("shape", self.class_name, "the input is %s, not %s with %d channels", core.shape_text(x),
      wanted, self.num_features)
  end
end

function BatchNorm:brief() return ("%s %d"):format(self.class_name, self.num_features) end

function BatchNorm:extra_repr()
  return ("%d, eps=%g, momentum=%g, affine=%s, track_running_stats=%s"):format(self.num_features,
    self.eps, self.momentum, self.weight ~= nil, self.running_mean ~= nil)
end

--- nn.BatchNorm1d(channels): normalises each channel of [N, C] or [N, C, L] over the batch (Ioffe
-- and Szegedy 2015); after eval() by the running mean and variance. Options: eps = 1e-5,
-- momentum = 0.1, affine = true (a weight of ones and a bias of zeros to be trained),
-- track_running_stats = true.
--
--   nn.BatchNorm1d(1, {eps = 0})(tide.tensor{{1}, {3}}):totable() --> {{-1}, {1}}
nn.BatchNorm1d = BatchNorm:extend("nn.BatchNorm1d")

function nn.BatchNorm1d:check_input(x)
  self:check_channels(x, "[N, C] or [N, C, L]", x:dim() == 2 or x:dim() == 3)
end

--- nn.BatchNorm2d(channels): the same for images [N, C, H, W].
--
--   nn.BatchNorm2d(3)(tide.randn(2, 3, 4, 4)):size() --> {2, 3, 4, 4}
nn.BatchNorm2d = BatchNorm:extend("nn.BatchNorm2d")

function nn.BatchNorm2d:check_input(x) self:check_channels(x, "[N, C, H, W]", x:dim() == 4) end

--- nn.LayerNorm(shape): normalises over the last dimensions, whose sizes are shape, a number or a
-- list (Ba, Kiros and Hinton 2016). Options: eps = 1e-5, elementwise_affine = true (a weight of
-- ones and a bias of zeros to be trained).
--
--   nn.LayerNorm(2, {eps = 0})(tide.tensor{{1, 3}}):totable() --> {{-1, 1}}
nn.LayerNorm = Module:extend("nn.LayerNorm")

function nn.LayerNorm:init(shape, opts)
  local o = core.options("nn.LayerNorm", opts, {eps = 1e-5, elementwise_affine = true})
  self.normalized_shape = type(shape) == "table" and shape or {shape}
  for _, size in ipairs(self.normalized_shape) do check.count("nn.LayerNorm", "a size", size, 1) end
  if #self.normalized_shape == 0 then
    core.fail("argument", "nn.LayerNorm", "the sizes are %s, not a number or a list", core.what(shape))
  end
  self.eps = check.number("nn.LayerNorm", "eps", o.eps, 0)
  if o.elementwise_affine then
    self.weight = init.constant(self.normalized_shape, 1)
    self.bias = init.constant(self.normalized_shape, 0)
  end
end

function nn.LayerNorm:forward(x)
  return F.layer_norm(x, self.normalized_shape,
    {weight = self.weight, bias = self.bias, eps = self.eps})
end

function nn.LayerNorm:brief() return "nn.LayerNorm " .. lua_list(self.normalized_shape) end

function nn.LayerNorm:extra_repr()
  return ("(%s), eps=%g, elementwise_affine=%s"):format(table.concat(self.normalized_shape, ", "), self.eps,
    self.weight ~= nil)
end

--- nn.GroupNorm(groups, channels): normalises each of `groups` equal groups of channels of [N, C,
-- ...] for itself (Wu and He 2018). Options: eps = 1e-5, affine = true.
--
--   nn.GroupNorm(2, 4)(tide.randn(1, 4, 3, 3)):size() --> {1, 4, 3, 3}
nn.GroupNorm = Module:extend("nn.GroupNorm")

function nn.GroupNorm:init(groups, channels, opts)
  local o = core.options("nn.GroupNorm", opts, {eps = 1e-5, affine = true})
  self.num_groups = check.count("nn.GroupNorm", "the number of groups", groups, 1)
  self.num_channels = check.count("nn.GroupNorm", "the number of channels", channels, 1)
  self.eps = check.number("nn.GroupNorm", "eps", o.eps, 0)
  if channels % groups ~= 0 then
    core.fail("argument", "nn.GroupNorm", "%d channels do not make %d equal groups", channels, groups)
  end
  if o.affine then
    self.weight = init.constant({channels}, 1)
    self.bias = init.constant({channels}, 0)
  end
end

function nn.GroupNorm:forward(x)
  return F.group_norm(x, self.num_groups, {weight = self.weight, bias = self.bias, eps = self.eps})
end

function nn.GroupNorm:brief() return ("nn.GroupNorm %d, %d"):format(self.num_groups, self.num_channels) end

function nn.GroupNorm:extra_repr()
  return ("%d, %d, eps=%g, affine=%s"):format(self.num_groups, self.num_channels, self.eps,
    self.weight ~= nil)
end

return nn
