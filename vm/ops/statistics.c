/* Reductions that take two passes: var, logsumexp. */
#include <math.h>

#include "vm/ops/reduce.h"

TD_OP_USE(exp);
TD_OP_USE(mean);

static int float_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                       td_err *err) {
    (void)nin, (void)err;
    out->dtype = in->dtype;
    td_reduced_shape(&in->shape, td_reduced_dims(&in->shape, a), a->v[1].i, &out->shape);
    return 0;
}

#define REDUCTION_DOC                                                                    \
    "  dims     dimensions to reduce, a number or a table; all of them\n"                \
    "  keepdim  leave them in the shape, with size 1; false\n"

/* ---- var ---- */

/* In two passes: the means first, then the squares of what differs from them. */
static int var_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    td_tensor *x = in[0];
    unsigned dims = td_reduced_dims(&x->shape, a);
    double count = (double)td_reduced_count(&x->shape, dims);
    double left = fmax(0, count - (double)a->v[2].i);
    size_t bytes;
    double *mean = td_reduce_new(TD_REDUCE_SUM, TD_MAP_NONE, x, dims, NULL, &bytes, err);
    if (mean == NULL) return TD_E_MEMORY;
    size_t n = bytes / sizeof *mean;
    for (size_t i = 0; i < n; i++) mean[i] /= count;
    double *sum = td_reduce_new(TD_REDUCE_SUM, TD_MAP_SQUARE, x, dims, mean, &bytes, err);
    for (size_t i = 0; sum && i < n; i++) sum[i] /= left;
    if (sum) td_reduce_store(sum, false, out[0]);
    td_scratch_give(sum);
    td_scratch_give(mean);
    return sum ? 0 : TD_E_MEMORY;
}

/* y = sum (x - m)^2 / (n - c):  dx = 2 g (x - m) / (n - c) */
static int var_grad(td_grad *g) {
    const td_shape *s = &g->in_meta[0].shape;
    double count = (double)td_reduced_count(s, td_reduced_dims(s, g->attrs));
    td_attrs at = {0};
    at.v[0] = g->attrs->v[0];
    td_attr_set_i(&at, 1, TD_ATTR_BOOL, 1);
    td_val *mean = g_op(g, &td_op_mean, &at, 1, &g->in[0]);
    td_val *weight = g_mul(g, td_reduced_keep(g, g->gout[0]),
                           g_num(g, 2 / (count - (double)g->attrs->v[2].i)));
    g->gin[0] = g_mul(g, weight, g_sub(g, g->in[0], mean));
    return 0;
}

TD_OP(var) = {
    .name = "var",
    .doc = "The variance of the elements, over all dimensions or those "
           "named.\n\n" REDUCTION_DOC "  correction  what is taken from the count: 1 for "
           "a sample (Bessel), 0 for the whole; 1\n\n"
           "  tide.tensor{1, 2, 3, 4, 5}:var():item()  --> 2.5",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {TD_REDUCE_ATTRS, {.name = "correction", .kind = TD_ATTR_INT, .preset = 1}},
    .save = TD_SAVE_IN(0),
    .shape = float_shape,
    .kernel = var_kernel,
    .grad = var_grad,
};

/* ---- logsumexp ---- */

/* ln sum e^x = m + ln sum e^(x - m), m being the largest: nothing overflows. */
static int logsumexp_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                            td_tensor *const *out, td_err *err) {
    (void)nin;
    unsigned dims = td_reduced_dims(&in[0]->shape, a);
    size_t bytes;
    double *most =
        td_reduce_new(TD_REDUCE_MAX, TD_MAP_NONE, in[0], dims, NULL, &bytes, err);
    if (most == NULL) return TD_E_MEMORY;
    size_t n = bytes / sizeof *most;
    for (size_t i = 0; i < n; i++)
        if (isinf(most[i])) most[i] = 0;
    double *sum =
        td_reduce_new(TD_REDUCE_SUM, TD_MAP_EXP, in[0], dims, most, &bytes, err);
    for (size_t i = 0; sum && i < n; i++) sum[i] = most[i] + log(sum[i]);
    if (sum) td_reduce_store(sum, false, out[0]);
    td_scratch_give(sum);
    td_scratch_give(most);
    return sum ? 0 : TD_E_MEMORY;
}

/* dx = g e^(x - y), the softmax */
static int logsumexp_grad(td_grad *g) {
    td_val *share =
        g_unary(g, &td_op_exp, g_sub(g, g->in[0], td_reduced_keep(g, g->out[0])));
    g->gin[0] = g_mul(g, td_reduced_keep(g, g->gout[0]), share);
    return 0;
}

TD_OP(logsumexp) = {
    .name = "logsumexp",
    .doc = "The logarithm of the sum of exponentials, ln sum e^x, without "
           "overflow.\n\n" REDUCTION_DOC
           "\n  tide.tensor{1000, -1000}:logsumexp():item()  --> 1000.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {TD_REDUCE_ATTRS},
    .save = TD_SAVE_IN(0) | TD_SAVE_OUT(0),
    .shape = float_shape,
    .kernel = logsumexp_kernel,
    .grad = logsumexp_grad,
};
