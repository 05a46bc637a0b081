/* The input gradient by adding: for each kernel row a product gives what the pixels of dy add to the
 * windows of x, and the windows are then added to dx where they overlap. An element of dx is the sum over
 * kernel rows, and in each over its taps. */
#include <string.h>

#include "runtime/kernels/conv_inner.h"
#include "runtime/kernels/conv_rows.h"
#include "runtime/kernels/product.h"
#include "runtime/mem.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

/* What one product makes should stay in the first cache until it is added. */
#define PART_BYTES ((int64_t)24 << 10)

typedef struct adding {
    const td_conv *v;
    td_dtype t;
    int64_t each; /* bytes of an element */
    const char *dy, *filters;
    char *dx;
    int64_t first; /* image */
    int64_t rows;  /* of dy, in one product */
    size_t bytes;  /* of what it makes */
    td_conv_failure failure;
} adding;

/* Adds the windows of one row of dy, [ow][kw][c], to a row of dx. */
#define ADD(name, T)                                                                     \
    static void name(const td_conv *v, const T *windows, T *row) {                       \
        int64_t channels = v->groups * v->c, window = v->kw * v->c;                      \
        for (int64_t s = 0; s < v->kw; s++) {                                            \
            int64_t column = s * v->dw - v->pw;                                          \
            td_span at = td_conv_inside(column, v->sw, v->ow, v->w);                     \
            for (int64_t j = at.from; j < at.to; j++) {                                  \
                const T *from = windows + j * window + s * v->c;                         \
                T *to = row + (column + j * v->sw) * channels;                           \
                for (int64_t c = 0; c < v->c; c++) to[c] += from[c];                     \
            }                                                                            \
        }                                                                                \
    }
ADD(add_f32, float)
ADD(add_f64, double)

static int add_kernel_row(const adding *f, const char *dy, char *dx, int64_t g, int64_t r,
                          char *windows, td_err *err) {
    const td_conv *v = f->v;
    int64_t e = f->each, window = v->kw * v->c, filters = v->groups * v->o;
    td_span rows = td_conv_inside(r * v->dh - v->ph, v->sh, v->oh, v->h);
    td_product p = {.t = f->t,
                    .n = window,
                    .k = v->o,
                    .segments = 1,
                    .a_row = filters,
                    .a_col = 1,
                    .b = f->filters + (g * v->kh + r) * v->o * window * e,
                    .b_row = window,
                    .b_col = 1,
                    .c = windows,
                    .c_row = window,
                    .c_col = 1};
    for (int64_t row = rows.from, end; row < rows.to; row = end) {
        end = row + f->rows < rows.to ? row + f->rows : rows.to;
        p.m = (end - row) * v->ow;
        p.a = dy + (row * v->ow * filters + g * v->o) * e;
        int rc = td_product_run(&p, err);
        if (rc) return rc;
        for (int64_t i = row; i < end; i++) {
            int64_t at = (i * v->sh - v->ph + r * v->dh) * v->w * v->groups + g;
            const char *from = windows + (i - row) * v->ow * window * e;
            if (f->t == TD_F32)
                add_f32(v, (const float *)(const void *)from,
                        (float *)(void *)(dx + at * v->c * e));
            else
                add_f64(v, (const double *)(const void *)from,
                        (double *)(void *)(dx + at * v->c * e));
        }
    }
    return 0;
}

static void adding_piece(void *ctx, int64_t piece) {
    adding *f = ctx;
    const td_conv *v = f->v;
    int64_t i = f->first + piece, image = v->h * v->w * v->groups * v->c * f->each;
    td_err err = {0};
    char *windows = td_scratch_take(f->bytes, &err), *dx = f->dx + i * image;
    const char *dy = f->dy + i * v->oh * v->ow * v->groups * v->o * f->each;
    int rc = windows ? 0 : err.code;
    memset(dx, 0, (size_t)image);
    for (int64_t g = 0; rc == 0 && g < v->groups; g++)
        for (int64_t r = 0; rc == 0 && r < v->kh; r++)
            rc = add_kernel_row(f, dy, dx, g, r, windows, &err);
    td_scratch_give(windows);
    if (rc) td_conv_failed(&f->failure, &err);
}

int td_conv_input_by_adding(const td_conv *v, td_dtype t, const void *dy,
                            const void *filters, void *dx, int64_t from, int64_t to,
                            td_err *err) {
    adding f = {.v = v,
                .t = t,
                .each = (int64_t)td_dtype_bytes(t),
                .dy = dy,
                .filters = filters,
                .dx = dx,
                .first = from};
    size_t line;
    if (!td_mul_size((size_t)(v->ow * f.each), (size_t)(v->kw * v->c), &line))
        return td_fail(err, TD_E_LIMIT, "", "%lld windows of %lldx%lld are too large",
                       (long long)v->ow, (long long)v->kw, (long long)v->c);
    f.rows = (size_t)PART_BYTES > line ? PART_BYTES / (int64_t)line : 1;
    if (f.rows > v->oh) f.rows = v->oh;
    f.bytes = (size_t)f.rows * line;
    td_pool_run(adding_piece, &f, to - from);
    return td_conv_failure_take(&f.failure, err);
}
