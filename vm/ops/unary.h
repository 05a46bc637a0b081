/* How a row of the op table for a function of one tensor is written. */
#ifndef TD_OPS_UNARY_H
#define TD_OPS_UNARY_H

#include <math.h>

#include "vm/ops/elementwise.h"

#define UNARY_FLAGS (TD_OP_METHOD | TD_OP_FUNCTION | TD_OP_PROMOTE | TD_OP_ELEMENTWISE)

/* The fields that all of them share. */
#define UNARY_OP(id, more_flags)                                                         \
    .nin = 1, .nout = 1, .flags = UNARY_FLAGS | (more_flags),                            \
    .shape = td_shape_elementwise, .inner = id##_inner

#endif
