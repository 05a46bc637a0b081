/* Loops with one input, for each dtype, compiled once for each processor level. */
#include <math.h>

#include "runtime/cpu.h"
#include "runtime/kernels/elementwise.h"
#include "runtime/kernels/math_special.h"
#include "runtime/kernels/math_trig.h"

/* T: input; U: output; expr is a function of `x`; `before` may read the td_unary_args `args`. */
#define LOOP(name, T, U, before, expr)                                                   \
    static void name(int64_t n, char *const *ptr, const int64_t *stride,                 \
                     const void *ctx) {                                                  \
        const td_unary_args *args = ctx;                                                 \
        (void)args;                                                                      \
        before;                                                                          \
        char *o = ptr[0];                                                                \
        const char *in = ptr[1];                                                         \
        if (stride[0] == (int64_t)sizeof(U) && stride[1] == (int64_t)sizeof(T)) {        \
            U *flat = (U *)o;                                                            \
            const T *from = (const T *)in;                                               \
            TD_VECTOR for (int64_t i = 0; i < n; i++) {                                  \
                const T x = from[i];                                                     \
                flat[i] = (U)(expr);                                                     \
            }                                                                            \
            return;                                                                      \
        }                                                                                \
        for (int64_t i = 0; i < n; i++, o += stride[0], in += stride[1]) {               \
            const T x = *(const T *)in;                                                  \
            *(U *)o = (U)(expr);                                                         \
        }                                                                                \
    }
#define UNARY(name, T, U, expr) LOOP(name, T, U, , expr)

/* sin and cos: runs without very large arguments vectorise; the bits are the same either way. */
#define TRIG(name, T, S)                                                                 \
    static void name##_##S(int64_t n, char *const *ptr, const int64_t *stride,           \
                           const void *ctx) {                                            \
        (void)ctx;                                                                       \
        char *o = ptr[0];                                                                \
        const char *in = ptr[1];                                                         \
        if (stride[0] == (int64_t)sizeof(T) && stride[1] == (int64_t)sizeof(T)) {        \
            T *flat = (T *)o;                                                            \
            const T *from = (const T *)in;                                               \
            int far = 0;                                                                 \
            for (int64_t i = 0; i < n; i++) far |= fabs((double)from[i]) > TD_TRIG_FAR;  \
            if (!far) {                                                                  \
                TD_VECTOR for (int64_t i = 0; i < n; i++) flat[i] =                      \
                    (T)td_##name##_near((double)from[i]);                                \
                return;                                                                  \
            }                                                                            \
        }                                                                                \
        for (int64_t i = 0; i < n; i++, o += stride[0], in += stride[1])                 \
            *(T *)o = (T)td_##name##_f64((double)*(const T *)in);                        \
    }

/* ---- floats; F is the suffix of libm's functions ---- */

#define FLOATS(T, S, F)                                                                  \
    UNARY(neg_##S, T, T, -x)                                                             \
    UNARY(abs_##S, T, T, fabs##F(x))                                                     \
    UNARY(sign_##S, T, T, x > 0 ? 1 : x < 0 ? -1 : x)                                    \
    UNARY(floor_##S, T, T, floor##F(x))                                                  \
    UNARY(ceil_##S, T, T, ceil##F(x))                                                    \
    UNARY(round_##S, T, T, rint##F(x))                                                   \
    UNARY(trunc_##S, T, T, trunc##F(x))                                                  \
    UNARY(square_##S, T, T, x *x)                                                        \
    UNARY(relu_##S, T, T, x <= 0 ? 0 : x)                                                \
    UNARY(exp_##S, T, T, td_exp_##S(x))                                                  \
    UNARY(log_##S, T, T, td_log_##S(x))                                                  \
    UNARY(sqrt_##S, T, T, sqrt##F(x))                                                    \
    UNARY(rsqrt_##S, T, T, 1 / sqrt##F(x))                                               \
    UNARY(reciprocal_##S, T, T, 1 / x)                                                   \
    UNARY(tanh_##S, T, T, td_tanh_##S(x))                                                \
    UNARY(sigmoid_##S, T, T, td_sigmoid_##S(x))                                          \
    TRIG(sin, T, S)                                                                      \
    TRIG(cos, T, S)                                                                      \
    UNARY(erf_##S, T, T, td_erf_##S(x))                                                  \
    UNARY(log1p_##S, T, T, td_log1p_##S(x))                                              \
    UNARY(expm1_##S, T, T, td_expm1_##S(x))                                              \
    UNARY(softplus_##S, T, T, td_softplus_##S(x))                                        \
    UNARY(isnan_##S, T, uint8_t, x != x)                                                 \
    UNARY(isfinite_##S, T, uint8_t, x - x == 0)                                          \
    UNARY(logical_not_##S, T, uint8_t, x == 0)                                           \
    LOOP(clamp_##S, T, T, const T low = (T)args->low;                                    \
         const T high = (T)args->high, x < low    ? (high < low ? high : low)            \
                                       : x > high ? high                                 \
                                                  : x)                                   \
    LOOP(leaky_relu_##S, T, T, const T slope = (T)args->slope, x > 0 ? x : x * slope)
FLOATS(double, f64, )
FLOATS(float, f32, f)

/* ---- integers ---- */

#define INTEGERS(T, UT, S)                                                               \
    UNARY(neg_##S, T, T, 0 - (UT)x)                                                      \
    UNARY(same_##S, T, T, x)                                                             \
    UNARY(square_##S, T, T, (UT)x *(UT)x)                                                \
    UNARY(relu_##S, T, T, x > 0 ? x : 0)                                                 \
    UNARY(never_##S, T, uint8_t, 0 * x)                                                  \
    UNARY(always_##S, T, uint8_t, 0 * x + 1)                                             \
    UNARY(logical_not_##S, T, uint8_t, x == 0)                                           \
    LOOP(clamp_##S, T, T, const int64_t low = args->int_low;                             \
         const int64_t high = args->int_high, x < low    ? (high < low ? high : low)     \
                                              : x > high ? high                          \
                                                         : x)
INTEGERS(int64_t, uint64_t, i64)
INTEGERS(int32_t, uint32_t, i32)
INTEGERS(uint8_t, uint32_t, u8)
UNARY(abs_i64, int64_t, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
UNARY(abs_i32, int32_t, int32_t, x < 0 ? 0 - (uint32_t)x : (uint32_t)x)
UNARY(abs_u8, uint8_t, uint8_t, x)
UNARY(sign_i64, int64_t, int64_t, (x > 0) - (x < 0))
UNARY(sign_i32, int32_t, int32_t, (x > 0) - (x < 0))
UNARY(sign_u8, uint8_t, uint8_t, x > 0)

#define INTS(name) [TD_I64] = name##_i64, [TD_I32] = name##_i32, [TD_U8] = name##_u8
#define FLTS(name) [TD_F64] = name##_f64, [TD_F32] = name##_f32
#define NUMBERS(name)                                                                    \
    { FLTS(name), INTS(name) }
#define ONLY_FLOATS(name)                                                                \
    { FLTS(name) }
/* Rounding leaves integers as they are. */
#define ROUNDING(name)                                                                   \
    { FLTS(name), INTS(same) }

extern const td_unary_table TD_LEVELED(td_unary_table);
const td_unary_table TD_LEVELED(td_unary_table) = {
    [TD_UNARY_NEG] = NUMBERS(neg),
    [TD_UNARY_ABS] = NUMBERS(abs),
    [TD_UNARY_SIGN] = NUMBERS(sign),
    [TD_UNARY_FLOOR] = ROUNDING(floor),
    [TD_UNARY_CEIL] = ROUNDING(ceil),
    [TD_UNARY_ROUND] = ROUNDING(round),
    [TD_UNARY_TRUNC] = ROUNDING(trunc),
    [TD_UNARY_SQUARE] = NUMBERS(square),
    [TD_UNARY_RELU] = NUMBERS(relu),
    [TD_UNARY_EXP] = ONLY_FLOATS(exp),
    [TD_UNARY_LOG] = ONLY_FLOATS(log),
    [TD_UNARY_SQRT] = ONLY_FLOATS(sqrt),
    [TD_UNARY_RSQRT] = ONLY_FLOATS(rsqrt),
    [TD_UNARY_RECIPROCAL] = ONLY_FLOATS(reciprocal),
    [TD_UNARY_TANH] = ONLY_FLOATS(tanh),
    [TD_UNARY_SIGMOID] = ONLY_FLOATS(sigmoid),
    [TD_UNARY_SIN] = ONLY_FLOATS(sin),
    [TD_UNARY_COS] = ONLY_FLOATS(cos),
    [TD_UNARY_ERF] = ONLY_FLOATS(erf),
    [TD_UNARY_LOG1P] = ONLY_FLOATS(log1p),
    [TD_UNARY_EXPM1] = ONLY_FLOATS(expm1),
    [TD_UNARY_SOFTPLUS] = ONLY_FLOATS(softplus),
    [TD_UNARY_ISNAN] = {FLTS(isnan), INTS(never), [TD_BOOL] = never_u8},
    [TD_UNARY_ISFINITE] = {FLTS(isfinite), INTS(always), [TD_BOOL] = always_u8},
    [TD_UNARY_LOGICAL_NOT] = {FLTS(logical_not),
                              INTS(logical_not), [TD_BOOL] = logical_not_u8},
    [TD_UNARY_CLAMP] = NUMBERS(clamp),
    [TD_UNARY_LEAKY_RELU] = ONLY_FLOATS(leaky_relu),
};
