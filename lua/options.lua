-- Options tables, for the library's own functions: defaults in one place, unknown names refused with the
-- nearest right one.
local core = require "tide.core"

local options = {}

local function refuse(call, key, allowed)
  if type(key) ~= "string" then
    core.fail("argument", call, "options are named, got one under the key %s", tostring(key))
  end
  local names = {}
  for name in pairs(allowed) do names[#names + 1] = name end
  table.sort(names)
  local near = core.nearest(key, names)
  if near then
    core.fail("argument", call, "unknown option '%s', did you mean '%s'?", key, near)
  elseif #names == 0 then
    core.fail("argument", call, "unknown option '%s': it takes no options", key)
  end
  core.fail("argument", call, "unknown option '%s', there are: %s", key, table.concat(names, ", "))
end

-- A new table: `defaults` overlaid by `given`, which may be nil. `extra` lists names that have no
-- default. A default that is a boolean or a number wants a value of the same kind.
function options.options(call, given, defaults, extra)
  local allowed = {}
  for name in pairs(defaults) do allowed[name] = true end
  for _, name in ipairs(extra or {}) do allowed[name] = true end
  local result = {}
  for name, value in pairs(defaults) do result[name] = value end
  if given == nil then return result end
  if type(given) ~= "table" then
    core.fail("argument", call, "options come in a table, got %s", core.what(given))
  end
  for name, value in pairs(given) do
    if not allowed[name] then refuse(call, name, allowed) end
    local default = type(defaults[name])
    if (default == "boolean" or default == "number") and type(value) ~= default then
      core.fail("argument", call, "%s is a %s, got %s", name, default, core.what(value))
    end
    result[name] = value
  end
  return result
end

-- Is x a table of options, and no list?
function options.is_options(x)
  return type(x) == "table" and #x == 0 and type(next(x)) == "string"
end

return options
