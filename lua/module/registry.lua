-- The fields of modules. They live in a table of their own behind a private key, so that each
-- assignment is seen, also one over a field that exists: tensors and modules among them are
-- registered in the order of their assignment. The walks over what is registered are here too.
local core = require "tide.core"
local ordered = require "tide.ordered"

local registry = {}

local STATE = {}

-- Is it an object of a class made by nn.Module:extend?
function registry.is_module(value)
  return type(value) == "table" and rawget(value, STATE) ~= nil
end

-- What an object has behind its private key.
function registry.new_state()
  return {
    values = {training = true},                         -- every field of the object
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

-- Enters a field as of that kind (nil: as a plain one).
function registry.register(state, key, kind)
  if state.kinds[key] == kind then return end
  if state.kinds[key] then unregister(state, key) end
  if kind then
    state.kinds[key] = kind
    table.insert(state[kind], key)
  end
end

-- What an assignment makes of a value: the kind to register it as, or nil.
local function kind_for(object, key, value, old)
  if registry.is_module(value) then return "module" end
  if not core.is_tensor(value) then
    if value ~= nil and (old == "parameter" or old == "buffer") then
      core.fail("argument", object.class_name, "%s '%s' is to be a tensor or nil, got %s", old, key,
        core.what(value))
    end
    return nil
  end
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

-- object.key = value
function registry.assign(object, key, value)
  local state = rawget(object, STATE)
  local old = state.kinds[key]
  registry.register(state, key, kind_for(object, key, value, old))
  state.values[key] = value
  core.module_edited()
end

-- An empty object of a class's metatable, and the state of an object.
function registry.new(meta) return setmetatable({[STATE] = registry.new_state()}, meta) end
function registry.state(object) return rawget(object, STATE) end

-- ---- walks ----

-- A compiled function depends on all fields of that kind, and on there being no more.
function registry.watch(state, kind)
  local keys = state[kind]
  for _, key in ipairs(keys) do core.watch(state.values, key) end
  core.watch(keys, #keys + 1)
end

-- The name that a field has in state dicts: PyTorch counts the modules of a list from 0.
function registry.dict_name(key)
  return math.type(key) == "integer" and tostring(key - 1) or tostring(key)
end

-- Calls visit(prefix, module) for the module and all below it, each once: a module before those
-- in it.
function registry.walk(module, visit, prefix, seen)
  prefix, seen = prefix or "", seen or {}
  if seen[module] then return end
  seen[module] = true
  visit(prefix, module)
  local state = rawget(module, STATE)
  if core.watch then registry.watch(state, "module") end
  for _, key in ipairs(state.module) do
    registry.walk(state.values[key], visit, prefix .. registry.dict_name(key) .. ".", seen)
  end
end

-- The tensors of a kind in the module and in those below it, each once, by name.
function registry.named(module, kind)
  local found, seen = ordered.new(), {}
  registry.walk(module, function(prefix, m)
    local state = rawget(m, STATE)
    if core.watch then registry.watch(state, kind) end
    for _, key in ipairs(state[kind]) do
      local tensor = state.values[key]
      if not seen[tensor] then
        seen[tensor] = true
        found[prefix .. registry.dict_name(key)] = tensor
      end
    end
  end)
  return found
end

return registry
