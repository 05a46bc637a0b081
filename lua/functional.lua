-- F: the modules' work as plain functions, and the losses. This file only puts its parts
-- together.

local F = {}

for _, part in ipairs {
  require "tide.functional.activation",
  require "tide.functional.layer",
  require "tide.functional.norm",
  require "tide.functional.recurrent",
  require "tide.functional.loss",
  require "tide.functional.metric",
} do
  for name, f in pairs(part) do F[name] = f end
end

return F
