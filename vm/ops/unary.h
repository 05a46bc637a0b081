/* How a row of the op table for a function of one tensor is written. */
#ifndef TD_OPS_UNARY_H
#define TD_OPS_UNARY_H

#include <math.h>

#include "vm/ops/elementwise.h"

#define UNARY_FLAGS (TD_OP_METHOD | TD_OP_FUNCTION | TD_OP_PROMOTE | TD_OP_ELEMENTWISE)

/* The shape rule and kernel of one op. */
#define UNARY_RULES(id, KIND)                                                            \
    static int id##_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,         \
                          td_err *err) {                                                 \
        return td_shape_inner(td_unary_inner(KIND, in[0].dtype), in, nin, a, out, err);  \
    }                                                                                    \
    UNARY_KERNEL(id, KIND)
#define UNARY_KERNEL(id, KIND)                                                           \
    static int id##_kernel(td_tensor *const *in, int nin, const td_attrs *a,             \
                           td_tensor *const *out, td_err *err) {                         \
        (void)a, (void)err;                                                              \
        return td_run_inner(td_unary_inner(KIND, in[0]->dtype), in, nin, out, NULL);     \
    }

/* The fields that all of them share. */
#define UNARY_OP(id, more_flags)                                                         \
    .nin = 1, .nout = 1, .flags = UNARY_FLAGS | (more_flags), .shape = id##_shape,       \
    .kernel = id##_kernel

#endif
