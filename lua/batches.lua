-- The batches of an epoch: which rows each has, in which order; and their way into a `for`. Asks nothing of
-- tensors that pointers would not do too: loaders of data here and of data at workers share it.
local core = require "tide.core"

local batches = {}

-- How many batches an epoch of `rows` rows has.
function batches.count(rows, size, drop_last)
  return drop_last and rows // size or (rows + size - 1) // size
end

-- An iterator over an epoch's batches. draws (see draws.lua) gives the order, in which every row
-- comes once; nil: as they stand. The order is made where the tensor `like` lives. A batch is
-- {start =, length =, order =}: rows start .. start + length - 1 of the order, or of the rows
-- themselves.
function batches.epoch(rows, size, drop_last, draws, like)
  local order = draws and draws:permutation(rows, like)
  local left, start = batches.count(rows, size, drop_last), 1
  return function()
    if left == 0 then return nil end
    left = left - 1
    local batch = {start = start, length = math.min(size, rows - start + 1), order = order}
    start = start + size
    return batch
  end
end

-- The rows of a tensor that a batch has: always a copy.
function batches.pick(tensor, batch)
  if not batch.order then return tensor:narrow(1, batch.start, batch.length):clone() end
  batch.ids = batch.ids or batch.order:narrow(1, batch.start, batch.length)
  return tensor:index_select(1, batch.ids)
end

-- A loader's next batch, for a generic for: one tensor a column. loader.running has the epochs under way, by the
-- first tensor of the batch that they gave last, which is what the for hands back as its control value; with nil
-- for that an epoch is begun: begin() gives an iterator of data set, batch.
function batches.next(loader, name, control, begin)
  local epoch
  if control == nil then
    epoch = begin()
  else
    epoch = loader.running[control]
    if not epoch then
      core.fail("state", name, "%s is not a batch that this loader gave last", core.what(control))
    end
    loader.running[control] = nil
  end
  local dataset, batch = epoch()
  if not dataset then return nil end
  local tensors = {}
  for i, column in ipairs(dataset.names) do tensors[i] = batches.pick(dataset[column], batch) end
  loader.running[tensors[1]] = epoch
  return table.unpack(tensors)
end

return batches
