/* Memory for the time of a call: a stack of the thread's own, which keeps its blocks, so that a kernel
 * that has run once allocates nothing when it runs again. Counted like tensor data. */
#ifndef TD_SCRATCH_H
#define TD_SCRATCH_H

#include <stddef.h>

#include "runtime/err.h"

/* Aligned to 64 bytes, not zeroed. What is taken last is given back first; give(NULL) does nothing.
 * bytes may be 0. Errors: MEMORY. */
void *td_scratch_take(size_t bytes, td_err *err);
void td_scratch_give(void *p);

/* Gives the thread's idle blocks back to the system (part of td_mem_give_back). */
void td_scratch_trim(void);

#endif
