/* Picks elementwise loops, copies and conversions for the processor. */
#include "runtime/kernels/elementwise.h"

#include "runtime/cpu.h"
#include "runtime/kernels/convert.h"

TD_LEVEL_DECLARE(td_unary_table, td_unary_table);
TD_LEVEL_DECLARE(td_binary_table, td_binary_table);
TD_LEVEL_DECLARE(td_where_table, td_where_table);
TD_LEVEL_DECLARE(td_convert_table, td_convert_table);
TD_LEVEL_DECLARE(td_fill_table, td_copy_table);
TD_LEVEL_DECLARE(td_fill_table, td_fill_table);

td_inner *td_unary_inner(td_unary op, td_dtype t) {
    return (*TD_LEVEL_PICK(td_unary_table))[op][t];
}

td_inner *td_binary_inner(td_binary op, td_dtype t) {
    return (*TD_LEVEL_PICK(td_binary_table))[op][t];
}

td_inner *td_where_inner(size_t bytes) { return (*TD_LEVEL_PICK(td_where_table))[bytes]; }

td_inner *td_convert_inner(td_dtype to, td_dtype from) {
    if (to == from) return (*TD_LEVEL_PICK(td_copy_table))[td_dtype_bytes(to)];
    return (*TD_LEVEL_PICK(td_convert_table))[from][to];
}

td_inner *td_fill_inner(size_t bytes) { return (*TD_LEVEL_PICK(td_fill_table))[bytes]; }
