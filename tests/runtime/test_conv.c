/* Convolutions and their adjoints against seven loops, for chosen and for random sizes; and what is promised
 * about bits: an image's are the same in any company, and with any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/conv.h"
#include "runtime/mem.h"
#include "runtime/pool.h"

/* ---- numbers ---- */

static uint64_t seed = 1;

static uint64_t draw(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

static int64_t between(int64_t low, int64_t high) {
    return low + (int64_t)(draw() % (uint64_t)(high - low + 1));
}

/* ---- the oracle ---- */

typedef struct batch {
    td_conv v;
    td_dtype t;
    int64_t nx, nw, ny;
    double *x, *w, *y; /* x and y in channels order, w in OIHW */
} batch;

static void load(double *to, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        to[i] = (double)(float)((double)between(-999, 999) / 512);
}

static batch batch_new(td_conv v, td_dtype t) {
    batch b = {.v = v,
               .t = t,
               .nx = v.n * v.h * v.w * v.groups * v.c,
               .nw = v.groups * v.o * v.c * v.kh * v.kw,
               .ny = v.n * v.oh * v.ow * v.groups * v.o};
    b.x = td_new_array((size_t)b.nx, sizeof(double));
    b.w = td_new_array((size_t)b.nw, sizeof(double));
    b.y = td_new_array((size_t)b.ny, sizeof(double));
    load(b.x, b.nx);
    load(b.w, b.nw);
    load(b.y, b.ny);
    return b;
}

static void batch_free(batch *b) {
    td_free(b->x);
    td_free(b->w);
    td_free(b->y);
}

/* Adds each product of two of the three to the element of the third that it belongs to, and its size to
 * that of `sizes`. */
enum { OF_X, OF_W, OF_Y };
static void loops(const batch *b, int of, double *result, double *sizes) {
    const td_conv *v = &b->v;
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t i = 0; i < v->oh; i++)
            for (int64_t j = 0; j < v->ow; j++)
                for (int64_t o = 0; o < v->groups * v->o; o++)
                    for (int64_t r = 0; r < v->kh; r++)
                        for (int64_t s = 0; s < v->kw; s++) {
                            int64_t row = i * v->sh - v->ph + r * v->dh;
                            int64_t col = j * v->sw - v->pw + s * v->dw;
                            if (row < 0 || row >= v->h || col < 0 || col >= v->w)
                                continue;
                            for (int64_t c = 0; c < v->c; c++) {
                                int64_t x =
                                    ((n * v->h + row) * v->w + col) * v->groups * v->c +
                                    o / v->o * v->c + c;
                                int64_t w = ((o * v->c + c) * v->kh + r) * v->kw + s;
                                int64_t y =
                                    ((n * v->oh + i) * v->ow + j) * v->groups * v->o + o;
                                double p = of == OF_X   ? b->w[w] * b->y[y]
                                           : of == OF_W ? b->x[x] * b->y[y]
                                                        : b->x[x] * b->w[w];
                                int64_t at = of == OF_X ? x : of == OF_W ? w : y;
                                result[at] += p;
                                sizes[at] += fabs(p);
                            }
                        }
}

/* ---- what is tested ---- */

static size_t each(const batch *b) { return td_dtype_bytes(b->t); }

static void *as(const batch *b, const double *from, int64_t n) {
    char *to = td_new_array((size_t)n, each(b));
    for (int64_t i = 0; i < n; i++) td_store_f64(b->t, to + (size_t)i * each(b), from[i]);
    return to;
}

static void *empty(const batch *b, int64_t n) {
    void *to = td_new_array((size_t)n, each(b));
    memset(to, 0xff, (size_t)n * each(b)); /* NaN must not stay */
    return to;
}

static void *filters_of(const batch *b, td_conv_way way) {
    size_t bytes;
    assert_int_equal(td_conv_filters_bytes(&b->v, b->t, way, &bytes, NULL), 0);
    void *w = as(b, b->w, b->nw), *filters = td_data_new(bytes, NULL);
    td_conv_filters(&b->v, b->t, way, w, filters);
    td_free(w);
    return filters;
}

static void filters_free(const batch *b, td_conv_way way, void *filters) {
    size_t bytes;
    td_conv_filters_bytes(&b->v, b->t, way, &bytes, NULL);
    td_data_free(filters, bytes);
}

/* One of the three, images [from, to). */
static void run(const batch *b, int of, const void *filters, void *result, int64_t from,
                int64_t to, const double *bias, bool relu) {
    void *x = as(b, b->x, b->nx), *y = as(b, b->y, b->ny);
    void *add = bias ? as(b, bias, b->v.groups * b->v.o) : NULL;
    td_err err = {0};
    int rc = of == OF_Y   ? td_conv_forward(&b->v, b->t, x, filters, add, relu, result,
                                            from, to, &err)
             : of == OF_X ? td_conv_input(&b->v, b->t, y, filters, result, from, to, &err)
                          : td_conv_weight(&b->v, b->t, y, x, result, &err);
    if (rc) fail_msg("%s", err.msg);
    td_free(x);
    td_free(y);
    td_free(add);
}

static void describe(const td_conv *v, char text[300]) {
    snprintf(text, 300,
             "n %d groups %d c %d h %d w %d o %d kernel %dx%d stride %dx%d padding %dx%d "
             "dilation %dx%d",
             (int)v->n, (int)v->groups, (int)v->c, (int)v->h, (int)v->w, (int)v->o,
             (int)v->kh, (int)v->kw, (int)v->sh, (int)v->sw, (int)v->ph, (int)v->pw,
             (int)v->dh, (int)v->dw);
}

static const char *const named[] = {"dx", "dweight", "y"};

/* Rounding: each of at most `depth` additions is off by half a unit of the sum of sizes at the most. */
static void check(const batch *b, int of, const void *got, const double *want,
                  const double *sizes, int64_t n, double loose) {
    double unit = b->t == TD_F32 ? 0x1p-24 : 0x1p-53;
    for (int64_t i = 0; i < n; i++) {
        double g = td_load_f64(b->t, (const char *)got + (size_t)i * each(b));
        double room = unit * loose * (sizes[i] + fabs(want[i]));
        if (!(fabs(g - want[i]) <= room)) {
            char text[300];
            describe(&b->v, text);
            fail_msg("%s, %s: %s[%d] is %.9g, not %.9g (%.3g apart, %.3g allowed)", text,
                     td_dtype_name(b->t), named[of], (int)i, g, want[i],
                     fabs(g - want[i]), room);
        }
    }
}

static int64_t numel(const batch *b, int of) {
    return of == OF_X ? b->nx : of == OF_W ? b->nw : b->ny;
}

static void assert_same(const batch *b, int of, const void *a, const void *c,
                        const char *what) {
    if (memcmp(a, c, (size_t)numel(b, of) * each(b)) == 0) return;
    char text[300];
    describe(&b->v, text);
    fail_msg("%s, %s: %s differs %s", text, td_dtype_name(b->t), named[of], what);
}

static void try_one(const batch *b, int of) {
    int64_t n = numel(b, of);
    double *want = td_new_array((size_t)n, sizeof *want);
    double *sizes = td_new_array((size_t)n, sizeof *sizes);
    double *bias = td_new_array((size_t)(b->v.groups * b->v.o), sizeof *bias);
    load(bias, b->v.groups * b->v.o);
    bool with_bias = of == OF_Y && between(0, 2) > 0, relu = of == OF_Y && between(0, 1);
    td_conv_way way = of == OF_X ? TD_CONV_INPUT : TD_CONV_FORWARD;
    void *filters = of == OF_W ? NULL : filters_of(b, way);
    void *got = empty(b, n), *again = empty(b, n);
    loops(b, of, want, sizes);
    for (int64_t i = 0; i < n && of == OF_Y; i++) {
        if (with_bias) want[i] += bias[i % (b->v.groups * b->v.o)];
        if (relu && want[i] < 0) want[i] = 0;
    }
    const double *add = with_bias ? bias : NULL;
    td_pool_set_threads(1);
    run(b, of, filters, got, 0, b->v.n, add, relu);
    check(b, of, got, want, sizes, n, 64);
    td_pool_set_threads(2);
    run(b, of, filters, again, 0, b->v.n, add, relu);
    assert_same(b, of, got, again, "with two threads");
    if (of != OF_W) {
        memset(again, 0xff, (size_t)n * each(b));
        for (int64_t i = 0; i < b->v.n; i++)
            run(b, of, filters, again, i, i + 1, add, relu);
        assert_same(b, of, got, again, "image by image");
        filters_free(b, way, filters);
    }
    td_free(want);
    td_free(sizes);
    td_free(bias);
    td_free(got);
    td_free(again);
}

static int64_t out_size(int64_t size, int64_t k, int64_t s, int64_t p, int64_t d) {
    int64_t room = size + 2 * p - d * (k - 1) - 1;
    return room < 0 ? 0 : room / s + 1;
}

/* False when the kernel does not fit. */
static bool complete(td_conv *v) {
    v->oh = out_size(v->h, v->kh, v->sh, v->ph, v->dh);
    v->ow = out_size(v->w, v->kw, v->sw, v->pw, v->dw);
    return v->oh > 0 && v->ow > 0;
}

static void try(td_conv v) {
    for (int t = 0; t < 2; t++) {
        batch b = batch_new(v, t ? TD_F64 : TD_F32);
        for (int of = OF_X; of <= OF_Y; of++) try_one(&b, of);
        batch_free(&b);
    }
}

static td_conv plain(int64_t n, int64_t c, int64_t side, int64_t o, int64_t k,
                     int64_t p) {
    td_conv v = {.n = n,
                 .groups = 1,
                 .c = c,
                 .h = side,
                 .w = side,
                 .o = o,
                 .kh = k,
                 .kw = k,
                 .sh = 1,
                 .sw = 1,
                 .ph = p,
                 .pw = p,
                 .dh = 1,
                 .dw = 1};
    assert_true(complete(&v));
    return v;
}

/* The sizes of networks, with few images. */
static void test_layers(void **state) {
    (void)state;
    try(plain(2, 1, 28, 20, 5, 0));
    try(plain(2, 20, 12, 50, 5, 0));
    try(plain(2, 1, 28, 32, 5, 2));
    try(plain(2, 32, 14, 64, 5, 2));
    try(plain(2, 3, 32, 32, 3, 0));
    try(plain(2, 32, 15, 64, 3, 0));
    try(plain(5, 64, 6, 64, 3, 0));
    try(plain(1, 64, 16, 64, 3, 1));
    try(plain(1, 64, 9, 48, 3, 1));
    try(plain(2, 40, 7, 24, 1, 0));
    td_conv v = plain(1, 3, 31, 16, 7, 3);
    v.sh = v.sw = 2;
    complete(&v);
    try(v);
    v = plain(2, 32, 13, 40, 3, 1);
    v.sh = v.sw = 2;
    complete(&v);
    try(v);
    v = plain(2, 1, 17, 1, 3, 1);
    v.groups = 37;
    try(v);
    v.sh = v.sw = 2;
    complete(&v);
    try(v);
}

static void test_random_sizes(void **state) {
    (void)state;
    for (int i = 0; i < 400;) {
        td_conv v = {.n = between(1, 3),
                     .groups = between(0, 2) ? 1 : between(1, 5),
                     .c = between(0, 1) ? between(1, 4) : between(1, 40),
                     .h = between(1, 12),
                     .w = between(1, 12),
                     .o = between(0, 1) ? between(1, 4) : between(1, 40),
                     .kh = between(1, 5),
                     .kw = between(1, 5),
                     .sh = between(0, 1) ? 1 : between(1, 7),
                     .sw = between(0, 1) ? 1 : between(1, 7),
                     .ph = between(0, 1) ? 0 : between(0, 7),
                     .pw = between(0, 1) ? 0 : between(0, 7),
                     .dh = between(0, 2) ? 1 : between(1, 4),
                     .dw = between(0, 2) ? 1 : between(1, 4)};
        if (between(0, 7) == 0) v.c = 1, v.o = between(1, 3), v.groups = between(1, 40);
        if (!complete(&v)) continue;
        try(v);
        i++;
    }
}

/* Sizes for which Winograd's transforms are taken, and some of them just not. */
static void test_winograd(void **state) {
    (void)state;
    for (int i = 0; i < 40;) {
        td_conv v = plain(between(1, 3), 16 * between(1, 3), 3, 16 * between(1, 3), 3, 1);
        v.h = between(1, 14), v.w = between(1, 14);
        v.ph = between(0, 2), v.pw = between(0, 2);
        if (!complete(&v)) continue;
        try(v);
        i++;
    }
}

/* Padding and strides far beyond the image: nothing but what is met may cost memory. */
static void test_far_apart(void **state) {
    (void)state;
    td_conv v = plain(1, 2, 3, 2, 1, 0);
    v.kw = 2, v.pw = v.sw = v.dw = (int64_t)1 << 30;
    assert_true(complete(&v));
    try(v);
    v = plain(1, 2, 3, 3, 2, 1);
    v.pw = (int64_t)1 << 30, v.sw = ((int64_t)1 << 30) - 1;
    v.ph = (int64_t)1 << 30, v.sh = ((int64_t)1 << 30) - 1;
    assert_true(complete(&v));
    try(v);
}

static void test_limits(void **state) {
    (void)state;
    td_conv v = plain(1, 1, 1, 1, 1, 0);
    v.o = v.c = v.kh = v.kw = INT32_MAX;
    size_t bytes;
    td_err err = {0};
    assert_int_equal(td_conv_filters_bytes(&v, TD_F32, TD_CONV_FORWARD, &bytes, &err),
                     TD_E_LIMIT);
    assert_string_equal(
        err.msg, "2147483647x2147483647x2147483647x2147483647 filters are too many");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),   cmocka_unit_test(test_random_sizes),
        cmocka_unit_test(test_winograd), cmocka_unit_test(test_far_apart),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
