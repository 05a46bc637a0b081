/* Reductions: many elements to one, over any set of dimensions.
 *
 * The order in which elements are brought together depends on the shape alone, never on strides, threads
 * or the processor level: in logical order, blocks of 1024 elements of the innermost run of reduced
 * dimensions are dealt to 16 lanes, lanes are joined as a tree, blocks one after another. Floats are
 * accumulated in double, integers in 64 bits that wrap. */
#ifndef TD_REDUCE_H
#define TD_REDUCE_H

#include "runtime/tensor.h"

typedef enum td_reduce_kind {
    TD_REDUCE_SUM,
    TD_REDUCE_PROD,
    TD_REDUCE_MAX, /* a NaN wins */
    TD_REDUCE_MIN,
    TD_REDUCE_KINDS
} td_reduce_kind;

/* What is done to an element before it joins. */
typedef enum td_reduce_map {
    TD_MAP_NONE,
    TD_MAP_SQUARE,  /* (x - shift)^2; floats only */
    TD_MAP_EXP,     /* e^(x - shift); floats only */
    TD_MAP_NONZERO, /* 0 or 1 as an integer; MAX of nothing is then 0, MIN of nothing 1 */
} td_reduce_map;

/* Reduces x over the dimensions whose bits are set in dims. result: one double (float dtypes without
 * NONZERO) or int64_t for each combination of the other dimensions, in row-major order. shift: one
 * double for each result, read by SQUARE and EXP. Fails only for want of memory, when reduced
 * neighbours do not lie flat and x has to be copied first. */
int td_reduce(td_reduce_kind kind, td_reduce_map map, td_tensor *x, unsigned dims,
              const double *shift, void *result, td_err *err);

/* Position (from 0) of the largest or smallest element along dim, the first of equals; a NaN is taken at
 * once. x has at least one element along dim. positions: as result above. */
void td_arg_extreme(bool largest, const td_tensor *x, int dim, int64_t *positions);

/* out = running sums of x along dim, both of one shape; out is f64, f32 or i64. */
void td_cumsum(const td_tensor *x, int dim, td_tensor *out);

/* ---- the loops below, compiled for each processor level ---- */

#define TD_REDUCE_LANES 16
#define TD_REDUCE_BLOCK 1024
/* Results that are worked on at a time when they lie closer than what is reduced. */
#define TD_REDUCE_COLUMNS 64

typedef struct td_reduce_direct {
    /* n neighbours into 16 lanes */
    void (*run)(int64_t n, const void *x, double *lane);
    /* n rows, `step` elements apart, of `count` neighbours each, into lane[16][COLUMNS] */
    void (*rows)(int64_t n, int64_t count, int64_t step, const void *x, double *lane);
    /* n rows of `count` neighbours, nothing between them, into lane[16][count] */
    void (*dense)(int64_t n, int64_t count, const void *x, double *lane);
} td_reduce_direct;

typedef struct td_reduce_loops {
    /* n elements, stride bytes apart, as doubles or int64_t's. */
    void (*load[TD_DTYPE_COUNT])(int64_t n, const char *p, int64_t stride, void *buf);
    void (*load_nonzero[TD_DTYPE_COUNT])(int64_t n, const char *p, int64_t stride,
                                         void *buf);
    /* acc[i % LANES] = f(acc[i % LANES], buf[i]);  [0]: double, [1]: int64_t */
    void (*fold[2][TD_REDUCE_KINDS])(int64_t n, const void *buf, void *acc);
    /* acc[i] = f(acc[i], buf[i]) */
    void (*fold_flat[2][TD_REDUCE_KINDS])(int64_t n, const void *buf, void *acc);
    /* buf[i] = map(buf[i] - shift[i * step]) */
    void (*map_square)(int64_t n, double *buf, const double *shift, int64_t step);
    void (*map_exp)(int64_t n, double *buf, const double *shift, int64_t step);
    /* Straight from memory, without a map: f32, f64. No products. */
    td_reduce_direct direct[2][TD_REDUCE_KINDS];
} td_reduce_loops;

#endif
