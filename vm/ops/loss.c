/* nll_loss: cross entropy once probabilities are logarithms. Other losses are composed of other ops. */
#include "runtime/dense.h"
#include "runtime/kernels/nll.h"
#include "runtime/scratch.h"
#include "vm/grad.h"
#include "vm/ops/position.h"

TD_OP_USE(nll_loss);
TD_OP_USE(nll_loss_grad);

enum { NONE, MEAN, SUM }; /* of the attribute reduction */

/* logp is [N, C], [N, C, ...], or one line [C]; the labels have its shape without C. */
static int class_dim(const td_shape *logp) { return logp->ndim == 1 ? 0 : 1; }

static td_shape label_shape(const td_shape *logp) {
    td_shape s = *logp;
    s.ndim--;
    for (int i = class_dim(logp); i < s.ndim; i++) s.dim[i] = logp->dim[i + 1];
    return s;
}

static int check_shapes(const char *call, const td_shape *logp, const td_meta *label,
                        int64_t reduction, td_err *err) {
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT], c[TD_SHAPE_TEXT];
    int rc = td_labels_dtype(call, label->dtype, err);
    if (rc) return rc;
    if (logp->ndim == 0)
        return td_fail(err, TD_E_SHAPE, call, "wants NxC numbers, got a scalar");
    td_shape want = label_shape(logp);
    if (!td_shape_equal(&want, &label->shape))
        return td_fail(err, TD_E_SHAPE, call, "%s wants %s labels, got %s",
                       td_shape_text(logp, a), td_shape_text(&want, b),
                       td_shape_text(&label->shape, c));
    if (reduction < NONE || reduction > SUM)
        return td_fail(err, TD_E_VALUE, call,
                       "reduction is 0 (none), 1 (mean) or 2 (sum), got %lld",
                       (long long)reduction);
    return 0;
}

/* Sizes of [outer, classes, inner], as which the contiguous logp is walked. */
static td_nll lines_of(td_dtype t, const td_shape *logp, int64_t reduction) {
    int dim = class_dim(logp);
    td_nll l = {.t = t, .outer = 1, .classes = logp->dim[dim], .inner = 1};
    for (int i = 0; i < dim; i++) l.outer *= logp->dim[i];
    for (int i = dim + 1; i < logp->ndim; i++) l.inner *= logp->dim[i];
    double lines = (double)(l.outer * l.inner);
    l.scale = reduction == MEAN ? lines : 1;
    l.each = reduction == NONE;
    return l;
}

/* The labels as contiguous i64. */
static int take_labels(td_dense *d, td_tensor *labels, td_err *err) {
    if (labels->dtype == TD_I64) return td_dense_take(d, labels, TD_ORDER_ROWS, err);
    size_t bytes = (size_t)td_tensor_numel(labels) * sizeof(int64_t);
    *d = (td_dense){.scratch = td_scratch_take(bytes, err)};
    d->data = d->scratch;
    if (d->data == NULL) return TD_E_MEMORY;
    td_storage room = {.data = d->data, .bytes = bytes};
    td_tensor copy = {.dtype = TD_I64, .shape = labels->shape, .storage = &room};
    td_shape_strides(&labels->shape, copy.stride);
    td_tensor_copy(&copy, labels);
    return 0;
}

/* ---- nll_loss ---- */

static int nll_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin;
    int rc = check_shapes("nll_loss", &in[0].shape, &in[1], a->v[0].i, err);
    out->dtype = in[0].dtype;
    if (rc == 0 && a->v[0].i == NONE) out->shape = in[1].shape;
    return rc;
}

static int nll_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin, (void)a;
    return td_labels_check("nll_loss", in[1], in[0]->shape.dim[class_dim(&in[0]->shape)],
                           err);
}

static int nll_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    td_nll l = lines_of(in[0]->dtype, &in[0]->shape, a->v[0].i);
    td_dense logp = {0}, label = {0};
    int rc = td_dense_take(&logp, in[0], TD_ORDER_ROWS, err);
    if (rc == 0) rc = take_labels(&label, in[1], err);
    if (rc == 0) td_nll_run(&l, logp.data, label.data, td_tensor_data(out[0]));
    td_dense_give(&label);
    td_dense_give(&logp);
    return rc;
}

static int nll_grad(td_grad *g) {
    td_attrs at = {0};
    td_attr_set_sizes(&at, 0, &g->in_meta[0].shape);
    td_attr_set_i(&at, 1, TD_ATTR_INT, g->attrs->v[0].i);
    td_val *in[2] = {g->gout[0], g->in[1]};
    g->gin[0] = g_op(g, &td_op_nll_loss_grad, &at, 2, in);
    return 0;
}

TD_OP(nll_loss) = {
    .name = "nll_loss",
    .doc = "The negative log likelihood: minus the entry of each line that its label "
           "names.\n\n"
           "  logp       log probabilities, [N, C], [N, C, ...] or one line [C]\n"
           "  target     labels from 0, i64, of logp's shape without C\n"
           "  reduction  0: each loss; 1: their mean (default); 2: their sum\n\n"
           "  logp = tide.tensor{{-1, -2}, {-3, -4}}\n"
           "  F.nll_loss(logp, tide.tensor({0, 1}, {dtype = \"i64\"})):item()  --> 2.5",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .keep_dtype = 1 << 1,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "reduction", .kind = TD_ATTR_INT, .preset = MEAN}},
    .shape = nll_shape,
    .check = nll_check,
    .kernel = nll_kernel,
    .grad = nll_grad,
};

/* ---- nll_loss_grad: its adjoint ---- */

static int nll_grad_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                          td_err *err) {
    (void)nin;
    td_shape logp = td_attr_sizes(a, 0);
    size_t bytes;
    int rc = td_shape_bytes(&logp, in[0].dtype, &bytes, err);
    if (rc == 0) rc = check_shapes("nll_loss_grad", &logp, &in[1], a->v[1].i, err);
    if (rc) return rc;
    td_shape want = a->v[1].i == NONE ? in[1].shape : (td_shape){0};
    if (!td_shape_equal(&want, &in[0].shape)) {
        char got[TD_SHAPE_TEXT], wanted[TD_SHAPE_TEXT];
        return td_fail(err, TD_E_SHAPE, "nll_loss_grad", "wants a gradient of %s, got %s",
                       td_shape_text(&want, wanted), td_shape_text(&in[0].shape, got));
    }
    out->dtype = in[0].dtype;
    out->shape = logp;
    return 0;
}

static int nll_grad_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin;
    return td_labels_check("nll_loss_grad", in[1], a->v[0].list[a->v[0].n == 1 ? 0 : 1],
                           err);
}

static int nll_grad_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                           td_tensor *const *out, td_err *err) {
    (void)nin;
    td_nll l = lines_of(out[0]->dtype, &out[0]->shape, a->v[1].i);
    td_dense g = {0}, label = {0};
    int rc = td_dense_take(&g, in[0], TD_ORDER_ROWS, err);
    if (rc == 0) rc = take_labels(&label, in[1], err);
    if (rc == 0) td_nll_grad(&l, g.data, label.data, td_tensor_data(out[0]));
    td_dense_give(&label);
    td_dense_give(&g);
    return rc;
}

static int nll_grad_grad(td_grad *g) {
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_INT, g->attrs->v[1].i);
    td_val *in[2] = {g->gout[0], g->in[1]};
    g->gin[0] = g_op(g, &td_op_nll_loss, &at, 2, in);
    return 0;
}

TD_OP(nll_loss_grad) = {
    .name = "nll_loss_grad",
    .doc = "The gradient of nll_loss with respect to logp: used by backward.\n\n"
           "  g          gradient of the loss\n"
           "  target     labels from 0\n"
           "  sizes      logp's sizes\n"
           "  reduction  as of nll_loss",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .keep_dtype = 1 << 1,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true},
             {.name = "reduction", .kind = TD_ATTR_INT, .preset = MEAN}},
    .shape = nll_grad_shape,
    .check = nll_grad_check,
    .kernel = nll_grad_kernel,
    .grad = nll_grad_grad,
};
