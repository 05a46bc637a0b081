/* Dense operands for kernels. Called by ops whose kernels do not take strides. */
#include "runtime/dense.h"

#include "runtime/scratch.h"

int td_dense_take(td_dense *d, const td_tensor *x, td_order order, td_err *err) {
    bool is_so = order == TD_ORDER_CHANNELS ? td_tensor_is_channels_last(x)
                                            : td_tensor_is_contiguous(x);
    *d = (td_dense){0};
    if (is_so) {
        d->data = td_tensor_data(x);
        return 0;
    }
    size_t bytes = (size_t)td_tensor_numel(x) * td_dtype_bytes(x->dtype);
    d->data = d->scratch = td_scratch_take(bytes, err);
    if (d->data == NULL) return TD_E_MEMORY;
    td_storage room = {.data = d->data, .bytes = bytes};
    td_tensor copy = {.dtype = x->dtype, .shape = x->shape, .storage = &room};
    td_shape_strides_in(&x->shape, order, copy.stride);
    td_tensor_copy(&copy, x);
    return 0;
}

void td_dense_give(td_dense *d) {
    td_scratch_give(d->scratch);
    *d = (td_dense){0};
}

td_order td_dense_order(const td_tensor *x) {
    return td_tensor_is_contiguous(x) ? TD_ORDER_ROWS : TD_ORDER_CHANNELS;
}
