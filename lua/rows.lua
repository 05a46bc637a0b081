-- Gradients of a few rows, as w.grad gives them for the weight of a sparse embedding: ids and values in place
-- of the whole. The tape's side is vm/rows.h.
local core = require "tide.core"
local op = require "tide.ops"

local Rows = {}

local function new(ids, values, first, rows)
  return setmetatable({ids = ids, values = values, first = first, rows = rows}, Rows)
end

-- Is it a gradient of rows?
function core.is_rows(value) return getmetatable(value) == Rows end

-- Several parts as one, in which no id stands in two places with values.
local function joined(ids, values, rows)
  local all = op.cat(ids, 1)
  local sums, first = op.sum_rows(op.cat(values, 1), all)
  return new(all, sums, first, rows)
end

core.hook("row_gradient", function(leaf)
  local parts, first = core.grad_parts(leaf)
  local rows = leaf:size(1)
  if first then return new(parts[1], parts[2], first, rows) end
  local _ <close> = core.no_grad()
  local ids, values = {}, {}
  for i = 1, #parts, 2 do
    ids[#ids + 1], values[#values + 1] = parts[i], parts[i + 1]
  end
  leaf.grad = joined(ids, values, rows)
  return leaf.grad
end)

core.hook("row_parts", function(value)
  if not core.is_rows(value) then return nil end
  return value.ids, value.values, value.first, value.rows
end)

-- ---- what scripts use ----

local methods = {is_sparse = true}

function methods:size(dim)
  local sizes = {self.rows, self.values:size(2)}
  if dim == nil then return sizes end
  return sizes[dim < 0 and dim + 3 or dim] or core.fail("index", "size", "dim %d of a tensor with 2 dimensions", dim)
end

function methods:dim() return 2 end
function methods:numel() return self.rows * self.values:size(2) end
function methods:dtype() return self.values:dtype() end

-- The whole as a tensor.
function methods:to_dense()
  local _ <close> = core.no_grad()
  return op.embedding_grad(self.values, self.ids, self.rows)
end

function methods:norm()
  local _ <close> = core.no_grad()
  return self.values:norm()
end

-- At the place where a parameter lives.
function methods:brought(like)
  return new(core.bring(self.ids, like), core.bring(self.values, like), core.bring(self.first, like), self.rows)
end

function Rows.__index(self, key)
  if key == "location" then return rawget(self, "values").location end
  local method = methods[key]
  if method ~= nil then return method end
  core.fail_hint("not-found", "grad", "g:to_dense() gives a tensor",
    "a gradient of rows has no field or method '%s'", tostring(key))
end

local function check_same(call, a, b)
  if a.rows ~= b.rows or a.values:size(2) ~= b.values:size(2) then
    core.fail("shape", call, "gradients of %dx%d and %dx%d", a.rows, a.values:size(2), b.rows, b.values:size(2))
  end
end

function Rows.__add(a, b)
  local _ <close> = core.no_grad()
  if core.is_rows(a) and core.is_rows(b) then
    check_same("add", a, b)
    return joined({a.ids, b.ids}, {a.values, b.values}, a.rows)
  end
  return core.is_rows(a) and a:to_dense() + b or a + b:to_dense()
end

local function scaled(call, g, factor)
  if type(factor) ~= "number" and not (core.is_tensor(factor) and factor:dim() == 0) then
    core.fail_hint("argument", call, "g:to_dense() gives a tensor",
      "a gradient of rows takes a number, got %s", core.what(factor))
  end
  local _ <close> = core.no_grad()
  return new(g.ids, call == "mul" and g.values * factor or g.values / factor, g.first, g.rows)
end

function Rows.__mul(a, b)
  if core.is_rows(a) then return scaled("mul", a, b) end
  return scaled("mul", b, a)
end

function Rows.__div(a, b)
  if core.is_rows(a) then return scaled("div", a, b) end
  core.fail("argument", "div", "a gradient of rows does not divide")
end

function Rows.__unm(a) return scaled("mul", a, -1) end

-- The rows that are there, each once, with their ids.
function Rows.__tostring(g)
  local what = ("gradient of rows of %dx%d %s"):format(g.rows, g.values:size(2), g.values:dtype())
  if g.location then return ("[%s at %s]"):format(what, core.place_name(g.values)) end
  local _ <close> = core.no_grad()
  local kept, ids = g.first:gt(0), {}
  for i, id in ipairs(g.ids[kept]:totable()) do ids[i] = ("%d"):format(id) end
  if #ids == 0 then return ("[%s: none]"):format(what) end
  return ("%s\n[%s: %s]"):format(g.values[kept], what, table.concat(ids, ", "))
end

Rows.__name = "gradient of rows"

return Rows
