-- Recurrent layers and embeddings with sparse gradients at workers: one wait a step and the bits of the same
-- loop here; what becomes of gradients of rows when their leaf travels.
-- luacheck: ignore 231 241 311 331
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, cost = rig.case, rig.eq, rig.cost

local texts = tide.randint(0, 29, {24, 6})
local labels = tide.randint(0, 3, {24})

local Net = nn.Module:extend("Net")
function Net:init(recurrent)
  self.table = nn.Embedding(30, 5, {sparse = true})
  self.layers = recurrent(5, 7, {num_layers = 2, bidirectional = true, batch_first = true})
  self.out = nn.Linear(14, 4)
end
function Net:forward(ids)
  local y = self.layers(self.table(ids))
  return F.log_softmax(self.out(y:select(2, -1)), 2)
end

local function step(model, opts, data, target)
  for _, opt in ipairs(opts) do opt:zero_grad() end
  local loss = F.nll_loss(model(data), target)
  loss:backward()
  for _, opt in ipairs(opts) do opt:step() end
  return loss
end

local function optimisers(model, table_opt)
  local rest = {}
  for name, p in model:named_parameters() do
    if name ~= "table.weight" then rest[#rest + 1] = p end
  end
  return {table_opt({model.table.weight}), optim.SGD(rest, {lr = 0.1})}
end

local function trains_as_here(recurrent, table_opt, workers)
  tide.manual_seed(3)
  local model = Net(recurrent)
  local twin = model:clone()
  local opts, twin_opts = optimisers(model, table_opt), optimisers(twin, table_opt)
  for i = 1, 4 do
    local worker = workers[(i - 1) % #workers + 1]
    local x, y = texts:narrow(1, (i - 1) * 6 + 1, 6), labels:narrow(1, (i - 1) * 6 + 1, 6)
    local data, target = x:send(worker), y:send(worker)
    local loss
    local waits, batches = cost(worker, function()
      model:send(worker)
      local there = step(model, opts, data, target)
      model:get()
      loss = there:get():item()
    end)
    eq({waits, batches}, {1, 1}, "waits and batches of a step")
    eq(loss, step(twin, twin_opts, x, y):item(), "the loss of step " .. i)
  end
  rig.same_module(model, twin)
end

local rules = {
  sgd = function(p) return optim.SGD(p, {lr = 0.5}) end,
  adagrad = function(p) return optim.Adagrad(p, {lr = 0.1}) end,
  adam = function(p) return optim.SparseAdam(p, {lr = 0.1}) end,
}
for name, rule in pairs(rules) do
  case("LSTM, rows by " .. name, function(bob) trains_as_here(nn.LSTM, rule, {bob}) end)
end
case("GRU between two workers", function(bob, alice) trains_as_here(nn.GRU, rules.sgd, {bob, alice}) end)
case("RNN", function(bob) trains_as_here(nn.RNN, rules.sgd, {bob}) end)

case("a gradient of rows is fetched, moved and sent", function(bob, alice)
  local w = tide.ones(4, 2):requires_grad_()
  local p = w:send(bob)
  local ids = tide.tensor({2, 0, 2}, {dtype = "i64"}):send(bob)
  F.embedding(ids, p, {sparse = true}):sum():backward()
  eq(tostring(p.grad), "[gradient of rows of 4x2 f32 at bob]")
  eq(p.grad:to_dense():copy(), {{1, 1}, {0, 0}, {2, 2}, {0, 0}})
  local q = p:move(alice)
  eq(q.grad:copy(), {{1, 1}, {0, 0}, {2, 2}, {0, 0}})
  eq(q:get().grad, {{1, 1}, {0, 0}, {2, 2}, {0, 0}})

  local table = nn.Embedding(4, 2, {sparse = true})
  table(tide.tensor({3}, {dtype = "i64"})):sum():backward()
  table:send(bob)
  eq(table.weight.grad:copy(), {{0, 0}, {0, 0}, {0, 0}, {1, 1}})
  table(tide.tensor({3}, {dtype = "i64"}):send(bob)):sum():backward()
  table:get()
  eq(table.weight.grad, {{0, 0}, {0, 0}, {0, 0}, {2, 2}})
end)

rig.run()
