-- tide.plot and tide.progress: what they draw, on a terminal and elsewhere.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local fails, same = check.raises, check.eq

-- ---- plot ----

-- A rising line through a raster of 8x8 dots, 4 columns and 2 rows.
same(tide.plot_text({0, 1, 2, 3}, {width = 4, height = 2, ascii = true, title = "loss"}), table.concat({
  "   loss",
  "3 |  .'",
  "0 |.'",
  "  +----",
  "   1  4",
}, "\n"))
local braille = tide.plot_text({0, 1, 2, 3}, {width = 4, height = 2, ascii = false})
same(braille, table.concat({
  "3 │  ⡠⠊",
  "0 │⡠⠊",
  "  └────",
  "   1  4",
}, "\n"))
same(tide.plot_text(tide.arange(0, 3), {width = 4, height = 2, ascii = false}), braille)
same(tide.plot_text({y = {0, 1, 2, 3}}, {width = 4, height = 2, ascii = false}), braille)
same(tide.plot_text({{0, 3}}, {width = 4, height = 2, ascii = true}):match("^[^\n]*"), "3 |  .'")
-- Two lines, and x of one's own.
local cross = tide.plot_text({{0, 1}, {1, 0}}, {width = 2, height = 1, ascii = true})
same(cross:match("^[^\n]*"), "1 |||")
local points = tide.plot_text({x = {0, 10}, y = {5, 5}}, {width = 4, height = 1, ascii = true})
assert(points:find("\n     0 10", 1, true), points)
-- What is not finite leaves a gap, and nothing at all is a picture too.
assert(tide.plot_text({1, 0 / 0, math.huge, 2}, {ascii = true}):find "^ *2 |")
assert(tide.plot_text({}, {ascii = true}))
assert(tide.plot_text({7, 7}, {ascii = true}):find "7%.7 |")
fails(function() tide.plot{1, "a"} end, "plot: the data[2] is a string, not a number")
fails(function() tide.plot(3) end, "plot: the data is 3, not a list of numbers")
fails(function() tide.plot({1}, {wdith = 3}) end, "plot: unknown option 'wdith', did you mean 'width'?")
fails(function() tide.plot{x = {1}, y = {1, 2}} end, "1 x for 2 y")
fails(function() tide.plot(tide.ones(2, 2)) end, "the data is 2x2, not a vector")

-- ---- progress ----

local function output()
  local out = {text = ""}
  function out:write(...) self.text = self.text .. table.concat{...} end
  return out
end

local now = 0
local function clock() return now end

-- Elsewhere than on a terminal: a line every tenth.
local out = output()
local p = tide.progress(200, {title = "train", unit = "batches", out = out, live = false, clock = clock})
for i = 1, 200 do
  now = now + 0.5
  p:step{loss = 1 / i}
end
local lines = {}
for line in out.text:gmatch "(.-)\n" do lines[#lines + 1] = line end
same(#lines, 10)
same(lines[1], "train   10%  20/200  loss 0.05  2 batches/s  1:30 left")
same(lines[10], "train  100%  200/200  loss 0.005  2 batches/s  in 1:40")

-- On a terminal: one line, drawn over itself, not more often than ten times a second; the rest of a longer
-- line before it is wiped out.
out, now = output(), 0
p = tide.progress(100, {out = out, live = true, clock = clock})
for i = 1, 100 do
  now = now + 0.01
  p:step{loss = i}
end
local draws = select(2, out.text:gsub("\r", ""))
assert(draws >= 10 and draws <= 12, draws)
assert(out.text:find "100%%  100/100  loss 100  100 steps/s  in 0:01 *\n$", out.text)
same(select(2, out.text:gsub("\n", "")), 1)

-- A tensor is looked at only when the line is drawn; steps may count for several; close ends the line once.
out, now = output(), 0
p = tide.progress(10, {out = out, live = false, clock = clock})
p:step({loss = tide.tensor(0.5)}, 3)
assert(out.text:find("30%  3/10  loss 0.5\n", 1, true), out.text)
p:close()
p:close()
p:step()
same(select(2, out.text:gsub("\n", "")), 1)
fails(function() tide.progress(0) end, "progress: the number of steps is 0")
fails(function() tide.progress(3, {titel = "x"}) end, "did you mean 'title'?")
