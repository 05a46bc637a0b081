-- The losses and their gradients are PyTorch's.
local here = arg[0]:match("^(.*)/") or "."
local golden = dofile(here .. "/../golden/common.lua")
local figures = dofile(here .. "/../golden/losses.lua")

local x, y, t = golden.even({6, 5}, 1000), golden.labels(6, 5), golden.even({6, 5}, 1001)
local p, q = (golden.even({6, 5}, 1002) + 1.2) / 2.5, (t + 1) / 2
local soft = F.softmax(t)
local weight = golden.even({5}, 1003) + 1.5
local space, space_y = golden.even({2, 5, 3, 2}, 1000), golden.labels(12, 5):reshape(2, 3, 2)

local cases = {}
local function add(name, input, loss) cases[name] = {loss, input} end
for _, kind in ipairs {"mean", "sum", "none"} do
  local function with(opts)
    opts = opts or {}
    opts.reduction = kind
    return opts
  end
  add("nll_" .. kind, x, function(v) return F.nll_loss(F.log_softmax(v), y, with()) end)
  add("cross_entropy_" .. kind, x, function(v) return F.cross_entropy(v, y, with()) end)
  add("cross_entropy_weight_" .. kind, x,
      function(v) return F.cross_entropy(v, y, with {weight = weight}) end)
  add("cross_entropy_ignore_" .. kind, x,
      function(v) return F.cross_entropy(v, y, with {ignore_index = 2}) end)
  add("cross_entropy_both_" .. kind, x,
      function(v) return F.cross_entropy(v, y, with {weight = weight, ignore_index = 2}) end)
  add("cross_entropy_smooth_" .. kind, x,
      function(v) return F.cross_entropy(v, y, with {label_smoothing = 0.2}) end)
  add("cross_entropy_soft_" .. kind, x, function(v) return F.cross_entropy(v, soft, with()) end)
  add("cross_entropy_space_" .. kind, space,
      function(v) return F.cross_entropy(v, space_y, with()) end)
  add("mse_" .. kind, x, function(v) return F.mse_loss(v, t, with()) end)
  add("l1_" .. kind, x, function(v) return F.l1_loss(v, t, with()) end)
  add("bce_" .. kind, p, function(v) return F.binary_cross_entropy(v, q, with()) end)
  add("bce_weight_" .. kind, p,
      function(v) return F.binary_cross_entropy(v, q, with {weight = p}) end)
  add("bce_logits_" .. kind, x,
      function(v) return F.binary_cross_entropy_with_logits(v, q, with()) end)
  add("bce_logits_pos_" .. kind, x,
      function(v) return F.binary_cross_entropy_with_logits(v, q, with {pos_weight = weight}) end)
  add("kl_div_" .. kind, x, function(v) return F.kl_div(v, soft, with()) end)
  add("kl_div_log_" .. kind, x,
      function(v) return F.kl_div(v, soft:log(), with {log_target = true}) end)
end
add("kl_div_batchmean", x, function(v) return F.kl_div(v, soft, {reduction = "batchmean"}) end)
add("bce_logits_large", x,
    function(v) return F.binary_cross_entropy_with_logits(v * 1000, q) end)
add("normalize", x, function(v) return F.normalize(v) end)
add("normalize_1", x, function(v) return F.normalize(v, {p = 1, dim = 1}) end)
add("normalize_3", x, function(v) return F.normalize(v, {p = 3, dim = 2}) end)
add("pad", x, function(v) return F.pad(v, {1, 2, 0, 3}, {value = 0.5}) end)
add("pad_cut", x, function(v) return F.pad(v, {-1, 2, 1, -3}, {value = 0.5}) end)
add("pad_cut_both", x, function(v) return F.pad(v, {-2, -1}) end)
golden.same_names("losses", cases, figures)

local function compare(name)
  local input = cases[name][2]:detach():clone():requires_grad_()
  local value = cases[name][1](input)
  golden.check(name, value, figures[name].value)
  ;(value * golden.even(value:size(), 77)):sum():backward()
  golden.check(name .. ": gradient", input.grad, figures[name].gradient)
end

local failures = {}
for name in pairs(cases) do
  local ok, message = pcall(compare, name)
  if not ok then failures[#failures + 1] = name .. ": " .. tostring(message) end
end
table.sort(failures)
if #failures > 0 then error(#failures .. " differ\n" .. table.concat(failures, "\n"), 0) end

-- F.pad says what it cannot do.
local check = dofile(here .. "/helper.lua")
check.fails("pad: -2 and -2 cut more than the 3 entries of dimension 1", F.pad, tide.arange(1, 3), {-2, -2})
check.fails("pad: sizes are whole numbers, got 0.5 and 1", F.pad, tide.arange(1, 3), {0.5, 1})
