/* tide.connect: workers that are reached over the wire, in Lua. */
#ifndef TD_NET_TDL_NET_H
#define TD_NET_TDL_NET_H

#include "lua/tdl.h"

/* Adds tide.connect; after tdl_open_workers. [-0, +0, e] */
void tdl_open_net(lua_State *L);

#endif
