/* The gradients of the normalisations as operations of their own, and their gradients in turn. Inputs: x,
 * the gradient of y, mean, var and, where there is one, the weight; results: the gradients of x, weight and
 * bias.
 *
 * With r = (var + eps)^-1/2, c = x - mean, h = c r, p = g w and means M over what shares a statistic:
 *
 *     dx = r (p - M(p) - h M(p h)),  dweight = sum of g h,  dbias = sum of g
 *
 * The rule below differentiates that with mean and var as variables of their own: what flows into them goes
 * on to x through the forward operation's rule. */
#include "vm/ops/norm.h"

TD_OP_USE(rsqrt);
TD_OP_USE(sum);

/* ---- shapes and kernels ---- */

static int grad_shape(td_norm_kind kind, const char *call, const td_meta *in, int nin,
                      const td_attrs *a, td_meta *out, td_err *err) {
    if (nin != 4 && nin != 5)
        return td_fail(err, TD_E_ARGUMENT, call,
                       "takes x, the gradient, mean, var and perhaps weight; got %d "
                       "tensors",
                       nin);
    td_shape statistics, weight;
    const td_shape *x = &in[0].shape;
    int rc = td_norm_shapes(kind, call, x, a, &statistics, &weight, err);
    if (rc == 0) rc = td_norm_wants(call, "gradient", x, &in[1].shape, err);
    if (rc == 0) rc = td_norm_wants(call, "mean", &statistics, &in[2].shape, err);
    if (rc == 0) rc = td_norm_wants(call, "var", &statistics, &in[3].shape, err);
    if (rc == 0 && nin == 5)
        rc = td_norm_wants(call, "weight", &weight, &in[4].shape, err);
    if (rc) return rc;
    out[0] = in[0];
    out[1].shape = out[2].shape = weight;
    out[1].dtype = out[2].dtype = in[0].dtype;
    return 0;
}

static int grad_kernel(td_norm_kind kind, td_tensor *const *in, int nin,
                       const td_attrs *a, td_tensor *const *out, td_err *err) {
    td_order order = td_dense_order(out[0]);
    td_norm n = td_norm_of(kind, in[0], a, order);
    td_dense dense[5] = {{0}};
    int rc = 0;
    for (int i = 0; rc == 0 && i < nin; i++)
        rc = td_dense_take(&dense[i], in[i], i < 2 ? order : TD_ORDER_ROWS, err);
    if (rc == 0)
        rc = td_norm_backward(&n, dense[0].data, dense[1].data, dense[2].data,
                              dense[3].data, dense[4].data, td_tensor_data(out[0]),
                              td_tensor_data(out[1]), td_tensor_data(out[2]), err);
    for (int i = 4; i >= 0; i--) td_dense_give(&dense[i]);
    return rc;
}

/* ---- the second derivative ---- */

/* Its variables: see the head of the file. */
typedef struct second {
    td_grad *g;
    td_norm_kind kind;
    td_shape x, statistics, weight;
    double count;
} second;

static td_val *sum_dims(td_grad *g, td_val *v, int from, int to) {
    td_attrs at = {0};
    int64_t dims[TD_MAX_DIM];
    for (int d = from; d < to; d++) dims[d - from] = d;
    if (to <= from) return v;
    td_attr_set_list(&at, 0, TD_ATTR_DIMS, dims, to - from);
    return g_op(g, &td_op_sum, &at, 1, &v);
}

/* Sums of something of x's shape: one for each statistic. */
static td_val *sums(const second *s, td_val *v) {
    td_grad *g = s->g;
    if (s->kind == TD_LAYER_NORM) return sum_dims(g, v, s->statistics.ndim, s->x.ndim);
    if (s->kind == TD_BATCH_NORM) return sum_dims(g, sum_dims(g, v, 2, s->x.ndim), 0, 1);
    int64_t each = td_shape_numel(&s->x) / td_shape_numel(&s->statistics);
    td_shape flat = {.ndim = 3, .dim = {s->x.dim[0], s->statistics.dim[1], each}};
    return sum_dims(g, g_reshape(g, v, &flat), 2, 3);
}

static td_val *means(const second *s, td_val *v) {
    return td_norm_beside_x(s->g, s->kind,
                            g_div(s->g, sums(s, v), g_num(s->g, s->count)));
}

/* Something of the weight's shape, so that it broadcasts with x; and its gradient back. */
static td_val *along(const second *s, td_val *v) {
    if (s->kind == TD_LAYER_NORM) return v;
    td_shape to = {.ndim = s->x.ndim};
    for (int d = 0; d < to.ndim; d++) to.dim[d] = d == 1 ? s->x.dim[1] : 1;
    return g_reshape(s->g, v, &to);
}

static td_val *back_along(const second *s, td_val *v) {
    if (s->kind == TD_LAYER_NORM) return sum_dims(s->g, v, 0, s->statistics.ndim);
    return sum_dims(s->g, sum_dims(s->g, v, 2, s->x.ndim), 0, 1);
}

static td_val *plus(td_grad *g, td_val *a, td_val *b) {
    return a == NULL ? b : b == NULL ? a : g_add(g, a, b);
}

static second second_of(td_grad *g, td_norm_kind kind) {
    second s = {.g = g, .kind = kind, .x = g->in_meta[0].shape};
    td_norm_shapes(kind, g->op->name, &s.x, g->attrs, &s.statistics, &s.weight, g->err);
    double statistics = (double)td_shape_numel(&s.statistics);
    s.count = (double)td_shape_numel(&s.x) / (statistics > 0 ? statistics : 1);
    return s;
}

static int grad_grad(td_grad *g, td_norm_kind kind) {
    second s = second_of(g, kind);
    if (td_shape_numel(&s.x) == 0) return 0; /* constant zeros */
    td_val *dy = g->in[1], *w = g->nin == 5 ? along(&s, g->in[4]) : NULL;
    td_val *u = g->gout[0], *uw = g->gout[1], *ub = g->gout[2];
    td_val *rs = g_unary(g, &td_op_rsqrt, g_add(g, g->in[3], g_num(g, g->attrs->v[0].f)));
    td_val *r = td_norm_beside_x(g, kind, rs);
    td_val *c = g_sub(g, g->in[0], td_norm_beside_x(g, kind, g->in[2])),
           *h = g_mul(g, c, r);
    td_val *d_dy = NULL, *d_h = NULL, *d_r = NULL, *d_w = NULL;
    if (u) {
        td_val *p = w ? g_mul(g, dy, w) : dy;
        td_val *ph = means(&s, g_mul(g, p, h)), *v = g_mul(g, u, r);
        td_val *vh = means(&s, g_mul(g, v, h));
        td_val *inner = g_sub(g, g_sub(g, p, means(&s, p)), g_mul(g, h, ph));
        td_val *d_p = g_sub(g, g_sub(g, v, means(&s, v)), g_mul(g, h, vh));
        d_r = sums(&s, g_mul(g, u, inner));
        d_h = g_neg(g, g_add(g, g_mul(g, vh, p), g_mul(g, v, ph)));
        d_dy = w ? g_mul(g, d_p, w) : d_p;
        if (w) d_w = back_along(&s, g_mul(g, d_p, dy));
    }
    if (uw) {
        uw = along(&s, uw);
        d_dy = plus(g, d_dy, g_mul(g, uw, h));
        d_h = plus(g, d_h, g_mul(g, uw, dy));
    }
    if (ub) d_dy = plus(g, d_dy, g_expand(g, along(&s, ub), &s.x));
    if (d_h) {
        d_r = plus(g, d_r, sums(&s, g_mul(g, d_h, c)));
        g->gin[0] = g_mul(g, d_h, r);
        g->gin[2] = g_neg(g, sums(&s, g->gin[0]));
    }
    if (d_r) { /* dr/dvar = -r^3 / 2 */
        td_val *cube = g_mul(g, rs, g_mul(g, rs, rs));
        g->gin[3] = g_mul(g, g_mul(g, d_r, cube), g_num(g, -0.5));
    }
    g->gin[1] = d_dy;
    if (w) g->gin[4] = d_w;
    return 0;
}

#define RULES(name, KIND)                                                                \
    static int name##_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,       \
                            td_err *err) {                                               \
        return grad_shape(KIND, #name, in, nin, a, out, err);                            \
    }                                                                                    \
    static int name##_kernel(td_tensor *const *in, int nin, const td_attrs *a,           \
                             td_tensor *const *out, td_err *err) {                       \
        return grad_kernel(KIND, in, nin, a, out, err);                                  \
    }                                                                                    \
    static int name##_backward(td_grad *g) { return grad_grad(g, KIND); }

#define GRAD_OP(id)                                                                      \
    .name = #id, .nin = -1, .nout = 3, .save = TD_SAVE_ALL_IN, .shape = id##_shape,      \
    .kernel = id##_kernel, .grad = id##_backward
#define GRAD_DOC(of)                                                                     \
    "The gradients of " of " with respect to x, weight and bias: used by "               \
    "backward.\n\n"                                                                      \
    "  tensors  a list: x, the gradient of y, mean, var and, if there is one, weight\n"

RULES(group_norm_grad, TD_GROUP_NORM)
TD_OP(group_norm_grad) = {
    GRAD_OP(group_norm_grad),
    .doc = GRAD_DOC("group_norm") "  eps, groups  as of group_norm",
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .attr = {TD_NORM_EPS, {.name = "groups", .kind = TD_ATTR_INT, .required = true}},
};

RULES(layer_norm_grad, TD_LAYER_NORM)
TD_OP(layer_norm_grad) = {
    GRAD_OP(layer_norm_grad),
    .doc = GRAD_DOC("layer_norm") "  eps, dims  as of layer_norm",
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {TD_NORM_EPS, {.name = "dims", .kind = TD_ATTR_INT, .preset = 1}},
};

RULES(batch_norm_grad, TD_BATCH_NORM)
TD_OP(batch_norm_grad) = {
    GRAD_OP(batch_norm_grad),
    .doc = GRAD_DOC("batch_norm") "  eps  as of batch_norm",
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .attr = {TD_NORM_EPS},
};
