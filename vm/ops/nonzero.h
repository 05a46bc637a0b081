/* Where a mask is true. Not an op: the size of its result depends on values, so no place but this one can
 * work it out. */
#ifndef TD_OPS_NONZERO_H
#define TD_OPS_NONZERO_H

#include "runtime/tensor.h"

/* The positions of true elements, in reading order, as a new i64 tensor of one dimension; positions count
 * from 1 through all elements. DTYPE unless mask is bool. */
td_tensor *td_nonzero(const td_tensor *mask, td_err *err);

#endif
