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

/* Winograd's way, see conv_winograd.h: is it to be taken? */
bool td_conv_winograd_wins(const td_conv *v);
/* Filters [point][c][o] of the convolution v, from OIHW; turn: v is the turned one of conv.c, and OIHW
 * that of the convolution it was made of. */
int td_conv_winograd_bytes(const td_conv *v, td_dtype t, size_t *bytes, td_err *err);
void td_conv_winograd_filters(const td_conv *v, td_dtype t, bool turn, const void *weight,
                              void *filters);
int td_conv_by_winograd(const td_conv *v, td_dtype t, const void *x, const void *filters,
                        const void *bias, bool relu, void *y, int64_t from, int64_t to,
                        td_err *err);
int td_conv_weight_by_winograd(const td_conv *v, td_dtype t, const void *dy,
                               const void *x, void *dweight, td_err *err);
int td_conv_weight_by_rows(const td_conv *v, td_dtype t, const void *dy, const void *x,
                           void *dweight, td_err *err);

/* Groups of one channel and one filter, filters [kh][kw][group]; turn: as above. */
bool td_conv_is_depthwise(const td_conv *v);
void td_conv_depth_filters(const td_conv *v, td_dtype t, bool turn, const void *weight,
                           void *filters);
int td_conv_depth_forward(const td_conv *v, td_dtype t, const void *x,
                          const void *filters, const void *bias, bool relu, void *y,
                          int64_t from, int64_t to, td_err *err);
int td_conv_depth_input(const td_conv *v, td_dtype t, const void *dy, const void *filters,
                        void *dx, int64_t from, int64_t to, td_err *err);
int td_conv_depth_weight(const td_conv *v, td_dtype t, const void *dy, const void *x,
                         void *dweight, td_err *err);

#endif
