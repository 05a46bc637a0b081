/* Conversions between all dtypes. */
#include "runtime/kernels/convert.h"

/* Without its fraction; what does not fit is INT64_MIN, as the processor has it. */
static inline int64_t whole(double v) {
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

/* T is read, U written; expr is a function of `x`. */
#define LOOP(name, T, U, expr)                                                           \
    static void name(int64_t n, char *const *ptr, const int64_t *stride,                 \
                     const void *ctx) {                                                  \
        (void)ctx;                                                                       \
        char *o = ptr[0];                                                                \
        const char *in = ptr[1];                                                         \
        if (stride[0] == (int64_t)sizeof(U) && stride[1] == (int64_t)sizeof(T)) {        \
            U *restrict to = (U *)o;                                                     \
            const T *restrict from = (const T *)in;                                      \
            for (int64_t i = 0; i < n; i++) {                                            \
                const T x = from[i];                                                     \
                to[i] = (U)(expr);                                                       \
            }                                                                            \
            return;                                                                      \
        }                                                                                \
        for (int64_t i = 0; i < n; i++, o += stride[0], in += stride[1]) {               \
            const T x = *(const T *)in;                                                  \
            *(U *)o = (U)(expr);                                                         \
        }                                                                                \
    }

/* From S, stored as T, whose value is `value`, to everything; WHOLE makes an integer of it. */
#define FROM(S, T, value, WHOLE)                                                         \
    LOOP(S##_f64, T, double, value)                                                      \
    LOOP(S##_f32, T, float, value)                                                       \
    LOOP(S##_f16, T, uint16_t, td_f32_to_f16((float)(value)))                            \
    LOOP(S##_bf16, T, uint16_t, td_f32_to_bf16((float)(value)))                          \
    LOOP(S##_i64, T, int64_t, WHOLE(value))                                              \
    LOOP(S##_i32, T, int32_t, WHOLE(value))                                              \
    LOOP(S##_u8, T, uint8_t, WHOLE(value))                                               \
    LOOP(S##_bool, T, uint8_t, (value) != 0)
#define AS_IT_IS(v) (v)
#define WHOLE_FLOAT(v) whole((double)(v))
FROM(f64, double, x, WHOLE_FLOAT)
FROM(f32, float, x, WHOLE_FLOAT)
FROM(f16, uint16_t, td_f16_to_f32(x), WHOLE_FLOAT)
FROM(bf16, uint16_t, td_bf16_to_f32(x), WHOLE_FLOAT)
FROM(i64, int64_t, x, AS_IT_IS)
FROM(i32, int32_t, x, AS_IT_IS)
FROM(u8, uint8_t, x, AS_IT_IS)
FROM(bool, uint8_t, x != 0, AS_IT_IS)

#define ROW(S)                                                                           \
    {                                                                                    \
        [TD_F64] = S##_f64, [TD_F32] = S##_f32, [TD_F16] = S##_f16,                      \
        [TD_BF16] = S##_bf16, [TD_I64] = S##_i64, [TD_I32] = S##_i32, [TD_U8] = S##_u8,  \
        [TD_BOOL] = S##_bool                                                             \
    }
static td_inner *const table[TD_DTYPE_COUNT][TD_DTYPE_COUNT] = {
    [TD_F64] = ROW(f64), [TD_F32] = ROW(f32), [TD_F16] = ROW(f16), [TD_BF16] = ROW(bf16),
    [TD_I64] = ROW(i64), [TD_I32] = ROW(i32), [TD_U8] = ROW(u8),   [TD_BOOL] = ROW(bool),
};

td_inner *td_convert_inner(td_dtype to, td_dtype from) { return table[from][to]; }
