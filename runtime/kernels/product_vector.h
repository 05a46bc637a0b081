/* Vectors as the loops of products need them, for the level that is compiled: VEC(S) of LANES(S) numbers,
 * S being f32 or f64, and a mask for a vector that is not full. Included by product_simd.c alone. */
#ifndef TD_PRODUCT_VECTOR_H
#define TD_PRODUCT_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

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

#endif

#endif
