/* The heap: the only place that calls malloc. Counts what tensors hold, refuses beyond a budget. */
#ifndef TD_MEM_H
#define TD_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

/* Small bookkeeping structs. Zeroed; NULL when memory is out. */
void *td_new_bytes(size_t bytes);
#define td_new(type) ((type *)td_new_bytes(sizeof(type)))
/* Grows or makes a plain array (not zeroed); NULL when memory is out, the old one stays then. */
void *td_grow_bytes(void *old, size_t bytes);
/* Zeroed array of count elements, the product checked; NULL when it overflows or memory is out. */
void *td_new_array(size_t count, size_t each);
void td_free(void *p);
/* Faster, for what td_new_bytes gave for that many bytes. */
void td_free_bytes(void *p, size_t bytes);
#define td_delete(type, p) td_free_bytes((p), sizeof(type))
/* For allocators that are told sizes, Lua's among them: p, which was given for old_bytes, moves to bytes; its
 * contents stay as far as they fit. NULL for p: a new one, not zeroed; 0 bytes: p goes, and NULL comes
 * back, as it does when memory is out (p stays then). */
void *td_resize_bytes(void *p, size_t old_bytes, size_t bytes);
char *td_strdup(const char *s);

/* Tensor data: aligned to 64 bytes, not zeroed, counted against the budget. bytes may be 0 (gives a
 * valid pointer). Errors: MEMORY, which names the bytes asked for, in use and allowed. */
void *td_data_new(size_t bytes, td_err *err);
void td_data_free(void *data, size_t bytes);

/* Bytes of tensor data alive in this process, and the most there ever was; all ever handed out to the
 * calling thread (a clock for the garbage collector of its Lua state). Thread-safe. */
size_t td_data_live_bytes(void);
size_t td_data_peak_bytes(void);
uint64_t td_data_total_bytes(void);
/* The budget for live tensor data; 0 means none. */
void td_data_set_limit(size_t bytes);

/* Keeps big freed blocks mapped, so that a loop of large temporaries does not fault its pages in anew
 * each time. Called once by main. */
void td_mem_setup(void);
/* Gives freed blocks that are kept for the next of their size back to the system: this thread's small ones,
 * and the big ones. */
void td_mem_give_back(void);

/* a * b and a + b; false when they do not fit. */
static inline bool td_mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool td_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

#endif
