/* The loops of products, compiled once for each processor level. */
#include "runtime/cpu.h"
#include "runtime/kernels/product_loops.h"

#if defined(__FMA__)
#define CHAIN_f32(a, b, c) __builtin_fmaf(a, b, c)
#define CHAIN_f64(a, b, c) __builtin_fma(a, b, c)
#else
#define CHAIN_f32(a, b, c) ((c) + (a) * (b))
#define CHAIN_f64(a, b, c) ((c) + (a) * (b))
#endif

#define WIDE 64

/* A row of c at a time, WIDE columns of it. */
#define PRODUCT(S, T)                                                                    \
    static void product_##S(const td_product *p) {                                       \
        const T *bias = p->bias;                                                         \
        T acc[WIDE] = {0};                                                               \
        for (int64_t i = 0; i < p->m; i++)                                               \
            for (int64_t from = 0; from < p->n; from += WIDE) {                          \
                int64_t n = p->n - from < WIDE ? p->n - from : WIDE;                     \
                T *c = (T *)p->c + i * p->c_row + from * p->c_col;                       \
                for (int64_t j = 0; j < n; j++) acc[j] = p->add ? c[j * p->c_col] : 0;   \
                for (int64_t s = 0; s < p->segments; s++)                                \
                    for (int64_t q = 0; q < p->k; q++) {                                 \
                        const T a =                                                      \
                            ((const T *)                                                 \
                                 p->a)[i * p->a_row + s * p->a_seg + q * p->a_col];      \
                        const T *b = (const T *)p->b + s * p->b_seg + q * p->b_row +     \
                                     from * p->b_col;                                    \
                        if (p->b_col == 1)                                               \
                            TD_VECTOR for (int64_t j = 0; j < n; j++) acc[j] =           \
                                CHAIN_##S(a, b[j], acc[j]);                              \
                        else                                                             \
                            for (int64_t j = 0; j < n; j++)                              \
                                acc[j] = CHAIN_##S(a, b[j * p->b_col], acc[j]);          \
                    }                                                                    \
                if (bias)                                                                \
                    for (int64_t j = 0; j < n; j++) acc[j] += bias[from + j];            \
                if (p->relu)                                                             \
                    for (int64_t j = 0; j < n; j++) acc[j] = acc[j] <= 0 ? 0 : acc[j];   \
                for (int64_t j = 0; j < n; j++) c[j * p->c_col] = acc[j];                \
            }                                                                            \
    }
PRODUCT(f32, float)
PRODUCT(f64, double)

extern const td_product_loops TD_LEVELED(td_product_loops);
const td_product_loops TD_LEVELED(td_product_loops) = {product_f32, product_f64};
