-- tide.plot: lines drawn in the terminal, with braille dots, or with plain characters where the
-- locale has no UTF-8.
local core = require "tide.core"
local check = require "tide.check"

local plot = {}

-- The bit of each of the 2x4 dots of a braille character (U+2800 + bits), by column and row.
local DOTS = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

local function is_finite(v) return v == v and v ~= math.huge and v ~= -math.huge end

-- ---- the series ----

local function numbers(value, what)
  if core.is_tensor(value) then
    if value:dim() ~= 1 then
      core.fail("shape", "plot", "%s is %s, not a vector", what, core.shape_text(value))
    end
    value = value:totable()
  end
  if type(value) ~= "table" then
    core.fail("argument", "plot", "%s is %s, not a list of numbers", what, core.what(value))
  end
  local list = {}
  for i, entry in ipairs(value) do
    if core.is_tensor(entry) then entry = entry:item() end
    if type(entry) ~= "number" then
      core.fail("argument", "plot", "%s[%d] is %s, not a number", what, i, core.what(entry))
    end
    list[i] = entry
  end
  return list
end

-- One line's {x, y} lists from a list of numbers, a vector, or {x = list, y = list}.
local function read_series(value, what)
  if type(value) == "table" and value.y ~= nil then
    local y = numbers(value.y, what .. ".y")
    local x = value.x ~= nil and numbers(value.x, what .. ".x") or {}
    if value.x == nil then
      for i = 1, #y do x[i] = i end
    end
    if #x ~= #y then core.fail("shape", "plot", "%s: %d x for %d y", what, #x, #y) end
    return {x = x, y = y}
  end
  local y, x = numbers(value, what), {}
  for i = 1, #y do x[i] = i end
  return {x = x, y = y}
end

local function read_all(data)
  local first = type(data) == "table" and data[1]
  local is_list_of_lines = type(first) == "table" or (core.is_tensor(first) and first:dim() > 0)
  if not is_list_of_lines or (type(data) == "table" and data.y) then return {read_series(data, "the data")} end
  local all = {}
  for i, line in ipairs(data) do all[i] = read_series(line, "line " .. i) end
  return all
end

-- ---- the picture ----

local function bounds(series, key)
  local least, most = math.huge, -math.huge
  for _, line in ipairs(series) do
    for _, v in ipairs(line[key]) do
      if is_finite(v) then least, most = math.min(least, v), math.max(most, v) end
    end
  end
  if least > most then least, most = 0, 1 end
  if least == most then
    local around = least == 0 and 1 or math.abs(least) * 0.1
    least, most = least - around, most + around
  end
  return least, most
end

-- A raster of width x height cells, each 2x4 dots, with a line drawn through the points.
local function rasterise(series, width, height)
  local cells, columns, rows = {}, width * 2, height * 4
  local x0, x1 = bounds(series, "x")
  local y0, y1 = bounds(series, "y")
  local function dot(column, row)
    local at = (row // 4) * width + column // 2
    cells[at] = (cells[at] or 0) | DOTS[column % 2 + 1][row % 4 + 1]
  end
  local function place(x, y)
    return math.floor((x - x0) / (x1 - x0) * (columns - 1) + 0.5),
           math.floor((y1 - y) / (y1 - y0) * (rows - 1) + 0.5)
  end
  for _, line in ipairs(series) do
    local last_column, last_row
    for i = 1, #line.y do
      if is_finite(line.x[i]) and is_finite(line.y[i]) then
        local column, row = place(line.x[i], line.y[i])
        if last_column then
          local steps = math.max(math.abs(column - last_column), math.abs(row - last_row), 1)
          for k = 1, steps do
            dot(math.floor(last_column + (column - last_column) * k / steps + 0.5),
                math.floor(last_row + (row - last_row) * k / steps + 0.5))
          end
        else
          dot(column, row)
        end
        last_column, last_row = column, row
      else
        last_column = nil
      end
    end
  end
  return cells, {x0 = x0, x1 = x1, y0 = y0, y1 = y1}
end

-- In plain characters a cell shows whether its dots are above, below, or both.
local function plain_cell(bits)
  if bits == 0 then return " " end
  local upper, lower = bits & (0x01 | 0x02 | 0x08 | 0x10), bits & (0x04 | 0x40 | 0x20 | 0x80)
  return upper ~= 0 and lower ~= 0 and "|" or upper ~= 0 and "'" or "."
end

local function has_utf8()
  local locale = os.getenv "LC_ALL" or ""
  if locale == "" then locale = os.getenv "LC_CTYPE" or "" end
  if locale == "" then locale = os.getenv "LANG" or "" end
  return locale:lower():find "utf%-?8" ~= nil
end

local function short(v) return ("%.4g"):format(v) end

local function pad_left(text, width) return (" "):rep(width - #text) .. text end

--- The picture that tide.plot prints, as a string.
--
--   tide.plot_text(data, {title =, width = 64, height = 12, ascii = false})
--
--   tide.plot_text({1, 2}, {width = 4, height = 1, ascii = true}):find("|", 1, true) ~= nil --> true
function plot.plot_text(data, opts)
  local o = core.options("plot", opts, {width = 64, height = 12}, {"title", "ascii"})
  check.count("plot", "width", o.width, 2)
  check.count("plot", "height", o.height, 1)
  local plain = o.ascii
  if plain == nil then plain = not has_utf8() end
  local cells, b = rasterise(read_all(data), o.width, o.height)
  local side, corner, floor = plain and "|" or "│", plain and "+" or "└", plain and "-" or "─"
  local top, bottom = short(b.y1), short(b.y0)
  local margin, lines = math.max(#top, #bottom), {}
  if o.title then lines[1] = (" "):rep(margin + 2) .. tostring(o.title) end
  for row = 0, o.height - 1 do
    local texts = {}
    for column = 0, o.width - 1 do
      local bits = cells[row * o.width + column] or 0
      texts[#texts + 1] = plain and plain_cell(bits) or bits == 0 and " " or utf8.char(0x2800 + bits)
    end
    local label = row == 0 and top or row == o.height - 1 and bottom or ""
    lines[#lines + 1] = pad_left(label, margin) .. " " .. side .. (table.concat(texts):gsub("%s+$", ""))
  end
  lines[#lines + 1] = (" "):rep(margin + 1) .. corner .. floor:rep(o.width)
  local left, right = short(b.x0), short(b.x1)
  lines[#lines + 1] = (" "):rep(margin + 2) .. left .. pad_left(right, math.max(o.width - #left, #right + 1))
  return table.concat(lines, "\n")
end

--- Draws lines in the terminal: of a list of numbers or a vector, of {x = list, y = list}, or of
-- a list of such lines. Values that are not finite leave a gap.
--
--   tide.plot(data, {title =, width = 64, height = 12, ascii = false})
--
-- ascii = true draws with plain characters, which is so by itself where the locale has no UTF-8.
function plot.plot(data, opts) io.write(plot.plot_text(data, opts), "\n") end

return plot
