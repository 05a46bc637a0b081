-- The whole library on pointers: a data set at a worker is split, shuffled and trained on there, with batch
-- statistics, dropout, clipping and Adam, and gives bit for bit what the same run gives here.
local bob = tide.VirtualWorker("bob")
local digits = tide.data.digits():subset(tide.arange(1, 400, 1, {dtype = "i64"}))

local function run(data, place)
  tide.manual_seed(3)
  local model = nn.Sequential(
    nn.Conv2d(1, 4, 3, {padding = 1}), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(64, 32), nn.LayerNorm(32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, 10))
  local opt = optim.Adam(model:parameters(), {lr = 0.01, weight_decay = 1e-3})
  local schedule = optim.lr.Cosine(opt, 10)
  if place then model:send(place) end
  local train, test = data:split(0.8, {seed = 1})
  for _ = 1, 2 do
    for x, y in tide.DataLoader(train, {batch_size = 64, shuffle = true}) do
      opt:zero_grad()
      F.cross_entropy(model(x), y, {label_smoothing = 0.1}):backward()
      optim.clip_grad_norm(model:parameters(), 1)
      opt:step()
      schedule:step()
    end
  end
  local accuracy = F.accuracy(model:eval()(test.x), test.y)
  if place then model:get() end
  return model:state_dict(), accuracy
end

local here, accuracy = run(digits)
local there, accuracy_there = run(tide.Dataset{x = digits.x:send(bob), y = digits.y:send(bob)}, bob)
for name, value in here do assert(tide.equal(value, there[name]), name .. " differs") end
assert(accuracy == accuracy_there and accuracy > 0.5, accuracy .. " and " .. accuracy_there)
