/* The one way to an operation: td_apply checks it, and runs it here, or hands it to the place where its
 * inputs live; and enters it on the tape when a gradient wants it. */
#ifndef TD_APPLY_H
#define TD_APPLY_H

#include "vm/val.h"

/* Applies op. attrs may be NULL for none; presets are filled in here. out receives op->nout new
 * references. Errors: ARGUMENT (count, attributes), DTYPE, SHAPE, LOCATION ("add: one tensor is at bob,
 * the other at alice; move one of them"), INDEX and VALUE from checks, MEMORY. */
int td_apply(const td_op *op, td_val *const *in, int nin, const td_attrs *attrs,
             td_val **out, td_err *err);

/* Ops without inputs (zeros, randn): at `place`, or here when that is NULL. */
int td_apply_create(td_place *place, const td_op *op, const td_attrs *attrs, td_val **out,
                    td_err *err);

/* The executor's core, with no values or tape: promoted inputs in, fresh tensors out, which lie as
 * vm/order.h says. Used by td_apply and by whoever runs operations one by one (a session at a worker). */
int td_op_run(const td_op *op, td_tensor *const *in, int nin, const td_attrs *attrs,
              const td_meta *out_meta, td_tensor **out, td_err *err);

/* Its second half: the value checks of op, then its kernel, into tensors that are there already, of the
 * sizes that the shape rule gives and in an order that the op can write (any strides at all for
 * TD_OP_ELEMENTWISE, whose outputs may also be the very memory of an input of the same strides). Not for
 * TD_OP_VIEW. */
int td_op_run_into(const td_op *op, td_tensor *const *in, int nin, const td_attrs *attrs,
                   td_tensor *const *out, td_err *err);

/* Output metas of an op whose inputs are as they are: attributes checked, dtypes checked (not promoted:
 * a program says its casts), shape rule applied. What judges an op from the wire. */
int td_op_infer(const td_op *op, const td_meta *in, int nin, td_attrs *attrs,
                td_meta *out, td_err *err);

/* Is the tape off (tide.no_grad, or inside an optimiser's step)? Nested: td_tape_off(true) ... (false). */
bool td_tape_is_off(void);
bool td_tape_set_off(bool off); /* returns the old state */

#endif
