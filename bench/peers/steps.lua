-- tide's side of the comparison with PyTorch: reads a command a line, answers with a line. The driver is
-- bench/peers/run.py; by hand: echo "load mlp-32" | tide bench/peers/steps.lua
--
--   load NAME        makes the workload, takes its first steps and compares them with the golden
--                    figures: "ok FLOPS", or "wrong" and what is
--   time SECONDS     microseconds of a step, the least of repetitions of some milliseconds; of wall time,
--                    or with PEERS_CLOCK=cpu of the process's processor time
--   quit
--
-- `tide bench/peers/steps.lua list` only names the workloads.
local folder = arg[0]:match("^(.*/)") or ""
local workloads = dofile(folder .. "workloads.lua")
local check = dofile(folder .. "check.lua")

local now = os.getenv("PEERS_CLOCK") == "cpu" and os.clock or tide.clock
local step, x, y

local function load_workload(name)
  local w = workloads.find(name)
  local model
  model, x, y = workloads.make(w)
  step = workloads.step_of(model, workloads.LR)
  if tide.compile and not os.getenv("PEERS_EAGER") then step = tide.compile(step) end
  local wrong = check(name, model, step, x, y)
  return wrong and "wrong " .. wrong or ("ok %.0f"):format(w.flops)
end

local function steps_us(n)
  local began, loss = now(), nil
  for _ = 1, n do loss = step(x, y) end
  local us = (now() - began) / n * 1e6
  if loss:item() ~= loss:item() then error("the loss is no number any more") end
  return us
end

local function time(seconds)
  local began = tide.clock()
  local least = steps_us(2)
  local n = math.max(1, math.min(1e6, 5e3 // least) // 1)
  local done = 0
  while done < 3 or tide.clock() - began < seconds do
    least = math.min(least, steps_us(math.tointeger(n)))
    done = done + 1
  end
  return ("us %.4f"):format(least)
end

if arg[1] == "list" then
  for _, w in ipairs(workloads) do print(w.name) end
  return
end

io.stdout:setvbuf("line")
for line in io.lines() do
  local command, argument = line:match("^(%S+)%s*(%S*)$")
  if command == "load" then
    local fine, answer = pcall(load_workload, argument)
    print(fine and answer or "wrong " .. tostring(answer):match("[^\n]*"))
  elseif command == "time" then
    print(time(tonumber(argument)))
  elseif command == "quit" then
    break
  else
    print("wrong: what is '" .. line .. "'?")
  end
end
