-- Workers and pointers under their public names: what tensors, modules and optimisers get from workers. The
-- C side (tdl_worker.c, tdl_pointer.c) does the work; here are the names, the documentation, and modules
-- that travel as a whole.
local core = require "tide.core"
local tide = require "tide"
local Module = require "tide.module"

local C = core.pointers
local Tensor = core.methods
local Worker = C.worker

-- ---- workers ----

--- A whole worker inside this process, for trying things out: the same code as a worker process, without the
-- wire. A second call with the same name gives the same worker.
--
--   bob = tide.VirtualWorker("bob")
--   tide.ones(2):send(bob).location == bob                     --> true
tide.VirtualWorker = C.VirtualWorker

--- What this session has at the worker: a list of tables with id, size, dtype, bytes, tags, description.
-- Waits. Other sessions' objects and the owner's data sets are not in it.
--
--   bob = tide.VirtualWorker("objects-example")
--   p = tide.zeros(2, 3):tag("#zeros"):send(bob)
--   bob:objects()[1].tags[1]                                   --> "#zeros"
Worker.objects = Worker.objects

--- Pointers to what bears all of the given tags, in any order: objects of this session, and those of the owner's
-- data sets that pointers may touch. Without a tag: everything that has one. Waits. The pointers do not own what
-- they point at.
--
--   bob = tide.VirtualWorker("search-example")
--   p = tide.zeros(2, 3):tag("#mnist", "#train"):send(bob)
--   #bob:search("#train", "#mnist"), #bob:search("#test")      --> 1 0
Worker.search = Worker.search

--- Milliseconds until the worker answers; also while it computes. Sends nothing of what is recorded.
--
--   tide.VirtualWorker("ping-example"):ping() < 1000           --> true
Worker.ping = Worker.ping

--- Drops everything that this session has at the worker. Pointers to it fail with "not found" from then on.
Worker.clear = Worker.clear

--- Sends what is recorded, and does not wait for it.
Worker.flush = Worker.flush

--- Sends what is recorded, waits until all of it is done, and raises the first error there was.
Worker.wait = Worker.wait

--- Counts of this session: batches sent, waits, operations, messages_out, messages_in, bytes_out, bytes_in.
--
--   bob = tide.VirtualWorker("stats-example")
--   bob:objects(); bob:stats().waits                           --> 1
Worker.stats = Worker.stats

--- Ends the session: the worker frees what it holds for it.
Worker.close = Worker.close

--- Drops the connection. What is at the worker stays there for as long as its lease; the next call that waits
-- connects again.
Worker.disconnect = Worker.disconnect

--- Waits until the worker has answered (again).
Worker.connect = Worker.connect

-- ---- tensors ----

--- Sends x to a worker; x stays here too, and the result is a pointer to what is there. Does not wait.
--
--   x:send(worker, {tags = {}, description = "", gc = true})
--
-- gc = false: the object outlives the pointer. The pointer of a leaf that requires a gradient requires one as
-- well. A pointer can be sent, too: get() on the result gives it back.
--
--   bob = tide.VirtualWorker("bob")
--   p = tide.tensor{1, 2}:send(bob)
--   (p + p):get():totable()                                    --> {2.0, 4.0}
Tensor.send = C.tensor.send

--- Fetches what a pointer points at, and its gradient, and drops both there. Does not wait: the value is on its
-- way, and whoever looks at it waits.
--
--   p = tide.tensor{1, 2}:send(tide.VirtualWorker("bob"))
--   p:get():totable()                                          --> {1.0, 2.0}
Tensor.get = C.tensor.get

--- Fetches what a pointer points at and leaves it there. Does not wait.
--
--   p = tide.tensor{1, 2}:send(tide.VirtualWorker("bob"))
--   p:copy():totable()[1], p:copy():totable()[2]               --> 1.0 2.0
Tensor.copy = C.tensor.copy

--- Moves an object to another worker, where it has the same id; its gradient goes with it. Waits for the value.
-- To the worker where it is: nothing happens.
--
--   bob, alice = tide.VirtualWorker("bob"), tide.VirtualWorker("alice")
--   tide.ones(2):send(bob):move(alice).location == alice       --> true
Tensor.move = C.tensor.move

--- Gives a tensor tags, by which search finds it once it is at a worker; a pointer's tags are told to its
-- worker. Returns the tensor.
--
--   tide.ones(2):tag("#a", "#b").tags[2]                       --> "#b"
Tensor.tag = C.tensor.tag

--- Describes a tensor in a sentence, shown by objects(). Returns the tensor.
--
--   tide.ones(2):describe("two ones").description              --> "two ones"
Tensor.describe = C.tensor.describe

--- Sends x in place: the same tensor lives at the worker from then on, with its gradient. Returns x.
Tensor.send_ = C.tensor.send_

--- Brings x here in place, without waiting; its gradient follows when somebody looks at it. Returns x.
Tensor.get_ = C.tensor.get_

-- ---- modules ----

-- All tensors of a module, and what optimisers keep for its parameters.
local function travellers(module)
  local list = {}
  for _, p in module:named_parameters() do
    list[#list + 1] = p
    for _, companion in ipairs(core.companions[p] or {}) do
      local tensor = companion.table and companion.table[companion.key]
      if tensor then list[#list + 1] = tensor end
    end
  end
  for _, b in module:named_buffers() do list[#list + 1] = b end
  return list
end

--- Sends a module to a worker, in place and in one exchange: its parameters and buffers live there from then
-- on, and what optimisers keep for them goes with them. Returns the module.
--
--   model = nn.Linear(2, 1)
--   model:send(tide.VirtualWorker("bob")).location.name        --> "bob"
function Module:send(worker)
  local list = travellers(self)
  for _, tensor in ipairs(list) do
    local at = tensor.location
    if at and at ~= worker then
      core.fail("location", "send", "the module is at %s; get() it first", at.name)
    end
  end
  for _, tensor in ipairs(list) do tensor:send_(worker) end
  return self
end

--- Brings a module here, in place and in one exchange, and drops it at the worker. Does not wait: its values are
-- on their way, and whoever looks at one waits. Gradients follow when they are looked at. Returns the module.
--
--   model = nn.Linear(2, 1):send(tide.VirtualWorker("bob"))
--   model:get().location                                       --> nil
function Module:get()
  for _, tensor in ipairs(travellers(self)) do tensor:get_() end
  return self
end

--- A copy of a module that is here; the module itself stays where it is.
--
--   model = nn.Linear(2, 1):send(tide.VirtualWorker("bob"))
--   model:copy().weight:size(), model.location.name            --> {1, 2} "bob"
function Module:copy()
  return self:clone():get()
end

-- An optimiser's state that is not where its parameter is (the parameter came there by itself).
function core.bring(tensor, like)
  tensor:get_()
  if like.location then tensor:send_(like.location) end
  return tensor
end

-- ---- several workers ----

local Grid = {}
Grid.__index = Grid
Grid.__name = "tide.PrivateGrid"

--- Workers that are searched together. With tags, `search` gives a table from worker name to hits; workers
-- without a hit are not in it.
--
--   bob, alice = tide.VirtualWorker("grid-bob"), tide.VirtualWorker("grid-alice")
--   p = tide.ones(2):tag("#x"):send(bob)
--   hits = tide.PrivateGrid{bob, alice}:search("#x")
--   #hits["grid-bob"], hits["grid-alice"]                      --> 1 nil
function tide.PrivateGrid(workers)
  if type(workers) ~= "table" or #workers == 0 then
    core.fail("argument", "PrivateGrid", "wants a list of workers, got %s", core.what(workers))
  end
  return setmetatable({workers = {table.unpack(workers)}}, Grid)
end

--- What each worker has that bears all of the tags: worker name -> list of pointers.
function Grid:search(...)
  local found = {}
  for _, worker in ipairs(self.workers) do
    local hits = worker:search(...)
    if #hits > 0 then found[worker.name] = hits end
  end
  return found
end

return {PrivateGrid = Grid}
