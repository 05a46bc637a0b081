/* What reductions over dimensions share: which dimensions go, the shape that is left, and the way back
 * for gradients. Attributes 0 and 1 are dims and keepdim. */
#ifndef TD_OPS_REDUCE_H
#define TD_OPS_REDUCE_H

#include "runtime/kernels/reduce.h"
#include "runtime/scratch.h"
#include "vm/grad.h"

#define TD_REDUCE_ATTRS                                                                  \
    {.name = "dims", .kind = TD_ATTR_DIMS}, { .name = "keepdim", .kind = TD_ATTR_BOOL }

/* A bit for each dimension that is reduced; none named means all. */
unsigned td_reduced_dims(const td_shape *s, const td_attrs *a);
/* The shape that is left. */
void td_reduced_shape(const td_shape *s, unsigned dims, bool keepdim, td_shape *out);
/* How many elements go into one result. */
int64_t td_reduced_count(const td_shape *s, unsigned dims);
/* Something of the output's shape, stretched back over the input's. */
td_val *td_reduced_back(td_grad *g, td_val *v);
/* Something of the output's shape with sizes of 1 where dimensions were reduced: broadcasts with the
 * input. */
td_val *td_reduced_keep(td_grad *g, td_val *v);

/* td_reduce into scratch memory, *bytes of results: to be given back with td_scratch_give. */
void *td_reduce_new(td_reduce_kind kind, td_reduce_map map, td_tensor *x, unsigned dims,
                    const double *shift, size_t *bytes, td_err *err);
/* Converts results (double, or int64_t when `integers`) to out's dtype. */
void td_reduce_store(const void *result, bool integers, td_tensor *out);

#endif
