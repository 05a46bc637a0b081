-- F: labels from logits, and how many are right.

local core = require "tide.core"
local check = require "tide.check"

local F = {}

--- The likeliest label of each row of logits [N, C] or [N, C, ...]: i64 [N] or [N, ...], counting
-- from 0 as labels do. Of a vector [C]: its one label.
--
--   F.predict(tide.tensor{{1, 3, 2}, {5, 4, 3}}):totable() --> {1, 0}
function F.predict(logits)
  local dim = check.tensor("predict", "the logits", logits):dim() > 1 and 2 or 1
  return logits:detach():argmax(dim) - 1
end

--- The share of the rows of logits [N, C] or [N, C, ...] whose likeliest label is that of y, as a
-- plain number from 0 to 1. Waits when they live at a worker.
--
--   F.accuracy(tide.tensor{{1, 3}, {5, 4}}, tide.tensor({1, 1}, {dtype = "i64"})) --> 0.5
function F.accuracy(logits, y)
  check.tensor("accuracy", "the labels", y)
  local predicted = F.predict(logits)
  if core.shape_text(predicted) ~= core.shape_text(y) then
    core.fail("shape", "accuracy", "the logits %s give labels %s, the labels are %s",
      core.shape_text(logits), core.shape_text(predicted), core.shape_text(y))
  end
  local right = predicted:eq(y):to("f64"):mean()
  return (core.place_name(right) and right:get() or right):item()
end

return F
