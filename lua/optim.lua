-- optim: optimisers, gradient clipping and schedules of the learning rate. This file only puts
-- its parts together.

local optim = {lr = require "tide.optim.lr"}

for _, part in ipairs {
  require "tide.optim.sgd",
  require "tide.optim.adam",
  require "tide.optim.sparse_adam",
  require "tide.optim.adaptive",
  require "tide.optim.clip",
} do
  for name, value in pairs(part) do optim[name] = value end
end

return optim
