-- tide.Dataset: tensors with one row an example, under names. Splits, subsets and mapping;
-- partition.lua cuts it for many clients, loader.lua makes batches of it.
local core = require "tide.core"
local op = require "tide.ops"
local check = require "tide.check"
local draws = require "tide.draws"
local partition = require "tide.partition"

-- class_name is what errors and printing call a data set.
local Dataset = {class_name = "tide.Dataset"}
local public = {}

local function column_names(columns, given)
  local names = {}
  for name in pairs(columns) do names[#names + 1] = name end
  local rank = {x = 1, y = 2}
  table.sort(names, function(a, b)
    local ra, rb = rank[a] or 3, rank[b] or 3
    if ra ~= rb then return ra < rb end
    return a < b
  end)
  if given == nil then return names end
  local there = {}
  for _, name in ipairs(given) do
    if columns[name] == nil or there[name] then
      core.fail("argument", "Dataset", "names: there is %s column '%s'",
                there[name] and "only one" or "no", tostring(name))
    end
    there[name] = true
  end
  if #given ~= #names then
    core.fail("argument", "Dataset", "names has %d names for %d columns", #given, #names)
  end
  return given
end

local function check_columns(columns)
  local rows, first
  for name, tensor in pairs(columns) do
    if type(name) ~= "string" or Dataset[name] ~= nil or name == "names" then
      core.fail("argument", "Dataset", "a column cannot be called %s",
                type(name) == "string" and "'" .. name .. "'" or core.what(name))
    end
    check.tensor("Dataset", "column '" .. name .. "'", tensor)
    if tensor:dim() == 0 then
      core.fail("shape", "Dataset", "column '%s' is a scalar: its first dimension must count rows", name)
    end
    if rows and tensor:size(1) ~= rows then
      local a, b = first < name and first or name, first < name and name or first
      core.fail("shape", "Dataset", "column '%s' has %d rows, column '%s' %d", a, columns[a]:size(1), b,
                columns[b]:size(1))
    end
    rows, first = tensor:size(1), name
  end
  if not rows then core.fail("argument", "Dataset", "there are no columns") end
  return rows
end

-- about: what is known beyond the tensors.
local function new(columns, names, about)
  local rows = check_columns(columns)
  local self = {columns = columns, rows = rows, names = column_names(columns, names), about = about or {}}
  return setmetatable(self, Dataset)
end

--- tide.Dataset{x = x, y = y}: tensors whose first dimension counts examples, under names of your
-- choice. `#d` counts the rows, `d.x` is a whole column, `d[5]` is the fifth row, a table {x =,
-- y =}, and d[-1] the last one. d.names lists the names, x and y first and the rest by name,
-- unless they are given.
--
--   tide.Dataset(columns, {names = {...}, features = {...}, categories = {...}})
--
-- features (the names of x's columns) and categories (texts of the codes in text columns, by
-- column) are kept with the rows, as d.features and d.categories.
--
--   d = tide.Dataset{x = tide.ones(10, 3), y = tide.arange(1, 10)}
--   #d                                                         --> 10
--   d[5].y:item()                                              --> 5.0
function public.Dataset(columns, opts)
  local o = core.options("Dataset", opts, {}, {"names", "features", "categories", "tags"})
  if type(columns) ~= "table" then
    core.fail("argument", "Dataset", "the columns are %s, not a table of tensors", core.what(columns))
  end
  local copy = {}
  for name, tensor in pairs(columns) do copy[name] = tensor end
  return new(copy, o.names, {features = o.features, categories = o.categories, tags = o.tags})
end

-- The same columns with other rows.
local function derive(self, pick)
  local columns = {}
  for name, tensor in pairs(self.columns) do columns[name] = pick(tensor) end
  return new(columns, self.names, self.about)
end

local function row(self, i)
  if i < 0 then i = self.rows + 1 + i end
  if i < 1 or i > self.rows then return nil end
  local entry = {}
  for _, name in ipairs(self.names) do entry[name] = self.columns[name]:select(1, i) end
  return entry
end

function Dataset.__index(self, key)
  if math.type(key) == "integer" then return row(self, key) end
  local column = rawget(self, "columns")[key]
  if column ~= nil then return column end
  local about = rawget(self, "about")[key]
  if about ~= nil then return about end
  return Dataset[key]
end

function Dataset.__newindex(_, key)
  core.fail("unsupported", "Dataset", "'%s' cannot be set: a data set does not change; make a new one",
            tostring(key))
end

function Dataset:__len() return rawget(self, "rows") end

function Dataset:__pairs()
  local i = 0
  return function()
    i = i + 1
    local name = self.names[i]
    return name, name and self.columns[name]
  end
end

function Dataset:__tostring()
  local texts = {}
  for i, name in ipairs(self.names) do
    local tensor = self.columns[name]
    texts[i] = ("%s %s %s"):format(name, core.shape_text(tensor), tensor:dtype())
  end
  return ("<data set of %d rows: %s>"):format(self.rows, table.concat(texts, ", "))
end

--- The rows of a data set at the positions `ids`, a list or an i64 tensor, in that order.
--
--   d:subset(ids)
--
--   tide.Dataset{x = tide.arange(1, 10)}:subset{3, 1}.x:totable() --> {3, 1}
function Dataset:subset(ids)
  if type(ids) == "table" and #ids == 0 then
    return derive(self, function(tensor) return tensor:narrow(1, 1, 0):clone() end)
  end
  if type(ids) == "table" then ids = core.from_table(ids, "i64") end
  check.tensor("subset", "the list of positions", ids)
  return derive(self, function(tensor) return tensor:index_select(1, ids) end)
end

--- Two data sets: a share of the rows, and the rest. The rows are shuffled first, unless shuffle
-- = false.
--
--   d:split(share, {shuffle = true, seed = nil})
--
--   a, b = tide.Dataset{x = tide.arange(1, 10)}:split(0.8)
--   #a, #b                                                     --> 8  2
function Dataset:split(share, opts)
  local o = core.options("split", opts, {shuffle = true}, {"seed"})
  check.number("split", "the share", share, 0, 1)
  local count = math.floor(share * self.rows + 0.5)
  local first = self.columns[self.names[1]]
  local order = o.shuffle and draws.new(o.seed, "split"):permutation(self.rows, first)
  local function part(start, length)
    if order then return self:subset(order:narrow(1, start, length)) end
    return derive(self, function(tensor) return tensor:narrow(1, start, length):clone() end)
  end
  return part(1, count), part(count + 1, self.rows - count)
end

-- Rows that f returned, one a row, as columns.
local function gather(results, like)
  local columns = {}
  for name in pairs(results[1]) do
    local values, dtype = {}, like[name] and like[name]:dtype()
    for i, result in ipairs(results) do
      local value = result[name]
      if not core.is_tensor(value) then value = core.from_table(value, dtype) end
      values[i] = value:unsqueeze(1)
    end
    while #values > 1 do -- cat takes some hundred at a time
      local joined = {}
      for i = 1, #values, 200 do
        joined[#joined + 1] = op.cat(table.move(values, i, math.min(i + 199, #values), 1, {}), 1)
      end
      values = joined
    end
    columns[name] = values[1]
  end
  return columns
end

--- A data set of what f makes of each row. f gets a row, a table like d[5], and its position, and
-- returns such a table, of tensors or numbers. With batched = true f is called once, with the
-- whole columns.
--
--   d:map(f, {batched = false})
--
--   d = tide.Dataset{x = tide.arange(1, 3)}
--   d:map(function(row) return {x = row.x * 2} end).x:totable()  --> {2, 4, 6}
function Dataset:map(f, opts)
  local o = core.options("map", opts, {batched = false})
  if type(f) ~= "function" then
    core.fail("argument", "map", "wants a function, got %s", core.what(f))
  end
  local function call(...)
    local result = f(...)
    if type(result) ~= "table" then
      core.fail("argument", "map", "the function returned %s, not a table of columns", core.what(result))
    end
    return result
  end
  if o.batched then
    local columns = {}
    for name, tensor in pairs(self) do columns[name] = tensor end
    return new(call(columns))
  end
  local results = {}
  for i = 1, self.rows do results[i] = call(row(self, i), i) end
  if #results == 0 then return self end
  return new(gather(results, self.columns))
end

--- Cuts a data set into n parts, in which every row is in one part.
--
--   d:partition(n, {by = "iid", seed = nil, label = "y", alpha = 0.5, shards = 2, key = nil})
--
-- by = "iid": at random, in equal parts. by = "shards": rows sorted by label are cut into shards
-- * n pieces, of which each part gets `shards` (McMahan et al. 2017: most parts have 2 labels).
-- by = "dirichlet": the rows of each label are dealt in shares of a Dirichlet distribution with
-- parameter alpha (Hsu et al. 2019): the smaller it is, the more the parts differ. No part is
-- left empty. by = "key": rows with the same value of column `key` stay together; n may be left
-- out (nil): a part for each value.
--
--   parts = tide.Dataset{x = tide.arange(1, 10)}:partition(3)
--   #parts, #parts[1], #parts[3]                               --> 3  4  3
function Dataset:partition(n, opts)
  local o = core.options("partition", opts, {by = "iid", label = "y", alpha = 0.5, shards = 2}, {"seed", "key"})
  local parts = {}
  for i, ids in ipairs(partition.rows(self, n, o)) do parts[i] = self:subset(ids) end
  return parts
end

core.Dataset = Dataset -- the layer that knows workers adds `federate`

return public
