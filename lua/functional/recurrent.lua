-- F: one step of recurrent networks, made of plain operations, so that derivatives of any order go through.
-- Whole sequences are nn.RNN's, nn.GRU's and nn.LSTM's, whose layers are one operation each.

local core = require "tide.core"
local check = require "tide.check"
local layer = require "tide.functional.layer"

local F = {}

-- What input and state give to the gates, [N, gates * hidden] each.
local function sums(call, x, h, w_ih, w_hh, b_ih, b_hh)
  check.tensor(call, "the input", x)
  check.tensor(call, "the state", h)
  check.tensor(call, "the input's weight", w_ih)
  check.tensor(call, "the state's weight", w_hh)
  return layer.linear(x, w_ih, b_ih), layer.linear(h, w_hh, b_hh)
end

local function gate(s, h, i)
  local hidden = h:size(-1)
  return s:narrow(-1, (i - 1) * hidden + 1, hidden)
end

--- One step of Elman's unit: f(x w_ih' + b_ih + h w_hh' + b_hh) for x [N, in] and h [N, hidden]. The
-- weights are [hidden, in] and [hidden, hidden], the biases [hidden] or nil. Option: nonlinearity = "tanh",
-- or "relu".
--
--   F.rnn_cell(tide.zeros(1, 2), tide.zeros(1, 3), tide.ones(3, 2), tide.ones(3, 3)):size() --> {1, 3}
function F.rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh, opts)
  local f = core.options("rnn_cell", opts, {nonlinearity = "tanh"}).nonlinearity
  check.word("rnn_cell", "nonlinearity", f, {"tanh", "relu"})
  local a, b = sums("rnn_cell", x, h, w_ih, w_hh, b_ih, b_hh)
  return f == "tanh" and (a + b):tanh() or (a + b):relu()
end

--- One step of a gated recurrent unit (Cho et al. 2014): the next h [N, hidden] from x [N, in] and h. The
-- weights hold the gates r, z and n, one below the other: [3 hidden, in] and [3 hidden, hidden].
--
--   F.gru_cell(tide.zeros(1, 2), tide.ones(1, 3), tide.ones(9, 2), tide.zeros(9, 3)):totable() --> {{0.5, 0.5, 0.5}}
function F.gru_cell(x, h, w_ih, w_hh, b_ih, b_hh)
  local a, b = sums("gru_cell", x, h, w_ih, w_hh, b_ih, b_hh)
  local r = (gate(a, h, 1) + gate(b, h, 1)):sigmoid()
  local z = (gate(a, h, 2) + gate(b, h, 2)):sigmoid()
  local n = (gate(a, h, 3) + r * gate(b, h, 3)):tanh()
  return (1 - z) * n + z * h
end

--- One step of long short-term memory (Hochreiter and Schmidhuber 1997): the next h and c, [N, hidden]
-- each, from x [N, in] and the state {h, c}. The weights hold the gates i, f, g and o, one below the other:
-- [4 hidden, in] and [4 hidden, hidden].
--
--   h, c = F.lstm_cell(tide.zeros(1, 2), {tide.zeros(1, 3), tide.ones(1, 3)}, tide.ones(12, 2), tide.ones(12, 3))
--   c:totable() --> {{0.5, 0.5, 0.5}}
function F.lstm_cell(x, state, w_ih, w_hh, b_ih, b_hh)
  if type(state) ~= "table" then
    core.fail("argument", "lstm_cell", "the state is %s, not a list {h, c}", core.what(state))
  end
  local h, c = state[1], check.tensor("lstm_cell", "the cell's state", state[2])
  local a, b = sums("lstm_cell", x, h, w_ih, w_hh, b_ih, b_hh)
  local s = a + b
  local i, f = gate(s, h, 1):sigmoid(), gate(s, h, 2):sigmoid()
  local g, o = gate(s, h, 3):tanh(), gate(s, h, 4):sigmoid()
  c = f * c + i * g
  return o * c:tanh(), c
end

return F
