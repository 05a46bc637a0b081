-- Masks as indices: x[mask] and x[mask] = v. Called from the bindings; composed of ops, so that gradients
-- come by themselves.
local core = require "tide.core"
local op = require "tide.ops"

-- A mask speaks of the leading dimensions of x; the rest of a row goes along.
local function check_mask(x, mask)
  if mask:dtype() ~= "bool" then
    core.fail_hint("dtype", "index", "positions go through x:index_select(dim, ids)",
                   "a tensor as an index is a bool mask, got %s", core.what(mask))
  end
  if mask:dim() > x:dim() or mask:dim() == 0 then
    core.fail("shape", "index", "a mask of %s for a tensor of %s", core.shape_text(mask), core.shape_text(x))
  end
  for d = 1, mask:dim() do
    if mask:size(d) ~= x:size(d) then
      core.fail("shape", "index", "a mask of %s for a tensor of %s", core.shape_text(mask),
                core.shape_text(x))
    end
  end
end

-- x with the masked dimensions made one: n rows.
local function as_rows(x, mask)
  local sizes = {mask:numel()}
  for d = mask:dim() + 1, x:dim() do sizes[#sizes + 1] = x:size(d) end
  return x:reshape(sizes)
end

core.hook("mask_get", function(x, mask)
  check_mask(x, mask)
  if core.place_name(x) then
    core.fail_hint("unsupported", "index",
                   "use tide.where or a product with the mask, or do it inside a plan",
                   "a mask on a tensor at %s: its values decide the shape of the result", core.place_name(x))
  end
  return op.index_select(as_rows(x, mask), 1, core.nonzero(mask))
end)

-- The mask with dimensions of size 1 behind it, so that it broadcasts to x.
local function beside(x, mask)
  local sizes = mask:size()
  for d = mask:dim() + 1, x:dim() do sizes[d] = 1 end
  return mask:reshape(sizes)
end

-- k values for the k places where the mask is true, put at their places.
local function spread(x, mask, values)
  local count = mask:to("i64"):sum():item()
  if values:size(1) ~= count then
    core.fail("shape", "index", "%s for a mask with %d true elements", core.shape_text(values), count)
  end
  if count == 0 then return x end
  local ids = mask:reshape(-1):to("i64"):cumsum(1):clamp(1, count)
  return op.index_select(values, 1, ids):reshape(x:size())
end

core.hook("mask_set", function(x, mask, value)
  check_mask(x, mask)
  if core.is_tensor(value) and value:dim() == x:dim() - mask:dim() + 1 and value:numel() ~= 1 then
    value = spread(x, mask, value)
  end
  if core.is_tensor(value) and value:dtype() ~= x:dtype() then value = value:to(x:dtype()) end
  x:assign(op.where(beside(x, mask), value, x))
end)

return {}
