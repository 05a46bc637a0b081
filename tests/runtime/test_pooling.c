/* Pooling against loops over single elements in both memory orders, on each processor level and with one
 * and two threads: the same bits everywhere, NaN, ties and negative zeros among the numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cpu.h"
#include "runtime/kernels/pooling.h"
#include "runtime/pool.h"

TD_LEVEL_DECLARE(td_pooling_table, td_pooling_table);

static const td_pooling shapes[] = {
    {.images = 2, .channels = 5, .h = 6, .w = 8, .kh = 2, .kw = 2, .sh = 2, .sw = 2},
    {.images = 3, .channels = 20, .h = 7, .w = 5, .kh = 2, .kw = 2, .sh = 2, .sw = 2},
    {.images = 2, .channels = 17, .h = 4, .w = 4, .kh = 2, .kw = 2, .sh = 1, .sw = 1},
    {.images = 2, .channels = 33, .h = 9, .w = 7, .kh = 3, .kw = 3, .sh = 2, .sw = 2},
    {2, 18, 0, 9, 8, 0, 0, 3, 3, 2, 2, 1, 1, 0},
    {2, 18, 0, 9, 8, 0, 0, 3, 3, 2, 2, 1, 1, 1},
    {2, 4, 0, 9, 8, 0, 0, 3, 3, 3, 3, 0, 0, 0},
    {1, 16, 0, 8, 9, 0, 0, 2, 3, 3, 2, 1, 1, 0},
    {1, 7, 0, 5, 5, 0, 0, 5, 5, 1, 1, 2, 2, 0},
    {1, 3, 0, 5, 6, 0, 0, 5, 6, 5, 6, 0, 0, 0},
    {5, 1, 0, 4, 4, 0, 0, 2, 2, 2, 2, 0, 0, 0},
    {3, 6, 0, 2, 2, 0, 0, 2, 2, 2, 2, 0, 0, 0}, /* also what 2 x 2 gradients look like */
    {2, 6, 0, 3, 3, 0, 0, 3, 3, 3, 3, 0, 0, 0}, /* only looks like 2 x 2 */
    {40, 8, 0, 16, 16, 0, 0, 2, 2, 2, 2, 0, 0, 0}, /* several pieces */
    {40, 8, 0, 17, 16, 0, 0, 3, 3, 2, 2, 1, 1, 0},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct run {
    td_pooling p;
    int64_t nx, ny;
    double *x, *y, *g, *dx;
    int32_t *index;
} run;

static int64_t at_x(const td_pooling *p, int64_t n, int64_t c, int64_t r, int64_t s) {
    return p->channels_last ? ((n * p->h + r) * p->w + s) * p->channels + c
                            : ((n * p->channels + c) * p->h + r) * p->w + s;
}

static int64_t at_y(const td_pooling *p, int64_t n, int64_t c, int64_t i, int64_t j) {
    return p->channels_last ? ((n * p->oh + i) * p->ow + j) * p->channels + c
                            : ((n * p->channels + c) * p->oh + i) * p->ow + j;
}

/* Depends on the logical place alone, so that both orders hold the same. */
static double value(int64_t n, int64_t c, int64_t r, int64_t s, bool strange) {
    uint64_t h = (uint64_t)(((n * 31 + c) * 37 + r) * 41 + s) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    if (strange && h % 11 == 0) return NAN;
    if (strange && h % 11 == 1) return -0.0;
    if (strange && h % 11 == 2) return INFINITY;
    return (double)((int64_t)(h % 19) - 9) / 3;
}

static void run_start(run *k, const td_pooling *shape, bool last, bool strange) {
    td_pooling *p = &k->p;
    *p = *shape;
    p->channels_last = last;
    p->oh = (p->h + 2 * p->ph - p->kh) / p->sh + 1;
    p->ow = (p->w + 2 * p->pw - p->kw) / p->sw + 1;
    k->nx = p->images * p->channels * p->h * p->w;
    k->ny = p->images * p->channels * p->oh * p->ow;
    k->x = malloc((size_t)k->nx * 8), k->dx = malloc((size_t)k->nx * 8);
    k->y = malloc((size_t)k->ny * 8), k->g = malloc((size_t)k->ny * 8);
    k->index = malloc((size_t)k->ny * sizeof *k->index);
    for (int64_t n = 0; n < p->images; n++)
        for (int64_t c = 0; c < p->channels; c++) {
            for (int64_t r = 0; r < p->h; r++)
                for (int64_t s = 0; s < p->w; s++)
                    k->x[at_x(p, n, c, r, s)] = value(n, c, r, s, strange);
            for (int64_t i = 0; i < p->oh; i++)
                for (int64_t j = 0; j < p->ow; j++)
                    k->g[at_y(p, n, c, i, j)] = value(n, c, i, j + 99, strange);
        }
}

static void run_end(run *k) {
    free(k->x), free(k->dx), free(k->y), free(k->g), free(k->index);
}

/* What the header says, an element at a time; sums in the arithmetic of t. */
static double sum(td_dtype t, double a, double b) {
    return t == TD_F32 ? (double)((float)a + (float)b) : a + b;
}
static double quotient(td_dtype t, double a, double b) {
    return t == TD_F32 ? (double)((float)a / (float)b) : a / b;
}

static void plain_max(run *k) {
    const td_pooling *p = &k->p;
    for (int64_t n = 0; n < p->images; n++)
        for (int64_t c = 0; c < p->channels; c++)
            for (int64_t i = 0; i < p->oh; i++)
                for (int64_t j = 0; j < p->ow; j++) {
                    double most = 0;
                    int64_t where = 0;
                    for (int64_t r = i * p->sh - p->ph; r < i * p->sh - p->ph + p->kh;
                         r++)
                        for (int64_t s = j * p->sw - p->pw; s < j * p->sw - p->pw + p->kw;
                             s++) {
                            if (r < 0 || r >= p->h || s < 0 || s >= p->w) continue;
                            double v = k->x[at_x(p, n, c, r, s)];
                            if (where == 0 || v > most || isnan(v)) {
                                most = v;
                                where = 1 + r * p->w + s;
                            }
                        }
                    k->y[at_y(p, n, c, i, j)] = most;
                    k->index[at_y(p, n, c, i, j)] = (int32_t)where;
                }
}

static void plain_max_back(run *k, td_dtype t) {
    const td_pooling *p = &k->p;
    for (int64_t i = 0; i < k->nx; i++) k->dx[i] = 0;
    for (int64_t n = 0; n < p->images; n++)
        for (int64_t c = 0; c < p->channels; c++)
            for (int64_t i = 0; i < p->oh; i++)
                for (int64_t j = 0; j < p->ow; j++) {
                    int64_t from = at_y(p, n, c, i, j), at = k->index[from] - 1;
                    double *to = &k->dx[at_x(p, n, c, at / p->w, at % p->w)];
                    *to = sum(t, *to, k->g[from]);
                }
}

static void plain_avg(run *k, td_dtype t, bool back) {
    const td_pooling *p = &k->p;
    for (int64_t i = 0; back && i < k->nx; i++) k->dx[i] = 0;
    for (int64_t n = 0; n < p->images; n++)
        for (int64_t c = 0; c < p->channels; c++)
            for (int64_t i = 0; i < p->oh; i++)
                for (int64_t j = 0; j < p->ow; j++) {
                    int64_t count = 0;
                    double all = 0;
                    for (int pass = 0; pass < 2; pass++)
                        for (int64_t r = i * p->sh - p->ph; r < i * p->sh - p->ph + p->kh;
                             r++)
                            for (int64_t s = j * p->sw - p->pw;
                                 s < j * p->sw - p->pw + p->kw; s++) {
                                if (r < 0 || r >= p->h || s < 0 || s >= p->w) continue;
                                int64_t at = at_x(p, n, c, r, s);
                                double over =
                                    (double)(p->count_pad ? p->kh * p->kw : count);
                                if (pass == 0) {
                                    count++;
                                    all = sum(t, all, k->x[at]);
                                } else if (back) {
                                    k->dx[at] =
                                        sum(t, k->dx[at],
                                            quotient(t, k->g[at_y(p, n, c, i, j)], over));
                                }
                            }
                    double over = (double)(p->count_pad ? p->kh * p->kw : count);
                    if (!back) k->y[at_y(p, n, c, i, j)] = quotient(t, all, over);
                }
}

/* ---- kernels beside it ---- */

static void *as(td_dtype t, const double *from, int64_t n) {
    char *to = malloc((size_t)n * 8);
    for (int64_t i = 0; i < n; i++)
        td_store_f64(t, to + i * (int64_t)td_dtype_bytes(t), from[i]);
    return to;
}

static void same(const run *k, td_dtype t, const char *what, const void *got,
                 const double *want, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double v = td_load_f64(t, (const char *)got + i * (int64_t)td_dtype_bytes(t));
        if (isnan(v) && isnan(want[i])) continue;
        if (v != want[i] || signbit(v) != signbit(want[i]))
            fail_msg("%s of %s, %lldx%lldx%lldx%lld by %lldx%lld, channels %s: element "
                     "%lld is %g, wanted %g",
                     what, td_dtype_name(t), (long long)k->p.images,
                     (long long)k->p.channels, (long long)k->p.h, (long long)k->p.w,
                     (long long)k->p.kh, (long long)k->p.kw,
                     k->p.channels_last ? "last" : "first", (long long)i, v, want[i]);
    }
}

static void check(const td_pooling *shape, bool last, td_dtype t, bool strange) {
    run k;
    run_start(&k, shape, last, strange);
    const td_pooling *p = &k.p;
    void *x = as(t, k.x, k.nx), *g = as(t, k.g, k.ny), *y = malloc((size_t)k.ny * 8),
         *dx = malloc((size_t)k.nx * 8);
    int32_t *index = malloc((size_t)k.ny * sizeof *index);
    for (int64_t i = 0; i < k.nx; i++)
        k.x[i] = td_load_f64(t, (char *)x + i * (int64_t)td_dtype_bytes(t));
    for (int64_t i = 0; i < k.ny; i++)
        k.g[i] = td_load_f64(t, (char *)g + i * (int64_t)td_dtype_bytes(t));
    plain_max(&k);
    td_max_pool(p, t, x, y, index);
    same(&k, t, "maximum", y, k.y, k.ny);
    assert_memory_equal(index, k.index, (size_t)k.ny * sizeof *index);
    plain_max_back(&k, t);
    memset(dx, 0x7f, (size_t)k.nx * 8);
    td_max_pool_back(p, t, g, index, dx);
    same(&k, t, "gradient of the maximum", dx, k.dx, k.nx);
    plain_avg(&k, t, false);
    td_avg_pool(p, t, x, y);
    same(&k, t, "average", y, k.y, k.ny);
    plain_avg(&k, t, true);
    memset(dx, 0x7f, (size_t)k.nx * 8);
    td_avg_pool_back(p, t, g, dx);
    same(&k, t, "gradient of the average", dx, k.dx, k.nx);
    free(x), free(g), free(y), free(dx), free(index);
    run_end(&k);
}

static void check_all(void) {
    for (int i = 0; i < SHAPES; i++)
        for (int last = 0; last < 2; last++)
            for (int strange = 0; strange < 2; strange++) {
                check(&shapes[i], last, TD_F32, strange);
                check(&shapes[i], last, TD_F64, strange);
            }
}

static void test_against_plain_loops(void **state) {
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        td_pool_set_threads(threads);
        check_all();
    }
}

/* Gradients go where indices say, also where no pooling would have put them. */
static void test_any_index(void **state) {
    (void)state;
    for (int last = 0; last < 2; last++)
        for (int far = 0; far < 2; far++) {
            td_pooling p = {.images = 1,
                            .channels = 3,
                            .channels_last = last,
                            .h = 4,
                            .w = 4,
                            .oh = 2,
                            .ow = 2};
            float g[12], dx[48], want[48] = {0};
            int32_t index[12];
            for (int64_t i = 0; i < 12; i++) {
                int64_t c = last ? i % 3 : i / 4, at = far ? 15 - i % 5 : 3;
                g[i] = (float)(i + 1);
                index[i] = (int32_t)(1 + at);
                want[last ? at * 3 + c : c * 16 + at] += g[i];
            }
            td_max_pool_back(&p, TD_F32, g, index, dx);
            assert_memory_equal(dx, want, sizeof want);
        }
}

/* Every level that this processor has gives the bits of the lowest. */
static void test_levels(void **state) {
    (void)state;
    const td_pooling_table *table[TD_CPU_COUNT] = {&td_pooling_table_baseline};
    int levels = 1;
#if defined(__x86_64__)
    if (td_cpu_level() >= TD_CPU_AVX2) table[levels++] = &td_pooling_table_avx2;
    if (td_cpu_level() >= TD_CPU_AVX512) table[levels++] = &td_pooling_table_avx512;
#endif
    for (int i = 0; i < SHAPES; i++)
        for (int last = 0; last < 2; last++) {
            run k;
            run_start(&k, &shapes[i], last, false);
            const td_pooling *p = &k.p;
            int64_t units = last ? p->images : p->images * p->channels;
            size_t nx = (size_t)(k.nx / units), ny = (size_t)(k.ny / units);
            float *x = as(TD_F32, k.x, (int64_t)nx), *g = as(TD_F32, k.g, (int64_t)ny);
            float *out = calloc((size_t)levels, (nx + ny) * 2 * sizeof *out);
            for (int l = 0; l < levels; l++) {
                const td_pooling_loops *f = &(*table[l])[0][last];
                float *y = out + (size_t)l * 2 * (nx + ny), *dx = y + ny, *avg = dx + nx,
                      *davg = avg + ny;
                f->max(p, x, y, k.index);
                f->max_back(p, g, k.index, dx);
                f->avg(p, x, avg);
                f->avg_back(p, g, davg);
                assert_memory_equal(y, out, 2 * (nx + ny) * sizeof *out);
            }
            free(x), free(g), free(out);
            run_end(&k);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_plain_loops),
                                       cmocka_unit_test(test_any_index),
                                       cmocka_unit_test(test_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
