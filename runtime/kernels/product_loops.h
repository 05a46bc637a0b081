/* What product.c asks of product_simd.c: the loops of one product, compiled for each processor level. */
#ifndef TD_PRODUCT_LOOPS_H
#define TD_PRODUCT_LOOPS_H

#include "runtime/kernels/product.h"

typedef struct td_product_loops {
    void (*f32)(const td_product *p); /* any strides; one thread, no scratch */
    void (*f64)(const td_product *p);
} td_product_loops;

#endif
