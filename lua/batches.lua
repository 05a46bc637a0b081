-- The batches of an epoch: which rows each has, in which order. Knows rows by number only, so
-- that loaders of data here and of data at workers share it.
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

return batches
