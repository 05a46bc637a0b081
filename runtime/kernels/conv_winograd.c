/* Convolutions of 3x3 with many channels, and their adjoints, by Winograd's transforms: tiles of the images
 * and the filters are transformed, 36 products over the channels take the place of the sums over windows,
 * and what they give is transformed back. Tiles are counted through all images, a block of them at a time. */
#include "runtime/kernels/conv_winograd.h"

#include <string.h>

#include "runtime/cpu.h"
#include "runtime/kernels/conv_inner.h"
#include "runtime/kernels/conv_rows.h"
#include "runtime/kernels/product.h"
#include "runtime/mem.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

TD_LEVEL_DECLARE(td_winograd_level, td_winograd_level);

enum { OUT = TD_WINOGRAD_OUT, IN = TD_WINOGRAD_IN, POINTS = TD_WINOGRAD_POINTS };

/* Transformed tiles of a block should stay in the second cache; products like 14 rows at a time. */
#define BLOCK_BYTES ((int64_t)512 << 10)
#define BLOCK_STEP 14
#define BLOCK_MOST 112
/* Between a tile's numbers, so that they do not all fall into one set of the cache. */
#define GAP 16

static int64_t tiles_of(int64_t size) { return (size + OUT - 1) / OUT; }

/* Cycles of an image, roughly: 36 products and the transforms against 9 taps. */
bool td_conv_winograd_wins(const td_conv *v) {
    if (v->groups != 1 || v->kh != 3 || v->kw != 3 || v->sh != 1 || v->sw != 1 ||
        v->dh != 1 || v->dw != 1 || v->c % 16 || v->o % 16 || v->ph > 2 || v->pw > 2 ||
        v->ph < 0 || v->pw < 0)
        return false;
    double c = (double)v->c, o = (double)v->o;
    double tile = c * o * POINTS / 29 + 9 * (c + o);
    double pixel = c * o * 9 / 30;
    return (double)(tiles_of(v->oh) * tiles_of(v->ow)) * tile <
           0.8 * (double)(v->oh * v->ow) * pixel;
}

typedef struct winograd {
    const td_conv *v;
    td_dtype t;
    int64_t each; /* bytes of an element */
    const td_winograd_loops *loops;
    int64_t across, tiles; /* tiles in a row, and in an image */
    int64_t block;         /* tiles of a block at most */
    const char *x, *filters, *bias;
    bool relu;
    char *y;
    int64_t from, to;        /* tiles */
    size_t x_bytes, y_bytes; /* of a block's transforms */
    char *nothing;           /* a pixel of zeros: what lies outside the image */
    td_conv_failure failure;
} winograd;

static winograd winograd_of(const td_conv *v, td_dtype t) {
    const td_winograd_level *level = TD_LEVEL_PICK(td_winograd_level);
    winograd f = {.v = v,
                  .t = t,
                  .each = (int64_t)td_dtype_bytes(t),
                  .loops = t == TD_F32 ? &level->f32 : &level->f64,
                  .across = tiles_of(v->ow)};
    f.tiles = f.across * tiles_of(v->oh);
    int64_t block = BLOCK_BYTES / (POINTS * (v->c + v->o) * f.each);
    block = block / BLOCK_STEP * BLOCK_STEP;
    f.block = block < BLOCK_STEP ? BLOCK_STEP : block > BLOCK_MOST ? BLOCK_MOST : block;
    f.x_bytes = (size_t)(POINTS * (f.block * v->c + GAP) * f.each);
    f.y_bytes = (size_t)(POINTS * (f.block * v->o + GAP) * f.each);
    return f;
}

static int64_t plane_of(const winograd *f, int64_t channels) {
    return f->block * channels + GAP;
}

/* ---- tiles ---- */

/* Addresses of size x size pixels from (row, column) of an image on; `other` stands for those outside. */
static void pixels_of(const char *image, int64_t h, int64_t w, int64_t pixel_bytes,
                      int64_t row, int64_t column, int size, const void *other,
                      const void **pixel) {
    for (int64_t y = row; y < row + size; y++)
        for (int64_t x = column; x < column + size; x++)
            *pixel++ = y < 0 || y >= h || x < 0 || x >= w
                           ? other
                           : image + (y * w + x) * pixel_bytes;
}

typedef struct place {
    int64_t image, row, column; /* of the tile's first result */
} place;

static place place_of(const winograd *f, int64_t tile) {
    int64_t in = tile % f->tiles;
    return (place){tile / f->tiles, in / f->across * OUT, in % f->across * OUT};
}

static void transform_image(const winograd *f, int64_t tile, char *to) {
    const td_conv *v = f->v;
    place p = place_of(f, tile);
    int64_t bytes = v->c * f->each;
    const void *pixel[IN * IN];
    pixels_of(f->x + p.image * v->h * v->w * bytes, v->h, v->w, bytes, p.row - v->ph,
              p.column - v->pw, IN, f->nothing, pixel);
    f->loops->image(pixel, v->c, to, plane_of(f, v->c));
}

static void transform_gradient(const winograd *f, int64_t tile, char *to) {
    const td_conv *v = f->v;
    place p = place_of(f, tile);
    int64_t bytes = v->o * f->each;
    const void *pixel[OUT * OUT];
    pixels_of(f->y + p.image * v->oh * v->ow * bytes, v->oh, v->ow, bytes, p.row,
              p.column, OUT, f->nothing, pixel);
    f->loops->gradient(pixel, v->o, to, plane_of(f, v->o));
}

/* sink: where results outside the image go. */
static void transform_result(const winograd *f, int64_t tile, const char *from,
                             char *sink) {
    const td_conv *v = f->v;
    place p = place_of(f, tile);
    int64_t bytes = v->o * f->each;
    const void *seen[OUT * OUT];
    void *pixel[OUT * OUT];
    pixels_of(f->y + p.image * v->oh * v->ow * bytes, v->oh, v->ow, bytes, p.row,
              p.column, OUT, sink, seen);
    memcpy(pixel, seen, sizeof pixel);
    f->loops->result(from, plane_of(f, v->o), v->o, f->bias, f->relu, pixel);
}

/* ---- images ---- */

static int forward_block(const winograd *f, int64_t first, int64_t count, char *x,
                         char *y, char *sink, td_err *err) {
    const td_conv *v = f->v;
    for (int64_t i = 0; i < count; i++)
        transform_image(f, first + i, x + i * v->c * f->each);
    td_product p = {.t = f->t,
                    .m = count,
                    .n = v->o,
                    .k = v->c,
                    .segments = 1,
                    .a_row = v->c,
                    .a_col = 1,
                    .b_row = v->o,
                    .b_col = 1,
                    .c_row = v->o,
                    .c_col = 1};
    for (int64_t i = 0; i < POINTS; i++) {
        p.a = x + i * plane_of(f, v->c) * f->each;
        p.b = f->filters + i * v->c * v->o * f->each;
        p.c = y + i * plane_of(f, v->o) * f->each;
        int rc = td_product_run(&p, err);
        if (rc) return rc;
    }
    for (int64_t i = 0; i < count; i++)
        transform_result(f, first + i, y + i * v->o * f->each, sink);
    return 0;
}

static void forward_piece(void *ctx, int64_t piece) {
    winograd *f = ctx;
    int64_t first = f->from + piece * f->block, count = f->to - first;
    if (count > f->block) count = f->block;
    size_t pixel = (size_t)(f->v->o * f->each);
    td_err err = {0};
    char *x = td_scratch_take(f->x_bytes + f->y_bytes + pixel, &err);
    int rc = x ? forward_block(f, first, count, x, x + f->x_bytes,
                               x + f->x_bytes + f->y_bytes, &err)
               : err.code;
    td_scratch_give(x);
    if (rc) td_conv_failed(&f->failure, &err);
}

/* A pixel of zeros with room for that many channels. */
static int nothing_new(winograd *f, int64_t channels, td_err *err) {
    size_t bytes = (size_t)(channels * f->each);
    f->nothing = td_scratch_take(bytes, err);
    if (f->nothing == NULL) return TD_E_MEMORY;
    memset(f->nothing, 0, bytes);
    return 0;
}

int td_conv_by_winograd(const td_conv *v, td_dtype t, const void *x, const void *filters,
                        const void *bias, bool relu, void *y, int64_t from, int64_t to,
                        td_err *err) {
    winograd f = winograd_of(v, t);
    f.x = x, f.filters = filters, f.bias = bias, f.relu = relu, f.y = y;
    f.from = from * f.tiles, f.to = to * f.tiles;
    if (nothing_new(&f, v->c, err)) return TD_E_MEMORY;
    td_pool_run(forward_piece, &f, (f.to - f.from + f.block - 1) / f.block);
    td_scratch_give(f.nothing);
    return td_conv_failure_take(&f.failure, err);
}

/* ---- filters ---- */

typedef struct filtering {
    const winograd *f;
    const char *weight;
    char *filters;
    bool turn;
} filtering;

/* All filters of one channel. v is the convolution that is to run: turned, OIHW is its [c][o]. */
static void transform_filters(void *ctx, int64_t c) {
    const filtering *w = ctx;
    const winograd *f = w->f;
    int64_t of_c = w->turn ? f->v->o : 1, of_o = w->turn ? 1 : f->v->c;
    f->loops->filters(w->weight + 9 * c * of_c * f->each, 9 * of_o, w->turn, f->v->o,
                      w->filters + c * f->v->o * f->each, f->v->c * f->v->o);
}

void td_conv_winograd_filters(const td_conv *v, td_dtype t, bool turn, const void *weight,
                              void *filters) {
    winograd f = winograd_of(v, t);
    filtering w = {&f, weight, filters, turn};
    td_pool_run(transform_filters, &w, v->c);
}

int td_conv_winograd_bytes(const td_conv *v, td_dtype t, size_t *bytes, td_err *err) {
    *bytes = td_dtype_bytes(t);
    if (td_mul_size(*bytes, POINTS, bytes) && td_mul_size(*bytes, (size_t)v->c, bytes) &&
        td_mul_size(*bytes, (size_t)v->o, bytes))
        return 0;
    return td_fail(err, TD_E_LIMIT, "", "%lldx%lldx3x3 filters are too many",
                   (long long)v->o, (long long)v->c);
}

/* ---- the weight gradient ---- */

enum { PART = 8 }; /* tiles that a thread transforms at a time */

/* A block of tiles in work: first transformed, then added to the sums. */
typedef struct weighing {
    winograd f;
    char *x, *y, *sum; /* transforms, and the sums of their products: [point][c][o] */
    char *dweight;
    int64_t first, count;
} weighing;

static void transform_part(void *ctx, int64_t part) {
    weighing *w = ctx;
    const winograd *f = &w->f;
    int64_t end = (part + 1) * PART < w->count ? (part + 1) * PART : w->count;
    for (int64_t i = part * PART; i < end; i++) {
        transform_image(f, w->first + i, w->x + i * f->v->c * f->each);
        transform_gradient(f, w->first + i, w->y + i * f->v->o * f->each);
    }
}

static void add_point(void *ctx, int64_t i) {
    weighing *w = ctx;
    winograd *f = &w->f;
    const td_conv *v = f->v;
    td_product p = {.t = f->t,
                    .m = v->c,
                    .n = v->o,
                    .k = w->count,
                    .segments = 1,
                    .a = w->x + i * plane_of(f, v->c) * f->each,
                    .a_row = 1,
                    .a_col = v->c,
                    .b = w->y + i * plane_of(f, v->o) * f->each,
                    .b_row = v->o,
                    .b_col = 1,
                    .c = w->sum + i * v->c * v->o * f->each,
                    .c_row = v->o,
                    .c_col = 1,
                    .add = w->first > 0};
    td_err err = {0};
    if (td_product_run(&p, &err)) td_conv_failed(&f->failure, &err);
}

/* The gradients of one channel's filters. */
static void weights_of_channel(void *ctx, int64_t c) {
    const weighing *w = ctx;
    const td_conv *v = w->f.v;
    w->f.loops->filters_back(w->sum + c * v->o * w->f.each, v->c * v->o, v->o,
                             w->dweight + 9 * c * w->f.each, 9 * v->c);
}

int td_conv_weight_by_winograd(const td_conv *v, td_dtype t, const void *dy,
                               const void *x, void *dweight, td_err *err) {
    weighing w = {.f = winograd_of(v, t), .dweight = dweight};
    winograd *f = &w.f;
    f->x = x, f->y = (char *)dy; /* read only */
    size_t sums, all;
    int rc = td_conv_winograd_bytes(v, t, &sums, err);
    if (rc) return rc;
    if (!td_add_size(sums, f->x_bytes + f->y_bytes, &all))
        return td_fail(err, TD_E_LIMIT, "", "%zu bytes are too many", sums);
    if (nothing_new(f, v->c > v->o ? v->c : v->o, err)) return TD_E_MEMORY;
    w.sum = td_scratch_take(all, err);
    if (w.sum) {
        w.x = w.sum + sums;
        w.y = w.x + f->x_bytes;
        for (int64_t tiles = v->n * f->tiles; w.first < tiles; w.first += f->block) {
            w.count = tiles - w.first < f->block ? tiles - w.first : f->block;
            td_pool_run(transform_part, &w, (w.count + PART - 1) / PART);
            td_pool_run(add_point, &w, POINTS);
        }
        td_pool_run(weights_of_channel, &w, v->c);
    }
    td_scratch_give(w.sum);
    td_scratch_give(f->nothing);
    return w.sum ? td_conv_failure_take(&f->failure, err) : TD_E_MEMORY;
}
