-- F: linear maps, convolution, pooling and what rearranges.

local core = require "tide.core"
local op = require "tide.ops"
local check = require "tide.check"
require "tide.rows"

local F = {}

--- x times the transposed weight, plus bias: x [..., in], weight [out, in], bias [out] or nil
-- give [..., out].
--
--   F.linear(tide.ones(1, 3), tide.ones(2, 3)):totable() --> {{3, 3}}
function F.linear(x, weight, bias)
  check.tensor("linear", "the input", x)
  local y = x:matmul(check.tensor("linear", "the weight", weight):t())
  return bias and y + bias or y
end

--- Cross-correlation of images x [N, C, H, W] with weight [out, C / groups, kH, kW], plus bias
-- [out] or nil. Options: stride = 1, padding = 0, dilation = 1, groups = 1; each but groups is a
-- number or a pair {vertical, horizontal}. Gives [N, out, H', W'] with H' = (H + 2 padding -
-- dilation (kH - 1) - 1) // stride + 1.
--
--   F.conv2d(tide.ones(1, 1, 3, 3), tide.ones(1, 1, 2, 2)):size() --> {1, 1, 2, 2}
function F.conv2d(x, weight, bias, opts)
  check.tensor("conv2d", "the input", x)
  check.tensor("conv2d", "the weight", weight)
  if opts == nil and type(bias) == "table" then bias, opts = nil, bias end
  local o = core.options("conv2d", opts, {groups = 1}, {"stride", "padding", "dilation"})
  local y = op.conv2d(x, weight, o.stride or 1, o.padding or 0, o.dilation or 1, o.groups)
  if not bias then return y end
  return y + check.tensor("conv2d", "the bias", bias):reshape(1, -1, 1, 1)
end

--- The greatest value under each place of a window, on images [N, C, H, W]. kernel is a number or
-- a pair; options: stride (the kernel when left out), padding = 0.
--
--   F.max_pool2d(tide.arange(1, 4):reshape(1, 1, 2, 2), 2):totable() --> {{{{4}}}}
function F.max_pool2d(x, kernel, opts)
  check.tensor("max_pool2d", "the input", x)
  local o = core.options("max_pool2d", opts, {}, {"stride", "padding"})
  return (op.max_pool2d(x, kernel, o.stride or kernel, o.padding or 0))
end

--- The mean under each place of a window, on images [N, C, H, W]. kernel is a number or a pair;
-- options: stride (the kernel when left out), padding = 0, count_include_pad = true (whether
-- zeros at the border count in the mean).
--
--   F.avg_pool2d(tide.arange(1, 4):reshape(1, 1, 2, 2), 2):totable() --> {{{{2.5}}}}
function F.avg_pool2d(x, kernel, opts)
  check.tensor("avg_pool2d", "the input", x)
  local o = core.options("avg_pool2d", opts, {count_include_pad = true}, {"stride", "padding"})
  return op.avg_pool2d(x, kernel, o.stride or kernel, o.padding or 0, o.count_include_pad)
end

--- The dimensions from `first` to `last` as one; 1 and -1 when left out.
--
--   F.flatten(tide.ones(2, 3, 4), 2):size() --> {2, 12}
function F.flatten(x, first, last)
  return check.tensor("flatten", "the input", x):flatten(first or 1, last or -1)
end

--- The rows of weight [rows, width] that ids name, of any shape: [..., width]. ids are i64 or i32
-- and count from 0. Options: padding_idx, an id whose row gets no gradient; sparse = false (true: the
-- weight's .grad holds the named rows alone, see nn.Embedding).
--
--   F.embedding(tide.tensor({1, 0}, {dtype = "i64"}), tide.eye(2)):totable() --> {{0, 1}, {1, 0}}
function F.embedding(ids, weight, opts)
  check.tensor("embedding", "ids", ids)
  check.tensor("embedding", "the weight", weight)
  local o = core.options("embedding", opts, {sparse = false}, {"padding_idx"})
  local padding, rows = o.padding_idx, op.embedding(weight, ids, o.sparse)
  if padding == nil then return rows end
  return op.where(ids:ne(padding):unsqueeze(-1), rows, rows:detach())
end

--- Labels (i64, counting from 0) as rows of zeros with a one at the label's place: [...,
-- classes], i64. classes is one more than the largest label when left out.
--
--   F.one_hot(tide.tensor({2, 0}, {dtype = "i64"})):totable() --> {{0, 0, 1}, {1, 0, 0}}
function F.one_hot(labels, classes)
  check.tensor("one_hot", "the labels", labels)
  if classes == nil then
    if labels:numel() == 0 then
      core.fail("argument", "one_hot", "no labels to count the classes from: give their number")
    end
    classes = labels:max():item() + 1
  end
  return op.one_hot(labels, classes)
end

-- x without what negative sizes of F.pad cut off dimension dim.
local function cut(x, dim, before, after)
  local off, size = math.max(-before, 0), x:size(dim)
  local left = size - off - math.max(-after, 0)
  if left < 0 then
    core.fail("value", "pad", "%d and %d cut more than the %d entries of dimension %d", before, after, size, dim)
  end
  return left < size and x:narrow(dim, off + 1, left) or x
end

--- Puts a border round x: sizes = {left, right, top, bottom, ...}, pairs for the last dimension,
-- the one before it, and so on; a negative size cuts. Option: value = 0.
--
--   F.pad(tide.ones(1, 2), {1, 0}):totable() --> {{0, 1, 1}}
--   F.pad(tide.arange(1, 3), {-1, 1}):totable() --> {2, 3, 0}
function F.pad(x, sizes, opts)
  check.tensor("pad", "the input", x)
  local value = core.options("pad", opts, {value = 0}).value
  if type(sizes) ~= "table" or #sizes == 0 or #sizes % 2 == 1 or #sizes > 2 * x:dim() then
    core.fail("argument", "pad", "sizes come in pairs, {left, right, top, bottom}, at most %d of them",
      x:dim())
  end
  local before, after, dims = {}, {}, #sizes // 2
  for i = 1, dims do
    local a, b = sizes[2 * i - 1], sizes[2 * i]
    if math.type(a) ~= "integer" or math.type(b) ~= "integer" then
      core.fail("argument", "pad", "sizes are whole numbers, got %s and %s", core.what(a), core.what(b))
    end
    x = cut(x, x:dim() + 1 - i, a, b)
    before[dims + 1 - i], after[dims + 1 - i] = math.max(a, 0), math.max(b, 0)
  end
  return op.pad(x, before, after, value)
end

return F
