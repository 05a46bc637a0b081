/* The convolution itself: a product for each row of the output, with the kernel's rows as its segments.
 * The input gradient of a convolution without stride is one too (see conv_input.c). */
#include "runtime/kernels/conv_inner.h"

#include <string.h>

#include "runtime/kernels/conv_rows.h"
#include "runtime/kernels/product.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

/* A copy of a band's lines should stay in the second cache; a piece of work should be worth a wake-up. */
#define BAND_BYTES ((int64_t)128 << 10)
#define PIECE_WORK ((int64_t)1 << 20)

typedef struct forward {
    const td_conv *v;
    td_dtype t;
    int64_t each; /* bytes of an element */
    const char *x, *filters, *bias;
    bool relu;
    char *y;
    int64_t first;       /* image */
    int64_t rows, bands; /* rows of a band, bands of an image */
    td_conv_lines lines;
    size_t lines_bytes;
    td_conv_failure failure;
} forward;

/* Image rows that output rows [from, to) meet. */
static td_span image_rows(const td_conv *v, td_span rows) {
    td_span s = {rows.from * v->sh - v->ph,
                 (rows.to - 1) * v->sh - v->ph + (v->kh - 1) * v->dh + 1};
    if (s.from < 0) s.from = 0;
    if (s.to > v->h) s.to = v->h;
    if (s.from > s.to) s.from = s.to;
    return s;
}

static td_span kernel_rows(const td_conv *v, int64_t row) {
    return td_conv_inside(row * v->sh - v->ph, v->dh, v->kh, v->h);
}

/* Output rows from `row` on whose products can be one: the same kernel rows, and pixels at one distance. */
static int64_t run_of(const forward *f, int64_t row, int64_t end, td_span r) {
    const td_conv *v = f->v;
    if (v->sh * f->lines.pitch != v->ow * v->sw) return row + 1;
    while (++row < end) {
        td_span next = kernel_rows(v, row);
        if (next.from != r.from || next.to != r.to) break;
    }
    return row;
}

/* Rows [row, end) of a group, all taps of a kernel row at once. */
static int whole_rows(const forward *f, td_product p, const char *lines,
                      int64_t first_line, td_span rows, int64_t g, td_err *err) {
    const td_conv *v = f->v;
    int64_t e = f->each, taps = v->kw * v->c;
    const char *filters = f->filters + g * v->kh * taps * v->o * e;
    p.k = taps;
    p.a_row = v->sw * f->lines.pixel;
    p.a_seg = v->dh * f->lines.pitch * f->lines.pixel;
    p.b_seg = taps * v->o;
    char *y = p.c;
    for (int64_t row = rows.from, end; row < rows.to; row = end) {
        td_span r = kernel_rows(v, row);
        end = run_of(f, row, rows.to, r);
        int64_t line = row * v->sh - v->ph + r.from * v->dh - first_line;
        p.m = (end - row) * v->ow;
        p.segments = r.to - r.from;
        p.a = lines + (g * f->lines.group + line * f->lines.pitch * f->lines.pixel) * e;
        p.b = filters + r.from * p.b_seg * e;
        p.c = y + (row - rows.from) * v->ow * p.c_row * e;
        int rc = td_product_run(&p, err);
        if (rc) return rc;
    }
    return 0;
}

/* The same with the taps one by one, each over the pixels for which it meets the image. */
static int tap_rows(const forward *f, td_product p, const char *image, td_span rows,
                    int64_t g, td_err *err) {
    const td_conv *v = f->v;
    int64_t e = f->each, channels = v->groups * v->c, each_tap = v->c * v->o;
    td_product ends = p;
    ends.m = v->ow;
    p.k = v->c;
    p.segments = 1;
    p.a_row = v->sw * channels;
    p.add = true;
    p.bias = NULL;
    p.relu = false;
    for (int64_t row = rows.from; row < rows.to; row++) {
        char *y = (char *)ends.c + (row - rows.from) * v->ow * p.c_row * e;
        td_product begin = ends, last = ends;
        begin.c = last.c = y;
        begin.bias = NULL;
        begin.relu = false;
        last.add = true;
        int rc = td_product_run(&begin, err);
        td_span r = kernel_rows(v, row);
        for (int64_t i = r.from; rc == 0 && i < r.to; i++)
            for (int64_t j = 0; rc == 0 && j < v->kw; j++) {
                int64_t column = j * v->dw - v->pw;
                td_span at = td_conv_inside(column, v->sw, v->ow, v->w);
                int64_t pixel =
                    (row * v->sh - v->ph + i * v->dh) * v->w + column + at.from * v->sw;
                if (at.from == at.to) continue;
                p.m = at.to - at.from;
                p.a = image + (pixel * channels + g * v->c) * e;
                p.b = f->filters + ((g * v->kh + i) * v->kw + j) * each_tap * e;
                p.c = y + at.from * p.c_row * e;
                rc = td_product_run(&p, err);
            }
        if (rc == 0 && (last.bias || last.relu)) rc = td_product_run(&last, err);
        if (rc) return rc;
    }
    return 0;
}

static void forward_piece(void *ctx, int64_t piece) {
    forward *f = ctx;
    const td_conv *v = f->v;
    int64_t i = f->first + piece / f->bands, band = piece % f->bands, e = f->each;
    td_span rows = {band * f->rows, (band + 1) * f->rows};
    if (rows.to > v->oh) rows.to = v->oh;
    td_span needed = image_rows(v, rows);
    const char *image = f->x + i * v->h * v->w * v->groups * v->c * e;
    td_err err = {0};
    char *copy = f->lines_bytes ? td_scratch_take(f->lines_bytes, &err) : NULL;
    const char *lines = NULL;
    int rc = f->lines_bytes && copy == NULL ? err.code : 0;
    if (rc == 0)
        lines = td_conv_lines_make(&f->lines, v, (size_t)e, image, needed.from, needed.to,
                                   copy);
    for (int64_t g = 0; rc == 0 && g < v->groups; g++) {
        td_product p = {.t = f->t,
                        .n = v->o,
                        .a_col = 1,
                        .b_row = v->o,
                        .b_col = 1,
                        .c = f->y +
                             ((i * v->oh + rows.from) * v->ow * v->groups + g) * v->o * e,
                        .c_row = v->groups * v->o,
                        .c_col = 1,
                        .bias = f->bias ? f->bias + g * v->o * e : NULL,
                        .relu = f->relu};
        rc = f->lines.is_whole ? whole_rows(f, p, lines, needed.from, rows, g, &err)
                               : tap_rows(f, p, image, rows, g, &err);
    }
    td_scratch_give(copy);
    if (rc) td_conv_failed(&f->failure, &err);
}

/* Rows of a band: few enough for its copy to stay in cache, and for a few images to keep several threads
 * busy. */
static int64_t band_rows(const td_conv *v, int64_t each, int64_t images) {
    int64_t rows = v->oh, line = (v->w + v->kw) * v->groups * v->c * each * v->sh;
    if (td_conv_lines_of(v, 1).is_copy && rows * line > BAND_BYTES)
        rows = BAND_BYTES / line > 8 ? BAND_BYTES / line : 8;
    int64_t work = v->ow * v->o * v->c * v->kh * v->kw * v->groups; /* of a row */
    while (rows > 8 && rows * work > PIECE_WORK &&
           images * ((v->oh + rows - 1) / rows) < 8)
        rows = (rows + 1) / 2;
    return rows < v->oh ? rows : v->oh;
}

int td_conv_by_rows(const td_conv *v, td_dtype t, const void *x, const void *filters,
                    const void *bias, bool relu, void *y, int64_t from, int64_t to,
                    td_err *err) {
    forward f = {.v = v,
                 .t = t,
                 .each = (int64_t)td_dtype_bytes(t),
                 .x = x,
                 .filters = filters,
                 .bias = bias,
                 .relu = relu,
                 .y = y,
                 .first = from};
    f.rows = band_rows(v, f.each, to - from);
    f.bands = (v->oh + f.rows - 1) / f.rows;
    int64_t most = 0;
    for (int64_t b = 0; b < f.bands; b++) {
        td_span s = image_rows(
            v, (td_span){b * f.rows, b + 1 < f.bands ? (b + 1) * f.rows : v->oh});
        if (s.to - s.from > most) most = s.to - s.from;
    }
    f.lines = td_conv_lines_of(v, most);
    int rc = td_conv_lines_bytes(&f.lines, v, most, (size_t)f.each, &f.lines_bytes, err);
    if (rc) return rc;
    td_pool_run(forward_piece, &f, (to - from) * f.bands);
    return td_conv_failure_take(&f.failure, err);
}
