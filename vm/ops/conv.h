/* What a plan needs to run a convolution's kernels itself. */
#ifndef TD_OPS_CONV_H
#define TD_OPS_CONV_H

#include "runtime/kernels/conv.h"
#include "vm/op.h"

/* Sizes of a conv2d or conv2d_input that makes y from x (images, or their gradient) and weight, whose
 * shapes the op's rule has passed; false when there is nothing to compute. */
bool td_conv_of(const td_op *op, const td_tensor *x, const td_tensor *weight,
                const td_tensor *y, const td_attrs *attrs, td_conv *v);

#endif
