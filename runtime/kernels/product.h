/* The product that linear layers, convolutions and their gradients are made of:
 *
 *     c[i][j] (+)= sum over s, p of  a[i*a_row + s*a_seg + p*a_col] * b[s*b_seg + p*b_row + j*b_col]
 *
 * s is a segment of the sum and p a place in it. Strides are in elements and may overlap: in a
 * channels-last image the windows of one kernel row are the rows of a matrix whose row stride is smaller
 * than its length, and the kernel's rows are the segments, so nothing is copied.
 *
 * The order of every sum is fixed: each element of c is one chain of multiply-adds, begun at 0 (or at
 * what c holds), over the segments and inside them over p, both ascending; then the bias is added, then
 * the activation taken. With FMA (AVX2 and up) a link is rounded once, without it (baseline) twice. So
 * bits depend on nothing but the numbers: not on strides, tiles, neighbours, threads, nor on which level
 * with FMA runs. (A NaN is a NaN: which of its bits are set is not part of that.)
 *
 * Integers multiply too, in plain loops that wrap. */
#ifndef TD_PRODUCT_H
#define TD_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/dtype.h"
#include "runtime/err.h"

typedef struct td_product {
    td_dtype t; /* not TD_BOOL; bias and relu are for TD_F32 and TD_F64 */
    int64_t m, n, k;
    int64_t segments; /* 1 for a plain product; 0 leaves the chains at their start */
    const void *a;
    int64_t a_row, a_col, a_seg;
    const void *b;
    int64_t b_row, b_col, b_seg;
    void *c; /* overlaps neither a nor b */
    int64_t c_row, c_col;
    bool add;         /* the chains begin at what c holds; else c need not be set */
    const void *bias; /* n numbers, one for each column of c, or NULL */
    bool relu;        /* c = max(c, 0) at last; NaN stays NaN */
} td_product;

/* Runs it, cut over the pool's threads when it is large enough (never inside another pool task). Fails
 * only for want of scratch memory. */
int td_product_run(const td_product *p, td_err *err);

/* to[j*to_row + i] = from[i*from_row + j] for i < rows, j < cols: elements of 4 or 8 bytes. */
void td_transpose(size_t each, int64_t rows, int64_t cols, const void *from,
                  int64_t from_row, void *to, int64_t to_row);

#endif
