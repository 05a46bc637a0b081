/* The loops of reductions, compiled once for each processor level. */
#include "runtime/cpu.h"
#include "runtime/kernels/math_core.h"
#include "runtime/kernels/reduce.h"

/* ---- loading: T as stored, A as accumulated ---- */

#define LOAD(name, T, A, expr)                                                           \
    static void name(int64_t n, const char *p, int64_t stride, void *buf) {              \
        A *restrict to = buf;                                                            \
        if (stride == (int64_t)sizeof(T)) {                                              \
            const T *restrict from = (const T *)p;                                       \
            for (int64_t i = 0; i < n; i++) {                                            \
                const T x = from[i];                                                     \
                to[i] = (A)(expr);                                                       \
            }                                                                            \
        } else {                                                                         \
            for (int64_t i = 0; i < n; i++, p += stride) {                               \
                const T x = *(const T *)p;                                               \
                to[i] = (A)(expr);                                                       \
            }                                                                            \
        }                                                                                \
    }
LOAD(load_f64, double, double, x)
LOAD(load_f32, float, double, x)
LOAD(load_i64, int64_t, int64_t, x)
LOAD(load_i32, int32_t, int64_t, x)
LOAD(load_u8, uint8_t, int64_t, x)
LOAD(nonzero_f64, double, int64_t, x != 0)
LOAD(nonzero_f32, float, int64_t, x != 0)
LOAD(nonzero_i64, int64_t, int64_t, x != 0)
LOAD(nonzero_i32, int32_t, int64_t, x != 0)
LOAD(nonzero_u8, uint8_t, int64_t, x != 0)

/* ---- folding: a is what there is, x what comes ---- */

/* gcc vectorises a choice in a loop, but not in the straight line that it would make of a short one. */
#if defined(__clang__)
#define ROLLED
#else
#define ROLLED _Pragma("GCC unroll 1")
#endif

#define FOLD(name, A, expr)                                                              \
    static void name(int64_t n, const void *buf, void *acc) {                            \
        const A *from = buf;                                                             \
        A lane[TD_REDUCE_LANES];                                                         \
        memcpy(lane, acc, sizeof lane);                                                  \
        int64_t i = 0;                                                                   \
        for (; i + TD_REDUCE_LANES <= n; i += TD_REDUCE_LANES)                           \
            ROLLED for (int j = 0; j < TD_REDUCE_LANES; j++) {                           \
                const A a = lane[j], x = from[i + j];                                    \
                lane[j] = (A)(expr);                                                     \
            }                                                                            \
        for (int j = 0; i < n; i++, j++) {                                               \
            const A a = lane[j], x = from[i];                                            \
            lane[j] = (A)(expr);                                                         \
        }                                                                                \
        memcpy(acc, lane, sizeof lane);                                                  \
    }                                                                                    \
    static void name##_flat(int64_t n, const void *buf, void *acc) {                     \
        const A *restrict from = buf;                                                    \
        A *restrict to = acc;                                                            \
        for (int64_t i = 0; i < n; i++) {                                                \
            const A a = to[i], x = from[i];                                              \
            to[i] = (A)(expr);                                                           \
        }                                                                                \
    }
FOLD(sum_double, double, a + x)
FOLD(prod_double, double, a *x)
FOLD(max_double, double, x != x ? x : x > a ? x : a)
FOLD(min_double, double, x != x ? x : x < a ? x : a)
FOLD(sum_int, int64_t, (uint64_t)a + (uint64_t)x)
FOLD(prod_int, int64_t, (uint64_t)a *(uint64_t)x)
FOLD(max_int, int64_t, x > a ? x : a)
FOLD(min_int, int64_t, x < a ? x : a)

#define MAP(name, expr)                                                                  \
    static void name(int64_t n, double *buf, const double *shift, int64_t step) {        \
        if (step == 0) {                                                                 \
            const double s = *shift;                                                     \
            for (int64_t i = 0; i < n; i++) {                                            \
                const double x = buf[i];                                                 \
                buf[i] = expr;                                                           \
            }                                                                            \
        } else {                                                                         \
            for (int64_t i = 0; i < n; i++) {                                            \
                const double x = buf[i], s = shift[i * step];                            \
                buf[i] = expr;                                                           \
            }                                                                            \
        }                                                                                \
    }
MAP(map_square, (x - s) * (x - s))
MAP(map_exp, td_exp_f64(x - s))

extern const td_reduce_loops TD_LEVELED(td_reduce_loops);
const td_reduce_loops TD_LEVELED(td_reduce_loops) = {
    .load = {[TD_F64] = load_f64,
             [TD_F32] = load_f32,
             [TD_I64] = load_i64,
             [TD_I32] = load_i32,
             [TD_U8] = load_u8,
             [TD_BOOL] = load_u8},
    .load_nonzero = {[TD_F64] = nonzero_f64,
                     [TD_F32] = nonzero_f32,
                     [TD_I64] = nonzero_i64,
                     [TD_I32] = nonzero_i32,
                     [TD_U8] = nonzero_u8,
                     [TD_BOOL] = nonzero_u8},
    .fold = {{sum_double, prod_double, max_double, min_double},
             {sum_int, prod_int, max_int, min_int}},
    .fold_flat = {{sum_double_flat, prod_double_flat, max_double_flat, min_double_flat},
                  {sum_int_flat, prod_int_flat, max_int_flat, min_int_flat}},
    .map_square = map_square,
    .map_exp = map_exp,
};
