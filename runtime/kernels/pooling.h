/* Pooling of dense images [N, C, H, W], F32 or F64, in rows or with channels last: the same bits in both
 * orders, on every processor level and for any number of threads. */
#ifndef TD_POOLING_H
#define TD_POOLING_H

#include <stdbool.h>

#include "runtime/dtype.h"

typedef struct td_pooling {
    int64_t images, channels;
    bool channels_last; /* how all operands lie */
    int64_t h, w, oh, ow;
    int64_t kh, kw, sh, sw, ph, pw; /* window, stride, padding */
    bool count_pad; /* an average divides by the whole window, also at the border */
} td_pooling;

/* The largest of each window and its position in the plane, counted from 1: of equals the first. NaN is
 * larger than anything; of several the last, as in PyTorch. Padding is never taken. */
void td_max_pool(const td_pooling *p, td_dtype t, const void *x, void *y, int32_t *index);
/* The adjoint: dx at index += dy in the order of the windows, and 0 elsewhere. Needs no more of p than
 * sizes; indices lie in [1, h * w]. */
void td_max_pool_back(const td_pooling *p, td_dtype t, const void *dy,
                      const int32_t *index, void *dx);

/* Sums are taken row by row through a window, and divided at last. */
void td_avg_pool(const td_pooling *p, td_dtype t, const void *x, void *y);
void td_avg_pool_back(const td_pooling *p, td_dtype t, const void *dy, void *dx);

/* The loops over one unit of work: a plane in rows, an image with channels last. */
typedef struct td_pooling_loops {
    void (*max)(const td_pooling *p, const void *x, void *y, int32_t *index);
    void (*max_back)(const td_pooling *p, const void *dy, const int32_t *index, void *dx);
    void (*avg)(const td_pooling *p, const void *x, void *y);
    void (*avg_back)(const td_pooling *p, const void *dy, void *dx);
} td_pooling_loops;
typedef td_pooling_loops td_pooling_table[2][2]; /* f64?, channels last? */

#endif
