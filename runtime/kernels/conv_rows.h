/* What the convolution kernels share: which taps meet the image, and image rows laid out so that windows
 * lie in one piece. */
#ifndef TD_CONV_ROWS_H
#define TD_CONV_ROWS_H

#include <stdatomic.h>

#include "runtime/kernels/conv.h"

typedef struct td_span {
    int64_t from, to; /* empty when they are equal */
} td_span;

/* Steps s in [0, count) for which first + s * step lies in [0, size). step > 0. */
td_span td_conv_inside(int64_t first, int64_t step, int64_t count, int64_t size);

/* Rows of an image as products read them: padded at their sides, and with the channels of a group
 * together. Line l, column q, channel j of group g is element
 * g * group + (l * pitch + q) * pixel + j; column q is the image's column q - pw. */
typedef struct td_conv_lines {
    bool is_whole; /* windows lie in one piece; if not, taps must be taken one by one */
    bool is_copy;  /* the image itself does not do */
    int64_t pitch, pixel, group;
    int64_t left; /* not a copy: elements from an image row's begin to column 0 */
} td_conv_lines;

/* rows: of the image, at most, in one copy. */
td_conv_lines td_conv_lines_of(const td_conv *v, int64_t rows);
/* Bytes of a copy of that many rows; 0 when there is none. LIMIT when they cannot be counted. */
int td_conv_lines_bytes(const td_conv_lines *s, const td_conv *v, int64_t rows,
                        size_t each, size_t *bytes, td_err *err);
/* Line 0 of the image's rows [from, to): in the image, or copied to `copy`. */
const char *td_conv_lines_make(const td_conv_lines *s, const td_conv *v, size_t each,
                               const char *image, int64_t from, int64_t to, char *copy);

/* The first failure of pieces that run side by side. */
typedef struct td_conv_failure {
    atomic_int code;
    td_err err;
} td_conv_failure;
void td_conv_failed(td_conv_failure *f, const td_err *err);
/* Its code, and its words in *err; 0 when there was none. */
int td_conv_failure_take(td_conv_failure *f, td_err *err);

#endif
