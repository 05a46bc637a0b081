-- Checks of arguments at the library's public edge. Each raises what was got and what was
-- wanted, or gives the value back.
local core = require "tide.core"

local check = {}

-- "mse_loss: the input is nil, not a tensor"
function check.tensor(call, name, value)
  if not core.is_tensor(value) then
    core.fail("argument", call, "%s is %s, not a tensor", name, core.what(value))
  end
  return value
end

-- A whole number of at least `least`.
function check.count(call, name, value, least)
  local whole = type(value) == "number" and math.tointeger(value)
  if not whole or whole < least then
    core.fail("argument", call, "%s is %s, not a whole number of at least %d", name,
              core.what(value), least)
  end
  return whole
end

-- A number in [least, most]; most may be left out.
function check.number(call, name, value, least, most)
  if type(value) ~= "number" or not (value >= least and value <= (most or math.huge)) then
    core.fail("argument", call, "%s is %s, not a number %s", name, core.what(value),
              most and ("from %g to %g"):format(least, most) or ("of at least %g"):format(least))
  end
  return value
end

-- One of a list of words.
function check.word(call, name, value, list)
  for _, word in ipairs(list) do
    if value == word then return value end
  end
  core.fail("argument", call, "%s is %s, not '%s'", name,
            type(value) == "string" and "'" .. value .. "'" or core.what(value),
            table.concat(list, "', '", 1, #list - 1) .. "' or '" .. list[#list])
end

return check
