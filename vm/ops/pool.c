/* max_pool2d and avg_pool2d with their adjoints, which are ops so that gradients can be derived again. */
#include "runtime/kernels/pooling.h"

#include "runtime/dense.h"
#include "vm/grad.h"
#include "vm/ops/position.h"

TD_OP_USE(max_pool2d_grad);
TD_OP_USE(avg_pool2d);
TD_OP_USE(avg_pool2d_grad);
TD_OP_USE(gather);

/* ---- sizes ---- */

/* In which order to work: that of the output, and where it lies in both (of a single pixel, say) that of the
 * input. */
static bool is_channels_last(const td_tensor *out, const td_tensor *in) {
    bool rows = td_tensor_is_contiguous(out);
    if (rows && td_tensor_is_channels_last(out)) rows = td_tensor_is_contiguous(in);
    return !rows;
}

static td_order order_of(const td_pooling *p) {
    return p->channels_last ? TD_ORDER_CHANNELS : TD_ORDER_ROWS;
}

/* kernel, stride and padding are three attributes in a row. A stride of 0 becomes the kernel. */
static int pool_sizes(const char *call, const td_shape *x, td_attr *window, td_pooling *p,
                      td_shape *y, td_err *err) {
    char text[TD_SHAPE_TEXT];
    if (x->ndim != 4)
        return td_fail(err, TD_E_SHAPE, call, "wants images [N, C, H, W], got %s",
                       td_shape_text(x, text));
    int64_t out[2];
    for (int i = 0; i < 2; i++) {
        int64_t kernel = window[0].list[i], padding = window[2].list[i],
                size = x->dim[2 + i];
        if (window[1].list[i] == 0) window[1].list[i] = kernel;
        int64_t stride = window[1].list[i];
        if (kernel < 1 || kernel > INT32_MAX || stride < 1 || padding < 0) {
            bool of_kernel = kernel < 1 || kernel > INT32_MAX;
            const char *name = of_kernel ? "kernel" : stride < 1 ? "stride" : "padding";
            return td_fail(err, TD_E_VALUE, call, "%s %lld is out of range", name,
                           (long long)(of_kernel    ? kernel
                                       : stride < 1 ? stride
                                                    : padding));
        }
        if (padding > kernel / 2)
            return td_fail(err, TD_E_VALUE, call,
                           "padding %lld is more than half a kernel of %lld",
                           (long long)padding, (long long)kernel);
        if (size < 1 || size + 2 * padding < kernel)
            return td_fail(err, TD_E_SHAPE, call,
                           "a kernel of %lldx%lld does not fit into %lldx%lld with "
                           "padding %lldx%lld",
                           (long long)window[0].list[0], (long long)window[0].list[1],
                           (long long)x->dim[2], (long long)x->dim[3],
                           (long long)window[2].list[0], (long long)window[2].list[1]);
        out[i] = (size + 2 * padding - kernel) / stride + 1;
    }
    *p = (td_pooling){.images = x->dim[0],
                      .channels = x->dim[1],
                      .h = x->dim[2],
                      .w = x->dim[3],
                      .oh = out[0],
                      .ow = out[1],
                      .kh = window[0].list[0],
                      .kw = window[0].list[1],
                      .sh = window[1].list[0],
                      .sw = window[1].list[1],
                      .ph = window[2].list[0],
                      .pw = window[2].list[1]};
    *y = (td_shape){.ndim = 4, .dim = {x->dim[0], x->dim[1], out[0], out[1]}};
    return 0;
}

/* The same from a kernel, where the attributes have been completed. */
static td_pooling pooling_of(const td_tensor *x, const td_attr *window) {
    td_attr copy[3] = {window[0], window[1], window[2]};
    td_pooling p = {0};
    td_shape shape;
    td_err err;
    pool_sizes("", &x->shape, copy, &p, &shape, &err);
    return p;
}

static int want_shape(const char *call, const char *what, const td_shape *got,
                      const td_shape *want, td_err *err) {
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    if (td_shape_equal(got, want)) return 0;
    return td_fail(err, TD_E_SHAPE, call, "wants %s of %s, got %s", what,
                   td_shape_text(want, a), td_shape_text(got, b));
}

#define WINDOW_ATTRS                                                                     \
    {.name = "kernel", .kind = TD_ATTR_INTS, .required = true, .count = 2},              \
        {.name = "stride", .kind = TD_ATTR_INTS, .preset = 0, .count = 2}, {             \
        .name = "padding", .kind = TD_ATTR_INTS, .preset = 0, .count = 2                 \
    }

/* ---- max_pool2d ---- */

static int max_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin;
    td_pooling p;
    int rc = pool_sizes("max_pool2d", &in[0].shape, &a->v[0], &p, &out[0].shape, err);
    out[0].dtype = in[0].dtype;
    out[1].dtype = TD_I32;
    out[1].shape = out[0].shape;
    if (rc == 0 && in[0].shape.dim[2] > INT32_MAX / (in[0].shape.dim[3] + 1))
        return td_fail(err, TD_E_LIMIT, "max_pool2d",
                       "a plane of %lldx%lld has more than %d positions",
                       (long long)in[0].shape.dim[2], (long long)in[0].shape.dim[3],
                       INT32_MAX);
    return rc;
}

static int max_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    td_pooling p = pooling_of(in[0], &a->v[0]);
    p.channels_last = is_channels_last(out[0], in[0]);
    td_dense x;
    int rc = td_dense_take(&x, in[0], order_of(&p), err);
    if (rc == 0)
        td_max_pool(&p, in[0]->dtype, x.data, td_tensor_data(out[0]),
                    td_tensor_data(out[1]));
    td_dense_give(&x);
    return rc;
}

static int max_grad(td_grad *g) {
    td_attrs at = {0};
    td_attr_set_sizes(&at, 0, &g->in_meta[0].shape);
    g->gin[0] =
        g_op(g, &td_op_max_pool2d_grad, &at, 2, (td_val *[]){g->gout[0], g->out[1]});
    return 0;
}

TD_OP(max_pool2d) = {
    .name = "max_pool2d",
    .doc = "The largest element of each window of an image, and its position in the "
           "plane, i32.\n\n"
           "  x        images [N, C, H, W]\n"
           "  kernel   size of the window, one number or {vertical, horizontal}\n"
           "  stride   steps between windows (default: the kernel, so that they do not "
           "overlap)\n"
           "  padding  a border that is never taken; at most half of the kernel (default "
           "0)\n\n"
           "  F.max_pool2d(tide.arange(1, 16):reshape(1, 1, 4, 4), 2):sum():item()  --> "
           "44.0",
    .nin = 1,
    .nout = 2,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .save = TD_SAVE_OUT(1),
    .attr = {WINDOW_ATTRS},
    .shape = max_shape,
    .kernel = max_kernel,
    .grad = max_grad,
};

/* ---- max_pool2d_grad ---- */

static int max_grad_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                          td_err *err) {
    (void)nin;
    const char *call = "max_pool2d_grad";
    char g_text[TD_SHAPE_TEXT], x_text[TD_SHAPE_TEXT];
    size_t bytes;
    out->shape = td_attr_sizes(a, 0);
    int rc = td_shape_bytes(&out->shape, in[0].dtype, &bytes, err);
    if (rc) return rc;
    if (in[1].dtype != TD_I32)
        return td_fail(err, TD_E_DTYPE, call, "indices are i32, got %s",
                       td_dtype_name(in[1].dtype));
    const td_shape *g = &in[0].shape, *x = &out->shape;
    if (x->ndim != 4 || g->ndim != 4 || g->dim[0] != x->dim[0] || g->dim[1] != x->dim[1])
        return td_fail(err, TD_E_SHAPE, call,
                       "a gradient of %s does not belong to images of %s",
                       td_shape_text(g, g_text), td_shape_text(x, x_text));
    out->dtype = in[0].dtype;
    return want_shape(call, "indices", &in[1].shape, g, err);
}

static int max_grad_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin;
    int64_t plane = a->v[0].list[2] * a->v[0].list[3], bad;
    if (!td_finds_outside(in[1], 1, plane, &bad)) return 0;
    return td_fail(err, TD_E_INDEX, "max_pool2d_grad", "position %lld of a plane of %lld",
                   (long long)bad, (long long)plane);
}

static int max_grad_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                           td_tensor *const *out, td_err *err) {
    (void)nin, (void)a;
    const int64_t *x = out[0]->shape.dim, *y = in[0]->shape.dim;
    td_pooling p = {.images = x[0],
                    .channels = x[1],
                    .channels_last = is_channels_last(out[0], in[0]),
                    .h = x[2],
                    .w = x[3],
                    .oh = y[2],
                    .ow = y[3]};
    td_dense g, index = {0};
    int rc = td_dense_take(&g, in[0], order_of(&p), err);
    if (rc == 0) rc = td_dense_take(&index, in[1], order_of(&p), err);
    if (rc == 0)
        td_max_pool_back(&p, in[0]->dtype, g.data, index.data, td_tensor_data(out[0]));
    td_dense_give(&index);
    td_dense_give(&g);
    return rc;
}

/* Reads where the op itself has written: a gather along flat planes. */
static int max_grad_grad(td_grad *g) {
    const td_shape *y = &g->in_meta[0].shape, *x = &g->out_meta[0].shape;
    td_shape flat_x = {.ndim = 3, .dim = {x->dim[0], x->dim[1], x->dim[2] * x->dim[3]}};
    td_shape flat_y = {.ndim = 3, .dim = {y->dim[0], y->dim[1], y->dim[2] * y->dim[3]}};
    td_attrs dim = {0};
    td_attr_set_i(&dim, 0, TD_ATTR_DIM, 2);
    td_val *in[2] = {g_reshape(g, g->gout[0], &flat_x), g_reshape(g, g->in[1], &flat_y)};
    g->gin[0] = g_reshape(g, g_op(g, &td_op_gather, &dim, 2, in), y);
    return 0;
}

TD_OP(max_pool2d_grad) = {
    .name = "max_pool2d_grad",
    .doc = "The gradient of max_pool2d: puts each number where the largest element "
           "stood.\n\n"
           "  g        gradient of the output, [N, C, H', W']\n"
           "  indices  positions in each plane, as max_pool2d gave them\n"
           "  sizes    of the images",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .keep_dtype = 1 << 1,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true}},
    .shape = max_grad_shape,
    .check = max_grad_check,
    .kernel = max_grad_kernel,
    .grad = max_grad_grad,
};

/* ---- avg_pool2d ---- */

static int avg_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin;
    td_pooling p;
    out->dtype = in[0].dtype;
    return pool_sizes("avg_pool2d", &in[0].shape, &a->v[0], &p, &out->shape, err);
}

static int avg_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    td_pooling p = pooling_of(in[0], &a->v[0]);
    p.channels_last = is_channels_last(out[0], in[0]);
    p.count_pad = a->v[3].i;
    td_dense x;
    int rc = td_dense_take(&x, in[0], order_of(&p), err);
    if (rc == 0) td_avg_pool(&p, in[0]->dtype, x.data, td_tensor_data(out[0]));
    td_dense_give(&x);
    return rc;
}

static int avg_grad(td_grad *g) {
    td_attrs at = {0};
    td_attr_set_sizes(&at, 0, &g->in_meta[0].shape);
    for (int i = 0; i < 4; i++) at.v[1 + i] = g->attrs->v[i];
    g->gin[0] = g_op(g, &td_op_avg_pool2d_grad, &at, 1, g->gout);
    return 0;
}

TD_OP(avg_pool2d) = {
    .name = "avg_pool2d",
    .doc = "The mean of each window of an image.\n\n"
           "  x        images [N, C, H, W]\n"
           "  kernel   size of the window, one number or {vertical, horizontal}\n"
           "  stride   steps between windows (default: the kernel, so that they do not "
           "overlap)\n"
           "  padding  a border of zeros; at most half of the kernel (default 0)\n"
           "  count_include_pad  whether the border counts as elements (default true)\n\n"
           "  F.avg_pool2d(tide.ones(1, 1, 4, 4), 2):sum():item()  --> 4.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .attr = {WINDOW_ATTRS,
             {.name = "count_include_pad", .kind = TD_ATTR_BOOL, .preset = 1}},
    .shape = avg_shape,
    .kernel = avg_kernel,
    .grad = avg_grad,
};

/* ---- avg_pool2d_grad ---- */

static int avg_grad_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                          td_err *err) {
    (void)nin;
    td_pooling p;
    td_shape y;
    size_t bytes;
    out->shape = td_attr_sizes(a, 0);
    int rc = td_shape_bytes(&out->shape, in[0].dtype, &bytes, err);
    if (rc == 0) rc = pool_sizes("avg_pool2d_grad", &out->shape, &a->v[1], &p, &y, err);
    if (rc == 0) rc = want_shape("avg_pool2d_grad", "a gradient", &in[0].shape, &y, err);
    out->dtype = in[0].dtype;
    return rc;
}

static int avg_grad_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                           td_tensor *const *out, td_err *err) {
    (void)nin;
    td_pooling p = pooling_of(out[0], &a->v[1]);
    p.channels_last = is_channels_last(out[0], in[0]);
    p.count_pad = a->v[4].i;
    td_dense g;
    int rc = td_dense_take(&g, in[0], order_of(&p), err);
    if (rc == 0) td_avg_pool_back(&p, in[0]->dtype, g.data, td_tensor_data(out[0]));
    td_dense_give(&g);
    return rc;
}

static int avg_grad_grad(td_grad *g) {
    td_attrs at = {0};
    for (int i = 0; i < 4; i++) at.v[i] = g->attrs->v[1 + i];
    g->gin[0] = g_op(g, &td_op_avg_pool2d, &at, 1, g->gout);
    return 0;
}

TD_OP(avg_pool2d_grad) = {
    .name = "avg_pool2d_grad",
    .doc = "The gradient of avg_pool2d: spreads each number evenly over its window.\n\n"
           "  g      gradient of the output, [N, C, H', W']\n"
           "  sizes  of the images\n"
           "  kernel, stride, padding, count_include_pad  as of avg_pool2d",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_FOLLOWS,
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true},
             WINDOW_ATTRS,
             {.name = "count_include_pad", .kind = TD_ATTR_BOOL, .preset = 1}},
    .shape = avg_grad_shape,
    .kernel = avg_grad_kernel,
    .grad = avg_grad_grad,
};
