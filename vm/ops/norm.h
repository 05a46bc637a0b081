/* What the three normalisations and their gradients share. Attribute 0 is eps, attribute 1 the groups of
 * group_norm and the dimensions of layer_norm. */
#ifndef TD_OPS_NORM_H
#define TD_OPS_NORM_H

#include "runtime/dense.h"
#include "runtime/kernels/norm.h"
#include "vm/grad.h"

typedef enum td_norm_kind {
    TD_GROUP_NORM, /* a statistic for each group of channels of each image */
    TD_LAYER_NORM, /* for all of the last dimensions */
    TD_BATCH_NORM, /* for each channel of the batch */
} td_norm_kind;

#define TD_NORM_EPS                                                                      \
    { .name = "eps", .kind = TD_ATTR_FLOAT, .preset = 1e-5 }

/* Judges x and the attributes; gives the shapes of the statistics and of weight and bias. */
int td_norm_shapes(td_norm_kind kind, const char *call, const td_shape *x,
                   const td_attrs *a, td_shape *statistics, td_shape *weight,
                   td_err *err);
/* SHAPE unless `got` is `want`; `what` names it. */
int td_norm_wants(const char *call, const char *what, const td_shape *want,
                  const td_shape *got, td_err *err);
/* The kernels' view of x, which td_norm_shapes has judged. */
td_norm td_norm_of(td_norm_kind kind, const td_tensor *x, const td_attrs *a,
                   td_order order);
/* In a rule of an op whose input 0 is x: a statistic, so that it broadcasts with x. */
td_val *td_norm_beside_x(td_grad *g, td_norm_kind kind, td_val *v);

#endif
