/* softmax of a line, in two dtypes. Called by the softmax ops. */
#include "runtime/kernels/softmax.h"

#include <math.h>

/* exp goes through y for softmax, so that it is computed once; log_softmax needs its sum alone. NaN is
 * never greater and passes through the differences. */
#define SOFTMAX_LINE(type, exp_)                                                         \
    static void softmax_##type(bool as_log, int64_t n, const char *x, int64_t x_step,    \
                               char *y, int64_t y_step) {                                \
        type most = -(type)INFINITY;                                                     \
        for (int64_t i = 0; i < n; i++) {                                                \
            type v = *(const type *)(x + i * x_step);                                    \
            if (v > most) most = v;                                                      \
        }                                                                                \
        double sum = 0;                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                \
            type d = *(const type *)(x + i * x_step) - most, e = exp_(d);                \
            sum += (double)e;                                                            \
            *(type *)(y + i * y_step) = as_log ? d : e;                                  \
        }                                                                                \
        type less = (type)log(sum), scale = (type)(1 / sum);                             \
        for (int64_t i = 0; i < n; i++) {                                                \
            type *to = (type *)(y + i * y_step);                                         \
            *to = as_log ? *to - less : *to * scale;                                     \
        }                                                                                \
    }
SOFTMAX_LINE(float, expf)
SOFTMAX_LINE(double, exp)
#undef SOFTMAX_LINE

void td_softmax_line(td_dtype t, bool as_log, int64_t n, const char *x, int64_t x_step,
                     char *y, int64_t y_step) {
    if (t == TD_F32)
        softmax_float(as_log, n, x, x_step, y, y_step);
    else
        softmax_double(as_log, n, x, x_step, y, y_step);
}
