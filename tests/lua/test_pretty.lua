-- How tensors and tables are shown, letter for letter.
local pretty = require "tide.pretty"

local function shows(value, want)
  want = want:gsub("^\n", ""):gsub("\n%s*$", "")
  local got = pretty.value(value)
  if got ~= want then error(("got\n%s\nwanted\n%s"):format(got, want), 2) end
end

shows(tide.tensor {{1, 2}, {3, 4}}, [[
 1  2
 3  4
[2x2 f32]
]])
shows(tide.tensor {1.5, -2, 0 / 0, math.huge}, [[
  1.5000  -2.0000      nan      inf
[4 f32]
]])
-- A common factor where all are small or large; exponents where they are far apart.
shows(tide.tensor({{1e-7, 2.5e-7}}, {dtype = "f64"}), [[
1e-07 *
 1.0000  2.5000
[1x2 f64]
]])
shows(tide.tensor {123456.5, 2000.25}, [[
1e+05 *
 1.2346  0.0200
[2 f32]
]])
shows(tide.tensor {0.001, 20000.5}, [[
 1.0000e-03  2.0000e+04
[2 f32]
]])
shows(tide.tensor({1e12, 1}, {dtype = "f64"}), [[
 1.0000e+12  1.0000e+00
[2 f64]
]])
shows(tide.tensor({-100, 7}, {dtype = "i64"}), [[
 -100     7
[2 i64]
]])
shows(tide.tensor {{true, false}}, [[
  true  false
[1x2 bool]
]])
shows(tide.tensor(3.25), "3.2500  [scalar f32]")
shows(tide.tensor(1e-9), "1.0000e-09  [scalar f32]")
shows(tide.tensor(7, {dtype = "i64"}), "7  [scalar i64]")
shows(tide.zeros(0, 3), "[0x3 f32]")
shows(tide.zeros(1):requires_grad_(), " 0\n[1 f32, requires_grad]")
shows(tide.tensor({1.5, 2}, {dtype = "f16"}), " 1.5000  2.0000\n[2 f16]")
shows(tide.arange(1, 8):view(2, 2, 2), [[
(1,.,.) =
 1  2
 3  4

(2,.,.) =
 5  6
 7  8

[2x2x2 f32]
]])
-- Beyond 1000 elements the ends of long dimensions are shown.
shows(tide.arange(1, 5000), "    1     2     3  ...  4998  4999  5000\n[5000 f32]")
shows(tide.arange(1, 2400):view(40, 60), [[
    1     2     3  ...    58    59    60
   61    62    63  ...   118   119   120
  121   122   123  ...   178   179   180
 ...
 2221  2222  2223  ...  2278  2279  2280
 2281  2282  2283  ...  2338  2339  2340
 2341  2342  2343  ...  2398  2399  2400
[40x60 f32]
]])
shows(tide.arange(1, 1200):view(1200, 1)[{{1, 2}}], " 1\n 2\n[2x1 f32]")
local long = pretty.value(tide.zeros(10, 10, 24))
assert(long:find("(3,.,.) =", 1, true) and long:find("(8,.,.) =", 1, true) and
  not long:find("(5,.,.) =", 1, true), "leading dimensions are shortened too")

-- A matrix wider than the terminal comes in blocks.
if not os.getenv "COLUMNS" or os.getenv "COLUMNS" == "80" then
  shows(tide.linspace(0, 1, 24):view(2, 12), [[
columns 1 to 9
 0.0000  0.0435  0.0870  0.1304  0.1739  0.2174  0.2609  0.3043  0.3478
 0.5217  0.5652  0.6087  0.6522  0.6957  0.7391  0.7826  0.8261  0.8696
columns 10 to 12
 0.3913  0.4348  0.4783
 0.9130  0.9565  1.0000
[2x12 f32]
]])
end

assert(tostring(tide.ones(2)) == " 1  1\n[2 f32]")
assert("x: " .. tide.tensor(1) == "x: 1  [scalar f32]")

-- ---- other values ----

shows(nil, "nil")
shows(3, "3")
shows(3.0, "3.0")
shows("a\n\"b\"", [["a\n\"b\""]])
shows({}, "{}")
shows({1, 2, {3, "x"}}, [[{1, 2, {3, "x"}}]])
shows({a = 1, ["b c"] = true, [10] = 2}, [=[{[10] = 2, a = 1, ["b c"] = true}]=])
shows({x = tide.ones(2, 3)}, "{x = <tensor 2x3 f32>}")
local cycle = {}
cycle.self = cycle
shows(cycle, "{self = {<itself>}}")
shows({{{{{{1}}}}}}, "{{{{{{...}}}}}}")
local twice = {1}
shows({twice, twice}, "{{1}, {1}}")
shows({("x"):rep(50), ("y"):rep(50)},
      '{\n  "' .. ("x"):rep(50) .. '",\n  "' .. ("y"):rep(50) .. '"\n}')
local many = {}
for i = 1, 60 do many[i] = i end
assert(pretty.value(many):find("... 10 more", 1, true))
shows(setmetatable({}, {__tostring = function() return "a thing" end}), "a thing")
-- Nothing is called to show a table.
shows(setmetatable({1}, {__index = error, __len = error, __pairs = error}), "{1}")
