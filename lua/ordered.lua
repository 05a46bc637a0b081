-- Tables that keep the order in which their keys were first set: state dicts and named
-- parameters. pairs walks in that order; so does the table itself in a generic for. Knows no
-- tensors.

local ordered = {}

--- An empty ordered table. `for k, v in pairs(t)` and `for k, v in t` give the keys in the order in
-- which they were first set; `#t` counts them; keys that were set to nil are left out.
function ordered.new()
  local keys, place = {}, {}
  local self = {}

  local function after(_, key)
    local at = key == nil and 0 or place[key]
    repeat
      at = at + 1
      key = keys[at]
    until key == nil or rawget(self, key) ~= nil
    return key, key ~= nil and rawget(self, key) or nil
  end

  return setmetatable(self, {
    __newindex = function(t, key, value)
      if value == nil then return end
      if not place[key] then
        keys[#keys + 1] = key
        place[key] = #keys
      end
      rawset(t, key, value)
    end,
    __pairs = function() return after end,
    __call = function(_, state, key) return after(state, key) end,
    __len = function()
      local count = 0
      for _ in after do count = count + 1 end
      return count
    end,
  })
end

return ordered
