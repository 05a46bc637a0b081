/* x[key] by position, and on the left of an assignment: integers, torch7's ranges, masks. Everything is a
 * chain of views, so gradients, workers and the tracer need to know nothing of it. */
#include <string.h>

#include "lua/host.h"
#include "vm/ops/nonzero.h"
#include "vm/trace.h"

TD_OP_USE(select);
TD_OP_USE(narrow);
TD_OP_USE(assign);

/* Replaces the tensor at the top by op of it. [-1, +1, e] */
static void apply_view(lua_State *L, const td_op *op, const td_attrs *attrs) {
    td_val *in[1] = {tdl_test_val(L, -1)};
    tdl_apply(L, op, in, NULL, 1, attrs);
    lua_remove(L, -2);
}

static void select_at(lua_State *L, int dim, lua_Integer i) { /* [-1, +1, e] */
    td_attrs attrs = {0};
    const td_shape *s = &tdl_test_val(L, -1)->meta.shape;
    if (i == 0)
        tdl_fail(L, TD_E_INDEX, "index",
                 "position 0: positions count from 1, or from -1 backwards");
    if (dim >= s->ndim)
        tdl_fail(L, TD_E_INDEX, "index",
                 "a tensor with %d dimension%s has no position %lld", s->ndim,
                 s->ndim == 1 ? "" : "s", (long long)i);
    if (i > s->dim[dim] || i < -s->dim[dim])
        tdl_fail(L, TD_E_INDEX, "index", "position %lld of dimension %d, which has %lld",
                 (long long)i, dim + 1, (long long)s->dim[dim]);
    td_attr_set_i(&attrs, 0, TD_ATTR_DIM, dim);
    td_attr_set_i(&attrs, 1, TD_ATTR_POS, i > 0 ? i - 1 : i);
    apply_view(L, &td_op_select, &attrs);
}

/* One end of a range from the table at the top; `missing` when it is not given. [-0, +0, e] */
static lua_Integer range_end(lua_State *L, int k, lua_Integer missing) {
    lua_rawgeti(L, -1, k);
    int isnum;
    lua_Integer i = lua_tointegerx(L, -1, &isnum);
    char what[TDL_WHAT_TEXT];
    if (lua_isnil(L, -1))
        i = missing;
    else if (!isnum)
        tdl_fail(L, TD_E_ARGUMENT, "index",
                 "a range is {}, {i} or {first, last}, got %s in it",
                 tdl_what(L, -1, what));
    lua_pop(L, 1);
    return i;
}

/* The range in the table at the top, of the tensor below it; both are replaced. [-2, +1, e] */
static void narrow_to(lua_State *L, int dim, int shown_dim) {
    size_t n = lua_rawlen(L, -1);
    int64_t size = tdl_test_val(L, -2)->meta.shape.dim[dim];
    if (n > 2)
        tdl_fail(L, TD_E_ARGUMENT, "index",
                 "a range is {}, {i} or {first, last}, got %zu entries", n);
    lua_Integer first = range_end(L, 1, 1), last = range_end(L, 2, n == 1 ? first : size);
    lua_pop(L, 1);
    if (n == 0) return;
    lua_Integer from = first < 0 ? first + size + 1 : first,
                to = last < 0 ? last + size + 1 : last;
    if (from < 1 || to > size || to < from - 1)
        tdl_fail(L, TD_E_INDEX, "index",
                 "range {%lld, %lld} of dimension %d, which has %lld", (long long)first,
                 (long long)last, shown_dim, (long long)size);
    td_attrs attrs = {0};
    td_attr_set_i(&attrs, 0, TD_ATTR_DIM, dim);
    td_attr_set_i(&attrs, 1, TD_ATTR_POS, from - 1);
    td_attr_set_i(&attrs, 2, TD_ATTR_INT, to - from + 1);
    apply_view(L, &td_op_narrow, &attrs);
}

/* x[{1, {2, 3}, {}}]: each entry speaks of one dimension, the rest stays whole. [-0, +1, e] */
static void push_by_table(lua_State *L, int key) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, key);
    const td_shape *s = &tdl_test_val(L, 1)->meta.shape;
    char what[TDL_WHAT_TEXT];
    if (n > s->ndim)
        tdl_fail(L, TD_E_INDEX, "index", "%lld entries for a tensor with %d dimension%s",
                 (long long)n, s->ndim, s->ndim == 1 ? "" : "s");
    lua_pushvalue(L, 1);
    for (int i = 1, dim = 0; i <= n; i++) {
        int type = lua_rawgeti(L, key, i), isnum;
        lua_Integer at = lua_tointegerx(L, -1, &isnum);
        if (type == LUA_TNUMBER && isnum) {
            lua_pop(L, 1);
            select_at(L, dim, at);
        } else if (type == LUA_TTABLE) {
            narrow_to(L, dim++, i);
        } else {
            tdl_fail(L, TD_E_ARGUMENT, "index",
                     "entry %d is a position or a range {first, last}, got %s", i,
                     tdl_what(L, -1, what));
        }
    }
}

static int not_an_index(lua_State *L) { /* [-0, +0, e] */
    char what[TDL_WHAT_TEXT];
    return tdl_fail(L, TD_E_ARGUMENT, "index",
                    "a position, a table of ranges or a bool tensor is wanted, got %s",
                    tdl_what(L, 2, what));
}

/* The view of the tensor at 1 that the key at 2 names. [-0, +1, e] */
static void push_view(lua_State *L) {
    int isnum;
    lua_Integer i = lua_tointegerx(L, 2, &isnum);
    if (lua_type(L, 2) == LUA_TNUMBER && isnum) {
        lua_pushvalue(L, 1);
        select_at(L, 0, i);
    } else if (lua_type(L, 2) == LUA_TTABLE) {
        push_by_table(L, 2);
    } else {
        not_an_index(L);
    }
}

int tdl_index(lua_State *L) { /* [-2, +1, e] */
    tdl_check_val(L, 1, "index");
    if (tdl_test_val(L, 2)) {
        tdl_push_hook(L, "mask_get");
        lua_insert(L, 1);
        lua_call(L, 2, 1);
    } else {
        push_view(L);
    }
    return 1;
}

int tdl_newindex(lua_State *L) { /* [-3, +0, e] */
    static const int at[2] = {4, 3};
    td_val *in[2];
    char what[TDL_WHAT_TEXT];
    in[0] = tdl_check_val(L, 1, "index");
    if (lua_type(L, 3) == LUA_TTABLE) {
        tdl_push_from_table(L, 3, in[0]->meta.dtype, "index");
        lua_replace(L, 3);
    }
    if (!tdl_is_input(L, 3, &in[1]))
        tdl_fail(L, TD_E_ARGUMENT, "index",
                 "a number, tensor or table can be assigned, got %s",
                 tdl_what(L, 3, what));
    if (tdl_test_val(L, 2)) {
        tdl_push_hook(L, "mask_set");
        lua_insert(L, 1);
        lua_call(L, 3, 0);
        return 0;
    }
    push_view(L);
    in[0] = tdl_test_val(L, 4);
    tdl_apply(L, &td_op_assign, in, at, 2, NULL);
    return 0;
}

/* nonzero(mask): the 1-based flat positions of its true elements, i64. */
static int core_nonzero(lua_State *L) { /* [-0, +1, e] */
    td_val *v = tdl_check_val(L, 1, "index");
    td_err err = {0};
    if (td_trace_current() && !td_val_place(v)) {
        td_trace_refuse_here("index", &err);
        tdl_raise(L, &err);
    }
    if (td_val_place(v) && !td_place_is_trace(v->obj->place)) {
        td_fail(&err, TD_E_UNSUPPORTED, "index",
                "a mask at %s: its values decide the shape of the result",
                td_val_place(v)->name);
        td_hint(&err,
                "use tide.where or a product with the mask, or do it inside a plan");
        tdl_raise(L, &err);
    }
    td_val **slot = tdl_push_slot(L);
    lua_State *before = tdl_enter(L);
    td_tensor *mask = td_val_tensor(v, "index", &err);
    if (mask) *slot = td_val_new(td_nonzero(mask, &err), &err);
    tdl_leave(before);
    if (*slot == NULL) tdl_raise(L, &err);
    return 1;
}

void tdl_open_index(lua_State *L) { /* [-0, +0, m] */
    lua_pushcfunction(L, core_nonzero);
    lua_setfield(L, -2, "nonzero");
}
