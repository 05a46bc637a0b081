-- tide.DataLoader: batches of a data set, epoch after epoch, in a generic for.
local core = require "tide.core"
local batches = require "tide.batches"
local check = require "tide.check"
local draws = require "tide.draws"

local DataLoader = {class_name = "tide.DataLoader"}
local public = {}

--- Batches of a data set, for a generic for. Each `for` begins a new epoch, also after a break;
-- loops over one loader may be nested. In an epoch every row comes once (with drop_last = true
-- an incomplete last batch is left out). `#loader` counts an epoch's batches. Each batch is a
-- copy, one tensor a column in the order of the data set's names.
--
--   tide.DataLoader(d, {batch_size = 64, shuffle = false, drop_last = false, seed = nil})
--
-- seed: makes the order of all epochs the loader's own; without it the order comes from
-- tide.manual_seed.
--
--   d = tide.Dataset{x = tide.arange(1, 10)}
--   sum = 0
--   for x in tide.DataLoader(d, {batch_size = 4, shuffle = true}) do sum = sum + x:sum():item() end
--   sum                                                        --> 55.0
function public.DataLoader(dataset, opts)
  local o = core.options("DataLoader", opts, {batch_size = 64, shuffle = false, drop_last = false}, {"seed"})
  if type(dataset) ~= "table" or type(dataset.names) ~= "table" then
    core.fail("argument", "DataLoader", "argument 1 is %s, not a data set (tide.Dataset{x = x, y = y})",
              core.what(dataset))
  end
  return setmetatable({
    dataset = dataset,
    batch_size = check.count("DataLoader", "batch_size", o.batch_size, 1),
    drop_last = o.drop_last,
    draws = o.shuffle and draws.new(o.seed, "DataLoader") or nil,
    -- Epochs that are under way, by the first tensor of the batch that they gave last: what a
    -- generic for hands back as its control value.
    running = setmetatable({}, {__mode = "k"}),
  }, DataLoader)
end

function DataLoader:__len() return batches.count(#self.dataset, self.batch_size, self.drop_last) end

-- An iterator over an epoch: the data set, batch.
local function epoch_of(self)
  local dataset = self.dataset
  local epoch = batches.epoch(#dataset, self.batch_size, self.drop_last, self.draws, dataset[dataset.names[1]])
  return function()
    local batch = epoch()
    if batch then return dataset, batch end
  end
end

function DataLoader:__call(_, control)
  return batches.next(self, "DataLoader", control, function() return epoch_of(self) end)
end

function DataLoader:__tostring()
  return ("<loader of %s, %d batches of %d>"):format(tostring(self.dataset), #self, self.batch_size)
end

DataLoader.__index = DataLoader

return public
