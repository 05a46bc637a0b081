/* Workers in Lua: the userdata that stands for a session, its methods (search, objects, ping, clear,
 * dataset), and what tensors and modules get from it (send, get, copy, move, tag, describe). */
#ifndef TDL_WORKER_H
#define TDL_WORKER_H

#include "lua/tdl.h"
#include "plans/session/client.h"

/* Adds the pointer methods, tide.VirtualWorker and the Lua files of plans/ to a state. [-0, +0, e] */
void tdl_open_workers(lua_State *L);

/* Waits for whatever has been asked of any worker and not been looked at: at a script's end, so that what went
 * wrong there is not lost. Raises the first error. [-0, +0, e] */
void tdl_wait_workers(lua_State *L);

/* Pushes the worker object of a session, made over this transport; takes the transport over also when it
 * raises. The session's hooks are set to find the script's line and to run the collector. [-0, +1, e] */
void tdl_push_session(lua_State *L, const char *name, const td_transport *transport);
/* The session at idx, or an error that names the call. */
td_session *tdl_check_worker(lua_State *L, int idx, const char *call);

#endif
