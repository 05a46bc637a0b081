-- The op table's functions by name, each looked up when it is first used: op.conv2d(x, w,
-- stride).
local core = require "tide.core"

return setmetatable({}, {
  __index = function(t, name)
    t[name] = core.op(name)
    return t[name]
  end,
})
