-- examples/mnist_federated.lua as it stands, two worker processes and all, on the 8x8 digits drawn larger: no
-- test needs MNIST. What the script finds of data, print and arg is ours:
-- luacheck: ignore 121 122
local function enlarge(x) -- Nx1x8x8 -> Nx1x28x28: each pixel three times in both directions, two of border
  local n = x:size(1)
  local big = x:view(n, 1, 8, 1, 8, 1):expand(n, 1, 8, 3, 8, 3):reshape(n, 1, 24, 24)
  local image = tide.zeros(n, 1, 28, 28)
  image[{{}, {}, {3, 26}, {3, 26}}] = big
  return image
end

function tide.data.mnist()
  local d = tide.data.digits()
  local train, test = d:split(0.8, {shuffle = true, seed = 3})
  return tide.Dataset{x = enlarge(train.x), y = train.y}, tide.Dataset{x = enlarge(test.x), y = test.y}
end

local printed = {}
function print(...) printed[#printed + 1] = table.concat({...}, "\t") end

-- Instrumented, an epoch takes ten times as long.
local epochs = (os.getenv("SAN") or "") == "" and 8 or 2
arg = {[-1] = arg[-1], [0] = "examples/mnist_federated.lua", tostring(epochs)}
dofile(arg[0])

local text = table.concat(printed, "\n")
local steps, waits = text:match("(%d+) steps, (%d+) waits")
assert(steps and steps == waits, "one wait a step: " .. text)
assert(tonumber(steps) == epochs * 24, "epochs of 24 batches: " .. text)
local accuracy = tonumber(printed[#printed]:match("^test accuracy (%d%.%d+)$"))
assert(accuracy and accuracy > (epochs == 8 and 0.7 or 0.2), "the last line: " .. printed[#printed])
assert(text:find("bob: +%d+ batches, %d+ messages out"), "the traffic is shown: " .. text)
