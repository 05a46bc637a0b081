-- nn: recurrent layers over sequences.

local core = require "tide.core"
local tide = require "tide"
local op = require "tide.ops"
local F = require "tide.functional.activation"
local Module = require "tide.module"
local init = require "tide.nn.init"
local check = require "tide.check"

local nn = {}

-- What RNN, GRU and LSTM share. A class says how many gates its weights have, and how one layer runs in
-- one direction.
local Recurrent = Module:extend("nn.Recurrent")

local PRESETS = {num_layers = 1, bias = true, batch_first = false, dropout = 0, bidirectional = false}

-- As in PyTorch the number of layers may stand behind the sizes.
function Recurrent:init(inputs, hidden, layers, opts)
  local call = self.class_name
  if type(layers) == "table" then layers, opts = nil, layers end
  local o = core.options(call, opts, self.presets or PRESETS)
  self.input_size = check.count(call, "the number of inputs", inputs, 1)
  self.hidden_size = check.count(call, "the hidden size", hidden, 1)
  self.num_layers = check.count(call, "num_layers", layers or o.num_layers, 1)
  self.dropout = check.number(call, "dropout", o.dropout, 0, 1)
  for _, name in ipairs {"bias", "batch_first", "bidirectional"} do self[name] = o[name] end
  if self.presets then
    self.nonlinearity = check.word(call, "nonlinearity", o.nonlinearity, {"tanh", "relu"})
  end
  self:make_parameters()
end

-- The endings of parameter names, direction by direction: "l0", "l0_reverse".
local function directions(self, layer)
  local name = "l" .. layer - 1
  return self.bidirectional and {name, name .. "_reverse"} or {name}
end

function Recurrent:make_parameters()
  local wide, bound = self.gates * self.hidden_size, 1 / math.sqrt(self.hidden_size)
  local inputs = self.input_size
  for layer = 1, self.num_layers do
    local names = directions(self, layer)
    for _, name in ipairs(names) do
      self["weight_ih_" .. name] = init.uniform({wide, inputs}, bound)
      self["weight_hh_" .. name] = init.uniform({wide, self.hidden_size}, bound)
      if self.bias then
        self["bias_ih_" .. name] = init.uniform({wide}, bound)
        self["bias_hh_" .. name] = init.uniform({wide}, bound)
      end
    end
    inputs = #names * self.hidden_size
  end
end

local function zeros(like, sizes) return op.full(like, sizes, 0, like:dtype()) end

-- x as [L, N, in].
function Recurrent:take_input(x)
  local call, dims = self.class_name, check.tensor(self.class_name, "the input", x):dim()
  if (dims ~= 2 and dims ~= 3) or x:size(-1) ~= self.input_size then
    core.fail("shape", call, "the input is %s, not %s or one sequence [L, %d]", core.shape_text(x),
      (self.batch_first and "[N, L, %d]" or "[L, N, %d]"):format(self.input_size), self.input_size)
  end
  if dims == 2 then return x:unsqueeze(2) end
  return self.batch_first and x:transpose(1, 2) or x
end

-- A state as [layers * directions, N, hidden].
function Recurrent:take_state(state, name, batch, is_single)
  local blocks = self.num_layers * (self.bidirectional and 2 or 1)
  check.tensor(self.class_name, name, state)
  local want = is_single and {blocks, self.hidden_size} or {blocks, batch, self.hidden_size}
  if core.shape_text(state) ~= table.concat(want, "x") then
    core.fail("shape", self.class_name, "%s is %s, not %s", name, core.shape_text(state),
      table.concat(want, "x"))
  end
  return is_single and state:unsqueeze(2) or state
end

function Recurrent:bias_of(name, like)
  if self.bias then return self["bias_ih_" .. name], self["bias_hh_" .. name] end
  local none = zeros(like, {self.gates * self.hidden_size})
  return none, none
end

-- One layer in all its directions: y, and the list of last states goes on.
function Recurrent:run_layer(x, layer, states, last)
  local outputs, names = {}, directions(self, layer)
  for d, name in ipairs(names) do
    local at = (layer - 1) * #names + d
    local y, c = self:run(x, name, d == 2, function(k)
      return states and states[k]:select(1, at) or zeros(x, {x:size(2), self.hidden_size})
    end)
    local final = d == 2 and 1 or -1
    outputs[d] = y
    last[1][at] = y:select(1, final)
    if c then last[2][at] = c:select(1, final) end
  end
  return #outputs == 2 and op.cat(outputs, 3) or outputs[1]
end

-- states: tensors [layers * directions, N, hidden], or nil. Gives y and as many last states.
function Recurrent:run_all(x, states, is_single)
  local last = {{}, {}}
  for layer = 1, self.num_layers do
    x = self:run_layer(x, layer, states, last)
    if layer < self.num_layers then x = F.dropout(x, self.dropout, self.training) end
  end
  for k, list in ipairs(last) do
    local stacked = #list > 0 and tide.stack(list) or nil
    last[k] = stacked and is_single and stacked:squeeze(2) or stacked
  end
  if is_single then return x:squeeze(2), last end
  return self.batch_first and x:transpose(1, 2) or x, last
end

function Recurrent:forward(x, h)
  local is_single, sequence = core.is_tensor(x) and x:dim() == 2, self:take_input(x)
  local states = h ~= nil and {self:take_state(h, "the state", sequence:size(2), is_single)} or nil
  local y, last = self:run_all(sequence, states, is_single)
  return y, last[1]
end

function Recurrent:brief()
  return ("%s %d -> %d"):format(self.class_name, self.input_size, self.hidden_size)
end

function Recurrent:extra_repr()
  local parts = {("%d, %d"):format(self.input_size, self.hidden_size)}
  if self.nonlinearity == "relu" then parts[#parts + 1] = "nonlinearity='relu'" end
  if self.num_layers > 1 then parts[#parts + 1] = "num_layers=" .. self.num_layers end
  if not self.bias then parts[#parts + 1] = "bias=false" end
  if self.batch_first then parts[#parts + 1] = "batch_first=true" end
  if self.dropout > 0 then parts[#parts + 1] = ("dropout=%g"):format(self.dropout) end
  if self.bidirectional then parts[#parts + 1] = "bidirectional=true" end
  return table.concat(parts, ", ")
end

--- nn.RNN(in, hidden): Elman's recurrent network, h' = tanh(W x + U h + b) at each step. Called with
-- x [L, N, in], or one sequence [L, in], and perhaps the state before the first step, h [layers, N, hidden]
-- (zeros when left out), it gives y [L, N, hidden], the last layer's h of all steps, and the last h of all
-- layers. Options: num_layers = 1 (each runs on the one before; also as third argument), nonlinearity =
-- "tanh" or "relu", bias = true, batch_first = false (true: x and y are [N, L, ...]), dropout = 0 (between
-- layers), bidirectional = false (true: a second direction beside each layer, y [L, N, 2 hidden] and
-- states of 2 layers' count). Parameters are named as in PyTorch: weight_ih_l0, weight_hh_l0, bias_ih_l0,
-- bias_hh_l0, those of the other direction with _reverse behind.
--
--   y, h = nn.RNN(3, 4, {num_layers = 2})(tide.ones(5, 2, 3))
--   y:size() --> {5, 2, 4}
--   h:size() --> {2, 2, 4}
nn.RNN = Recurrent:extend("nn.RNN")
nn.RNN.gates = 1
nn.RNN.presets = {num_layers = 1, bias = true, batch_first = false, dropout = 0, bidirectional = false,
  nonlinearity = "tanh"}

function nn.RNN:run(x, name, is_reverse, state)
  local b_ih, b_hh = self:bias_of(name, x)
  return op.rnn(x, state(1), self["weight_ih_" .. name], self["weight_hh_" .. name], b_ih, b_hh, is_reverse,
    self.nonlinearity == "relu")
end

--- nn.GRU(in, hidden): gated recurrent units (Cho et al. 2014); called as nn.RNN, with its options but
-- nonlinearity. The weights hold the gates r, z and n, one below the other.
--
--   y, h = nn.GRU(3, 4, {bidirectional = true})(tide.ones(5, 2, 3))
--   y:size() --> {5, 2, 8}
nn.GRU = Recurrent:extend("nn.GRU")
nn.GRU.gates = 3

function nn.GRU:run(x, name, is_reverse, state)
  local b_ih, b_hh = self:bias_of(name, x)
  return (op.gru(x, state(1), self["weight_ih_" .. name], self["weight_hh_" .. name], b_ih, b_hh, is_reverse))
end

--- nn.LSTM(in, hidden): long short-term memory (Hochreiter and Schmidhuber 1997); called as nn.RNN, with its
-- options but nonlinearity. The state is a list {h, c} of tensors [layers, N, hidden], as argument and as
-- second result. The weights hold the gates i, f, g and o, one below the other.
--
--   y, state = nn.LSTM(8, 16, {num_layers = 2, batch_first = true})(tide.ones(4, 5, 8))
--   y:size() --> {4, 5, 16}
--   state[2]:size() --> {2, 4, 16}
nn.LSTM = Recurrent:extend("nn.LSTM")
nn.LSTM.gates = 4

function nn.LSTM:run(x, name, is_reverse, state)
  local b_ih, b_hh = self:bias_of(name, x)
  local y, c = op.lstm(x, state(1), state(2), self["weight_ih_" .. name], self["weight_hh_" .. name], b_ih,
    b_hh, is_reverse)
  return y, c
end

function nn.LSTM:forward(x, state)
  local is_single, sequence = core.is_tensor(x) and x:dim() == 2, self:take_input(x)
  local states
  if state ~= nil then
    if type(state) ~= "table" then
      core.fail("argument", "nn.LSTM", "the state is %s, not a list {h, c}", core.what(state))
    end
    local batch = sequence:size(2)
    states = {self:take_state(state[1], "the state h", batch, is_single),
      self:take_state(state[2], "the state c", batch, is_single)}
  end
  return self:run_all(sequence, states, is_single)
end

return nn
