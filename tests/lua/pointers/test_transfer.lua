-- What is sent comes back bit for bit: every dtype, every shape, views, large tensors.
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, same_bits = rig.case, rig.eq, rig.same_bits

local nan, inf = 0 / 0, math.huge

-- Values at the edges of each dtype: zeros of both signs, the smallest and largest, NaN and infinities.
local edges = {
  f64 = {0.0, -0.0, 1.5, -1e308, 5e-324, 2.2250738585072014e-308, inf, -inf, nan, 0.1},
  f32 = {0.0, -0.0, 1.5, 3.4e38, 1e-45, -1.17549435e-38, inf, -inf, nan, 0.1},
  f16 = {0.0, -0.0, 1.5, 65504, 6e-8, -6.1e-5, inf, -inf, nan, 0.1},
  bf16 = {0.0, -0.0, 1.5, 3.38e38, 1e-40, -1.2e-38, inf, -inf, nan, 0.1},
  i64 = {0, 1, -1, math.maxinteger, math.mininteger, 1 << 53, (1 << 53) + 1, -(1 << 62) - 1},
  i32 = {0, 1, -1, 2147483647, -2147483648},
  u8 = {0, 1, 127, 128, 255},
  bool = {true, false, true},
}

local function edge(dtype) return tide.tensor(edges[dtype], {dtype = dtype}) end

for dtype in pairs(edges) do
  case("every value of " .. dtype .. " comes back bit for bit", function(bob, alice)
    local x = edge(dtype)
    eq(x:dtype(), dtype)
    local p = x:send(bob)
    eq(p:dtype(), dtype)
    same_bits(p:copy(), x, "copy")
    same_bits(p:move(alice):get(), x, "move and get")
  end)

  case("empty tensors and tensors without dimensions of " .. dtype, function(bob)
    for _, x in ipairs {edge(dtype)[1], edge(dtype)[-1], tide.zeros({0}, {dtype = dtype}),
                        tide.zeros({3, 0, 2}, {dtype = dtype})} do
      local p = x:send(bob)
      eq(p:size(), x:size())
      eq(tostring(p):match("<tensor (%S+)"), x:dim() == 0 and "scalar" or table.concat(x:size(), "x"))
      same_bits(p:get(), x)
    end
  end)

  case("views of " .. dtype .. " are sent as they look", function(bob)
    local values = edges[dtype]
    local pairs_of = {}
    for i = 1, 4 do pairs_of[i] = {values[i % #values + 1], values[(i + 2) % #values + 1]} end
    local m = tide.tensor(pairs_of, {dtype = dtype})
    for _, v in ipairs {m:t(), m[{{}, 2}], m[{{2, 3}}], m:t()[{{}, {1, 2}}], m[1]:expand(3, 2), m[2][1]} do
      same_bits(v:send(bob):get(), v:clone())
    end
  end)
end

case("results of operations come back bit for bit, views and transposes too", function(bob)
  local x = tide.randn(5, 7)
  local p = x:send(bob)
  same_bits(p:t():get(), x:t():clone())
  same_bits(p[{{2, 4}, -1}]:get(), x[{{2, 4}, -1}]:clone())
  same_bits(p:permute(2, 1):reshape(5, 7):get(), x:permute(2, 1):reshape(5, 7))
  same_bits(p[1]:expand(4, 7):copy(), x[1]:expand(4, 7):clone())
  same_bits((p:exp() / p:sum(1)):get(), x:exp() / x:sum(1))
end)

case("operations give the same bits as here", function(bob)
  tide.manual_seed(4)
  local x, y = tide.randn(33, 65), tide.randn(65, 17)
  local p, q = x:send(bob), y:send(bob)
  same_bits(p:matmul(q):get(), x:matmul(y))
  same_bits(p:softmax(2):get(), x:softmax(2))
  same_bits(p:var(1):get(), x:var(1))
  same_bits(p:sum():get(), x:sum())
  same_bits(p:cumsum(2):get(), x:cumsum(2))
  tide.manual_seed(9)
  local r = tide.rand_like(p)
  tide.manual_seed(9)
  same_bits(r:get(), tide.rand_like(x))
end)

case("i64 arithmetic wraps at a worker", function(bob)
  local p = tide.tensor({math.maxinteger, math.mininteger}, {dtype = "i64"}):send(bob)
  eq((p + p):get():totable(), {-2, 0})
  eq((p * 3):copy():totable(), {math.maxinteger * 3, math.mininteger * 3})
end)

case("a tensor of eight dimensions", function(bob)
  local x = tide.arange(1, 256):reshape(2, 2, 2, 2, 2, 2, 2, 2)
  same_bits(x:send(bob):permute(8, 7, 6, 5, 4, 3, 2, 1):get(), x:permute(8, 7, 6, 5, 4, 3, 2, 1):clone())
end)

case("large tensors go both ways, several in one batch", function(bob)
  local x = tide.arange(1, 12500000):to("f32") -- 50 MB
  local p = x:send(bob)
  local y = x:narrow(1, 1, 1000000)
  local a, b = y:send(bob), (y * 2):send(bob)
  local sum = (a + b):get()
  assert(tide.equal(p:get(), x))
  assert(tide.equal(sum, y * 3))
end)

case("ten thousand small operations in one batch", function(bob)
  local p = tide.zeros(1):send(bob)
  bob:wait()
  local waits, batches = rig.cost(bob, function()
    for _ = 1, 10000 do p:assign(p + 1) end
    eq(p:copy(), {10000})
  end)
  eq(waits, 1)
  assert(batches <= 2, batches)
end)

rig.run()
