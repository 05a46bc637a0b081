/* Depthwise convolutions and their adjoints: groups of one channel and one filter. Nothing is copied; a
 * pixel's terms are listed once for all its channels. */
#include <string.h>

#include "runtime/cpu.h"
#include "runtime/kernels/conv_depth.h"
#include "runtime/kernels/conv_inner.h"
#include "runtime/kernels/conv_rows.h"
#include "runtime/mem.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

TD_LEVEL_DECLARE(td_depth_level, td_depth_level);

#define PIECE_WORK ((int64_t)1 << 17) /* multiplications */

bool td_conv_is_depthwise(const td_conv *v) {
    return v->groups > 1 && v->c == 1 && v->o == 1;
}

typedef struct depth {
    const td_conv *v;
    int64_t each; /* bytes of an element */
    const td_depth_loops *loops;
    const char *from, *filters, *bias; /* filters: [kh][kw][channel] */
    bool relu;
    char *to;
    int64_t first, rows, bands; /* image; rows of a band of results; bands of an image */
    td_conv_failure failure;
} depth;

static depth depth_of(const td_conv *v, td_dtype t) {
    const td_depth_level *level = TD_LEVEL_PICK(td_depth_level);
    return (depth){.v = v,
                   .each = (int64_t)td_dtype_bytes(t),
                   .loops = t == TD_F32 ? &level->f32 : &level->f64};
}

/* Taps of one side that give something to a pixel of the result, and the pixels of `from` that they meet. */
typedef struct tap {
    int64_t tap, at;
} tap;

static int64_t forward_taps(int64_t at, int64_t k, int64_t stride, int64_t padding,
                            int64_t dilation, int64_t size, tap *taps) {
    int64_t first = at * stride - padding, count = 0;
    td_span s = td_conv_inside(first, dilation, k, size);
    for (int64_t i = s.from; i < s.to; i++)
        taps[count++] = (tap){i, first + i * dilation};
    return count;
}

static int64_t input_taps(int64_t at, int64_t k, int64_t stride, int64_t padding,
                          int64_t dilation, int64_t size, tap *taps) {
    int64_t count = 0;
    for (int64_t i = 0; i < k; i++) {
        int64_t window = at + padding - i * dilation;
        if (window >= 0 && window % stride == 0 && window / stride < size)
            taps[count++] = (tap){i, window / stride};
    }
    return count;
}

typedef int64_t list_taps(int64_t at, int64_t k, int64_t stride, int64_t padding,
                          int64_t dilation, int64_t size, tap *taps);

/* Rows of the result, whose terms `list` gives: h x w from h_from x w_from. inner: columns of the result
 * that all taps meet, at places that advance with them. */
static void result_rows(const depth *f, list_taps *list, int64_t image, td_span rows,
                        int64_t h, int64_t w, int64_t h_from, int64_t w_from,
                        td_span inner, char *room) {
    const td_conv *v = f->v;
    int64_t pixel = v->groups * f->each, terms = v->kh * v->kw;
    const void **x = (const void **)(void *)room, **tap_at = x + terms;
    tap *down = (tap *)(void *)(tap_at + terms), *across = down + v->kh;
    const char *from = f->from + image * h_from * w_from * pixel;
    for (int64_t i = rows.from; i < rows.to; i++) {
        int64_t downs = list(i, v->kh, v->sh, v->ph, v->dh, h_from, down);
        char *y = f->to + (image * h + i) * w * pixel;
        int64_t n = 0;
        for (int64_t j = 0; j < w; j++, y += pixel) {
            if (j > inner.from && j < inner.to) { /* the same taps, a step further on */
                for (int64_t k = 0; k < n; k++) x[k] = (const char *)x[k] + v->sw * pixel;
                f->loops->pixel(n, x, tap_at, v->groups, f->bias, f->relu, y);
                continue;
            }
            int64_t acrosses = list(j, v->kw, v->sw, v->pw, v->dw, w_from, across);
            n = 0;
            for (int64_t r = 0; r < downs; r++)
                for (int64_t s = 0; s < acrosses; s++, n++) {
                    x[n] = from + (down[r].at * w_from + across[s].at) * pixel;
                    tap_at[n] =
                        f->filters + (down[r].tap * v->kw + across[s].tap) * pixel;
                }
            f->loops->pixel(n, x, tap_at, v->groups, f->bias, f->relu, y);
        }
    }
}

static td_span inner_columns(const td_conv *v) {
    td_span first = td_conv_inside(-v->pw, v->sw, v->ow, v->w);
    td_span last = td_conv_inside((v->kw - 1) * v->dw - v->pw, v->sw, v->ow, v->w);
    return (td_span){first.from, last.to};
}

static void run_piece(depth *f, int64_t piece, bool forward) {
    const td_conv *v = f->v;
    td_span rows = {piece % f->bands * f->rows, (piece % f->bands + 1) * f->rows};
    int64_t h = forward ? v->oh : v->h;
    if (rows.to > h) rows.to = h;
    td_err err = {0};
    size_t terms = (size_t)(v->kh * v->kw), sides = (size_t)(v->kh + v->kw);
    char *room = td_scratch_take(2 * terms * sizeof(void *) + sides * sizeof(tap), &err);
    int64_t image = f->first + piece / f->bands;
    if (room == NULL)
        td_conv_failed(&f->failure, &err);
    else if (forward)
        result_rows(f, forward_taps, image, rows, v->oh, v->ow, v->h, v->w,
                    inner_columns(v), room);
    else
        result_rows(f, input_taps, image, rows, v->h, v->w, v->oh, v->ow, (td_span){0, 0},
                    room);
    td_scratch_give(room);
}

static void forward_piece(void *ctx, int64_t piece) { run_piece(ctx, piece, true); }
static void input_piece(void *ctx, int64_t piece) { run_piece(ctx, piece, false); }

static int run_images(depth *f, bool forward, int64_t from, int64_t to, td_err *err) {
    const td_conv *v = f->v;
    int64_t h = forward ? v->oh : v->h;
    int64_t work = v->ow * v->groups * v->kh * v->kw;
    f->first = from;
    f->rows = work < PIECE_WORK ? PIECE_WORK / work : 1;
    if (f->rows > h) f->rows = h;
    f->bands = (h + f->rows - 1) / f->rows;
    td_pool_run(forward ? forward_piece : input_piece, f, (to - from) * f->bands);
    return td_conv_failure_take(&f->failure, err);
}

int td_conv_depth_forward(const td_conv *v, td_dtype t, const void *x,
                          const void *filters, const void *bias, bool relu, void *y,
                          int64_t from, int64_t to, td_err *err) {
    depth f = depth_of(v, t);
    f.from = x, f.filters = filters, f.bias = bias, f.relu = relu, f.to = y;
    return run_images(&f, true, from, to, err);
}

int td_conv_depth_input(const td_conv *v, td_dtype t, const void *dy, const void *filters,
                        void *dx, int64_t from, int64_t to, td_err *err) {
    depth f = depth_of(v, t);
    f.from = dy, f.filters = filters, f.to = dx;
    return run_images(&f, false, from, to, err);
}

void td_conv_depth_filters(const td_conv *v, td_dtype t, bool turn, const void *weight,
                           void *filters) {
    int64_t each = (int64_t)td_dtype_bytes(t), taps = v->kh * v->kw;
    for (int64_t g = 0; g < v->groups; g++)
        for (int64_t i = 0; i < taps; i++)
            memcpy((char *)filters + ((turn ? taps - 1 - i : i) * v->groups + g) * each,
                   (const char *)weight + (g * taps + i) * each, (size_t)each);
}

/* ---- the weight gradient ---- */

typedef struct weighing {
    depth f;
    const char *dy;
    char *sum; /* [kh][kw][channel] */
} weighing;

enum { CHANNELS = 96 }; /* of a piece: a row of both images stays in the first cache */

/* Some channels of all taps, a row of dy at a time. */
static void weight_piece(void *ctx, int64_t piece) {
    const weighing *k = ctx;
    const td_conv *v = k->f.v;
    int64_t e = k->f.each, pixel = v->groups * e, first = piece * CHANNELS;
    int64_t channels = v->groups - first < CHANNELS ? v->groups - first : CHANNELS;
    char *sum = k->sum + first * e;
    for (int64_t i = 0; i < v->kh * v->kw; i++)
        memset(sum + i * pixel, 0, (size_t)(channels * e));
    for (int64_t y = 0; y < v->n * v->oh; y++) {
        int64_t row = y % v->oh * v->sh - v->ph;
        td_span down = td_conv_inside(row, v->dh, v->kh, v->h);
        const char *dy = k->dy + y * v->ow * pixel + first * e;
        for (int64_t r = down.from; r < down.to; r++)
            for (int64_t s = 0; s < v->kw; s++) {
                int64_t column = s * v->dw - v->pw;
                td_span at = td_conv_inside(column, v->sw, v->ow, v->w);
                if (at.from == at.to) continue;
                int64_t x = (y / v->oh * v->h + row + r * v->dh) * v->w + column +
                            at.from * v->sw;
                k->f.loops->row(at.to - at.from, k->f.from + x * pixel + first * e,
                                v->sw * v->groups, dy + at.from * pixel, v->groups,
                                channels, sum + (r * v->kw + s) * pixel);
            }
    }
}

int td_conv_depth_weight(const td_conv *v, td_dtype t, const void *dy, const void *x,
                         void *dweight, td_err *err) {
    weighing k = {.f = depth_of(v, t), .dy = dy};
    int64_t taps = v->kh * v->kw;
    k.f.from = x;
    k.sum = td_scratch_take((size_t)(taps * v->groups * k.f.each), err);
    if (k.sum == NULL) return TD_E_MEMORY;
    td_pool_run(weight_piece, &k, (v->groups + CHANNELS - 1) / CHANNELS);
    for (int64_t g = 0; g < v->groups; g++)
        for (int64_t i = 0; i < taps; i++)
            memcpy((char *)dweight + (g * taps + i) * k.f.each,
                   k.sum + (i * v->groups + g) * k.f.each, (size_t)k.f.each);
    td_scratch_give(k.sum);
    return 0;
}
