/* Positions and labels that arrive as attributes or as data: how they are resolved and how an error
 * names them. Shared by the ops that look things up. */
#ifndef TD_OPS_POSITION_H
#define TD_OPS_POSITION_H

#include "runtime/tensor.h"

/* A POS attribute (from 0; negative: from the end) of a dimension that has `size` entries, as a plain
 * position in [0, size). dim counts from 0. INDEX: "select: position 7 of dimension 1, which has 5". */
static inline int td_position_resolve(const char *call, int64_t pos, int dim,
                                      int64_t size, int64_t *out, td_err *err) {
    int64_t at = pos < 0 ? pos + size : pos;
    if (at < 0 || at >= size)
        return td_fail(err, TD_E_INDEX, call,
                       "position %lld of dimension %d, which has %lld",
                       (long long)(pos < 0 ? pos : pos + 1), dim + 1, (long long)size);
    *out = at;
    return 0;
}

/* A position that stands in a tensor of positions: from 1, or negative from the end. */
static inline int td_position_check(const char *call, int64_t given, int dim,
                                    int64_t size, td_err *err) {
    if ((given >= 1 && given <= size) || (given < 0 && given >= -size)) return 0;
    return td_fail(err, TD_E_INDEX, call, "position %lld of dimension %d, which has %lld",
                   (long long)given, dim + 1, (long long)size);
}

/* The same position from 0, once it has been checked. */
static inline int64_t td_position_at(int64_t given, int64_t size) {
    return given < 0 ? given + size : given - 1;
}

#endif
