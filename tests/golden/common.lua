-- What the golden tests share: the formula of weights and inputs, and comparing with a digest. The other
-- side is tools/torch-golden.py.
local golden = {}

-- Numbers in [-1, 1) that look random, f64; whole-number arithmetic, so both sides have the same.
function golden.even(sizes, seed)
  local n = 1
  for _, size in ipairs(sizes) do n = n * size end
  local values = {}
  for i = 0, n - 1 do
    values[i + 1] = (i * 7919 + i * i % 10007 * 31 + seed * 104729) % 10007 / 10007 * 2 - 1
  end
  return tide.tensor(values, {dtype = "f64"}):reshape(sizes)
end

function golden.labels(n, classes)
  local list = {}
  for i = 1, n do list[i] = (i - 1) * 7 % classes end
  return tide.tensor(list, {dtype = "i64"})
end

-- Sets all parameters: matrices by their fan-in, vectors small, scales of norms near 1.
function golden.fill(module)
  local seed = 0
  for name, p in module:named_parameters() do
    seed = seed + 1
    local u = golden.even(p:size(), seed)
    if p:dim() > 1 then
      u = u / math.sqrt(p:numel() / p:size(1))
    else
      u = name:find("weight$") and u * 0.1 + 1 or u * 0.1
    end
    tide.no_grad(function() p:assign(u) end)
  end
  return module
end

local function close(got, want, scale, tolerance)
  return got == want or math.abs(got - want) <= tolerance * math.max(scale, math.abs(want), 1e-12)
end

-- The tensor is the one of which PyTorch gave the digest, to a tolerance relative to its mean magnitude.
function golden.check(what, tensor, digest, tolerance)
  tolerance = tolerance or 1e-11
  local function fail(part, got, want)
    error(("%s: %s is %.17g, not %.17g"):format(what, part, got, want), 0)
  end
  local n = tensor:numel()
  if n ~= digest.n then fail("the count", n, digest.n) end
  local flat = tensor:detach():to("f64"):reshape(-1)
  local sum, magnitudes = flat:sum():item(), flat:abs():sum():item()
  if not close(magnitudes, digest.abs, digest.abs, tolerance) then
    fail("the sum of magnitudes", magnitudes, digest.abs)
  end
  if not close(sum, digest.sum, digest.abs, tolerance) then fail("the sum", sum, digest.sum) end
  for k, want in ipairs(digest.at) do
    local i = (k - 1) * (n - 1) // 7 + 1
    local got = flat[i]:item()
    if not close(got, want, digest.abs / n, tolerance * 10) then fail("element " .. i, got, want) end
  end
end

function golden.check_number(what, got, want, tolerance)
  if not close(got, want, math.abs(want), tolerance or 1e-11) then
    error(("%s is %.17g, not %.17g"):format(what, got, want), 0)
  end
end

-- Each name of one table is one of the other, so that no case is left out on either side.
function golden.same_names(what, a, b)
  for name in pairs(a) do assert(b[name] ~= nil, what .. ": only the test has " .. name) end
  for name in pairs(b) do assert(a[name] ~= nil, what .. ": only PyTorch's figures have " .. name) end
end

return golden
