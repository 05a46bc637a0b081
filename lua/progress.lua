-- tide.progress: how far a long loop is, with its loss, its rate and the time that is left. On a
-- terminal one line is drawn again and again; elsewhere a plain line comes every tenth of the
-- way.
local core = require "tide.core"
local check = require "tide.check"

local Progress = {}
Progress.__index = Progress
local public = {}

local REDRAW_SECONDS = 0.1

--- Seconds of a clock that only goes forward, for timing: only differences mean something.
--
--   t = tide.clock()
--   tide.clock() - t < 1                                       --> true
public.clock = core.clock

--- A progress line for a loop of `total` steps. Each step calls p:step(values), and p:close()
-- ends the line (so does the last step).
--
--   p = tide.progress(total, {title = nil, unit = "steps", out = io.stderr, live = nil})
--   p:step{loss = 0.31}
--
-- live: whether the line is drawn over itself; as the terminal allows when left out. clock: a
-- function that gives seconds, for tests.
--
--   text = ""
--   p = tide.progress(10, {out = {write = function(_, ...) text = text .. table.concat{...} end}, live = false})
--   for i = 1, 10 do p:step{loss = 1 / i} end
--   select(2, text:gsub("\n", ""))                             --> 10
function public.progress(total, opts)
  local o = core.options("progress", opts, {unit = "steps"}, {"title", "out", "live", "clock"})
  check.count("progress", "the number of steps", total, 1)
  local live = o.live
  if live == nil then live = o.out == nil and core.isatty "stderr" end
  local clock = o.clock or core.clock
  return setmetatable({
    total = total, done = 0, title = o.title, unit = o.unit, out = o.out or io.stderr, live = live,
    clock = clock, began = clock(), drawn = -math.huge, shown = 0, width = 0, values = {}, names = {},
  }, Progress)
end

local function time_text(seconds)
  seconds = math.max(0, math.floor(seconds + 0.5))
  if seconds < 3600 then return ("%d:%02d"):format(seconds // 60, seconds % 60) end
  return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

local function value_text(value)
  if math.type(value) == "float" then return ("%.4g"):format(value) end
  return tostring(value)
end

function Progress:text()
  local seconds = self.clock() - self.began
  local parts = {}
  if self.title then parts[1] = tostring(self.title) end
  parts[#parts + 1] = ("%3d%%  %d/%d"):format(self.done * 100 // self.total, self.done, self.total)
  for _, name in ipairs(self.names) do parts[#parts + 1] = name .. " " .. value_text(self.values[name]) end
  if seconds > 0 and self.done > 0 then
    local rate = self.done / seconds
    parts[#parts + 1] = ("%.3g %s/s"):format(rate, self.unit)
    parts[#parts + 1] = self.done < self.total and time_text((self.total - self.done) / rate) .. " left"
      or "in " .. time_text(seconds)
  end
  return table.concat(parts, "  ")
end

function Progress:draw()
  local text = self:text()
  if not self.live then
    self.out:write(text, "\n")
    return
  end
  local columns = core.columns "stderr"
  if #text >= columns then text = text:sub(1, columns - 1) end
  self.out:write("\r", text, (" "):rep(self.width - #text))
  if self.out.flush then self.out:flush() end
  self.width = #text
end

--- One step more (or `count`). Values, a table of numbers and texts by name, stand in the line; a
-- 0-d tensor is looked at only when the line is drawn.
function Progress:step(values, count)
  if self.closed then return end
  self.done = math.min(self.done + (count or 1), self.total)
  for name, value in pairs(values or {}) do
    if self.values[name] == nil then
      self.names[#self.names + 1] = name
      table.sort(self.names)
    end
    self.values[name] = value
  end
  local now, last = self.clock(), self.done == self.total
  local due
  if self.live then
    due = now - self.drawn >= REDRAW_SECONDS
  else
    due = self.done * 10 // self.total > self.shown
  end
  if due or last then
    for name, value in pairs(self.values) do
      if core.is_tensor(value) then self.values[name] = value:item() end
    end
    self.drawn, self.shown = now, self.done * 10 // self.total
    self:draw()
  end
  if last then self:close() end
end

--- Ends the line, wherever the loop stands.
function Progress:close()
  if self.closed then return end
  self.closed = true
  if self.live then self.out:write("\n") end
end

return public
