/* Walks several tensors in step: dimensions are sorted, merged where they can be, and an inner function
 * is given runs along the last one. Elementwise kernels, copies and reductions all go through this. */
#ifndef TD_LOOP_H
#define TD_LOOP_H

#include "runtime/tensor.h"

#define TD_LOOP_MAX 4 /* operands at most */

/* Runs n steps; ptr[k] advances by stride[k] bytes a step. */
typedef void td_inner(int64_t n, char *const *ptr, const int64_t *stride,
                      const void *ctx);

typedef struct td_loop {
    int ndim, count;
    int64_t dim[TD_MAX_DIM];
    int64_t stride[TD_LOOP_MAX]
                  [TD_MAX_DIM]; /* in bytes; 0 where the operand is broadcast */
    char *ptr[TD_LOOP_MAX];
} td_loop;

/* Over `shape`, to which every operand broadcasts. The order of operand 0's memory decides the order of
 * the walk. */
void td_loop_init(td_loop *loop, const td_shape *shape, td_tensor *const *operand,
                  int count);
/* The same with the strides given (reductions set 0 on the reduced dimensions of the output); dimensions
 * are merged but keep their order, so the order of a sum does not depend on anything else. */
void td_loop_init_raw(td_loop *loop, const td_shape *shape, char *const *ptr,
                      const int64_t *const *stride_bytes, int count);
void td_loop_run(const td_loop *loop, td_inner *inner, const void *ctx);
/* The same, cut over the pool's threads when it is large, by its sizes alone: for inner functions that do not
 * mind where runs are cut, and whose steps write each element of operand 0 once. */
void td_loop_run_cut(const td_loop *loop, td_inner *inner, const void *ctx);

#endif
