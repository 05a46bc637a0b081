/* narrow and select: views of a part of a tensor; and pad, which puts values round one and is what
 * their gradients are made of. */
#include "vm/grad.h"

#include "runtime/loop.h"
#include "vm/ops/position.h"

TD_OP_USE(pad);
TD_OP_USE(narrow);
TD_OP_USE(unsqueeze);

/* Zeros round a gradient so that it fills the input's size along dim again. */
static td_val *pad_back(td_grad *g, td_val *v, int dim, int64_t start, int64_t length) {
    const td_shape *whole = &g->in_meta[0].shape;
    int64_t before[TD_MAX_DIM] = {0}, after[TD_MAX_DIM] = {0};
    before[dim] = start;
    after[dim] = whole->dim[dim] - start - length;
    td_attrs at = {0};
    td_attr_set_list(&at, 0, TD_ATTR_INTS, before, whole->ndim);
    td_attr_set_list(&at, 1, TD_ATTR_INTS, after, whole->ndim);
    return g_op(g, &td_op_pad, &at, 1, &v);
}

/* ---- narrow ---- */

static int narrow_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    int dim = (int)a->v[0].i;
    int64_t start = a->v[1].i, length = a->v[2].i, size = in->shape.dim[dim];
    if (length < 0)
        return td_fail(err, TD_E_VALUE, "narrow", "a length of %lld is below 0",
                       (long long)length);
    int64_t at = start < 0 ? start + size : start;
    if (at < 0 || at > size || (at == size && length > 0))
        return td_position_resolve("narrow", start, dim, size, &at, err);
    if (length > size - at)
        return td_fail(err, TD_E_INDEX, "narrow",
                       "%lld entries from position %lld of dimension %d, which has %lld",
                       (long long)length, (long long)at + 1, dim + 1, (long long)size);
    a->v[1].i = at;
    out->dtype = in->dtype;
    out->shape = in->shape;
    out->shape.dim[dim] = length;
    return 0;
}

static int narrow_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                       int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)copy;
    for (int i = 0; i < to->ndim; i++) stride[i] = x->stride[i];
    *offset = x->offset + (to->dim[a->v[0].i] > 0 ? a->v[1].i * x->stride[a->v[0].i] : 0);
    return 0;
}

static int narrow_grad(td_grad *g) {
    const td_attr *v = g->attrs->v;
    g->gin[0] = pad_back(g, g->gout[0], (int)v[0].i, v[1].i, v[2].i);
    return 0;
}

TD_OP(narrow) = {
    .name = "narrow",
    .doc = "A view of some neighbouring entries of one dimension.\n\n"
           "  dim     the dimension\n"
           "  start   position of the first entry; negative ones count from the end\n"
           "  length  how many entries\n\n"
           "  tide.arange(1, 5):narrow(1, 2, 3):sum():item()  --> 9.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true},
             {.name = "start", .kind = TD_ATTR_POS, .required = true},
             {.name = "length", .kind = TD_ATTR_INT, .required = true}},
    .shape = narrow_shape,
    .view = narrow_view,
    .grad = narrow_grad,
};

/* ---- select ---- */

static int select_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    int dim = (int)a->v[0].i;
    int rc = td_position_resolve("select", a->v[1].i, dim, in->shape.dim[dim], &a->v[1].i,
                                 err);
    if (rc) return rc;
    out->dtype = in->dtype;
    out->shape.ndim = in->shape.ndim - 1;
    for (int i = 0; i < out->shape.ndim; i++)
        out->shape.dim[i] = in->shape.dim[i < dim ? i : i + 1];
    return 0;
}

static int select_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                       int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)copy;
    int dim = (int)a->v[0].i;
    for (int i = 0; i < to->ndim; i++) stride[i] = x->stride[i < dim ? i : i + 1];
    *offset = x->offset + a->v[1].i * x->stride[dim];
    return 0;
}

static int select_grad(td_grad *g) {
    const td_attr *v = g->attrs->v;
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_NEWDIM, v[0].i);
    td_val *with_dim = g_op(g, &td_op_unsqueeze, &at, 1, g->gout);
    g->gin[0] = pad_back(g, with_dim, (int)v[0].i, v[1].i, 1);
    return 0;
}

TD_OP(select) = {
    .name = "select",
    .doc = "A view of one entry of a dimension, which goes away.\n\n"
           "  dim    the dimension\n"
           "  index  position of the entry; -1 is the last\n\n"
           "  tide.arange(1, 5):select(1, -1):item()  --> 5.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true},
             {.name = "index", .kind = TD_ATTR_POS, .required = true}},
    .shape = select_shape,
    .view = select_view,
    .grad = select_grad,
};

/* ---- pad ---- */

static int pad_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin;
    const td_attr *before = &a->v[0], *after = &a->v[1];
    if (before->n != after->n)
        return td_fail(err, TD_E_ARGUMENT, "pad", "%d sizes before and %d after",
                       before->n, after->n);
    if (before->n > in->shape.ndim)
        return td_fail(err, TD_E_ARGUMENT, "pad",
                       "sizes for %d dimensions of a tensor with %d", before->n,
                       in->shape.ndim);
    out->dtype = in->dtype;
    out->shape = in->shape;
    int lead = in->shape.ndim - before->n;
    for (int i = 0; i < before->n; i++) {
        int64_t *size = &out->shape.dim[lead + i];
        if (before->list[i] < 0 || after->list[i] < 0)
            return td_fail(
                err, TD_E_VALUE, "pad", "%lld and %lld for dimension %d: below 0",
                (long long)before->list[i], (long long)after->list[i], lead + i + 1);
        if (__builtin_add_overflow(*size, before->list[i], size) ||
            __builtin_add_overflow(*size, after->list[i], size))
            return td_fail(err, TD_E_LIMIT, "pad", "dimension %d grows too large",
                           lead + i + 1);
    }
    return 0;
}

static int pad_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin;
    const td_tensor *x = in[0];
    td_tensor *y = out[0];
    td_tensor *value = td_tensor_from_f64(y->dtype, a->v[2].f, err);
    if (value == NULL) return TD_E_MEMORY;
    td_tensor_copy(y, value);
    td_tensor_unref(&value);
    int lead = x->shape.ndim - a->v[0].n;
    int64_t offset = y->offset;
    for (int i = 0; i < a->v[0].n; i++) offset += a->v[0].list[i] * y->stride[lead + i];
    td_tensor *middle = td_tensor_view(y, &x->shape, y->stride, offset, err);
    if (middle == NULL) return TD_E_MEMORY;
    td_tensor_copy(middle, x);
    td_tensor_unref(&middle);
    return 0;
}

static int pad_grad(td_grad *g) {
    const td_attr *before = &g->attrs->v[0], *after = &g->attrs->v[1];
    const td_shape *inner = &g->in_meta[0].shape;
    int lead = inner->ndim - before->n;
    td_val *v = g->gout[0];
    for (int i = 0; i < before->n; i++) {
        if (before->list[i] == 0 && after->list[i] == 0) continue;
        td_attrs at = {0};
        td_attr_set_i(&at, 0, TD_ATTR_DIM, lead + i);
        td_attr_set_i(&at, 1, TD_ATTR_POS, before->list[i]);
        td_attr_set_i(&at, 2, TD_ATTR_INT, inner->dim[lead + i]);
        v = g_op(g, &td_op_narrow, &at, 1, &v);
    }
    g->gin[0] = v;
    return 0;
}

TD_OP(pad) = {
    .name = "pad",
    .doc = "A copy with a border of one value.\n\n"
           "  before  entries put in front of each of the last dimensions: {2, 1} names "
           "the last two\n"
           "  after   entries put behind; as many numbers as before\n"
           "  value   what they are (default 0)\n\n"
           "  tide.pad(tide.ones(2, 2), {0, 1}, {0, 2}):size(2)  --> 5",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_FUNCTION,
    .attr = {{.name = "before", .kind = TD_ATTR_INTS, .required = true},
             {.name = "after", .kind = TD_ATTR_INTS, .required = true},
             {.name = "value", .kind = TD_ATTR_FLOAT}},
    .shape = pad_shape,
    .kernel = pad_kernel,
    .grad = pad_grad,
};
