/* Arguments and results of compiled functions: nested tables of tensors made flat, and put together again. */
#include <stdio.h>
#include <string.h>

#include "lua/compile.h"
#include "runtime/mem.h"

/* ---- arguments: the key ---- */

typedef struct reader {
    lua_State *L;
    const char *name;
    tdl_args *args;
} reader;

static void put(reader *r, const void *data, size_t size) { /* [-0, +0, e] */
    tdl_args *a = r->args;
    if (size > TDL_KEY_MAX - a->size)
        tdl_fail(r->L, TD_E_LIMIT, "compile", "the arguments of '%s' are too many",
                 r->name);
    memcpy(a->key + a->size, data, size);
    a->size += size;
}

static void put_byte(reader *r, int byte) {
    char c = (char)byte;
    put(r, &c, 1);
}

/* Where v stands among the tensors; it is entered when it is new. */
static int number_of(reader *r, td_val *v) { /* [-0, +0, e] */
    tdl_args *a = r->args;
    for (int i = 0; i < a->count; i++)
        if (a->tensor[i] == v) return i;
    if (a->count == TDL_TENSORS_MAX)
        tdl_fail(r->L, TD_E_LIMIT, "compile", "more than %d tensors as arguments of '%s'",
                 TDL_TENSORS_MAX, r->name);
    a->tensor[a->count] = v;
    return a->count++;
}

static void put_tensor(reader *r, td_val *v) { /* [-0, +0, e] */
    if (v->obj && td_place_is_trace(v->obj->place)) {
        td_err err = {0};
        td_trace_refuse(v->obj->place, r->name, &err);
        tdl_raise(r->L, &err);
    }
    if (v->obj) r->args->away = true;
    const td_shape *s = &v->meta.shape;
    const char head[] = {'T', (char)v->meta.dtype, (char)s->ndim,
                         (char)(v->requires_grad ? v->node ? 2 : 1 : 0),
                         (char)number_of(r, v)};
    put(r, head, sizeof head);
    put(r, s->dim, sizeof s->dim[0] * (size_t)s->ndim);
}

/* Pushes the string keys of the table at idx in order; gives their number. [-0, +n, e] */
static int push_keys(lua_State *L, int idx, lua_Integer length, const char *name) {
    int first = lua_gettop(L) + 1, count = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        int isnum;
        lua_Integer i = lua_tointegerx(L, -1, &isnum);
        if (lua_type(L, -1) == LUA_TNUMBER && isnum && i >= 1 && i <= length) continue;
        if (lua_type(L, -1) != LUA_TSTRING)
            tdl_fail(L, TD_E_ARGUMENT, "compile",
                     "tables among the arguments of '%s' have names or 1, 2, .. as keys",
                     name);
        if (count == TDL_TENSORS_MAX)
            tdl_fail(L, TD_E_LIMIT, "compile", "the arguments of '%s' are too many",
                     name);
        luaL_checkstack(L, 4, "compile");
        int at = first + count++;
        lua_pushvalue(L, -1);
        lua_insert(L, at); /* below lua_next's key; then to its place */
        for (; at > first && lua_compare(L, at, at - 1, LUA_OPLT); at--) {
            lua_pushvalue(L, at - 1);
            lua_copy(L, at, at - 1);
            lua_replace(L, at);
        }
    }
    return count;
}

static void put_value(reader *r, int idx, int depth); /* [-0, +0, e] */

static void put_table(reader *r, int idx, int depth) { /* [-0, +0, e] */
    lua_State *L = r->L;
    if (depth == TDL_DEPTH_MAX)
        tdl_fail(L, TD_E_LIMIT, "compile",
                 "tables among the arguments of '%s' are nested deeper than %d", r->name,
                 TDL_DEPTH_MAX);
    luaL_checkstack(L, 8, "compile");
    lua_Integer length = (lua_Integer)lua_rawlen(L, idx);
    put_byte(r, '{');
    put(r, &length, sizeof length);
    for (lua_Integer i = 1; i <= length; i++) {
        lua_rawgeti(L, idx, i);
        put_value(r, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    int first = lua_gettop(L) + 1, count = push_keys(L, idx, length, r->name);
    for (int k = 0; k < count; k++) {
        put_value(r, first + k, depth + 1);
        lua_pushvalue(L, first + k);
        lua_rawget(L, idx);
        put_value(r, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    lua_settop(L, first - 1);
    put_byte(r, '}');
}

/* A table without a metatable: its entries count, not its identity. */
static bool is_plain_table(lua_State *L, int idx) {
    if (lua_type(L, idx) != LUA_TTABLE) return false;
    if (!lua_getmetatable(L, idx)) return true;
    lua_pop(L, 1);
    return false;
}

static void put_value(reader *r, int idx, int depth) { /* [-0, +0, e] */
    lua_State *L = r->L;
    td_val *v = tdl_test_val(L, idx);
    if (v) {
        put_tensor(r, v);
    } else if (is_plain_table(L, idx)) {
        put_table(r, idx, depth);
    } else if (lua_isinteger(L, idx)) {
        lua_Integer i = lua_tointeger(L, idx);
        put_byte(r, 'i');
        put(r, &i, sizeof i);
    } else if (lua_type(L, idx) == LUA_TNUMBER) {
        lua_Number x = lua_tonumber(L, idx);
        put_byte(r, 'n');
        put(r, &x, sizeof x);
    } else if (lua_type(L, idx) == LUA_TSTRING) {
        size_t size;
        const char *s = lua_tolstring(L, idx, &size);
        put_byte(r, 's');
        put(r, &size, sizeof size);
        put(r, s, size);
    } else if (lua_isnil(L, idx) || lua_isboolean(L, idx)) {
        put_byte(r, lua_isnil(L, idx) ? '0' : lua_toboolean(L, idx) ? 't' : 'f');
    } else { /* the entry keeps it alive, so the address stays its own */
        const void *p = lua_topointer(L, idx);
        put_byte(r, 'o');
        put(r, &p, sizeof p);
    }
}

void tdl_args_read(lua_State *L, int first, int last, const char *name,
                   tdl_args *args) { /* [-0, +0, e] */
    args->count = 0;
    args->away = false;
    args->size = 0;
    reader r = {.L = L, .name = name, .args = args};
    put_byte(&r, td_tape_is_off() ? '-' : '+');
    for (int i = first; i <= last; i++) put_value(&r, i, 0);
}

/* ---- arguments: stand-ins ---- */

static int keep_value(lua_State *L, int idx, int values) { /* [-0, +0, e] */
    int n = (int)lua_rawlen(L, values) + 1;
    if (lua_isnil(L, idx)) return 0;
    lua_pushvalue(L, idx);
    lua_rawseti(L, values, n);
    return n;
}

/* stand_ins: from the address of a value to its stand-in. */
static void push_stand_in(lua_State *L, td_val *v, td_trace *trace,
                          int stand_ins) { /* [-0, +1, e] */
    if (lua_rawgetp(L, stand_ins, v) != LUA_TNIL) return;
    lua_pop(L, 1);
    td_err err = {0};
    td_val **slot = tdl_push_slot(L);
    *slot = td_trace_argument(trace, v, &err);
    if (*slot == NULL) tdl_raise(L, &err);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, stand_ins, v);
}

void tdl_args_stand_in(lua_State *L, int idx, td_trace *trace, int stand_ins,
                       int kept) { /* [-0, +1, e] */
    luaL_checkstack(L, 8, "compile");
    td_val *v = tdl_test_val(L, idx);
    if (v) {
        push_stand_in(L, v, trace, stand_ins);
        return;
    }
    if (!is_plain_table(L, idx)) {
        int type = lua_type(L, idx);
        if (type == LUA_TTABLE || type == LUA_TUSERDATA || type == LUA_TFUNCTION ||
            type == LUA_TTHREAD)
            keep_value(L, idx, kept);
        lua_pushvalue(L, idx);
        return;
    }
    lua_Integer length = (lua_Integer)lua_rawlen(L, idx);
    lua_createtable(L, (int)length, 0);
    int copy = lua_gettop(L);
    for (lua_Integer i = 1; i <= length; i++) {
        lua_rawgeti(L, idx, i);
        tdl_args_stand_in(L, lua_gettop(L), trace, stand_ins, kept);
        lua_rawseti(L, copy, i);
        lua_pop(L, 1);
    }
    int count = push_keys(L, idx, length, "");
    for (int k = 1; k <= count; k++) {
        lua_pushvalue(L, copy + k);
        lua_pushvalue(L, -1);
        lua_rawget(L, idx);
        tdl_args_stand_in(L, lua_gettop(L), trace, stand_ins, kept);
        lua_remove(L, -2);
        lua_rawset(L, copy);
    }
    lua_settop(L, copy);
}

/* ---- results ---- */

static tdl_piece *new_piece(lua_State *L, tdl_results *r, int key) { /* [-0, +0, e] */
    if (r->pieces == r->room) {
        int room = r->room ? 2 * r->room : 8;
        tdl_piece *bigger = td_grow_bytes(r->piece, sizeof *bigger * (size_t)room);
        if (bigger == NULL) tdl_fail(L, TD_E_MEMORY, "compile", "out of memory");
        r->piece = bigger;
        r->room = room;
    }
    tdl_piece *p = &r->piece[r->pieces++];
    *p = (tdl_piece){.kind = TDL_PLAIN, .key = key};
    return p;
}

static bool is_traced(const td_val *v) {
    return v->obj && td_place_is_trace(v->obj->place);
}

static void take(lua_State *L, int idx, int key, int values, const td_trace *trace,
                 int depth, tdl_results *r) { /* [-0, +0, e] */
    luaL_checkstack(L, 8, "compile");
    tdl_piece *p = new_piece(L, r, key);
    td_val *v = tdl_test_val(L, idx);
    if (v && is_traced(v)) {
        int argument = td_trace_argument_of(trace, v);
        p->kind = argument >= 0 ? TDL_ARGUMENT : TDL_OUTPUT;
        p->index = argument >= 0 ? argument : r->outputs;
        if (argument >= 0) return;
        if (r->outputs == TDL_TENSORS_MAX)
            tdl_fail(L, TD_E_LIMIT, "compile", "more than %d tensors are returned",
                     TDL_TENSORS_MAX);
        r->output[r->outputs++] = v;
        return;
    }
    if (!is_plain_table(L, idx)) {
        p->index = keep_value(L, idx, values);
        return;
    }
    if (depth == TDL_DEPTH_MAX)
        tdl_fail(L, TD_E_LIMIT, "compile", "results are nested deeper than %d",
                 TDL_DEPTH_MAX);
    int at = r->pieces - 1, count = 0;
    p->kind = TDL_TABLE;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1), count++) {
        int top = lua_gettop(L);
        int name = keep_value(L, top - 1, values);
        take(L, top, name, values, trace, depth + 1, r);
    }
    r->piece[at].count = count; /* the list may have moved */
}

void tdl_results_take(lua_State *L, int idx, int values, const td_trace *trace,
                      tdl_results *r) { /* [-0, +0, e] */
    take(L, idx, 0, values, trace, 0, r);
}

void tdl_results_push(lua_State *L, const tdl_piece *piece, int *at, int values,
                      int outputs, td_val *const *args) { /* [-0, +1, e] */
    const tdl_piece *p = &piece[(*at)++];
    td_val **slot;
    luaL_checkstack(L, 6, "compile");
    switch (p->kind) {
    case TDL_OUTPUT: lua_pushvalue(L, outputs + p->index); return;
    case TDL_ARGUMENT:
        slot = tdl_push_slot(L);
        *slot = td_val_ref(args[p->index]);
        return;
    case TDL_PLAIN: lua_rawgeti(L, values, p->index); return;
    case TDL_TABLE: break;
    }
    lua_createtable(L, 0, p->count);
    for (int k = 0, n = p->count; k < n; k++) {
        lua_rawgeti(L, values, piece[*at].key);
        tdl_results_push(L, piece, at, values, outputs, args);
        lua_rawset(L, -3);
    }
}
