/* Products of integers, which wrap: plain loops. Called by td_product_run. */
#include "runtime/kernels/product_loops.h"

/* A row of c at a time, and rows of b innermost, so that sums go along memory; unsigned arithmetic wraps. */
#define PRODUCT(name, type)                                                              \
    static void name(const td_product *p) {                                              \
        for (int64_t i = 0; i < p->m; i++) {                                             \
            type *c = (type *)p->c + i * p->c_row;                                       \
            if (!p->add)                                                                 \
                for (int64_t j = 0; j < p->n; j++) c[j * p->c_col] = 0;                  \
            for (int64_t s = 0; s < p->segments; s++) {                                  \
                const type *a = (const type *)p->a + i * p->a_row + s * p->a_seg;        \
                const type *b = (const type *)p->b + s * p->b_seg;                       \
                for (int64_t q = 0; q < p->k; q++, a += p->a_col, b += p->b_row) {       \
                    if (p->b_col == 1 && p->c_col == 1)                                  \
                        for (int64_t j = 0; j < p->n; j++)                               \
                            c[j] = (type)(c[j] + *a * b[j]);                             \
                    else                                                                 \
                        for (int64_t j = 0; j < p->n; j++)                               \
                            c[j * p->c_col] =                                            \
                                (type)(c[j * p->c_col] + *a * b[j * p->b_col]);          \
                }                                                                        \
            }                                                                            \
        }                                                                                \
    }
PRODUCT(of_8_bytes, uint64_t)
PRODUCT(of_4_bytes, uint32_t)
PRODUCT(of_1_byte, uint8_t)

void td_product_integers(const td_product *p) {
    switch (td_dtype_bytes(p->t)) {
    case 8: of_8_bytes(p); break;
    case 4: of_4_bytes(p); break;
    default: of_1_byte(p);
    }
}
