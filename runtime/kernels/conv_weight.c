/* The weight gradient: for each kernel row (or tap) a product over all pixels of dy, image after image;
 * each element of dweight is one chain over images, rows and columns. */
#include <string.h>

#include "runtime/kernels/conv_inner.h"
#include "runtime/kernels/conv_rows.h"
#include "runtime/kernels/product.h"
#include "runtime/mem.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

/* Rows of both images that one product reads: they should stay in the first cache. */
#define PART_BYTES ((int64_t)48 << 10)

typedef struct weighing {
    const td_conv *v;
    td_dtype t;
    int64_t each; /* bytes of an element */
    const char *dy, *x;
    char *sum;    /* [group][kh][kw][c][o], or [group][kh][o][kw][c] */
    bool by_taps; /* the latter: vectors of the products lie along the taps */
    td_conv_lines lines;
    size_t lines_bytes;
    int64_t parts,
        part;     /* of the filters of a group: their number, and filters in each */
    int64_t rows; /* of dy in one product */
    td_conv_failure failure;
} weighing;

/* A kernel row of a group, all its taps at once. */
static int whole_row(const weighing *f, td_product p, int64_t g, int64_t r, char *copy,
                     td_err *err) {
    const td_conv *v = f->v;
    int64_t e = f->each, image = v->h * v->w * v->groups * v->c * e;
    td_span rows = td_conv_inside(r * v->dh - v->ph, v->sh, v->oh, v->h);
    const char *dy = (const char *)p.b + rows.from * v->ow * p.b_row * e;
    int64_t first = rows.from * v->sh - v->ph + r * v->dh;
    int64_t last = first + (rows.to - rows.from - 1) * v->sh + 1;
    p.m = v->kw * v->c;
    p.k = v->ow;
    p.segments = rows.to - rows.from;
    p.a_col = v->sw * f->lines.pixel;
    p.a_seg = v->sh * f->lines.pitch * f->lines.pixel;
    if (p.segments == 0) return td_product_run(&p, err);
    for (int64_t i = 0; i < v->n; i++) {
        const char *lines = td_conv_lines_make(&f->lines, v, (size_t)e, f->x + i * image,
                                               first, last, copy);
        for (int64_t row = rows.from; row < rows.to; row += f->rows) {
            p.segments = rows.to - row < f->rows ? rows.to - row : f->rows;
            p.a = lines + (g * f->lines.group + (row - rows.from) * p.a_seg) * e;
            p.b = dy + (i * v->oh + row - rows.from) * v->ow * p.b_row * e;
            p.add = i > 0 || row > rows.from;
            int rc = td_product_run(&p, err);
            if (rc) return rc;
        }
    }
    return 0;
}

/* One tap of a group, over the pixels for which it meets the image. */
static int one_tap(const weighing *f, td_product p, int64_t g, int64_t r, int64_t s,
                   td_err *err) {
    const td_conv *v = f->v;
    int64_t e = f->each, channels = v->groups * v->c;
    int64_t row = r * v->dh - v->ph, column = s * v->dw - v->pw;
    td_span rows = td_conv_inside(row, v->sh, v->oh, v->h);
    td_span at = td_conv_inside(column, v->sw, v->ow, v->w);
    int64_t pixel = (row + rows.from * v->sh) * v->w + column + at.from * v->sw;
    const char *x = f->x + (pixel * channels + g * v->c) * e;
    const char *dy = (const char *)p.b + (rows.from * v->ow + at.from) * p.b_row * e;
    p.m = v->c;
    p.k = at.to - at.from;
    p.segments = rows.to - rows.from;
    p.a_col = v->sw * channels;
    p.a_seg = v->sh * v->w * channels;
    p.c = (char *)p.c + s * v->c * p.c_row * e;
    if (p.segments == 0 || p.k == 0) {
        p.segments = 0;
        return td_product_run(&p, err);
    }
    for (int64_t i = 0; i < v->n; i++) {
        p.a = x + i * v->h * v->w * channels * e;
        p.b = dy + i * v->oh * v->ow * p.b_row * e;
        p.add = i > 0;
        int rc = td_product_run(&p, err);
        if (rc) return rc;
    }
    return 0;
}

static void weighing_piece(void *ctx, int64_t piece) {
    weighing *f = ctx;
    const td_conv *v = f->v;
    int64_t part = piece % f->parts, r = piece / f->parts % v->kh;
    int64_t g = piece / f->parts / v->kh, e = f->each, from = part * f->part;
    int64_t row = v->kw * v->c;
    td_product p = {
        .t = f->t,
        .n = v->o - from < f->part ? v->o - from : f->part,
        .a_row = 1,
        .b = f->dy + (g * v->o + from) * e,
        .b_row = v->groups * v->o,
        .b_col = 1,
        .b_seg = v->ow * v->groups * v->o,
        .c =
            f->sum + (g * v->kh + r) * row * v->o * e + from * (f->by_taps ? row : 1) * e,
        .c_row = f->by_taps ? 1 : v->o,
        .c_col = f->by_taps ? row : 1,
    };
    td_err err = {0};
    char *copy = f->lines_bytes ? td_scratch_take(f->lines_bytes, &err) : NULL;
    int rc = f->lines_bytes && copy == NULL ? err.code : 0;
    if (rc == 0 && f->lines.is_whole) rc = whole_row(f, p, g, r, copy, &err);
    if (!f->lines.is_whole)
        for (int64_t s = 0; rc == 0 && s < v->kw; s++) rc = one_tap(f, p, g, r, s, &err);
    td_scratch_give(copy);
    if (rc) td_conv_failed(&f->failure, &err);
}

/* OIHW from the order of the sums. */
static void put_in_order(const weighing *f, char *dweight) {
    const td_conv *v = f->v;
    int64_t row = v->kw * v->c, of_row = row * v->o;
    int64_t of_o = f->by_taps ? row : 1, of_tap = f->by_taps ? 1 : v->o;
    for (int64_t g = 0; g < v->groups; g++)
        for (int64_t j = 0; j < v->o; j++)
            for (int64_t c = 0; c < v->c; c++)
                for (int64_t r = 0; r < v->kh; r++)
                    for (int64_t s = 0; s < v->kw; s++, dweight += f->each)
                        memcpy(dweight,
                               f->sum + ((g * v->kh + r) * of_row + j * of_o +
                                         (s * v->c + c) * of_tap) *
                                            f->each,
                               (size_t)f->each);
}

/* Vectors of a product m x n whose lanes lie along n. */
static int64_t vectors(int64_t m, int64_t n, int64_t each) {
    int64_t lanes = 64 / each;
    return (n + lanes - 1) / lanes * m;
}

int td_conv_weight_by_rows(const td_conv *v, td_dtype t, const void *dy, const void *x,
                           void *dweight, td_err *err) {
    weighing f = {
        .v = v, .t = t, .each = (int64_t)td_dtype_bytes(t), .dy = dy, .x = x, .parts = 1};
    bool cuts = v->o >= 32 && v->groups * v->kh < 8 && td_pool_threads() > 1 &&
                !td_pool_is_inside();
    f.part = cuts ? (v->o + 31) / 32 * 16 : v->o;
    f.parts = (v->o + f.part - 1) / f.part;
    f.lines = td_conv_lines_of(v, v->h);
    int64_t row = (f.lines.is_whole ? v->kw : 1) * v->c;
    f.by_taps = vectors(v->o, row, f.each) < vectors(row, v->o, f.each);
    int64_t line =
        (v->sh * f.lines.pitch * f.lines.pixel + v->ow * v->groups * v->o) * f.each;
    f.rows = PART_BYTES > line ? PART_BYTES / line : 1;
    size_t bytes;
    int rc = td_conv_lines_bytes(&f.lines, v, v->h, (size_t)f.each, &f.lines_bytes, err);
    if (rc == 0) rc = td_conv_filters_bytes(v, t, TD_CONV_FORWARD, &bytes, err);
    if (rc) return rc;
    f.sum = td_scratch_take(bytes, err);
    if (f.sum == NULL) return TD_E_MEMORY;
    td_pool_run(weighing_piece, &f, v->groups * v->kh * f.parts);
    put_in_order(&f, dweight);
    td_scratch_give(f.sum);
    return td_conv_failure_take(&f.failure, err);
}
