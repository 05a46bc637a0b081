/* Two-dimensional convolution (as in networks: correlation) and its two adjoints, by products over
 * shifted rows (product.h): in channels order the window of one kernel row lies in one piece, so that
 * almost nothing is copied.
 *
 * Images are dense and in channels order: channel j of pixel (i, y, x) is element
 * ((i * h + y) * w + x) * channels + j. Filters are dense OIHW. F32 or F64, nothing empty.
 *
 * How a result is computed depends on the sizes in td_conv alone, never on n, on the range of images that
 * is asked for, or on threads; an image's results are the same bits in any company. The functions cut their
 * work over the pool's threads themselves, or stay on the caller's inside a piece. */
#ifndef TD_CONV_H
#define TD_CONV_H

#include <stdbool.h>

#include "runtime/dtype.h"
#include "runtime/err.h"

/* Sizes of a convolution. */
typedef struct td_conv {
    int64_t n, groups;
    int64_t c, h, w;   /* of the input; channels of one group */
    int64_t o, oh, ow; /* of the output; filters of one group */
    int64_t kh, kw;
    int64_t sh, sw, ph, pw, dh, dw; /* stride, padding, dilation */
} td_conv;

/* Filters in the order in which the products of td_conv_forward or of td_conv_input take them: made once
 * for any number of calls. LIMIT when the bytes cannot be counted. */
typedef enum td_conv_way { TD_CONV_FORWARD, TD_CONV_INPUT } td_conv_way;
int td_conv_filters_bytes(const td_conv *v, td_dtype t, td_conv_way way, size_t *bytes,
                          td_err *err);
void td_conv_filters(const td_conv *v, td_dtype t, td_conv_way way, const void *weight,
                     void *filters);

/* Images [from, to) of y [n, groups * o, oh, ow] from x [n, groups * c, h, w]; x and y are the whole
 * batch. Ranges of at least 28 tiles of 4x4 results keep the products of Winograd's way full; smaller ones
 * cost speed, not bits. bias: groups * o numbers, or NULL; relu: y = max(y, 0) at last. Like the others it fails only
 * for its scratch space: MEMORY, or LIMIT when that cannot be counted. */
int td_conv_forward(const td_conv *v, td_dtype t, const void *x, const void *filters,
                    const void *bias, bool relu, void *y, int64_t from, int64_t to,
                    td_err *err);
/* Images [from, to) of dx, of x's shape, from dy. */
int td_conv_input(const td_conv *v, td_dtype t, const void *dy, const void *filters,
                  void *dx, int64_t from, int64_t to, td_err *err);
/* dweight [groups * o, c, kh, kw] from dy and x; a sum over all images, in their order. */
int td_conv_weight(const td_conv *v, td_dtype t, const void *dy, const void *x,
                   void *dweight, td_err *err);

#endif
