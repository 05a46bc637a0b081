/* Vectors as the loops of products need them, for the level that is compiled: VEC(S) of LANES(S) numbers,
 * S being f32 or f64, and a mask for a vector that is not full. Included by product_simd.c and by the
 * *_simd.c files of convolutions. */
#ifndef TD_PRODUCT_VECTOR_H
#define TD_PRODUCT_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
/* The loop that follows, of a few constant rounds, is written out: what it counts are registers. */
#if defined(__clang__)
#define WRITTEN_OUT _Pragma("clang loop unroll(full)")
#else
#define WRITTEN_OUT _Pragma("GCC unroll 16")
#endif

#if defined(__AVX512F__)

#define VECTOR_BYTES 64
typedef __m512 vec_f32;
typedef __m512d vec_f64;
typedef __mmask16 mask_f32;
typedef __mmask8 mask_f64;
INLINE mask_f32 mask_of_f32(int64_t n) { return (mask_f32)((1u << n) - 1); }
INLINE mask_f64 mask_of_f64(int64_t n) { return (mask_f64)((1u << n) - 1); }
INLINE vec_f32 zero_f32(void) { return _mm512_setzero_ps(); }
INLINE vec_f64 zero_f64(void) { return _mm512_setzero_pd(); }
INLINE vec_f32 spread_f32(float x) { return _mm512_set1_ps(x); }
INLINE vec_f64 spread_f64(double x) { return _mm512_set1_pd(x); }
INLINE vec_f32 load_f32(const float *p) { return _mm512_loadu_ps(p); }
INLINE vec_f64 load_f64(const double *p) { return _mm512_loadu_pd(p); }
INLINE void store_f32(float *p, vec_f32 x) { _mm512_storeu_ps(p, x); }
INLINE void store_f64(double *p, vec_f64 x) { _mm512_storeu_pd(p, x); }
INLINE vec_f32 load_part_f32(const float *p, mask_f32 m) {
    return _mm512_maskz_loadu_ps(m, p);
}
INLINE vec_f64 load_part_f64(const double *p, mask_f64 m) {
    return _mm512_maskz_loadu_pd(m, p);
}
INLINE void store_part_f32(float *p, mask_f32 m, vec_f32 x) {
    _mm512_mask_storeu_ps(p, m, x);
}
INLINE void store_part_f64(double *p, mask_f64 m, vec_f64 x) {
    _mm512_mask_storeu_pd(p, m, x);
}
INLINE vec_f32 link_f32(vec_f32 a, vec_f32 b, vec_f32 c) {
    return _mm512_fmadd_ps(a, b, c);
}
INLINE vec_f64 link_f64(vec_f64 a, vec_f64 b, vec_f64 c) {
    return _mm512_fmadd_pd(a, b, c);
}
INLINE vec_f32 relu_f32(vec_f32 x) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, zero_f32(), _CMP_NLE_UQ), x);
}
INLINE vec_f64 relu_f64(vec_f64 x) {
    return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x, zero_f64(), _CMP_NLE_UQ), x);
}

/* 16 bytes from each of four places. */
INLINE vec_f32 gather_f32(const float *const p[4]) {
    vec_f32 x = _mm512_castps128_ps512(_mm_loadu_ps(p[0]));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p[1]), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p[2]), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(p[3]), 3);
}
INLINE vec_f64 gather_f64(const double *const p[4]) {
    vec_f64 x = _mm512_castpd128_pd512(_mm_loadu_pd(p[0]));
    x = _mm512_insertf64x2(x, _mm_loadu_pd(p[1]), 1);
    x = _mm512_insertf64x2(x, _mm_loadu_pd(p[2]), 2);
    return _mm512_insertf64x2(x, _mm_loadu_pd(p[3]), 3);
}
/* Turns each square of 16 bytes a row. */
INLINE void turn_f32(vec_f32 x[4]) {
    vec_f32 a = _mm512_unpacklo_ps(x[0], x[2]), b = _mm512_unpackhi_ps(x[0], x[2]);
    vec_f32 c = _mm512_unpacklo_ps(x[1], x[3]), d = _mm512_unpackhi_ps(x[1], x[3]);
    x[0] = _mm512_unpacklo_ps(a, c), x[1] = _mm512_unpackhi_ps(a, c);
    x[2] = _mm512_unpacklo_ps(b, d), x[3] = _mm512_unpackhi_ps(b, d);
}
INLINE void turn_f64(vec_f64 x[2]) {
    vec_f64 a = _mm512_unpacklo_pd(x[0], x[1]);
    x[1] = _mm512_unpackhi_pd(x[0], x[1]);
    x[0] = a;
}

#elif defined(__AVX2__)

#define VECTOR_BYTES 32
typedef __m256 vec_f32;
typedef __m256d vec_f64;
typedef __m256i mask_f32;
typedef __m256i mask_f64;
INLINE mask_f32 mask_of_f32(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE mask_f64 mask_of_f64(int64_t n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
INLINE vec_f32 zero_f32(void) { return _mm256_setzero_ps(); }
INLINE vec_f64 zero_f64(void) { return _mm256_setzero_pd(); }
INLINE vec_f32 spread_f32(float x) { return _mm256_set1_ps(x); }
INLINE vec_f64 spread_f64(double x) { return _mm256_set1_pd(x); }
INLINE vec_f32 load_f32(const float *p) { return _mm256_loadu_ps(p); }
INLINE vec_f64 load_f64(const double *p) { return _mm256_loadu_pd(p); }
INLINE void store_f32(float *p, vec_f32 x) { _mm256_storeu_ps(p, x); }
INLINE void store_f64(double *p, vec_f64 x) { _mm256_storeu_pd(p, x); }
INLINE vec_f32 load_part_f32(const float *p, mask_f32 m) {
    return _mm256_maskload_ps(p, m);
}
INLINE vec_f64 load_part_f64(const double *p, mask_f64 m) {
    return _mm256_maskload_pd(p, m);
}
INLINE void store_part_f32(float *p, mask_f32 m, vec_f32 x) {
    _mm256_maskstore_ps(p, m, x);
}
INLINE void store_part_f64(double *p, mask_f64 m, vec_f64 x) {
    _mm256_maskstore_pd(p, m, x);
}
INLINE vec_f32 link_f32(vec_f32 a, vec_f32 b, vec_f32 c) {
    return _mm256_fmadd_ps(a, b, c);
}
INLINE vec_f64 link_f64(vec_f64 a, vec_f64 b, vec_f64 c) {
    return _mm256_fmadd_pd(a, b, c);
}
INLINE vec_f32 relu_f32(vec_f32 x) {
    return _mm256_and_ps(x, _mm256_cmp_ps(x, zero_f32(), _CMP_NLE_UQ));
}
INLINE vec_f64 relu_f64(vec_f64 x) {
    return _mm256_and_pd(x, _mm256_cmp_pd(x, zero_f64(), _CMP_NLE_UQ));
}

/* 16 bytes from each of two places. */
INLINE vec_f32 gather_f32(const float *const p[2]) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p[0])),
                                _mm_loadu_ps(p[1]), 1);
}
INLINE vec_f64 gather_f64(const double *const p[2]) {
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p[0])),
                                _mm_loadu_pd(p[1]), 1);
}
/* Turns each square of 16 bytes a row. */
INLINE void turn_f32(vec_f32 x[4]) {
    vec_f32 a = _mm256_unpacklo_ps(x[0], x[2]), b = _mm256_unpackhi_ps(x[0], x[2]);
    vec_f32 c = _mm256_unpacklo_ps(x[1], x[3]), d = _mm256_unpackhi_ps(x[1], x[3]);
    x[0] = _mm256_unpacklo_ps(a, c), x[1] = _mm256_unpackhi_ps(a, c);
    x[2] = _mm256_unpacklo_ps(b, d), x[3] = _mm256_unpackhi_ps(b, d);
}
INLINE void turn_f64(vec_f64 x[2]) {
    vec_f64 a = _mm256_unpacklo_pd(x[0], x[1]);
    x[1] = _mm256_unpackhi_pd(x[0], x[1]);
    x[0] = a;
}

#else /* 16 bytes in the compiler's own vectors; a mask is a count */

#define VECTOR_BYTES 16
#define GENERIC(S, T, I)                                                                 \
    typedef T vec_##S __attribute__((vector_size(16)));                                  \
    typedef I bits_##S __attribute__((vector_size(16)));                                 \
    typedef int64_t mask_##S;                                                            \
    INLINE mask_##S mask_of_##S(int64_t n) { return n; }                                 \
    INLINE vec_##S zero_##S(void) { return (vec_##S){0}; }                               \
    INLINE vec_##S spread_##S(T x) { return x - zero_##S(); }                            \
    INLINE vec_##S load_##S(const T *p) {                                                \
        vec_##S x;                                                                       \
        memcpy(&x, p, sizeof x);                                                         \
        return x;                                                                        \
    }                                                                                    \
    INLINE void store_##S(T *p, vec_##S x) { memcpy(p, &x, sizeof x); }                  \
    INLINE vec_##S load_part_##S(const T *p, mask_##S n) {                               \
        vec_##S x = {0};                                                                 \
        for (int64_t i = 0; i < n; i++) x[i] = p[i];                                     \
        return x;                                                                        \
    }                                                                                    \
    INLINE void store_part_##S(T *p, mask_##S n, vec_##S x) {                            \
        for (int64_t i = 0; i < n; i++) p[i] = x[i];                                     \
    }                                                                                    \
    INLINE vec_##S link_##S(vec_##S a, vec_##S b, vec_##S c) { return c + a * b; }       \
    INLINE vec_##S relu_##S(vec_##S x) {                                                 \
        return (vec_##S)((bits_##S)x & ~(bits_##S)(x <= zero_##S()));                    \
    }
GENERIC(f32, float, int32_t)
GENERIC(f64, double, int64_t)
#undef GENERIC

INLINE vec_f32 gather_f32(const float *const p[1]) { return load_f32(p[0]); }
INLINE vec_f64 gather_f64(const double *const p[1]) { return load_f64(p[0]); }
/* Turns a square of 16 bytes a row. */
INLINE void turn_f32(vec_f32 x[4]) {
    vec_f32 a = __builtin_shufflevector(x[0], x[2], 0, 4, 1, 5);
    vec_f32 b = __builtin_shufflevector(x[0], x[2], 2, 6, 3, 7);
    vec_f32 c = __builtin_shufflevector(x[1], x[3], 0, 4, 1, 5);
    vec_f32 d = __builtin_shufflevector(x[1], x[3], 2, 6, 3, 7);
    x[0] = __builtin_shufflevector(a, c, 0, 4, 1, 5);
    x[1] = __builtin_shufflevector(a, c, 2, 6, 3, 7);
    x[2] = __builtin_shufflevector(b, d, 0, 4, 1, 5);
    x[3] = __builtin_shufflevector(b, d, 2, 6, 3, 7);
}
INLINE void turn_f64(vec_f64 x[2]) {
    vec_f64 a = __builtin_shufflevector(x[0], x[1], 0, 2);
    x[1] = __builtin_shufflevector(x[0], x[1], 1, 3);
    x[0] = a;
}

#endif

#endif
