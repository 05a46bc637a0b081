/* softmax and log_softmax along a dimension, and their gradients as operations of their own. */
#include "runtime/kernels/softmax.h"

#include "runtime/dense.h"
#include "vm/grad.h"

TD_OP_USE(exp);
TD_OP_USE(log_softmax_grad);
TD_OP_USE(softmax_grad);
TD_OP_USE(sum);

/* Sizes before, along and behind dim, in the order of memory. */
static td_softmax lines_of(const td_tensor *out, int dim, bool as_log) {
    td_softmax s = {.t = out->dtype,
                    .as_log = as_log,
                    .outer = 1,
                    .length = out->shape.dim[dim],
                    .inner = 1};
    bool behind = false;
    for (int i = 0; i < out->shape.ndim; i++) {
        /* channels last: N, H, W, C */
        int d = td_dense_order(out) == TD_ORDER_ROWS || i == 0 ? i : i == 3 ? 1 : i + 1;
        if (d == dim)
            behind = true;
        else if (behind)
            s.inner *= out->shape.dim[d];
        else
            s.outer *= out->shape.dim[d];
    }
    return s;
}

static int forward(td_tensor *x, td_tensor *y, int dim, bool as_log, td_err *err) {
    td_softmax s = lines_of(y, dim, as_log);
    td_dense from;
    int rc = td_dense_take(&from, x, td_dense_order(y), err);
    if (rc) return rc;
    td_softmax_run(&s, from.data, td_tensor_data(y));
    td_dense_give(&from);
    return 0;
}

static int backward(td_tensor *const *in, td_tensor *dx, int dim, bool as_log,
                    td_err *err) {
    td_softmax s = lines_of(dx, dim, as_log);
    td_dense dy = {0}, y = {0};
    int rc = td_dense_take(&dy, in[0], td_dense_order(dx), err);
    if (rc == 0) rc = td_dense_take(&y, in[1], td_dense_order(dx), err);
    if (rc == 0) td_softmax_grad(&s, dy.data, y.data, td_tensor_data(dx));
    td_dense_give(&y);
    td_dense_give(&dy);
    return rc;
}

static int grad_shape(const char *call, const td_meta *in, td_meta *out, td_err *err) {
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    if (!td_shape_equal(&in[0].shape, &in[1].shape))
        return td_fail(err, TD_E_SHAPE, call, "the gradient is %s, the result %s",
                       td_shape_text(&in[0].shape, a), td_shape_text(&in[1].shape, b));
    out[0] = in[1];
    return 0;
}

static td_val *sum_kept(td_grad *g, td_val *x) {
    td_attrs at = {0};
    int64_t dim = g->attrs->v[0].i;
    td_attr_set_list(&at, 0, TD_ATTR_DIMS, &dim, 1);
    td_attr_set_i(&at, 1, TD_ATTR_BOOL, 1);
    return g_op(g, &td_op_sum, &at, 1, &x);
}

static td_val *with_result(td_grad *g, const td_op *op, td_val *dy, td_val *y) {
    td_val *in[2] = {dy, y};
    return g_op(g, op, g->attrs, 2, in);
}

#define DIM_ATTR                                                                         \
    { .name = "dim", .kind = TD_ATTR_DIM, .required = true }
#define SOFTMAX_FLAGS (TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS)

/* ---- softmax ---- */

static int softmax_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)nin;
    return forward(in[0], out[0], (int)a->v[0].i, false, err);
}

static int softmax_backward(td_grad *g) {
    g->gin[0] = with_result(g, &td_op_softmax_grad, g->gout[0], g->out[0]);
    return 0;
}

TD_OP(softmax) = {
    .name = "softmax",
    .doc = "Numbers above 0 that sum to 1 along a dimension: exp(x) / sum(exp(x)).\n\n"
           "  dim  the dimension\n\n"
           "  (\"%.4f\"):format(tide.tensor{0, 1}:softmax(1)[2]:item())  --> 0.7311",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | SOFTMAX_FLAGS,
    .save = TD_SAVE_OUT(0),
    .attr = {DIM_ATTR},
    .shape = td_shape_same,
    .kernel = softmax_kernel,
    .grad = softmax_backward,
};

static int softmax_grad_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                              td_err *err) {
    (void)nin, (void)a;
    return grad_shape("softmax_grad", in, out, err);
}

static int softmax_grad_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                               td_tensor *const *out, td_err *err) {
    (void)nin;
    return backward(in, out[0], (int)a->v[0].i, false, err);
}

/* dx = y (g - s) with s = sum(g y), linear in g and its own adjoint there. From u to y: u (g - s) - g sum(u
 * y). */
static int softmax_grad_grad(td_grad *g) {
    td_val *u = g->gout[0], *dy = g->in[0], *y = g->in[1];
    g->gin[0] = with_result(g, &td_op_softmax_grad, u, y);
    td_val *s = sum_kept(g, g_mul(g, dy, y)), *t = sum_kept(g, g_mul(g, u, y));
    if (g->need[1]) g->gin[1] = g_sub(g, g_mul(g, u, g_sub(g, dy, s)), g_mul(g, dy, t));
    return 0;
}

TD_OP(softmax_grad) = {
    .name = "softmax_grad",
    .doc = "The gradient of softmax: used by backward.\n\n"
           "  g    gradient of the result\n"
           "  y    the result\n"
           "  dim  as of softmax",
    .nin = 2,
    .nout = 1,
    .flags = SOFTMAX_FLAGS,
    .save = TD_SAVE_ALL_IN,
    .attr = {DIM_ATTR},
    .shape = softmax_grad_shape,
    .kernel = softmax_grad_kernel,
    .grad = softmax_grad_grad,
};

/* ---- log_softmax ---- */

static int log_softmax_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                              td_tensor *const *out, td_err *err) {
    (void)nin;
    return forward(in[0], out[0], (int)a->v[0].i, true, err);
}

static int log_softmax_backward(td_grad *g) {
    g->gin[0] = with_result(g, &td_op_log_softmax_grad, g->gout[0], g->out[0]);
    return 0;
}

TD_OP(log_softmax) = {
    .name = "log_softmax",
    .doc =
        "The logarithm of softmax, computed without leaving the range of the dtype.\n\n"
        "  dim  the dimension\n\n"
        "  (\"%.4f\"):format(tide.tensor{0, 1}:log_softmax(1)[2]:item())  --> -0.3133",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | SOFTMAX_FLAGS,
    .save = TD_SAVE_OUT(0),
    .attr = {DIM_ATTR},
    .shape = td_shape_same,
    .kernel = log_softmax_kernel,
    .grad = log_softmax_backward,
};

static int log_softmax_grad_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                                  td_err *err) {
    (void)nin, (void)a;
    return grad_shape("log_softmax_grad", in, out, err);
}

static int log_softmax_grad_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                                   td_tensor *const *out, td_err *err) {
    (void)nin;
    return backward(in, out[0], (int)a->v[0].i, true, err);
}

/* dx = g - e^y sum(g). From u to g: u - sum(u e^y); to y: -u e^y sum(g). */
static int log_softmax_grad_grad(td_grad *g) {
    td_val *u = g->gout[0];
    td_val *p = g_mul(g, u, g_unary(g, &td_op_exp, g->in[1]));
    g->gin[0] = g_sub(g, u, sum_kept(g, p));
    if (g->need[1]) g->gin[1] = g_neg(g, g_mul(g, p, sum_kept(g, g->in[0])));
    return 0;
}

TD_OP(log_softmax_grad) = {
    .name = "log_softmax_grad",
    .doc = "The gradient of log_softmax: used by backward.\n\n"
           "  g    gradient of the result\n"
           "  y    the result\n"
           "  dim  as of log_softmax",
    .nin = 2,
    .nout = 1,
    .flags = SOFTMAX_FLAGS,
    .save = TD_SAVE_ALL_IN,
    .attr = {DIM_ATTR},
    .shape = log_softmax_grad_shape,
    .kernel = log_softmax_grad_kernel,
    .grad = log_softmax_grad_grad,
};
