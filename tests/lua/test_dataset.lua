-- Data sets, loaders and partitions: every row once, epochs that begin anew, loops that nest.
local here = arg[0]:match("^(.*)/") or "."
local check = dofile(here .. "/helper.lua")
local fails, same = check.raises, check.eq

-- A set whose x says which row it is.
local function numbered(n, labels)
  local x, y = {}, {}
  for i = 1, n do
    x[i], y[i] = {i, -i}, i * 7 % (labels or 10)
  end
  return tide.Dataset{x = tide.tensor(x), y = tide.tensor(y, {dtype = "i64"})}
end

-- The row numbers of a set or batch, sorted, as text; each must be there once.
local function rows(...)
  local all = {}
  for _, x in ipairs{...} do
    for _, row in ipairs(x:totable()) do all[#all + 1] = math.tointeger(row[1]) end
  end
  table.sort(all)
  for i = 2, #all do assert(all[i] ~= all[i - 1], "row " .. all[i] .. " twice") end
  return all
end

-- ---- data sets ----

local d = numbered(10)
same(#d, 10)
same(d[5].x:totable()[1], 5.0)
same(d[-1].x:totable()[1], 10.0)
assert(d[0] == nil and d[11] == nil and d.z == nil)
same(d[3].y:item(), 1)
same(table.concat(d.names, " "), "x y")
same(tostring(d), "<data set of 10 rows: x 10x2 f32, y 10 i64>")
local seen = {}
for name, column in pairs(d) do seen[#seen + 1] = name .. column:size(1) end
same(table.concat(seen, " "), "x10 y10")
local odd = tide.Dataset{b = tide.ones(2), y = tide.ones(2), a = tide.ones(2), x = tide.ones(2)}
same(table.concat(odd.names, " "), "x y a b")
same(table.concat(tide.Dataset({b = tide.ones(2), a = tide.ones(2)}, {names = {"b", "a"}}).names, " "), "b a")

fails(function() tide.Dataset{x = tide.ones(3), y = tide.ones(4)} end,
      "Dataset: column 'x' has 3 rows, column 'y' 4")
fails(function() tide.Dataset{} end, "there are no columns")
fails(function() tide.Dataset{x = {1, 2}} end, "column 'x' is a table, not a tensor")
fails(function() tide.Dataset{x = tide.ones({})} end, "column 'x' is a scalar")
fails(function() tide.Dataset{split = tide.ones(2)} end, "a column cannot be called 'split'")
fails(function() tide.Dataset({x = tide.ones(2)}, {names = {"y"}}) end, "no column 'y'")
fails(function() d.x = tide.ones(10) end, "a data set does not change")

local a, b = d:split(0.7)
same(#a, 7)
same(#b, 3)
same(#rows(a.x, b.x), 10)
a, b = d:split(0.7, {shuffle = false})
same(a.x[7][1]:item(), 7.0)
same(b.x[1][1]:item(), 8.0)
assert(tide.equal(d:split(0.5, {seed = 3}).x, (d:split(0.5, {seed = 3})).x))
assert(not tide.equal(d:split(0.5, {seed = 3}).x, (d:split(0.5, {seed = 4})).x))
fails(function() d:split(2) end, "split: the share is 2, not a number from 0 to 1")
same(#d:split(0), 0)

local sub = d:subset{9, 1, 1}
same(sub.x:totable()[1][1] * 100 + sub.x:totable()[2][1] * 10 + sub.x:totable()[3][1], 911.0)
same(#d:subset{}, 0)
fails(function() d:subset{11} end, "11")

local doubled = d:map(function(row, i)
  assert(row.x[1]:item() == i)
  return {x = row.x * 2, y = row.y, half = i / 2}
end)
assert(tide.equal(doubled.x, d.x * 2) and tide.equal(doubled.y, d.y))
same(doubled.half[3]:item(), 1.5)
same(doubled.y:dtype(), "i64")
assert(tide.equal(d:map(function(c) return {x = c.x * 2, y = c.y} end, {batched = true}).x, d.x * 2))
same(#numbered(450):map(function(row) return {x = row.x} end), 450)
fails(function() d:map(function() end) end, "map: the function returned nil, not a table of columns")

-- ---- loaders ----

local loader = tide.DataLoader(d, {batch_size = 4})
same(#loader, 3)
local sizes = {}
for x, y in loader do
  sizes[#sizes + 1] = x:size(1)
  assert(tide.equal(x[{{}, 1}]:to("i64") * 7 % 10, y))
end
same(table.concat(sizes, " "), "4 4 2")
same(#tide.DataLoader(d, {batch_size = 4, drop_last = true}), 2)
for x in tide.DataLoader(d, {batch_size = 4, drop_last = true}) do same(x:size(1), 4) end
same(#tide.DataLoader(d, {batch_size = 5}), 2)
same(#tide.DataLoader(numbered(0), {batch_size = 5}), 0)

-- Batches are copies: changing one changes no data.
for x in loader do x[1] = 99 end
same(d.x[1][1]:item(), 1.0)

-- Shuffled: every row once an epoch, another order each time.
local shuffled = tide.DataLoader(d, {batch_size = 3, shuffle = true})
local function epoch(l)
  local batches, order = {}, {}
  for x in l do
    batches[#batches + 1] = x
    for _, row in ipairs(x:totable()) do order[#order + 1] = row[1] end
  end
  same(#rows(table.unpack(batches)), 10)
  return table.concat(order, " ")
end
assert(epoch(shuffled) ~= epoch(shuffled))

-- After a break a new for begins an epoch anew.
for _ in shuffled do break end -- luacheck: ignore 512
epoch(shuffled)
local first
for x in loader do -- luacheck: ignore 512
  first = x
  break
end
for x in loader do -- luacheck: ignore 512
  assert(tide.equal(first, x))
  break
end

-- Nested loops over one loader do not disturb each other.
local outer, inner = {}, 0
for x in shuffled do
  outer[#outer + 1] = x
  local own = {}
  for z in shuffled do own[#own + 1] = z end
  same(#rows(table.unpack(own)), 10)
  inner = inner + #own
end
same(#rows(table.unpack(outer)), 10)
same(inner, 16)
fails(function() loader(nil, tide.ones(1)) end, "is not a batch that this loader gave last")

-- The order follows the seed: the common one, or the loader's own.
tide.manual_seed(5)
local one = epoch(shuffled)
tide.manual_seed(5)
same(epoch(shuffled), one)
local own1 = tide.DataLoader(d, {batch_size = 3, shuffle = true, seed = 9})
local own2 = tide.DataLoader(d, {batch_size = 3, shuffle = true, seed = 9})
local e1, e2 = epoch(own1), epoch(own1)
assert(e1 ~= e2)
same(epoch(own2), e1)
same(epoch(own2), e2)

fails(function() tide.DataLoader(d, {batch = 3}) end, "DataLoader: unknown option 'batch'")
fails(function() tide.DataLoader(d, {batch_size = 0}) end,
      "DataLoader: batch_size is 0, not a whole number of at least 1")
fails(function() tide.DataLoader({1, 2}) end, "argument 1 is a table, not a data set")

-- ---- partitions ----

local big = numbered(200)
local function check_parts(parts, n)
  same(#parts, n)
  local xs = {}
  for i, part in ipairs(parts) do
    assert(#part > 0)
    xs[i] = part.x
  end
  same(#rows(table.unpack(xs)), 200)
end

local function labels_of(part)
  local set, count = {}, 0
  for _, label in ipairs(part.y:totable()) do
    if not set[label] then count = count + 1 end
    set[label] = (set[label] or 0) + 1
  end
  return count, set
end

check_parts(big:partition(7), 7)
for _, part in ipairs(big:partition(7)) do assert(#part == 28 or #part == 29) end
check_parts(big:partition(10, {by = "shards"}), 10)
for _, part in ipairs(big:partition(10, {by = "shards"})) do
  same(#part, 20)
  assert(labels_of(part) <= 2)
end
check_parts(big:partition(20, {by = "dirichlet", alpha = 0.3}), 20)
check_parts(big:partition(150, {by = "dirichlet", alpha = 0.01}), 150)

-- Concentration: with a large alpha labels are even, with a small one most of a part has one label.
local function concentration(alpha)
  local sum = 0
  for _, part in ipairs(numbered(2000):partition(10, {by = "dirichlet", alpha = alpha, seed = 3})) do
    local _, set = labels_of(part)
    local most = 0
    for _, k in pairs(set) do most = math.max(most, k) end
    sum = sum + most / #part
  end
  return sum / 10
end
assert(concentration(1000) < 0.15, concentration(1000))
assert(concentration(0.05) > 0.6, concentration(0.05))

-- By key: rows of one value stay together.
local keyed = tide.Dataset{x = big.x, y = big.y, site = tide.arange(1, 200):remainder(5)}
check_parts(keyed:partition(nil, {by = "key", key = "site"}), 5)
for _, part in ipairs(keyed:partition(nil, {by = "key", key = "site"})) do
  same(part.site:max():item(), part.site:min():item())
end
check_parts(keyed:partition(2, {by = "key", key = "site"}), 2)
same(#keyed:partition(2, {by = "key", key = "site"})[1], 120)

-- Seeds.
local function fingerprint(by, seed)
  local texts = {}
  for i, part in ipairs(big:partition(6, {by = by, seed = seed})) do
    texts[i] = table.concat(part.x[{{}, 1}]:totable(), " ")
  end
  return table.concat(texts, "|")
end
for _, by in ipairs{"iid", "shards", "dirichlet"} do
  same(fingerprint(by, 1), fingerprint(by, 1))
  assert(fingerprint(by, 1) ~= fingerprint(by, 2))
  assert(fingerprint(by) ~= fingerprint(by))
end

fails(function() big:partition(201) end, "partition: 200 rows do not make 201 parts")
fails(function() big:partition(0) end, "the number of parts is 0")
fails(function() big:partition(3, {by = "idd"}) end, "by is 'idd', not 'iid', 'shards', 'dirichlet' or 'key'")
fails(function() big:partition(3, {by = "key"}) end, "wants the option 'key'")
fails(function() big:partition(3, {by = "key", key = "hospital"}) end,
      "there is no column 'hospital' of keys; there are: x, y")
fails(function() keyed:partition(6, {by = "key", key = "site"}) end, "5 values of column 'site' do not make 6 parts")
fails(function() big:partition(3, {by = "dirichlet", label = "x"}) end, "column 'x' is 200x2")

-- ---- the digits ----

local digits = tide.data.digits()
same(#digits, 1797)
same(table.concat(digits.x:size(), "x"), "1797x1x8x8")
same(digits.x:max():item(), 1.0)
same(digits.x:min():item(), 0.0)
same(digits.x[1][1][1]:totable()[4], 13 / 16)
same(digits.y:dtype(), "i64")
fails(function() tide.data.digits {folder = "x"} end, "digits: unknown option 'folder': it takes no options")
local counts = F.one_hot(digits.y, 10):sum(1):totable()
same(table.concat(counts, " "), "178 182 177 183 181 182 181 179 174 180")
