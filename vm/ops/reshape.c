/* reshape and expand: the same elements under other sizes. Both are views; reshape copies only when no
 * strides can say what is wanted. */
#include "vm/grad.h"

/* ---- reshape ---- */

/* Works out the one size that may be -1. */
static int complete_sizes(const td_meta *in, td_shape *to, td_err *err) {
    int unknown = -1;
    td_shape rest = *to;
    for (int i = 0; i < to->ndim; i++) {
        if (to->dim[i] >= 0) continue;
        if (to->dim[i] != -1)
            return td_fail(err, TD_E_SHAPE, "reshape", "a size of %lld is below 0",
                           (long long)to->dim[i]);
        if (unknown >= 0)
            return td_fail(err, TD_E_SHAPE, "reshape",
                           "only one size may be -1, %d and %d are", unknown + 1, i + 1);
        unknown = i;
        rest.dim[i] = 1;
    }
    size_t bytes;
    int rc = td_shape_bytes(&rest, in->dtype, &bytes, err);
    if (rc || unknown < 0) return rc;
    int64_t known = td_shape_numel(&rest), all = td_shape_numel(&in->shape);
    if (known == 0)
        return td_fail(err, TD_E_SHAPE, "reshape",
                       "a -1 beside a size of 0 could stand for anything");
    if (all % known == 0) to->dim[unknown] = all / known;
    return 0;
}

static int reshape_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin;
    td_shape to = td_attr_sizes(a, 0);
    int rc = complete_sizes(in, &to, err);
    if (rc) return rc;
    if (td_shape_numel(&to) != td_shape_numel(&in->shape)) {
        char from_text[TD_SHAPE_TEXT], to_text[TD_SHAPE_TEXT];
        return td_fail(err, TD_E_SHAPE, "reshape", "%s does not go into %s",
                       td_shape_text(&in->shape, from_text), td_shape_text(&to, to_text));
    }
    td_attr_set_sizes(a, 0, &to);
    out->dtype = in->dtype;
    out->shape = to;
    return 0;
}

/* Goes through the sizes of both sides in groups that hold equally many elements. A group of the old
 * side must lie evenly in memory; the strides of the new side then follow from its last one. */
static int reshape_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                        int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)a;
    *offset = x->offset;
    td_shape_strides(to, stride);
    if (td_tensor_numel(x) == 0 || td_tensor_is_contiguous(x)) return 0;
    int64_t old_dim[TD_MAX_DIM], old_stride[TD_MAX_DIM];
    int old_n = 0;
    for (int i = 0; i < x->shape.ndim; i++) {
        if (x->shape.dim[i] == 1) continue;
        old_dim[old_n] = x->shape.dim[i];
        old_stride[old_n++] = x->stride[i];
    }
    int old_at = 0, new_at = 0;
    while (old_at < old_n) {
        int old_end = old_at + 1, new_end = new_at + 1;
        int64_t old_count = old_dim[old_at], new_count = to->dim[new_at];
        while (old_count != new_count) {
            if (new_count < old_count)
                new_count *= to->dim[new_end++];
            else
                old_count *= old_dim[old_end++];
        }
        for (int i = old_at; i + 1 < old_end; i++) {
            if (old_stride[i] == old_dim[i + 1] * old_stride[i + 1]) continue;
            *copy = true;
            return 0;
        }
        int64_t step = old_stride[old_end - 1];
        for (int i = new_end - 1; i >= new_at; i--) {
            stride[i] = step;
            step *= to->dim[i];
        }
        old_at = old_end;
        new_at = new_end;
    }
    return 0;
}

static int reshape_grad(td_grad *g) {
    g->gin[0] = g_reshape(g, g->gout[0], &g->in_meta[0].shape);
    return 0;
}

TD_OP(reshape) = {
    .name = "reshape",
    .doc = "The same elements, in the same order, under other sizes.\n\n"
           "  sizes  their product must be the number of elements; one may be -1 and is "
           "worked out\n\n"
           "A view where the layout in memory allows it, else a copy.\n\n"
           "  tide.zeros(2, 6):reshape(3, -1):size(2)  --> 4",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true}},
    .shape = reshape_shape,
    .view = reshape_view,
    .grad = reshape_grad,
};

/* ---- expand ---- */

static int expand_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    td_shape to = td_attr_sizes(a, 0);
    int lead = to.ndim - in->shape.ndim;
    for (int i = 0; i < to.ndim; i++) {
        if (to.dim[i] >= 0) continue;
        if (to.dim[i] != -1)
            return td_fail(err, TD_E_SHAPE, "expand", "a size of %lld is below 0",
                           (long long)to.dim[i]);
        if (i < lead)
            return td_fail(err, TD_E_SHAPE, "expand",
                           "size %d is -1, but a new dimension has no size to keep",
                           i + 1);
        if (lead >= 0) to.dim[i] = in->shape.dim[i - lead];
    }
    bool fits = lead >= 0;
    for (int i = 0; fits && i < in->shape.ndim; i++)
        fits = in->shape.dim[i] == 1 || in->shape.dim[i] == to.dim[lead + i];
    if (!fits) {
        char from_text[TD_SHAPE_TEXT], to_text[TD_SHAPE_TEXT];
        return td_fail(err, TD_E_SHAPE, "expand", "%s does not expand to %s",
                       td_shape_text(&in->shape, from_text), td_shape_text(&to, to_text));
    }
    td_attr_set_sizes(a, 0, &to);
    out->dtype = in->dtype;
    out->shape = to;
    return 0;
}

static int expand_view(const td_tensor *x, const td_attrs *a, const td_shape *to,
                       int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy) {
    (void)a, (void)copy;
    int lead = to->ndim - x->shape.ndim;
    for (int i = 0; i < to->ndim; i++) {
        bool repeated = i < lead || (x->shape.dim[i - lead] == 1 && to->dim[i] != 1);
        stride[i] = repeated ? 0 : x->stride[i - lead];
    }
    *offset = x->offset;
    return 0;
}

/* The sum over the repeated dimensions is the caller's. */
static int expand_grad(td_grad *g) {
    g->gin[0] = g->gout[0];
    return 0;
}

TD_OP(expand) = {
    .name = "expand",
    .doc =
        "Repeats dimensions of size 1, and puts new ones in front, without copying.\n\n"
        "  sizes  as many as the tensor has dimensions, or more; -1 keeps a size\n\n"
        "  tide.arange(1, 3):expand(2, -1):sum():item()  --> 12.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_VIEW,
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true}},
    .shape = expand_shape,
    .view = expand_view,
    .grad = expand_grad,
};
