/* Normalisations: group_norm, layer_norm, batch_norm (as in training: by the batch's own statistics). The
 * results are y, and the means and variances that it was made with, of which the gradient is made again. */
#include "vm/ops/norm.h"

#include <math.h>

TD_OP_USE(batch_norm_grad);
TD_OP_USE(group_norm_grad);
TD_OP_USE(layer_norm_grad);

/* ---- shared with the gradients ---- */

static int layer_shapes(const char *call, const td_shape *x, int64_t dims,
                        td_shape *statistics, td_shape *weight, td_err *err) {
    char text[TD_SHAPE_TEXT];
    if (dims < 1 || dims > x->ndim)
        return td_fail(err, TD_E_SHAPE, call, "dims is %lld, and the tensor %s",
                       (long long)dims, td_shape_text(x, text));
    *statistics = *weight = (td_shape){0};
    for (int d = 0; d < x->ndim; d++) {
        td_shape *to = d < x->ndim - dims ? statistics : weight;
        to->dim[to->ndim++] = x->dim[d];
    }
    return 0;
}

int td_norm_shapes(td_norm_kind kind, const char *call, const td_shape *x,
                   const td_attrs *a, td_shape *statistics, td_shape *weight,
                   td_err *err) {
    char text[TD_SHAPE_TEXT];
    if (!(a->v[0].f >= 0))
        return td_fail(err, TD_E_VALUE, call, "eps is %g, not at least 0", a->v[0].f);
    if (kind == TD_LAYER_NORM)
        return layer_shapes(call, x, a->v[1].i, statistics, weight, err);
    if (x->ndim < 2)
        return td_fail(err, TD_E_SHAPE, call, "wants [N, C, ...], got %s",
                       td_shape_text(x, text));
    *weight = *statistics = (td_shape){.ndim = 1, .dim = {x->dim[1]}};
    if (kind == TD_BATCH_NORM) return 0;
    int64_t groups = a->v[1].i;
    if (groups < 1 || x->dim[1] % groups != 0)
        return td_fail(err, TD_E_SHAPE, call,
                       "the channels of %s do not make %lld equal groups",
                       td_shape_text(x, text), (long long)groups);
    *statistics = (td_shape){.ndim = 2, .dim = {x->dim[0], groups}};
    return 0;
}

int td_norm_wants(const char *call, const char *what, const td_shape *want,
                  const td_shape *got, td_err *err) {
    char w[TD_SHAPE_TEXT], g[TD_SHAPE_TEXT];
    if (td_shape_equal(want, got)) return 0;
    return td_fail(err, TD_E_SHAPE, call, "the %s is %s, wanted %s", what,
                   td_shape_text(got, g), td_shape_text(want, w));
}

td_norm td_norm_of(td_norm_kind kind, const td_tensor *x, const td_attrs *a,
                   td_order order) {
    td_norm n = {.t = x->dtype,
                 .images = 1,
                 .channels = 1,
                 .pixels = 1,
                 .groups = kind == TD_GROUP_NORM ? a->v[1].i : kind == TD_LAYER_NORM,
                 .eps = a->v[0].f,
                 .order = order};
    int first = kind == TD_LAYER_NORM ? x->shape.ndim - (int)a->v[1].i : 1;
    for (int d = 0; d < x->shape.ndim; d++)
        if (d < first)
            n.images *= x->shape.dim[d];
        else if (kind == TD_LAYER_NORM || d == 1)
            n.channels *= x->shape.dim[d];
        else
            n.pixels *= x->shape.dim[d];
    return n;
}

td_val *td_norm_beside_x(td_grad *g, td_norm_kind kind, td_val *v) {
    td_shape s = g->in_meta[0].shape;
    int first = kind == TD_LAYER_NORM ? s.ndim - (int)g->attrs->v[1].i : 2;
    if (kind == TD_GROUP_NORM) {
        int64_t groups = g->attrs->v[1].i, members = groups > 0 ? s.dim[1] / groups : 0;
        td_shape one = {.ndim = 3, .dim = {s.dim[0], groups, 1}}, all = one;
        all.dim[2] = members;
        v = g_expand(g, g_reshape(g, v, &one), &all);
    }
    if (kind == TD_BATCH_NORM) s.dim[0] = 1;
    for (int d = first; d < s.ndim; d++) s.dim[d] = 1;
    return g_reshape(g, v, &s);
}

/* ---- forward ---- */

static int norm_shape(td_norm_kind kind, const char *call, const td_meta *in, int nin,
                      const td_attrs *a, td_meta *out, td_err *err) {
    if (nin != 1 && nin != 3)
        return td_fail(err, TD_E_ARGUMENT, call,
                       "takes x, or x, weight and bias; got %d tensors", nin);
    td_shape weight;
    int rc = td_norm_shapes(kind, call, &in[0].shape, a, &out[1].shape, &weight, err);
    if (rc == 0 && nin == 3)
        rc = td_norm_wants(call, "weight", &weight, &in[1].shape, err);
    if (rc == 0 && nin == 3) rc = td_norm_wants(call, "bias", &weight, &in[2].shape, err);
    if (rc) return rc;
    out[0] = in[0];
    out[2].shape = out[1].shape;
    out[1].dtype = out[2].dtype = in[0].dtype;
    return 0;
}

static int norm_kernel(td_norm_kind kind, td_tensor *const *in, int nin,
                       const td_attrs *a, td_tensor *const *out, td_err *err) {
    td_order order = td_dense_order(out[0]);
    td_norm n = td_norm_of(kind, in[0], a, order);
    td_dense dense[3] = {{0}};
    int rc = 0;
    for (int i = 0; rc == 0 && i < nin; i++)
        rc = td_dense_take(&dense[i], in[i], i == 0 ? order : TD_ORDER_ROWS, err);
    if (rc == 0)
        rc = td_norm_forward(&n, dense[0].data, dense[1].data, dense[2].data,
                             td_tensor_data(out[0]), td_tensor_data(out[1]),
                             td_tensor_data(out[2]), err);
    for (int i = 2; i >= 0; i--) td_dense_give(&dense[i]);
    return rc;
}

/* The gradient of y goes to the gradient op. One that flows into the mean is spread evenly; dvar/dx = 2 (x -
 * mean) / n. */
static int norm_grad(td_grad *g, td_norm_kind kind, const td_op *op) {
    td_val *x = g->in[0], *dx = NULL;
    const td_meta *s = &g->out_meta[1];
    if (g->gout[0]) {
        td_val *in[5] = {x, g->gout[0], g->out[1], g->out[2], NULL}, *out[3];
        if (g->nin == 3) in[4] = g->in[1];
        if (!g_op_n(g, op, g->attrs, g->nin == 3 ? 5 : 4, in, out)) return 0;
        dx = out[0];
        if (g->nin == 3) {
            g->gin[1] = out[1];
            g->gin[2] = out[2];
        }
    }
    double count = (double)td_shape_numel(&g->in_meta[0].shape) /
                   fmax(1, (double)td_shape_numel(&s->shape));
    if (g->gout[1]) {
        td_val *even = td_norm_beside_x(g, kind, g_div(g, g->gout[1], g_num(g, count)));
        even = g_expand(g, even, &g->in_meta[0].shape);
        dx = dx ? g_add(g, dx, even) : even;
    }
    if (g->gout[2]) {
        td_val *share =
            td_norm_beside_x(g, kind, g_mul(g, g->gout[2], g_num(g, 2 / count)));
        share = g_mul(g, share, g_sub(g, x, td_norm_beside_x(g, kind, g->out[1])));
        dx = dx ? g_add(g, dx, share) : share;
    }
    g->gin[0] = dx;
    return 0;
}

#define RULES(name, KIND)                                                                \
    static int name##_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,       \
                            td_err *err) {                                               \
        return norm_shape(KIND, #name, in, nin, a, out, err);                            \
    }                                                                                    \
    static int name##_kernel(td_tensor *const *in, int nin, const td_attrs *a,           \
                             td_tensor *const *out, td_err *err) {                       \
        return norm_kernel(KIND, in, nin, a, out, err);                                  \
    }                                                                                    \
    static int name##_backward(td_grad *g) {                                             \
        return norm_grad(g, KIND, &td_op_##name##_grad);                                 \
    }

#define NORM_OP(id)                                                                      \
    .name = #id, .nin = -1, .nout = 3,                                                   \
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1) | TD_SAVE_OUT(1) | TD_SAVE_OUT(2),             \
    .shape = id##_shape, .kernel = id##_kernel, .grad = id##_backward

RULES(group_norm, TD_GROUP_NORM)
TD_OP(group_norm) = {
    NORM_OP(group_norm),
    .doc =
        "(x - mean) / sqrt(var + eps) over each of equal groups of channels of each "
        "image, times weight plus bias (Wu and He 2018). The function for models is "
        "F.group_norm.\n\n"
        "  x, weight, bias  a list: [N, C, ...] and, if wanted, two of [C]\n"
        "  eps              what is added to variances; 1e-5\n"
        "  groups           how many\n"
        "  returns          y, and means and variances [N, groups]\n\n"
        "  F.group_norm(tide.tensor{{1, 3, 2, 4}}, 2, {eps = 0}):sum():item()  --> 0.0",
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .attr = {TD_NORM_EPS, {.name = "groups", .kind = TD_ATTR_INT, .required = true}},
};

RULES(layer_norm, TD_LAYER_NORM)
TD_OP(layer_norm) = {
    NORM_OP(layer_norm),
    .doc =
        "(x - mean) / sqrt(var + eps) over the last dimensions, times weight plus bias "
        "(Ba, Kiros and Hinton 2016). The function for models is F.layer_norm.\n\n"
        "  x, weight, bias  a list: x and, if wanted, two of its last sizes\n"
        "  eps              what is added to variances; 1e-5\n"
        "  dims             how many dimensions; 1\n"
        "  returns          y, and means and variances of the sizes that are left\n\n"
        "  F.layer_norm(tide.tensor{{1, 3}}, 2, {eps = 0}):sum():item()  --> 0.0",
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {TD_NORM_EPS, {.name = "dims", .kind = TD_ATTR_INT, .preset = 1}},
};

RULES(batch_norm, TD_BATCH_NORM)
TD_OP(batch_norm) = {
    NORM_OP(batch_norm),
    .doc =
        "(x - mean) / sqrt(var + eps) of each channel over the batch, times weight "
        "plus bias (Ioffe and Szegedy 2015), as in training. The function for models "
        "is F.batch_norm.\n\n"
        "  x, weight, bias  a list: [N, C, ...] and, if wanted, two of [C]\n"
        "  eps              what is added to variances; 1e-5\n"
        "  returns          y, and means and variances [C]\n\n"
        "  F.batch_norm(tide.tensor{{1}, {3}}, {training = true}):sum():item()  --> 0.0",
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .attr = {TD_NORM_EPS},
};
