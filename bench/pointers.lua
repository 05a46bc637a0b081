-- Pointers: what an operation costs the client, a flush of ten thousand to a worker process, messages of one
-- step of the tutorial, and an idle worker process.
--
-- figures are medians over several rounds; worker-ready-ms counts from fork to the line that it is ready.
local folder = arg[0]:match("^(.*/)") or ""
local start_worker = dofile(folder .. "../examples/start_worker.lua")

local function figure(case, value, unit)
  print(("pointers\t%s\t%.4g\t%s"):format(case, value, unit))
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- Memory that a worker's processes take together, shared pages counted once (their PSS), in MB.
local function memory_mb(pid)
  local pids, total = {pid}, 0
  for child in io.popen("pgrep -P " .. pid):lines() do pids[#pids + 1] = child end
  for _, p in ipairs(pids) do
    for line in io.lines("/proc/" .. p .. "/smaps_rollup") do
      total = total + (tonumber(line:match("^Pss:%s+(%d+)")) or 0)
    end
  end
  return total / 1024
end

-- Resident memory of each process, shared pages counted in each: the stricter reading.
local function resident_mb(pid)
  local total = 0
  for child in io.popen("echo " .. pid .. "; pgrep -P " .. pid):lines() do
    for line in io.lines("/proc/" .. child .. "/status") do
      total = total + (tonumber(line:match("^VmRSS:%s+(%d+)")) or 0)
    end
  end
  return total / 1024
end

local ready = {}
for i = 1, 5 do
  local _, stop, about = start_worker("bob" .. i, {connect = false})
  ready[i] = about.ready_seconds * 1e3
  if i == 1 then
    figure("worker-idle-mb", memory_mb(about.pid), "MB")
    figure("worker-idle-rss-mb", resident_mb(about.pid), "MB")
  end
  stop()
end
figure("worker-ready-ms", median(ready), "ms")

local bob, stop = start_worker("bob")
local p = tide.ones(64, 128):send(bob)
bob:wait()

local record, flush = {}, {}
for round = 1, 9 do
  local began = tide.clock()
  local q = p
  for _ = 1, 10000 do q = q + p end
  local recorded = tide.clock()
  bob:wait()
  record[round] = (recorded - began) / 10000 * 1e6
  flush[round] = (tide.clock() - began) * 1e3
end
figure("record", median(record), "us")
figure("flush-10k", median(flush), "ms")

tide.manual_seed(1)
local model = nn.Sequential(
  nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
  nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
  nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10), nn.LogSoftmax(2))
local opt = optim.SGD(model:parameters(), {lr = 0.01})
local x, y = tide.rand(64, 1, 28, 28):send(bob), tide.randint(0, 9, {64}, {dtype = "i64"}):send(bob)

local function step()
  model:send(bob)
  opt:zero_grad()
  local loss = F.nll_loss(model(x), y)
  loss:backward()
  opt:step()
  model:get()
  return loss:get():item()
end

step()
local before, times = bob:stats(), {}
for i = 1, 20 do
  local began = tide.clock()
  step()
  times[i] = (tide.clock() - began) * 1e3
end
local after = bob:stats()
local function per_step(field) return (after[field] - before[field]) / 20 end
figure("step-ms", median(times), "ms")
figure("step-messages", per_step "messages_out" + per_step "messages_in", "messages")
figure("step-waits", per_step "waits", "waits")
figure("step-megabytes", (per_step "bytes_out" + per_step "bytes_in") / 1e6, "MB")

-- A model that stays there: what remains is the step's own words.
model:send(bob)
local function step_there()
  opt:zero_grad()
  local loss = F.nll_loss(model(x), y)
  loss:backward()
  opt:step()
  return loss:get():item()
end
for _ = 1, 3 do step_there() end
before = bob:stats()
for i = 1, 20 do
  local began = tide.clock()
  step_there()
  times[i] = (tide.clock() - began) * 1e3
end
after = bob:stats()
figure("step-there-ms", median(times), "ms")
figure("step-there-bytes-out", per_step "bytes_out", "bytes")
stop()
