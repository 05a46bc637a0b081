/* Tensors made from numbers: full, arange, linspace, eye. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/convert.h"
#include "vm/op.h"

/* ---- full ---- */

/* Sizes as given: td_op_infer refuses what is negative or too large. */
static int full_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)in, (void)nin, (void)err;
    out->dtype = (td_dtype)a->v[2].i;
    out->shape.ndim = a->v[0].n;
    for (int i = 0; i < a->v[0].n; i++) out->shape.dim[i] = a->v[0].list[i];
    return 0;
}

static td_inner *full_inner(const td_meta *in, int nin, const td_attrs *a,
                            td_inner_args *args) {
    (void)in, (void)nin;
    td_dtype t = (td_dtype)a->v[2].i;
    td_store_f64(t, args->words, a->v[1].f);
    return td_fill_inner(td_dtype_bytes(t));
}

TD_OP(full) = {
    .name = "full",
    .doc = "A tensor with the same value everywhere.\n\n"
           "  sizes  of the tensor, a table\n"
           "  value  of each element\n"
           "  dtype  \"f32\"\n\n"
           "  tide.full({2, 3}, 7):sum():item()  --> 42.0",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION | TD_OP_ELEMENTWISE,
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true},
             {.name = "value", .kind = TD_ATTR_FLOAT, .required = true},
             {.name = "dtype", .kind = TD_ATTR_DTYPE, .preset = TD_F32}},
    .shape = full_shape,
    .inner = full_inner,
};

/* ---- arange ---- */

/* How many steps lie between both ends; an end missed by rounding alone is reached. */
static int64_t arange_steps(double start, double stop, double step) {
    double n = (stop - start) / step;
    return n < 0 ? -1 : (int64_t)floor(n + 1e-10 * fmax(1, n));
}

static int arange_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)in, (void)nin;
    double start = a->v[0].f, stop = a->v[1].f, step = a->v[2].f;
    if (!isfinite(start) || !isfinite(stop) || !isfinite(step) || step == 0)
        return td_fail(err, TD_E_VALUE, "arange",
                       "from %g to %g in steps of %g does not end", start, stop, step);
    if (fabs((stop - start) / step) > 0x1p53)
        return td_fail(err, TD_E_LIMIT, "arange",
                       "from %g to %g in steps of %g is too large", start, stop, step);
    out->dtype = (td_dtype)a->v[3].i;
    out->shape.ndim = 1;
    out->shape.dim[0] = arange_steps(start, stop, step) + 1;
    return 0;
}

static int arange_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)in, (void)nin, (void)err;
    char *p = td_tensor_data(out[0]);
    size_t each = td_dtype_bytes(out[0]->dtype);
    for (int64_t i = 0; i < out[0]->shape.dim[0]; i++, p += each)
        td_store_f64(out[0]->dtype, p, a->v[0].f + (double)i * a->v[2].f);
    return 0;
}

TD_OP(arange) = {
    .name = "arange",
    .doc = "Numbers at equal distances, both ends included, as a Lua for counts.\n\n"
           "  start, stop  first number and bound\n"
           "  step         distance, may be negative; 1\n"
           "  dtype        \"f32\"\n\n"
           "  tide.arange(1, 10):sum():item()  --> 55.0",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION,
    .attr = {{.name = "start", .kind = TD_ATTR_FLOAT, .required = true},
             {.name = "stop", .kind = TD_ATTR_FLOAT, .required = true},
             {.name = "step", .kind = TD_ATTR_FLOAT, .preset = 1},
             {.name = "dtype", .kind = TD_ATTR_DTYPE, .preset = TD_F32}},
    .shape = arange_shape,
    .kernel = arange_kernel,
};

/* ---- linspace ---- */

static int linspace_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                          td_err *err) {
    (void)in, (void)nin;
    if (a->v[2].i < 0)
        return td_fail(err, TD_E_VALUE, "linspace", "wants 0 steps or more, got %lld",
                       (long long)a->v[2].i);
    out->dtype = (td_dtype)a->v[3].i;
    out->shape.ndim = 1;
    out->shape.dim[0] = a->v[2].i;
    return 0;
}

/* Each half is counted from its own end, so that both ends come out exactly. */
static int linspace_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                           td_tensor *const *out, td_err *err) {
    (void)in, (void)nin, (void)err;
    char *p = td_tensor_data(out[0]);
    size_t each = td_dtype_bytes(out[0]->dtype);
    int64_t n = out[0]->shape.dim[0];
    double start = a->v[0].f, stop = a->v[1].f,
           step = n > 1 ? (stop - start) / (double)(n - 1) : 0;
    for (int64_t i = 0; i < n; i++, p += each)
        td_store_f64(out[0]->dtype, p,
                     2 * i < n ? start + step * (double)i
                               : stop - step * (double)(n - 1 - i));
    return 0;
}

TD_OP(linspace) = {
    .name = "linspace",
    .doc = "So many numbers at equal distances, both ends included.\n\n"
           "  start, stop  first and last number\n"
           "  steps        how many\n"
           "  dtype        \"f32\"\n\n"
           "  tide.linspace(0, 1, 5)[2]:item()  --> 0.25",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION,
    .attr = {{.name = "start", .kind = TD_ATTR_FLOAT, .required = true},
             {.name = "stop", .kind = TD_ATTR_FLOAT, .required = true},
             {.name = "steps", .kind = TD_ATTR_INT, .required = true},
             {.name = "dtype", .kind = TD_ATTR_DTYPE, .preset = TD_F32}},
    .shape = linspace_shape,
    .kernel = linspace_kernel,
};

/* ---- eye ---- */

static int eye_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)in, (void)nin, (void)err;
    if (a->v[1].i < 0) a->v[1].i = a->v[0].i;
    out->dtype = (td_dtype)a->v[2].i;
    out->shape.ndim = 2;
    out->shape.dim[0] = a->v[0].i;
    out->shape.dim[1] = a->v[1].i;
    return 0;
}

static int eye_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)in, (void)nin, (void)a, (void)err;
    memset(td_tensor_data(out[0]), 0,
           (size_t)td_tensor_numel(out[0]) * td_dtype_bytes(out[0]->dtype));
    for (int64_t i = 0; i < out[0]->shape.dim[0] && i < out[0]->shape.dim[1]; i++)
        td_store_i64(out[0]->dtype, td_tensor_at(out[0], (int64_t[]){i, i}), 1);
    return 0;
}

TD_OP(eye) = {
    .name = "eye",
    .doc = "A matrix with ones on its diagonal and zeros elsewhere.\n\n"
           "  rows     how many\n"
           "  columns  how many; as many as rows\n"
           "  dtype    \"f32\"\n\n"
           "  tide.eye(3):sum():item()  --> 3.0",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION,
    .attr = {{.name = "rows", .kind = TD_ATTR_INT, .required = true},
             {.name = "columns", .kind = TD_ATTR_INT, .preset = -1},
             {.name = "dtype", .kind = TD_ATTR_DTYPE, .preset = TD_F32}},
    .shape = eye_shape,
    .kernel = eye_kernel,
};
