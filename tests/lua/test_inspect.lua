-- step:inspect: the figures of a training step against what is worked out by hand, what it prints, the drawings,
-- and its errors.
local check = dofile("tests/lua/helper.lua")

local function training(rows)
  local model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
  local opt = optim.SGD(model:parameters(), {lr = 0.1})
  local step = tide.compile(function(x, y)
    opt:zero_grad()
    local loss = F.cross_entropy(model(x), y)
    loss:backward()
    opt:step()
    return loss
  end, {name = "step"})
  step(tide.randn(rows, 20), tide.zeros(rows):to("i64"))
  return step
end

local function kind(report, name)
  for _, row in ipairs(report.operations) do
    if row.name == name then return row end
  end
end

-- ---- figures ----

local step = training(16)
local report = step:inspect()
-- two products forward, two for weights, one for what goes back through the second layer
local products = 2 * 16 * (20 * 30 + 30 * 5) + 2 * 16 * (20 * 30 + 30 * 5) + 2 * 16 * 30 * 5
check.eq(kind(report, "matmul").count, 5)
check.eq(kind(report, "matmul").flops, products)
check.eq(report.operations[1].name, "matmul")
check.eq(kind(report, "assign").count, 4)
check.eq(kind(report, "assign").bytes_written, 4 * (20 * 30 + 30 + 30 * 5 + 5))
assert(report.flops > products and report.flops < 1.5 * products)
check.eq(#report.outputs, 1)
check.eq(report.outputs[1].dtype, "f32")
check.eq(#report.outputs[1].size, 0)
local assigned, sum, count = 0, {flops = 0, bytes_read = 0, bytes_written = 0}, 0
for _, input in ipairs(report.inputs) do assigned = assigned + (input.assigned and 1 or 0) end
for _, row in ipairs(report.operations) do
  count = count + row.count
  for name in pairs(sum) do sum[name] = sum[name] + row[name] end
end
check.eq(assigned, 4)
check.eq(count, report.count)
for name, value in pairs(sum) do check.eq(value, report[name], name) end
assert(report.steps > 0 and report.steps < report.count, "some operations are fused")
assert(report.memory > 0)
check.eq(report.inputs[1].size, {16, 20})

-- ---- what it prints ----

local text = tostring(report)
check.eq(text, step:inspect{format = "text"})
check.eq(text:match("outputs   ([^\n]*)"), "f32 scalar")
assert(text:match("work      [%d.]+ kFLOP in %d+ operations, run as %d+ steps"), text)
assert(text:match("\nmatmul +5 "), text)

-- ---- drawings and lists ----

local svg = step:inspect{format = "svg"}
assert(svg:match("^<svg ") and svg:match("</svg>\n$"))
local boxes = select(2, svg:gsub('<rect class="product"', ""))
check.eq(boxes, 5)
check.eq(select(2, svg:gsub('class="assign"', "")), 4)
local dot = step:inspect{format = "dot"}
assert(dot:match("^digraph ") and dot:match("}\n$"))
check.eq(select(2, dot:gsub("matmul", "")), 5)
local program = step:inspect{format = "program"}
assert(program:match("matmul%(%%%d+, %%%d+%) +f32  16x30"), program)
assert(#step:inspect{format = "plan"} > 50)

-- ---- which program ----

step(tide.randn(4, 20), tide.zeros(4):to("i64"))
check.eq(step:inspect().inputs[1].size, {4, 20})
check.eq(step:inspect{program = 2}.inputs[1].size, {16, 20})
check.eq(step:inspect{program = 2}.flops, report.flops)

-- ---- errors ----

local fresh = tide.compile(function(x) return x end, {name = "fresh"})
local err = check.fails("inspect: 'fresh' has no program yet", function() fresh:inspect() end)
check.eq(err.hint, "call it once: a program is made for the shapes of its arguments")
check.fails("inspect: program 3 of 2", function() step:inspect{program = 3} end)
check.fails("inspect: program is an integer above 0, got 1.5", function() step:inspect{program = 1.5} end)
check.fails("inspect: program is an integer above 0, got 0", function() step:inspect{program = 0} end)
check.fails("inspect: there is no format 'svgg', did you mean 'svg'?",
  function() step:inspect{format = "svgg"} end)
check.fails("inspect: there is no format 'pdf', there are: text, dot, svg, program, plan",
  function() step:inspect{format = "pdf"} end)
check.fails("inspect: format is a string, got 3", function() step:inspect{format = 3} end)
check.fails("inspect: unknown option 'fromat', did you mean 'format'?",
  function() step:inspect{fromat = "svg"} end)
check.fails("inspect: wants a compiled function, got 3", function() step.inspect(3) end)
