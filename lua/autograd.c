/* Gradients for scripts: backward, grad, detach, the tape's switch, and the fields that show them. */
#include <string.h>

#include "lua/host.h"
#include "runtime/mem.h"
#include "vm/rows.h"
#include "vm/trace.h"

/* ---- switches ---- */

static bool flag(lua_State *L, int options, const char *name,
                 const char *call) { /* [-0, +0, e] */
    char what[TDL_WHAT_TEXT];
    tdl_push_option(L, options, name);
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
        tdl_fail(L, TD_E_ARGUMENT, call, "%s is true or false, got %s", name,
                 tdl_what(L, -1, what));
    bool on = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
}

/* The tensor under `gradient`, left on the stack; NULL when there is none. [-0, +1, e] */
static td_val *seed_option(lua_State *L, int options, const char *call) {
    char what[TDL_WHAT_TEXT];
    tdl_push_option(L, options, "gradient");
    if (lua_isnil(L, -1)) return NULL;
    td_val *seed = tdl_test_val(L, -1);
    if (seed == NULL)
        tdl_fail(L, TD_E_ARGUMENT, call, "gradient is a tensor, got %s",
                 tdl_what(L, -1, what));
    return seed;
}

/* backward(y, gradient or options) */
static int core_backward(lua_State *L) { /* [-n, +0, e] */
    static const char *const names[] = {"retain_graph", "create_graph", "gradient", NULL};
    td_val *y = tdl_check_val(L, 1, "backward"), *seed = tdl_test_val(L, 2);
    lua_settop(L, 2);
    bool keep = false, create = false;
    if (seed == NULL) {
        tdl_check_options(L, 2, "backward", names);
        seed = seed_option(L, 2, "backward");
        create = flag(L, 2, "create_graph", "backward");
        keep = flag(L, 2, "retain_graph", "backward");
    }
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = td_backward(y, seed, keep, create, &err);
    tdl_leave(before);
    if (rc) tdl_raise(L, &err);
    tdl_collect(L, false);
    return 0;
}

#define XS_MAX 4096

/* grad(y, {x, ...}, options): a list of gradients; false where y does not depend on one. */
static int core_grad(lua_State *L) { /* [-n, +1, e] */
    static const char *const names[] = {"retain_graph", "create_graph", "gradient",
                                        "allow_unused", NULL};
    char what[TDL_WHAT_TEXT];
    td_val *y = tdl_check_val(L, 1, "grad");
    lua_settop(L, 3);
    tdl_check_options(L, 3, "grad", names);
    bool unused = flag(L, 3, "allow_unused", "grad"),
         create = flag(L, 3, "create_graph", "grad"),
         keep = flag(L, 3, "retain_graph", "grad");
    if (lua_type(L, 2) != LUA_TTABLE)
        tdl_fail(L, TD_E_ARGUMENT, "grad", "argument 2 is a list of tensors, got %s",
                 tdl_what(L, 2, what));
    lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
    if (n > XS_MAX)
        tdl_fail(L, TD_E_LIMIT, "grad", "%lld tensors, at most %d go", (long long)n,
                 XS_MAX);
    td_val *seed = seed_option(L, 3, "grad");
    td_val **xs = lua_newuserdatauv(L, sizeof(td_val *) * ((size_t)n + 1), 0);
    td_val **grads = lua_newuserdatauv(L, sizeof(td_val *) * ((size_t)n + 1), 0);
    lua_createtable(L, (int)n, 0);
    int result = lua_gettop(L);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, i);
        xs[i - 1] = tdl_test_val(L, -1);
        if (xs[i - 1] == NULL)
            tdl_fail(L, TD_E_ARGUMENT, "grad",
                     "entry %lld of the list is %s, not a tensor", (long long)i,
                     tdl_what(L, -1, what));
        lua_pop(L, 1);
        tdl_push_slot(L);
        lua_rawseti(L, result, i);
    }
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = td_grad_of(y, seed, xs, (int)n, keep, create, grads, &err);
    tdl_leave(before);
    if (rc) tdl_raise(L, &err);
    lua_Integer missing = 0;
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, result, i);
        *(td_val **)lua_touserdata(L, -1) = grads[i - 1];
        lua_pop(L, 1);
        if (grads[i - 1]) continue;
        missing = i;
        lua_pushboolean(L, 0);
        lua_rawseti(L, result, i);
    }
    if (missing && !unused) {
        td_fail(&err, TD_E_STATE, "grad", "the result does not depend on tensor %lld",
                (long long)missing);
        td_hint(&err, "{allow_unused = true} gives false in its place");
        tdl_raise(L, &err);
    }
    tdl_collect(L, false);
    return 1;
}

static int core_detach(lua_State *L) { /* [-0, +1, e] */
    td_val *v = tdl_check_val(L, 1, "detach");
    td_val **slot = tdl_push_slot(L);
    td_err err = {0};
    *slot = td_val_detach(v, &err);
    if (*slot == NULL) tdl_raise(L, &err);
    return 1;
}

static int core_requires_grad_(lua_State *L) { /* [-n, +1, e] */
    td_val *v = tdl_check_val(L, 1, "requires_grad_");
    td_err err = {0};
    if (td_val_require_grad(v, lua_isnone(L, 2) || lua_toboolean(L, 2), &err))
        tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

/* become(p, q): the leaf p takes over q's contents, dtype and shape, and forgets its gradient; it stays the same
 * object, so that an optimiser that knows p goes on with it. */
static int core_become(lua_State *L) { /* [-2, +0, e] */
    td_val *p = tdl_check_val(L, 1, "become"), *q = tdl_check_val(L, 2, "become");
    if (!td_val_is_leaf(p))
        return tdl_fail(L, TD_E_STATE, "become",
                        "the tensor is the result of an operation");
    if (p == q) return 0;
    if (td_trace_current())
        return tdl_fail(L, TD_E_STATE, "become",
                        "what a tensor is cannot change while tide.compile traces '%s'",
                        td_trace_name(td_trace_current()));
    if (q->t)
        td_val_become_here(p, td_tensor_ref(q->t));
    else if (q->obj)
        td_val_become_away(p, td_obj_ref(q->obj));
    else
        td_val_become_coming(p, td_coming_ref(q->coming));
    p->meta = q->meta;
    if (!td_dtype_is_float(p->meta.dtype)) p->requires_grad = false;
    td_val_unref(&p->grad);
    return 0;
}

/* tape_off(on): turns the tape off (or on again); returns the old state. */
static int core_tape_off(lua_State *L) { /* [-1, +1, -] */
    lua_pushboolean(L, td_tape_set_off(lua_toboolean(L, 1)));
    return 1;
}

/* ---- fields ---- */

static void trace_grad(lua_State *L, td_val *v, bool write) { /* [-0, +0, e] */
    td_err err = {0};
    if (td_trace_grad(v, write, &err)) tdl_raise(L, &err);
}

static void push_ref(lua_State *L, td_val *v) { /* [-0, +1, m] */
    td_val **slot = tdl_push_slot(L);
    *slot = td_val_ref(v);
}

/* grad_parts(leaf): of a gradient of rows, {ids, values, ids, values, ...} and `first`, or nil for several;
 * see vm/rows.h. */
static int core_grad_parts(lua_State *L) { /* [-1, +2, e] */
    const struct td_rows *r = tdl_check_val(L, 1, "grad")->grad->rows;
    lua_createtable(L, 2 * r->count, 0);
    for (int i = 0; i < r->count; i++) {
        push_ref(L, r->ids[i]);
        lua_rawseti(L, -2, 2 * i + 1);
        push_ref(L, r->values[i]);
        lua_rawseti(L, -2, 2 * i + 2);
    }
    if (r->first == NULL) return 1;
    push_ref(L, r->first);
    return 2;
}

static int push_row_gradient(lua_State *L) { /* [-0, +1, e] */
    tdl_push_hook(L, "row_gradient");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* The gradient of rows at index 2 as a new value; NULL when it is none. What it consists of stays on the
 * stack. */
static td_val *row_gradient(lua_State *L) { /* [-0, +4, e] */
    if (lua_type(L, 2) != LUA_TTABLE) return NULL;
    tdl_push_hook(L, "row_parts");
    lua_pushvalue(L, 2);
    lua_call(L, 1, 4);
    if (lua_isnil(L, -1)) return NULL;
    td_val *part[3];
    for (int i = 0; i < 3; i++) part[i] = tdl_check_val(L, i - 4, "grad");
    td_meta whole = {
        .dtype = part[1]->meta.dtype,
        .shape = {.ndim = 2, .dim = {lua_tointeger(L, -1), part[1]->meta.shape.dim[1]}}};
    td_err err = {0};
    td_val *g = td_rows_new(&whole, part[0], part[1], part[2], &err);
    if (g == NULL) tdl_raise(L, &err);
    return g;
}

static int get_grad(lua_State *L) { /* [-0, +1, e] */
    td_val *v = tdl_check_val(L, 1, "grad");
    trace_grad(L, v, false);
    if (v->grad && v->grad->rows) return push_row_gradient(L);
    if (v->grad) {
        td_val **slot = tdl_push_slot(L);
        *slot = td_val_ref(v->grad);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int set_grad(lua_State *L) { /* [-0, +0, e] */
    td_val *v = tdl_check_val(L, 1, "grad"), *g = tdl_test_val(L, 2);
    char what[TDL_WHAT_TEXT], a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    bool is_rows = g == NULL && (g = row_gradient(L)) != NULL;
    if (is_rows) *tdl_push_slot(L) = g; /* whatever happens, it is released */
    if (g == NULL && !lua_isnil(L, 2))
        tdl_fail(L, TD_E_ARGUMENT, "grad", "can be set to a tensor or nil, got %s",
                 tdl_what(L, 2, what));
    if (g && !td_shape_equal(&g->meta.shape, &v->meta.shape))
        tdl_fail(L, TD_E_SHAPE, "grad", "a gradient of %s for a tensor of %s",
                 td_shape_text(&g->meta.shape, a), td_shape_text(&v->meta.shape, b));
    trace_grad(L, v, true);
    td_val *old = v->grad;
    v->grad = g ? td_val_ref(g) : NULL;
    td_val_unref(&old);
    return 0;
}

static int get_requires_grad(lua_State *L) { /* [-0, +1, e] */
    lua_pushboolean(L, tdl_check_val(L, 1, "requires_grad")->requires_grad);
    return 1;
}

static int set_requires_grad(lua_State *L) { /* [-0, +0, e] */
    td_val *v = tdl_check_val(L, 1, "requires_grad");
    td_err err = {0};
    if (td_val_require_grad(v, lua_toboolean(L, 2), &err)) tdl_raise(L, &err);
    return 0;
}

static int get_is_leaf(lua_State *L) { /* [-0, +1, e] */
    lua_pushboolean(L, td_val_is_leaf(tdl_check_val(L, 1, "is_leaf")));
    return 1;
}

void tdl_open_autograd(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {
        {"backward", core_backward},     {"grad", core_grad},
        {"detach", core_detach},         {"requires_grad_", core_requires_grad_},
        {"become", core_become},         {"tape_off", core_tape_off},
        {"grad_parts", core_grad_parts}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    tdl_add_field(L, "grad", get_grad, set_grad);
    tdl_add_field(L, "requires_grad", get_requires_grad, set_requires_grad);
    tdl_add_field(L, "is_leaf", get_is_leaf, NULL);
}
