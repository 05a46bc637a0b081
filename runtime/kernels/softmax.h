/* softmax and log_softmax along a dimension, and their gradients.
 *
 * The largest number of a line is subtracted first, so nothing overflows; sums are taken in double, in
 * td_reduce's order. How lines lie and which are worked on together changes no bits. */
#ifndef TD_SOFTMAX_H
#define TD_SOFTMAX_H

#include <stdbool.h>

#include "runtime/dtype.h"

typedef struct td_softmax {
    td_dtype t; /* TD_F32 or TD_F64 */
    bool as_log;
    int64_t outer, length,
        inner; /* memory is [outer][length][inner]; lines are of `length` */
} td_softmax;

/* y from x. They do not overlap. */
void td_softmax_run(const td_softmax *s, const void *x, void *y);
/* dx from the result y and its gradient dy: y (dy - sum(dy y)), or dy - exp(y) sum(dy) for log_softmax. */
void td_softmax_grad(const td_softmax *s, const void *dy, const void *y, void *dx);

/* ---- the loops below, compiled for each processor level ---- */

#define TD_SOFTMAX_TILE 16 /* lines that are worked on side by side */
#define TD_SOFTMAX_SHORT                                                                 \
    32 /* shorter lines that lie one after another are turned into tiles */

typedef struct td_softmax_loops {
    /* `lines` lines one after another. */
    void (*lines)(bool as_log, int64_t lines, int64_t length, const void *x, void *y);
    void (*grad_lines)(bool as_log, int64_t lines, int64_t length, const void *dy,
                       const void *y, void *dx);
    /* `width` <= TILE lines side by side, whose elements are `step` elements apart. */
    void (*columns)(bool as_log, int64_t width, int64_t length, int64_t step,
                    const void *x, void *y);
    void (*grad_columns)(bool as_log, int64_t width, int64_t length, int64_t step,
                         const void *dy, const void *y, void *dx);
} td_softmax_loops;

typedef const td_softmax_loops *td_softmax_table[2]; /* f32, f64 */

#endif
