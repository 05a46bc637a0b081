/* Walks along one dimension: positions of extremes, running sums. */
#include "runtime/kernels/reduce.h"
#include "runtime/loop.h"

/* Every line along `dim` is one step of the loop's walk. */
typedef struct line {
    int64_t size, in_stride, out_stride; /* strides in bytes */
    bool largest;
} line;

/* ---- positions of extremes ---- */

#define EXTREME(name, T)                                                                 \
    static void name(int64_t n, char *const *ptr, const int64_t *stride,                 \
                     const void *ctx) {                                                  \
        const line *l = ctx;                                                             \
        for (int64_t i = 0; i < n; i++) {                                                \
            const char *x = ptr[1] + i * stride[1];                                      \
            T best = *(const T *)x;                                                      \
            int64_t at = 0;                                                              \
            for (int64_t k = 1; k < l->size && best == best; k++) {                      \
                x += l->in_stride;                                                       \
                const T v = *(const T *)x;                                               \
                if ((l->largest ? v > best : v < best) || v != v) {                      \
                    best = v;                                                            \
                    at = k;                                                              \
                }                                                                        \
            }                                                                            \
            *(int64_t *)(ptr[0] + i * stride[0]) = at;                                   \
        }                                                                                \
    }
EXTREME(extreme_f64, double)
EXTREME(extreme_f32, float)
EXTREME(extreme_i64, int64_t)
EXTREME(extreme_i32, int32_t)
EXTREME(extreme_u8, uint8_t)

static td_inner *const extremes[TD_DTYPE_COUNT] = {
    [TD_F64] = extreme_f64, [TD_F32] = extreme_f32, [TD_I64] = extreme_i64,
    [TD_I32] = extreme_i32, [TD_U8] = extreme_u8,   [TD_BOOL] = extreme_u8,
};

/* Walks over all lines: out has out_stride bytes from one result to the next in each dimension. */
static void walk(const td_tensor *x, int dim, char *out, const int64_t *out_stride,
                 td_inner *inner, const line *l) {
    td_shape s = x->shape;
    s.dim[dim] = 1;
    int64_t in_stride[TD_MAX_DIM];
    for (int d = 0; d < s.ndim; d++)
        in_stride[d] = x->stride[d] * (int64_t)td_dtype_bytes(x->dtype);
    td_loop loop;
    td_loop_init_raw(&loop, &s, (char *const[]){out, td_tensor_data(x)},
                     (const int64_t *const[]){out_stride, in_stride}, 2);
    td_loop_run(&loop, inner, l);
}

void td_arg_extreme(bool largest, const td_tensor *x, int dim, int64_t *positions) {
    td_shape keep = x->shape;
    keep.dim[dim] = 1;
    int64_t stride[TD_MAX_DIM];
    td_shape_strides(&keep, stride);
    for (int d = 0; d < keep.ndim; d++) stride[d] *= (int64_t)sizeof *positions;
    line l = {.size = x->shape.dim[dim],
              .in_stride = x->stride[dim] * (int64_t)td_dtype_bytes(x->dtype),
              .largest = largest};
    walk(x, dim, (char *)positions, stride, extremes[x->dtype], &l);
}

/* ---- running sums: floats in double, integers wrap ---- */

#define RUNNING(name, T, A, U)                                                           \
    static void name(int64_t n, char *const *ptr, const int64_t *stride,                 \
                     const void *ctx) {                                                  \
        const line *l = ctx;                                                             \
        for (int64_t i = 0; i < n; i++) {                                                \
            const char *x = ptr[1] + i * stride[1];                                      \
            char *o = ptr[0] + i * stride[0];                                            \
            A sum = 0;                                                                   \
            for (int64_t k = 0; k < l->size;                                             \
                 k++, x += l->in_stride, o += l->out_stride) {                           \
                sum += (A) * (const T *)x;                                               \
                *(U *)o = (U)sum;                                                        \
            }                                                                            \
        }                                                                                \
    }
RUNNING(running_f64, double, double, double)
RUNNING(running_f32, float, double, float)
RUNNING(running_i64, int64_t, uint64_t, int64_t)
RUNNING(running_i32, int32_t, uint64_t, int64_t)
RUNNING(running_u8, uint8_t, uint64_t, int64_t)

static td_inner *const runnings[TD_DTYPE_COUNT] = {
    [TD_F64] = running_f64, [TD_F32] = running_f32, [TD_I64] = running_i64,
    [TD_I32] = running_i32, [TD_U8] = running_u8,   [TD_BOOL] = running_u8,
};

void td_cumsum(const td_tensor *x, int dim, td_tensor *out) {
    int64_t bytes = (int64_t)td_dtype_bytes(out->dtype), stride[TD_MAX_DIM];
    for (int d = 0; d < out->shape.ndim; d++) stride[d] = out->stride[d] * bytes;
    line l = {.size = x->shape.dim[dim],
              .in_stride = x->stride[dim] * (int64_t)td_dtype_bytes(x->dtype),
              .out_stride = stride[dim]};
    walk(x, dim, td_tensor_data(out), stride, runnings[x->dtype], &l);
}
