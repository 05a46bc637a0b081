/* Views that reorder, drop or insert dimensions: permute, transpose, squeeze, unsqueeze. No element is
 * moved. */
#include "vm/grad.h"

/* ---- permute ---- */

static int permute_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin;
    const td_attr *dims = &a->v[0];
    if (dims->n != in->shape.ndim)
        return td_fail(err, TD_E_ARGUMENT, "permute",
                       "%d dimensions named of a tensor with %d", dims->n,
                       in->shape.ndim);
    out->dtype = in->dtype;
    out->shape.ndim = dims->n;
    for (int i = 0; i < dims->n; i++) out->shape.dim[i] = in->shape.dim[dims->list[i]];
    return 0;
}

static int permute_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                        int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)copy;
    for (int i = 0; i < to->ndim; i++) stride[i] = x->stride[a->v[0].list[i]];
    *offset = x->offset;
    return 0;
}

static int permute_grad(td_grad *g) {
    const td_attr *dims = &g->attrs->v[0];
    int64_t back[TD_MAX_DIM];
    for (int i = 0; i < dims->n; i++) back[dims->list[i]] = i;
    td_attrs at = {0};
    td_attr_set_list(&at, 0, TD_ATTR_DIMS, back, dims->n);
    g->gin[0] = g_op(g, g->op, &at, 1, g->gout);
    return 0;
}

TD_OP(permute) = {
    .name = "permute",
    .doc = "A view with the dimensions in another order.\n\n"
           "  dims  every dimension of the tensor, each once\n\n"
           "  tide.zeros(2, 3, 4):permute(3, 1, 2):size(1)  --> 4",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "dims", .kind = TD_ATTR_DIMS, .required = true}},
    .shape = permute_shape,
    .view = permute_view,
    .grad = permute_grad,
};

/* ---- transpose ---- */

static int transpose_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                           td_err *err) {
    (void)nin, (void)err;
    int64_t i = a->v[0].i, j = a->v[1].i;
    out->dtype = in->dtype;
    out->shape = in->shape;
    out->shape.dim[i] = in->shape.dim[j];
    out->shape.dim[j] = in->shape.dim[i];
    return 0;
}

static int transpose_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                          int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)copy;
    int64_t i = a->v[0].i, j = a->v[1].i;
    for (int k = 0; k < to->ndim; k++) stride[k] = x->stride[k];
    stride[i] = x->stride[j];
    stride[j] = x->stride[i];
    *offset = x->offset;
    return 0;
}

static int transpose_grad(td_grad *g) {
    g->gin[0] = g_op(g, g->op, g->attrs, 1, g->gout);
    return 0;
}

TD_OP(transpose) = {
    .name = "transpose",
    .doc = "A view with two dimensions exchanged.\n\n"
           "  dim1, dim2  the two\n\n"
           "  tide.zeros(2, 3):transpose(1, 2):size(1)  --> 3",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "dim1", .kind = TD_ATTR_DIM, .required = true},
             {.name = "dim2", .kind = TD_ATTR_DIM, .required = true}},
    .shape = transpose_shape,
    .view = transpose_view,
    .grad = transpose_grad,
};

/* ---- squeeze ---- */

/* Is dimension i to go? Named ones go when their size is 1; none named means all. */
static bool is_squeezed(const td_shape *s, const td_attr *dims, int i) {
    if (s->dim[i] != 1) return false;
    bool named = dims->n == 0;
    for (int k = 0; k < dims->n; k++) named |= dims->list[k] == i;
    return named;
}

static int squeeze_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin, (void)err;
    out->dtype = in->dtype;
    out->shape.ndim = 0;
    for (int i = 0; i < in->shape.ndim; i++)
        if (!is_squeezed(&in->shape, &a->v[0], i))
            out->shape.dim[out->shape.ndim++] = in->shape.dim[i];
    return 0;
}

static int squeeze_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                        int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)to, (void)copy;
    int n = 0;
    for (int i = 0; i < x->shape.ndim; i++)
        if (!is_squeezed(&x->shape, &a->v[0], i)) stride[n++] = x->stride[i];
    *offset = x->offset;
    return 0;
}

static int back_to_input_shape(td_grad *g) {
    g->gin[0] = g_reshape(g, g->gout[0], &g->in_meta[0].shape);
    return 0;
}

TD_OP(squeeze) = {
    .name = "squeeze",
    .doc = "A view without the dimensions of size 1.\n\n"
           "  dims  only these, as far as their size is 1 (default: every one)\n\n"
           "  tide.zeros(1, 3, 1):squeeze():dim()  --> 1\n"
           "  tide.zeros(1, 3, 1):squeeze(1):dim()  --> 2",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "dims", .kind = TD_ATTR_DIMS}},
    .shape = squeeze_shape,
    .view = squeeze_view,
    .grad = back_to_input_shape,
};

/* ---- unsqueeze ---- */

static int unsqueeze_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                           td_err *err) {
    (void)nin;
    if (in->shape.ndim == TD_MAX_DIM)
        return td_fail(err, TD_E_LIMIT, "unsqueeze", "a tensor has at most %d dimensions",
                       TD_MAX_DIM);
    int at = (int)a->v[0].i;
    out->dtype = in->dtype;
    out->shape.ndim = in->shape.ndim + 1;
    for (int i = 0; i < out->shape.ndim; i++)
        out->shape.dim[i] = i == at ? 1 : in->shape.dim[i > at ? i - 1 : i];
    return 0;
}

static int unsqueeze_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                          int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)copy;
    int at = (int)a->v[0].i;
    for (int i = 0; i < to->ndim; i++) {
        if (i != at)
            stride[i] = x->stride[i > at ? i - 1 : i];
        else /* any stride would do: this one keeps a contiguous tensor plainly so */
            stride[i] = at < x->shape.ndim ? x->stride[at] * x->shape.dim[at] : 1;
    }
    *offset = x->offset;
    return 0;
}

TD_OP(unsqueeze) = {
    .name = "unsqueeze",
    .doc = "A view with a dimension of size 1 put in.\n\n"
           "  dim  where it will stand: 1 is in front, -1 behind the last\n\n"
           "  tide.zeros(2, 3):unsqueeze(2):size(2)  --> 1",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "dim", .kind = TD_ATTR_NEWDIM, .required = true}},
    .shape = unsqueeze_shape,
    .view = unsqueeze_view,
    .grad = back_to_input_shape,
};
