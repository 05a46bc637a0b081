/* Softmax kernels: lengths and widths across tiles, lanes and blocks against plain loops in long double; the
 * same bits however the lines lie and for 1 and 3 threads; infinities and NaN. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/softmax.h"
#include "runtime/pool.h"
#include "runtime/random.h"

static size_t bytes_of(td_dtype t, int64_t n) { return (size_t)n * td_dtype_bytes(t); }

static double at(td_dtype t, const void *p, int64_t i) {
    return td_load_f64(t, (const char *)p + bytes_of(t, i));
}

static void *numbers(td_dtype t, int64_t n, uint64_t stream) {
    double *u = malloc((size_t)(n + 1) * sizeof *u);
    char *p = malloc(bytes_of(t, n) + 1);
    td_random_normal_f64(9, stream, n, u);
    for (int64_t i = 0; i < n; i++) td_store_f64(t, p + bytes_of(t, i), 3 * u[i]);
    free(u);
    return p;
}

/* [outer][length][inner] as [outer * inner][length]. */
static void *as_lines(const td_softmax *s, const char *p) {
    size_t each = td_dtype_bytes(s->t);
    char *to = malloc(bytes_of(s->t, s->outer * s->length * s->inner) + 1), *q = to;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++)
            for (int64_t k = 0; k < s->length; k++, q += each)
                memcpy(q, p + bytes_of(s->t, (o * s->length + k) * s->inner + i), each);
    return to;
}

static void near(const char *what, double got, long double want, double tol) {
    if (!(fabsl((long double)got - want) <= tol * (1 + fabsl(want))))
        fail_msg("%s is %.17g, wanted %.17g", what, got, (double)want);
}

/* Lines of `length`, from their definition. */
static void check(const td_softmax *s, const void *x, const void *y, const void *dy,
                  const void *dx, double tol) {
    for (int64_t l = 0; l < s->outer * s->inner; l++) {
        int64_t first = l * s->length;
        long double most = -INFINITY, sum = 0, flow = 0;
        for (int64_t k = first; k < first + s->length; k++)
            most = fmaxl(most, at(s->t, x, k));
        for (int64_t k = first; k < first + s->length; k++)
            sum += expl(at(s->t, x, k) - most);
        for (int64_t k = first; k < first + s->length; k++)
            flow += at(s->t, dy, k) * (s->as_log ? 1 : (long double)at(s->t, y, k));
        for (int64_t k = first; k < first + s->length; k++) {
            long double d = at(s->t, x, k) - most, v = at(s->t, y, k);
            near("y", at(s->t, y, k), s->as_log ? d - logl(sum) : expl(d) / sum, tol);
            near("dx", at(s->t, dx, k),
                 s->as_log ? at(s->t, dy, k) - expl(v) * flow
                           : v * (at(s->t, dy, k) - flow),
                 tol * (1 + (double)fabsl(flow)));
        }
    }
}

static void try(td_softmax s, double tol) {
    int64_t n = s.outer * s.length * s.inner;
    void *x = numbers(s.t, n, 1), *dy = numbers(s.t, n, 2);
    void *y = malloc(bytes_of(s.t, n) + 1), *dx = malloc(bytes_of(s.t, n) + 1);
    td_pool_set_threads(3);
    td_softmax_run(&s, x, y);
    td_softmax_grad(&s, dy, y, dx);
    void *xl = as_lines(&s, x), *yl = as_lines(&s, y);
    void *dyl = as_lines(&s, dy), *dxl = as_lines(&s, dx);
    check(&s, xl, yl, dyl, dxl, tol);
    td_pool_set_threads(1);
    td_softmax flat = s;
    flat.outer *= s.inner;
    flat.inner = 1;
    td_softmax_run(&flat, xl, y);
    td_softmax_grad(&flat, dyl, y, dx);
    assert_memory_equal(y, yl, bytes_of(s.t, n));
    assert_memory_equal(dx, dxl, bytes_of(s.t, n));
    free(x), free(y), free(dy), free(dx), free(xl), free(yl), free(dyl), free(dxl);
}

static void test_against_plain_loops(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {
        /* outer, length, inner */
        {1, 1, 1},   {32, 2, 1},  {33, 10, 1},  {7, 17, 1},    {5, 31, 1},
        {5, 32, 1},  {8, 90, 1},  {3, 1024, 1}, {2, 2500, 1},  {2, 3, 5},
        {3, 10, 16}, {2, 90, 35}, {1, 1030, 3}, {2, 2100, 17}, {600, 10, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int how = 0; how < 4; how++) {
            td_softmax s = {.t = how & 1 ? TD_F64 : TD_F32,
                            .as_log = how & 2,
                            .outer = shapes[i][0],
                            .length = shapes[i][1],
                            .inner = shapes[i][2]};
            try(s, s.t == TD_F64 ? 2e-15 : 1e-6);
        }
}

/* Lines in which something is not a number give nothing but NaN; -inf alone is a probability of 0. Short
 * lines and long ones, beside each other and one after another. */
static void test_not_finite(void **state) {
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    for (int64_t length = 3; length < 100; length += 48)
        for (int64_t inner = 1; inner <= 2; inner++)
            for (int which = 0; which < 3; which++)
                for (int64_t place = 0; place < length; place += 2) {
                    float x[200] = {0}, y[200];
                    td_softmax s = {TD_F32, false, 1, length, inner};
                    x[place * inner] = odd[which];
                    td_softmax_run(&s, x, y);
                    for (int64_t k = 0; k < length; k++) {
                        float want = k == place ? 0 : 1 / (float)(length - 1);
                        if (which < 2)
                            assert_true(isnan(y[k * inner]));
                        else
                            near("y", y[k * inner], want, 1e-6);
                        if (inner == 2) near("y", y[k * 2 + 1], 1 / (float)length, 1e-6);
                    }
                }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain_loops),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests_name("softmax", tests, NULL, NULL);
}
