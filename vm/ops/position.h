/* Positions and labels, as attributes or as data: how they are checked and how errors name them. Shared by
 * the ops that look things up. */
#ifndef TD_OPS_POSITION_H
#define TD_OPS_POSITION_H

#include "runtime/tensor.h"

/* A POS attribute (from 0; negative: from the end) of a dimension that has `size` entries, as a plain
 * position in [0, size). dim counts from 0. INDEX: "select: position 7 of dimension 1, which has 5". */
int td_position_resolve(const char *call, int64_t pos, int dim, int64_t size,
                        int64_t *out, td_err *err);

/* DTYPE unless t can hold positions: i64 or i32. */
int td_positions_dtype(const char *call, td_dtype t, td_err *err);
/* All entries are positions in a dimension: 1 to size, or -size to -1. INDEX, as above. */
int td_positions_check(const char *call, td_tensor *ids, int dim, int64_t size,
                       td_err *err);

/* Is there an entry outside [least, most]? *bad becomes the first one. */
bool td_finds_outside(td_tensor *ids, int64_t least, int64_t most, int64_t *bad);

/* DTYPE unless t can hold labels: i64, i32 or u8. */
int td_labels_dtype(const char *call, td_dtype t, td_err *err);
/* All entries are in [0, classes). INDEX: "nll_loss: label 10 with 10 classes (labels count from 0)". */
int td_labels_check(const char *call, td_tensor *labels, int64_t classes, td_err *err);
/* Integers of any strides and dtype as contiguous i64. A new reference. */
td_tensor *td_labels_plain(td_tensor *labels, td_err *err);

#endif
