-- Errors of pointers: their texts, the script's line that they name, when they are raised and what they harm.
-- Pointers are held and dropped for what that does at the worker.
-- luacheck: ignore 231 241 311 331
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, fails, here = rig.case, rig.eq, rig.fails, rig.here

-- The error of f, which must be of that kind and name that line of this file as its cause.
local function raises(kind, text, line, f)
  local err = fails(text, f)
  eq(err.kind, kind)
  eq(rig.line_of(err), line, "the line named")
  assert(err.where:find("test_errors.lua", 1, true), err.where)
  return err
end

case("9: tensors at two places do not go together, in all four orders", function(bob, alice)
  local b, a, x = tide.ones(2):send(bob), tide.ones(2):send(alice), tide.ones(2)
  local text = "add: one tensor is at %s, the other %s; move one of them"
  fails(text:format("bob", "at alice"), function() return b + a end)
  fails(text:format("alice", "at bob"), function() return a + b end)
  fails(text:format("bob", "here"), function() return b + x end)
  local err = raises("location", text:format("bob", "here"), here(), function() return x + b end)
  eq(err.call, "add")
  eq(err.hint, "send(worker) the one, or get() the other")
  eq((b + a:move(bob)):get(), {2, 2})
end)

case("9: neither do those of operations with more inputs", function(bob, alice)
  local b, a, x = tide.ones(2, 2):send(bob), tide.ones(2, 2):send(alice), tide.ones(2, 2)
  fails("matmul: one tensor is at bob, the other at alice; move one of them", b.matmul, b, a)
  fails("cat: one tensor is at bob, the other at alice; move one of them", tide.cat, {b, b, a}, 1)
  fails("stack: one tensor is at bob, the other here; move one of them", tide.stack, {x, b})
  fails("where: one tensor is at bob, the other here; move one of them", tide.where, b:gt(0), x, x)
  fails("assign: one tensor is at bob, the other here; move one of them", b.assign, b, x)
  fails("assign: one tensor is at bob, the other at alice; move one of them", function() b[1] = a[1] end)
  eq(b:get(), {{1, 1}, {1, 1}})
end)

case("a model and data at two places do not go together", function(bob, alice)
  local model = nn.Sequential(nn.Linear(2, 1)):send(bob)
  local err = fails("in module 1 (nn.Linear 2 -> 1): matmul: one tensor is at alice, the other at bob; "
    .. "move one of them", model, tide.ones(1, 2):send(alice))
  eq(err.kind, "location")
  fails("send: the module is at bob; get() it first", model.send, model, alice)
  model:get()
end)

case("10: an object that the worker has lost is not found, and the link lives on", function(bob)
  local p = tide.ones(2):send(bob)
  bob:clear()
  local line = here() + 1
  local q = p + 1
  local value = q:get()
  raises("not-found", ("add: object %d is not at bob"):format(p.id), line, function() return value:totable() end)
  eq(tide.ones(2):send(bob):get(), {1, 1})
end)

case("10: fetching what the worker has lost is not found", function(bob)
  local p = tide.ones(2):send(bob)
  bob:clear()
  local line = here() + 1
  local value = p:copy()
  local err = raises("not-found", ("get: object %d is not at bob"):format(p.id), line,
                     function() return value:totable() end)
  eq(err.hint, "it may have been fetched by get(), or cleared")
end)

case("after clear a tensor may be sent again; the old pointer's end does not end the new object", function(bob)
  local x = tide.tensor {1, 2}
  local old = x:send(bob)
  bob:clear()
  local new = x:send(bob)
  old = nil
  collectgarbage()
  bob:flush()
  eq(new:get(), {1, 2})
end)

case("what a search's pointer fetched is gone for the first pointer too; its end ends nothing new", function(bob)
  local x = tide.tensor {1, 2}:tag("#once")
  local old = x:send(bob)
  eq(bob:search("#once")[1]:get(), {1, 2})
  local new = x:send(bob)
  old = nil
  collectgarbage()
  bob:flush()
  eq(new:get(), {1, 2})
end)

case("getting twice, using what was fetched: refused at once", function(bob)
  local p = tide.ones(2):send(bob)
  local value = p:get()
  local text = "%s: object %d is no longer at bob"
  local err = raises("not-found", text:format("get", p.id), here(), function() p:get() end)
  eq(err.hint, "get() and move() take it away from there; copy() leaves it")
  fails(text:format("copy", p.id), p.copy, p)
  fails(text:format("relu", p.id), p.relu, p)
  fails(text:format("tag", p.id), p.tag, p, "#late")
  eq(value, {1, 1})
end)

case("a wrong shape is refused at once, with the call, the shapes and the line", function(bob)
  local p, q = tide.ones(2, 3):send(bob), tide.ones(4, 5):send(bob)
  local waits = rig.cost(bob, function()
    raises("shape", "matmul: 2x3 does not multiply 4x5", here(), function() return p:matmul(q) end)
  end)
  eq(waits, 0)
end)

case("a label out of range at the worker: the loss's line is named, at the first wait and once", function(bob)
  local model = nn.Linear(2, 3):send(bob)
  local x, y = tide.ones(2, 2):send(bob), tide.tensor({0, 3}, {dtype = "i64"}):send(bob)
  local line = here() + 1
  local loss = F.cross_entropy(model(x), y)
  loss:backward()
  local harmless = (x + 1):get()
  local value = loss:get()
  local local_text = select(2, pcall(F.cross_entropy, tide.ones(2, 3), tide.tensor({0, 3}, {dtype = "i64"})))
  raises("index", tostring(local_text):gsub("^[^:]*:%d+: ", ""), line, function() return harmless:totable() end)
  eq(harmless, {{2, 2}, {2, 2}}, "what does not hang on it is unharmed, and the error is told once")
  raises("index", tostring(local_text):gsub("^[^:]*:%d+: ", ""), line, function() return value:item() end)
  model:get()
end)

case("a failed step leaves the parameters as they were", function(bob)
  local model = nn.Linear(2, 3)
  local before = model:clone()
  local opt = optim.SGD(model:parameters(), {lr = 0.1, momentum = 0.9})
  model:send(bob)
  local x, y = tide.ones(1, 2):send(bob), tide.tensor({7}, {dtype = "i64"}):send(bob)
  local loss = F.cross_entropy(model(x), y)
  loss:backward()
  opt:step()
  model:get()
  local value = loss:get()
  assert(not pcall(value.item, value))
  rig.same_module(model, before)
end)

case("an index out of range at the worker", function(bob)
  local p = tide.tensor {{1, 2}, {3, 4}}:send(bob)
  local ids = tide.tensor({1, 3}, {dtype = "i64"}):send(bob)
  local line = here() + 1
  local value = p:index_select(1, ids):get()
  local err = raises("index", "index_select: position 3 of dimension 1, which has 2", line,
                     function() return value:totable() end)
  eq(err.call, "index_select")
  line = here() + 1
  value = p:gather(2, tide.tensor({{0}, {1}}, {dtype = "i64"}):send(bob)):get()
  raises("index", "gather: position 0 of dimension 2, which has 2", line, function() return value:totable() end)
end)

case("an index that is seen here is refused here", function(bob)
  local p = tide.ones(2, 2):send(bob)
  fails("index: position 3 of dimension 1, which has 2", function() return p[3] end)
  fails("narrow: 2 entries from position 2 of dimension 1, which has 2", p.narrow, p, 1, 2, 2)
end)

case("of several errors the first is raised, and each result has its own", function(bob)
  local p = tide.ones(2):send(bob)
  local function bad(i) return p:index_select(1, tide.tensor({i}, {dtype = "i64"}):send(bob)) end
  local a, b = (bad(5) + 1):get(), (bad(6) * 2):get()
  local fine = (p + p):get()
  fails("index_select: position 5 of dimension 1, which has 2", b.totable, b)
  eq(fine, {2, 2})
  fails("index_select: position 6 of dimension 1, which has 2", b.totable, b)
  fails("index_select: position 5 of dimension 1, which has 2", a.totable, a)
  fails("index_select: position 5 of dimension 1, which has 2", a.totable, a)
end)

case("poison goes on through later batches, with the line that caused it", function(bob)
  local p = tide.ones(2):send(bob)
  local line = here() + 1
  local q = p:index_select(1, tide.tensor({9}, {dtype = "i64"}):send(bob))
  raises("index", "index_select: position 9 of dimension 1, which has 2", line, function() bob:wait() end)
  bob:wait()
  local r = (q * 2):get()
  raises("index", "index_select: position 9 of dimension 1, which has 2", line, function() return r:totable() end)
  eq(p:get(), {1, 1})
end)

case("an error met at another worker's wait is not raised there", function(bob, alice)
  local p, q = tide.ones(2):send(bob), tide.ones(2):send(alice)
  local bad = p:index_select(1, tide.tensor({9}, {dtype = "i64"}):send(bob)):get()
  eq(q:get(), {1, 1})
  fails("index_select: position 9 of dimension 1, which has 2", bad.totable, bad)
end)

case("x[mask] on a pointer is refused, with a way to do it", function(bob)
  local p = tide.tensor {1, -1}:send(bob)
  local err = raises("unsupported", "index: a mask on a tensor at bob: its values decide the shape of the result",
                     here(), function() return p[p:gt(0)] end)
  eq(err.hint, "use tide.where or a product with the mask, or do it inside a plan")
  p[p:lt(0)] = 0
  eq(p:get(), {1, 0}, "assignment keeps the shape, and works")
end)

case("x < y of one element waits for the worker; of more it is refused at once", function(bob)
  local one, two = tide.tensor {1}:send(bob), tide.tensor {2}:send(bob)
  local waits = rig.cost(bob, function()
    assert(one < two and (two < one) == false and one <= two and two >= one and two > 1)
  end)
  eq(waits, 5)
  local many = tide.ones(3):send(bob)
  waits = rig.cost(bob, function()
    local err = fails("lt: a comparison of 3 is not one boolean", function() return many < many end)
    assert(err.hint:find("x:lt(y)", 1, true), err.hint)
  end)
  eq(waits, 0)
  eq(one == two, false)
  assert(one == one)
end)

case("all, any, equal of pointers say where the tensors are", function(bob)
  local p = tide.ones(2):send(bob)
  for _, f in ipairs {p.all, p.any, function(x) return tide.equal(x, x) end} do
    local _, err = pcall(f, p)
    assert(type(err) == "boolean" or err.kind == "location", tostring(err))
  end
end)

case("wrong arguments are named", function(bob)
  local x = tide.ones(2)
  local p = x:send(bob)
  fails("send: wants a worker, got string", x.send, x, "bob")
  fails("send: wants a worker, got no value", x.send, x)
  fails("move: wants a worker, got no value", p.move, p)
  fails("get: the tensor is here already", x.get, x)
  fails("copy: the tensor is here already", x.copy, x)
  fails("move: the tensor is here already", x.move, x, bob)
  fails("tag: a tag is a text, got number", x.tag, x, 3)
  fails("tag: a tag has 1 to 63 bytes, got 0", x.tag, x, "")
  fails("send: unknown option 'tag', did you mean 'tags'?", x.send, x, bob, {tag = {"#a"}})
  fails("gc: the tensor is here, not at a worker", function() x.gc = false end)
end)

rig.run()
