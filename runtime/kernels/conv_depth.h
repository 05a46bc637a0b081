/* Loops of depthwise convolutions: every channel has a filter of its own, lanes are channels. */
#ifndef TD_CONV_DEPTH_H
#define TD_CONV_DEPTH_H

#include <stdbool.h>
#include <stdint.h>

/* Strides and counts are in elements. Every sum is one chain of multiply-adds (product.h), in the order of
 * its terms. */
typedef struct td_depth_loops {
    /* y[c] = sum over i of x[i][c] * w[i][c], then bias (or NULL) and relu */
    void (*pixel)(int64_t terms, const void *const *x, const void *const *w,
                  int64_t channels, const void *bias, bool relu, void *y);
    /* sum[c] += sum over i of a[i * a_step + c] * b[i * b_step + c] */
    void (*row)(int64_t terms, const void *a, int64_t a_step, const void *b,
                int64_t b_step, int64_t channels, void *sum);
} td_depth_loops;

typedef struct td_depth_level {
    td_depth_loops f32, f64;
} td_depth_level;

#endif
