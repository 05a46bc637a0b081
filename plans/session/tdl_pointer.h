/* Tensors that live at workers: send, get, copy, move, tags. Shared with tdl_worker.c. */
#ifndef TDL_POINTER_H
#define TDL_POINTER_H

#include "lua/tdl.h"
#include "plans/session/batch.h"

/* Tags from the arguments at idx on (texts, or one table of them). */
void tdl_take_tags(lua_State *L, int idx, td_tags *tags, const char *call);
/* Hangs tags on a value (a copy; nothing when memory is out). */
void tdl_set_val_tags(td_val *v, const td_tags *tags);
/* Pushes a table of the functions that become methods of tensors; adds the fields. [-0, +1, e] */
void tdl_push_pointer_functions(lua_State *L);

#endif
