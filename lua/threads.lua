-- How much of this machine the library may use.
local core = require "tide.core"

local threads = {}

--- Says on how many threads tensor operations work, or sets it: 1 to 256. At first it is what the
--- environment variable TIDE_THREADS says, or else the number of processors that this process may use.
--- Results are the same bits with any number.
---
---   tide.threads(2)   --> 2
---   tide.threads()    --> 2
---   tide.threads(0)   --> error: threads: a count from 1 to 256 is wanted, got 0
---
--- Returns the number.
function threads.threads(n)
  if n ~= nil then
    local count = type(n) == "number" and math.tointeger(n)
    if not count or count < 1 or count > 256 then
      core.fail("argument", "threads", "a count from 1 to 256 is wanted, got %s", core.what(n))
    end
    n = count
  end
  return core.threads(n)
end

return threads
