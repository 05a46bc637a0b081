/* What the elementwise ops share: running an inner loop over broadcast inputs, and the shape rule that
 * refuses dtypes without a loop. */
#ifndef TD_OPS_ELEMENTWISE_H
#define TD_OPS_ELEMENTWISE_H

#include "runtime/kernels/elementwise.h"
#include "vm/grad.h"

/* out[0] becomes the loop's result over its whole shape. */
static inline int td_run_inner(td_inner *inner, td_tensor *const *in, int nin,
                               td_tensor *const *out, const void *ctx) {
    td_tensor *operand[TD_LOOP_MAX] = {out[0]};
    for (int i = 0; i < nin; i++) operand[i + 1] = in[i];
    td_loop loop;
    td_loop_init(&loop, &out[0]->shape, operand, nin + 1);
    td_loop_run(&loop, inner, ctx);
    return 0;
}

/* Broadcasts; DTYPE when the loop is NULL, which it is for bool alone once inputs are promoted. */
static inline int td_shape_inner(td_inner *inner, const td_meta *in, int nin, td_attrs *a,
                                 td_meta *out, td_err *err) {
    if (inner == NULL) {
        td_fail(err, TD_E_DTYPE, "", "wants numbers, got %s", td_dtype_name(in[0].dtype));
        td_hint(err, "convert it first: x:to(\"i64\") or x:to(\"f32\")");
        return TD_E_DTYPE;
    }
    return td_shape_elementwise(in, nin, a, out, err);
}

#endif
