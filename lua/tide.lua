-- The top of the library: puts its parts together into `tide`, `nn`, `F` and `optim`. Each part is a file
-- that returns one table; nothing else decides what is public.
local core = require "tide.core"
local tide = require "tide"

-- In order of loading. `core`: helpers for the library itself; `internal`: hooks only; `field`: a table of
-- its own inside tide; `global`: a global too; none of them: what it returns is merged into tide.
local parts = {
  {"tide.options", core = true},
  {"tide.random", core = true},
  {"tide.tensor", methods = true},
  {"tide.create"},
  {"tide.index"},
  {"tide.compare"},
  {"tide.autograd"},
  {"tide.compile"},
  {"tide.inspect", internal = true},
  {"tide.gradcheck"},
  {"tide.pretty", internal = true},
  {"tide.functional", global = "F"},
  {"tide.nn", global = "nn"},
  {"tide.optim", global = "optim"},
  {"tide.data", field = "data"},
  {"tide.dataset"},
  {"tide.loader"},
  {"tide.files"},
  {"tide.plot"},
  {"tide.progress"},
  {"tide.threads"},
  {"tide.help"},
}

local function merge(into, from)
  for name, value in pairs(from) do into[name] = value end
end

merge(tide, core.functions)
tide.errors = {}
for word, number in pairs(core.errors) do tide.errors[word:gsub("-", "_")] = number end

for _, part in ipairs(parts) do
  local loaded = require(part[1])
  if part.core then
    merge(core, loaded)
  elseif part.methods then
    merge(core.methods, loaded)
  elseif part.field then
    tide[part.field] = loaded
  elseif part.global then
    tide[part.global] = loaded
    _G[part.global] = loaded
  elseif not part.internal then
    merge(tide, loaded)
  end
end

return tide
