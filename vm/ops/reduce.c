/* Sums and what is made of sums: sum, mean, prod, any, all; and what all reductions share. */
#include "vm/ops/reduce.h"

#include <string.h>

TD_OP_USE(eq);
TD_OP_USE(prod);
TD_OP_USE(sum);
TD_OP_USE(where);

/* ---- shared ---- */

unsigned td_reduced_dims(const td_shape *s, const td_attrs *a) {
    if (a->v[0].n == 0) return (1u << s->ndim) - 1;
    unsigned dims = 0;
    for (int i = 0; i < a->v[0].n; i++) dims |= 1u << a->v[0].list[i];
    return dims;
}

void td_reduced_shape(const td_shape *s, unsigned dims, bool keepdim, td_shape *out) {
    td_shape r = {0};
    for (int d = 0; d < s->ndim; d++) {
        bool gone = (dims >> d) & 1;
        if (!gone || keepdim) r.dim[r.ndim++] = gone ? 1 : s->dim[d];
    }
    *out = r;
}

int64_t td_reduced_count(const td_shape *s, unsigned dims) {
    int64_t n = 1;
    for (int d = 0; d < s->ndim; d++)
        if ((dims >> d) & 1) n *= s->dim[d];
    return n;
}

td_val *td_reduced_keep(td_grad *g, td_val *v) {
    const td_shape *from = &g->in_meta[0].shape;
    td_shape keep;
    td_reduced_shape(from, td_reduced_dims(from, g->attrs), true, &keep);
    return g_reshape(g, v, &keep);
}

td_val *td_reduced_back(td_grad *g, td_val *v) {
    return g_expand(g, td_reduced_keep(g, v), &g->in_meta[0].shape);
}

void *td_reduce_new(td_reduce_kind kind, td_reduce_map map, td_tensor *x, unsigned dims,
                    const double *shift, size_t *bytes, td_err *err) {
    td_shape keep;
    td_reduced_shape(&x->shape, dims, true, &keep);
    if (td_shape_bytes(&keep, TD_F64, bytes, err) != 0) return NULL;
    void *result = td_scratch_take(*bytes, err);
    if (result && td_reduce(kind, map, x, dims, shift, result, err) != 0) {
        td_scratch_give(result);
        result = NULL;
    }
    return result;
}

void td_reduce_store(const void *result, bool integers, td_tensor *out) {
    char *to = td_tensor_data(out);
    const double *from = result;
    size_t each = td_dtype_bytes(out->dtype);
    int64_t n = td_tensor_numel(out);
    if (!integers && out->dtype == TD_F32)
        for (int64_t i = 0; i < n; i++) ((float *)(void *)to)[i] = (float)from[i];
    else if (!integers && out->dtype == TD_F64)
        memcpy(to, from, (size_t)n * each);
    else
        for (int64_t i = 0; i < n; i++, to += each)
            if (integers)
                td_store_i64(out->dtype, to, ((const int64_t *)result)[i]);
            else
                td_store_f64(out->dtype, to, from[i]);
}

/* The shape that is left, in x's dtype. */
static void left(const td_meta *in, const td_attrs *a, td_meta *out) {
    out->dtype = in->dtype;
    td_reduced_shape(&in->shape, td_reduced_dims(&in->shape, a), a->v[1].i, &out->shape);
}

static int reduce_to(td_reduce_kind kind, td_reduce_map map, td_tensor *x,
                     const td_attrs *a, td_tensor *out, td_err *err) {
    size_t bytes;
    void *result =
        td_reduce_new(kind, map, x, td_reduced_dims(&x->shape, a), NULL, &bytes, err);
    if (result == NULL) return TD_E_MEMORY;
    td_reduce_store(result, map == TD_MAP_NONZERO || !td_dtype_is_float(x->dtype), out);
    td_scratch_give(result);
    return 0;
}

#define REDUCTION_DOC                                                                    \
    "  dims     dimensions to reduce, a number or a table; all of them\n"                \
    "  keepdim  leave them in the shape, with size 1; false\n\n"

/* ---- sum ---- */

/* Integers are summed in 64 bits. */
static int sum_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin, (void)err;
    left(in, a, out);
    if (!td_dtype_is_float(in->dtype)) out->dtype = TD_I64;
    return 0;
}

static int sum_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    return reduce_to(TD_REDUCE_SUM, TD_MAP_NONE, in[0], a, out[0], err);
}

/* dx = g, for each element that went in */
static int sum_grad(td_grad *g) {
    g->gin[0] = td_reduced_back(g, g->gout[0]);
    return 0;
}

TD_OP(sum) = {
    .name = "sum",
    .doc = "The sum of the elements, over all dimensions or those named; integers and "
           "bools give i64.\n\n" REDUCTION_DOC
           "  tide.tensor{{1, 2}, {3, 4}}:sum():item()  --> 10.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {TD_REDUCE_ATTRS},
    .shape = sum_shape,
    .kernel = sum_kernel,
    .grad = sum_grad,
};

/* ---- mean ---- */

static int mean_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin, (void)err;
    left(in, a, out);
    return 0;
}

static int mean_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)nin;
    unsigned dims = td_reduced_dims(&in[0]->shape, a);
    size_t bytes;
    double *result =
        td_reduce_new(TD_REDUCE_SUM, TD_MAP_NONE, in[0], dims, NULL, &bytes, err);
    if (result == NULL) return TD_E_MEMORY;
    double count = (double)td_reduced_count(&in[0]->shape, dims);
    for (size_t i = 0; i < bytes / sizeof *result; i++) result[i] /= count;
    td_reduce_store(result, false, out[0]);
    td_scratch_give(result);
    return 0;
}

/* dx = g / n */
static int mean_grad(td_grad *g) {
    const td_shape *from = &g->in_meta[0].shape;
    double n = (double)td_reduced_count(from, td_reduced_dims(from, g->attrs));
    g->gin[0] = td_reduced_back(g, g_div(g, g->gout[0], g_num(g, n)));
    return 0;
}

TD_OP(mean) = {
    .name = "mean",
    .doc = "The mean of the elements, over all dimensions or those named; NaN where "
           "there are none.\n\n" REDUCTION_DOC
           "  tide.tensor{{1, 2}, {3, 4}}:mean():item()  --> 2.5",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {TD_REDUCE_ATTRS},
    .shape = mean_shape,
    .kernel = mean_kernel,
    .grad = mean_grad,
};

/* ---- prod ---- */

static int prod_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)nin;
    return reduce_to(TD_REDUCE_PROD, TD_MAP_NONE, in[0], a, out[0], err);
}

/* dx = g times the product of the others. With zeros taken out, p is the product of the rest: that is
 * p / x where nothing is zero, p at the place of an only zero, and 0 elsewhere. */
static int prod_grad(td_grad *g) {
    td_val *x = g->in[0], *zero = g_num(g, 0), *one = g_num(g, 1);
    td_attrs at = *g->attrs;
    td_attr_set_i(&at, 1, TD_ATTR_BOOL, 1);
    td_val *is_zero = g_binary(g, &td_op_eq, x, zero);
    td_val *rest[3] = {is_zero, one, x};
    td_val *others = g_op(g, &td_op_where, NULL, 3, rest);
    td_val *p = g_op(g, &td_op_prod, &at, 1, &others);
    td_val *zeros = g_op(g, &td_op_sum, &at, 1, &is_zero);
    td_val *only[3] = {g_binary(g, &td_op_eq, zeros, one), p, zero};
    td_val *none[3] = {g_binary(g, &td_op_eq, zeros, zero), g_div(g, p, others), zero};
    td_val *choice[3] = {is_zero, g_op(g, &td_op_where, NULL, 3, only),
                         g_op(g, &td_op_where, NULL, 3, none)};
    g->gin[0] =
        g_mul(g, td_reduced_keep(g, g->gout[0]), g_op(g, &td_op_where, NULL, 3, choice));
    return 0;
}

TD_OP(prod) = {
    .name = "prod",
    .doc = "The product of the elements, over all dimensions or those named; integers "
           "give i64.\n\n" REDUCTION_DOC
           "  tide.tensor{{1, 2}, {3, 4}}:prod():item()  --> 24.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {TD_REDUCE_ATTRS},
    .save = TD_SAVE_IN(0),
    .shape = sum_shape,
    .kernel = prod_kernel,
    .grad = prod_grad,
};

/* ---- any, all ---- */

static int truth_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                       td_err *err) {
    (void)nin, (void)err;
    left(in, a, out);
    out->dtype = TD_BOOL;
    return 0;
}

static int any_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    return reduce_to(TD_REDUCE_MAX, TD_MAP_NONZERO, in[0], a, out[0], err);
}

static int all_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    return reduce_to(TD_REDUCE_MIN, TD_MAP_NONZERO, in[0], a, out[0], err);
}

TD_OP(any) = {
    .name = "any",
    .doc = "Whether an element is true (not zero); false where there are "
           "none.\n\n" REDUCTION_DOC "  tide.tensor{0, 2}:any()  --> true",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {TD_REDUCE_ATTRS},
    .shape = truth_shape,
    .kernel = any_kernel,
};

TD_OP(all) = {
    .name = "all",
    .doc = "Whether every element is true (not zero); true where there are "
           "none.\n\n" REDUCTION_DOC "  tide.tensor{0, 2}:all()  --> false",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {TD_REDUCE_ATTRS},
    .shape = truth_shape,
    .kernel = all_kernel,
};
