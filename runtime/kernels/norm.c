/* Normalisation: which sums go together, and how the work is cut over threads: by images, or by rows where
 * pixels is 1. The loops are in norm_simd.c. */
#include "runtime/kernels/norm.h"

#include <math.h>
#include <string.h>

#include "runtime/cpu.h"
#include "runtime/mem.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

TD_LEVEL_DECLARE(td_norm_table, td_norm_table);

/* Elements that make a piece worth handing to a thread; rows that share sums of a weight's gradient. */
#define PIECE 16384
#define ROWS 64
#define MOST_PIECES 256

/* One call's work. */
typedef struct job {
    td_norm n; /* batch norm of single pixels has become one image of `images` pixels */
    const td_norm_loops *loops;
    int64_t each;                /* bytes of an element */
    int64_t members, per_member; /* channels in a group; images or rows in a piece */
    const char *x, *dy, *weight, *bias;
    char *y; /* or dx */
    char *mean, *var, *dweight, *dbias;
    double
        *sum; /* two for each channel of each image (or piece of rows): [2][channels] */
    char *factor; /* for each channel, and with groups for each image: [4][channels] */
} job;

static double load(const job *j, const char *p, int64_t i) {
    return j->n.t == TD_F32 ? (double)((const float *)(const void *)p)[i]
                            : ((const double *)(const void *)p)[i];
}

static void store(const job *j, char *p, int64_t i, double v) {
    if (j->n.t == TD_F32)
        ((float *)(void *)p)[i] = (float)v;
    else
        ((double *)(void *)p)[i] = v;
}

int64_t td_norm_count(const td_norm *n) {
    return n->groups > 0 ? n->images * n->groups : n->channels;
}

static double rstd_of(const job *j, int64_t statistic) {
    return 1 / sqrt(load(j, j->var, statistic) + j->n.eps);
}

static int64_t statistic_of(const job *j, int64_t image, int64_t channel) {
    return j->n.groups > 0 ? image * j->n.groups + channel / j->members : channel;
}

/* Address in a tensor of x's sizes. */
static const char *image_of(const job *j, const char *p, int64_t image) {
    return p + image * j->n.channels * j->n.pixels * j->each;
}

static double *sums_of(const job *j, int64_t image) {
    return j->sum + 2 * image * j->n.channels;
}

static char *factors_of(const job *j, int64_t image) {
    return j->factor + (j->n.groups > 0 ? 4 * image * j->n.channels * j->each : 0);
}

/* What a channel's elements are taken relative to while they are summed: an element of the same statistic,
 * so that squares lose nothing whatever the mean. */
static double shift_of(const job *j, int64_t image, int64_t channel) {
    int64_t first = j->n.groups > 0 ? channel / j->members * j->members : channel;
    int64_t step = j->n.order == TD_ORDER_ROWS ? j->n.pixels : 1;
    return load(j, image_of(j, j->x, j->n.groups > 0 ? image : 0), first * step);
}

/* mean and var of a statistic from the sums of d = x - shift and of d^2 over `count` elements. */
static void set_moments(const job *j, int64_t statistic, double shift, double sum,
                        double square, double count) {
    double d = sum / count, v = square / count - d * d;
    store(j, j->mean, statistic, shift + d);
    store(j, j->var, statistic, v < 0 ? 0 : v);
}

/* ---- sums of one image ---- */

static void sum_image(const job *j, int64_t image) {
    const td_norm *n = &j->n;
    const char *x = image_of(j, j->x, image);
    double *sum = sums_of(j, image), *square = sum + n->channels, both[2];
    if (n->order == TD_ORDER_ROWS) {
        for (int64_t c = 0; c < n->channels; c++) {
            j->loops->run_sums(n->pixels, x + c * n->pixels * j->each,
                               shift_of(j, image, c), both);
            sum[c] = both[0];
            square[c] = both[1];
        }
        return;
    }
    double shift[TD_NORM_COLUMNS];
    for (int64_t c = 0; c < n->channels; c += TD_NORM_COLUMNS) {
        int64_t count =
            n->channels - c < TD_NORM_COLUMNS ? n->channels - c : TD_NORM_COLUMNS;
        for (int64_t i = 0; i < count; i++) shift[i] = shift_of(j, image, c + i);
        j->loops->column_sums(n->pixels, n->channels, count, x + c * j->each, shift,
                              sum + c, square + c);
    }
}

static void sum_image_grads(const job *j, int64_t image) {
    const td_norm *n = &j->n;
    const char *x = image_of(j, j->x, image), *dy = image_of(j, j->dy, image);
    double *sum = sums_of(j, image), *product = sum + n->channels, both[2];
    if (n->order == TD_ORDER_ROWS) {
        for (int64_t c = 0; c < n->channels; c++) {
            int64_t at = c * n->pixels * j->each;
            j->loops->run_grad_sums(n->pixels, x + at, dy + at, NULL,
                                    load(j, j->mean, statistic_of(j, image, c)), both);
            sum[c] = both[0];
            product[c] = both[1];
        }
        return;
    }
    double mean[TD_NORM_COLUMNS];
    for (int64_t c = 0; c < n->channels; c += TD_NORM_COLUMNS) {
        int64_t count =
            n->channels - c < TD_NORM_COLUMNS ? n->channels - c : TD_NORM_COLUMNS;
        for (int64_t i = 0; i < count; i++)
            mean[i] = load(j, j->mean, statistic_of(j, image, c + i));
        j->loops->column_grad_sums(n->pixels, n->channels, count, x + c * j->each,
                                   dy + c * j->each, mean, sum + c, product + c);
    }
}

/* ---- y = (x - m) a + b, dx = dy a + (x - m) b + c: factors m, a, b, c of a channel ---- */

static void set_scales(const job *j, int64_t image) {
    int64_t channels = j->n.channels;
    char *f = factors_of(j, image);
    for (int64_t c = 0; c < channels; c++) {
        int64_t s = statistic_of(j, image, c);
        store(j, f, c, load(j, j->mean, s));
        store(j, f, channels + c,
              rstd_of(j, s) * (j->weight ? load(j, j->weight, c) : 1));
        store(j, f, 2 * channels + c, j->bias ? load(j, j->bias, c) : 0);
    }
}

/* With r = rstd and means M over the statistic's elements, dx = r (dy w - M(dy w) - (x - m) r^2 M(dy w (x -
 * m))). sum and product: of dy w and of dy w (x - m). */
static void set_grad_factors(const job *j, char *f, int64_t channel, int64_t statistic,
                             double sum, double product, double count) {
    int64_t channels = j->n.channels;
    double r = rstd_of(j, statistic), w = j->weight ? load(j, j->weight, channel) : 1;
    store(j, f, channel, load(j, j->mean, statistic));
    store(j, f, channels + channel, r * w);
    store(j, f, 2 * channels + channel, -r * r * r * (product / count));
    store(j, f, 3 * channels + channel, -r * (sum / count));
}

static void scale_image(const job *j, int64_t image) {
    const td_norm *n = &j->n;
    const char *x = image_of(j, j->x, image), *f = factors_of(j, image);
    char *y = j->y + (x - j->x);
    int64_t row = n->channels * j->each, plane = n->pixels * j->each;
    if (n->order == TD_ORDER_CHANNELS) {
        j->loops->column_scale(n->pixels, n->channels, x, f, f + row, f + 2 * row, y);
        return;
    }
    for (int64_t c = 0; c < n->channels; c++, f += j->each, x += plane, y += plane)
        j->loops->run_scale(n->pixels, x, f, f + row, f + 2 * row, y);
}

static void grad_image(const job *j, int64_t image) {
    const td_norm *n = &j->n;
    const char *x = image_of(j, j->x, image), *f = factors_of(j, image);
    const char *dy = j->dy + (x - j->x);
    char *dx = j->y + (x - j->x);
    int64_t row = n->channels * j->each, plane = n->pixels * j->each;
    if (n->order == TD_ORDER_CHANNELS) {
        j->loops->column_grad(n->pixels, n->channels, x, dy, f, f + row, f + 2 * row,
                              f + 3 * row, dx);
        return;
    }
    for (int64_t c = 0; c < n->channels;
         c++, f += j->each, x += plane, dy += plane, dx += plane)
        j->loops->run_grad(n->pixels, x, dy, f, f + row, f + 2 * row, f + 3 * row, dx);
}

/* ---- pieces ---- */

/* The images (or rows) of a piece. */
static void bounds(const job *j, int64_t piece, int64_t *from, int64_t *to) {
    *from = piece * j->per_member;
    *to = *from + j->per_member < j->n.images ? *from + j->per_member : j->n.images;
}

static int64_t pieces_of(const job *j) {
    return (j->n.images + j->per_member - 1) / j->per_member;
}

static void group_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to;
    bounds(j, piece, &from, &to);
    for (int64_t i = from; i < to; i++) {
        sum_image(j, i);
        const double *sum = sums_of(j, i), *square = sum + j->n.channels;
        for (int64_t g = 0; g < j->n.groups; g++) {
            double s = 0, q = 0;
            for (int64_t c = g * j->members; c < (g + 1) * j->members; c++) {
                s += sum[c];
                q += square[c];
            }
            set_moments(j, i * j->n.groups + g, shift_of(j, i, g * j->members), s, q,
                        (double)(j->members * j->n.pixels));
        }
        set_scales(j, i);
        scale_image(j, i);
    }
}

static void group_grad_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to;
    bounds(j, piece, &from, &to);
    for (int64_t i = from; i < to; i++) {
        sum_image_grads(j, i);
        double *sum = sums_of(j, i), *product = sum + j->n.channels;
        for (int64_t g = 0; g < j->n.groups; g++) {
            double s = 0, q = 0, r = rstd_of(j, i * j->n.groups + g);
            for (int64_t c = g * j->members; c < (g + 1) * j->members; c++) {
                double w = j->weight ? load(j, j->weight, c) : 1;
                s += w * sum[c];
                q += w * product[c];
            }
            for (int64_t c = g * j->members; c < (g + 1) * j->members; c++) {
                set_grad_factors(j, factors_of(j, i), c, i * j->n.groups + g, s, q,
                                 (double)(j->members * j->n.pixels));
                product[c] *= r;
            }
        }
        grad_image(j, i);
    }
}

static void sum_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to;
    bounds(j, piece, &from, &to);
    for (int64_t i = from; i < to; i++) sum_image(j, i);
}

static void sum_grad_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to;
    bounds(j, piece, &from, &to);
    for (int64_t i = from; i < to; i++) sum_image_grads(j, i);
}

static void scale_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to;
    bounds(j, piece, &from, &to);
    for (int64_t i = from; i < to; i++) scale_image(j, i);
}

static void grad_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to;
    bounds(j, piece, &from, &to);
    for (int64_t i = from; i < to; i++) grad_image(j, i);
}

/* Rows whose groups lie flat: pixels is 1. */
static void line_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to, line = j->members * j->each;
    bounds(j, piece, &from, &to);
    for (int64_t s = from * j->n.groups; s < to * j->n.groups; s++) {
        const char *x = j->x + s * line;
        int64_t at = s % j->n.groups * line;
        double shift = load(j, x, 0), sum[2];
        j->loops->run_sums(j->members, x, shift, sum);
        set_moments(j, s, shift, sum[0], sum[1], (double)j->members);
        j->loops->line_scale(j->members, x, load(j, j->mean, s), rstd_of(j, s),
                             j->weight ? j->weight + at : NULL,
                             j->weight ? j->bias + at : NULL, j->y + s * line);
    }
}

static void line_grad_piece(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from, to, line = j->members * j->each;
    bounds(j, piece, &from, &to);
    double *db = sums_of(j, piece), *dw = db + j->n.channels;
    memset(db, 0, (size_t)j->n.channels * 2 * sizeof *db);
    for (int64_t s = from * j->n.groups; s < to * j->n.groups; s++) {
        int64_t at = s * line, first = s % j->n.groups * j->members;
        const char *w = j->weight ? j->weight + first * j->each : NULL;
        double mean = load(j, j->mean, s), r = rstd_of(j, s), sum[2];
        double count = (double)j->members;
        j->loops->run_grad_sums(j->members, j->x + at, j->dy + at, w, mean, sum);
        j->loops->line_grad(j->members, j->x + at, j->dy + at, w, mean, r,
                            -r * r * r * (sum[1] / count), -r * (sum[0] / count),
                            j->y + at, dw + first, db + first);
    }
}

/* ---- whole calls ---- */

/* dbias and dweight: the sums of all images (or pieces of rows), one after another. */
static void add_up(const job *j, int64_t parts) {
    int64_t channels = j->n.channels;
    double *total = j->sum; /* the first part's place */
    for (int64_t i = 1; i < parts; i++) {
        const double *part = sums_of(j, i);
        for (int64_t c = 0; c < 2 * channels; c++) total[c] += part[c];
    }
    for (int64_t c = 0; c < channels; c++) {
        store(j, j->dbias, c, total[c]);
        store(j, j->dweight, c, total[channels + c]);
    }
}

static void batch_forward(job *j) {
    td_pool_run(sum_piece, j, pieces_of(j));
    double count = (double)(j->n.images * j->n.pixels);
    for (int64_t c = 0; c < j->n.channels; c++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < j->n.images; i++) {
            sum += sums_of(j, i)[c];
            square += sums_of(j, i)[j->n.channels + c];
        }
        set_moments(j, c, shift_of(j, 0, c), sum, square, count);
    }
    set_scales(j, 0);
    td_pool_run(scale_piece, j, pieces_of(j));
}

static void batch_backward(job *j) {
    td_pool_run(sum_grad_piece, j, pieces_of(j));
    double count = (double)(j->n.images * j->n.pixels);
    for (int64_t c = 0; c < j->n.channels; c++) {
        double sum = 0, product = 0, w = j->weight ? load(j, j->weight, c) : 1;
        for (int64_t i = 0; i < j->n.images; i++) {
            sum += sums_of(j, i)[c];
            product += sums_of(j, i)[j->n.channels + c];
        }
        set_grad_factors(j, j->factor, c, c, w * sum, w * product, count);
        store(j, j->dbias, c, sum);
        store(j, j->dweight, c, product * rstd_of(j, c));
    }
    td_pool_run(grad_piece, j, pieces_of(j));
}

/* Fills in what follows from n, and takes the scratch memory, which j->sum gives back. */
static int start(job *j, const td_norm *n, td_err *err) {
    j->n = *n;
    j->loops = (*TD_LEVEL_PICK(td_norm_table))[n->t == TD_F64];
    j->each = (int64_t)td_dtype_bytes(n->t);
    if (n->pixels == 1 && n->groups == 0) {
        j->n.pixels = n->images;
        j->n.images = 1;
        j->n.order = TD_ORDER_CHANNELS;
    }
    j->members = n->groups > 0 ? n->channels / n->groups : 1;
    int64_t image = j->n.channels * j->n.pixels;
    bool lines = n->groups > 0 && n->pixels == 1;
    j->per_member = image < PIECE ? PIECE / (image > 0 ? image : 1) : 1;
    if (lines) {
        if (j->per_member < ROWS) j->per_member = ROWS;
        if (j->per_member < n->images / MOST_PIECES)
            j->per_member = n->images / MOST_PIECES;
    }
    size_t parts = (size_t)(lines ? pieces_of(j) : j->n.images), bytes;
    size_t factors = lines ? 0 : n->groups > 0 ? parts : 1;
    size_t each = 2 * sizeof(double), more;
    if (!td_mul_size(parts, each, &bytes) ||
        !td_mul_size(factors, 4 * (size_t)j->each, &more) ||
        !td_add_size(bytes, more, &bytes) ||
        !td_mul_size(bytes, (size_t)n->channels, &bytes))
        return td_fail(err, TD_E_LIMIT, "", "too many channels");
    j->sum = td_scratch_take(bytes, err);
    if (j->sum == NULL) return TD_E_MEMORY;
    j->factor = (char *)(j->sum + parts * 2 * (size_t)n->channels);
    return 0;
}

static bool is_empty(const td_norm *n) {
    return n->images == 0 || n->channels == 0 || n->pixels == 0;
}

int td_norm_forward(const td_norm *n, const void *x, const void *weight, const void *bias,
                    void *y, void *mean, void *var, td_err *err) {
    job j = {.x = x, .weight = weight, .bias = bias, .y = y, .mean = mean, .var = var};
    if (is_empty(n)) {
        j.n.t = n->t;
        for (int64_t s = 0; s < td_norm_count(n); s++) {
            store(&j, mean, s, (double)NAN);
            store(&j, var, s, (double)NAN);
        }
        return 0;
    }
    int rc = start(&j, n, err);
    if (rc) return rc;
    if (n->groups == 0)
        batch_forward(&j);
    else
        td_pool_run(n->pixels == 1 ? line_piece : group_piece, &j, pieces_of(&j));
    td_scratch_give(j.sum);
    return 0;
}

int td_norm_backward(const td_norm *n, const void *x, const void *dy, const void *mean,
                     const void *var, const void *weight, void *dx, void *dweight,
                     void *dbias, td_err *err) {
    job j = {.x = x,
             .dy = dy,
             .weight = weight,
             .y = dx,
             .mean = (char *)(uintptr_t)mean,
             .var = (char *)(uintptr_t)var,
             .dweight = dweight,
             .dbias = dbias};
    if (is_empty(n)) {
        size_t bytes = (size_t)n->channels * td_dtype_bytes(n->t);
        memset(dweight, 0, bytes);
        memset(dbias, 0, bytes);
        return 0;
    }
    int rc = start(&j, n, err);
    if (rc) return rc;
    if (n->groups == 0) {
        batch_backward(&j);
    } else if (n->pixels == 1) {
        td_pool_run(line_grad_piece, &j, pieces_of(&j));
        add_up(&j, pieces_of(&j));
    } else {
        td_pool_run(group_grad_piece, &j, pieces_of(&j));
        add_up(&j, n->images);
    }
    td_scratch_give(j.sum);
    return 0;
}
