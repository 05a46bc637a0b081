/* The dtype table and conversions of single elements. */
#include "runtime/dtype.h"

#include <string.h>

typedef struct dtype_row {
    const char *name;
    uint8_t bytes, kind, rank;
} dtype_row;

static const dtype_row rows[] = {[TD_NONE] = {"none", 0, 0, 0},
#define TD_X(NAME, word, number, bytes, kind, rank) [number] = {word, bytes, kind, rank},
                                 TD_DTYPES(TD_X)
#undef TD_X
};
_Static_assert(sizeof rows / sizeof rows[0] == TD_DTYPE_COUNT, "a row for each dtype");

size_t td_dtype_bytes(td_dtype t) { return rows[t].bytes; }
const char *td_dtype_name(td_dtype t) { return rows[t].name; }

td_dtype td_dtype_parse(const char *name) {
    for (int t = 1; t < TD_DTYPE_COUNT; t++)
        if (strcmp(rows[t].name, name) == 0) return (td_dtype)t;
    return TD_NONE;
}

bool td_dtype_is_valid(int number) { return number > TD_NONE && number < TD_DTYPE_COUNT; }
bool td_dtype_is_float(td_dtype t) { return rows[t].kind == 2; }
bool td_dtype_is_half(td_dtype t) { return t == TD_F16 || t == TD_BF16; }

td_dtype td_dtype_promote(td_dtype a, td_dtype b) {
    if (a == b) return a;
    if (td_dtype_is_half(a) && td_dtype_is_half(b)) return TD_F32;
    return rows[a].rank > rows[b].rank ? a : b;
}

float td_bf16_to_f32(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

uint16_t td_f32_to_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 0x40u); /* a quiet NaN */
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

float td_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = (h >> 10) & 31u,
             man = h & 0x3ffu, u;
    if (exp == 31) {
        u = sign | 0x7f800000u | (man << 13);
    } else if (exp != 0) {
        u = sign | ((exp + 112) << 23) | (man << 13);
    } else { /* zero and subnormals: man * 2^-24, exact in f32 */
        float f = (float)man * 0x1p-24f;
        memcpy(&u, &f, 4);
        u |= sign;
    }
    float f;
    memcpy(&f, &u, 4);
    return f;
}

uint16_t td_f32_to_f16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return sign | 0x7e00u;
    if (u >= 0x477ff000u) return sign | 0x7c00u; /* rounds past 65504 */
    if (u < 0x38800000u) { /* subnormal: adding 0.5 lets the FPU round */
        float a;
        memcpy(&a, &u, 4);
        a += 0.5f;
        memcpy(&u, &a, 4);
        return sign | (uint16_t)(u - 0x3f000000u);
    }
    u += 0xfffu + ((u >> 13) & 1u);
    return sign | (uint16_t)((u - 0x38000000u) >> 13);
}

double td_load_f64(td_dtype t, const void *p) {
    switch (t) {
    case TD_F64: return *(const double *)p;
    case TD_F32: return (double)*(const float *)p;
    case TD_F16: return (double)td_f16_to_f32(*(const uint16_t *)p);
    case TD_BF16: return (double)td_bf16_to_f32(*(const uint16_t *)p);
    default: return (double)td_load_i64(t, p);
    }
}

int64_t td_load_i64(td_dtype t, const void *p) {
    switch (t) {
    case TD_I64: return *(const int64_t *)p;
    case TD_I32: return *(const int32_t *)p;
    case TD_U8: return *(const uint8_t *)p;
    case TD_BOOL: return *(const uint8_t *)p != 0;
    default: return (int64_t)td_load_f64(t, p);
    }
}

void td_store_f64(td_dtype t, void *p, double v) {
    switch (t) {
    case TD_F64: *(double *)p = v; break;
    case TD_F32: *(float *)p = (float)v; break;
    case TD_F16: *(uint16_t *)p = td_f32_to_f16((float)v); break;
    case TD_BF16: *(uint16_t *)p = td_f32_to_bf16((float)v); break;
    case TD_BOOL: *(uint8_t *)p = v != 0; break;
    default: /* what does not fit i64 is INT64_MIN, as the processor has it */
        td_store_i64(t, p, v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN);
    }
}

void td_store_i64(td_dtype t, void *p, int64_t v) {
    switch (t) {
    case TD_F32: *(float *)p = (float)v; break; /* rounds once */
    case TD_I64: *(int64_t *)p = v; break;
    case TD_I32: *(int32_t *)p = (int32_t)v; break;
    case TD_U8: *(uint8_t *)p = (uint8_t)v; break;
    case TD_BOOL: *(uint8_t *)p = v != 0; break;
    default: td_store_f64(t, p, (double)v);
    }
}
