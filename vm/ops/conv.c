/* conv2d and its two adjoints. Each of the three is linear in both of its inputs, and the gradient of one
 * is another, so derivatives of any order come from these rules:
 *
 *     <u, conv2d(x, w)> = <conv2d_input(u, w), x> = <conv2d_weight(u, x), w>
 */
#include <stdio.h>
#include <string.h>

#include "runtime/dense.h"
#include "runtime/kernels/conv.h"
#include "runtime/scratch.h"
#include "vm/grad.h"
#include "vm/ops/conv.h"

TD_OP_USE(conv2d);
TD_OP_USE(conv2d_input);
TD_OP_USE(conv2d_weight);

/* ---- attributes ---- */

#define WINDOW_ATTRS                                                                     \
    {.name = "stride", .kind = TD_ATTR_INTS, .preset = 1, .count = 2},                   \
        {.name = "padding", .kind = TD_ATTR_INTS, .preset = 0, .count = 2},              \
        {.name = "dilation", .kind = TD_ATTR_INTS, .preset = 1, .count = 2}, {           \
        .name = "groups", .kind = TD_ATTR_INT, .preset = 1                               \
    }

enum { WINDOW_COUNT = 4 }; /* attributes of that */

/* The same window as g's op has, for an op that has its own from `to` on. */
static td_attrs window_of(const td_grad *g, int from, int to) {
    td_attrs at = {0};
    for (int i = 0; i < WINDOW_COUNT; i++) at.v[to + i] = g->attrs->v[from + i];
    return at;
}

static int check_ints(const char *call, const char *name, const td_attr *a, int64_t least,
                      td_err *err) {
    for (int i = 0; i < 2; i++)
        if (a->list[i] < least || a->list[i] > INT32_MAX)
            return td_fail(err, TD_E_VALUE, call, "%s %lld is %s %lld", name,
                           (long long)a->list[i], a->list[i] < least ? "below" : "above",
                           (long long)(a->list[i] < least ? least : INT32_MAX));
    return 0;
}

/* One side of the output. The sums fit: a size, twice a padding and a kernel times its dilation each
 * stay below 2^62. */
static int64_t out_size(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation) {
    int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

static int check_ranks(const char *call, const td_shape *x, const td_shape *w,
                       td_err *err) {
    char text[TD_SHAPE_TEXT];
    if (x->ndim != 4) {
        td_fail(err, TD_E_SHAPE, call, "wants images [N, C, H, W], got %s",
                td_shape_text(x, text));
        if (x->ndim == 3) td_hint(err, "a single image: x:unsqueeze(1)");
        return TD_E_SHAPE;
    }
    if (w->ndim != 4)
        return td_fail(err, TD_E_SHAPE, call, "wants weights [out, in, H, W], got %s",
                       td_shape_text(w, text));
    for (int i = 0; i < 4; i++)
        if (x->dim[i] > INT32_MAX || w->dim[i] > INT32_MAX)
            return td_fail(err, TD_E_LIMIT, call, "a size of %lld is above %d",
                           (long long)(x->dim[i] > INT32_MAX ? x->dim[i] : w->dim[i]),
                           INT32_MAX);
    return 0;
}

/* Judges images, weights and window together, and works out all sizes. */
static int conv_sizes(const char *call, const td_shape *x, const td_shape *w,
                      const td_attr *window, td_conv *v, td_shape *y, td_err *err) {
    int rc = check_ranks(call, x, w, err);
    if (rc == 0) rc = check_ints(call, "stride", &window[0], 1, err);
    if (rc == 0) rc = check_ints(call, "padding", &window[1], 0, err);
    if (rc == 0) rc = check_ints(call, "dilation", &window[2], 1, err);
    if (rc) return rc;
    char text_x[TD_SHAPE_TEXT], text_w[TD_SHAPE_TEXT];
    int64_t groups = window[3].i;
    if (groups < 1 || w->dim[0] % groups != 0)
        return td_fail(err, TD_E_VALUE, call, "%lld filters do not go into %lld groups",
                       (long long)w->dim[0], (long long)groups);
    if (x->dim[1] % groups != 0 || x->dim[1] / groups != w->dim[1])
        return td_fail(
            err, TD_E_SHAPE, call,
            "images of %s and weights of %s with %lld group%s: %lld channels, not %lld",
            td_shape_text(x, text_x), td_shape_text(w, text_w), (long long)groups,
            groups == 1 ? "" : "s", (long long)x->dim[1],
            (long long)(w->dim[1] * groups));
    *v = (td_conv){.n = x->dim[0],
                   .groups = groups,
                   .c = w->dim[1],
                   .h = x->dim[2],
                   .w = x->dim[3],
                   .o = w->dim[0] / groups,
                   .kh = w->dim[2],
                   .kw = w->dim[3],
                   .sh = window[0].list[0],
                   .sw = window[0].list[1],
                   .ph = window[1].list[0],
                   .pw = window[1].list[1],
                   .dh = window[2].list[0],
                   .dw = window[2].list[1]};
    if (v->kh < 1 || v->kw < 1)
        return td_fail(err, TD_E_SHAPE, call,
                       "weights of %s have no elements to multiply with",
                       td_shape_text(w, text_w));
    v->oh = out_size(v->h, v->kh, v->sh, v->ph, v->dh);
    v->ow = out_size(v->w, v->kw, v->sw, v->pw, v->dw);
    if (v->oh < 1 || v->ow < 1) {
        char dilation[60] = "";
        if (v->dh > 1 || v->dw > 1)
            snprintf(dilation, sizeof dilation, " with dilation %lldx%lld",
                     (long long)v->dh, (long long)v->dw);
        return td_fail(
            err, TD_E_SHAPE, call,
            "a kernel of %lldx%lld%s does not fit into %lldx%lld with padding %lldx%lld",
            (long long)v->kh, (long long)v->kw, dilation, (long long)v->h,
            (long long)v->w, (long long)v->ph, (long long)v->pw);
    }
    *y = (td_shape){.ndim = 4, .dim = {v->n, w->dim[0], v->oh, v->ow}};
    return 0;
}

static bool is_empty(const td_conv *v) {
    return v->n == 0 || v->o == 0 || v->c == 0 || v->h == 0 || v->w == 0;
}

/* For the adjoints: the gradient must have the shape of the output that belongs to it. */
static int check_gradient(const char *call, const td_shape *got, const td_shape *want,
                          td_err *err) {
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    if (td_shape_equal(got, want)) return 0;
    return td_fail(err, TD_E_SHAPE, call, "wants a gradient of %s, got %s",
                   td_shape_text(want, a), td_shape_text(got, b));
}

/* ---- kernels ---- */

/* Where a result goes: into y itself, or into scratch from which write_out takes it. */
static int write_to(td_dense *d, td_tensor *y, td_order order, td_err *err) {
    *d = (td_dense){.data = td_tensor_data(y)};
    if (order == TD_ORDER_ROWS ? td_tensor_is_contiguous(y)
                               : td_tensor_is_channels_last(y))
        return 0;
    d->scratch =
        td_scratch_take((size_t)td_tensor_numel(y) * td_dtype_bytes(y->dtype), err);
    d->data = d->scratch;
    return d->scratch ? 0 : TD_E_MEMORY;
}

static void write_out(const td_dense *d, td_tensor *y, td_order order) {
    if (d->scratch == NULL) return;
    td_storage memory = {.data = d->scratch};
    td_tensor from = {.dtype = y->dtype, .shape = y->shape, .storage = &memory};
    td_shape_strides_in(&y->shape, order, from.stride);
    td_tensor_copy(y, &from);
}

/* Images from images and filters: conv2d and conv2d_input. */
static int run_images(const td_conv *v, td_conv_way way, td_tensor *const *in,
                      td_tensor *y, td_err *err) {
    td_dense images = {0}, weight = {0}, result = {0};
    void *filters = NULL;
    size_t bytes;
    int rc = td_conv_filters_bytes(v, y->dtype, way, &bytes, err);
    if (rc == 0) rc = td_dense_take(&images, in[0], TD_ORDER_CHANNELS, err);
    if (rc == 0) rc = td_dense_take(&weight, in[1], TD_ORDER_ROWS, err);
    if (rc == 0) rc = write_to(&result, y, TD_ORDER_CHANNELS, err);
    if (rc == 0 && (filters = td_scratch_take(bytes, err)) == NULL) rc = TD_E_MEMORY;
    if (rc == 0) td_conv_filters(v, y->dtype, way, weight.data, filters);
    if (rc == 0 && way == TD_CONV_FORWARD)
        rc = td_conv_forward(v, y->dtype, images.data, filters, NULL, false, result.data,
                             0, v->n, err);
    else if (rc == 0)
        rc = td_conv_input(v, y->dtype, images.data, filters, result.data, 0, v->n, err);
    if (rc == 0) write_out(&result, y, TD_ORDER_CHANNELS);
    td_scratch_give(filters);
    td_scratch_give(result.scratch);
    td_dense_give(&weight);
    td_dense_give(&images);
    return rc;
}

static int run_weight(const td_conv *v, td_tensor *const *in, td_tensor *y, td_err *err) {
    td_dense dy = {0}, x = {0}, result = {0};
    int rc = td_dense_take(&dy, in[0], TD_ORDER_CHANNELS, err);
    if (rc == 0) rc = td_dense_take(&x, in[1], TD_ORDER_CHANNELS, err);
    if (rc == 0) rc = write_to(&result, y, TD_ORDER_ROWS, err);
    if (rc == 0) rc = td_conv_weight(v, y->dtype, dy.data, x.data, result.data, err);
    if (rc == 0) write_out(&result, y, TD_ORDER_ROWS);
    td_scratch_give(result.scratch);
    td_dense_give(&x);
    td_dense_give(&dy);
    return rc;
}

/* No products to add: zeros. Outputs are dense. */
static int zeros(td_tensor *y) {
    memset(td_tensor_data(y), 0, (size_t)td_tensor_numel(y) * td_dtype_bytes(y->dtype));
    return 0;
}

/* A multiplication and an addition for each output and each element of its window, padding counted: of images
 * y made by filters w, and the same for both adjoints. */
static double window_work(const td_meta *y, const td_meta *w) {
    const int64_t *filter = w->shape.dim;
    return 2.0 * (double)td_shape_numel(&y->shape) * (double)filter[1] *
           (double)filter[2] * (double)filter[3];
}

/* ---- conv2d ---- */

static int conv2d_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    td_conv v;
    out->dtype = in[0].dtype;
    return conv_sizes("conv2d", &in[0].shape, &in[1].shape, &a->v[0], &v, &out->shape,
                      err);
}

static int conv2d_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin;
    td_conv v;
    td_shape y;
    int rc = conv_sizes("conv2d", &in[0]->shape, &in[1]->shape, &a->v[0], &v, &y, err);
    if (rc == 0 && is_empty(&v)) return zeros(out[0]);
    return rc ? rc : run_images(&v, TD_CONV_FORWARD, in, out[0], err);
}

static int conv2d_grad(td_grad *g) {
    td_attrs at = window_of(g, 0, 1);
    td_val *dy = g->gout[0];
    if (g->need[0]) {
        td_attr_set_sizes(&at, 0, &g->in_meta[0].shape);
        g->gin[0] = g_op(g, &td_op_conv2d_input, &at, 2, (td_val *[]){dy, g->in[1]});
    }
    if (g->need[1]) {
        td_attr_set_sizes(&at, 0, &g->in_meta[1].shape);
        g->gin[1] = g_op(g, &td_op_conv2d_weight, &at, 2, (td_val *[]){dy, g->in[0]});
    }
    return 0;
}

static double conv2d_work(const td_meta *in, int nin, const td_attrs *a,
                          const td_meta *out) {
    (void)nin, (void)a;
    return window_work(&out[0], &in[1]);
}

TD_OP(conv2d) = {
    .name = "conv2d",
    .doc =
        "Slides filters over images: each output is the sum of a window times the "
        "filter.\n\n"
        "  x         images [N, C, H, W]\n"
        "  weight    filters [out, C / groups, kernel height, kernel width]\n"
        "  stride    steps between windows, one number or {vertical, horizontal} "
        "(default 1)\n"
        "  padding   zeros put round the images (default 0)\n"
        "  dilation  distance between the elements of a window (default 1)\n"
        "  groups    parts into which channels and filters are split (default 1)\n\n"
        "  F.conv2d(tide.ones(1, 1, 4, 4), tide.ones(1, 1, 3, 3)):sum():item()  --> 36.0",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_CHANNELS,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .attr = {WINDOW_ATTRS},
    .shape = conv2d_shape,
    .kernel = conv2d_kernel,
    .work = conv2d_work,
    .grad = conv2d_grad,
};

/* ---- conv2d_input ---- */

static int input_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                       td_err *err) {
    (void)nin;
    td_conv v;
    td_shape x = td_attr_sizes(a, 0), y;
    size_t bytes;
    int rc = td_shape_bytes(&x, in[0].dtype, &bytes, err);
    if (rc == 0) rc = conv_sizes("conv2d_input", &x, &in[1].shape, &a->v[1], &v, &y, err);
    if (rc == 0) rc = check_gradient("conv2d_input", &in[0].shape, &y, err);
    out->dtype = in[0].dtype;
    out->shape = x;
    return rc;
}

static int input_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                        td_tensor *const *out, td_err *err) {
    (void)nin;
    td_conv v;
    td_shape y;
    int rc =
        conv_sizes("conv2d_input", &out[0]->shape, &in[1]->shape, &a->v[1], &v, &y, err);
    if (rc == 0 && is_empty(&v)) return zeros(out[0]);
    return rc ? rc : run_images(&v, TD_CONV_INPUT, in, out[0], err);
}

static int input_grad(td_grad *g) {
    td_val *u = g->gout[0];
    if (g->need[0]) {
        td_attrs at = window_of(g, 1, 0);
        g->gin[0] = g_op(g, &td_op_conv2d, &at, 2, (td_val *[]){u, g->in[1]});
    }
    if (g->need[1]) {
        td_attrs at = window_of(g, 1, 1);
        td_attr_set_sizes(&at, 0, &g->in_meta[1].shape);
        g->gin[1] = g_op(g, &td_op_conv2d_weight, &at, 2, (td_val *[]){g->in[0], u});
    }
    return 0;
}

static double input_work(const td_meta *in, int nin, const td_attrs *a,
                         const td_meta *out) {
    (void)nin, (void)a, (void)out;
    return window_work(&in[0], &in[1]);
}

TD_OP(conv2d_input) = {
    .name = "conv2d_input",
    .doc = "The gradient of conv2d with respect to its images (a transposed "
           "convolution).\n\n"
           "  g       gradient of the output, [N, out, H', W']\n"
           "  weight  the filters\n"
           "  sizes   of the images, [N, C, H, W]\n"
           "  stride, padding, dilation, groups  as of conv2d",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT | TD_OP_CHANNELS,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true}, WINDOW_ATTRS},
    .shape = input_shape,
    .kernel = input_kernel,
    .work = input_work,
    .grad = input_grad,
};

/* ---- conv2d_weight ---- */

static int weight_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    td_conv v;
    td_shape w = td_attr_sizes(a, 0), y;
    size_t bytes;
    int rc = td_shape_bytes(&w, in[0].dtype, &bytes, err);
    if (rc == 0)
        rc = conv_sizes("conv2d_weight", &in[1].shape, &w, &a->v[1], &v, &y, err);
    if (rc == 0) rc = check_gradient("conv2d_weight", &in[0].shape, &y, err);
    out->dtype = in[0].dtype;
    out->shape = w;
    return rc;
}

static int weight_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin;
    td_conv v;
    td_shape y;
    int rc =
        conv_sizes("conv2d_weight", &in[1]->shape, &out[0]->shape, &a->v[1], &v, &y, err);
    if (rc == 0 && is_empty(&v)) return zeros(out[0]);
    return rc ? rc : run_weight(&v, in, out[0], err);
}

static int weight_grad(td_grad *g) {
    td_val *u = g->gout[0];
    if (g->need[0]) {
        td_attrs at = window_of(g, 1, 0);
        g->gin[0] = g_op(g, &td_op_conv2d, &at, 2, (td_val *[]){g->in[1], u});
    }
    if (g->need[1]) {
        td_attrs at = window_of(g, 1, 1);
        td_attr_set_sizes(&at, 0, &g->in_meta[1].shape);
        g->gin[1] = g_op(g, &td_op_conv2d_input, &at, 2, (td_val *[]){g->in[0], u});
    }
    return 0;
}

static double weight_work(const td_meta *in, int nin, const td_attrs *a,
                          const td_meta *out) {
    (void)nin, (void)a;
    return window_work(&in[0], &out[0]);
}

TD_OP(conv2d_weight) = {
    .name = "conv2d_weight",
    .doc = "The gradient of conv2d with respect to its filters.\n\n"
           "  g      gradient of the output, [N, out, H', W']\n"
           "  x      the images\n"
           "  sizes  of the filters, [out, C / groups, kernel height, kernel width]\n"
           "  stride, padding, dilation, groups  as of conv2d",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true}, WINDOW_ATTRS},
    .shape = weight_shape,
    .kernel = weight_kernel,
    .work = weight_work,
    .grad = weight_grad,
};

bool td_conv_of(const td_op *op, const td_tensor *x, const td_tensor *weight,
                const td_tensor *y, const td_attrs *attrs, td_conv *v) {
    td_err ignored;
    td_shape out;
    const bool is_forward = op == &td_op_conv2d;
    int rc = conv_sizes(op->name, is_forward ? &x->shape : &y->shape, &weight->shape,
                        &attrs->v[is_forward ? 0 : 1], v, &out, &ignored);
    return rc == 0 && !is_empty(v);
}
