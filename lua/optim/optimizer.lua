-- What all optimisers are: parameters in groups, a state for each parameter that lives where the
-- parameter lives, the loop of a step. The rules themselves are in the files beside this one.
--
-- An optimiser's settings are its own fields (opt.lr); a group's field of the same name goes
-- first.

local core = require "tide.core"
local check = require "tide.check"
require "tide.rows"

-- Tensors that belong to a parameter and move with it: parameter -> list of {table = state, key
-- = name}. The entries are weak, so that an optimiser that is gone leaves nothing behind.
core.companions = core.companions or setmetatable({}, {__mode = "k"})

-- Brings a tensor to where another one lives. The layer that knows places sets it.
core.bring = core.bring or function(tensor, like)
  core.fail("location", "step", "the optimiser's state is %s, its parameter %s",
    core.place_name(tensor) or "here", core.place_name(like) or "here")
end

local WEAK = {__mode = "v"}

local function add_companion(parameter, state, key)
  local list = core.companions[parameter]
  if not list then
    list = {}
    core.companions[parameter] = list
  end
  list[#list + 1] = setmetatable({table = state, key = key}, WEAK)
end

local Optimizer = {}
Optimizer.__index = Optimizer

-- The groups of what the constructor was given: one list of parameters, or a list of tables with
-- `params` and settings of their own.
local function read_groups(call, params, presets)
  if type(params) ~= "table" or params.class_name then
    core.fail("argument", call, "the parameters are %s, not a list (model:parameters())", core.what(params))
  end
  local first = params[1]
  if core.is_tensor(first) or first == nil then params = {{params = params}} end
  local groups, seen, count = {}, {}, 0
  for g, given in ipairs(params) do
    if type(given) ~= "table" or type(given.params) ~= "table" then
      core.fail("argument", call, "group %d has no list `params`", g)
    end
    local group = {params = {}}
    for key, value in pairs(given) do
      if key ~= "params" then group[key] = value end
    end
    core.options(call, group, {}, presets)
    for i, p in ipairs(given.params) do
      if not core.is_tensor(p) or not p.is_leaf then
        core.fail("argument", call, "parameter %d is %s", i,
          core.is_tensor(p) and "the result of an operation, not a leaf" or core.what(p) .. ", not a tensor")
      end
      if seen[p] then core.fail("argument", call, "parameter %d is there twice", i) end
      seen[p], count = true, count + 1
      group.params[i] = p
    end
    groups[g] = group
  end
  if count == 0 then core.fail("argument", call, "there are no parameters") end
  return groups
end

local function check_settings(call, settings, limits)
  for name, limit in pairs(limits) do
    local value = rawget(settings, name)
    if value ~= nil then check.number(call, name, value, limit[1], limit[2]) end
  end
end

-- A new optimiser class, to be given update(p, grad, state, settings), the rule, and perhaps update_rows, the
-- same for gradients of rows, and check(settings), which refuses settings that do not go together. presets: the
-- settings with their defaults; required: settings that have none; limits: {least, most} of the numbers among
-- them.
function Optimizer.class(name, presets, limits, required)
  local class = setmetatable({class_name = name, presets = presets}, {__index = Optimizer})
  class.__index = class
  class.__name = name
  class.__tostring = Optimizer.repr
  local names = {"params"}
  for key in pairs(presets) do names[#names + 1] = key end
  for _, key in ipairs(required or {}) do names[#names + 1] = key end
  getmetatable(class).__call = function(_, params, opts)
    local self = setmetatable(core.options(name, opts, presets, required), class)
    for _, key in ipairs(required or {}) do
      if self[key] == nil then core.fail("argument", name, "option '%s' is missing", key) end
    end
    check_settings(name, self, limits)
    self.groups = read_groups(name, params, names)
    for _, group in ipairs(self.groups) do
      check_settings(name, group, limits)
      setmetatable(group, {__index = self})
      if class.check then self:check(group) end
    end
    self.state, self.layout = {}, 0
    return self
  end
  getmetatable(class).__tostring = function() return "class " .. name end
  return class
end

--- Forgets the gradients of the parameters.
function Optimizer:zero_grad()
  for _, group in ipairs(self.groups) do
    for _, p in ipairs(group.params) do p.grad = nil end
  end
end

--- Changes each parameter that has a gradient by the optimiser's rule, in place and off the tape.
function Optimizer:step()
  local _ <close> = core.no_grad()
  for _, group in ipairs(self.groups) do
    self:guard(group)
    for _, p in ipairs(group.params) do
      local grad = p.grad
      if grad then
        local is_rows = core.is_rows(grad)
        if grad.location ~= p.location then
          grad = is_rows and grad:brought(p) or core.bring(grad, p)
        end
        local state = self.state[p]
        if not state then
          state = {step = 0}
          self.state[p] = state
        end
        local update = is_rows and self.update_rows or self.update
        update(self, p, grad, state, group, core.count(state, "step"))
      end
    end
  end
end

-- The rule for a gradient of rows (see nn.Embedding); classes that have one put it here.
function Optimizer:update_rows()
  core.fail_hint("unsupported", self.class_name,
    "optim.SGD, optim.Adagrad and optim.SparseAdam take them; or leave out {sparse = true}",
    "a parameter has a gradient of rows alone")
end

-- For such rules: what changes every row does not go with them.
function Optimizer:refuse_decay(o)
  if o.weight_decay ~= 0 then
    core.fail("unsupported", self.class_name, "weight_decay does not go with gradients of rows alone")
  end
end

-- A compiled step holds for the settings of its trace, lr aside, and for the tensors of the state that were
-- there.
function Optimizer:guard(group)
  if not core.tracing() then return end
  core.guard(self, "layout")
  for key in pairs(self.presets) do
    if key ~= "lr" then core.guard_setting(group, key, self) end
    local value = group[key]
    for i = 1, type(value) == "table" and #value or 0 do core.guard(value, i) end
  end
end

-- The state's tensor of that name, where p lives, and whether it is new: then it is what `make` gives, zeros
-- when left out.
function Optimizer:tensor(p, state, key, make)
  local tensor = state[key]
  if tensor == nil then
    tensor = core.untraced(make or core.zeros_like, p)
    state[key] = tensor
    add_companion(p, state, key)
    return tensor, true
  elseif tensor.location ~= p.location then
    tensor = core.bring(tensor, p)
    state[key], self.layout = tensor, self.layout + 1
  end
  return tensor, false
end

--- What the optimiser needs to go on later: settings, and for each parameter its numbers and
-- tensors, which are shared with the optimiser. Parameters are counted through all groups.
function Optimizer:state_dict()
  local dict, count = {settings = {}, groups = {}, state = {}}, 0
  for key in pairs(self.presets) do dict.settings[key] = self[key] end
  dict.settings.lr = self.lr
  for g, group in ipairs(self.groups) do
    dict.groups[g] = {}
    for key, value in pairs(group) do
      if key ~= "params" then dict.groups[g][key] = value end
    end
    for _, p in ipairs(group.params) do
      count = count + 1
      local copy = {}
      for key, value in pairs(self.state[p] or {}) do copy[key] = value end
      dict.state[count] = copy
    end
  end
  return dict
end

--- Takes up what state_dict gave, of an optimiser of the same class for as many parameters of the
-- same shapes.
function Optimizer:load_state_dict(dict)
  local all = {}
  for _, group in ipairs(self.groups) do
    for _, p in ipairs(group.params) do all[#all + 1] = p end
  end
  if type(dict) ~= "table" or type(dict.state) ~= "table" or #dict.state ~= #all
    or #dict.groups ~= #self.groups then
    core.fail("argument", "load_state_dict", "the state is not that of %s for %d parameters in %d groups",
      self.class_name, #all, #self.groups)
  end
  for i, p in ipairs(all) do
    for key, value in pairs(dict.state[i]) do
      if core.is_tensor(value) and core.shape_text(value) ~= core.shape_text(p) then
        core.fail("shape", "load_state_dict", "%s of parameter %d is %s, not %s", key, i,
          core.shape_text(value), core.shape_text(p))
      end
    end
  end
  core.options("load_state_dict", dict.settings, {}, self:setting_names())
  self.layout = self.layout + 1
  for key, value in pairs(dict.settings) do self[key] = value end
  for g, settings in ipairs(dict.groups) do
    for key, value in pairs(settings) do self.groups[g][key] = value end
  end
  for i, p in ipairs(all) do
    self.state[p] = nil
    if next(dict.state[i]) ~= nil then
      local state = {}
      self.state[p] = state
      for key, value in pairs(dict.state[i]) do
        state[key] = core.is_tensor(value) and value:detach():clone() or value
        if core.is_tensor(value) then add_companion(p, state, key) end
      end
    end
  end
end

function Optimizer:setting_names()
  local names = {"lr"}
  for key in pairs(self.presets) do names[#names + 1] = key end
  return names
end

--- The optimiser as it is printed: its class and its settings.
function Optimizer:repr()
  local names, texts = {}, {}
  for key in pairs(self.presets) do names[#names + 1] = key end
  if self.presets.lr == nil then names[#names + 1] = "lr" end
  table.sort(names)
  for i, key in ipairs(names) do
    local value = self[key]
    texts[i] = key .. "=" .. (type(value) == "table" and "{" .. table.concat(value, ", ") .. "}"
      or tostring(value))
  end
  return self.class_name .. "(" .. table.concat(texts, ", ") .. ")"
end

return Optimizer
