/* softmax and log_softmax along a dimension. */
#include "runtime/kernels/softmax.h"

#include "runtime/loop.h"
#include "vm/grad.h"

TD_OP_USE(exp);
TD_OP_USE(sum);

typedef struct lines {
    td_dtype dtype;
    bool as_log;
    int64_t length, x_step, y_step; /* of a line; steps in bytes */
} lines;

static void run_lines(int64_t n, char *const *ptr, const int64_t *stride,
                      const void *ctx) {
    const lines *l = ctx;
    for (int64_t i = 0; i < n; i++)
        td_softmax_line(l->dtype, l->as_log, l->length, ptr[1] + i * stride[1], l->x_step,
                        ptr[0] + i * stride[0], l->y_step);
}

/* Walks over all dimensions but the named one, along which each line lies. */
static int softmax_of(td_tensor *x, td_tensor *y, int dim, bool as_log) {
    int64_t bytes = (int64_t)td_dtype_bytes(x->dtype);
    lines l = {.dtype = x->dtype,
               .as_log = as_log,
               .length = x->shape.dim[dim],
               .x_step = x->stride[dim] * bytes,
               .y_step = y->stride[dim] * bytes};
    td_shape rest = x->shape;
    int64_t x_stride[TD_MAX_DIM], y_stride[TD_MAX_DIM];
    for (int i = 0; i < rest.ndim; i++) {
        x_stride[i] = x->stride[i] * bytes;
        y_stride[i] = y->stride[i] * bytes;
    }
    rest.dim[dim] = 1;
    char *ptr[2] = {td_tensor_data(y), td_tensor_data(x)};
    const int64_t *stride[2] = {y_stride, x_stride};
    td_loop loop;
    td_loop_init_raw(&loop, &rest, ptr, stride, 2);
    if (l.length > 0) td_loop_run(&loop, run_lines, &l);
    return 0;
}

static td_val *sum_kept(td_grad *g, td_val *x) {
    td_attrs at = {0};
    int64_t dim = g->attrs->v[0].i;
    td_attr_set_list(&at, 0, TD_ATTR_DIMS, &dim, 1);
    td_attr_set_i(&at, 1, TD_ATTR_BOOL, 1);
    return g_op(g, &td_op_sum, &at, 1, &x);
}

static int softmax_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)nin, (void)err;
    return softmax_of(in[0], out[0], (int)a->v[0].i, false);
}

/* dx = y (g - sum(g y)) */
static int softmax_grad(td_grad *g) {
    td_val *y = g->out[0], *dy = g->gout[0];
    g->gin[0] = g_mul(g, y, g_sub(g, dy, sum_kept(g, g_mul(g, dy, y))));
    return 0;
}

TD_OP(softmax) = {
    .name = "softmax",
    .doc = "Numbers above 0 that sum to 1 along a dimension: exp(x) / sum(exp(x)).\n\n"
           "  dim  the dimension\n\n"
           "  (\"%.4f\"):format(tide.tensor{0, 1}:softmax(1)[2]:item())  --> 0.7311",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE | TD_OP_FLOAT,
    .save = TD_SAVE_OUT(0),
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true}},
    .shape = td_shape_same,
    .kernel = softmax_kernel,
    .grad = softmax_grad,
};

static int log_softmax_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                              td_tensor *const *out, td_err *err) {
    (void)nin, (void)err;
    return softmax_of(in[0], out[0], (int)a->v[0].i, true);
}

/* dx = g - exp(y) sum(g) */
static int log_softmax_grad(td_grad *g) {
    td_val *dy = g->gout[0];
    td_val *p = g_unary(g, &td_op_exp, g->out[0]);
    g->gin[0] = g_sub(g, dy, g_mul(g, p, sum_kept(g, dy)));
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
    .flags = TD_OP_METHOD | TD_OP_PROMOTE | TD_OP_FLOAT,
    .save = TD_SAVE_OUT(0),
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true}},
    .shape = td_shape_same,
    .kernel = log_softmax_kernel,
    .grad = log_softmax_grad,
};
