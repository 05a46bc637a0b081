-- Which rows go to which of n clients: the ways of Dataset:partition. Each gives a list of lists
-- of row numbers, in which every row is once.
local core = require "tide.core"
local check = require "tide.check"
local draws = require "tide.draws"

local ways = {}

-- A list's entries from..to - 1.
local function slice(list, from, to) return table.move(list, from, to - 1, 1, {}) end

-- Cuts a list into n pieces whose lengths differ by one at most, the longer ones first.
local function cut(list, n)
  local pieces, at = {}, 1
  for i = 1, n do
    local length = #list // n + (i <= #list % n and 1 or 0)
    pieces[i] = slice(list, at, at + length)
    at = at + length
  end
  return pieces
end

local function append(list, more) table.move(more, 1, #more, #list + 1, list) end

function ways.iid(dataset, n, _, random)
  return cut(random:permutation(#dataset):totable(), n)
end

local function values_of(dataset, name, what)
  local column = dataset.columns[name]
  if column == nil then
    core.fail("not-found", "partition", "there is no column '%s' of %s; there are: %s", tostring(name), what,
              table.concat(dataset.names, ", "))
  end
  if column:dim() ~= 1 then
    core.fail("shape", "partition", "column '%s' is %s: %s want one value a row", name,
              core.shape_text(column), what)
  end
  return column:totable()
end

-- Rows by the value that they have, and the values sorted.
local function group(values)
  local rows, keys = {}, {}
  for i, value in ipairs(values) do
    if value ~= value then value = "nan" end
    if not rows[value] then
      rows[value] = {}
      keys[#keys + 1] = value
    end
    table.insert(rows[value], i)
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "number"
  end)
  return rows, keys
end

function ways.shards(dataset, n, o, random)
  local count = n * check.count("partition", "shards", o.shards, 1)
  if count > #dataset then
    core.fail("value", "partition", "%d rows do not make %d shards", #dataset, count)
  end
  local rows, labels = group(values_of(dataset, o.label, "labels"))
  local sorted = {}
  for _, label in ipairs(labels) do append(sorted, random:shuffle(rows[label])) end
  local shards, parts = random:shuffle(cut(sorted, count)), {}
  for i = 1, n do
    parts[i] = {}
    for k = 1, o.shards do append(parts[i], shards[(i - 1) * o.shards + k]) end
  end
  return parts
end

-- Gives each empty part a row of the largest one.
local function fill_empty(parts)
  for _, part in ipairs(parts) do
    if #part == 0 then
      local largest = parts[1]
      for _, other in ipairs(parts) do
        if #other > #largest then largest = other end
      end
      part[1] = table.remove(largest)
    end
  end
  return parts
end

function ways.dirichlet(dataset, n, o, random)
  check.number("partition", "alpha", o.alpha, 1e-6)
  local rows, labels = group(values_of(dataset, o.label, "labels"))
  local parts = {}
  for i = 1, n do parts[i] = {} end
  for _, label in ipairs(labels) do
    local own, at, sum = random:shuffle(rows[label]), 1, 0
    for i, share in ipairs(random:dirichlet(n, o.alpha)) do
      sum = sum + share
      local to = i == n and #own + 1 or 1 + math.floor(sum * #own + 0.5)
      append(parts[i], slice(own, at, to))
      at = math.max(at, to)
    end
  end
  return fill_empty(parts)
end

function ways.key(dataset, n, o)
  if o.key == nil then core.fail("argument", "partition", "by = 'key' wants the option 'key', a column") end
  local rows, keys = group(values_of(dataset, o.key, "keys"))
  if n == nil then
    local parts = {}
    for i, key in ipairs(keys) do parts[i] = rows[key] end
    return parts
  end
  if #keys < n then
    core.fail("value", "partition", "%d values of column '%s' do not make %d parts", #keys, o.key, n)
  end
  -- The largest first, each to the part that has least.
  table.sort(keys, function(a, b)
    if #rows[a] ~= #rows[b] then return #rows[a] > #rows[b] end
    return rows[a][1] < rows[b][1]
  end)
  local parts = {}
  for i = 1, n do parts[i] = {} end
  for _, key in ipairs(keys) do
    local least = parts[1]
    for _, part in ipairs(parts) do
      if #part < #least then least = part end
    end
    append(least, rows[key])
  end
  return parts
end

local partition = {}

-- Lists of row numbers for n parts; o as in Dataset:partition.
function partition.rows(dataset, n, o)
  check.word("partition", "by", o.by, {"iid", "shards", "dirichlet", "key"})
  if n ~= nil or o.by ~= "key" then check.count("partition", "the number of parts", n, 1) end
  if n and n > #dataset then
    core.fail("value", "partition", "%d rows do not make %d parts", #dataset, n)
  end
  return ways[o.by](dataset, n, o, draws.new(o.seed, "partition"))
end

return partition
