-- Data at several workers: federate, tide.FederatedDataset, tide.FederatedDataLoader, bob:dataset. A shard is
-- a tide.Dataset whose columns are pointers, so that everything that works by rows works on it.
local core = require "tide.core"
local tide = require "tide"
local batches = require "tide.batches"
local check = require "tide.check"
local draws = require "tide.draws"

local Dataset = core.Dataset
local Worker = core.pointers.worker

local FederatedDataset = {class_name = "tide.FederatedDataset"}
local Loader = {class_name = "tide.FederatedDataLoader"}

local function location(dataset) return dataset[dataset.names[1]].location end

-- ---- data sets ----

--- A data set that the worker's owner shares, as a tide.Dataset of pointers: its rows stay there. Waits, to learn
-- the shapes. Errors: not found, and denied when the owner's policy lets no pointer touch the rows.
--
--   d = bob:dataset("mnist-train"); #d, d.x:size(), d.tags
function Worker:dataset(name)
  if type(name) ~= "string" then
    core.fail("argument", "dataset", "the name is %s, not a text", core.what(name))
  end
  local x, y, tags = self:rows(name)
  return tide.Dataset({x = x, y = y}, {tags = tags})
end

--- Cuts a data set into as many runs of rows as there are workers, and sends one to each: the shards of a
-- tide.FederatedDataset. The sizes differ by at most one row a worker, the larger ones first.
--
--   bob, alice = tide.VirtualWorker("federate-bob"), tide.VirtualWorker("federate-alice")
--   fd = tide.Dataset{x = tide.arange(1, 6)}:federate{bob, alice}
--   #fd, #fd:get_dataset("federate-bob")                       --> 6  3
function Dataset:federate(workers)
  if type(workers) ~= "table" or #workers == 0 then
    core.fail("argument", "federate", "wants a list of workers, got %s", core.what(workers))
  end
  if #self < #workers then
    core.fail("argument", "federate", "%d rows do not go round %d workers", #self, #workers)
  end
  local there = {}
  for i, worker in ipairs(workers) do
    if not core.pointers.is_worker(worker) then
      core.fail("argument", "federate", "entry %d is %s, not a worker", i, core.what(worker))
    elseif there[worker] then
      core.fail("argument", "federate", "%s is there twice", worker.name)
    end
    there[worker] = true
  end
  local shards, start = {}, 1
  for i, worker in ipairs(workers) do
    local rows = #self // #workers + (i <= #self % #workers and 1 or 0)
    local columns = {}
    for _, name in ipairs(self.names) do
      columns[name] = self[name]:narrow(1, start, rows):send(worker)
    end
    shards[i] = tide.Dataset(columns, {names = self.names})
    start = start + rows
  end
  return tide.FederatedDataset(shards)
end

--- Shards of one data set at several workers, in the order of the list. `fd.workers` lists the workers' names,
-- `#fd` counts all rows, `fd.bob` (or fd["bob"]) is the shard at bob.
--
--   bob, alice = tide.VirtualWorker("bob"), tide.VirtualWorker("alice")
--   fd = tide.FederatedDataset{tide.Dataset{x = tide.ones(4):send(bob)}, tide.Dataset{x = tide.ones(2):send(alice)}}
--   #fd, fd.workers[1], #fd.alice                              --> 6  "bob"  2
function tide.FederatedDataset(shards)
  if type(shards) ~= "table" or #shards == 0 then
    core.fail("argument", "FederatedDataset", "wants a list of data sets at workers, got %s", core.what(shards))
  end
  local self = {workers = {}, shards = {}, by_name = {}, rows = 0}
  for i, shard in ipairs(shards) do
    if getmetatable(shard) ~= Dataset then
      core.fail("argument", "FederatedDataset", "entry %d is %s, not a data set", i, core.what(shard))
    end
    local worker = location(shard)
    if not worker then
      core.fail("location", "FederatedDataset", "data set %d is here, not at a worker; federate{...} sends it", i)
    end
    if self.by_name[worker.name] then
      core.fail("argument", "FederatedDataset", "two data sets are at %s", worker.name)
    end
    self.workers[i], self.shards[i] = worker.name, shard
    self.by_name[worker.name] = shard
    self.rows = self.rows + #shard
  end
  return setmetatable(self, FederatedDataset)
end

function FederatedDataset.__index(self, key)
  return FederatedDataset[key] or rawget(self, "by_name")[key]
end

function FederatedDataset:__len() return self.rows end

function FederatedDataset:__tostring()
  local texts = {}
  for i, shard in ipairs(self.shards) do texts[i] = ("%d at %s"):format(#shard, self.workers[i]) end
  return ("<federated data set of %d rows: %s>"):format(self.rows, table.concat(texts, ", "))
end

--- Fetches the shard at the worker of that name: a tide.Dataset whose columns are here. Where the worker's owner
-- allows it.
function FederatedDataset:get_dataset(name)
  local shard = self.by_name[name]
  if not shard then
    core.fail("not-found", "get_dataset", "there is no shard at %s, there are: %s", tostring(name),
              table.concat(self.workers, ", "))
  end
  local columns = {}
  for _, column in ipairs(shard.names) do columns[column] = shard[column]:copy() end
  return tide.Dataset(columns, {names = shard.names})
end

-- Rows at a worker are not fetched by the way.
function Dataset:get()
  local worker = location(self)
  if worker then
    core.fail("unsupported", "get", "the rows are at %s; fetch a shard with fd:get_dataset(\"%s\")",
              worker.name, worker.name)
  end
  return self
end

-- ---- the loader ----

--- Batches of data at workers, as pointers; a batch lives at one worker: `data.location`. Without shuffling the
-- first worker's batches come first; with it the rows of each shard and the batches of all shards are in random
-- order. Each `for` begins a new epoch, also after a break; loops over one loader may be nested. Every row comes
-- once an epoch. `#loader` counts an epoch's batches. Nothing is waited for.
--
--   tide.FederatedDataLoader(fd, {batch_size = 64, shuffle = false, drop_last = false, seed = nil})
--
-- fd: what federate gave, or a list of data sets at workers ({bob:dataset("a"), alice:dataset("a")}).
--
--   bob, alice = tide.VirtualWorker("bob"), tide.VirtualWorker("alice")
--   fd = tide.Dataset{x = tide.ones(6, 2), y = tide.ones(6)}:federate{bob, alice}
--   names = {}
--   for data, target in tide.FederatedDataLoader(fd, {batch_size = 2}) do names[#names + 1] = data.location.name end
--   #names, names[1], names[#names]                            --> 4  "bob"  "alice"
function tide.FederatedDataLoader(fd, opts)
  local o = core.options("FederatedDataLoader", opts, {batch_size = 64, shuffle = false, drop_last = false},
                         {"seed"})
  if getmetatable(fd) == Dataset then
    core.fail("argument", "FederatedDataLoader",
              "a data set of one place; federate{...} it first, or use tide.DataLoader")
  end
  if getmetatable(fd) ~= FederatedDataset then fd = tide.FederatedDataset(fd) end
  return setmetatable({
    dataset = fd,
    batch_size = check.count("FederatedDataLoader", "batch_size", o.batch_size, 1),
    drop_last = o.drop_last,
    draws = o.shuffle and draws.new(o.seed, "FederatedDataLoader") or nil,
    -- Epochs under way, by the first pointer of the batch that they gave last.
    running = setmetatable({}, {__mode = "k"}),
  }, Loader)
end

-- An iterator over an epoch: shard, batch.
local function epoch_of(self)
  local turns, iterators = {}, {}
  for i, shard in ipairs(self.dataset.shards) do
    iterators[i] = batches.epoch(#shard, self.batch_size, self.drop_last, self.draws, shard[shard.names[1]])
    for _ = 1, batches.count(#shard, self.batch_size, self.drop_last) do turns[#turns + 1] = i end
  end
  if self.draws then self.draws:shuffle(turns) end
  local at = 0
  return function()
    at = at + 1
    local i = turns[at]
    if i then return self.dataset.shards[i], iterators[i]() end
  end
end

function Loader:__call(_, control)
  return batches.next(self, "FederatedDataLoader", control, function() return epoch_of(self) end)
end

function Loader:__len()
  local count = 0
  for _, shard in ipairs(self.dataset.shards) do
    count = count + batches.count(#shard, self.batch_size, self.drop_last)
  end
  return count
end

function Loader:__tostring()
  return ("<loader of %s, %d batches of %d>"):format(tostring(self.dataset), #self, self.batch_size)
end

Loader.__index = Loader

return {FederatedDataset = FederatedDataset, FederatedDataLoader = Loader}
