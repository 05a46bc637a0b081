/* The loops of reductions, compiled once for each processor level. */
#include "runtime/cpu.h"
#include "runtime/kernels/lanes.h"
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

/* ---- straight from memory: a is what there is, x what comes ---- */

typedef int64_t v8i __attribute__((vector_size(64)));
#define CHOOSE(mask, x, a) ((td_v8d)(((v8i)(x) & (mask)) | ((v8i)(a) & ~(mask))))
#define SUM_ONE(a, x) ((a) + (x))
#define SUM_ALL(a, x) ((a) + (x))
#define MAX_ONE(a, x) ((x) != (x) ? (x) : (x) > (a) ? (x) : (a))
#define MAX_ALL(a, x) CHOOSE((v8i)((x) > (a)) | (v8i)((x) != (x)), x, a)
#define MIN_ONE(a, x) ((x) != (x) ? (x) : (x) < (a) ? (x) : (a))
#define MIN_ALL(a, x) CHOOSE((v8i)((x) < (a)) | (v8i)((x) != (x)), x, a)

/* Four rows of a lane at a time, so that the lane is loaded and stored once for them. */
#define DIRECT(name, T, ONE, ALL)                                                        \
    static void name##_run(int64_t n, const void *from, double *lane) {                  \
        const T *p = from;                                                               \
        td_v8d a0, a1, x0, x1;                                                           \
        memcpy(&a0, lane, sizeof a0);                                                    \
        memcpy(&a1, lane + 8, sizeof a1);                                                \
        int64_t i = 0;                                                                   \
        for (; i + TD_LANES <= n; i += TD_LANES) {                                       \
            TD_LOAD_V8_##T(x0, p + i);                                                   \
            TD_LOAD_V8_##T(x1, p + i + 8);                                               \
            a0 = ALL(a0, x0);                                                            \
            a1 = ALL(a1, x1);                                                            \
        }                                                                                \
        memcpy(lane, &a0, sizeof a0);                                                    \
        memcpy(lane + 8, &a1, sizeof a1);                                                \
        for (int j = 0; i < n; i++, j++) {                                               \
            const double x = (double)p[i];                                               \
            lane[j] = ONE(lane[j], x);                                                   \
        }                                                                                \
    }                                                                                    \
    static void name##_four(int64_t n, int64_t far, const T *restrict p,                 \
                            double *restrict to) {                                       \
        for (int64_t c = 0; c < n; c++) {                                                \
            const double x0 = (double)p[c], x1 = (double)p[far + c];                     \
            const double x2 = (double)p[2 * far + c], x3 = (double)p[3 * far + c];       \
            double a = to[c];                                                            \
            a = ONE(a, x0);                                                              \
            a = ONE(a, x1);                                                              \
            a = ONE(a, x2);                                                              \
            to[c] = ONE(a, x3);                                                          \
        }                                                                                \
    }                                                                                    \
    static void name##_once(int64_t n, const T *restrict p, double *restrict to) {       \
        for (int64_t c = 0; c < n; c++) {                                                \
            const double x = (double)p[c];                                               \
            to[c] = ONE(to[c], x);                                                       \
        }                                                                                \
    }                                                                                    \
    static void name##_rows(int64_t n, int64_t count, int64_t step, const void *from,    \
                            double *lane) {                                              \
        const T *p = from;                                                               \
        int64_t i = 0;                                                                   \
        for (; i + 4 * TD_LANES <= n; i += 4 * TD_LANES)                                 \
            for (int64_t j = 0; j < TD_LANES; j++)                                       \
                name##_four(count, TD_LANES *step, p + (i + j) * step,                   \
                            lane + j * TD_REDUCE_COLUMNS);                               \
        for (; i < n; i++)                                                               \
            name##_once(count, p + i * step, lane + i % TD_LANES * TD_REDUCE_COLUMNS);   \
    }                                                                                    \
    static void name##_dense(int64_t n, int64_t count, const void *from, double *lane) { \
        const T *p = from;                                                               \
        int64_t i = 0, round = TD_LANES * count;                                         \
        for (; i + 4 * TD_LANES <= n; i += 4 * TD_LANES)                                 \
            name##_four(round, round, p + i * count, lane);                              \
        for (; i < n; i += TD_LANES)                                                     \
            name##_once(n - i < TD_LANES ? (n - i) * count : round, p + i * count,       \
                        lane);                                                           \
    }
DIRECT(sum_f32, float, SUM_ONE, SUM_ALL)
DIRECT(sum_f64, double, SUM_ONE, SUM_ALL)
DIRECT(max_f32, float, MAX_ONE, MAX_ALL)
DIRECT(max_f64, double, MAX_ONE, MAX_ALL)
DIRECT(min_f32, float, MIN_ONE, MIN_ALL)
DIRECT(min_f64, double, MIN_ONE, MIN_ALL)
#define ALL_OF(name)                                                                     \
    { name##_run, name##_rows, name##_dense }

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
    .direct = {{[TD_REDUCE_SUM] = ALL_OF(sum_f32),
                [TD_REDUCE_MAX] = ALL_OF(max_f32),
                [TD_REDUCE_MIN] = ALL_OF(min_f32)},
               {[TD_REDUCE_SUM] = ALL_OF(sum_f64),
                [TD_REDUCE_MAX] = ALL_OF(max_f64),
                [TD_REDUCE_MIN] = ALL_OF(min_f64)}},
};
