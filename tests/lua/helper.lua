-- What the tests of the language share: checks that say what was got and what was wanted. Loaded by each
-- test with dofile, and harmless when it is run itself.
local check = {}

local function text(value)
  if type(value) ~= "table" or (getmetatable(value) or {}).__tostring then return tostring(value) end
  local parts = {}
  for i, v in ipairs(value) do parts[i] = text(v) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b, tolerance)
  if type(a) == "table" and type(b) == "table" then
    if #a ~= #b then return false end
    for i = 1, #a do
      if not same(a[i], b[i], tolerance) then return false end
    end
    return true
  end
  if type(a) == "number" and type(b) == "number" and tolerance then
    return a == b or math.abs(a - b) <= tolerance * math.max(1, math.abs(b)) or a ~= a and b ~= b
  end
  return a == b
end

-- Numbers, texts, booleans, or lists of them; tensors as their tables. 3 and 3.0 are the same.
function check.eq(got, want, what)
  if tide.is_tensor(got) then got = got:totable() end
  if not same(got, want) then
    error(("%s: got %s, wanted %s"):format(what or "value", text(got), text(want)), 2)
  end
end

function check.near(got, want, tolerance, what)
  if tide.is_tensor(got) then got = got:totable() end
  if not same(got, want, tolerance) then
    error(("%s: got %s, wanted %s within %g"):format(what or "value", text(got), text(want), tolerance), 2)
  end
end

-- f must raise an error whose text, behind "file:line: ", is just `want`.
function check.fails(want, f, ...)
  local ok, err = pcall(f, ...)
  if ok then error("no error, wanted: " .. want, 2) end
  local got = tostring(err):gsub("^[^:]*:%d+: ", "")
  if got ~= want then error(("error text:\n  got    %s\n  wanted %s"):format(got, want), 2) end
  return err
end

-- f must raise an error in whose text (without the hint) all the parts are. Gives the error.
function check.raises(f, ...)
  local ok, err = pcall(f)
  if ok then error("no error, wanted: " .. table.concat({...}, ", "), 2) end
  for _, part in ipairs {...} do
    if not tostring(err):find(part, 1, true) then
      error(("error text:\n  got    %s\n  wanted %s in it"):format(tostring(err), part), 2)
    end
  end
  return err
end

return check
