/* What product.c asks of product_simd.c: a product in the form that its loops take. The lanes of a vector
 * run along j, so b lies by rows (or was packed so); a and c lie anyhow. */
#ifndef TD_PRODUCT_LOOPS_H
#define TD_PRODUCT_LOOPS_H

#include "runtime/kernels/product.h"

#define TD_PART_WIDEST 4 /* vectors side by side in a tile */

/* A panel is `width` vectors of columns. Strides are in elements. */
typedef struct td_part {
    int64_t m, n, k, segments;
    const void *a;
    int64_t a_row, a_col, a_seg;
    const void *b;
    int64_t b_row, b_seg, b_panel; /* b_panel: from one panel to the next */
    void *c;
    int64_t c_row, c_col;
    const void *
        bias; /* NULL, or bias[i * bias_row + j * bias_col]: one of them is 0, the other 1 */
    int64_t bias_row, bias_col;
    int64_t ahead; /* elements of b: how far ahead of its use it is fetched, or 0 */
    int width;
    bool
        rows_first; /* all panels for a few rows, then the next rows; else the other way round */
    bool add, relu;
} td_part;

/* Full vectors and at most a quarter of one behind them, in one panel. */
static inline bool td_is_narrow(int64_t n, int64_t lanes) {
    int64_t rest = n & (lanes - 1);
    return n > lanes && n < TD_PART_WIDEST * lanes && rest > 0 && rest <= lanes / 4;
}

typedef struct td_product_loops {
    int lanes;                       /* numbers in a vector */
    int tallest[TD_PART_WIDEST + 1]; /* [width]: rows of the largest tile */
    bool shares; /* four rows share their last vector when n is narrow */
    void (*run)(const td_part *p);
    /* td_transpose of one element size */
    void (*turn)(int64_t rows, int64_t cols, const void *from, int64_t from_row, void *to,
                 int64_t to_row);
    /* to[i*to_row + j] = from[i*from_row + j] for i < rows, j < cols */
    void (*copy)(int64_t rows, int64_t cols, const void *from, int64_t from_row, void *to,
                 int64_t to_row);
} td_product_loops;

typedef struct td_product_level {
    td_product_loops f32, f64;
} td_product_level;

/* Those of integers; one thread. */
void td_product_integers(const td_product *p);

/* td_product_run at a level of the caller's choice. */
int td_product_run_at(const td_product_level *level, const td_product *p, td_err *err);

#endif
