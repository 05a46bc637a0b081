/* For the op tests: plain tensors turned into real ones that lie in memory in various ways, and back. */
#ifndef TESTS_OPS_TENSORS_H
#define TESTS_OPS_TENSORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/ops/rows.h"
#include "vm/grad.h"

typedef enum layout {
    LAYOUT_FLAT,       /* contiguous */
    LAYOUT_TRANSPOSED, /* dimensions lie in the opposite order */
    LAYOUT_NARROWED,   /* the inside of a larger tensor */
    LAYOUT_EXPANDED,   /* stride 0 along one dimension */
    LAYOUT_CHANNELS,   /* of 4 dimensions the second lies innermost; else contiguous */
    LAYOUTS,
} layout;

static const char *const layout_name[] = {"contiguous", "transposed", "narrowed",
                                          "expanded", "channels last"};

/* "2x3" and "scalar". */
static inline void shape_of(const char *text, td_shape *s) {
    s->ndim = 0;
    if (strcmp(text, "scalar") == 0) return;
    for (const char *p = text;; p++) {
        char *end;
        s->dim[s->ndim++] = strtoll(p, &end, 10);
        p = end;
        if (*p != 'x') break;
    }
}

static inline void rt_free(rt *x) {
    free(x->v);
    x->v = NULL;
}

/* x in dtype t and the given layout; x's values become what the dtype could hold. EXPANDED repeats the
 * first slice of the first dimension of more than one, in x too. */
static inline td_tensor *tensor_of(rt *x, td_dtype t, layout how) {
    td_err err = {0};
    td_shape s = {.ndim = x->ndim}, room;
    for (int d = 0; d < x->ndim; d++) s.dim[d] = x->dim[d];
    room = s;
    int wide = -1;
    if (how == LAYOUT_EXPANDED)
        for (int d = x->ndim - 1; d >= 0; d--)
            if (x->dim[d] > 1) wide = d;
    if (wide >= 0) room.dim[wide] = 1;
    if (how == LAYOUT_TRANSPOSED)
        for (int d = 0; d < s.ndim; d++) room.dim[d] = s.dim[s.ndim - 1 - d];
    if (how == LAYOUT_NARROWED)
        for (int d = 0; d < s.ndim; d++) room.dim[d] = s.dim[d] + 1 + d % 2;
    td_tensor *base = td_tensor_new_in(
        t, &room, how == LAYOUT_CHANNELS ? TD_ORDER_CHANNELS : TD_ORDER_ROWS, &err);
    assert_non_null(base);
    memset(base->storage->data, 0x7f,
           base->storage->bytes); /* what lies around must not matter */
    int64_t stride[TD_MAX_DIM], offset = 0;
    for (int d = 0; d < s.ndim; d++) {
        stride[d] =
            d == wide ? 0 : base->stride[how == LAYOUT_TRANSPOSED ? s.ndim - 1 - d : d];
        if (how == LAYOUT_NARROWED) offset += stride[d];
    }
    td_tensor *y = td_tensor_view(base, &s, stride, offset, &err);
    td_tensor_unref(&base);
    int64_t index[TD_MAX_DIM];
    for (int64_t i = rt_numel(x) - 1; i >= 0;
         i--) { /* backwards: the first of repeated ones stays */
        rt_index(x, i, index);
        td_store_f64(t, td_tensor_at(y, index), x->v[i]);
    }
    for (int64_t i = 0; i < rt_numel(x); i++) {
        rt_index(x, i, index);
        x->v[i] = td_load_f64(t, td_tensor_at(y, index));
    }
    return y;
}

/* The values of a tensor. */
static inline void rt_of(rt *x, const td_tensor *t) {
    rt_new(x, t->shape.ndim, t->shape.dim);
    int64_t index[TD_MAX_DIM];
    for (int64_t i = 0; i < rt_numel(x); i++) {
        rt_index(x, i, index);
        x->v[i] = td_load_f64(t->dtype, td_tensor_at(t, index));
    }
}

/* Numbers that spread evenly over a range without order, no two alike, for whichever salts:
 * multiples of the golden ratio, shifted by multiples of the root of 2. */
static inline double spread(int64_t i, int salt) {
    double v = (double)(i + 1) * 0.61803398874989485 + salt * 0.41421356237309505;
    return v - floor(v);
}

#endif
