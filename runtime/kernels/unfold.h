/* Images laid out so that a convolution becomes a matrix product, and back.
 *
 * Tap t of a kernel looks at the image shifted by that tap. Unfolding writes, for each channel and each
 * tap of a set, the plane of elements that the tap meets: a row of the matrix. Two sets are of use:
 *
 *   all taps      kh * kw planes a channel, each of oh x ow elements: the classical im2col;
 *   a row of taps kw planes a channel, each of all the image rows that any tap meets; the planes of kernel
 *                 row r are then found inside them, a number of rows further on. A kh-th of the copying
 *                 (Cho and Brand, "MEC: memory-efficient convolution", 2017). With a stride the image rows
 *                 are sorted by their remainder, so that those of one kernel row stay neighbours. */
#ifndef TD_UNFOLD_H
#define TD_UNFOLD_H

#include <stdbool.h>

#include "runtime/dtype.h"

/* Sizes of a convolution. Images and filters are contiguous, NCHW and OIHW. */
typedef struct td_conv {
    int64_t n, groups;
    int64_t c, h, w;   /* of the input; channels of one group */
    int64_t o, oh, ow; /* of the output; filters of one group */
    int64_t kh, kw;
    int64_t sh, sw, ph, pw, dh, dw; /* stride, padding, dilation */
} td_conv;

typedef struct td_unfold {
    const td_conv *conv;
    bool by_row;       /* the set is a row of taps */
    bool in_place;     /* the image is its own unfolding: nothing has to be copied */
    int64_t taps;      /* in the set */
    int64_t steps;     /* sets in a kernel: kh, or 1 */
    int64_t rows;      /* of each plane */
    int64_t rows_each; /* by_row: rows of each remainder */
    int64_t depth;     /* rows of the matrix: channels * taps */
    int64_t line;      /* elements from one row of the matrix to the next */
} td_unfold;

void td_unfold_init(td_unfold *u, const td_conv *conv);
/* Elements of the unfolding of one group of one image; 0 when it is in place. False when they cannot be
 * counted. */
bool td_unfold_size(const td_unfold *u, size_t *elements);
/* Where the planes of kernel row `step` begin, in elements. */
int64_t td_unfold_start(const td_unfold *u, int64_t step);

/* One group of an image, c x h x w, of dtype F32 or F64. */
void td_unfold_image(const td_unfold *u, td_dtype t, const void *image, void *unfolded);
/* The adjoint: adds each element of the unfolding to the image element that it was read from. */
void td_fold_add(const td_unfold *u, td_dtype t, const void *unfolded, void *image);

#endif
