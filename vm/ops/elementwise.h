/* How the inner loop of an elementwise op is written, where kernels/elementwise.h has it in a table. */
#ifndef TD_OPS_ELEMENTWISE_H
#define TD_OPS_ELEMENTWISE_H

#include "runtime/kernels/elementwise.h"
#include "vm/grad.h"

/* Defines id##_inner: the loop of that kind for the dtype of input 0. */
#define TD_INNER_OF(id, table, KIND)                                                     \
    static td_inner *id##_inner(const td_meta *in, int nin, const td_attrs *attrs,       \
                                td_inner_args *args) {                                   \
        (void)nin, (void)attrs, (void)args;                                              \
        return table(KIND, in[0].dtype);                                                 \
    }
#define TD_UNARY(id, KIND) TD_INNER_OF(id, td_unary_inner, KIND)
#define TD_BINARY(id, KIND) TD_INNER_OF(id, td_binary_inner, KIND)

#endif
