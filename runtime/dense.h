/* A tensor's elements in the order that a kernel wants them: where they lie if they lie so already, else a
 * copy in the thread's scratch memory. */
#ifndef TD_DENSE_H
#define TD_DENSE_H

#include "runtime/tensor.h"

typedef struct td_dense {
    void *data;
    void *scratch; /* NULL: data is the tensor's own */
} td_dense;

/* Errors: MEMORY. Taken ones are given back, the last one first; a zeroed one may be given back. */
int td_dense_take(td_dense *d, const td_tensor *x, td_order order, td_err *err);
void td_dense_give(td_dense *d);
/* The order of a tensor that lies in one of them; rows where it lies in both. */
td_order td_dense_order(const td_tensor *x);

#endif
