-- How values are shown: tensors as torch7 showed them (aligned columns, a scale factor or exponents where they
-- are needed, a footer), tables readably, with an end to depth and cycles.
local core = require "tide.core"

local pretty = {}

local SHORTEN_BEYOND = 1000 -- elements; then each dimension shows its ends only
local floor, huge, log = math.floor, math.huge, math.log

-- ---- numbers ----

-- Digits before the point: 1 for 1..9.99, 0 for 0.1..0.99, -1 for 0.01.
local function magnitude(x)
  if x == 0 then return 1 end
  return floor(log(x, 10) + 1e-12) + 1
end

-- Least and largest magnitude of the finite elements, and whether all are whole numbers.
local function survey(elements)
  local low, high, whole = huge, -huge, true
  for _, x in ipairs(elements) do
    if x == x and x ~= huge and x ~= -huge then
      local size = magnitude(x < 0 and -x or x)
      if x ~= 0 and size < low then low = size end
      if size > high then high = size end
      if x % 1 ~= 0 then whole = false end
    end
  end
  if high == -huge then low, high = 1, 1 end
  return math.min(low, high), high, whole
end

local function odd(x)
  if x ~= x then return "nan" end
  if x == huge then return "inf" end
  if x == -huge then return "-inf" end
end

-- A function that formats one element, and the power of ten that is taken out of all of them.
local function float_format(elements)
  local low, high, whole = survey(elements)
  local pattern, scale = "%.4f", 0
  if whole then
    pattern = high > 9 and "%.4e" or "%.0f"
  elseif high - low > 4 then
    pattern = "%.4e"
  elseif high > 5 or high < 0 then
    scale = high - 1
  end
  local factor = 10.0 ^ -scale
  return function(x) return odd(x) or pattern:format(x * factor) end, scale
end

local function format_of(dtype, elements)
  if dtype == "bool" then return tostring, 0 end
  if dtype == "i64" or dtype == "i32" or dtype == "u8" then
    return function(x) return ("%d"):format(x) end, 0
  end
  return float_format(elements)
end

-- ---- elements ----

-- Puts two nested tables one behind the other at depth d, with a gap between them.
local function join(a, b, d)
  if d == 1 then
    local list = table.move(b, 1, #b, #a + 1, table.move(a, 1, #a, 1, {}))
    list.gap = #a
    return list
  end
  local list = {gap = a.gap}
  for i = 1, #a do list[i] = join(a[i], b[i], d - 1) end
  return list
end

-- The elements as nested tables, only the ends of long dimensions when `edge` is given. A table's `gap` is
-- how many stand before what was left out.
local function nested(x, edge, d)
  if d > x:dim() then return x:totable() end
  local n = x:size(d)
  if not edge or n <= 2 * edge then return nested(x, edge, d + 1) end
  local head = nested(x:narrow(d, 1, edge), edge, d + 1)
  local tail = nested(x:narrow(d, n - edge + 1, edge), edge, d + 1)
  return join(head, tail, d)
end

local function flatten(value, into)
  if type(value) ~= "table" then
    into[#into + 1] = value
  else
    for i = 1, #value do flatten(value[i], into) end
  end
  return into
end

-- ---- matrices ----

local function right(text, width) return (" "):rep(width - #text) .. text end

-- Rows of formatted cells; a row is a list, with a gap perhaps.
local function text_rows(matrix, format)
  local rows, width = {gap = matrix.gap}, 1
  for i, row in ipairs(matrix) do
    local cells = {gap = row.gap}
    for j, x in ipairs(row) do
      cells[j] = format(x)
      width = math.max(width, #cells[j])
    end
    rows[i] = cells
  end
  return rows, width
end

local function add_block(out, rows, width, from, to)
  for i, cells in ipairs(rows) do
    local line = {}
    for j = from, to do
      line[#line + 1] = right(cells[j], width)
      if cells.gap == j then line[#line + 1] = "..." end
    end
    out[#out + 1] = " " .. table.concat(line, "  ")
    if rows.gap == i then out[#out + 1] = " ..." end
  end
end

-- A matrix wider than the terminal comes in blocks of columns.
local function add_matrix(out, matrix, format, columns)
  local rows, width = text_rows(matrix, format)
  local n = rows[1] and #rows[1] or 0
  local fit = math.max(1, (columns - 1) // (width + 2))
  if n <= fit then return add_block(out, rows, width, 1, n) end
  for from = 1, n, fit do
    local to = math.min(n, from + fit - 1)
    out[#out + 1] = ("columns %d to %d"):format(from, to)
    add_block(out, rows, width, from, to)
  end
end

-- A vector runs over as many lines as it needs.
local function add_vector(out, vector, format, columns)
  local rows, width = text_rows({vector}, format)
  local cells = rows[1]
  local fit = math.max(1, (columns - 1) // (width + 2))
  local line = {}
  local function flush()
    if #line > 0 then out[#out + 1] = " " .. table.concat(line, "  ") end
    line = {}
  end
  for j, cell in ipairs(cells) do
    line[#line + 1] = right(cell, width)
    if cells.gap == j then line[#line + 1] = "..." end
    if #line >= fit then flush() end
  end
  flush()
end

-- Leading dimensions are walked; "(1,2,.,.) =" stands above each matrix.
local function add_matrices(out, value, depth, at, format, columns, sizes)
  if depth == 2 then
    out[#out + 1] = "(" .. table.concat(at, ",") .. ",.,.) ="
    add_matrix(out, value, format, columns)
    out[#out + 1] = ""
    return
  end
  local n = sizes[#at + 1]
  for i, entry in ipairs(value) do
    local place = value.gap and i > value.gap and n - #value + i or i
    add_matrices(out, entry, depth - 1, table.move(at, 1, #at, 1, {[#at + 1] = place}), format, columns,
                 sizes)
    if value.gap == i then
      out[#out + 1] = "..."
      out[#out + 1] = ""
    end
  end
end

local function footer(x)
  return "[" .. core.shape_text(x) .. " " .. x:dtype() .. (x.requires_grad and ", requires_grad" or "") .. "]"
end

-- A pointer: what is known here, without asking the place.
local function pointer(x)
  return ("<tensor %s %s at %s>"):format(core.shape_text(x), x:dtype(), core.place_name(x))
end

-- The text of a tensor. Waits when its value is on its way; a pointer waits for nothing.
function pretty.tensor(x)
  if core.place_name(x) then return pointer(x) end
  local y = x:detach()
  local edge = y:numel() > SHORTEN_BEYOND and (y:dim() > 4 and 1 or 3) or nil
  local value = nested(y, edge, 1)
  local format, scale = format_of(y:dtype(), flatten(value, {}))
  if y:dim() == 0 then
    return (scale == 0 and format(value) or ("%.4e"):format(value)) .. "  " .. footer(x)
  end
  local out, columns = {}, core.columns()
  if y:numel() > 0 then
    if scale ~= 0 then out[1] = ("1e%+03d *"):format(scale) end
    if y:dim() == 1 then
      add_vector(out, value, format, columns)
    elseif y:dim() == 2 then
      add_matrix(out, value, format, columns)
    else
      add_matrices(out, value, y:dim(), {}, format, columns, y:size())
    end
  end
  out[#out + 1] = footer(x)
  return table.concat(out, "\n")
end

core.hook("tostring", pretty.tensor)

-- ---- other values ----

local MAX_DEPTH, MAX_ENTRIES, LINE = 5, 50, 80

local function is_name(key) return type(key) == "string" and key:match("^[%a_][%w_]*$") end

local function has_text(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end

local function quote(s)
  return '"' .. s:gsub('[%c"\\]', function(c)
    local known = {["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\"}
    return known[c] or ("\\%d"):format(c:byte())
  end) .. '"'
end

-- Names in order, numbers before them; what else there is comes last, as it comes.
local function sorted_keys(t)
  local keys, count = {}, rawlen(t)
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= count) then keys[#keys + 1] = key end
  end
  local rank = {number = 1, string = 2}
  table.sort(keys, function(a, b)
    local ra, rb = rank[type(a)] or 3, rank[type(b)] or 3
    if ra ~= rb then return ra < rb end
    if ra == 3 then return tostring(a) < tostring(b) end
    return a < b
  end)
  return keys
end

local show

local function show_table(t, depth, seen)
  if next(t) == nil then return "{}" end
  if seen[t] then return "{<itself>}" end
  if depth > MAX_DEPTH then return "{...}" end
  seen[t] = true
  local parts, total = {}, 0
  local function add(text)
    total = total + 1
    if total <= MAX_ENTRIES then parts[#parts + 1] = text() end
  end
  for i = 1, rawlen(t) do add(function() return show(rawget(t, i), depth + 1, seen) end) end
  for _, key in ipairs(sorted_keys(t)) do
    add(function()
      local name = is_name(key) and key or "[" .. show(key, MAX_DEPTH + 1, seen) .. "]"
      return name .. " = " .. show(rawget(t, key), depth + 1, seen)
    end)
  end
  seen[t] = nil
  if total > MAX_ENTRIES then parts[#parts + 1] = ("... %d more"):format(total - MAX_ENTRIES) end
  local flat = "{" .. table.concat(parts, ", ") .. "}"
  local indent = ("  "):rep(depth)
  if #flat + #indent <= LINE and not flat:find("\n") then return flat end
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth - 1) .. "}"
end

function show(value, depth, seen)
  if type(value) == "string" then return quote(value) end
  if core.is_tensor(value) then
    if depth == 1 then return pretty.tensor(value) end
    return core.place_name(value) and pointer(value) or
      ("<tensor %s %s>"):format(core.shape_text(value), value:dtype())
  end
  if type(value) ~= "table" or has_text(value) then return tostring(value) end
  return show_table(value, depth, seen)
end

-- The text of any value, as the prompt shows it.
function pretty.value(value)
  return show(value, 1, {})
end

return pretty
