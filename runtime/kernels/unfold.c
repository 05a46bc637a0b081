/* Unfolding of images and its adjoint. Called by the convolution kernels. */
#include "runtime/kernels/unfold.h"

#include <string.h>

#include "runtime/mem.h"

/* Products thinner than this are made deeper by taking all taps at once; from here on a row of taps wins
 * (tried with 1 to 64 channels and kernels of 3 and 5). */
#define DEPTH_ENOUGH 8

void td_unfold_init(td_unfold *u, const td_conv *v) {
    *u = (td_unfold){.conv = v};
    int64_t needed = (v->oh - 1) * v->sh + (v->kh - 1) * v->dh + 1;
    u->rows_each = (needed + v->sh - 1) / v->sh;
    bool deep = v->c * v->kw >= DEPTH_ENOUGH || v->kh == 1;
    bool skips_rows = u->rows_each * v->sh > v->kh * v->oh;
    u->by_row = deep && !skips_rows;
    u->taps = u->by_row ? v->kw : v->kh * v->kw;
    u->steps = u->by_row ? v->kh : 1;
    u->depth = v->c * u->taps;
    u->rows = u->by_row ? u->rows_each * v->sh : v->oh;
    u->line = u->rows * v->ow;
    u->in_place =
        u->by_row && v->kw == 1 && v->sw == 1 && v->sh == 1 && v->pw == 0 && v->ph == 0;
    if (u->in_place) u->line = v->h * v->w;
}

bool td_unfold_size(const td_unfold *u, size_t *elements) {
    const td_conv *v = u->conv;
    const int64_t factor[] = {v->c, u->taps, u->rows, v->ow};
    *elements = u->in_place ? 0 : 1;
    for (int i = 0; i < 4; i++)
        if (!td_mul_size(*elements, (size_t)factor[i], elements)) return false;
    return true;
}

int64_t td_unfold_start(const td_unfold *u, int64_t step) {
    const td_conv *v = u->conv;
    int64_t row = step * v->dh;
    return (row % v->sh * u->rows_each + row / v->sh) * v->ow;
}

/* The image row that a row of tap t's plane shows; it may lie outside the image. */
static inline int64_t image_row(const td_unfold *u, int64_t tap, int64_t row) {
    const td_conv *v = u->conv;
    if (u->by_row) return row % u->rows_each * v->sh + row / u->rows_each - v->ph;
    return row * v->sh + tap / v->kw * v->dh - v->ph;
}

/* Output columns [from, to) for which a tap, shifted by `shift` columns, stays inside the image. */
typedef struct span {
    int64_t from, to;
} span;

static span inside(const td_conv *v, int64_t shift) {
    int64_t from = shift < 0 ? (-shift + v->sw - 1) / v->sw : 0;
    int64_t to = shift < v->w ? (v->w - 1 - shift) / v->sw + 1 : 0;
    if (to > v->ow) to = v->ow;
    return (span){from < to ? from : to, to};
}

#define REAL float
#define TYPED(name) name##_f32
#include "runtime/kernels/unfold_typed.h"
#undef REAL
#undef TYPED
#define REAL double
#define TYPED(name) name##_f64
#include "runtime/kernels/unfold_typed.h"
#undef REAL
#undef TYPED

void td_unfold_image(const td_unfold *u, td_dtype t, const void *image, void *unfolded) {
    if (t == TD_F32)
        unfold_f32(u, image, unfolded);
    else
        unfold_f64(u, image, unfolded);
}

void td_fold_add(const td_unfold *u, td_dtype t, const void *unfolded, void *image) {
    if (t == TD_F32)
        fold_f32(u, unfolded, image);
    else
        fold_f64(u, unfolded, image);
}
