-- Runs every example of every doc, those of the op table and those of doc blocks, and fails when something
-- public has no doc.
--
-- A paragraph with `-->` in it is an example: its lines run one after the other, as at the prompt. Behind the
-- arrow stands what the line gives: values as the prompt shows them or as Lua writes them, spaces
-- between several; or `error: ` and a part of the text of an error.
local core = require "tide.core"
local docs = require "tide.docs"
local pretty = require "tide.pretty"

local failures, examples = {}, 0

local function fail(fmt, ...) failures[#failures + 1] = fmt:format(...) end

-- ---- one example ----

local function same(a, b)
  if core.is_tensor(a) and type(b) ~= "userdata" then a = a:totable() end
  if type(a) == "number" and type(b) == "number" then
    return a == b or math.abs(a - b) <= 5e-5 * math.max(1, math.abs(b))
  end
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function agrees(value, wanted)
  if pretty.value(value) == wanted or tostring(value) == wanted then return true end
  local as_lua = load("return " .. wanted, "=wanted", "t", {math = math, tide = tide})
  local ok, expected = pcall(as_lua or error)
  return ok and same(value, expected)
end

local function parts_of(text)
  local parts = {}
  for part in (text .. "  "):gmatch("(.-)%s%s+") do parts[#parts + 1] = part end
  return parts
end

local function shown(results)
  local list = {}
  for i = 1, results.n do list[i] = pretty.value(results[i]) end
  return table.concat(list, " ")
end

local function results_agree(results, wanted)
  if results.n == 1 and agrees(results[1], wanted) then return true end
  if shown(results) == wanted:gsub("%s+", " ") then return true end
  local parts = parts_of(wanted)
  if #parts ~= results.n then return false end
  for i, part in ipairs(parts) do
    if not agrees(results[i], part) then return false end
  end
  return true
end

-- A line as the prompt would run it: an expression, statements, or statements with an expression behind the
-- last semicolon.
local function compile(code, wanted, env)
  local f = load("return " .. code, "=example", "t", env)
  if f then return f end
  local statements, expression = code:match("^(.*);%s*(.-)$")
  f = wanted and statements and load(statements .. "; return " .. expression, "=example", "t", env)
  if f then return f end
  return load(code, "=example", "t", env)
end

-- Runs code that is whole; true when it was unfinished and wants the next line.
local function run(where, code, wanted, env)
  local f, err = compile(code, wanted, env)
  if not f then
    if err:match("<eof>$") and not wanted then return true end
    return fail("%s: %s\n    %s", where, err, code)
  end
  local results = table.pack(pcall(f))
  local ok = table.remove(results, 1)
  results.n = results.n - 1
  local wanted_error = wanted and wanted:match("^error: (.*)$")
  if wanted then examples = examples + 1 end
  if wanted_error then
    if ok then fail("%s: no error, wanted: %s\n    %s", where, wanted_error, code) end
    if not ok and not tostring(results[1]):find(wanted_error, 1, true) then
      fail("%s: error text\n    got    %s\n    wanted %s", where, tostring(results[1]), wanted_error)
    end
  elseif not ok then
    fail("%s: %s\n    %s", where, tostring(results[1]), code)
  elseif wanted and not results_agree(results, wanted) then
    fail("%s: %s\n    got    %s\n    wanted %s", where, code, shown(results), wanted)
  end
end

local function run_paragraph(where, lines, env)
  local code = ""
  for _, line in ipairs(lines) do
    local before, wanted = line:match("^(.-)%s*%-%->%s*(.-)%s*$")
    code = code == "" and (before or line) or code .. "\n" .. (before or line)
    if not run(where, code, wanted, env) then code = "" end
  end
end

-- ---- all examples ----

local function run_doc(where, text)
  local env = setmetatable({print = function() end}, {__index = _G})
  for paragraph in (text .. "\n\n"):gmatch("(.-)\n%s*\n") do
    if paragraph:find("-->", 1, true) then
      local lines = {}
      for line in (paragraph .. "\n"):gmatch("(.-)\n") do
        if line:match("^%s%s") then lines[#lines + 1] = line:match("^%s*(.*)$") end
      end
      run_paragraph(where, lines, env)
    end
  end
end

for _, op in ipairs(core.op_list()) do run_doc("op " .. op.name, op.doc) end
for _, block in ipairs(docs.blocks()) do run_doc(block.file .. ":" .. block.line, block.text) end

-- ---- nothing without a doc ----

local public = 0
for _, group in ipairs(docs.public()) do
  for _, entry in ipairs(group.list) do
    public = public + 1
    local doc = docs.of_entry(entry)
    if not doc then
      fail("%s has no doc", entry.path)
    elseif #doc.text < 20 then
      fail("%s: its doc is only '%s'", entry.path, doc.text)
    end
  end
end

-- The machinery itself must not fall silent.
assert(examples > 150, examples .. " examples were found")
assert(public > 150, public .. " public names were found")
local before = #failures
run("self", "1 + 1", "3", {})
run("self", "error 'x'", "error: y", {})
run("self", "1 +", "2", {})
assert(#failures == before + 3, "wrong examples fail")
for _ = 1, 3 do table.remove(failures) end

if #failures > 0 then
  error(("%d of the docs' examples and rules fail:\n%s"):format(#failures, table.concat(failures, "\n")))
end
