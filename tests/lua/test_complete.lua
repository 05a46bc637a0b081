-- What Tab offers, and that finding out touches nothing.
local check = dofile(arg[0]:match("^(.*/)") .. "helper.lua")
require "tide.repl"
local core = require "tide.core"

-- The names for the text before the cursor, and what would be put in.
local function complete(before) return core.complete(before) end

local function offers(before, ...)
  local names = complete(before)
  check.eq(names, {...}, before)
end

local function has(before, name)
  for _, n in ipairs((complete(before))) do
    if n == name then return end
  end
  error(("'%s' does not offer '%s'"):format(before, name), 2)
end

local function lacks(before, name)
  for _, n in ipairs((complete(before))) do
    if n == name then error(("'%s' offers '%s'"):format(before, name), 2) end
  end
end

offers("tide.manual", "manual_seed")
offers("print(tide.manual", "manual_seed")
offers("x = tide.zeros_l", "zeros_like")
offers("whi", "while")
offers("nothing_of_that_name.x")
offers("tide.data.dig", "digits")
offers("nn.Lin", "Linear")
offers("optim.lr.Co", "Cosine")
offers("")
offers("x = ")
offers('"tide.man')
local _, have, common = complete("tide.randn")
check.eq({have, common}, {5, "randn"})

-- Tensors: methods behind a colon, fields too behind a dot. Nothing is asked of the tensor itself.
_G.some_tensor = tide.ones(2)
offers("some_tensor:requires", "requires_grad_")
has("some_tensor.re", "requires_grad")
has("some_tensor.", "location")
lacks("some_tensor:", "location")
offers("some_tensor.grad:bac", "backward")
offers("some_t", "some_tensor")

-- Modules: their parts and their class's methods.
_G.some_model = nn.Sequential(nn.Linear(2, 3))
_G.some_layer = nn.Linear(2, 3)
has("some_layer.", "weight")
has("some_layer:", "parameters")
has("some_layer.weight:", "backward")
has("some_model:", "state_dict")

-- A worker, which is userdata with a function for __index.
if tide.VirtualWorker then
  _G.some_worker = tide.VirtualWorker "complete-me"
  has("some_worker:", "search")
  has("some_w", "some_worker")
end

-- What fails when it is touched is not.
_G.untouchable = setmetatable({name = 1, inner = setmetatable({deep = 1}, {__index = error})}, {
  __index = function() error "touched" end, __pairs = function() error "touched" end,
  __len = function() error "touched" end, __tostring = function() error "touched" end,
})
offers("untouchable.na", "name")
offers("untouchable.zzz.x")
offers("untouchable.inner.d", "deep")
-- A metatable chain that goes in circles comes to an end.
local circle = {}
setmetatable(circle, {__index = circle})
_G.circle = circle
offers("circle.x")
