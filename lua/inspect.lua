-- What compiled functions do: step:inspect().
local core = require "tide.core"

local Compiled = core.compiled_methods

local FORMATS = {text = true, dot = true, svg = true, program = true, plan = true}

local report_meta = {
  __tostring = function(report) return report.text end,
  __name = "report",
}

local function check_format(format)
  if format == nil or FORMATS[format] then return end
  if type(format) ~= "string" then
    core.fail("argument", "inspect", "format is a string, got %s", core.what(format))
  end
  local near = core.nearest(format, {"text", "dot", "svg", "program", "plan"})
  core.fail("argument", "inspect", "there is no format '%s', %s", format,
    near and "did you mean '" .. near .. "'?" or "there are: text, dot, svg, program, plan")
end

local function no_program(step, which)
  local info = core.compiled_info(step)
  if info.programs == 0 then
    core.fail_hint("state", "inspect", "call it once: a program is made for the shapes of its arguments",
      "'%s' has no program yet", info.name)
  end
  core.fail("index", "inspect", "program %d of %d", which, info.programs)
end

--- What a compiled function does in one call: operations by kind, work, bytes moved, memory, outputs.
---
---   step:inspect{format = nil, program = 1}
---
---   format   nil: a table of figures, which prints as text; or one of these as a string:
---            "text", "svg" (a drawing), "dot" (for Graphviz), "program" (an operation a line),
---            "plan" (what is fused, and where values lie)
---   program  which of its programs, the one that was used last being 1
---
--- The table has operations ({name, count, flops, bytes_read, bytes_written} for each kind, those with the most
--- work first), inputs and outputs ({dtype, size}, inputs also assigned: changed in place), count, flops,
--- bytes_read, bytes_written, memory (bytes beside the inputs), steps (calls of kernels, fused ones being one).
---
---   step = tide.compile(function(x, w) return x:matmul(w):relu() end)
---   step(tide.ones(8, 4), tide.ones(4, 2)):sum():item()      --> 64.0
---   step:inspect().flops                                     --> 144
---   step:inspect().operations[1].name                        --> matmul
---   io.open(os.tmpname(), "w"):write(step:inspect{format = "svg"}):close()
---
--- Errors: the function has not been called yet.
function Compiled:inspect(given)
  if not core.compiled_info(self) then
    core.fail("argument", "inspect", "wants a compiled function, got %s", core.what(self))
  end
  local o = core.options("inspect", given, {program = 1}, {"format"})
  check_format(o.format)
  local which = math.tointeger(o.program)
  if not which or which < 1 then
    core.fail("argument", "inspect", "program is an integer above 0, got %s", core.what(o.program))
  end
  local text = core.compiled_text(self, which, o.format or "text")
  if not text then no_program(self, which) end
  if o.format then return text end
  local report = core.compiled_report(self, which)
  report.text = text
  return setmetatable(report, report_meta)
end

return {}
