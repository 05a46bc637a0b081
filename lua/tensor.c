/* Tensors as userdata: a slot with one reference of a value, the metatable with its operators, and the
 * fields that look like a table's (x.grad, x.location). */
#include <string.h>

#include "lua/host.h"
#include "vm/trace.h"

/* Their addresses name things in the registry. */
static const char meta_key = 0, methods_key = 0, fields_key = 0, places_key = 0;

/* ---- slots ---- */

/* What a tensor's userdata holds. The mark tells it from any other userdata of that size faster than its
 * metatable would; scripts cannot write into one. */
typedef struct slot {
    td_val *v; /* first: tdl_push_slot gives its address */
    const void *mark;
} slot;

td_val *tdl_test_val(lua_State *L, int idx) { /* [-0, +0, -] */
    const slot *s = lua_touserdata(L, idx);
    return s && lua_rawlen(L, idx) == sizeof *s && s->mark == &meta_key ? s->v : NULL;
}

td_val *tdl_check_val(lua_State *L, int idx, const char *call) { /* [-0, +0, e] */
    char what[TDL_WHAT_TEXT];
    td_val *v = tdl_test_val(L, idx);
    if (v == NULL)
        tdl_fail(L, TD_E_ARGUMENT, call, "argument %d is %s, not a tensor", idx,
                 tdl_what(L, idx, what));
    return v;
}

td_val **tdl_push_slot(lua_State *L) { /* [-0, +1, m] */
    slot *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (slot){NULL, &meta_key};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key);
    lua_setmetatable(L, -2);
    tdl_host_of(L)->handles++;
    return &s->v;
}

void tdl_push_val(lua_State *L, td_val *v, const td_err *err) { /* [-0, +1, e] */
    if (v == NULL) tdl_raise(L, err);
    *tdl_push_slot(L) = v;
}

static int tensor_gc(lua_State *L) { /* [-0, +0, -] */
    td_val_unref(lua_touserdata(L, 1));
    return 0;
}

/* ---- operators ---- */

bool tdl_is_input(lua_State *L, int idx, td_val **v) {
    *v = NULL;
    int type = lua_type(L, idx);
    if (type == LUA_TNUMBER || type == LUA_TBOOLEAN) return true;
    return (*v = tdl_test_val(L, idx)) != NULL;
}

static const td_op *upvalue_op(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

static void operand(lua_State *L, const td_op *op, int idx,
                    td_val **v) { /* [-0, +0, e] */
    char what[TDL_WHAT_TEXT];
    if (!tdl_is_input(L, idx, v))
        tdl_fail(L, TD_E_ARGUMENT, op->name, "operand %d is %s, not a tensor or a number",
                 idx, tdl_what(L, idx, what));
}

static int op_binary(lua_State *L) { /* [-2, +1, e] */
    static const int at[2] = {1, 2};
    const td_op *op = upvalue_op(L);
    td_val *in[2];
    operand(L, op, 1, &in[0]);
    operand(L, op, 2, &in[1]);
    tdl_apply(L, op, in, at, 2, NULL);
    return 1;
}

static int op_unary(lua_State *L) { /* [-1, +1, e] */
    td_val *in[1] = {tdl_check_val(L, 1, upvalue_op(L)->name)};
    tdl_apply(L, upvalue_op(L), in, NULL, 1, NULL);
    return 1;
}

/* & | ~ on masks; integers have no bitwise operations here. */
static int op_mask(lua_State *L) { /* [-2, +1, e] */
    const td_op *op = upvalue_op(L);
    td_val *v;
    char what[TDL_WHAT_TEXT];
    for (int i = 1; i <= op->nin; i++) {
        operand(L, op, i, &v);
        bool is_mask = v ? v->meta.dtype == TD_BOOL : lua_isboolean(L, i);
        if (!is_mask)
            tdl_fail(L, TD_E_DTYPE, op->name, "& | ~ take bool tensors, operand %d is %s",
                     i, tdl_what(L, i, what));
    }
    return op->nin == 1 ? op_unary(L) : op_binary(L);
}

/* x < y: one element gives a boolean. */
static int op_compare(lua_State *L) { /* [-2, +1, e] */
    const td_op *op = upvalue_op(L);
    op_binary(L);
    td_val *v = tdl_test_val(L, -1);
    if (td_shape_numel(&v->meta.shape) != 1) {
        char shape[TD_SHAPE_TEXT];
        td_err err;
        td_fail(&err, TD_E_SHAPE, op->name, "a comparison of %s is not one boolean",
                td_shape_text(&v->meta.shape, shape));
        td_hint(&err, "x:%s(y) compares element by element", op->name);
        tdl_raise(L, &err);
    }
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    td_tensor *t = NULL;
    td_place *place = td_val_place(v);
    if (place && !td_place_is_trace(place)) { /* at a worker: have it fetched */
        lua_getfield(L, -1, "copy");
        lua_pushvalue(L, -2);
        lua_call(L, 1, 1);
        v = tdl_test_val(L, -1);
    }
    t = td_val_tensor(v, op->name, &err);
    tdl_leave(before);
    if (t == NULL) tdl_raise(L, &err);
    lua_pushboolean(L, td_load_i64(t->dtype, td_tensor_data(t)) != 0);
    return 1;
}

static int tensor_eq(lua_State *L) { /* [-2, +1, -] */
    td_val *a = tdl_test_val(L, 1), *b = tdl_test_val(L, 2);
    lua_pushboolean(L, a && a == b);
    return 1;
}

static int tensor_len(lua_State *L) { /* [-1, +1, e] */
    td_val *v = tdl_check_val(L, 1, "#");
    if (v->meta.shape.ndim == 0)
        tdl_fail(L, TD_E_SHAPE, "#", "a scalar tensor has no length");
    lua_pushinteger(L, v->meta.shape.dim[0]);
    return 1;
}

static int tensor_concat(lua_State *L) { /* [-2, +1, e] */
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

/* ---- fields ---- */

void tdl_push_methods(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key); }

void tdl_add_field(lua_State *L, const char *name, lua_CFunction get, lua_CFunction set) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &fields_key); /* [-0, +0, m] */
    lua_createtable(L, 2, 0);
    lua_pushcfunction(L, get);
    lua_rawseti(L, -2, 1);
    if (set) {
        lua_pushcfunction(L, set);
        lua_rawseti(L, -2, 2);
    }
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static int no_such_field(lua_State *L, const char *name) { /* [-0, +0, e] */
    const char *names[400];
    int n = 0;
    const void *tables[] = {&methods_key, &fields_key};
    for (int k = 0; k < 2; k++) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, tables[k]);
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            if (n < 399 && lua_type(L, -2) == LUA_TSTRING)
                names[n++] = lua_tostring(L, -2);
    }
    names[n] = NULL;
    const char *near = tdl_nearest(name, names);
    if (near)
        return tdl_fail(L, TD_E_NOT_FOUND, "tensor",
                        "there is no field or method '%s', did you mean '%s'?", name,
                        near);
    return tdl_fail(L, TD_E_NOT_FOUND, "tensor", "there is no field or method '%s'",
                    name);
}

/* Methods are in upvalue 1, fields in upvalue 2. Positions go to the third, tdl_index. */
static int tensor_index(lua_State *L) { /* [-2, +1, e] */
    if (lua_type(L, 2) != LUA_TSTRING) {
        lua_CFunction by_position = lua_tocfunction(L, lua_upvalueindex(3));
        return by_position(L);
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL)
        return no_such_field(L, lua_tostring(L, 2));
    lua_CFunction get = (lua_rawgeti(L, -1, 1), lua_tocfunction(L, -1));
    lua_settop(L, 1);
    return get(L);
}

static int tensor_newindex(lua_State *L) { /* [-3, +0, e] */
    if (lua_type(L, 2) != LUA_TSTRING) {
        lua_CFunction by_position = lua_tocfunction(L, lua_upvalueindex(3));
        return by_position(L);
    }
    const char *name = lua_tostring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
            return tdl_fail(L, TD_E_ARGUMENT, "tensor",
                            "'%s' is a method and cannot be set", name);
        return no_such_field(L, name);
    }
    if (lua_rawgeti(L, -1, 2) == LUA_TNIL)
        return tdl_fail(L, TD_E_ARGUMENT, "tensor", "the field '%s' cannot be set", name);
    lua_CFunction set = lua_tocfunction(L, -1);
    lua_settop(L, 3);
    lua_remove(L, 2);
    return set(L);
}

/* ---- places ---- */

void tdl_set_place(lua_State *L, td_place *place, int idx) { /* [-0, +0, m] */
    idx = lua_absindex(L, idx);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &places_key);
    lua_pushvalue(L, idx);
    lua_rawsetp(L, -2, place);
    lua_pop(L, 1);
}

void tdl_push_place(lua_State *L, td_place *place) { /* [-0, +1, -] */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &places_key);
    if (place)
        lua_rawgetp(L, -1, place);
    else
        lua_pushnil(L);
    lua_remove(L, -2);
}

static int get_location(lua_State *L) { /* [-0, +1, e] */
    tdl_push_place(L, td_val_place(tdl_check_val(L, 1, "location")));
    return 1;
}

static int get_id(lua_State *L) { /* [-0, +1, e] */
    td_val *v = tdl_check_val(L, 1, "id");
    if (v->id == 0) v->id = td_obj_fresh_id();
    lua_pushinteger(L, (lua_Integer)v->id);
    return 1;
}

/* fields(): the names of the fields, as the keys of a table. */
static int core_fields(lua_State *L) { /* [-0, +1, -] */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &fields_key);
    return 1;
}

/* place_name(x): where it lives, nil for here. */
static int core_place_name(lua_State *L) { /* [-0, +1, e] */
    td_place *place = td_val_place(tdl_check_val(L, 1, "place_name"));
    if (place && !td_place_is_trace(place))
        lua_pushstring(L, place->name);
    else
        lua_pushnil(L);
    return 1;
}

static int core_is_tensor(lua_State *L) { /* [-0, +1, -] */
    lua_pushboolean(L, tdl_test_val(L, 1) != NULL);
    return 1;
}

/* ---- what is known without looking ---- */

static int core_size(lua_State *L) { /* [-n, +1, e] */
    const td_shape *s = &tdl_check_val(L, 1, "size")->meta.shape;
    if (lua_isnoneornil(L, 2)) {
        lua_createtable(L, s->ndim, 0);
        for (int i = 0; i < s->ndim; i++) {
            lua_pushinteger(L, s->dim[i]);
            lua_rawseti(L, -2, i + 1);
        }
    } else {
        lua_pushinteger(L, s->dim[tdl_check_dim(L, 2, s->ndim, "size", "dim")]);
    }
    return 1;
}

static int core_dim(lua_State *L) { /* [-0, +1, e] */
    lua_pushinteger(L, tdl_check_val(L, 1, "dim")->meta.shape.ndim);
    return 1;
}

static int core_numel(lua_State *L) { /* [-0, +1, e] */
    lua_pushinteger(L, td_shape_numel(&tdl_check_val(L, 1, "numel")->meta.shape));
    return 1;
}

static int core_dtype(lua_State *L) { /* [-0, +1, e] */
    lua_pushstring(L, td_dtype_name(tdl_check_val(L, 1, "dtype")->meta.dtype));
    return 1;
}

/* ---- the metatable ---- */

static void set_operator(lua_State *L, const char *event, const char *name,
                         lua_CFunction f) {
    const td_op *op = td_op_find(name); /* [-0, +0, m] */
    if (op == NULL) luaL_error(L, "the op table has no %s", name);
    lua_pushlightuserdata(L, (void *)(uintptr_t)op);
    lua_pushcclosure(L, f, 1);
    lua_setfield(L, -2, event);
}

static void set_operators(lua_State *L) { /* [-0, +0, m] */
    static const char *const binary[][2] = {
        {"__add", "add"},          {"__sub", "sub"}, {"__mul", "mul"},
        {"__div", "div"},          {"__pow", "pow"}, {"__mod", "remainder"},
        {"__idiv", "floor_divide"}};
    for (size_t i = 0; i < sizeof binary / sizeof binary[0]; i++)
        set_operator(L, binary[i][0], binary[i][1], op_binary);
    set_operator(L, "__unm", "neg", op_unary);
    set_operator(L, "__lt", "lt", op_compare);
    set_operator(L, "__le", "le", op_compare);
    set_operator(L, "__band", "logical_and", op_mask);
    set_operator(L, "__bor", "logical_or", op_mask);
    set_operator(L, "__bxor", "logical_xor", op_mask);
    set_operator(L, "__bnot", "logical_not", op_mask);
}

static void set_access(lua_State *L, const char *event, lua_CFunction by_name,
                       lua_CFunction by_position) { /* [-0, +0, m] */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &fields_key);
    lua_pushcfunction(L, by_position);
    lua_pushcclosure(L, by_name, 3);
    lua_setfield(L, -2, event);
}

static void new_registry_table(lua_State *L, const void *key) { /* [-0, +0, m] */
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void tdl_open_tensor(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg meta[] = {
        {"__gc", tensor_gc},         {"__eq", tensor_eq},          {"__len", tensor_len},
        {"__concat", tensor_concat}, {"__tostring", tdl_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"is_tensor", core_is_tensor},
                                         {"place_name", core_place_name},
                                         {"fields", core_fields},
                                         {"size", core_size},
                                         {"dim", core_dim},
                                         {"numel", core_numel},
                                         {"dtype", core_dtype},
                                         {NULL, NULL}};
    new_registry_table(L, &methods_key);
    new_registry_table(L, &fields_key);
    new_registry_table(L, &places_key);
    luaL_newlib(L, meta);
    set_operators(L);
    set_access(L, "__index", tensor_index, tdl_index);
    set_access(L, "__newindex", tensor_newindex, tdl_newindex);
    lua_pushliteral(L, "tensor");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "tensor"); /* what getmetatable gives */
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &meta_key);
    luaL_setfuncs(L, functions, 0);
    tdl_push_methods(L);
    lua_setfield(L, -2, "methods");
    tdl_add_field(L, "location", get_location, NULL);
    tdl_add_field(L, "id", get_id, NULL);
}
