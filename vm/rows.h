/* Gradients of which all rows but a few are zero: of a table of embeddings of which a batch names some rows.
 * Such a value has the shape of the whole, and in place of a tensor a list of parts: ids of rows, and what
 * is added there. It stands in a leaf's .grad alone, goes into no operation, and becomes a tensor for
 * whoever wants one (td_val_tensor, td_rows_make_whole).
 *
 * What a part consists of are values like any other: here, at a worker or in a trace. */
#ifndef TD_ROWS_H
#define TD_ROWS_H

#include "vm/val.h"

struct td_rows {
    int count;
    td_val **ids; /* of each part: i64 from 0, [n] */
    td_val **
        values; /* [n, width]: the first of equal ids carries the sum of all, the others zeros */
    /* of a single part: 1 for the first of equal ids, 0 for the others, [n]; NULL for several parts, which
     * have equal ids between them */
    td_val *first;
};

/* Zeros of whole's shape [rows, width] and dtype but for one part. Takes its own references. */
td_val *td_rows_new(const td_meta *whole, td_val *ids, td_val *values, td_val *first,
                    td_err *err);
/* *sum becomes *sum + v, where one of the two at least is of rows; whole as soon as one is. */
int td_rows_add(td_val **sum, td_val *v, td_err *err);
/* The same as a tensor: a new value, where the parts live. */
td_val *td_rows_whole(const td_val *v, td_err *err);
/* v becomes whole itself. Nothing happens to a value that is not of rows. */
int td_rows_make_whole(td_val *v, td_err *err);
/* Where the parts live, or NULL for here. */
td_place *td_rows_place(const struct td_rows *r);
void td_rows_free(struct td_rows **r);

#endif
