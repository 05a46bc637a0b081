/* Normalisation: (x - mean) / sqrt(var + eps) * weight + bias, over groups of channels or over the batch, and
 * its gradients. Called by vm/ops/norm.c and norm_grad.c.
 *
 * x is [images, channels, pixels]; a statistic is of the channels / groups channels of one image (group
 * norm; layer norm is one with pixels = 1 and groups = 1), or of one channel of all images (groups = 0: batch
 * norm). Sums are taken in double, in an order that the sizes alone decide: those of a channel's pixels as
 * td_reduce takes them, then those of a group's channels, or of a channel's images, one after another; where
 * pixels is 1, the group's channels or the channel's images are summed as pixels would be. So the bits are
 * the same in both memory orders and for any number of threads. */
#ifndef TD_NORM_H
#define TD_NORM_H

#include "runtime/tensor.h"

typedef struct td_norm {
    td_dtype t; /* TD_F32 or TD_F64 */
    int64_t images, channels, pixels;
    int64_t groups; /* divides channels; 0: a statistic for each channel */
    double eps;
    td_order
        order; /* x, y, dy and dx are [images][channels][pixels], or [images][pixels][channels] */
} td_norm;

/* How many statistics there are: images * groups, or channels. */
int64_t td_norm_count(const td_norm *n);

/* y, mean and var (of the whole: no Bessel) from x. weight and bias: one number for each channel, or both
 * NULL for 1 and 0. With nothing to normalise over, mean and var are NaN. Fails only for want of memory. */
int td_norm_forward(const td_norm *n, const void *x, const void *weight, const void *bias,
                    void *y, void *mean, void *var, td_err *err);

/* From the gradient dy of y: those of x, weight and bias. mean and var are what forward gave. */
int td_norm_backward(const td_norm *n, const void *x, const void *dy, const void *mean,
                     const void *var, const void *weight, void *dx, void *dweight,
                     void *dbias, td_err *err);

/* ---- the loops below, compiled for each processor level ---- */

/* Columns that are worked on at a time. */
#define TD_NORM_COLUMNS 64

typedef struct td_norm_loops {
    /* sum[0], sum[1] = the sums of x - shift and of its square over n neighbours. */
    void (*run_sums)(int64_t n, const void *x, double shift, double *sum);
    /* The same down `count` <= COLUMNS neighbouring columns of `rows` rows, `step` elements apart. */
    void (*column_sums)(int64_t rows, int64_t step, int64_t count, const void *x,
                        const double *shift, double *sum, double *square);
    /* sum[0], sum[1] = the sums of dy w and of dy w (x - mean); w NULL: 1. */
    void (*run_grad_sums)(int64_t n, const void *x, const void *dy, const void *w,
                          double mean, double *sum);
    void (*column_grad_sums)(int64_t rows, int64_t step, int64_t count, const void *x,
                             const void *dy, const double *mean, double *sum,
                             double *product);
    /* y = (x - m) a + b: numbers m[0], a[0], b[0] for a run, one of each for each column. */
    void (*run_scale)(int64_t n, const void *x, const void *m, const void *a,
                      const void *b, void *y);
    void (*column_scale)(int64_t rows, int64_t count, const void *x, const void *m,
                         const void *a, const void *b, void *y);
    /* y = (x - m) r w + b with a w and a b for each element, or NULL for both. */
    void (*line_scale)(int64_t n, const void *x, double m, double r, const void *w,
                       const void *b, void *y);
    /* dx = dy a + (x - m) b + c, the same way. */
    void (*run_grad)(int64_t n, const void *x, const void *dy, const void *m,
                     const void *a, const void *b, const void *c, void *dx);
    void (*column_grad)(int64_t rows, int64_t count, const void *x, const void *dy,
                        const void *m, const void *a, const void *b, const void *c,
                        void *dx);
    /* dx = dy r w + (x - m) b + c; and dw += dy (x - m) r, db += dy, for each element. */
    void (*line_grad)(int64_t n, const void *x, const void *dy, const void *w, double m,
                      double r, double b, double c, void *dx, double *dw, double *db);
} td_norm_loops;

typedef const td_norm_loops *td_norm_table[2]; /* f32, f64 */

#endif
