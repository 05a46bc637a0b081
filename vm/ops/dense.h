/* Inputs of any strides for kernels that want them dense. */
#ifndef TD_OPS_DENSE_H
#define TD_OPS_DENSE_H

#include "runtime/scratch.h"
#include "runtime/tensor.h"

/* The order that a kernel's output lies in. */
static inline td_order td_order_of(const td_tensor *out) {
    return td_tensor_is_contiguous(out) ? TD_ORDER_ROWS : TD_ORDER_CHANNELS;
}

/* x's elements, as they would lie in a fresh tensor of that order: where they are, or copied into *scratch
 * (else NULL), which is to be given back. NULL when memory is out. */
static inline const void *td_dense(const td_tensor *x, td_order order, void **scratch,
                                   td_err *err) {
    *scratch = NULL;
    if (order == TD_ORDER_ROWS ? td_tensor_is_contiguous(x)
                               : td_tensor_is_channels_last(x))
        return td_tensor_data(x);
    *scratch =
        td_scratch_take((size_t)td_tensor_numel(x) * td_dtype_bytes(x->dtype), err);
    if (*scratch == NULL) return NULL;
    td_storage memory = {.data = *scratch};
    td_tensor copy = {.dtype = x->dtype, .shape = x->shape, .storage = &memory};
    td_shape_strides_in(&x->shape, order, copy.stride);
    td_tensor_copy(&copy, x);
    return *scratch;
}

#endif
