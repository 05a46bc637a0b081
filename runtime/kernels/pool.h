/* Pooling of contiguous planes (the last two dimensions of NCHW images), F32 or F64. */
#ifndef TD_POOL_H
#define TD_POOL_H

#include <stdbool.h>

#include "runtime/dtype.h"

typedef struct td_pool {
    int64_t planes; /* images * channels */
    int64_t h, w, oh, ow;
    int64_t kh, kw, sh, sw, ph, pw; /* window, stride, padding */
    bool count_pad; /* an average divides by the whole window, also at the border */
} td_pool;

/* The largest of each window and its position in the plane, counted from 1: of equals the first. NaN is
 * larger than anything; of several the last, as in PyTorch. Padding is never taken. */
void td_max_pool(const td_pool *p, td_dtype t, const void *x, void *y, int64_t *index);
/* The adjoint: dx at index += dy, and 0 elsewhere. */
void td_max_pool_back(const td_pool *p, td_dtype t, const void *dy, const int64_t *index,
                      void *dx);

void td_avg_pool(const td_pool *p, td_dtype t, const void *x, void *y);
void td_avg_pool_back(const td_pool *p, td_dtype t, const void *dy, void *dx);

#endif
