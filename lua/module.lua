-- nn.Module: classes, registration, what is set on all modules of a model, texts. The fields themselves are
-- registry.lua's, state dicts and copies state.lua's. Knows no particular module.
local core = require "tide.core"
local check = require "tide.check"
local ordered = require "tide.ordered"
local registry = require "tide.module.registry"

-- ---- classes ----

--- What every module is. Extend it to make a class of your own: init registers parameters,
-- buffers and modules by assigning them to fields, forward computes.
--
--   Net = nn.Module:extend("Net")
--   function Net:init(hidden) self.a, self.b = nn.Linear(4, hidden), nn.Linear(hidden, 2) end
--   function Net:forward(x) return self.b(self.a(x):relu()) end
--   Net(8)(tide.ones(3, 4)):size()                             --> {3, 2}
local Module = {class_name = "nn.Module", training = true}

local function construct(class, ...)
  local object = registry.new(class.object_meta)
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
      local values = registry.state(object).values
      local value = values[key]
      if core.watch then core.watch(values, key) end
      if value ~= nil then return value end
      if key == "location" then return place_of(object) end
      return class[key]
    end,
    __newindex = registry.assign,
    __call = function(object, ...) return object:forward(...) end,
    __tostring = function(object) return object:repr() end,
    __len = function(object) return #registry.state(object).module end,
    __pairs = function(object) return next, registry.state(object).values end,
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
function Module.is(value) return registry.is_module(value) end

-- ---- registration ----

--- Registers a tensor that belongs to the module without being trained: it travels with the
-- module, and stands in its state dict unless `{persistent = false}`. Later assignments to the
-- name keep it a buffer.
function Module:register_buffer(name, tensor, opts)
  opts = core.options("register_buffer", opts, {persistent = true})
  check.tensor("register_buffer", name, tensor)
  local state = registry.state(self)
  registry.register(state, name, "buffer")
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
  local state = registry.state(self)
  registry.register(state, name, "parameter")
  state.values[name] = tensor
end

-- ---- walks ----

local function list(map)
  local values = {}
  for _, value in map do values[#values + 1] = value end
  return values
end

--- The parameters of the module and of those in it, in order of registration: a list. A shared
-- one stands there once.
--
--   #nn.Linear(3, 2):parameters() --> 2
function Module:parameters() return list(registry.named(self, "parameter")) end

--- The same with their names, as an ordered table: `for name, p in model:named_parameters() do`.
--
--   nn.Sequential(nn.Linear(3, 2)):named_parameters()["0.weight"]:size() --> {2, 3}
function Module:named_parameters() return registry.named(self, "parameter") end

--- The buffers (running means and the like) of the module and of those in it: a list.
function Module:buffers() return list(registry.named(self, "buffer")) end

--- The same with their names, as an ordered table.
function Module:named_buffers() return registry.named(self, "buffer") end

--- The module itself and all modules in it, at any depth: a list.
--
--   #nn.Sequential(nn.Linear(3, 2), nn.ReLU()):modules() --> 3
function Module:modules()
  local all = {}
  registry.walk(self, function(_, m) all[#all + 1] = m end)
  return all
end

--- The same with their names ("" for the module itself), as an ordered table.
function Module:named_modules()
  local all = ordered.new()
  registry.walk(self, function(prefix, m) all[prefix:sub(1, -2)] = m end)
  return all
end

--- The modules that are directly in this one: a list.
function Module:children()
  local state, all = registry.state(self), {}
  if core.watch then registry.watch(state, "module") end
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
  registry.walk(self, function(_, m) m.training = on end)
  return self
end

--- Turns training behaviour off. Returns the module.
--
--   nn.Dropout(0.5):eval()(tide.ones(2)):totable() --> {1, 1}
function Module:eval() return self:train(false) end

--- Forgets the gradients of all parameters.
function Module:zero_grad()
  for _, p in registry.named(self, "parameter") do p.grad = nil end
end

--- Sets whether the parameters want gradients; true when left out. Returns the module.
function Module:requires_grad_(on)
  for _, p in registry.named(self, "parameter") do p:requires_grad_(on ~= false) end
  return self
end

-- ---- texts ----

--- What stands in the brackets after the module's name when it is printed; classes have their
-- own.
function Module:extra_repr() return "" end

--- One line that names the module in errors: "nn.Linear 784 -> 10".
function Module:brief() return self.class_name end

--- The module as it is printed: its class, and in brackets what is in it, each on a line.
--
--   nn.Dropout(0.5):repr() --> "Dropout(p=0.5)"
function Module:repr()
  local name = self.class_name:gsub("^nn%.", "")
  local extra, state, lines = self:extra_repr(), registry.state(self), {}
  if #state.module == 0 then return name .. "(" .. extra .. ")" end
  if extra ~= "" then lines[1] = "  " .. extra end
  for _, key in ipairs(state.module) do
    local text = state.values[key]:repr():gsub("\n", "\n  ")
    lines[#lines + 1] = ("  (%s): %s"):format(tostring(key), text)
  end
  return name .. "(\n" .. table.concat(lines, "\n") .. "\n)"
end

for name, method in pairs(require "tide.module.state") do Module[name] = method end
Module.object_meta = make_object_meta(Module)

return setmetatable(Module, {
  __call = construct,
  __tostring = function() return "class nn.Module" end,
})
