/* Copies of a tensor: in another dtype, for its own sake, or into another tensor. */
#include "runtime/kernels/convert.h"
#include "vm/grad.h"

/* ---- cast ---- */

static int cast_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    int rc = td_shape_same(in, nin, a, out, err);
    out[0].dtype = (td_dtype)a->v[0].i;
    return rc;
}

static td_inner *cast_inner(const td_meta *in, int nin, const td_attrs *a,
                            td_inner_args *args) {
    (void)nin, (void)args;
    return td_convert_inner((td_dtype)a->v[0].i, in[0].dtype);
}

/* dx = g: whoever calls casts it back to x's dtype. */
static int pass_grad(td_grad *g) {
    g->gin[0] = g->gout[0];
    return 0;
}

TD_OP(cast) = {
    .name = "cast",
    .doc = "A copy in another dtype. Floats become integers without their fraction; "
           "integers wrap.\n\n"
           "  dtype  \"f64\", \"f32\", \"f16\", \"bf16\", \"i64\", \"i32\", \"u8\" or "
           "\"bool\"\n\n"
           "  tide.tensor{1.5, 2.5}:cast(\"i64\"):sum():item()  --> 3",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_ELEMENTWISE,
    .attr = {{.name = "dtype", .kind = TD_ATTR_DTYPE, .required = true}},
    .shape = cast_shape,
    .inner = cast_inner,
    .grad = pass_grad,
};

/* ---- clone ---- */

static td_inner *clone_inner(const td_meta *in, int nin, const td_attrs *a,
                             td_inner_args *args) {
    (void)nin, (void)a, (void)args;
    return td_convert_inner(in[0].dtype, in[0].dtype);
}

TD_OP(clone) = {
    .name = "clone",
    .doc = "A copy with memory of its own; gradients flow back through it.\n\n"
           "  x = tide.tensor{1, 2}\n"
           "  y = x:clone()\n"
           "  y[1] = 5\n"
           "  x:sum():item()  --> 3.0",
    .nin = 1,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_ELEMENTWISE,
    .shape = td_shape_same,
    .inner = clone_inner,
    .grad = pass_grad,
};

/* ---- assign ---- */

static int assign_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin, (void)a, (void)out;
    const td_shape *dst = &in[0].shape, *src = &in[1].shape;
    bool fits = src->ndim <= dst->ndim;
    for (int i = 1; fits && i <= src->ndim; i++) {
        int64_t size = src->dim[src->ndim - i];
        fits = size == 1 || size == dst->dim[dst->ndim - i];
    }
    if (fits) return 0;
    char from[TD_SHAPE_TEXT], to[TD_SHAPE_TEXT];
    return td_fail(err, TD_E_SHAPE, "assign", "%s does not broadcast to %s",
                   td_shape_text(src, from), td_shape_text(dst, to));
}

/* Not a check of values, but strides are known only where the tensor is. */
static int assign_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin, (void)a;
    for (int d = 0; d < in[0]->shape.ndim; d++)
        if (in[0]->shape.dim[d] > 1 && in[0]->stride[d] == 0)
            return td_fail(err, TD_E_VALUE, "assign",
                           "elements share memory; clone() it first");
    return 0;
}

static int assign_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin, (void)a, (void)out;
    if (in[0]->storage != in[1]->storage) {
        td_tensor_copy(in[0], in[1]);
        return 0;
    }
    td_tensor *apart = td_tensor_new(in[1]->dtype, &in[1]->shape, err);
    if (apart == NULL) return TD_E_MEMORY;
    td_tensor_copy(apart, in[1]);
    td_tensor_copy(in[0], apart);
    td_tensor_unref(&apart);
    return 0;
}

TD_OP(assign) = {
    .name = "assign",
    .doc = "Writes new values into a tensor, in place, and so into all that share its "
           "memory.\n\n"
           "  x:assign(y)  y is broadcast to x and converted to its dtype\n\n"
           "  x = tide.zeros(2, 2)\n"
           "  x:assign(tide.tensor{1, 2})\n"
           "  x:sum():item()  --> 6.0",
    .nin = 2,
    .nout = 0,
    .flags = TD_OP_METHOD | TD_OP_ASSIGN,
    .shape = assign_shape,
    .check = assign_check,
    .kernel = assign_kernel,
};
