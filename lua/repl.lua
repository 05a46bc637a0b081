-- What the session at the terminal shows, and what Tab offers there. Completion walks tables raw and calls
-- no metamethod, so that it can never reach a worker or change anything.
local core = require "tide.core"
local pretty = require "tide.pretty"
local registry = require "tide.module.registry"

core.hook("show", function(...)
  for i = 1, select("#", ...) do print(pretty.value((select(i, ...)))) end
end)

-- ---- completion ----

local KEYWORDS = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
  "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}

-- The table that __index looks in: itself, or what a function has for it as an upvalue (a C function its
-- methods, a module's its class). The function is not called.
local function names_behind(index)
  if type(index) ~= "function" then return index end
  for i = 1, 8 do
    local name, value = debug.getupvalue(index, i)
    if name == nil then return nil end
    if type(value) == "table" and (name == "" or name == "class") then return value end
  end
end

-- The tables in which a value's names are found: itself, a module's fields, then what its metatables'
-- __index look in.
local function tables_of(value)
  local tables = {}
  for _ = 1, 20 do
    if type(value) == "table" then tables[#tables + 1] = value end
    if registry.is_module(value) then tables[#tables + 1] = registry.state(value).values end
    local meta = debug.getmetatable(value)
    if type(meta) ~= "table" then break end
    value = names_behind(rawget(meta, "__index"))
    if type(value) ~= "table" then break end
  end
  return tables
end

local function members(value)
  if core.is_tensor(value) then return {core.methods, core.fields()} end
  if type(value) == "string" then return {string} end
  return tables_of(value)
end

local function raw_member(value, name)
  if core.is_tensor(value) then return name == "grad" and value or nil end
  for _, t in ipairs(tables_of(value)) do
    local found = rawget(t, name)
    if found ~= nil then return found end
  end
end

-- The value of "a.b.c" by raw walks; nil when there is none.
local function walk(path)
  local value = _G
  for name in path:gmatch("[%a_][%w_]*") do
    value = raw_member(value, name)
    if value == nil then return nil end
  end
  return value
end

local function collect(tables, start, only_functions)
  local names, seen = {}, {}
  for _, t in ipairs(tables) do
    for name, value in next, t do
      local fits = type(name) == "string" and name:sub(1, #start) == start and not seen[name]
      if fits and name:match("^[%a_]") and (start ~= "" or not name:match("^_"))
        and (not only_functions or type(value) == "function") then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

local function common_start(names)
  local common = names[1] or ""
  for _, name in ipairs(names) do
    while name:sub(1, #common) ~= common do common = common:sub(1, -2) end
  end
  return common
end

local function inside_string(before)
  local open
  for c in before:gsub("\\.", ""):gmatch("[\"']") do
    if not open then open = c elseif open == c then open = nil end
  end
  return open ~= nil
end

-- For the text before the cursor: the names that fit, how many of their letters are there, and the letters
-- that all of them begin with.
core.hook("complete", function(before)
  if inside_string(before) then return {}, 0, "" end
  local path, sign, start = before:match("([%w_.:]-)([.:]?)([%a_]?[%w_]*)$")
  local names
  if sign ~= "" then
    local value = path:match("^[%a_]") and walk(path) or nil
    if value == nil then return {}, 0, "" end
    names = collect(members(value), start, sign == ":")
  else
    if start == "" then return {}, 0, "" end
    local words = {}
    for _, word in ipairs(KEYWORDS) do words[word] = true end
    names = collect({_G, words}, start)
  end
  return names, #start, common_start(names)
end)

-- Names in columns, as wide as the terminal.
core.hook("columns", function(names)
  local width = 0
  for _, name in ipairs(names) do width = math.max(width, #name + 2) end
  local count = math.max(1, core.columns() // width)
  local rows = (#names + count - 1) // count
  local out = {}
  for row = 1, rows do
    local line = {}
    for at = row, #names, rows do line[#line + 1] = names[at] .. (" "):rep(width - #names[at]) end
    out[row] = table.concat(line):gsub("%s+$", "") .. "\n"
  end
  return table.concat(out)
end)

return {}
