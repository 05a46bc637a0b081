/* What the files of the language host share among themselves; lua/tdl.h is what others see.
 *
 * Each lua_State has one tdl_host, reached through its extra space. The `core` table (module
 * "tide.core") holds what C gives to the Lua library; each file that adds to it has an opener. */
#ifndef TDL_HOST_H
#define TDL_HOST_H

#include "lua/tdl.h"

typedef struct tdl_host {
    /* The collector's account, as it stood after its last full run: bytes ever made, bytes alive. */
    uint64_t seen_bytes, seen_live_bytes, seen_away_bytes, seen_away_objects;
    uint64_t handles; /* tensor userdata made since */
    /* When a run over what is young is due: bytes ever made, handles since the last full run. */
    uint64_t young_bytes, young_handles, young_least;
    uint64_t
        module_edits; /* fields of modules that were set: compiled functions look again */
} tdl_host;

static inline tdl_host *tdl_host_of(lua_State *L) {
    return *(tdl_host **)lua_getextraspace(L);
}

/* ---- openers: each adds its functions to the core table at the top of the stack. [-0, +0, m] ---- */

void tdl_open_errors(lua_State *L);
void tdl_open_options(lua_State *L);
void tdl_open_tensor(lua_State *L);
void tdl_open_index(lua_State *L);
void tdl_open_convert(lua_State *L);
void tdl_open_autograd(lua_State *L);
void tdl_open_ops(lua_State *L);
void tdl_open_terminal(lua_State *L);
void tdl_open_files(lua_State *L);
void tdl_open_compile(lua_State *L);

/* ---- arguments ---- */

/* What stands at idx, for messages: "nil", "3", "a string", "a table", "a tensor 2x3 f32". Returns text. */
#define TDL_WHAT_TEXT 256
const char *tdl_what(lua_State *L, int idx, char text[TDL_WHAT_TEXT]);
/* Is there a table at idx that holds options, that is a string key and no [1]? */
bool tdl_is_options(lua_State *L, int idx);
/* 1-based or negative to 0-based; INDEX error "sum: dim 3 of a tensor with 2 dimensions". */
int tdl_check_dim(lua_State *L, int idx, int ndim, const char *call, const char *name);
/* A field of the options table at idx (0: none): nil is pushed when it is not there. [-0, +1, -] */
int tdl_push_option(lua_State *L, int idx, const char *name);

/* Refuses a dtype's name, with the nearest one. [-0, +0, e] */
int tdl_no_dtype(lua_State *L, const char *call, const char *name);

/* ---- tensors ---- */

/* x[key] and x[key] = value for keys that are no names. [-, +, e] as metamethods */
int tdl_index(lua_State *L);
int tdl_newindex(lua_State *L);
int tdl_tostring(lua_State *L);
/* Prints its arguments as the results of a line at the prompt. [-n, +0, e] */
int tdl_show(lua_State *L);
/* A new tensor from the number, boolean or nested table at idx; TD_NONE: f32, or bool for booleans.
 * [-0, +1, e] */
void tdl_push_from_table(lua_State *L, int idx, td_dtype dtype, const char *call);

/* ---- operations ---- */

/* Applies op and pushes its results; an ASSIGN op pushes nothing. in[i] is a tensor, or NULL for the plain
 * number or boolean at stack index at[i]. Tells the collector. [-0, +nout, e] */
void tdl_apply(lua_State *L, const td_op *op, td_val **in, const int *at, int nin,
               const td_attrs *attrs);
/* Is there a number, boolean or tensor at idx? *v is NULL for the first two. */
bool tdl_is_input(lua_State *L, int idx, td_val **v);
/* A new function for op, as methods and tide.functions are. [-0, +1, m] */
void tdl_push_op(lua_State *L, const td_op *op);
/* Wraps a value into a userdata; takes over the reference, v NULL raises err. [-0, +1, e] */
void tdl_push_val(lua_State *L, td_val *v, const td_err *err);
/* An op without inputs, at a place or here (NULL). [-0, +nout, e] */
void tdl_apply_create(lua_State *L, td_place *place, const td_op *op,
                      const td_attrs *attrs);

/* A value in words: "2x3 f32 at bob". Returns text. */
const char *tdl_val_text(const td_val *v, char text[TDL_WHAT_TEXT]);

/* Pushes an error object. Texts may be longer than a td_err's; where NULL: the user's line. [-0, +1, m] */
void tdl_push_error(lua_State *L, int code, const char *call, const char *msg,
                    const char *hint, const char *where);
/* Makes the value at idx an error object if it is none: Lua's own errors are texts. [-0, +0, m] */
void tdl_wrap_error(lua_State *L, int idx);
/* Raises INTERRUPTED when Ctrl-C was pressed. [-0, +0, e] */
void tdl_check_interrupt(lua_State *L);
/* Somebody raises it already: once is enough. */
void tdl_forget_interrupt(lua_State *L);
/* Leaves on the stack the function that the library set with core.hook(name, f): parts of the language
 * that are written in Lua and called from C (masks as indices, printing). [-0, +1, e] */
void tdl_push_hook(lua_State *L, const char *name);

#endif
