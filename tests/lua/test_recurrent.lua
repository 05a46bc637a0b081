-- nn.RNN, nn.GRU and nn.LSTM beside PyTorch's figures (test_golden_recurrent.lua): against networks put
-- together from single steps, bits that depend on nothing but the numbers, parameters, errors.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")

tide.manual_seed(3)
local CLASSES = {nn.RNN, nn.GRU, nn.LSTM}

-- ---- step by step, of plain operations ----

-- A layer's steps by cells; gives y and the last h, or the last c of an LSTM.
local function by_cells(m, x, states, name, is_reverse)
  local p = {m["weight_ih_" .. name], m["weight_hh_" .. name], m["bias_ih_" .. name], m["bias_hh_" .. name]}
  local h, c, y = states[1], states[2], {}
  for s = 1, x:size(1) do
    local t = is_reverse and x:size(1) + 1 - s or s
    if m.gates == 4 then
      h, c = F.lstm_cell(x[t], {h, c}, table.unpack(p))
    elseif m.gates == 3 then
      h = F.gru_cell(x[t], h, table.unpack(p))
    else
      h = F.rnn_cell(x[t], h, p[1], p[2], p[3], p[4], {nonlinearity = m.nonlinearity})
    end
    y[t] = h
  end
  return tide.stack(y), m.gates == 4 and c or h
end

-- ... of all orders, and the fused operation agrees with them in values and first derivatives.
for _, class in ipairs(CLASSES) do
  local m = class(3, 4, {bidirectional = true}):to("f64")
  local x = tide.randn(5, 2, 3):to("f64"):requires_grad_()
  local h0 = tide.randn(2, 2, 4):to("f64"):requires_grad_()
  local c0 = tide.randn(2, 2, 4):to("f64")
  local y, last = m(x, m.gates == 4 and {h0, c0} or h0)
  if m.gates == 4 then last = last[2] end
  local a, last_a = by_cells(m, x, {h0[1], c0[1]}, "l0")
  local b, last_b = by_cells(m, x, {h0[2], c0[2]}, "l0_reverse", true)
  local want, want_last = tide.cat({a, b}, 3), tide.stack {last_a, last_b}
  assert(tide.allclose(y, want, {atol = 1e-14}), class.class_name)
  assert(tide.allclose(last, want_last, {atol = 1e-14}), class.class_name)
  local wanted = m:parameters()
  table.insert(wanted, x)
  table.insert(wanted, h0)
  local weight = tide.randn(5, 2, 8):to("f64")
  local got = tide.grad((y * weight):sum() + last:square():sum(), wanted)
  local right = tide.grad((want * weight):sum() + want_last:square():sum(), wanted)
  for i in ipairs(wanted) do
    assert(tide.allclose(got[i], right[i], {atol = 1e-13}), class.class_name .. " gradient " .. i)
  end
end

-- The slope of a step's gradient, by the tape and by small steps.
do
  local x, state = tide.randn(2, 3):to("f64"), tide.randn(2, 2):to("f64")
  local w, u, along = tide.randn(8, 3):to("f64"), tide.randn(8, 2):to("f64"), tide.randn(8, 3):to("f64")
  local function gradient(weight)
    local leaf = weight:detach():clone():requires_grad_()
    local h, c = F.lstm_cell(x, {state, state}, leaf, u)
    return leaf, tide.grad((h * c):sum(), {leaf}, {create_graph = true})[1]
  end
  local leaf, first = gradient(w)
  local second = (tide.grad((first * along):sum(), {leaf})[1] * along):sum():item()
  local _, above = gradient(w + along * 1e-5)
  local _, below = gradient(w - along * 1e-5)
  check.near(second, ((above - below) * along):sum():item() / 2e-5, 1e-7, "second derivative of lstm_cell")
end

-- A second derivative of the fused ones is an error that says what has it.
for _, class in ipairs(CLASSES) do
  local m = class(2, 3)
  local x = tide.randn(4, 2, 2):requires_grad_()
  local g = tide.grad(m(x):sum(), {x}, {create_graph = true})[1]
  local err = check.raises(function() g:sum():backward() end,
    "backward: fused recurrent layers have first derivatives alone")
  check.eq(err.hint, "F.rnn_cell, F.gru_cell and F.lstm_cell, step by step, have them of any order")
end

-- ---- bits ----

local function equal(a, b, what)
  if not tide.equal(a, b) then error(what .. ": not the same bits", 2) end
end

-- Everything that a layer gives: y, last states, gradients of x and of the parameters.
local function all_of(m, x, states)
  local leaf = x:detach():clone():requires_grad_()
  for _, p in ipairs(m:parameters()) do p.grad = nil end
  local y, last = m(leaf, states)
  if m.gates < 4 then last = {last} end
  local weight = tide.arange(1, y:numel()):reshape(y:size()) * 1e-3
  ;(y * weight):sum():backward()
  local all = {y:detach(), leaf.grad}
  for _, s in ipairs(last) do all[#all + 1] = s:detach() end
  for _, p in ipairs(m:parameters()) do all[#all + 1] = p.grad end
  return all
end

-- sizes at which steps are cut by columns, by rows, and not at all
for _, sizes in ipairs {{9, 130, 40}, {70, 96, 7}, {3, 8, 5}} do
  local batch, hidden, inputs = table.unpack(sizes)
  for _, class in ipairs(CLASSES) do
    local m = class(inputs, hidden)
    local what = ("%s of %dx%d"):format(class.class_name, batch, hidden)
    local x = tide.randn(6, batch, inputs)
    local threads = tide.threads()
    tide.threads(1)
    local one = all_of(m, x)
    tide.threads(2)
    local two = all_of(m, x)
    tide.threads(threads)
    for i in ipairs(one) do equal(one[i], two[i], what .. ", 1 and 2 threads, result " .. i) end

    -- A sequence gives the same alone as among others, and in two parts as in one.
    local y, last = m(x)
    local alone = m(x:narrow(2, 2, 1))
    equal(alone, y:narrow(2, 2, 1), what .. ", one row")
    local head, state = m(x:narrow(1, 1, 2))
    local tail, final = m(x:narrow(1, 3, 4), state)
    equal(tide.cat({head, tail}, 1), y, what .. ", in two parts")
    if m.gates == 4 then
      equal(final[1], last[1], what .. ", h of two parts")
      equal(final[2], last[2], what .. ", c of two parts")
    else
      equal(final, last, what .. ", h of two parts")
    end
  end
end

-- Memory order does not matter: batch_first, transposed and repeated inputs.
for _, class in ipairs(CLASSES) do
  local m, turned = class(5, 6), class(5, 6, {batch_first = true})
  turned:load_state_dict(m:state_dict())
  local x = tide.randn(4, 3, 5)
  equal(turned(x:transpose(1, 2)):transpose(1, 2), m(x), "batch_first")
  equal(m(x:select(1, 1):expand(4, 3, 5)), m(x:select(1, 1):expand(4, 3, 5):clone()), "repeated input")
  -- the gradient of a sum is one number everywhere, and lies nowhere in full
  local a = all_of(m, x)
  local leaf = x:clone():requires_grad_()
  m(leaf):sum():backward()
  local full = x:clone():requires_grad_()
  m(full):backward(tide.ones(4, 3, 6))
  equal(leaf.grad, full.grad, "gradient of a sum")
  assert(#a > 4)
end

-- ---- states, dropout, parameters ----

do
  -- only the last states are looked at, or only a state flows in
  for _, class in ipairs(CLASSES) do
    local m = class(2, 3):to("f64")
    local x = tide.randn(3, 2, 2):to("f64")
    tide.gradcheck(function(h)
      local _, last = m(x, m.gates == 4 and {h, h * 2} or h)
      return m.gates == 4 and last[2] or last
    end, {tide.randn(1, 2, 3):to("f64")})
  end

  local m = nn.GRU(2, 3, {num_layers = 2, dropout = 1})
  local x = tide.randn(4, 1, 2)
  check.eq(tide.equal(m(x), m(x * 2)), true, "with all dropped the second layer sees nothing")
  m:eval()
  check.eq(tide.equal(m(x), m(x * 2)), false)
  check.eq(nn.LSTM(2, 3, 2).num_layers, 2)

  local names = {}
  for name, p in nn.LSTM(5, 4, {num_layers = 2, bidirectional = true}):named_parameters() do
    names[#names + 1] = name .. " " .. table.concat(p:size(), "x")
  end
  check.eq(names, {
    "weight_ih_l0 16x5", "weight_hh_l0 16x4", "bias_ih_l0 16", "bias_hh_l0 16",
    "weight_ih_l0_reverse 16x5", "weight_hh_l0_reverse 16x4", "bias_ih_l0_reverse 16", "bias_hh_l0_reverse 16",
    "weight_ih_l1 16x8", "weight_hh_l1 16x4", "bias_ih_l1 16", "bias_hh_l1 16",
    "weight_ih_l1_reverse 16x8", "weight_hh_l1_reverse 16x4", "bias_ih_l1_reverse 16", "bias_hh_l1_reverse 16",
  })
  local bound = 0
  for _, p in ipairs(nn.RNN(9, 25):parameters()) do bound = math.max(bound, p:abs():max():item()) end
  assert(bound <= 0.2 and bound > 0.19, "weights begin within 1 / sqrt(hidden): " .. bound)
  check.eq(tostring(nn.LSTM(8, 16, {num_layers = 2, bias = false, batch_first = true, dropout = 0.5})),
    "LSTM(8, 16, num_layers=2, bias=false, batch_first=true, dropout=0.5)")
  check.eq(tostring(nn.RNN(8, 16, {nonlinearity = "relu", bidirectional = true})),
    "RNN(8, 16, nonlinearity='relu', bidirectional=true)")
  check.eq(nn.GRU(8, 16):brief(), "nn.GRU 8 -> 16")
  local copy = m:clone()
  check.eq(tide.equal(copy(x), m(x)), true, "a clone")
end

-- ---- errors ----

local lstm, gru = nn.LSTM(3, 4), nn.GRU(3, 4, {batch_first = true})
local x = tide.ones(5, 2, 3)
check.fails("nn.LSTM: the input is 5x2x4, not [L, N, 3] or one sequence [L, 3]", lstm, tide.ones(5, 2, 4))
check.fails("nn.LSTM: the input is 3, not [L, N, 3] or one sequence [L, 3]", lstm, tide.ones(3))
check.fails("nn.GRU: the input is 5x2x4, not [N, L, 3] or one sequence [L, 3]", gru, tide.ones(5, 2, 4))
check.fails("nn.LSTM: the input is nil, not a tensor", lstm, nil)
check.fails("nn.LSTM: the state is a tensor 1x2x4 f32, not a list {h, c}", lstm, x, tide.ones(1, 2, 4))
check.fails("nn.LSTM: the state c is nil, not a tensor", lstm, x, {tide.ones(1, 2, 4)})
check.fails("nn.LSTM: the state h is 1x3x4, not 1x2x4", lstm, x, {tide.ones(1, 3, 4), tide.ones(1, 2, 4)})
check.fails("nn.GRU: the state is 2x5x4, not 1x5x4", gru, x, tide.ones(2, 5, 4))
check.fails("nn.GRU: the state is 2x4, not 1x4", gru, tide.ones(5, 3), tide.ones(2, 4))
check.fails("lstm: the sequence has no steps", lstm, tide.ones(0, 2, 3))
check.fails("nn.RNN: nonlinearity is 'gelu', not 'tanh' or 'relu'", nn.RNN, 3, 4, {nonlinearity = "gelu"})
check.fails("nn.GRU: num_layers is 0, not a whole number of at least 1", nn.GRU, 3, 4, 0)
check.fails("nn.GRU: dropout is 2, not a number from 0 to 1", nn.GRU, 3, 4, {dropout = 2})
check.fails("nn.GRU: batch_first is a boolean, got 1", nn.GRU, 3, 4, {batch_first = 1})
check.fails("lstm_cell: the state is a tensor 5x2x3 f32, not a list {h, c}", F.lstm_cell, x, x)
check.fails("rnn_cell: the state's weight is nil, not a tensor", F.rnn_cell, x, x, x)
check.raises(function() nn.LSTM(3, 4, {num_layer = 2}) end, "unknown option 'num_layer'", "num_layers")
check.raises(function() nn.GRU(3, 4, {nonlinearity = "relu"}) end, "unknown option 'nonlinearity'")
check.raises(function() nn.Sequential(nn.Linear(2, 5), nn.LSTM(3, 4))(tide.ones(7, 2, 2)) end,
  "in module 2 (nn.LSTM 3 -> 4): nn.LSTM: the input is 7x2x5")
