-- Finds documentation: the doc blocks in the library's own sources, the texts of the op table, and what is
-- public. Read by help and by the test that runs every example.
--
-- A doc block is a run of comment lines that begins with three dashes, right above `function tide.x(...)`,
-- `function Module:y(...)` or `tide.x = ...`.
local core = require "tide.core"

local docs = {}

-- ---- blocks ----

-- What a line declares: its owner ("tide", "Dataset", or "") and name.
local function declared(line)
  local path = line:match("^%s*function%s+([%w_.:]+)%s*%(") or line:match("^%s*([%w_.]+)%s*=[^=]")
    or line:match("^%s*local%s+function%s+([%w_]+)") or line:match("^%s*local%s+([%w_]+)%s*=[^=]")
  if not path then return end
  local owner, name = path:match("^(.*)[.:]([%w_]+)$")
  return owner or "", name or path
end

local function blocks_of(file, text, list)
  local block, number = nil, 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if line:match("^%s*%-%-%-") and not block then block = {} end
    local comment = line:match("^%s*%-%-%-? ?(.*)$")
    if block and comment and line:match("^%s*%-%-") then
      block[#block + 1] = comment
    elseif block then
      local owner, name = declared(line)
      if name then
        list[#list + 1] = {file = file, line = number, owner = owner, name = name,
                           text = table.concat(block, "\n")}
      end
      block = nil
    end
  end
end

local all_blocks

-- All doc blocks of the program: {file, line, owner, name, text}.
function docs.blocks()
  if all_blocks then return all_blocks end
  all_blocks = {}
  for _, file in ipairs(core.embedded_names()) do
    if file:match("%.lua$") then blocks_of(file, core.embedded(file), all_blocks) end
  end
  return all_blocks
end

-- ---- ops ----

local function default_text(attr)
  if attr.required then return attr.name end
  if attr.kind == "bool" then return attr.name .. " = " .. tostring(attr.preset ~= 0) end
  if attr.kind == "list" or attr.kind == "dim" and attr.preset < 0 or attr.kind == "dtype" then
    return attr.name .. " = nil"
  end
  if attr.preset == math.huge then return attr.name .. " = math.huge" end
  if attr.preset == -math.huge then return attr.name .. " = -math.huge" end
  return attr.name .. " = " .. ("%.14g"):format(attr.preset)
end

-- "x:narrow(dim, start, length)": the ways an op is called, a line each.
local function signatures(op)
  local inputs = {"x", "y", "z", "u", "v", "w"}
  local given = table.move(inputs, 1, math.max(op.inputs, 0), 1, {})
  local attrs = {}
  for i, attr in ipairs(op.attrs) do attrs[i] = default_text(attr) end
  local dim_first = op.inputs >= 2 and op.attrs[1] and op.attrs[1].kind == "dim" and op.attrs[1].required
  local function arguments(from)
    local list = table.move(given, from, #given, 1, {})
    for i, attr in ipairs(attrs) do
      table.insert(list, dim_first and i == 1 and 3 - from or #list + 1, attr)
    end
    return table.concat(list, ", ")
  end
  local lines = {}
  if op.method then lines[#lines + 1] = ("x:%s(%s)"):format(op.name, arguments(2)) end
  if op.inputs < 0 then
    lines[#lines + 1] = ("tide.%s(%s)"):format(op.name, table.concat({"{x, y, ...}", table.unpack(attrs)}, ", "))
  elseif op.is_function then
    lines[#lines + 1] = ("tide.%s(%s)"):format(op.name, arguments(1))
  end
  return table.concat(lines, "\n")
end

local ops

local function op_doc(name)
  if not ops then
    ops = {}
    for _, op in ipairs(core.op_list()) do ops[op.name] = op end
  end
  local op = ops[name]
  if op and op.doc ~= "" then return {title = signatures(op), text = op.doc, path = name} end
end

-- ---- what is public ----

local function is_class(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

-- Names of tables that hold no functions of their own.
local DATA = {errors = true}

local function add_table(list, prefix, owner, t, depth)
  local names = {}
  for name in next, t do
    if type(name) == "string" and not name:match("^_") then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = rawget(t, name)
    if type(value) == "function" or type(value) == "table" and is_class(value) then
      list[#list + 1] = {path = prefix .. name, owner = owner, name = name, value = value}
    elseif type(value) == "table" and depth > 0 and not DATA[name] then
      add_table(list, prefix .. name .. ".", name, value, depth - 1)
    end
  end
end

-- Everything that a script can reach from tide, nn, F, optim and a tensor, in groups:
-- {title =, list = {{path, owner, name, value}, ...}}.
function docs.public()
  local tide = require "tide"
  local groups = {}
  local function add(title, prefix, owner, t, depth)
    local list = {}
    add_table(list, prefix, owner, t, depth)
    groups[#groups + 1] = {title = title, list = list}
  end
  local plain = {}
  for name, value in pairs(tide) do
    if value ~= _G[name] or type(value) == "function" then plain[name] = value end
  end
  add("tide", "tide.", "tide", plain, 2)
  add("tensors", "x:", "Tensor", core.methods, 0)
  add("compiled functions", "step:", "Compiled", core.compiled_methods, 0)
  add("modules", "nn.", "nn", tide.nn or {}, 1)
  add("functions of modules, and losses", "F.", "F", tide.F or {}, 0)
  add("optimisers", "optim.", "optim", tide.optim or {}, 1)
  return groups
end

-- ---- from a value to its text ----

-- The block right above where a Lua function is defined.
local function block_at(f)
  local info = debug.getinfo(f, "S")
  local file = info.source:match("^=tide/(.*)$")
  if info.what == "C" or not file then return end
  for _, block in ipairs(docs.blocks()) do
    if block.line == info.linedefined and (block.file == "lua/" .. file or block.file == file) then
      return block
    end
  end
end

-- The block for a public name: of the same owner if there is one.
local function block_named(owner, name)
  local found
  for _, block in ipairs(docs.blocks()) do
    if block.name == name then
      if block.owner == owner then return block end
      if not found or block.owner == "" then found = block end
    end
  end
  return found
end

-- The documentation of a public entry: {title, text}, or nil.
function docs.of_entry(entry)
  local op = core.op_of(entry.value)
  if op then return op_doc(op) end
  local block = type(entry.value) == "function" and block_at(entry.value)
    or block_named(entry.owner, entry.name)
  if block then return {title = entry.path, text = block.text, path = entry.path} end
end

local function each_entry(f)
  for _, group in ipairs(docs.public()) do
    for _, entry in ipairs(group.list) do
      if f(entry) then return entry end
    end
  end
end

-- The documentation of a function or class.
function docs.of_value(value)
  local entry = each_entry(function(entry) return rawequal(entry.value, value) end)
  if entry then return docs.of_entry(entry) end
  local op = core.op_of(value)
  if op then return op_doc(op) end
  local block = type(value) == "function" and block_at(value)
  if not block then return end
  local joint = block.owner == "" and "" or block.owner .. "."
  return {title = joint .. block.name, text = block.text, path = joint .. block.name}
end

-- All that is documented under a word: "relu", "tide.zeros", "nn.Linear", "x:sum", "Dataset:split".
function docs.of_word(word)
  local found, seen = {}, {}
  local function add(doc)
    if doc and not seen[doc.text] then
      seen[doc.text] = true
      found[#found + 1] = doc
    end
  end
  local owner, name = word:match("^(.*)[.:]([%w_]+)$")
  if owner == "tensor" or owner == "Tensor" or owner == "tide.Tensor" then word, owner = "x:" .. name, "x" end
  each_entry(function(entry)
    if entry.path == word or not owner and entry.name == word then add(docs.of_entry(entry)) end
  end)
  name = name or word
  for _, block in ipairs(docs.blocks()) do
    local matches = block.name == name and (not owner or block.owner == owner)
    if matches and (owner or #found == 0) then
      local joint = block.owner == "" and "" or block.owner .. ":"
      add {title = joint .. name, text = block.text, path = joint .. name}
    end
  end
  if #found == 0 and not owner then add(op_doc(word)) end
  return found
end

-- Every name that help knows, for suggestions.
function docs.words()
  local words, seen = {}, {}
  local function add(word)
    if not seen[word] then
      seen[word] = true
      words[#words + 1] = word
    end
  end
  each_entry(function(entry) add(entry.name) add(entry.path) end)
  for _, block in ipairs(docs.blocks()) do add(block.name) end
  table.sort(words)
  return words
end

return docs
