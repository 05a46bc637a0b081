-- optim.lr: schedules of the learning rate. Each is a function from the number of steps that
-- were made to a factor of the learning rate that the optimiser began with; step() is called
-- after an epoch (or a batch).

local core = require "tide.core"
local check = require "tide.check"

local lr = {}

-- A schedule class; factor(self, steps, base) gives the learning rate itself.
local function schedule(name, init, rate)
  local class = {class_name = name}
  class.__index = class
  class.__name = name

  --- Makes one step of the schedule: sets the optimiser's learning rates (opt.lr, and those of
  -- groups that have their own).
  function class:step()
    core.not_traced(name, "a step of the schedule")
    self.steps = self.steps + 1
    self:set()
  end

  function class:set()
    self.optimizer.lr = rate(self, self.steps, self.base)
    for group, base in pairs(self.group_base) do group.lr = rate(self, self.steps, base) end
  end

  return setmetatable(class, {
    __tostring = function() return "class " .. name end,
    __call = function(_, optimizer, ...)
      if type(optimizer) ~= "table" or type(optimizer.groups) ~= "table" then
        core.fail("argument", name, "argument 1 is %s, not an optimiser", core.what(optimizer))
      end
      local self = setmetatable({optimizer = optimizer, steps = 0, base = optimizer.lr, group_base = {}},
        class)
      for _, group in ipairs(optimizer.groups) do self.group_base[group] = rawget(group, "lr") end
      init(self, ...)
      self:set()
      return self
    end,
  })
end

--- optim.lr.Step(opt, every): multiplies the learning rate by gamma each `every` steps. Option:
-- gamma = 0.1.
--
--   opt = optim.SGD(nn.Linear(1, 1):parameters(), {lr = 1})
--   schedule = optim.lr.Step(opt, 2, {gamma = 0.5})
--   for _ = 1, 4 do schedule:step() end
--   opt.lr --> 0.25
lr.Step = schedule("optim.lr.Step", function(self, every, opts)
  local o = core.options("optim.lr.Step", opts, {gamma = 0.1})
  self.every = check.count("optim.lr.Step", "the number of steps", every, 1)
  self.gamma = check.number("optim.lr.Step", "gamma", o.gamma, 0)
end, function(self, steps, base) return base * self.gamma ^ (steps // self.every) end)

--- optim.lr.Cosine(opt, steps): half a cosine from the learning rate down to `least` after that
-- many steps, and `least` from then on (Loshchilov and Hutter 2017). Option: least = 0.
--
--   opt = optim.SGD(nn.Linear(1, 1):parameters(), {lr = 1})
--   schedule = optim.lr.Cosine(opt, 10)
--   for _ = 1, 10 do schedule:step() end
--   opt.lr --> 0.0
lr.Cosine = schedule("optim.lr.Cosine", function(self, total, opts)
  local o = core.options("optim.lr.Cosine", opts, {least = 0})
  self.total = check.count("optim.lr.Cosine", "the number of steps", total, 1)
  self.least = check.number("optim.lr.Cosine", "least", o.least, 0)
end, function(self, steps, base)
  local share = math.min(steps / self.total, 1)
  return self.least + (base - self.least) * 0.5 * (1 + math.cos(math.pi * share))
end)

--- optim.lr.Warmup(opt, steps): from `start` times the learning rate evenly up to it in that many
-- steps. Options: start = 0.1; after, a schedule of the same optimiser that goes on from there.
--
--   opt = optim.SGD(nn.Linear(1, 1):parameters(), {lr = 1})
--   schedule = optim.lr.Warmup(opt, 10, {start = 0.5})
--   for _ = 1, 5 do schedule:step() end
--   opt.lr --> 0.75
lr.Warmup = schedule("optim.lr.Warmup", function(self, total, opts)
  local o = core.options("optim.lr.Warmup", opts, {start = 0.1}, {"after"})
  self.total = check.count("optim.lr.Warmup", "the number of steps", total, 1)
  self.start = check.number("optim.lr.Warmup", "start", o.start, 0, 1)
  if o.after == nil then return end
  if type(o.after) ~= "table" or o.after.optimizer ~= self.optimizer then
    core.fail("argument", "optim.lr.Warmup", "after is %s, not a schedule of the same optimiser",
      core.what(o.after))
  end
  self.after = o.after
  self.base, self.group_base = o.after.base, o.after.group_base
end, function(self, steps, base)
  return base * (self.start + (1 - self.start) * math.min(steps / self.total, 1))
end)

function lr.Warmup:step()
  core.not_traced("optim.lr.Warmup", "a step of the schedule")
  self.steps = self.steps + 1
  if self.after and self.steps > self.total then
    self.after:step()
  else
    self:set()
  end
end

return lr
