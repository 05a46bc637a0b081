/* Every op of the table as a Lua function: arguments are read as its attribute specs say, and the op is an
 * upvalue, so that a call looks nothing up. */
#include <math.h>
#include <string.h>

#include "lua/host.h"

/* Where in the arguments an op's reader stands. */
typedef struct reader {
    lua_State *L;
    const td_op *op;
    int at, top; /* next argument, last one that is positional */
    int ndim;    /* of input 0 */
} reader;

static int wrong(const reader *r, const td_attr_spec *spec, int idx, const char *wanted) {
    char what[TDL_WHAT_TEXT];
    return tdl_fail(r->L, TD_E_ARGUMENT, r->op->name, "%s is %s, got %s", spec->name,
                    wanted, tdl_what(r->L, idx, what));
}

static int64_t integer_at(const reader *r, const td_attr_spec *spec, int idx,
                          const char *wanted) {
    int isnum = 0;
    lua_Integer i = lua_tointegerx(r->L, idx, &isnum);
    if (!isnum || lua_type(r->L, idx) != LUA_TNUMBER) wrong(r, spec, idx, wanted);
    return i;
}

static int64_t entry_at(const reader *r, const td_attr_spec *spec, int idx) {
    if (spec->kind == TD_ATTR_DIMS)
        return tdl_check_dim(r->L, idx, r->ndim, r->op->name, "dim");
    return integer_at(r, spec, idx, "a list of integers");
}

static void append(const reader *r, const td_attr_spec *spec, td_attr *a, int idx) {
    if (a->n == TD_ATTR_MAX_LIST)
        tdl_fail(r->L, TD_E_LIMIT, r->op->name, "%s has more than %d entries", spec->name,
                 TD_ATTR_MAX_LIST);
    a->list[a->n++] = entry_at(r, spec, idx);
}

static void read_table(const reader *r, const td_attr_spec *spec, td_attr *a, int idx) {
    lua_Integer n = (lua_Integer)lua_rawlen(r->L, idx); /* [-0, +0, e] */
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(r->L, idx, i);
        append(r, spec, a, lua_gettop(r->L));
        lua_pop(r->L, 1);
    }
}

/* May a list go on in further arguments, x:reshape(2, 3)? Not when the next attribute is a number too. */
static bool takes_varargs(const td_attr_spec *spec) {
    if (spec->kind != TD_ATTR_SIZES && spec->kind != TD_ATTR_DIMS) return false;
    return spec[1].kind == TD_ATTR_NONE || spec[1].kind == TD_ATTR_BOOL;
}

/* Reads the list that begins at idx; returns how many arguments it took. */
static int read_list(const reader *r, const td_attr_spec *spec, td_attr *a, int idx,
                     bool positional) {
    if (lua_type(r->L, idx) == LUA_TTABLE) {
        read_table(r, spec, a, idx);
        return 1;
    }
    append(r, spec, a, idx);
    if (spec->kind == TD_ATTR_INTS)
        while (a->n < spec->count) append(r, spec, a, idx);
    int taken = 1;
    if (positional && takes_varargs(spec))
        while (idx + taken <= r->top && lua_type(r->L, idx + taken) == LUA_TNUMBER)
            append(r, spec, a, idx + taken++);
    return taken;
}

static double float_at(const reader *r, const td_attr_spec *spec, int idx) {
    if (lua_type(r->L, idx) != LUA_TNUMBER) wrong(r, spec, idx, "a number");
    return lua_tonumber(r->L, idx);
}

static int64_t dtype_at(const reader *r, const td_attr_spec *spec, int idx) {
    if (lua_type(r->L, idx) != LUA_TSTRING) wrong(r, spec, idx, "a dtype's name");
    const char *name = lua_tostring(r->L, idx);
    td_dtype t = td_dtype_parse(name);
    if (t == TD_NONE) tdl_no_dtype(r->L, r->op->name, name);
    return t;
}

static int64_t position_at(const reader *r, const td_attr_spec *spec, int idx) {
    int64_t i = integer_at(r, spec, idx, "a position (an integer)");
    if (i == 0)
        tdl_fail(r->L, TD_E_INDEX, r->op->name,
                 "%s 0: positions count from 1, or from -1 backwards", spec->name);
    return i > 0 ? i - 1 : i;
}

static int64_t newdim_at(const reader *r, const td_attr_spec *spec, int idx) {
    return tdl_check_dim(r->L, idx, r->ndim + 1, r->op->name, spec->name);
}

/* Reads one attribute from idx; returns how many arguments it took. [-0, +0, e] */
static int read_attr(const reader *r, const td_attr_spec *spec, td_attr *a, int idx,
                     bool positional) {
    if (lua_isnil(r->L, idx)) return 1;
    a->kind = (uint8_t)spec->kind;
    a->n = 0;
    switch (spec->kind) {
    case TD_ATTR_INT: a->i = integer_at(r, spec, idx, "an integer"); break;
    case TD_ATTR_FLOAT: a->f = float_at(r, spec, idx); break;
    case TD_ATTR_BOOL:
        if (!lua_isboolean(r->L, idx)) wrong(r, spec, idx, "true or false");
        a->i = lua_toboolean(r->L, idx);
        break;
    case TD_ATTR_DTYPE: a->i = dtype_at(r, spec, idx); break;
    case TD_ATTR_DIM:
        a->i = tdl_check_dim(r->L, idx, r->ndim, r->op->name, spec->name);
        break;
    case TD_ATTR_NEWDIM: a->i = newdim_at(r, spec, idx); break;
    case TD_ATTR_POS: a->i = position_at(r, spec, idx); break;
    default: return read_list(r, spec, a, idx, positional);
    }
    return 1;
}

static void read_named(const reader *r, td_attrs *attrs, int idx) { /* [-0, +0, e] */
    const char *names[TD_OP_MAX_ATTRS + 1];
    int n = td_op_attr_count(r->op);
    for (int k = 0; k < n; k++) names[k] = r->op->attr[k].name;
    names[n] = NULL;
    tdl_check_options(r->L, idx, r->op->name, names);
    for (int k = 0; k < n; k++) {
        tdl_push_option(r->L, idx, names[k]);
        read_attr(r, &r->op->attr[k], &attrs->v[k], lua_gettop(r->L), false);
        lua_pop(r->L, 1);
    }
}

static void read_attrs(reader *r, td_attrs *attrs, int from) { /* [-0, +0, e] */
    int options = 0;
    if (r->at <= r->top && tdl_is_options(r->L, r->top)) options = r->top--;
    int k = from;
    for (; k < TD_OP_MAX_ATTRS && r->at <= r->top; k++) {
        if (r->op->attr[k].kind == TD_ATTR_NONE) break;
        r->at += read_attr(r, &r->op->attr[k], &attrs->v[k], r->at, true);
    }
    if (r->at <= r->top) {
        char what[TDL_WHAT_TEXT];
        tdl_fail(r->L, TD_E_ARGUMENT, r->op->name, "argument %d is one too many: %s",
                 r->at, tdl_what(r->L, r->at, what));
    }
    if (options) read_named(r, attrs, options);
}

/* gather(x, dim, ids): where a dimension comes first in the specs, it stands before the other tensors. */
static bool has_dim_first(const td_op *op) {
    return op->nin >= 2 && op->attr[0].kind == TD_ATTR_DIM && op->attr[0].required;
}

static int call_fixed(lua_State *L) { /* [-n, +nout, e] */
    const td_op *op = lua_touserdata(L, lua_upvalueindex(1));
    td_val *in[8];
    int at[8];
    const bool has_attrs = op->attr[0].kind != TD_ATTR_NONE; /* they are large */
    td_attrs attrs;
    if (has_attrs) memset(&attrs, 0, sizeof attrs);
    reader r = {.L = L, .op = op, .at = 1, .top = lua_gettop(L)};
    int from = 0;
    for (int i = 0; i < op->nin; i++) {
        if (i == 1 && has_dim_first(op)) {
            r.at += read_attr(&r, &op->attr[0], &attrs.v[0], r.at, true);
            from = 1;
        }
        if (!tdl_is_input(L, r.at, &in[i])) tdl_check_val(L, r.at, op->name);
        if (i == 0 && in[0]) r.ndim = in[0]->meta.shape.ndim;
        at[i] = r.at++;
    }
    if (r.at <= r.top) read_attrs(&r, &attrs, from);
    tdl_apply(L, op, in, at, op->nin, has_attrs ? &attrs : NULL);
    if (op->flags & TD_OP_ASSIGN) {
        lua_pushvalue(L, 1);
        return 1;
    }
    return op->nout;
}

/* cat({x, y}, 1) */
static int call_variadic(lua_State *L) { /* [-n, +nout, e] */
    const td_op *op = lua_touserdata(L, lua_upvalueindex(1));
    td_val *in[TD_OP_MAX_IN];
    char what[TDL_WHAT_TEXT];
    if (lua_type(L, 1) != LUA_TTABLE)
        tdl_fail(L, TD_E_ARGUMENT, op->name, "wants a list of tensors, got %s",
                 tdl_what(L, 1, what));
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
    if (n == 0 || n > TD_OP_MAX_IN)
        tdl_fail(L, TD_E_ARGUMENT, op->name, "takes 1 to %d tensors, got %lld",
                 TD_OP_MAX_IN, (long long)n);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        in[i - 1] = tdl_test_val(L, -1);
        if (in[i - 1] == NULL)
            tdl_fail(L, TD_E_ARGUMENT, op->name,
                     "entry %lld of the list is %s, not a tensor", (long long)i,
                     tdl_what(L, -1, what));
        lua_pop(L, 1);
    }
    td_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    reader r = {
        .L = L, .op = op, .at = 2, .top = lua_gettop(L), .ndim = in[0]->meta.shape.ndim};
    read_attrs(&r, &attrs, 0);
    tdl_apply(L, op, in, NULL, (int)n, &attrs);
    return op->nout;
}

/* full(like, sizes, value, dtype): where `like` lives, here for nil. */
static int call_create(lua_State *L) { /* [-n, +nout, e] */
    const td_op *op = lua_touserdata(L, lua_upvalueindex(1));
    td_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    reader r = {.L = L, .op = op, .at = 2, .top = lua_gettop(L)};
    td_place *place =
        lua_isnoneornil(L, 1) ? NULL : td_val_place(tdl_check_val(L, 1, op->name));
    read_attrs(&r, &attrs, 0);
    tdl_apply_create(L, place, op, &attrs);
    return op->nout;
}

void tdl_push_op(lua_State *L, const td_op *op) { /* [-0, +1, m] */
    lua_pushlightuserdata(L, (void *)(uintptr_t)op);
    lua_pushcclosure(L,
                     op->nin < 0                ? call_variadic
                     : op->flags & TD_OP_CREATE ? call_create
                                                : call_fixed,
                     1);
}

/* op(name): the op of that name as a function. */
static int core_op(lua_State *L) { /* [-1, +1, e] */
    const char *name = luaL_checkstring(L, 1);
    const td_op *op = td_op_find(name);
    if (op == NULL) return luaL_error(L, "there is no op '%s'", name);
    tdl_push_op(L, op);
    return 1;
}

/* op_of(f): the name of the op that f applies, nil when it is another function. */
static int core_op_of(lua_State *L) { /* [-1, +1, -] */
    lua_CFunction f = lua_tocfunction(L, 1);
    if (f != call_fixed && f != call_variadic && f != call_create) return 0;
    lua_getupvalue(L, 1, 1);
    const td_op *op = lua_touserdata(L, -1);
    lua_pushstring(L, op->name);
    return 1;
}

static const char *kind_word(td_attr_kind kind) {
    switch (kind) {
    case TD_ATTR_FLOAT: return "number";
    case TD_ATTR_BOOL: return "bool";
    case TD_ATTR_DTYPE: return "dtype";
    case TD_ATTR_DIM:
    case TD_ATTR_NEWDIM: return "dim";
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES: return "list";
    default: return "integer";
    }
}

static void push_attr_list(lua_State *L, const td_op *op) { /* [-0, +1, m] */
    int n = td_op_attr_count(op);
    lua_createtable(L, n, 0);
    for (int k = 0; k < n; k++) {
        lua_createtable(L, 0, 4);
        lua_pushstring(L, op->attr[k].name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, kind_word(op->attr[k].kind));
        lua_setfield(L, -2, "kind");
        lua_pushboolean(L, op->attr[k].required);
        lua_setfield(L, -2, "required");
        lua_pushnumber(L, op->attr[k].preset);
        lua_setfield(L, -2, "preset");
        lua_rawseti(L, -2, k + 1);
    }
}

static void set_flag(lua_State *L, const char *name, bool on) { /* [-0, +0, m] */
    lua_pushboolean(L, on);
    lua_setfield(L, -2, name);
}

/* op_list(): the table as help and the tests of the docs read it, {name, doc, inputs, attrs, method, is_function}
 * a row. */
static int core_op_list(lua_State *L) { /* [-0, +1, m] */
    int n = td_op_count();
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        const td_op *op = td_op_at(i);
        lua_createtable(L, 0, 8);
        lua_pushstring(L, op->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, op->doc ? op->doc : "");
        lua_setfield(L, -2, "doc");
        lua_pushinteger(L, op->nin);
        lua_setfield(L, -2, "inputs");
        push_attr_list(L, op);
        lua_setfield(L, -2, "attrs");
        set_flag(L, "method", op->flags & TD_OP_METHOD);
        set_flag(L, "is_function", op->flags & TD_OP_FUNCTION);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* Ops with METHOD go into the method table, those with FUNCTION into core.functions. */
static void publish(lua_State *L) { /* [-0, +0, m] */
    tdl_push_methods(L);
    lua_newtable(L);
    for (int i = 0; i < td_op_count(); i++) {
        const td_op *op = td_op_at(i);
        tdl_push_op(L, op);
        if (op->flags & TD_OP_METHOD) {
            lua_pushvalue(L, -1);
            lua_setfield(L, -4, op->name);
        }
        if (op->flags & TD_OP_FUNCTION)
            lua_setfield(L, -2, op->name);
        else
            lua_pop(L, 1);
    }
    lua_setfield(L, -3, "functions");
    lua_pop(L, 1);
}

void tdl_open_ops(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {
        {"op", core_op}, {"op_list", core_op_list}, {"op_of", core_op_of}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    publish(L);
}
