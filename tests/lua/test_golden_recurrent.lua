-- RNN, GRU and LSTM: outputs, last states and all gradients are PyTorch's, in f64 and in f32.
local here = arg[0]:match("^(.*)/") or "."
local golden = dofile(here .. "/../golden/common.lua")
local figures = dofile(here .. "/../golden/recurrent.lua")

local x = golden.even({7, 3, 5}, 1000)
local kinds = {
  rnn = nn.RNN,
  relu = function(a, b, opts)
    opts.nonlinearity = "relu"
    return nn.RNN(a, b, opts)
  end,
  gru = nn.GRU,
  lstm = nn.LSTM,
}

-- name: {sizes of the constructor, options, input, sizes of the states or nil}
local shapes = {
  [""] = {{5, 6}, {}, x},
  _given = {{5, 6}, {}, x, {1, 3, 6}},
  _layers = {{5, 6}, {num_layers = 3}, x, {3, 3, 6}},
  _both_ways = {{5, 4}, {num_layers = 2, bidirectional = true, batch_first = true}, x, {4, 7, 4}},
  _no_bias = {{5, 6}, {bias = false, bidirectional = true}, x},
  _single = {{5, 6}, {num_layers = 2}, x:select(2, 1), {2, 6}},
  _one_step = {{5, 6}, {}, x:narrow(1, 1, 1)},
  _wide = {{40, 130}, {}, golden.even({4, 9, 40}, 1000)},
}

local cases = {}
for kind, make in pairs(kinds) do
  for ending, shape in pairs(shapes) do
    local opts = {}
    for key, value in pairs(shape[2]) do opts[key] = value end
    cases[kind .. ending] = {
      make = function() return make(shape[1][1], shape[1][2], opts) end,
      x = shape[3], sizes = shape[4], states = kind == "lstm" and 2 or 1, is_lstm = kind == "lstm",
    }
  end
end
golden.same_names("recurrent", cases, figures)

local function leaf(tensor, dtype) return tensor:to(dtype):detach():clone():requires_grad_() end

local function run(case, dtype)
  local module = golden.fill(case.make():to(dtype))
  local input, states = leaf(case.x, dtype), {}
  for k = 1, case.sizes and case.states or 0 do states[k] = leaf(golden.even(case.sizes, 1000 + k), dtype) end
  local given
  if case.sizes then
    given = states[1]
    if case.is_lstm then given = states end
  end
  local y, last = module(input, given)
  if not case.is_lstm then last = {last} end
  local loss = (y * golden.even(y:size(), 77):to(dtype)):sum()
  for k, s in ipairs(last) do loss = loss + (s * golden.even(s:size(), 77 + k):to(dtype)):sum() end
  loss:backward()
  return module, input, states, y, last
end

local function compare(name, dtype, tolerance)
  local want, what = figures[name], name .. " in " .. dtype
  local module, input, states, y, last = run(cases[name], dtype)
  assert(y:dtype() == dtype, what .. " gives " .. y:dtype())
  assert(table.concat(y:size(), "x") == table.concat(want.shape, "x"), what)
  golden.check(what .. ": output", y, want.output, tolerance)
  assert(#last == #want.last and #states == #want.state_gradients, what)
  for k, s in ipairs(last) do golden.check(what .. ": last state " .. k, s, want.last[k], tolerance) end
  golden.check(what .. ": input's gradient", input.grad, want.input_gradient, tolerance)
  for k, s in ipairs(states) do
    golden.check(what .. ": gradient of state " .. k, s.grad, want.state_gradients[k], tolerance)
  end
  golden.same_names(what, module:named_parameters(), want.gradients)
  for p_name, p in module:named_parameters() do
    golden.check(what .. ": gradient of " .. p_name, p.grad, want.gradients[p_name], tolerance)
  end
end

local failures = {}
for name in pairs(cases) do
  for dtype, tolerance in pairs {f64 = 1e-11, f32 = 2e-5} do
    local ok, message = pcall(compare, name, dtype, tolerance)
    if not ok then failures[#failures + 1] = tostring(message) end
  end
end
table.sort(failures)
if #failures > 0 then error(#failures .. " differ\n" .. table.concat(failures, "\n"), 0) end
