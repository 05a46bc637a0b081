/* Running sums. */
#include "vm/ops/reduce.h"

TD_OP_USE(flip);

static int cumsum_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    int rc = td_shape_same(in, nin, a, out, err);
    if (!td_dtype_is_float(in->dtype)) out->dtype = TD_I64;
    return rc;
}

static int cumsum_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin, (void)err;
    td_cumsum(in[0], (int)a->v[0].i, out[0]);
    return 0;
}

/* y_i = sum of x_j, j <= i:  dx_j = sum of g_i, i >= j: the running sum from the other end */
static int cumsum_grad(td_grad *g) {
    td_attrs at = {0};
    td_attr_set_list(&at, 0, TD_ATTR_DIMS, &g->attrs->v[0].i, 1);
    td_val *turned = g_op(g, &td_op_flip, &at, 1, g->gout);
    td_val *sums = g_op(g, g->op, g->attrs, 1, &turned);
    g->gin[0] = g_op(g, &td_op_flip, &at, 1, &sums);
    return 0;
}

TD_OP(cumsum) = {
    .name = "cumsum",
    .doc = "Running sums along a dimension; integers and bools give i64.\n\n"
           "  dim  dimension to go along\n\n"
           "  tide.tensor{1, 2, 3}:cumsum(1)[3]:item()  --> 6.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true}},
    .shape = cumsum_shape,
    .kernel = cumsum_kernel,
    .grad = cumsum_grad,
};
