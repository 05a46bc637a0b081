-- F: the losses. All take {reduction = "mean" | "sum" | "none"}.

local core = require "tide.core"
local op = require "tide.ops"
local check = require "tide.check"

local F = {}

local REDUCTIONS = {none = 0, mean = 1, sum = 2}

local function check_reduction(call, reduction)
  check.word(call, "reduction", reduction, {"mean", "sum", "none"})
end

local function reduce(call, loss, reduction)
  check_reduction(call, reduction)
  if reduction == "mean" then return loss:mean() end
  return reduction == "sum" and loss:sum() or loss
end

-- Losses of pairs: broadcasting [64, 1] against [64] would give 64x64 losses and no error.
local function check_pair(call, x, y)
  check.tensor(call, "the input", x)
  if type(y) == "number" then return end
  check.tensor(call, "the target", y)
  if core.shape_text(x) ~= core.shape_text(y) then
    core.fail("shape", call, "the input is %s, the target %s", core.shape_text(x), core.shape_text(y))
  end
end

-- The losses of labels, each times its class's weight, those of ignored labels 0; and what the
-- mean divides by.
local function weighted_nll(logp, labels, weight, ignore_index)
  local kept
  if ignore_index then
    kept = labels:ne(ignore_index)
    labels = op.where(kept, labels, 0)
  end
  local loss = op.nll_loss(logp, labels, REDUCTIONS.none)
  local factor
  if weight then
    factor = weight:index_select(1, labels:reshape(-1) + 1):reshape(labels:size())
  end
  if kept then
    local ones = kept:to(logp:dtype())
    factor = factor and factor * ones or ones
    loss = op.where(kept, loss, 0)
  end
  return loss * factor, factor
end

local function nll(call, logp, labels, o)
  check_reduction(call, o.reduction)
  if not o.weight and not o.ignore_index then return op.nll_loss(logp, labels, REDUCTIONS[o.reduction]) end
  if o.weight then check.tensor(call, "the weight", o.weight) end
  local loss, factor = weighted_nll(logp, labels, o.weight, o.ignore_index)
  if o.reduction == "mean" then return loss:sum() / factor:sum() end
  return o.reduction == "sum" and loss:sum() or loss
end

--- Minus the log probability that logp [N, C] or [N, C, ...] gives the labels: i64 [N] or [N,
-- ...], counting from 0. Options: reduction = "mean"; weight [C], one for each class (the mean
-- is then a weighted one); ignore_index, a label that counts nothing.
--
--   F.nll_loss(tide.tensor{{-1, -2}}, tide.tensor({1}, {dtype = "i64"})):item() --> 2.0
function F.nll_loss(logp, labels, opts)
  check.tensor("nll_loss", "the input", logp)
  check.tensor("nll_loss", "the target", labels)
  local o = core.options("nll_loss", opts, {reduction = "mean"}, {"weight", "ignore_index"})
  return nll("nll_loss", logp, labels, o)
end

-- Against probabilities of the classes instead of labels.
local function soft_cross_entropy(logp, target, o)
  if target:dim() == logp:dim() - 1 then
    core.fail("dtype", "cross_entropy", "labels are i64, i32 or u8, got %s", target:dtype())
  end
  check_pair("cross_entropy", logp, target)
  return reduce("cross_entropy", -(logp * target):sum(2), o.reduction)
end

--- nll_loss of the log_softmax of logits [N, C] or [N, C, ...] over the classes. The target is
-- labels, i64, counting from 0, or probabilities of the logits' own shape and a float dtype.
-- Options as nll_loss, and label_smoothing = 0: how much of each target is spread evenly over
-- the classes (Szegedy et al. 2016).
--
--   F.cross_entropy(tide.zeros(1, 2), tide.tensor({1}, {dtype = "i64"})):exp():item() --> 2.0
function F.cross_entropy(logits, target, opts)
  check.tensor("cross_entropy", "the input", logits)
  check.tensor("cross_entropy", "the target", target)
  local o = core.options("cross_entropy", opts, {reduction = "mean", label_smoothing = 0},
    {"weight", "ignore_index"})
  if logits:dim() < 2 then
    core.fail("shape", "cross_entropy", "the input is %s, not [N, C]", core.shape_text(logits))
  end
  local smoothing = check.number("cross_entropy", "label_smoothing", o.label_smoothing, 0, 1)
  local logp, dtype = logits:log_softmax(2), target:dtype()
  if dtype == "f32" or dtype == "f64" then
    if o.weight or o.ignore_index or smoothing > 0 then
      core.fail("unsupported", "cross_entropy",
        "weight, ignore_index and label_smoothing go with labels, not with probabilities")
    end
    return soft_cross_entropy(logp, target, o)
  end
  local hard = nll("cross_entropy", logp, target, o)
  if smoothing == 0 then return hard end
  if o.weight or o.ignore_index then
    core.fail("unsupported", "cross_entropy", "label_smoothing together with weight or ignore_index")
  end
  return hard * (1 - smoothing) + reduce("cross_entropy", -logp:mean(2), o.reduction) * smoothing
end

--- The squared difference of each pair of elements. The shapes must be the same. Option:
-- reduction = "mean".
--
--   F.mse_loss(tide.tensor{1, 2}, tide.tensor{1, 4}):item() --> 2.0
function F.mse_loss(x, target, opts)
  check_pair("mse_loss", x, target)
  return reduce("mse_loss", (x - target):square(),
    core.options("mse_loss", opts, {reduction = "mean"}).reduction)
end

--- The absolute difference of each pair of elements. The shapes must be the same. Option:
-- reduction = "mean".
--
--   F.l1_loss(tide.tensor{1, 2}, tide.tensor{1, 4}):item() --> 1.0
function F.l1_loss(x, target, opts)
  check_pair("l1_loss", x, target)
  return reduce("l1_loss", (x - target):abs(),
    core.options("l1_loss", opts, {reduction = "mean"}).reduction)
end

--- -(t log p + (1 - t) log(1 - p)) for each pair of a probability p and a target t in [0, 1].
-- Logarithms are cut at -100, so that no loss is infinite. Options: reduction = "mean", weight
-- (a factor for each pair).
--
--   F.binary_cross_entropy(tide.tensor{0.5}, tide.tensor{1}):exp():item() --> 2.0
function F.binary_cross_entropy(p, target, opts)
  check_pair("binary_cross_entropy", p, target)
  local o = core.options("binary_cross_entropy", opts, {reduction = "mean"}, {"weight"})
  local loss = -(p:log():clamp(-100) * target + (1 - p):log():clamp(-100) * (1 - target))
  return reduce("binary_cross_entropy", o.weight and loss * o.weight or loss, o.reduction)
end

--- binary_cross_entropy of sigmoid(x), computed so that large logits lose nothing. Options:
-- reduction = "mean"; weight, a factor for each pair; pos_weight, a factor for the targets' 1s.
--
--   F.binary_cross_entropy_with_logits(tide.tensor{-1000}, tide.tensor{1}):item() --> 1000.0
function F.binary_cross_entropy_with_logits(x, target, opts)
  local call = "binary_cross_entropy_with_logits"
  check_pair(call, x, target)
  local o = core.options(call, opts, {reduction = "mean"}, {"weight", "pos_weight"})
  local loss
  if o.pos_weight then
    loss = (1 - target) * x + ((o.pos_weight - 1) * target + 1) * (-x):softplus()
  else
    loss = x:softplus() - x * target
  end
  return reduce(call, o.weight and loss * o.weight or loss, o.reduction)
end

--- The Kullback-Leibler divergence of a distribution given by log probabilities from a target: t
-- (log t - logp) for each pair, 0 where t is 0. Options: reduction = "mean" (over all elements),
-- "batchmean" (the sum over the first dimension's size: the divergence proper), "sum" or "none";
-- log_target = false (whether the target is log probabilities too).
--
--   F.kl_div(tide.tensor{{0.5, 0.5}}:log(), tide.tensor{{1, 0}}, {reduction = "sum"}):exp():item() --> 2.0
function F.kl_div(logp, target, opts)
  check_pair("kl_div", logp, target)
  local o = core.options("kl_div", opts, {reduction = "mean", log_target = false})
  local loss
  if o.log_target then
    loss = target:exp() * (target - logp)
  else
    local some = target:gt(0)
    loss = op.where(some, target * (op.where(some, target, 1):log() - logp), 0)
  end
  if o.reduction == "batchmean" then return loss:sum() / logp:size(1) end
  return reduce("kl_div", loss, o.reduction)
end

return F
