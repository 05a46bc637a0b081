-- nn: modules one after the other.

local core = require "tide.core"
local Module = require "tide.module"

local nn = {}

--- nn.Sequential(a, b, ...): c(b(a(x))). seq[1] is the first module, #seq counts them; in state
-- dicts the first is "0", as in PyTorch. An error inside says in which module it was.
--
--   net = nn.Sequential(nn.Linear(784, 10), nn.LogSoftmax())
--   net(tide.ones(64, 784)):size() --> {64, 10}
--   net(tide.ones(64, 100)) --> error: in module 1 (nn.Linear 784 -> 10): matmul: 64x100 does not multiply 784x10
nn.Sequential = Module:extend("nn.Sequential")

function nn.Sequential:init(...)
  for i = 1, select("#", ...) do
    local module = select(i, ...)
    if not Module.is(module) then
      core.fail("argument", "nn.Sequential", "argument %d is %s, not a module", i, core.what(module))
    end
    self[i] = module
  end
end

local function run(modules, at, x)
  for i, module in ipairs(modules) do
    at[1] = i
    x = module(x)
  end
  return x
end

function nn.Sequential:forward(x)
  local modules, at = self:children(), {0}
  local ok, result = pcall(run, modules, at, x)
  if ok then return result end
  core.rethrow_with(result, ("in module %d (%s)"):format(at[1], modules[at[1]]:brief()))
end

return nn
