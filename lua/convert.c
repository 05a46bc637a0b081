/* Between Lua's values and tensors: tide.tensor from nested tables, totable, item, assignment of tables. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua/host.h"
#include "vm/trace.h"

int tdl_no_dtype(lua_State *L, const char *call, const char *name) { /* [-0, +0, e] */
    static const char *const names[] = {
#define TD_X(NAME, word, number, bytes, kind, rank) word,
        TD_DTYPES(TD_X)
#undef TD_X
            NULL};
    const char *near = tdl_nearest(name, names);
    return tdl_fail(L, TD_E_DTYPE, call,
                    "there is no dtype '%s'%s%s%s (f64 f32 f16 bf16 i64 i32 u8 bool)",
                    name, near ? ", did you mean '" : "", near ? near : "",
                    near ? "'?" : "");
}

/* A dtype's name at idx, or `none` when it is nil. [-0, +0, e] */
static td_dtype dtype_arg(lua_State *L, int idx, const char *call, td_dtype none) {
    char what[TDL_WHAT_TEXT];
    if (lua_isnoneornil(L, idx)) return none;
    if (lua_type(L, idx) != LUA_TSTRING)
        tdl_fail(L, TD_E_ARGUMENT, call, "dtype is a name like \"f32\", got %s",
                 tdl_what(L, idx, what));
    td_dtype t = td_dtype_parse(lua_tostring(L, idx));
    if (t == TD_NONE) tdl_no_dtype(L, call, lua_tostring(L, idx));
    return t;
}

/* ---- from tables ---- */

/* What a walk over nested tables knows: where it is, for errors, and where the next element goes. */
typedef struct walk {
    lua_State *L;
    const char *call;
    td_shape shape;
    lua_Integer at[TD_MAX_DIM]; /* 1-based place of the entry looked at */
    bool is_bool;
    td_dtype dtype;
    char *out;
} walk;

/* "[2][1]" */
static const char *place_text(const walk *w, int depth, char text[200]) {
    int used = 0;
    text[0] = 0;
    for (int i = 0; i < depth; i++)
        used += snprintf(text + used, 200 - (size_t)used, "[%lld]", (long long)w->at[i]);
    return text;
}

/* The shape follows the first entries; the fill finds out whether the others agree. */
static void find_shape(walk *w, int idx) { /* [-0, +0, e] */
    lua_State *L = w->L;
    lua_pushvalue(L, idx);
    while (lua_type(L, -1) == LUA_TTABLE) {
        if (w->shape.ndim == TD_MAX_DIM)
            tdl_fail(L, TD_E_LIMIT, w->call, "tables are nested deeper than %d",
                     TD_MAX_DIM);
        w->shape.dim[w->shape.ndim++] = (int64_t)lua_rawlen(L, -1);
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
        if (lua_isnil(L, -1)) break;
    }
    w->is_bool = lua_isboolean(L, -1);
    lua_pop(L, 1);
}

static int bad_entry(const walk *w, int depth, int idx) { /* [-0, +0, e] */
    char place[200], text[TDL_WHAT_TEXT];
    const char *what = tdl_what(w->L, idx, text);
    if (depth == 0)
        return tdl_fail(w->L, TD_E_ARGUMENT, w->call,
                        "wants a number or nested tables of numbers, got %s", what);
    return tdl_fail(w->L, TD_E_ARGUMENT, w->call, "entry %s is %s, not a %s",
                    place_text(w, depth, place), what, w->is_bool ? "boolean" : "number");
}

static int does_not_fit(const walk *w, int depth, int idx) { /* [-0, +0, e] */
    char place[200], what[TDL_WHAT_TEXT];
    return tdl_fail(w->L, TD_E_VALUE, w->call, "entry %s, %s, does not fit %s",
                    depth ? place_text(w, depth, place) : "1", tdl_what(w->L, idx, what),
                    td_dtype_name(w->dtype));
}

static void store_integer(const walk *w, int depth, int idx,
                          int64_t i) { /* [-0, +0, e] */
    bool fits = w->dtype == TD_U8    ? i >= 0 && i <= 255
                : w->dtype == TD_I32 ? i >= INT32_MIN && i <= INT32_MAX
                                     : true;
    if (!fits) does_not_fit(w, depth, idx);
    td_store_i64(w->dtype, w->out, i);
}

static void store(walk *w, int depth, int idx) { /* [-0, +0, e] */
    lua_State *L = w->L;
    if (lua_type(L, idx) != (w->is_bool ? LUA_TBOOLEAN : LUA_TNUMBER))
        bad_entry(w, depth, idx);
    if (w->is_bool) {
        td_store_i64(w->dtype, w->out, lua_toboolean(L, idx));
    } else if (lua_isinteger(L, idx)) {
        store_integer(w, depth, idx, lua_tointeger(L, idx));
    } else if (td_dtype_is_float(w->dtype) || w->dtype == TD_BOOL) {
        td_store_f64(w->dtype, w->out, lua_tonumber(L, idx));
    } else {
        double x = trunc(lua_tonumber(L, idx));
        if (!(x >= -0x1p63 && x < 0x1p63)) does_not_fit(w, depth, idx);
        store_integer(w, depth, idx, (int64_t)x);
    }
    w->out += td_dtype_bytes(w->dtype);
}

static int ragged(const walk *w, int depth, size_t got) { /* [-0, +0, e] */
    char place[200];
    return tdl_fail(w->L, TD_E_SHAPE, w->call,
                    "ragged: %s has %zu entries, the first of its kind has %lld",
                    place_text(w, depth, place), got, (long long)w->shape.dim[depth]);
}

static void fill(walk *w, int depth, int idx) { /* [-0, +0, e] */
    lua_State *L = w->L;
    if (depth == w->shape.ndim) {
        store(w, depth, idx);
        return;
    }
    if (lua_type(L, idx) != LUA_TTABLE) {
        char place[200], what[TDL_WHAT_TEXT];
        tdl_fail(L, TD_E_SHAPE, w->call,
                 "ragged: entry %s is %s, the first of its kind is a table",
                 place_text(w, depth, place), tdl_what(L, idx, what));
    }
    if ((int64_t)lua_rawlen(L, idx) != w->shape.dim[depth])
        ragged(w, depth, lua_rawlen(L, idx));
    luaL_checkstack(L, 4, w->call);
    for (int64_t i = 1; i <= w->shape.dim[depth]; i++) {
        w->at[depth] = i;
        lua_rawgeti(L, idx, i);
        fill(w, depth + 1, lua_gettop(L));
        lua_pop(L, 1);
    }
}

void tdl_push_from_table(lua_State *L, int idx, td_dtype dtype,
                         const char *call) { /* [-0, +1, e] */
    walk w = {.L = L, .call = call};
    find_shape(&w, idx);
    w.dtype = dtype != TD_NONE ? dtype : w.is_bool ? TD_BOOL : TD_F32;
    td_err err = {0};
    td_val **slot = tdl_push_slot(L);
    td_tensor *t = td_tensor_new(w.dtype, &w.shape, &err);
    *slot = td_val_new(t, &err);
    if (*slot == NULL) {
        snprintf(err.call, sizeof err.call, "%s", call);
        tdl_raise(L, &err);
    }
    w.out = td_tensor_data(t);
    fill(&w, 0, lua_absindex(L, idx));
    if (td_trace_current()) {
        td_val *made = td_trace_made(td_trace_current(), td_tensor_ref(t), &err);
        if (made == NULL) tdl_raise(L, &err);
        td_val_unref(slot);
        *slot = made;
    }
    tdl_collect(L, false);
}

/* from_table(x, dtype): what tide.tensor does with anything but a tensor. */
static int core_from_table(lua_State *L) { /* [-2, +1, e] */
    td_dtype t = dtype_arg(L, 2, "tensor", TD_NONE);
    tdl_push_from_table(L, 1, t, "tensor");
    return 1;
}

/* ---- to Lua ---- */

static void push_element(lua_State *L, td_dtype t, const void *p) { /* [-0, +1, -] */
    if (t == TD_BOOL)
        lua_pushboolean(L, td_load_i64(t, p) != 0);
    else if (td_dtype_is_float(t))
        lua_pushnumber(L, td_load_f64(t, p));
    else
        lua_pushinteger(L, td_load_i64(t, p));
}

/* Entries of dimension `dim` from *p on, as a table. [-0, +1, e] */
static void push_nested(lua_State *L, const td_tensor *t, int dim, const char *p) {
    if (dim == t->shape.ndim) {
        push_element(L, t->dtype, p);
        return;
    }
    int64_t n = t->shape.dim[dim],
            step = t->stride[dim] * (int64_t)td_dtype_bytes(t->dtype);
    luaL_checkstack(L, 4, "totable");
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    for (int64_t i = 0; i < n; i++) {
        push_nested(L, t, dim + 1, p + i * step);
        lua_rawseti(L, -2, i + 1);
    }
}

static td_tensor *tensor_here(lua_State *L, const char *call) { /* [-0, +0, e] waits */
    td_val *v = tdl_check_val(L, 1, call);
    td_err err = {0};
    if (td_trace_current() && !td_val_place(v))
        td_trace_refuse_here(call, &err), tdl_raise(L, &err);
    lua_State *before = tdl_enter(L);
    td_tensor *t = td_val_tensor(v, call, &err);
    tdl_leave(before);
    if (t == NULL) tdl_raise(L, &err);
    return t;
}

static int core_totable(lua_State *L) { /* [-0, +1, e] */
    td_tensor *t = tensor_here(L, "totable");
    push_nested(L, t, 0, td_tensor_data(t));
    return 1;
}

static int core_item(lua_State *L) { /* [-0, +1, e] */
    td_val *v = tdl_check_val(L, 1, "item");
    char shape[TD_SHAPE_TEXT];
    if (td_shape_numel(&v->meta.shape) != 1)
        tdl_fail(L, TD_E_SHAPE, "item", "wants a tensor of one element, got %s",
                 td_shape_text(&v->meta.shape, shape));
    td_tensor *t = tensor_here(L, "item");
    push_element(L, t->dtype, td_tensor_data(t));
    return 1;
}

/* is_contiguous(x): are its elements in order and without gaps in memory? */
static int core_is_contiguous(lua_State *L) { /* [-0, +1, e] */
    lua_pushboolean(L, td_tensor_is_contiguous(tensor_here(L, "is_contiguous")));
    return 1;
}

/* dtype_of(name): the name itself if there is such a dtype. For the library's own argument checks. */
static int core_check_dtype(lua_State *L) { /* [-2, +1, e] */
    dtype_arg(L, 2, luaL_checkstring(L, 1), TD_NONE);
    lua_settop(L, 2);
    return 1;
}

void tdl_open_convert(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {{"from_table", core_from_table},
                                         {"totable", core_totable},
                                         {"item", core_item},
                                         {"is_contiguous", core_is_contiguous},
                                         {"check_dtype", core_check_dtype},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
