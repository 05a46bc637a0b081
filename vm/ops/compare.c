/* Questions about two tensors, answered with bools, and the choice that is made with them. */
#include "vm/ops/elementwise.h"

static int question_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                          td_err *err) {
    int rc = td_shape_elementwise(in, nin, a, out, err);
    out[0].dtype = TD_BOOL;
    return rc;
}

/* One row of the table; no gradient goes through a bool. */
#define QUESTION(id, KIND, what, example)                                                \
    TD_BINARY(id, KIND)                                                                  \
    TD_OP(id) = {                                                                        \
        .name = #id,                                                                     \
        .doc = what "\n\n"                                                               \
                    "  a, b  tensors or numbers whose shapes broadcast\n"                \
                    "  returns a bool tensor\n\n  " example,                             \
        .nin = 2,                                                                        \
        .nout = 1,                                                                       \
        .flags = TD_OP_METHOD | TD_OP_FUNCTION | TD_OP_PROMOTE | TD_OP_ELEMENTWISE,      \
        .shape = question_shape,                                                         \
        .inner = id##_inner,                                                             \
    }

QUESTION(eq, TD_BINARY_EQ, "Where a equals b, element by element.",
         "tide.tensor{1, 2, 3}:eq(2):sum():item()  --> 1");
QUESTION(ne, TD_BINARY_NE,
         "Where a differs from b, element by element; NaN differs from all.",
         "tide.tensor{1, 2, 3}:ne(2):sum():item()  --> 2");
QUESTION(lt, TD_BINARY_LT, "Where a is less than b, element by element.",
         "tide.tensor{1, 2, 3}:lt(2):sum():item()  --> 1");
QUESTION(le, TD_BINARY_LE, "Where a is at most b, element by element.",
         "tide.tensor{1, 2, 3}:le(2):sum():item()  --> 2");
QUESTION(gt, TD_BINARY_GT, "Where a is greater than b, element by element.",
         "tide.tensor{1, 2, 3}:gt(2):sum():item()  --> 1");
QUESTION(ge, TD_BINARY_GE, "Where a is at least b, element by element.",
         "tide.tensor{1, 2, 3}:ge(2):sum():item()  --> 2");
QUESTION(logical_and, TD_BINARY_AND,
         "Where both a and b are true (not zero), element by element.",
         "tide.tensor{0, 1, 1}:logical_and(tide.tensor{1, 1, 0}):sum():item()  --> 1");
QUESTION(logical_or, TD_BINARY_OR, "Where a or b is true (not zero), element by element.",
         "tide.tensor{0, 1, 1}:logical_or(tide.tensor{1, 1, 0}):sum():item()  --> 3");
QUESTION(logical_xor, TD_BINARY_XOR,
         "Where one of a and b is true (not zero) and the other is not.",
         "tide.tensor{0, 1, 1}:logical_xor(tide.tensor{1, 1, 0}):sum():item()  --> 2");

/* ---- where ---- */

static int where_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                       td_err *err) {
    if (in[0].dtype != TD_BOOL) {
        td_fail(err, TD_E_DTYPE, "where", "wants a bool condition, got %s",
                td_dtype_name(in[0].dtype));
        td_hint(err, "make one with a comparison: x:ne(0)");
        return TD_E_DTYPE;
    }
    int rc = td_shape_elementwise(in, nin, a, out, err);
    out[0].dtype = in[1].dtype;
    return rc;
}

static td_inner *where_inner(const td_meta *in, int nin, const td_attrs *a,
                             td_inner_args *args) {
    (void)nin, (void)a, (void)args;
    return td_where_inner(td_dtype_bytes(in[1].dtype));
}

TD_OP_USE(where);

/* y = c ? a : b:  da = c ? g : 0,  db = c ? 0 : g */
static int where_grad(td_grad *g) {
    td_val *zero = g_num(g, 0);
    if (g->need[1]) {
        td_val *in[3] = {g->in[0], g->gout[0], zero};
        g->gin[1] = g_op(g, &td_op_where, NULL, 3, in);
    }
    if (g->need[2]) {
        td_val *in[3] = {g->in[0], zero, g->gout[0]};
        g->gin[2] = g_op(g, &td_op_where, NULL, 3, in);
    }
    return 0;
}

TD_OP(where) = {
    .name = "where",
    .doc = "Takes from a where the condition holds, and from b elsewhere.\n\n"
           "  condition  a bool tensor\n"
           "  a, b       tensors or numbers; all three shapes broadcast\n\n"
           "  x = tide.tensor{-1, 2}\n"
           "  tide.where(x:gt(0), x, 10):sum():item()  --> 12.0",
    .nin = 3,
    .nout = 1,
    .flags = TD_OP_FUNCTION | TD_OP_PROMOTE | TD_OP_ELEMENTWISE,
    .keep_dtype = 1u << 0,
    .save = TD_SAVE_IN(0),
    .shape = where_shape,
    .inner = where_inner,
    .grad = where_grad,
};
