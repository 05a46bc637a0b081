/* The order of a line of numbers: stable, the same for every dtype. NaN counts as larger than any number,
 * as in PyTorch; -0 and 0 are equal. */
#ifndef TD_SORT_H
#define TD_SORT_H

#include <stdbool.h>

#include "runtime/dtype.h"

/* A number as an unsigned one with the same order, and where it stood. */
typedef struct td_key {
    uint64_t key;
    int64_t at; /* from 0 */
} td_key;

/* n keys of numbers of dtype t that stand `step` bytes apart. */
void td_keys_read(td_dtype t, bool descending, int64_t n, const char *x, int64_t step,
                  td_key *keys);
/* Sorts; equal keys stay in order. spare has room for n. */
void td_keys_sort(td_key *keys, td_key *spare, int64_t n);
/* The same for the first k <= n alone: the rest is left in no order. spare has room for n. */
void td_keys_sort_first(td_key *keys, td_key *spare, int64_t n, int64_t k);

#endif
