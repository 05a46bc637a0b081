/* Looking up by positions and labels, on raw pointers: one run of a walk at a time (see runtime/loop.h).
 * Positions have been checked by whoever calls. */
#ifndef TD_INDEX_H
#define TD_INDEX_H

#include "runtime/dtype.h"

/* A dimension that is walked by positions and not in order. */
typedef struct td_index {
    td_dtype ids;    /* I64 or I32 */
    td_dtype values; /* what is moved or added */
    int64_t size;    /* entries of the dimension */
    int64_t step;    /* bytes from one to the next */
} td_index;

/* The position at p, from 0. Given ones count from 1, negative ones from the end. */
int64_t td_index_at(const td_index *x, const char *p);

/* td_inner functions; ctx is a td_index.
 * gather: operands to, ids, from (its first entry): to = from[id]. */
void td_gather_run(int64_t n, char *const *ptr, const int64_t *stride, const void *ctx);
/* scatter: operands to (its first entry), ids, from: to[id] += from, in the order of the walk. */
void td_scatter_add_run(int64_t n, char *const *ptr, const int64_t *stride,
                        const void *ctx);

#endif
