-- Five steps of each optimiser, the schedules and clipping are PyTorch's.
local here = arg[0]:match("^(.*)/") or "."
local golden = dofile(here .. "/../golden/common.lua")
local figures = dofile(here .. "/../golden/optim.lua")

local function problem()
  return golden.even({3, 4}, 1):requires_grad_(), golden.even({5}, 2):requires_grad_()
end

-- ---- steps ----

local makers = {
  sgd = function(p) return optim.SGD(p, {lr = 0.1}) end,
  sgd_decay = function(p) return optim.SGD(p, {lr = 0.1, weight_decay = 0.1}) end,
  sgd_momentum = function(p) return optim.SGD(p, {lr = 0.05, momentum = 0.9}) end,
  sgd_dampening = function(p)
    return optim.SGD(p, {lr = 0.05, momentum = 0.9, dampening = 0.5, weight_decay = 0.01})
  end,
  sgd_nesterov = function(p)
    return optim.SGD(p, {lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 1e-4})
  end,
  adam = function(p) return optim.Adam(p) end,
  adam_options = function(p)
    return optim.Adam(p, {lr = 0.05, betas = {0.8, 0.95}, eps = 1e-6, weight_decay = 0.1})
  end,
  adam_amsgrad = function(p) return optim.Adam(p, {lr = 0.05, amsgrad = true}) end,
  adamw = function(p) return optim.AdamW(p, {lr = 0.05}) end,
  adamw_amsgrad = function(p)
    return optim.AdamW(p, {lr = 0.05, weight_decay = 0.2, amsgrad = true})
  end,
  adagrad = function(p) return optim.Adagrad(p) end,
  adagrad_options = function(p)
    return optim.Adagrad(p, {lr = 0.1, lr_decay = 0.1, weight_decay = 0.1,
                             initial_accumulator_value = 0.5})
  end,
  rmsprop = function(p) return optim.RMSprop(p) end,
  rmsprop_options = function(p)
    return optim.RMSprop(p, {lr = 0.02, alpha = 0.9, weight_decay = 0.1, momentum = 0.9,
                             centered = true})
  end,
  groups = function(p)
    return optim.SGD({{params = {p[1]}}, {params = {p[2]}, lr = 0.01, momentum = 0.5}}, {lr = 0.1})
  end,
}
golden.same_names("optimisers", makers, figures.steps)

-- Runs the steps; after `handover` of them (nil: never) another optimiser takes up the state.
local function run(name, handover)
  local a, b = problem()
  local opt = makers[name]{a, b}
  for i, want in ipairs(figures.steps[name]) do
    local what = name .. " step " .. i
    opt:zero_grad()
    assert(a.grad == nil and b.grad == nil)
    local loss = (a ^ 4):sum() + (a[1] * b[{{1, 4}}]):sum() + ((b - 0.3) ^ 2):sum()
    golden.check_number(what .. ": loss", loss:item(), want.loss, 1e-10)
    loss:backward()
    opt:step()
    golden.check(what .. ": a", a, want.a, 1e-10)
    golden.check(what .. ": b", b, want.b, 1e-10)
    if i == handover then
      local state = opt:state_dict()
      opt = makers[name]{a, b}
      opt:load_state_dict(state)
    end
  end
end
for name in pairs(makers) do
  run(name)
  run(name, 2)
end

-- ---- schedules ----

local schedules = {
  step = function(opt) return optim.lr.Step(opt, 3, {gamma = 0.5}) end,
  cosine = function(opt) return optim.lr.Cosine(opt, 7, {least = 0.1}) end,
  warmup = function(opt) return optim.lr.Warmup(opt, 5, {start = 0.2}) end,
}
golden.same_names("schedules", schedules, figures.rates)
for name, make in pairs(schedules) do
  local opt = optim.SGD({tide.zeros(1):requires_grad_()}, {lr = 0.5})
  local schedule = make(opt)
  for i, want in ipairs(figures.rates[name]) do
    golden.check_number(name .. " rate " .. i, opt.lr, want, 1e-12)
    schedule:step()
  end
end

-- ---- clipping ----

local clips = {two = {1, 2}, ["not"] = {100, 2}, one = {2, 1}, most = {0.5, math.huge}}
golden.same_names("clipping", clips, figures.clipped)
for name, case in pairs(clips) do
  local a, b = problem()
  ;((a ^ 4):sum() + (b ^ 3):sum()):backward()
  local norm = optim.clip_grad_norm({a, b}, case[1], {p = case[2]})
  golden.check_number("norm " .. name, norm:item(), figures.clipped[name].norm)
  golden.check("clipped a " .. name, a.grad, figures.clipped[name].a)
  golden.check("clipped b " .. name, b.grad, figures.clipped[name].b)
end
