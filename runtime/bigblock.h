/* Big blocks of memory: mappings of their own, and a few freed ones kept for the next that wants the same
 * size. A loop of large temporaries then neither faults its pages in anew nor fragments the heap. */
#ifndef TD_BIGBLOCK_H
#define TD_BIGBLOCK_H

#include <stddef.h>

/* From here on a block is a big one. */
#define TD_BIG_BYTES ((size_t)512 << 10)

/* Not zeroed, aligned to a page. NULL when the system has none, after what is kept has been given back.
 * Thread-safe. */
void *td_big_new(size_t bytes);
/* bytes as they were asked for. */
void td_big_free(void *p, size_t bytes);
/* Gives back what is kept. */
void td_big_trim(void);

#endif
