/* softmax and log_softmax of one line of numbers. */
#ifndef TD_SOFTMAX_H
#define TD_SOFTMAX_H

#include <stdbool.h>

#include "runtime/dtype.h"

/* n numbers of dtype t (F32 or F64) from x to y; they stand x_step and y_step bytes apart. The largest is
 * subtracted first, so nothing overflows; the sum is taken in double. */
void td_softmax_line(td_dtype t, bool as_log, int64_t n, const char *x, int64_t x_step,
                     char *y, int64_t y_step);

#endif
