/* What C code that touches a lua_State shares: tensors as userdata, errors, the user's line, the state.
 *
 * In bindings: check arguments, push the empty result userdata (tdl_push_slot), call C, then raise from
 * tdl_raise. No malloc'ed pointer is live in a C local across a Lua call that may raise. */
#ifndef TDL_H
#define TDL_H

#include <lauxlib.h>
#include <lua.h>

#include "vm/grad.h"

/* ---- state ---- */

/* A fresh state with the whole language in it: Lua's own libraries (io, os and debug too: this is the
 * scientist's own machine), `tide`, `nn`, `F`, `optim` as globals, `require` of embedded files. Higher
 * layers add to it afterwards. NULL with err when memory is out or a library file fails. */
lua_State *tdl_state_new(td_err *err);
void tdl_state_free(lua_State **L);
/* Runs the embedded file of that name once, leaves what it returned. [-0, +1, e] */
void tdl_require(lua_State *L, const char *name);

/* ---- errors ---- */

/* Raises *err as an error object: a table with code (number), kind (word), call, message, hint, where;
 * tostring gives "file:line: call: message"; string methods (find, match, ..) work on it as on that text.
 * where is err->where, or else the first line up the stack that is not the library's. Never returns. */
int tdl_raise(lua_State *L, const td_err *err);
/* td_fail and tdl_raise in one. */
int tdl_fail(lua_State *L, td_code code, const char *call, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* "file:line" of the first function up the stack that is not the library's; "" if there is none. */
void tdl_user_line(lua_State *L, char *text, size_t size);
/* The Lua thread that last entered a binding: for code that is called from below (a recorder that wants
 * the script's line). NULL outside. */
lua_State *tdl_current(void);
/* Around a call that may reach such code; nothing may be raised in between. */
lua_State *tdl_enter(lua_State *L);
void tdl_leave(lua_State *before);

/* Has Ctrl-C been pressed since the computation began? For waits that are not in Lua. */
bool tdl_is_interrupted(void);

/* ---- tensors ---- */

/* The value at idx, or an error that names the call: "matmul: argument 2 is a string, not a tensor". */
td_val *tdl_check_val(lua_State *L, int idx, const char *call);
/* The same, NULL when it is none. */
td_val *tdl_test_val(lua_State *L, int idx);
/* Pushes an empty tensor userdata and gives its slot, to be filled with a reference. [-0, +1, m] */
td_val **tdl_push_slot(lua_State *L);
/* Pushes the table of tensor methods; higher layers add send, get, ... to it. [-0, +1, -] */
void tdl_push_methods(lua_State *L);
/* Fields of tensors (x.grad, x.location, ...): a getter is called with the tensor at 1; a setter
 * (may be NULL) with the tensor at 1 and the value at 2. */
void tdl_add_field(lua_State *L, const char *name, lua_CFunction get, lua_CFunction set);

/* The Lua object (a worker) that stands for a place: set by whoever makes places; x.location gives it. */
void tdl_set_place(lua_State *L, td_place *place, int idx);
void tdl_push_place(lua_State *L, td_place *place); /* nil when unknown */

/* Calls the collector when tensors made since its last run hold enough, here or at places. Called by the
 * bindings after each operation; and with idle = true by whoever is about to wait, when a full run
 * costs nothing. */
void tdl_collect(lua_State *L, bool idle);

/* ---- options ---- */

/* Refuses unknown keys of the options table at idx (none or nil is fine): "send: unknown option 'tagg',
 * did you mean 'tags'?". names ends in NULL. */
void tdl_check_options(lua_State *L, int idx, const char *call, const char *const *names);
/* The nearest of the names (NULL ends them), or NULL when none is near enough to be meant. */
const char *tdl_nearest(const char *word, const char *const *names);

#endif
