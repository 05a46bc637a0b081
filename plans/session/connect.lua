-- tide.connect under its public name. The layer that has sockets puts the function in place.
local core = require "tide.core"
local tide = require "tide"

--- Connects to a worker process (`tide worker`), and gives the worker: what can be done with it is the same
-- as with a virtual one. `key` is the file with your secret key (made by `tide keys new me`; the worker's
-- owner lists your me.pub), `server` the file with the worker's public key, `timeout` how many seconds the
-- first answer may take (3).
--
-- Errors, all within a second or the timeout: no such key file, or one that others may read; "alice refused
-- this key" (it is not listed there); "alice's key is not that of alice.pub"; nothing answers at the address;
-- an unknown option. A connection that is lost later is made anew by itself; what is at the worker stays there
-- for as long as its lease.
--
--     alice = tide.connect("tcp://127.0.0.1:7700", {key = "me.key", server = "alice.pub"})
--     p = tide.ones(2, 3):send(alice)
tide.connect = core.connect
