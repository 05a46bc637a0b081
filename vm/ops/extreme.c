/* The largest and smallest elements: amax, amin, argmax, argmin, max_dim, min_dim. A NaN counts as larger
 * and as smaller than everything, so that it is never overlooked. */
#include "vm/ops/reduce.h"

TD_OP_USE(eq);
TD_OP_USE(scatter_add);
TD_OP_USE(sum);
TD_OP_USE(where);

static int nothing(const char *what, const td_shape *s, td_err *err) {
    char text[TD_SHAPE_TEXT];
    return td_fail(err, TD_E_SHAPE, "", "no %s of nothing: the tensor is %s", what,
                   td_shape_text(s, text));
}

/* ---- amax, amin ---- */

static int extreme_shape(const td_meta *in, const td_attrs *a, td_meta *out,
                         const char *what, td_err *err) {
    unsigned dims = td_reduced_dims(&in->shape, a);
    out->dtype = in->dtype;
    td_reduced_shape(&in->shape, dims, a->v[1].i, &out->shape);
    return td_reduced_count(&in->shape, dims) == 0 ? nothing(what, &in->shape, err) : 0;
}

static int amax_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin;
    return extreme_shape(in, a, out, "maximum", err);
}

static int amin_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin;
    return extreme_shape(in, a, out, "minimum", err);
}

static int extreme_kernel(td_reduce_kind kind, td_tensor *x, const td_attrs *a,
                          td_tensor *out, td_err *err) {
    size_t bytes;
    void *result = td_reduce_new(kind, TD_MAP_NONE, x, td_reduced_dims(&x->shape, a),
                                 NULL, &bytes, err);
    if (result == NULL) return TD_E_MEMORY;
    td_reduce_store(result, !td_dtype_is_float(x->dtype), out);
    td_scratch_give(result);
    return 0;
}

static int amax_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)nin;
    return extreme_kernel(TD_REDUCE_MAX, in[0], a, out[0], err);
}

static int amin_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)nin;
    return extreme_kernel(TD_REDUCE_MIN, in[0], a, out[0], err);
}

/* dx = g / n for each of the n elements that are the extreme, 0 for the others */
static int extreme_grad(td_grad *g) {
    td_attrs keep = *g->attrs;
    td_attr_set_i(&keep, 1, TD_ATTR_BOOL, 1);
    td_val *is = g_binary(g, &td_op_eq, g->in[0], td_reduced_keep(g, g->out[0]));
    td_val *ties = g_cast(g, g_op(g, &td_op_sum, &keep, 1, &is), g->in_meta[0].dtype);
    td_val *in[3] = {is, g_div(g, td_reduced_keep(g, g->gout[0]), ties), g_num(g, 0)};
    g->gin[0] = g_op(g, &td_op_where, NULL, 3, in);
    return 0;
}

#define EXTREME_DOC                                                                      \
    "  dims     dimensions to reduce, a number or a table; all of them\n"                \
    "  keepdim  leave them in the shape, with size 1; false\n\n"

TD_OP(amax) = {
    .name = "amax",
    .doc = "The largest element, over all dimensions or those named; equal ones share "
           "the gradient.\n\n" EXTREME_DOC
           "  tide.tensor{{1, 2}, {3, 4}}:amax():item()  --> 4.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {TD_REDUCE_ATTRS},
    .save = TD_SAVE_IN(0) | TD_SAVE_OUT(0),
    .shape = amax_shape,
    .kernel = amax_kernel,
    .grad = extreme_grad,
};

TD_OP(amin) = {
    .name = "amin",
    .doc = "The smallest element, over all dimensions or those named; equal ones share "
           "the gradient.\n\n" EXTREME_DOC
           "  tide.tensor{{1, 2}, {3, 4}}:amin():item()  --> 1.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {TD_REDUCE_ATTRS},
    .save = TD_SAVE_IN(0) | TD_SAVE_OUT(0),
    .shape = amin_shape,
    .kernel = amin_kernel,
    .grad = extreme_grad,
};

/* ---- argmax, argmin ---- */

/* A dim of -1, the preset, is the tensor laid out as one row. */
static int arg_shape(const td_meta *in, const td_attrs *a, td_meta *out, const char *what,
                     td_err *err) {
    const td_shape *s = &in->shape;
    unsigned dims = a->v[0].i < 0 ? (1u << s->ndim) - 1 : 1u << a->v[0].i;
    out->dtype = TD_I64;
    td_reduced_shape(s, dims, a->v[1].i, &out->shape);
    return td_reduced_count(s, dims) == 0 ? nothing(what, s, err) : 0;
}

static int argmax_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    return arg_shape(in, a, out, "maximum", err);
}

static int argmin_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    return arg_shape(in, a, out, "minimum", err);
}

/* Positions from 0 become positions from 1. */
static void count_from_one(td_tensor *positions) {
    int64_t *p = td_tensor_data(positions);
    for (int64_t i = 0, n = td_tensor_numel(positions); i < n; i++) p[i]++;
}

static int arg_kernel(bool largest, td_tensor *x, const td_attrs *a, td_tensor *out,
                      td_err *err) {
    if (a->v[0].i >= 0) {
        td_arg_extreme(largest, x, (int)a->v[0].i, td_tensor_data(out));
        count_from_one(out);
        return 0;
    }
    td_tensor *flat = td_tensor_contiguous(x, err);
    if (flat == NULL) return TD_E_MEMORY;
    td_shape row = {.ndim = 1, .dim = {td_tensor_numel(x)}};
    td_tensor *line = td_tensor_view(flat, &row, (int64_t[]){1}, flat->offset, err);
    td_tensor_unref(&flat);
    if (line == NULL) return TD_E_MEMORY;
    td_arg_extreme(largest, line, 0, td_tensor_data(out));
    td_tensor_unref(&line);
    count_from_one(out);
    return 0;
}

static int argmax_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin;
    return arg_kernel(true, in[0], a, out[0], err);
}

static int argmin_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin;
    return arg_kernel(false, in[0], a, out[0], err);
}

#define ARG_DOC                                                                          \
    "  dim      dimension to go along; none: the whole tensor, as one row\n"             \
    "  keepdim  leave it in the shape, with size 1; false\n"                             \
    "  returns  an i64 tensor of positions, from 1\n\n"

TD_OP(argmax) = {
    .name = "argmax",
    .doc = "Where the largest element is; the first of equal ones.\n\n" ARG_DOC
           "  tide.tensor{3, 9, 4}:argmax():item()  --> 2",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .preset = -1},
             {.name = "keepdim", .kind = TD_ATTR_BOOL}},
    .shape = argmax_shape,
    .kernel = argmax_kernel,
};

TD_OP(argmin) = {
    .name = "argmin",
    .doc = "Where the smallest element is; the first of equal ones.\n\n" ARG_DOC
           "  tide.tensor{3, 9, 4}:argmin():item()  --> 1",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .preset = -1},
             {.name = "keepdim", .kind = TD_ATTR_BOOL}},
    .shape = argmin_shape,
    .kernel = argmin_kernel,
};

/* ---- max_dim, min_dim: the element and where it is ---- */

static int pair_shape(const td_meta *in, const td_attrs *a, td_meta *out,
                      const char *what, td_err *err) {
    int rc = arg_shape(in, a, &out[1], what, err);
    out[0] = out[1];
    out[0].dtype = in->dtype;
    return rc;
}

static int max_dim_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin;
    return pair_shape(in, a, out, "maximum", err);
}

static int min_dim_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin;
    return pair_shape(in, a, out, "minimum", err);
}

static int pair_kernel(bool largest, td_tensor *x, const td_attrs *a,
                       td_tensor *const *out) {
    int dim = (int)a->v[0].i;
    int64_t *position = td_tensor_data(out[1]), index[TD_MAX_DIM] = {0};
    char *value = td_tensor_data(out[0]);
    size_t each = td_dtype_bytes(x->dtype);
    td_arg_extreme(largest, x, dim, position);
    for (int64_t i = 0, n = td_tensor_numel(out[1]); i < n; i++, value += each) {
        index[dim] = position[i];
        const char *from = td_tensor_at(x, index);
        for (size_t b = 0; b < each; b++) value[b] = from[b];
        index[dim] = 0;
        for (int d = x->shape.ndim - 1; d >= 0; d--) {
            if (d == dim) continue;
            if (++index[d] < x->shape.dim[d]) break;
            index[d] = 0;
        }
    }
    count_from_one(out[1]);
    return 0;
}

static int max_dim_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)nin, (void)err;
    return pair_kernel(true, in[0], a, out);
}

static int min_dim_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)nin, (void)err;
    return pair_kernel(false, in[0], a, out);
}

/* dx = g at the positions found, 0 elsewhere */
static int pair_grad(td_grad *g) {
    if (g->gout[0] == NULL) return 0;
    td_shape keep = g->in_meta[0].shape;
    keep.dim[g->attrs->v[0].i] = 1;
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_DIM, g->attrs->v[0].i);
    td_val *in[3] = {g_zeros(g, &g->in_meta[0], g->gout[0]),
                     g_reshape(g, g->out[1], &keep), g_reshape(g, g->gout[0], &keep)};
    g->gin[0] = g_op(g, &td_op_scatter_add, &at, 3, in);
    return 0;
}

#define PAIR_DOC                                                                         \
    "  dim      dimension to go along\n"                                                 \
    "  keepdim  leave it in the shape, with size 1; false\n"                             \
    "  returns  values, and an i64 tensor of their positions, from 1\n\n"

TD_OP(max_dim) = {
    .name = "max_dim",
    .doc = "The largest elements along a dimension, and where they are; the first of "
           "equal ones.\n\n" PAIR_DOC
           "  tide.tensor{{1, 5}, {7, 3}}:max_dim(2):sum():item()  --> 12.0",
    .nin = 1,
    .nout = 2,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true},
             {.name = "keepdim", .kind = TD_ATTR_BOOL}},
    .save = TD_SAVE_OUT(1),
    .shape = max_dim_shape,
    .kernel = max_dim_kernel,
    .grad = pair_grad,
};

TD_OP(min_dim) = {
    .name = "min_dim",
    .doc = "The smallest elements along a dimension, and where they are; the first of "
           "equal ones.\n\n" PAIR_DOC
           "  tide.tensor{{1, 5}, {7, 3}}:min_dim(2):sum():item()  --> 4.0",
    .nin = 1,
    .nout = 2,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true},
             {.name = "keepdim", .kind = TD_ATTR_BOOL}},
    .save = TD_SAVE_OUT(1),
    .shape = min_dim_shape,
    .kernel = min_dim_kernel,
    .grad = pair_grad,
};
