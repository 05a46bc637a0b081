-- nn: the modules. This file only puts its parts together, one a kind of module.

local nn = {Module = require "tide.module"}

for _, part in ipairs {
  require "tide.nn.linear",
  require "tide.nn.conv",
  require "tide.nn.activation",
  require "tide.nn.norm",
  require "tide.nn.embedding",
  require "tide.nn.recurrent",
  require "tide.nn.container",
} do
  for name, class in pairs(part) do nn[name] = class end
end

return nn
