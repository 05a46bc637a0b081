/* Loops that copy, convert and fill, for td_loop_run. Compiled for each processor level. */
#ifndef TD_CONVERT_H
#define TD_CONVERT_H

#include "runtime/loop.h"

/* Operand 0 is written, operand 1 read; the same values as td_store_f64 and td_store_i64 of
 * runtime/dtype.h give. Between equal dtypes bits are copied as they are. */
td_inner *td_convert_inner(td_dtype to, td_dtype from);

/* Operand 0 becomes the element at ctx, one of that many bytes (1, 2, 4 or 8). */
td_inner *td_fill_inner(size_t bytes);

typedef td_inner *td_convert_table[TD_DTYPE_COUNT][TD_DTYPE_COUNT]; /* from, to */
typedef td_inner *td_fill_table[9]; /* by bytes of an element */

#endif
