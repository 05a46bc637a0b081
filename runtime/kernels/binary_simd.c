/* Loops with two inputs, for each dtype, compiled once for each processor level. Each loop has forms for
 * flat operands and for one operand that is a single number; they compute the same bits. */
#include <math.h>

#include "runtime/cpu.h"
#include "runtime/kernels/elementwise.h"
#include "runtime/kernels/math_pow.h"

#define STEP(k, T) (stride[k] == (int64_t)sizeof(T))

/* T: inputs; U: output; expr is a function of `a` and `b`. */
#define BINARY(name, T, U, expr)                                                         \
    static void name(int64_t n, char *const *ptr, const int64_t *stride,                 \
                     const void *ctx) {                                                  \
        (void)ctx;                                                                       \
        if (STEP(0, U) && (STEP(1, T) || stride[1] == 0) &&                              \
            (STEP(2, T) || stride[2] == 0)) {                                            \
            U *o = (U *)ptr[0];                                                          \
            const T *x = (const T *)ptr[1], *y = (const T *)ptr[2];                      \
            if (stride[1] == 0) {                                                        \
                const T a = *x;                                                          \
                if (stride[2] == 0) {                                                    \
                    const T b = *y;                                                      \
                    for (int64_t i = 0; i < n; i++) o[i] = (U)(expr);                    \
                    return;                                                              \
                }                                                                        \
                TD_VECTOR for (int64_t i = 0; i < n; i++) {                              \
                    const T b = y[i];                                                    \
                    o[i] = (U)(expr);                                                    \
                }                                                                        \
            } else if (stride[2] == 0) {                                                 \
                const T b = *y;                                                          \
                TD_VECTOR for (int64_t i = 0; i < n; i++) {                              \
                    const T a = x[i];                                                    \
                    o[i] = (U)(expr);                                                    \
                }                                                                        \
            } else {                                                                     \
                TD_VECTOR for (int64_t i = 0; i < n; i++) {                              \
                    const T a = x[i], b = y[i];                                          \
                    o[i] = (U)(expr);                                                    \
                }                                                                        \
            }                                                                            \
            return;                                                                      \
        }                                                                                \
        char *o = ptr[0];                                                                \
        const char *x = ptr[1], *y = ptr[2];                                             \
        for (int64_t i = 0; i < n;                                                       \
             i++, o += stride[0], x += stride[1], y += stride[2]) {                      \
            const T a = *(const T *)x, b = *(const T *)y;                                \
            *(U *)o = (U)(expr);                                                         \
        }                                                                                \
    }

/* ---- floats ---- */

/* Lua's a % b: what is left has the sign of b. */
static inline double mod_f64(double a, double b) {
    double r = fmod(a, b);
    return (r < 0) != (b < 0) && r != 0 ? r + b : r;
}
static inline float mod_f32(float a, float b) {
    float r = fmodf(a, b);
    return (r < 0) != (b < 0) && r != 0 ? r + b : r;
}
/* A NaN on either side is the result. */
#define MAXIMUM(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define MINIMUM(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))

#define FLOATS(T, S, FLOOR)                                                              \
    BINARY(add_##S, T, T, a + b)                                                         \
    BINARY(sub_##S, T, T, a - b)                                                         \
    BINARY(mul_##S, T, T, a *b)                                                          \
    BINARY(div_##S, T, T, a / b)                                                         \
    BINARY(pow_loop_##S, T, T, td_pow_##S(a, b))                                         \
    BINARY(cube_##S, T, T, ((void)b, (double)a * (double)a * (double)a))                 \
    BINARY(inverse_##S, T, T, ((void)b, 1 / (double)a))                                  \
    BINARY(root_##S, T, T, ((void)b, td_pow_root((double)a)))                            \
    BINARY(maximum_##S, T, T, MAXIMUM(a, b))                                             \
    BINARY(minimum_##S, T, T, MINIMUM(a, b))                                             \
    BINARY(remainder_##S, T, T, mod_##S(a, b))                                           \
    BINARY(floor_divide_##S, T, T, FLOOR(a / b))
FLOATS(double, f64, floor)
FLOATS(float, f32, floorf)

/* One exponent for all is common, and so are some exponents: they have loops without a choice inside, of the
 * same bits. Any other is written out, since a loop that knows it to be one is taken apart by its choices and
 * not vectorised. */
#define POW_RUN 64
#define POW(T, S)                                                                        \
    static void pow_##S##_any(int64_t n, char *const *ptr, const int64_t *stride,        \
                              const void *ctx) {                                         \
        const T e = n > 0 && stride[2] == 0 ? *(const T *)ptr[2] : (T)NAN;               \
        if (e == 2) {                                                                    \
            char *const square[3] = {ptr[0], ptr[1], ptr[1]};                            \
            const int64_t step[3] = {stride[0], stride[1], stride[1]};                   \
            mul_##S(n, square, step, ctx);                                               \
        } else if (e == 3) {                                                             \
            cube_##S(n, ptr, stride, ctx);                                               \
        } else if (e == -1) {                                                            \
            inverse_##S(n, ptr, stride, ctx);                                            \
        } else if (e == (T)0.5) {                                                        \
            root_##S(n, ptr, stride, ctx);                                               \
        } else if (n >= POW_RUN && e == e) {                                             \
            T same[POW_RUN];                                                             \
            for (int i = 0; i < POW_RUN; i++) same[i] = e;                               \
            char *part[3] = {ptr[0], ptr[1], (char *)same};                              \
            const int64_t step[3] = {stride[0], stride[1], sizeof(T)};                   \
            for (int64_t left = n; left > 0; left -= POW_RUN) {                          \
                pow_loop_##S(left < POW_RUN ? left : POW_RUN, part, step, ctx);          \
                part[0] += POW_RUN * step[0];                                            \
                part[1] += POW_RUN * step[1];                                            \
            }                                                                            \
        } else {                                                                         \
            pow_loop_##S(n, ptr, stride, ctx);                                           \
        }                                                                                \
    }
POW(double, f64)
POW(float, f32)

/* ---- integers: everything wraps, so it is computed unsigned ---- */

static inline uint64_t pow_u64(uint64_t a, int64_t e) {
    uint64_t r = 1;
    for (; e > 0; e >>= 1, a *= a)
        if (e & 1) r *= a;
    return r;
}

/* Lua's a // b and a % b. A zero b has been refused before; it gives 0 here rather than a trap. Dividing
 * by -1 is a negation that wraps: the least number has no negative. */
#define SIGNED_DIVISION(T, UT, S)                                                        \
    static inline T quotient_##S(T a, T b) {                                             \
        if (b == 0) return 0;                                                            \
        if (b == -1) return (T)(0 - (UT)a);                                              \
        T q = a / b;                                                                     \
        return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;                             \
    }                                                                                    \
    static inline T modulo_##S(T a, T b) {                                               \
        if (b == 0 || b == -1) return 0;                                                 \
        T r = a % b;                                                                     \
        return r != 0 && (r < 0) != (b < 0) ? r + b : r;                                 \
    }
SIGNED_DIVISION(int64_t, uint64_t, i64)
SIGNED_DIVISION(int32_t, uint32_t, i32)
static inline uint8_t quotient_u8(uint8_t a, uint8_t b) {
    return b ? (uint8_t)(a / b) : 0;
}
static inline uint8_t modulo_u8(uint8_t a, uint8_t b) { return b ? (uint8_t)(a % b) : 0; }

#define INTEGERS(T, UT, S)                                                               \
    BINARY(add_##S, T, T, (UT)a + (UT)b)                                                 \
    BINARY(sub_##S, T, T, (UT)a - (UT)b)                                                 \
    BINARY(mul_##S, T, T, (UT)a *(UT)b)                                                  \
    BINARY(pow_##S, T, T, pow_u64((uint64_t)a, (int64_t)b))                              \
    BINARY(maximum_##S, T, T, a > b ? a : b)                                             \
    BINARY(minimum_##S, T, T, a < b ? a : b)                                             \
    BINARY(remainder_##S, T, T, modulo_##S(a, b))                                        \
    BINARY(floor_divide_##S, T, T, quotient_##S(a, b))
INTEGERS(int64_t, uint64_t, i64)
INTEGERS(int32_t, uint32_t, i32)
INTEGERS(uint8_t, uint32_t, u8)

/* ---- bool in, or bool out ---- */

#define COMPARE(T, S)                                                                    \
    BINARY(eq_##S, T, uint8_t, a == b)                                                   \
    BINARY(ne_##S, T, uint8_t, a != b)                                                   \
    BINARY(lt_##S, T, uint8_t, a < b)                                                    \
    BINARY(le_##S, T, uint8_t, a <= b)                                                   \
    BINARY(gt_##S, T, uint8_t, a > b)                                                    \
    BINARY(ge_##S, T, uint8_t, a >= b)                                                   \
    BINARY(and_##S, T, uint8_t, (a != 0) & (b != 0))                                     \
    BINARY(or_##S, T, uint8_t, (a != 0) | (b != 0))                                      \
    BINARY(xor_##S, T, uint8_t, (a != 0) ^ (b != 0))
COMPARE(double, f64)
COMPARE(float, f32)
COMPARE(int64_t, i64)
COMPARE(int32_t, i32)
COMPARE(uint8_t, u8) /* bool too: it is 0 or 1 */

#define INTS(name) [TD_I64] = name##_i64, [TD_I32] = name##_i32, [TD_U8] = name##_u8
#define FLTS(name) [TD_F64] = name##_f64, [TD_F32] = name##_f32
#define ALL(name)                                                                        \
    { FLTS(name), INTS(name), [TD_BOOL] = name##_u8 }

extern const td_binary_table TD_LEVELED(td_binary_table);
const td_binary_table TD_LEVELED(td_binary_table) = {
    [TD_BINARY_ADD] = {FLTS(add), INTS(add), [TD_BOOL] = or_u8},
    [TD_BINARY_SUB] = {FLTS(sub), INTS(sub)},
    [TD_BINARY_MUL] = {FLTS(mul), INTS(mul), [TD_BOOL] = and_u8},
    [TD_BINARY_DIV] = {FLTS(div)},
    [TD_BINARY_POW] = {[TD_F64] = pow_f64_any, [TD_F32] = pow_f32_any, INTS(pow)},
    [TD_BINARY_MAXIMUM] = {FLTS(maximum), INTS(maximum), [TD_BOOL] = or_u8},
    [TD_BINARY_MINIMUM] = {FLTS(minimum), INTS(minimum), [TD_BOOL] = and_u8},
    [TD_BINARY_REMAINDER] = {FLTS(remainder), INTS(remainder)},
    [TD_BINARY_FLOOR_DIVIDE] = {FLTS(floor_divide), INTS(floor_divide)},
    [TD_BINARY_EQ] = ALL(eq),
    [TD_BINARY_NE] = ALL(ne),
    [TD_BINARY_LT] = ALL(lt),
    [TD_BINARY_LE] = ALL(le),
    [TD_BINARY_GT] = ALL(gt),
    [TD_BINARY_GE] = ALL(ge),
    [TD_BINARY_AND] = ALL(and),
    [TD_BINARY_OR] = ALL(or),
    [TD_BINARY_XOR] = ALL(xor),
};

/* ---- a choice between two ---- */

#define WHERE(name, T)                                                                   \
    static void name(int64_t n, char *const *ptr, const int64_t *stride,                 \
                     const void *ctx) {                                                  \
        (void)ctx;                                                                       \
        char *o = ptr[0];                                                                \
        const char *c = ptr[1], *x = ptr[2], *y = ptr[3];                                \
        if (STEP(0, T) && stride[1] == 1 && STEP(2, T) &&                                \
            (STEP(3, T) || stride[3] == 0)) {                                            \
            T *out = (T *)o;                                                             \
            const T *a = (const T *)x, *b = (const T *)y;                                \
            if (stride[3] == 0) {                                                        \
                const T other = *b;                                                      \
                TD_VECTOR for (int64_t i = 0; i < n; i++) out[i] = c[i] ? a[i] : other;  \
            } else {                                                                     \
                TD_VECTOR for (int64_t i = 0; i < n; i++) out[i] = c[i] ? a[i] : b[i];   \
            }                                                                            \
            return;                                                                      \
        }                                                                                \
        for (int64_t i = 0; i < n; i++) {                                                \
            *(T *)o = *c ? *(const T *)x : *(const T *)y;                                \
            o += stride[0], c += stride[1], x += stride[2], y += stride[3];              \
        }                                                                                \
    }
WHERE(where_1, uint8_t)
WHERE(where_4, uint32_t)
WHERE(where_8, uint64_t)

extern const td_where_table TD_LEVELED(td_where_table);
const td_where_table TD_LEVELED(td_where_table) = {
    [1] = where_1, [4] = where_4, [8] = where_8};
