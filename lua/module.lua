-- nn.Module: what every module is. Assignments to an object register parameters, buffers and
-- submodules in their order; the walks over them (parameters, state_dict, train, ...) are here
-- too. Knows no particular module.
--
-- An object's fields live in a table of its own behind a private key, so that each assignment is
-- seen, also one over a field that exists.

local core = require "tide.core"
local ordered = require "tide.ordered"
local check = require "tide.check"

local STATE = {}

local function is_module(value)
  return type(value) == "table" and rawget(value, STATE) ~= nil
end

local function new_state()
  return {
    values = {},                                        -- every field of the object
    kinds = {},                                         -- "parameter", "buffer" or "module" by field
    parameter = {}, buffer = {}, module = {},           -- their fields, in order
    transient = {},                                     -- buffers that state dicts leave out
  }
end

local function unregister(state, key)
  local keys = state[state.kinds[key]]
  for i, name in ipairs(keys) do
    if name == key then
      table.remove(keys, i)
      break
    end
  end
  state.kinds[key] = nil
  state.transient[key] = nil
end

local function register(state, key, kind)
  if state.kinds[key] == kind then return end
  if state.kinds[key] then unregister(state, key) end
  if kind then
    state.kinds[key] = kind
    table.insert(state[kind], key)
  end
end

-- What an assignment makes of a value: the kind to register it as, or nil.
local function kind_for(object, key, value, old)
  if is_module(value) then return "module" end
  if not core.is_tensor(value) then return nil end
  if old == "buffer" then return old end
  local leaf = value.is_leaf
  if old == "parameter" then
    if not leaf then
      core.fail("argument", object.class_name,
        "parameter '%s' cannot be the result of an operation; detach() it first", key)
    end
    if not value.requires_grad and rawget(object, STATE).values[key].requires_grad then
      core.fail("argument", object.class_name,
        "parameter '%s' would not be trained any more; requires_grad_() the new tensor, or set nil first",
        key)
    end
    return old
  end
  return leaf and value.requires_grad and "parameter" or nil
end

local function assign(object, key, value)
  local state = rawget(object, STATE)
  local old = state.kinds[key]
  register(state, key, kind_for(object, key, value, old))
  state.values[key] = value
end

-- ---- classes ----

local Module = {class_name = "nn.Module", training = true}

local function construct(class, ...)
  local object = setmetatable({[STATE] = new_state()}, class.object_meta)
  object:init(...)
  return object
end

-- Where its parameters live, as the first of them says: a worker, or nil for here.
local function place_of(object)
  local first = object:parameters()[1]
  return first and first.location
end

local function make_object_meta(class)
  return {
    __name = class.class_name,
    __index = function(object, key)
      local value = rawget(object, STATE).values[key]
      if value ~= nil then return value end
      if key == "location" then return place_of(object) end
      return class[key]
    end,
    __newindex = assign,
    __call = function(object, ...) return object:forward(...) end,
    __tostring = function(object) return object:repr() end,
    __len = function(object) return #rawget(object, STATE).module end,
    __pairs = function(object) return next, rawget(object, STATE).values end,
  }
end

--- A new class of modules: `Net = nn.Module:extend("Net")`. Give it init (called with the
-- arguments of `Net(...)`) and forward (called with those of `net(...)`). `Net.super` is the
-- class it extends.
--
--   Scale = nn.Module:extend("Scale")
--   function Scale:init(by) self.by = tide.full({1}, by):requires_grad_() end
--   function Scale:forward(x) return x * self.by end
--   Scale(3)(tide.tensor{1, 2}):totable() --> {3, 6}
function Module:extend(name)
  if type(name) ~= "string" then
    core.fail("argument", "extend", "the class's name is %s, not a string", core.what(name))
  end
  local class = setmetatable({class_name = name, super = self},
    {__index = self, __call = construct, __tostring = function() return "class " .. name end})
  class.object_meta = make_object_meta(class)
  return class
end

--- Sets up a new object; classes have their own. Gets the arguments of the constructor.
function Module:init() end

--- What the module does with its input; every class that is called has its own.
function Module:forward()
  core.fail("unsupported", self.class_name, "the class has no forward")
end

--- True for an object of a class made with extend.
--
--   nn.Module.is(nn.ReLU()) --> true
function Module.is(value) return is_module(value) end

-- ---- registration ----

--- Registers a tensor that belongs to the module without being trained: it travels with the
-- module, and stands in its state dict unless `{persistent = false}`. Later assignments to the
-- name keep it a buffer.
function Module:register_buffer(name, tensor, opts)
  opts = core.options("register_buffer", opts, {persistent = true})
  check.tensor("register_buffer", name, tensor)
  local state = rawget(self, STATE)
  register(state, name, "buffer")
  state.values[name] = tensor
  state.transient[name] = not opts.persistent or nil
end

--- Registers a tensor as a parameter, whether it requires a gradient (yet) or not. Assigning a
-- leaf that requires one does the same: `self.weight = tide.randn(3, 3):requires_grad_()`.
function Module:register_parameter(name, tensor)
  if not check.tensor("register_parameter", name, tensor).is_leaf then
    core.fail("argument", "register_parameter",
      "%s is the result of an operation; detach() it first", name)
  end
  local state = rawget(self, STATE)
  register(state, name, "parameter")
  state.values[name] = tensor
end

-- ---- walks ----

-- The name that a field has in state dicts: PyTorch counts the modules of a list from 0.
local function dict_name(key)
  return math.type(key) == "integer" and tostring(key - 1) or tostring(key)
end

-- Calls visit(prefix, module) for the module and all below it, each once: a module before those
-- in it.
local function walk(module, visit, prefix, seen)
  prefix, seen = prefix or "", seen or {}
  if seen[module] then return end
  seen[module] = true
  visit(prefix, module)
  local state = rawget(module, STATE)
  for _, key in ipairs(state.module) do
    walk(state.values[key], visit, prefix .. dict_name(key) .. ".", seen)
  end
end

local function named(module, kind)
  local found, seen = ordered.new(), {}
  walk(module, function(prefix, m)
    local state = rawget(m, STATE)
    for _, key in ipairs(state[kind]) do
      local tensor = state.values[key]
      if not seen[tensor] then
        seen[tensor] = true
        found[prefix .. dict_name(key)] = tensor
      end
    end
  end)
  return found
end

local function list(map)
  local values = {}
  for _, value in map do values[#values + 1] = value end
  return values
end

--- The parameters of the module and of those in it, in order of registration: a list. A shared
-- one stands there once.
--
--   #nn.Linear(3, 2):parameters() --> 2
function Module:parameters() return list(named(self, "parameter")) end

--- The same with their names, as an ordered table: `for name, p in model:named_parameters() do`.
--
--   nn.Sequential(nn.Linear(3, 2)):named_parameters()["0.weight"]:size() --> {2, 3}
function Module:named_parameters() return named(self, "parameter") end

--- The buffers (running means and the like) of the module and of those in it: a list.
function Module:buffers() return list(named(self, "buffer")) end

--- The same with their names, as an ordered table.
function Module:named_buffers() return named(self, "buffer") end

--- The module itself and all modules in it, at any depth: a list.
--
--   #nn.Sequential(nn.Linear(3, 2), nn.ReLU()):modules() --> 3
function Module:modules()
  local all = {}
  walk(self, function(_, m) all[#all + 1] = m end)
  return all
end

--- The same with their names ("" for the module itself), as an ordered table.
function Module:named_modules()
  local all = ordered.new()
  walk(self, function(prefix, m) all[prefix:sub(1, -2)] = m end)
  return all
end

--- The modules that are directly in this one: a list.
function Module:children()
  local state, all = rawget(self, STATE), {}
  for i, key in ipairs(state.module) do all[i] = state.values[key] end
  return all
end

--- Calls f(m) for all modules in this one, and last for itself. Returns the module.
function Module:apply(f)
  for _, child in ipairs(self:children()) do child:apply(f) end
  f(self)
  return self
end

-- ---- what is set on all of them ----

--- Turns training behaviour (dropout, batch statistics) on, or off with `train(false)`. Returns
-- the module.
--
--   nn.Dropout(0.5):train().training --> true
function Module:train(on)
  on = on ~= false
  walk(self, function(_, m) m.training = on end)
  return self
end

--- Turns training behaviour off. Returns the module.
--
--   nn.Dropout(0.5):eval()(tide.ones(2)):totable() --> {1, 1}
function Module:eval() return self:train(false) end

--- Forgets the gradients of all parameters.
function Module:zero_grad()
  for _, p in named(self, "parameter") do p.grad = nil end
end

--- Sets whether the parameters want gradients; true when left out. Returns the module.
function Module:requires_grad_(on)
  for _, p in named(self, "parameter") do p:requires_grad_(on ~= false) end
  return self
end

local function is_float(dtype)
  return dtype == "f64" or dtype == "f32" or dtype == "f16" or dtype == "bf16"
end

--- Converts parameters and buffers of a float dtype to another one, in place: the tensors stay
-- the same objects, so an optimiser goes on with them. Returns the module.
--
--   nn.Linear(3, 2):to("f64").weight:dtype() --> "f64"
function Module:to(dtype)
  local function convert(t)
    if is_float(t:dtype()) and t:dtype() ~= dtype then core.become(t, t:detach():to(dtype)) end
  end
  if not is_float(dtype) then
    core.fail("dtype", "to", "a module's parameters are of a float dtype, not %s", tostring(dtype))
  end
  for _, t in named(self, "parameter") do convert(t) end
  for _, t in named(self, "buffer") do convert(t) end
  return self
end

-- ---- state dicts ----

local function collect(module, prefix, visit)
  local state = rawget(module, STATE)
  for _, key in ipairs(state.parameter) do visit(prefix .. dict_name(key), state.values[key]) end
  for _, key in ipairs(state.buffer) do
    if not state.transient[key] then visit(prefix .. dict_name(key), state.values[key]) end
  end
  for _, key in ipairs(state.module) do
    collect(state.values[key], prefix .. dict_name(key) .. ".", visit)
  end
end

--- All parameters and buffers by name, as an ordered table of tensors that share their values
-- with the module and are on no tape. Names are PyTorch's: modules of a Sequential count from 0
-- in them.
--
--   nn.Sequential(nn.Linear(3, 2)):state_dict()["0.bias"]:size() --> {2}
function Module:state_dict()
  local dict = ordered.new()
  collect(self, "", function(name, tensor) dict[name] = tensor:detach() end)
  return dict
end

local function name_list(word, names)
  if #names == 0 then return nil end
  table.sort(names)
  return word .. " " .. table.concat(names, ", ")
end

--- Copies the values of a state dict into the module's parameters and buffers. All names must be
-- there and no others, unless `{strict = false}`; shapes must agree in any case. Nothing is
-- changed when something does not fit, and the error lists all of it. Returns two lists: names
-- that were missing, and that were not expected.
--
--   a, b = nn.Linear(3, 2), nn.Linear(3, 2)
--   b:load_state_dict(a:state_dict())
--   tide.equal(a.weight, b.weight) --> true
function Module:load_state_dict(dict, opts)
  opts = core.options("load_state_dict", opts, {strict = true})
  if type(dict) ~= "table" or is_module(dict) then
    core.fail("argument", "load_state_dict", "the state is %s, not a table of tensors by name",
      core.what(dict))
  end
  local missing, unexpected, wrong, mine = {}, {}, {}, ordered.new()
  collect(self, "", function(name, tensor) mine[name] = tensor end)
  for name, tensor in mine do
    local given = dict[name]
    if given == nil then
      missing[#missing + 1] = name
    elseif not core.is_tensor(given) then
      wrong[#wrong + 1] = ("%s is %s, not a tensor"):format(name, core.what(given))
    elseif core.shape_text(given) ~= core.shape_text(tensor) then
      wrong[#wrong + 1] = ("%s is %s, not %s"):format(name, core.shape_text(given), core.shape_text(tensor))
    end
  end
  for name in pairs(dict) do
    if mine[name] == nil then unexpected[#unexpected + 1] = tostring(name) end
  end
  local faults = {}
  if opts.strict then
    faults[#faults + 1] = name_list("missing", missing)
    faults[#faults + 1] = name_list("unexpected", unexpected)
  end
  faults[#faults + 1] = #wrong > 0 and table.concat(wrong, ", ") or nil
  if #faults > 0 then
    core.fail("argument", "load_state_dict", "%s: %s", self.class_name, table.concat(faults, "; "))
  end
  local _ <close> = core.no_grad()
  for name, tensor in mine do
    if dict[name] ~= nil then tensor:assign(dict[name]) end
  end
  return missing, unexpected
end

--- A copy of the module with parameters and buffers of its own, and of the modules in it. Other
-- fields are shared.
--
--   a = nn.Linear(3, 2)
--   tide.equal(a:clone().weight, a.weight), a:clone().weight == a.weight --> true false
function Module:clone()
  local made = {}
  local function copy(value)
    if made[value] then return made[value] end
    if is_module(value) then
      local old, new = rawget(value, STATE), new_state()
      made[value] = setmetatable({[STATE] = new}, getmetatable(value))
      for _, kind in ipairs {"parameter", "buffer", "module"} do
        for i, key in ipairs(old[kind]) do new[kind][i] = key end
      end
      for key, kind in pairs(old.kinds) do new.kinds[key] = kind end
      for key in pairs(old.transient) do new.transient[key] = true end
      for key, field in pairs(old.values) do
        new.values[key] = old.kinds[key] and copy(field) or field
      end
    else
      made[value] = value:detach():clone()
      if value.requires_grad then made[value]:requires_grad_() end
    end
    return made[value]
  end
  return copy(self)
end

-- ---- texts ----

--- What stands in the brackets after the module's name when it is printed; classes have their
-- own.
function Module:extra_repr() return "" end

--- One line that names the module in errors: "nn.Linear 784 -> 10".
function Module:brief() return self.class_name end

--- The module as it is printed: its class, and in brackets what is in it, each on a line.
--
--   nn.Sequential(nn.ReLU()):repr() --> "Sequential(\n  (1): ReLU()\n)"
function Module:repr()
  local name = self.class_name:gsub("^nn%.", "")
  local extra, state, lines = self:extra_repr(), rawget(self, STATE), {}
  if #state.module == 0 then return name .. "(" .. extra .. ")" end
  if extra ~= "" then lines[1] = "  " .. extra end
  for _, key in ipairs(state.module) do
    local text = state.values[key]:repr():gsub("\n", "\n  ")
    lines[#lines + 1] = ("  (%s): %s"):format(tostring(key), text)
  end
  return name .. "(\n" .. table.concat(lines, "\n") .. "\n)"
end

Module.object_meta = make_object_meta(Module)

return setmetatable(Module, {
  __call = construct,
  __tostring = function() return "class nn.Module" end,
})
