/* From a Lua call to td_apply: results get their userdata first, plain numbers become values for the time
 * of the call, memory that runs out is looked for once in the collector, errors are raised. */
#include "lua/host.h"
#include "runtime/mem.h"

static td_val *from_plain(lua_State *L, int idx, td_err *err) { /* [-0, +0, -] */
    if (lua_isinteger(L, idx)) return td_val_integer(lua_tointeger(L, idx), err);
    if (lua_type(L, idx) == LUA_TNUMBER) return td_val_number(lua_tonumber(L, idx), err);
    td_tensor *t = td_tensor_from_i64(TD_BOOL, lua_toboolean(L, idx), err);
    td_val *v = td_val_new(t, err);
    if (v) v->meta.weak = true;
    return v;
}

/* in[] with numbers filled in, applied; the numbers are released again. */
static int apply_filled(lua_State *L, const td_op *op, td_val **in, const int *at,
                        int nin, const td_attrs *attrs, td_val **out,
                        td_err *err) { /* [-0, +0, -] */
    td_val *plain[4];
    int count = 0, rc = 0;
    for (int i = 0; i < nin && rc == 0; i++) {
        if (in[i]) continue;
        if (count == 4) {
            rc = td_fail(err, TD_E_ARGUMENT, op->name, "too many plain numbers");
            break;
        }
        in[i] = from_plain(L, at[i], err);
        if (in[i])
            plain[count++] = in[i];
        else
            rc = TD_E_MEMORY;
    }
    if (rc == 0) {
        lua_State *before = tdl_enter(L);
        rc = td_apply(op, in, nin, attrs, out, err);
        tdl_leave(before);
    }
    for (int i = 0; i < nin; i++)
        for (int k = 0; k < count; k++)
            if (in[i] == plain[k]) in[i] = NULL;
    for (int k = 0; k < count; k++) td_val_unref(&plain[k]);
    return rc;
}

void tdl_apply(lua_State *L, const td_op *op, td_val **in, const int *at, int nin,
               const td_attrs *attrs) { /* [-0, +nout, e] */
    td_val **slot[TD_OP_MAX_OUT], *out[TD_OP_MAX_OUT];
    luaL_checkstack(L, TD_OP_MAX_OUT + 4, op->name);
    if (tdl_is_interrupted()) tdl_check_interrupt(L);
    for (int k = 0; k < op->nout; k++) slot[k] = tdl_push_slot(L);
    td_err err;
    td_err_clear(&err);
    int rc = apply_filled(L, op, in, at, nin, attrs, out, &err);
    if (rc == TD_E_MEMORY) { /* dead tensors may hold what is missing */
        lua_gc(L, LUA_GCCOLLECT);
        rc = apply_filled(L, op, in, at, nin, attrs, out, &err);
    }
    if (rc) tdl_raise(L, &err);
    for (int k = 0; k < op->nout; k++) *slot[k] = out[k];
    tdl_collect(L, false);
}

void tdl_apply_create(lua_State *L, td_place *place, const td_op *op,
                      const td_attrs *attrs) { /* [-0, +nout, e] */
    td_val **slot[TD_OP_MAX_OUT], *out[TD_OP_MAX_OUT] = {NULL};
    luaL_checkstack(L, TD_OP_MAX_OUT + 4, op->name);
    if (tdl_is_interrupted()) tdl_check_interrupt(L);
    for (int k = 0; k < op->nout; k++) slot[k] = tdl_push_slot(L);
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = td_apply_create(place, op, attrs, out, &err);
    if (rc == TD_E_MEMORY) {
        lua_gc(L, LUA_GCCOLLECT);
        rc = td_apply_create(place, op, attrs, out, &err);
    }
    tdl_leave(before);
    if (rc) tdl_raise(L, &err);
    for (int k = 0; k < op->nout; k++) *slot[k] = out[k];
    tdl_collect(L, false);
}
