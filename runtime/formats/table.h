/* What a data file holds, whatever its format: an ordered list of named tensors.
 *
 *     td_table t = {0};
 *     if (td_file_load("hospital.csv", NULL, &t, err) == 0) {
 *         const td_entry *age = td_table_find(&t, "age");
 *         ...
 *     }
 *     td_table_clear(&t);
 *
 * A table owns its entries and a reference of each tensor; whoever wants to keep a tensor takes his own
 * (td_tensor_ref). All zeros is an empty table. */
#ifndef TD_FORMATS_TABLE_H
#define TD_FORMATS_TABLE_H

#include "runtime/tensor.h"

typedef struct td_entry {
    char *name;        /* "" where the format has no names (IDX, NPY) */
    td_tensor *tensor; /* contiguous */
    char *
        *category; /* text columns of a CSV: the text of code 0, 1, ...; NULL elsewhere */
    size_t categories;
} td_entry;

typedef struct td_note {
    char *key, *value;
} td_note;

typedef struct td_table {
    const char *format; /* "idx", "npy", "npz", "csv", "safetensors" */
    td_entry *entry;    /* in the file's order; names are different */
    size_t count;
    td_note *meta; /* safetensors' __metadata__, in the file's order */
    size_t metas;
    size_t bytes; /* of all tensors together */
} td_table;

/* Frees everything and leaves an empty table. */
void td_table_clear(td_table *t);
/* The entry of that name, or NULL. */
const td_entry *td_table_find(const td_table *t, const char *name);
/* Puts a tensor at the end: takes over *x (nulls it, also on failure). The name is copied. Does not look
 * whether the name is there already. Errors: MEMORY. */
int td_table_add(td_table *t, const char *name, td_tensor **x, td_err *err);
/* Both texts are copied. Errors: MEMORY. */
int td_table_add_meta(td_table *t, const char *key, const char *value, td_err *err);

#endif
