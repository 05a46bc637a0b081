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

/* A worker object comes in two steps, so that nothing of Lua can raise while a transport has no owner: a
 * worker without a session is pushed [-0, +1, m]; the one at the top begins a session over the transport, which is
 * taken over also when that raises [-0, +0, e]. The session's hooks find the script's line and run the collector. */
void tdl_push_worker(lua_State *L);
void tdl_begin_session(lua_State *L, const char *name, const td_transport *transport);
/* The session at idx, or an error that names the call. */
td_session *tdl_check_worker(lua_State *L, int idx, const char *call);

#endif
