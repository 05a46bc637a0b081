/* The negative log likelihood: minus the entry of each line that its label names, and the way back. Called
 * by vm/ops/loss.c. */
#ifndef TD_NLL_H
#define TD_NLL_H

#include <stdbool.h>

#include "runtime/dtype.h"

typedef struct td_nll {
    td_dtype t;                    /* TD_F32 or TD_F64 */
    int64_t outer, classes, inner; /* logp is [outer][classes][inner] */
    double scale;                  /* what the sum is divided by */
    bool each;                     /* one loss for each line instead of their sum */
} td_nll;

/* label: [outer][inner], each in [0, classes). y: [outer][inner] or one number, whose sum is taken in double,
 * in td_reduce's order. */
void td_nll_run(const td_nll *l, const void *logp, const int64_t *label, void *y);
/* dlogp from the gradient of y: 0 but for -g / scale at the labels. */
void td_nll_grad(const td_nll *l, const void *g, const int64_t *label, void *dlogp);

#endif
