-- tide.compile, and what the rest of the library tells it while a function is traced: fields that the function
-- depends on, counters that go up with each run, numbers that are worked out anew for each run.
local core = require "tide.core"

local compile = {}

-- ---- the trace under way ----

-- Lists that C reads, three entries a line: [1] guards and [2] fields of modules are table, key, value; [3] is
-- what is done before each run: COUNT, table, key / CALL, function, false / FIELD, table, key.
local session
local COUNT, CALL, FIELD = 1, 2, 3

local function add(list, a, b, c)
  local n = #list
  list[n + 1], list[n + 2], list[n + 3] = a, b, c
end

-- The program holds for t[key] as it is now. Each is noted once, and not at all when the function set it
-- before.
local function note(list, t, key)
  local seen = session.seen[t]
  if not seen then
    seen = {}
    session.seen[t] = seen
  end
  if seen[key] then return end
  seen[key] = true
  local value = rawget(t, key)
  add(list, t, key, value == nil and core.none or value)
end

local function watch(values, key) note(session[2], values, key) end

-- Modules call it, where it is set, for each field that is read; a field that was set is read no more.
local function switch(on) core.watch = on and watch or nil end

core.hook("trace_begin", function()
  session = {{}, {}, {}, outer = session, seen = {}, counts = {},
    settings = {}}
  switch(true)
  return session
end)

core.hook("trace_end", function()
  session = session and session.outer
  switch(session ~= nil)
end)

-- A function that changes what its own program depends on would be traced at every call.
core.hook("trace_check", function()
  for which = 1, 2 do
    local list = session[which]
    for i = 1, #list, 3 do
      local value = rawget(list[i], list[i + 1])
      if value == nil then value = core.none end
      if not rawequal(value, list[i + 2]) then
        core.fail_hint("state", "compile", "set it outside of the function",
          "'%s' reads the field '%s' and changes it: later runs would not", core.tracing(),
          tostring(list[i + 1]))
      end
    end
  end
end)

-- ---- for the library ----

-- The program holds while t[key], without metamethods, is what it is now.
function core.guard(t, key)
  if session then note(session[1], t, key) end
end

-- The same for a setting that t may have from its class or owner.
function core.guard_setting(t, key, owner)
  core.guard(t, key)
  if session and rawget(t, key) == nil then core.guard(owner, key) end
end

-- t[key] = t[key] + 1, now and at each run. Returns what the counter then is (in a trace: at the first run).
function core.count(t, key)
  if not session then
    local n = t[key] + 1
    t[key] = n
    return n
  end
  local counts = session.counts[t] or {}
  session.counts[t] = counts
  counts[key] = (counts[key] or 0) + 1
  add(session[3], COUNT, t, key)
  return t[key] + counts[key]
end

-- The number f() as it is now; in a trace: a number that stands for it, and f is called before each run.
function core.late(f)
  if not session then return f() end
  add(session[3], CALL, f, false)
  return core.trace_scalar()
end

-- The number t[key], likewise: one for all that ask for it.
function core.setting(t, key)
  if not session then return t[key] end
  local known = session.settings[t] or {}
  session.settings[t] = known
  if not known[key] then
    add(session[3], FIELD, t, key)
    known[key] = core.trace_scalar()
  end
  return known[key]
end

-- f(...) outside of the trace: for state that a function makes once and then keeps.
function core.untraced(f, ...)
  if not session then return f(...) end
  local inner, trace = session, core.trace_pause()
  session = nil
  switch(false)
  local guard <close> = setmetatable({}, {__close = function() -- luacheck: ignore guard
    session = inner
    switch(true)
    core.trace_resume(trace)
  end})
  return (function(...) return ... end)(f(...))
end

-- Refuses what cannot be done again at each run.
function core.not_traced(call, what)
  local name = core.tracing()
  if not name then return end
  core.fail_hint("state", call, "call it outside of the function",
    "%s cannot be part of the compiled function '%s'", what, name)
end

-- ---- for users ----

local methods = {}
core.compiled_methods = methods

local function is_callable(f)
  if type(f) == "function" then return true end
  local meta = debug.getmetatable(f)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

local function name_of(f)
  if type(f) == "function" then
    local info = debug.getinfo(f, "S")
    return ("%s:%d"):format(info.short_src, info.linedefined)
  end
  return type(f) == "table" and f.class_name or "f"
end

--- A function that does what f does, as one program. The first call with arguments of some shapes traces f:
-- it runs once with tensors that have no values yet, and each operation is written down, through backward()
-- and opt:step() too. From then on the program runs: no Lua, nothing allocated but results, operations
-- fused. The bits are those of f itself.
--
--   tide.compile(f, {name = "file:line", cache = 16, keep_grads = false})
--
-- Tensors that f takes from outside (parameters, states) are used as they are at each call, and may be changed
-- in place; plain numbers and whatever else Lua does are as they were at the trace. Another program is made,
-- and kept beside the others, for arguments of other shapes, dtypes or plain values, after train() and
-- eval(), when a setting of an optimiser changes (its lr may change at any time), and where gradients are there
-- that were not. `cache` bounds their number; the one that was not used longest goes.
--
-- Random numbers are new ones at each call, the same that f would draw. A gradient that the function zeroes,
-- computes and uses up in an optimiser's step is nil afterwards, unless keep_grads is true. Results
-- carry no gradient to the outside. Without a program, f as it stands, go calls with pointers as arguments, and
-- those where the function changes a tensor that another argument, or a tensor it takes from outside, shares
-- memory with (a state that is passed in and assigned to as well). tostring(step) counts them, and the traces
-- where there were more than there are programs: a plain number that is another one at each call makes as many.
--
-- Errors: to look at a value inside (item, if x > 0, print) is refused, since there is none.
--
--   step = tide.compile(function(x) return (x * 2 + 1):sum() end)
--   step(tide.ones(3)):item()                                  --> 9.0
--   peek = tide.compile(function(x) return x:sum():item() end, {name = "peek"})
--   peek(tide.ones(3))                                         --> error: item: the tensor has no value
function compile.compile(f, given)
  if not is_callable(f) then
    core.fail("argument", "compile", "wants a function, got %s", core.what(f))
  end
  local o = core.options("compile", given, {cache = 16, keep_grads = false}, {"name"})
  if math.type(o.cache) ~= "integer" or o.cache < 1 then
    core.fail("argument", "compile", "cache is an integer above 0, got %s", core.what(o.cache))
  end
  if o.name ~= nil and type(o.name) ~= "string" then
    core.fail("argument", "compile", "name is a string, got %s", core.what(o.name))
  end
  return core.compiled(f, o.name or name_of(f), o.cache, o.keep_grads)
end

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

core.compiled_meta.__index = methods
core.compiled_meta.__tostring = function(step)
  local info = core.compiled_info(step)
  local text = ("compiled '%s': %s, %s"):format(info.name, plural(info.programs, "program"),
    plural(info.calls, "call"))
  if info.traces > info.programs then text = text .. (", %s"):format(plural(info.traces, "trace")) end
  if info.plain > 0 then text = text .. (", %d of the calls without a program"):format(info.plain) end
  return text
end

return compile
