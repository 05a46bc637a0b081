/* Loops that convert elements from one dtype to another, for td_loop_run: operand 0 is written, operand 1
 * read. The same values as td_store_f64 and td_store_i64 of runtime/dtype.h give. */
#ifndef TD_CONVERT_H
#define TD_CONVERT_H

#include "runtime/loop.h"

td_inner *td_convert_inner(td_dtype to, td_dtype from);

#endif
