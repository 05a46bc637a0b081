/* Normalisation kernels: sizes across lanes, blocks and groups of columns against plain loops in long double;
 * the same bits in both memory orders and with 1 and 3 threads; means far from 0. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/norm.h"
#include "runtime/pool.h"
#include "runtime/random.h"

static td_err err;

/* Everything that the two calls make, [images][channels][pixels]. */
typedef struct results {
    char *y, *mean, *var, *dx, *dweight, *dbias;
} results;

static size_t bytes_of(const td_norm *n, int64_t count) {
    return (size_t)count * td_dtype_bytes(n->t);
}
static int64_t elements(const td_norm *n) { return n->images * n->channels * n->pixels; }
static double at(const td_norm *n, const void *p, int64_t i) {
    return td_load_f64(n->t, (const char *)p + bytes_of(n, i));
}

static void *numbers(const td_norm *n, int64_t count, uint64_t stream, double mean) {
    double *u = malloc((size_t)(count + 1) * sizeof *u);
    char *p = malloc(bytes_of(n, count) + 1);
    td_random_normal_f64(5, stream, count, u);
    for (int64_t i = 0; i < count; i++)
        td_store_f64(n->t, p + bytes_of(n, i), u[i] + mean);
    free(u);
    return p;
}

/* [images][channels][pixels] to [images][pixels][channels], or back. */
static void *turned(const td_norm *n, const char *p, bool back) {
    char *to = malloc(bytes_of(n, elements(n)) + 1);
    size_t each = td_dtype_bytes(n->t);
    for (int64_t i = 0; i < n->images; i++)
        for (int64_t c = 0; c < n->channels; c++)
            for (int64_t x = 0; x < n->pixels; x++) {
                int64_t a = (i * n->channels + c) * n->pixels + x;
                int64_t b = (i * n->pixels + x) * n->channels + c;
                memcpy(to + bytes_of(n, back ? a : b), p + bytes_of(n, back ? b : a),
                       each);
            }
    return to;
}

static results run(td_norm n, td_order order, const void *x, const void *dy,
                   const void *w, const void *b) {
    size_t all = bytes_of(&n, elements(&n)) + 1, row = bytes_of(&n, n.channels) + 1;
    size_t count = bytes_of(&n, td_norm_count(&n)) + 1;
    results r = {malloc(all), malloc(count), malloc(count),
                 malloc(all), malloc(row),   malloc(row)};
    n.order = order;
    void *own_x = (void *)(uintptr_t)x, *own_dy = (void *)(uintptr_t)dy;
    if (order == TD_ORDER_CHANNELS) own_x = turned(&n, x, false);
    if (order == TD_ORDER_CHANNELS) own_dy = turned(&n, dy, false);
    assert_int_equal(td_norm_forward(&n, own_x, w, b, r.y, r.mean, r.var, &err), 0);
    assert_int_equal(td_norm_backward(&n, own_x, own_dy, r.mean, r.var, w, r.dx,
                                      r.dweight, r.dbias, &err),
                     0);
    if (order == TD_ORDER_CHANNELS) {
        char *y = turned(&n, r.y, true), *dx = turned(&n, r.dx, true);
        free(r.y), free(r.dx), free(own_x), free(own_dy);
        r.y = y;
        r.dx = dx;
    }
    return r;
}

static void same_bits(const td_norm *n, const results *a, const results *b) {
    size_t all = bytes_of(n, elements(n)), row = bytes_of(n, n->channels);
    size_t count = bytes_of(n, td_norm_count(n));
    assert_memory_equal(a->mean, b->mean, count);
    assert_memory_equal(a->var, b->var, count);
    assert_memory_equal(a->y, b->y, all);
    assert_memory_equal(a->dx, b->dx, all);
    assert_memory_equal(a->dweight, b->dweight, row);
    assert_memory_equal(a->dbias, b->dbias, row);
}

static void drop(results *r) {
    free(r->y), free(r->mean), free(r->var), free(r->dx), free(r->dweight),
        free(r->dbias);
}

static void near(const char *what, double got, long double want, double tol) {
    if (!(fabsl((long double)got - want) <= tol * (1 + fabsl(want))))
        fail_msg("%s is %.17g, wanted %.17g", what, got, (double)want);
}

/* The definitions, one element after another. */
static void check(const td_norm *n, const results *r, const void *x, const void *dy,
                  const void *w, const void *b, double tol) {
    int64_t count = td_norm_count(n), all = elements(n);
    long double *m = calloc((size_t)count, sizeof *m),
                *v = calloc((size_t)count, sizeof *v);
    long double *s = calloc((size_t)count, sizeof *s),
                *q = calloc((size_t)count, sizeof *q);
    long double *dw = calloc((size_t)n->channels, sizeof *dw);
    long double *db = calloc((size_t)n->channels, sizeof *db);
    long double each = (long double)all / (long double)count;
    for (int pass = 0; pass < 4; pass++)
        for (int64_t i = 0; i < all; i++) {
            int64_t c = i / n->pixels % n->channels, image = i / n->pixels / n->channels;
            int64_t k = n->groups ? image * n->groups + c * n->groups / n->channels : c;
            long double wc = w ? at(n, w, c) : 1, g = (long double)at(n, dy, i) * wc;
            long double d = (long double)at(n, x, i) - m[k];
            long double rstd = pass >= 2 ? 1 / sqrtl(v[k] + (long double)n->eps) : 0;
            if (pass == 0) m[k] += at(n, x, i) / each;
            if (pass == 1) v[k] += d * d / each;
            if (pass == 2) {
                s[k] += g / each;
                q[k] += g * d * rstd / each;
                dw[c] += at(n, dy, i) * d * rstd;
                db[c] += at(n, dy, i);
                near("y", at(n, r->y, i), d * rstd * wc + (b ? at(n, b, c) : 0), tol);
            }
            if (pass == 3)
                near("dx", at(n, r->dx, i), rstd * (g - s[k] - d * rstd * q[k]), tol);
        }
    for (int64_t k = 0; k < count; k++) {
        near("mean", at(n, r->mean, k), m[k], tol);
        near("var", at(n, r->var, k), v[k], tol);
    }
    for (int64_t c = 0; c < n->channels; c++) {
        near("dweight", at(n, r->dweight, c), dw[c], tol * sqrt((double)each));
        near("dbias", at(n, r->dbias, c), db[c], tol * sqrt((double)each));
    }
    free(m), free(v), free(s), free(q), free(dw), free(db);
}

static void try(td_norm n, double mean, double tol) {
    void *x = numbers(&n, elements(&n), 1, mean), *dy = numbers(&n, elements(&n), 2, 0.1);
    void *w = numbers(&n, n.channels, 3, 1), *b = numbers(&n, n.channels, 4, 0);
    td_pool_set_threads(1);
    results plain = run(n, TD_ORDER_ROWS, x, dy, NULL, NULL);
    check(&n, &plain, x, dy, NULL, NULL, tol);
    results rows = run(n, TD_ORDER_ROWS, x, dy, w, b);
    results last = run(n, TD_ORDER_CHANNELS, x, dy, w, b);
    td_pool_set_threads(3);
    results threads = run(n, TD_ORDER_CHANNELS, x, dy, w, b);
    check(&n, &rows, x, dy, w, b, tol);
    same_bits(&n, &rows, &last);
    same_bits(&n, &rows, &threads);
    drop(&plain), drop(&rows), drop(&last), drop(&threads);
    free(x), free(dy), free(w), free(b);
}

/* images, channels, pixels, groups */
static const int64_t shapes[][4] = {
    {1, 1, 1, 1},    {2, 4, 9, 2},     {3, 6, 16, 3},   {2, 3, 17, 1},    {1, 2, 1024, 1},
    {2, 66, 70, 2},  {1, 5, 1025, 5},  {2, 3, 2500, 1}, {5, 130, 65, 13}, {70, 10, 1, 1},
    {200, 33, 1, 3}, {3, 2100, 1, 2},  {1, 1, 5, 0},    {2, 4, 9, 0},     {7, 65, 64, 0},
    {40, 3, 1, 0},   {2100, 70, 1, 0}, {20, 8, 200, 0}, {4, 3, 1100, 0}};

static void test_against_plain_loops(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < 2; t++) {
            const int64_t *s = shapes[i];
            td_norm n = {.t = t ? TD_F64 : TD_F32,
                         .images = s[0],
                         .channels = s[1],
                         .pixels = s[2],
                         .groups = s[3],
                         .eps = 1e-3};
            try(n, 0.5, t ? 1e-12 : 2e-5);
        }
}

/* Numbers around a million: squares are not summed around 0. */
static void test_far_from_zero(void **state) {
    (void)state;
    td_norm n = {
        .t = TD_F64, .images = 2, .channels = 4, .pixels = 300, .groups = 2, .eps = 1e-5};
    try(n, 1e6, 2e-9);
    n.groups = 0;
    try(n, 1e6, 2e-9);
    n.pixels = 1;
    n.images = 100;
    try(n, 1e6, 2e-9);
    n.groups = 1;
    n.channels = 400;
    try(n, 1e6, 2e-9);
}

/* All alike: the variance is 0, not something small or below. */
static void test_constant(void **state) {
    (void)state;
    td_norm n = {.t = TD_F32, .images = 1, .channels = 3, .pixels = 111, .groups = 1};
    float x[333], y[333], mean, var;
    for (int i = 0; i < 333; i++) x[i] = 0.1f;
    n.eps = 1;
    assert_int_equal(td_norm_forward(&n, x, NULL, NULL, y, &mean, &var, &err), 0);
    assert_true(mean == 0.1f && var == 0 && y[0] == 0 && y[332] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain_loops),
        cmocka_unit_test(test_far_from_zero),
        cmocka_unit_test(test_constant),
    };
    return cmocka_run_group_tests_name("norm", tests, NULL, NULL);
}
