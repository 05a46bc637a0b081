-- Federated MNIST: the tutorial. Two worker processes hold half of the 60,000 digits each; a model travels
-- between them, learns where the data is, and is tested here on digits that neither has seen.
--
--   tide examples/mnist_federated.lua [EPOCHS]        (make demo fetches the digits first)

local here = arg[0]:match("^(.*/)") or ""
local start_worker = dofile(here .. "start_worker.lua")
local epochs = tonumber(arg[1] or 1)

local train, test = tide.data.mnist()
local bob, stop_bob = start_worker("bob")
local alice, stop_alice = start_worker("alice")

tide.manual_seed(1)
local model = nn.Sequential(
  nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
  nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
  nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10), nn.LogSoftmax(2))
local opt = optim.SGD(model:parameters(), {lr = 0.1})
local loader = tide.FederatedDataLoader(train:federate{bob, alice}, {batch_size = 64, shuffle = true})

local function waits() return bob:stats().waits + alice:stats().waits end

local losses, steps, waited = {}, 0, waits()
local progress = tide.progress(epochs * #loader)
for _ = 1, epochs do
  for data, target in loader do
    model:send(data.location)
    opt:zero_grad()
    local loss = F.nll_loss(model(data), target)
    loss:backward()
    opt:step() -- at the worker: parameters and gradients stay there
    model:get()
    losses[#losses + 1] = loss:get():item() -- the one round trip of this step
    steps = steps + 1
    progress:step{loss = losses[#losses]}
  end
end
progress:close()
waited = waits() - waited

-- Tests in pieces: 10,000 images at once would take a gigabyte of activations.
local right = 0
model:eval()
tide.no_grad(function()
  for x, y in tide.DataLoader(test, {batch_size = 500}) do
    right = right + F.accuracy(model(x), y) * x:size(1)
  end
end)

tide.plot(losses, {title = "loss at each step"})
for _, worker in ipairs{bob, alice} do
  local s = worker:stats()
  print(("%-6s %d batches, %d messages out (%.0f MB), %d in (%.0f MB)"):format(worker.name .. ":",
    s.batches, s.messages_out, s.bytes_out / 1e6, s.messages_in, s.bytes_in / 1e6))
end
print(("%d steps, %d waits"):format(steps, waited))
stop_bob()
stop_alice()
print(("test accuracy %.4f"):format(right / #test))
