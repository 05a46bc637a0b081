/* Copies, conversions between all dtypes, and fills, compiled once for each processor level. */
#include "runtime/kernels/convert.h"

#include <string.h>

#include "runtime/cpu.h"

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

/* From S, stored as T, whose value is `value`, to everything; WHOLE makes an integer of it. (What the
 * macro makes from S to S itself is never picked: that is a copy.) */
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

/* ---- copies and fills ---- */

#define COPY(bytes, type)                                                                \
    static void copy_##bytes(int64_t n, char *const *ptr, const int64_t *stride,         \
                             const void *ctx) {                                          \
        (void)ctx;                                                                       \
        char *d = ptr[0];                                                                \
        const char *s = ptr[1];                                                          \
        if (stride[0] == (bytes) && stride[1] == (bytes)) {                              \
            memmove(d, s, (size_t)n *(bytes));                                           \
            return;                                                                      \
        }                                                                                \
        if (stride[0] == (bytes) && stride[1] == 0) {                                    \
            fill_##bytes(n, ptr, stride, s);                                             \
            return;                                                                      \
        }                                                                                \
        for (int64_t i = 0; i < n; i++, d += stride[0], s += stride[1])                  \
            *(type *)d = *(const type *)s;                                               \
    }
#define FILL(bytes, type)                                                                \
    static void fill_##bytes(int64_t n, char *const *ptr, const int64_t *stride,         \
                             const void *ctx) {                                          \
        const type x = *(const type *)ctx;                                               \
        char *o = ptr[0];                                                                \
        if (stride[0] == (bytes)) {                                                      \
            type *flat = (type *)o;                                                      \
            for (int64_t i = 0; i < n; i++) flat[i] = x;                                 \
            return;                                                                      \
        }                                                                                \
        for (int64_t i = 0; i < n; i++, o += stride[0]) *(type *)o = x;                  \
    }
#define SIZED(bytes, type) FILL(bytes, type) COPY(bytes, type)
SIZED(1, uint8_t)
SIZED(2, uint16_t)
SIZED(4, uint32_t)
SIZED(8, uint64_t)

extern const td_fill_table TD_LEVELED(td_copy_table), TD_LEVELED(td_fill_table);
const td_fill_table TD_LEVELED(td_copy_table) = {
    [1] = copy_1, [2] = copy_2, [4] = copy_4, [8] = copy_8};
const td_fill_table TD_LEVELED(td_fill_table) = {
    [1] = fill_1, [2] = fill_2, [4] = fill_4, [8] = fill_8};

#define ROW(S)                                                                           \
    {                                                                                    \
        [TD_F64] = S##_f64, [TD_F32] = S##_f32, [TD_F16] = S##_f16,                      \
        [TD_BF16] = S##_bf16, [TD_I64] = S##_i64, [TD_I32] = S##_i32, [TD_U8] = S##_u8,  \
        [TD_BOOL] = S##_bool                                                             \
    }
extern const td_convert_table TD_LEVELED(td_convert_table);
const td_convert_table TD_LEVELED(td_convert_table) = {
    [TD_F64] = ROW(f64), [TD_F32] = ROW(f32), [TD_F16] = ROW(f16), [TD_BF16] = ROW(bf16),
    [TD_I64] = ROW(i64), [TD_I32] = ROW(i32), [TD_U8] = ROW(u8),   [TD_BOOL] = ROW(bool),
};
