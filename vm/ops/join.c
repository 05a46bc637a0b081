/* cat and flip: elements of tensors put one after the other, or in reverse. */
#include "vm/grad.h"

TD_OP_USE(narrow);

/* ---- cat ---- */

static int cat_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    if (in[0].shape.ndim == 0) {
        td_fail(err, TD_E_SHAPE, "cat", "scalars have no dimension to join along");
        td_hint(err, "tide.stack makes one");
        return TD_E_SHAPE;
    }
    int dim = (int)a->v[0].i;
    out->dtype = in[0].dtype;
    out->shape = in[0].shape;
    for (int i = 1; i < nin; i++) {
        td_shape like = in[i].shape;
        if (like.ndim == in[0].shape.ndim) like.dim[dim] = in[0].shape.dim[dim];
        if (!td_shape_equal(&like, &in[0].shape)) {
            char first[TD_SHAPE_TEXT], other[TD_SHAPE_TEXT];
            return td_fail(err, TD_E_SHAPE, "cat",
                           "tensor %d is %s, which does not join %s along dimension %d",
                           i + 1, td_shape_text(&in[i].shape, other),
                           td_shape_text(&in[0].shape, first), dim + 1);
        }
        if (__builtin_add_overflow(out->shape.dim[dim], in[i].shape.dim[dim],
                                   &out->shape.dim[dim]))
            return td_fail(err, TD_E_LIMIT, "cat", "dimension %d grows too large",
                           dim + 1);
    }
    return 0;
}

static int cat_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    int dim = (int)a->v[0].i;
    td_tensor *y = out[0];
    int64_t offset = y->offset;
    for (int i = 0; i < nin; i++) {
        td_tensor *part = td_tensor_view(y, &in[i]->shape, y->stride, offset, err);
        if (part == NULL) return TD_E_MEMORY;
        td_tensor_copy(part, in[i]);
        td_tensor_unref(&part);
        offset += in[i]->shape.dim[dim] * y->stride[dim];
    }
    return 0;
}

static int cat_grad(td_grad *g) {
    int64_t dim = g->attrs->v[0].i, start = 0;
    for (int i = 0; i < g->nin; i++) {
        int64_t length = g->in_meta[i].shape.dim[dim];
        if (g->need[i]) {
            td_attrs at = {0};
            td_attr_set_i(&at, 0, TD_ATTR_DIM, dim);
            td_attr_set_i(&at, 1, TD_ATTR_POS, start);
            td_attr_set_i(&at, 2, TD_ATTR_INT, length);
            g->gin[i] = g_op(g, &td_op_narrow, &at, 1, g->gout);
        }
        start += length;
    }
    return 0;
}

TD_OP(cat) = {
    .name = "cat",
    .doc = "Tensors put one after the other along a dimension.\n\n"
           "  tensors  a table of them; their other sizes must agree\n"
           "  dim      the dimension (default 1)\n\n"
           "  tide.cat({tide.zeros(2, 3), tide.ones(2, 1)}, 2):size(2)  --> 4",
    .nin = -1,
    .nout = 1,
    .flags = TD_OP_FUNCTION | TD_OP_PROMOTE,
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .preset = 0}},
    .shape = cat_shape,
    .kernel = cat_kernel,
    .grad = cat_grad,
};

/* ---- flip ---- */

/* A copy of a view whose steps along the dimensions are negative. */
static int flip_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)nin;
    const td_tensor *x = in[0];
    const td_attr *dims = &a->v[0];
    if (td_tensor_numel(x) == 0) return 0;
    int64_t stride[TD_MAX_DIM], offset = x->offset;
    for (int i = 0; i < x->shape.ndim; i++) {
        bool named = dims->n == 0;
        for (int k = 0; k < dims->n; k++) named |= dims->list[k] == i;
        stride[i] = named ? -x->stride[i] : x->stride[i];
        if (named) offset += (x->shape.dim[i] - 1) * x->stride[i];
    }
    td_tensor *turned = td_tensor_view(x, &x->shape, stride, offset, err);
    if (turned == NULL) return TD_E_MEMORY;
    td_tensor_copy(out[0], turned);
    td_tensor_unref(&turned);
    return 0;
}

static int flip_grad(td_grad *g) {
    g->gin[0] = g_op(g, g->op, g->attrs, 1, g->gout);
    return 0;
}

TD_OP(flip) = {
    .name = "flip",
    .doc = "A copy with the entries of some dimensions in reverse order.\n\n"
           "  dims  the dimensions (default: all)\n\n"
           "  tide.arange(1, 3):flip(1)[1]:item()  --> 3.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD,
    .attr = {{.name = "dims", .kind = TD_ATTR_DIMS}},
    .shape = td_shape_same,
    .kernel = flip_kernel,
    .grad = flip_grad,
};
