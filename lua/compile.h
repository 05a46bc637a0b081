/* What the files of tide.compile share: arguments made flat, and results put together again. */
#ifndef TDL_COMPILE_H
#define TDL_COMPILE_H

#include "lua/host.h"
#include "vm/compiled.h"

#define TDL_KEY_MAX 4096
#define TDL_TENSORS_MAX 256
#define TDL_DEPTH_MAX 16

/* The arguments of a call: their tensors in order, and a text in which two calls agree if and only if one
 * program serves both: structure, shapes, dtypes, marks, plain values, identities of objects. */
typedef struct tdl_args {
    int count;                       /* tensors, each once */
    bool away;                       /* some live at a worker */
    size_t size;                     /* of key */
    td_val *tensor[TDL_TENSORS_MAX]; /* borrowed from the stack */
    char key[TDL_KEY_MAX];
} tdl_args;

/* Reads the arguments at first .. last. LIMIT when there is too much, ARGUMENT for keys that have no
 * order. [-0, +0, e] */
void tdl_args_read(lua_State *L, int first, int last, const char *name, tdl_args *args);

/* Pushes the value at idx with each tensor in it replaced by a stand-in; tables are copied. Tensors come in
 * the order of tdl_args_read. stand_ins is the index of a table of those made so far; objects go to the list
 * at kept. [-0, +1, e] */
void tdl_args_stand_in(lua_State *L, int idx, td_trace *trace, int stand_ins, int kept);

/* The program that compiled function idx used last but `which`; NULL when there is none. [-0, +0, -] */
td_compiled *tdl_compiled_at(lua_State *L, int idx, int which);

/* One piece of what a function returns; a table is followed by its entries. */
typedef struct tdl_piece {
    enum { TDL_OUTPUT, TDL_ARGUMENT, TDL_PLAIN, TDL_TABLE } kind;
    int index; /* output, argument; PLAIN: its place in the list of values */
    int count; /* TABLE: entries that follow */
    int key;   /* of an entry: its place in the list of values; 0: no entry */
} tdl_piece;

/* Results that a trace gave. The pieces are grown with td_grow_bytes. */
typedef struct tdl_results {
    tdl_piece *piece;
    int pieces, room;
    int outputs;
    td_val *output[TDL_TENSORS_MAX]; /* borrowed, while they are looked at */
} tdl_results;

/* Takes apart the value at idx; plain values and keys go to the list at `values`. [-0, +0, e] */
void tdl_results_take(lua_State *L, int idx, int values, const td_trace *trace,
                      tdl_results *r);
/* Puts together the result that begins at piece *at and moves on. values is the index of the list, outputs
 * that of the first output's tensor. [-0, +1, e] */
void tdl_results_push(lua_State *L, const tdl_piece *piece, int *at, int values,
                      int outputs, td_val *const *args);

/* Adds what lua/inspect.lua uses to the core table: part of tdl_open_compile. [-0, +0, m] */
void tdl_open_inspect(lua_State *L);

#endif
