/* The ways to compute a convolution, among which conv.c chooses by shape. Contracts are those of conv.h. */
#ifndef TD_CONV_INNER_H
#define TD_CONV_INNER_H

#include "runtime/kernels/conv.h"

/* Filters [group][kh][kw][c][o]. Padding may be negative here: the image is then cut. */
int td_conv_by_rows(const td_conv *v, td_dtype t, const void *x, const void *filters,
                    const void *bias, bool relu, void *y, int64_t from, int64_t to,
                    td_err *err);

/* The input gradient for any stride, filters [group][kh][o][kw][c]: what each pixel of dy adds to a row
 * of dx is a product, which is then added where it belongs. */
int td_conv_input_by_adding(const td_conv *v, td_dtype t, const void *dy,
                            const void *filters, void *dx, int64_t from, int64_t to,
                            td_err *err);

#endif
