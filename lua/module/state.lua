-- nn.Module's values as a whole: state dicts, copies of a module, conversion to another dtype.
local core = require "tide.core"
local ordered = require "tide.ordered"
local registry = require "tide.module.registry"

local Module = {}

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
  for _, t in registry.named(self, "parameter") do convert(t) end
  for _, t in registry.named(self, "buffer") do convert(t) end
  return self
end

local function collect(module, prefix, visit)
  local state = registry.state(module)
  for _, key in ipairs(state.parameter) do visit(prefix .. registry.dict_name(key), state.values[key]) end
  for _, key in ipairs(state.buffer) do
    if not state.transient[key] then visit(prefix .. registry.dict_name(key), state.values[key]) end
  end
  for _, key in ipairs(state.module) do
    collect(state.values[key], prefix .. registry.dict_name(key) .. ".", visit)
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
  if type(dict) ~= "table" or registry.is_module(dict) then
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
--   b = a:clone()
--   tide.equal(a.weight, b.weight) --> true
--   a.weight == b.weight --> false
function Module:clone()
  local made = {}
  local function copy(value)
    if made[value] then return made[value] end
    if registry.is_module(value) then
      made[value] = registry.new(getmetatable(value))
      local old, new = registry.state(value), registry.state(made[value])
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

return Module
