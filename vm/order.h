/* In which order the results of an operation lie in memory: the one rule, which the eager executor and
 * compiled plans both follow. It is local: nothing but the operation, the sizes and how the inputs lie
 * decides, so that no pass has to carry layouts through a network. Values do not depend on it.
 *
 * - Results of other than 4 dimensions lie in rows, and so do those of operations that say nothing.
 * - TD_OP_CHANNELS (convolutions): channels last.
 * - TD_OP_FOLLOWS (pools, normalisation): as input 0; channels last where that could be either.
 * - TD_OP_ELEMENTWISE: channels last when an input of the result's size lies so and not in rows too. */
#ifndef TD_VM_ORDER_H
#define TD_VM_ORDER_H

#include "vm/op.h"

/* The orders that a tensor lies in, none of them when it is no dense whole. */
enum { TD_LIES_IN_ROWS = 1, TD_LIES_IN_CHANNELS = 2 };
unsigned td_lies(const td_tensor *x);

/* The order of those outputs of op that have 4 dimensions. lies: what td_lies says of each input. */
td_order td_op_order(const td_op *op, const td_meta *in, const unsigned *lies, int nin,
                     const td_meta *out);
/* The same from inputs that are here. */
td_order td_op_order_of(const td_op *op, td_tensor *const *in, int nin,
                        const td_meta *out);

#endif
