/* The rule of memory orders. Called by td_op_run for each operation, so the common cases answer fast. */
#include "vm/order.h"

unsigned td_lies(const td_tensor *x) {
    return (td_tensor_is_contiguous(x) ? TD_LIES_IN_ROWS : 0u) |
           (td_tensor_is_channels_last(x) ? TD_LIES_IN_CHANNELS : 0u);
}

/* What the op's flags alone decide; false: the inputs have a say. */
static bool is_decided(const td_op *op, const td_meta *out, td_order *order) {
    const unsigned any = TD_OP_CHANNELS | TD_OP_FOLLOWS | TD_OP_ELEMENTWISE;
    bool images = false;
    for (int k = 0; k < op->nout; k++) images |= out[k].shape.ndim == 4;
    *order = images && (op->flags & TD_OP_CHANNELS) ? TD_ORDER_CHANNELS : TD_ORDER_ROWS;
    return !images || !(op->flags & any) || (op->flags & TD_OP_CHANNELS);
}

td_order td_op_order(const td_op *op, const td_meta *in, const unsigned *lies, int nin,
                     const td_meta *out) {
    td_order order;
    if (is_decided(op, out, &order)) return order;
    if (op->flags & TD_OP_FOLLOWS)
        return lies[0] & TD_LIES_IN_CHANNELS ? TD_ORDER_CHANNELS : TD_ORDER_ROWS;
    for (int i = 0; i < nin; i++)
        if (lies[i] == TD_LIES_IN_CHANNELS && td_shape_equal(&in[i].shape, &out[0].shape))
            return TD_ORDER_CHANNELS;
    return TD_ORDER_ROWS;
}

td_order td_op_order_of(const td_op *op, td_tensor *const *in, int nin,
                        const td_meta *out) {
    td_order order;
    if (is_decided(op, out, &order)) return order;
    if (op->flags & TD_OP_FOLLOWS)
        return td_tensor_is_channels_last(in[0]) ? TD_ORDER_CHANNELS : TD_ORDER_ROWS;
    for (int i = 0; i < nin; i++)
        if (td_shape_equal(&in[i]->shape, &out[0].shape) &&
            td_lies(in[i]) == TD_LIES_IN_CHANNELS)
            return TD_ORDER_CHANNELS;
    return TD_ORDER_ROWS;
}
