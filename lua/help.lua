-- help: the documentation at the prompt and on the command line, the same text for both.
local core = require "tide.core"
local docs = require "tide.docs"

local help = {}

local function wrap(words, columns, indent)
  local lines, line = {}, indent
  for _, word in ipairs(words) do
    if #line > #indent and #line + #word + 1 > columns then
      lines[#lines + 1] = line
      line = indent
    end
    line = line == indent and line .. word or line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

local function print_doc(doc)
  local bold, plain = "", ""
  if core.has_color("stdout") then bold, plain = "\27[1m", "\27[0m" end
  print(bold .. doc.title .. plain)
  for line in (doc.text:gsub("%s+$", "") .. "\n"):gmatch("(.-)\n") do
    print((("  " .. line):gsub("%s+$", "")))
  end
end

-- Commands of the program, which main tells: {{name, arguments, doc, help}, ...}.
core.commands = core.commands or {}

local function print_commands(list)
  for _, command in ipairs(list) do
    print(("  %-30s %s"):format("tide " .. command[1] .. " " .. command[2], command[3]))
  end
end

local function print_topics()
  print "help(f) or help \"name\" explains a function, a class or a command; `tide help NAME` does too."
  local columns = math.min(core.columns(), 100)
  for _, group in ipairs(docs.public()) do
    local names = {}
    for i, entry in ipairs(group.list) do names[i] = entry.path end
    if #names > 0 then
      print("\n" .. group.title)
      print(wrap(names, columns, "  "))
    end
  end
  if #core.commands > 0 then
    print "\ncommands"
    print_commands(core.commands)
  end
end

-- What a table such as optim holds, by its full names.
local function names_in(word, words)
  local names, prefix = {}, word .. "."
  for _, name in ipairs(words) do
    if name:sub(1, #prefix) == prefix then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function print_word(word)
  local found = docs.of_word(word)
  for i, doc in ipairs(found) do
    if i > 1 then print "" end
    print_doc(doc)
  end
  local commands = {}
  for _, command in ipairs(core.commands) do
    if command[1] == word then commands[#commands + 1] = command end
  end
  print_commands(commands)
  for _, command in ipairs(commands) do
    if command[4] ~= "" then print(command[4]) end
  end
  if #found + #commands > 0 then return true end
  local words = docs.words()
  local inside = names_in(word, words)
  if #inside > 0 then
    print(("%s: there are"):format(word))
    print(wrap(inside, math.min(core.columns(), 100), "  "))
    return true
  end
  for _, command in ipairs(core.commands) do words[#words + 1] = command[1] end
  local near = core.nearest(word, words)
  print(("there is no help on '%s'%s"):format(word, near and (", did you mean '%s'?"):format(near) or
    "; help() lists what there is"))
  return false
end

local function class_of(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and (rawget(value, "class") or rawget(meta, "__index"))
end

local function print_value(value)
  local doc = (type(value) == "function" or type(value) == "table") and docs.of_value(value)
  if not doc and type(value) == "table" then
    local class = class_of(value)
    doc = type(class) == "table" and docs.of_value(class)
  end
  if doc then
    print_doc(doc)
    return true
  end
  if core.is_tensor(value) then
    print "a tensor; help \"x:sum\" explains its method sum. There are:"
    local names = {}
    for name in pairs(core.methods) do names[#names + 1] = name end
    table.sort(names)
    print(wrap(names, math.min(core.columns(), 100), "  "))
    return true
  end
  for _, name in ipairs {"tide", "nn", "F", "optim"} do
    if rawequal(value, _G[name]) then return print_word(name) end
  end
  local info = type(value) == "function" and debug.getinfo(value, "S")
  if info and info.what ~= "C" then
    print(("a function without documentation, defined in %s:%d"):format(info.short_src, info.linedefined))
  else
    print("there is no help on " .. core.what(value))
  end
  return false
end

core.hook("help", function(...)
  if select("#", ...) == 0 then
    print_topics()
    return true
  end
  local what = ...
  if type(what) == "string" then return print_word(what) end
  return print_value(what)
end)

--- Explains a function, a class or a name; without an argument it lists what there is.
--
--   help()          help(tide.zeros)          help "relu"          help "nn.Linear"
--
-- The same text as `tide help NAME` prints on the command line.
function help.help(...)
  core.help(...)
end

_G.help = help.help

return help
