-- Tags, descriptions, search, objects, and workers that are searched together.
-- Pointers are held and dropped for what that does at the worker.
-- luacheck: ignore 231 241 311 331
local rig = dofile(arg[0]:match("^(.*/)") .. "rig.lua")
local case, eq, fails = rig.case, rig.eq, rig.fails

local function ids(hits)
  local list = {}
  for i, p in ipairs(hits) do list[i] = p.id end
  table.sort(list)
  return list
end

case("16: search by one tag and by several, in any order", function(bob)
  local a = tide.ones(1):tag("#fun", "#mnist"):send(bob)
  local b = tide.ones(2):tag("#mnist"):send(bob)
  local c = tide.ones(3):tag("#boston"):send(bob)
  local d = tide.ones(4):tag("#cifar", "#rare"):send(bob)
  eq({#bob:search("#fun"), #bob:search("#mnist"), #bob:search("#boston"), #bob:search("#cifar")}, {1, 2, 1, 1})
  eq(ids(bob:search("#mnist")), {a.id, b.id})
  eq(ids(bob:search("#mnist", "#fun")), {a.id})
  eq(ids(bob:search("#fun", "#mnist")), {a.id})
  eq({#bob:search("#absent", "#mnist"), #bob:search("#mnist", "#absent")}, {0, 0})
  eq({#bob:search("#fun", "#boston"), #bob:search("#boston", "#fun")}, {0, 0})
  eq(ids(bob:search()), {a.id, b.id, c.id, d.id}, "without a tag: all that have one")
  eq(ids(bob:search {"#rare", "#cifar"}), {d.id}, "a list of tags")
  eq(#bob:search("#mnis"), 0, "tags are exact")
end)

case("16: hits are pointers that work, know their tags and own nothing", function(bob)
  local x = tide.tensor {1, 2}:tag("#hit"):describe("two numbers")
  local p = x:send(bob)
  local hit = bob:search("#hit")[1]
  eq(tostring(hit), "<tensor 2 f32 at bob>")
  eq(hit.tags, {"#hit"})
  eq(hit.description, "two numbers")
  eq(hit.id, p.id)
  eq((hit + p):get(), {2, 4})
  hit = nil
  collectgarbage()
  eq(p:get(), {1, 2})
  eq(#bob:search("#hit"), 0, "what is gone is not found")
end)

case("tags are given before sending, with send, and through the pointer", function(bob)
  local a = tide.ones(1):tag("#a"):tag("#b"):send(bob)
  local b = tide.ones(2):send(bob, {tags = {"#b"}, description = "by send"})
  local c = tide.ones(3):send(bob):tag("#b"):describe("by the pointer")
  eq(ids(bob:search("#b")), {a.id, b.id, c.id})
  eq(a.tags, {"#a", "#b"})
  eq(#bob:search("#a"), 1)
  local texts = {}
  for i, o in ipairs(bob:objects()) do texts[i] = o.description end
  eq(texts, {"", "by send", "by the pointer"})
  eq(a:tag("#a").tags, {"#a", "#b"}, "a tag twice is there once")
end)

case("tags given with one send are not those of the next", function(bob, alice)
  local x = tide.ones(1):tag("#always")
  local p, q = x:send(bob, {tags = {"#once"}}), x:send(alice)
  eq({#bob:search("#once"), #bob:search("#always")}, {1, 1})
  eq({#alice:search("#once"), #alice:search("#always")}, {0, 1})
  eq({p.tags, q.tags, x.tags}, {{"#always", "#once"}, {"#always"}, {"#always"}})
end)

case("tags come home with get", function(bob)
  local p = tide.ones(1):tag("#home"):describe("d"):send(bob)
  local x = p:get()
  eq(x.tags, {"#home"})
  eq(x.description, "d")
end)

case("results of operations have no tags", function(bob)
  local p = tide.ones(2):tag("#source"):send(bob)
  local q = p + 1
  eq(q.tags, {})
  eq(#bob:search("#source"), 1)
end)

case("search and objects see what was recorded just before", function(bob)
  local p = tide.zeros(2, 3):send(bob) + 1
  local objects = bob:objects()
  local found
  for _, o in ipairs(objects) do found = found or o.id == p.id and o end
  eq(found.size, {2, 3})
  eq(found.bytes, 24)
  p:tag("#just")
  eq(#bob:search("#just"), 1)
end)

case("objects lists dtypes, sizes, bytes, tags", function(bob)
  local kept = {}
  for i, dtype in ipairs {"f64", "f32", "f16", "bf16", "i64", "i32", "u8", "bool"} do
    kept[i] = tide.zeros(3):to(dtype):send(bob)
  end
  local seen, bytes = {}, {}
  for i, o in ipairs(bob:objects()) do seen[i], bytes[i] = o.dtype, o.bytes end
  eq(seen, {"f64", "f32", "f16", "bf16", "i64", "i32", "u8", "bool"})
  eq(#kept, 8)
  eq(bytes, {24, 12, 6, 6, 24, 12, 3, 3})
end)

case("17: a grid gives hits by worker, and leaves out those without", function(bob, alice)
  local carol = tide.VirtualWorker("carol")
  local a, b = tide.ones(1):tag("#x", "#y"):send(bob), tide.ones(2):tag("#x"):send(bob)
  local c, d = tide.ones(3):tag("#x"):send(alice), tide.ones(4):tag("#z"):send(carol)
  local grid = tide.PrivateGrid {bob, alice, carol}
  local function counts(...)
    local t = {}
    for name, hits in pairs(grid:search(...)) do t[#t + 1] = name .. #hits end
    table.sort(t)
    return table.concat(t, " ")
  end
  eq(counts("#x"), "alice1 bob2")
  eq(counts("#y"), "bob1")
  eq(counts("#x", "#y"), "bob1")
  eq(counts("#none"), "")
  eq(counts(), "alice1 bob2 carol1", "an empty query finds all that have a tag")
  assert(grid:search("#z").carol[1].location == carol)
  eq(ids {a, b, c, d}, ids {d, c, b, a})
  carol:close()
end)

case("17: a grid wants workers", function()
  fails("PrivateGrid: wants a list of workers, got a table", tide.PrivateGrid, {})
  fails("PrivateGrid: wants a list of workers, got nil", tide.PrivateGrid)
end)

case("too many or too long tags are refused at once", function(bob)
  local x = tide.ones(1)
  for i = 1, 16 do x:tag("#" .. i) end
  local err = fails("tag: more than 16 tags", x.tag, x, "#17")
  eq(err.kind, "limit")
  fails("tag: a tag has 1 to 63 bytes, got 64", x.tag, x, ("x"):rep(64))
  fails("describe: a description of 300 bytes, at most 255 go", x.describe, x, ("x"):rep(300))
  fails("send: a description of 300 bytes, at most 255 go", x.send, x, bob, {description = ("x"):rep(300)})
  fails("send: a description is a text, got number", x.send, x, bob, {description = 3})
  fails("describe: the description has a zero byte in it", x.describe, x, "a\0b")
  fails("tag: the tag has a zero byte in it", x.tag, x, "#a\0b")
  fails("VirtualWorker: the name has a zero byte in it", tide.VirtualWorker, "a\0b")
  fails("send: gc is true or false, got number", x.send, x, bob, {gc = 0})
  fails("send: a tag has 1 to 63 bytes, got 64", x.send, x, bob, {tags = {("x"):rep(64)}})
  local p = x:send(bob)
  eq(#p.tags, 16)
  eq(#bob:search("#16", "#1"), 1)
end)

rig.run()
