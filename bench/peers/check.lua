-- Takes the first steps of a workload and compares them with the golden figures, which PyTorch computed
-- in double precision (bench/peers/steps.py golden): the loss of each step, and how far each parameter
-- has moved in all of them together.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or ""
local golden = dofile(folder .. "golden.lua")

-- Losses have f32's accuracy; a parameter's way is a small difference of larger numbers.
local LOSS, WAY = 2e-5, 2e-3

local function near(got, want, tolerance) return math.abs(got - want) <= tolerance * math.abs(want) + 1e-12 end

-- nil, or what is wrong.
return function(name, model, step, x, y)
  local want = golden[name]
  local before = {}
  for key, p in model:named_parameters() do before[key] = p:detach():clone() end
  for i, loss in ipairs(want.losses) do
    local got = step(x, y):item()
    if not near(got, loss, LOSS) then return ("loss %d is %.8g, not %.8g"):format(i, got, loss) end
  end
  local parameters = 0
  for key, p in model:named_parameters() do
    local got = (p:detach():to("f64") - before[key]:to("f64")):norm():item()
    if not near(got, want.ways[key] or 0 / 0, WAY) then
      return ("%s has moved by %.6g, not %.6g"):format(key, got, want.ways[key] or 0)
    end
    parameters = parameters + 1
  end
  if parameters ~= want.parameters then
    return ("the model has %d parameters, not %d"):format(parameters, want.parameters)
  end
end
