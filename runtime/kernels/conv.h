/* Two-dimensional convolution (as in networks: correlation) and its two adjoints, by matrix products over
 * unfolded images. Everything is contiguous and F32 or F64; nothing is empty. */
#ifndef TD_CONV_H
#define TD_CONV_H

#include "runtime/err.h"
#include "runtime/kernels/unfold.h"

/* y [n, groups * o, oh, ow] from x [n, groups * c, h, w] and weight [groups * o, c, kh, kw]. Like the
 * others it fails only when there is no memory for its scratch space (MEMORY). */
int td_conv_forward(const td_conv *v, td_dtype t, const void *x, const void *weight,
                    void *y, td_err *err);
/* dx, of x's shape, from dy and weight. */
int td_conv_input(const td_conv *v, td_dtype t, const void *dy, const void *weight,
                  void *dx, td_err *err);
/* dweight from dy and x; a sum over all images, in their order. */
int td_conv_weight(const td_conv *v, td_dtype t, const void *dy, const void *x,
                   void *dweight, td_err *err);

#endif
