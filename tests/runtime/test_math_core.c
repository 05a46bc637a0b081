/* exp, log, tanh and sigmoid of our own, against long double functions of libm: errors in units of the
 * last place, special values, the whole range. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/kernels/math_core.h"
#include "runtime/random.h"

/* Distance in units of the last place of the wanted value. */
static double ulps_f64(double got, long double want) {
    if (isnan(got) || isinf(got)) return got == (double)want ? 0 : INFINITY;
    double near = fabs((double)want);
    if (isinf(near)) return got == (double)want ? 0 : INFINITY;
    double unit = near < DBL_MIN ? 0x1p-1074 : nextafter(near, INFINITY) - near;
    return (double)(fabsl((long double)got - want) / unit);
}

static double ulps_f32(float got, double want) {
    float near = fabsf((float)want);
    if (isnan(got) || isinf(got) || isinf(near)) return got == (float)want ? 0 : INFINITY;
    float unit = near < FLT_MIN ? 0x1p-149f : nextafterf(near, INFINITY) - near;
    return fabs((double)got - want) / (double)unit;
}

/* The worst of many arguments, evenly drawn between low and high. */
static double worst_f64(double (*f)(double), long double (*ref)(long double), double low,
                        double high) {
    enum { N = 200000 };
    static double u[N];
    double worst = 0;
    td_random_uniform_f64(11, 1, N, u);
    for (int i = 0; i < N; i++) {
        double x = low + (high - low) * u[i];
        worst = fmax(worst, ulps_f64(f(x), ref((long double)x)));
    }
    return worst;
}

static double worst_f32(float (*f)(float), double (*ref)(double), float low, float high) {
    enum { N = 200000 };
    static float u[N];
    double worst = 0;
    td_random_uniform_f32(11, 1, N, u);
    for (int i = 0; i < N; i++) {
        float x = low + (high - low) * u[i];
        worst = fmax(worst, ulps_f32(f(x), ref((double)x)));
    }
    return worst;
}

static long double sigmoid_long(long double x) { return 1 / (1 + expl(-x)); }
static double sigmoid_double(double x) { return 1 / (1 + exp(-x)); }

#define assert_below(value, limit)                                                       \
    do {                                                                                 \
        double v_ = (value);                                                             \
        if (!(v_ <= (limit)))                                                            \
            fail_msg("%s is %g, wanted at most %g", #value, v_, limit);                  \
    } while (0)

static void test_f64(void **state) {
    (void)state;
    assert_below(worst_f64(td_exp_f64, expl, -1, 1), 1.0);
    assert_below(worst_f64(td_exp_f64, expl, -708, 709.7), 1.0);
    assert_below(worst_f64(td_exp_f64, expl, -745.1, -708), 1.0); /* subnormal results */
    assert_below(worst_f64(td_log_f64, logl, 0.5, 2), 1.0);
    assert_below(worst_f64(td_log_f64, logl, 0, 1e-3), 1.0);
    assert_below(worst_f64(td_log_f64, logl, 1, 1e300), 1.0);
    assert_below(worst_f64(td_log_f64, logl, 0, 1e-308), 1.0); /* subnormal arguments */
    assert_below(worst_f64(td_tanh_f64, tanhl, -1e-3, 1e-3), 2.5);
    assert_below(worst_f64(td_tanh_f64, tanhl, -1, 1), 2.5);
    assert_below(worst_f64(td_tanh_f64, tanhl, -25, 25), 2.5);
    assert_below(worst_f64(td_sigmoid_f64, sigmoid_long, -30, 30), 2.0);
}

static void test_f32(void **state) {
    (void)state;
    assert_below(worst_f32(td_exp_f32, exp, -1, 1), 0.51);
    assert_below(worst_f32(td_exp_f32, exp, -104, 89), 0.51);
    assert_below(worst_f32(td_log_f32, log, 0.5f, 2), 0.51);
    assert_below(worst_f32(td_log_f32, log, 0, 1e-37f), 0.51);
    assert_below(worst_f32(td_log_f32, log, 1, 1e38f), 0.51);
    assert_below(worst_f32(td_tanh_f32, tanh, -1e-3f, 1e-3f), 0.51);
    assert_below(worst_f32(td_tanh_f32, tanh, -10, 10), 0.51);
    assert_below(worst_f32(td_sigmoid_f32, sigmoid_double, -90, 90), 0.51);
}

static bool is_minus_zero(double x) { return x == 0 && signbit(x); }

static void test_special_values(void **state) {
    (void)state;
    const double inf = INFINITY, nan_ = NAN;
    assert_true(td_exp_f64(0) == 1 && td_exp_f64(-0.0) == 1);
    assert_true(td_exp_f64(inf) == inf && td_exp_f64(-inf) == 0);
    assert_true(td_exp_f64(710) == inf && td_exp_f64(-746) == 0 &&
                td_exp_f64(-745) == 0x1p-1074);
    assert_true(isnan(td_exp_f64(nan_)) && isnan(td_exp_f64(-nan_)));
    assert_true(td_exp_f32(0) == 1 && td_exp_f32(INFINITY) == INFINITY &&
                td_exp_f32(-INFINITY) == 0);
    assert_true(td_exp_f32(89) == INFINITY && td_exp_f32(-104) == 0 &&
                isnan(td_exp_f32(NAN)));
    assert_true(td_exp_f32(FLT_MAX) == INFINITY && td_exp_f32(-FLT_MAX) == 0);
    assert_true(td_log_f64(1) == 0 && td_log_f64(0) == -inf && td_log_f64(-0.0) == -inf);
    assert_true(td_log_f64(inf) == inf && isnan(td_log_f64(-1)) &&
                isnan(td_log_f64(-inf)));
    assert_true(isnan(td_log_f64(nan_)));
    assert_true(td_log_f32(1) == 0 && td_log_f32(0) == -INFINITY &&
                td_log_f32(INFINITY) == INFINITY);
    assert_true(isnan(td_log_f32(-1)) && isnan(td_log_f32(NAN)) &&
                isnan(td_log_f32(-INFINITY)));
    assert_true(td_tanh_f64(0) == 0 && is_minus_zero(td_tanh_f64(-0.0)));
    assert_true(td_tanh_f64(inf) == 1 && td_tanh_f64(-inf) == -1 &&
                isnan(td_tanh_f64(nan_)));
    assert_true(td_tanh_f64(5e-324) == 5e-324 && td_tanh_f64(1e300) == 1);
    assert_true(td_tanh_f32(INFINITY) == 1 && td_tanh_f32(-INFINITY) == -1 &&
                isnan(td_tanh_f32(NAN)));
    assert_true(td_sigmoid_f64(0) == 0.5 && td_sigmoid_f64(inf) == 1 &&
                td_sigmoid_f64(-inf) == 0);
    assert_true(td_sigmoid_f32(0) == 0.5f && td_sigmoid_f32(INFINITY) == 1);
    assert_true(td_sigmoid_f32(-INFINITY) == 0 && isnan(td_sigmoid_f32(NAN)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests_name("math core", tests, NULL, NULL);
}
