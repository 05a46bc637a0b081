/* erf, expm1, log1p, softplus, sin, cos and pow of our own, and sigmoid and tanh at their ends, against long double
 * functions of libm: grids of bit patterns over all finite arguments of either sign, and special values. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/math_pow.h"
#include "runtime/kernels/math_special.h"
#include "runtime/kernels/math_trig.h"
#include "runtime/random.h"

/* Distance in units of the last place of the wanted value. */
static double ulps_f64(double got, long double want) {
    double near = fabs((double)want);
    if (isnan(got) || isinf(got) || isinf(near) || isnan(near))
        return got == (double)want || (isnan(got) && isnan(near)) ? 0 : INFINITY;
    double unit = near < DBL_MIN ? 0x1p-1074 : nextafter(near, INFINITY) - near;
    return (double)(fabsl((long double)got - want) / unit);
}

static double ulps_f32(float got, long double want) {
    float near = fabsf((float)want);
    if (isnan(got) || isinf(got) || isinf(near) || isnan(near))
        return got == (float)want || (isnan(got) && isnan(near)) ? 0 : INFINITY;
    float unit = near < FLT_MIN ? 0x1p-149f : nextafterf(near, INFINITY) - near;
    return (double)(fabsl((long double)got - want) / (long double)unit);
}

typedef long double reference(long double x);

static long double softplus_long(long double x) {
    return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
}
static long double sigmoid_long(long double x) {
    return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x));
}
static float sin_f32(float x) { return (float)td_sin_f64((double)x); }
static float cos_f32(float x) { return (float)td_cos_f64((double)x); }

/* Every `step`th bit pattern between two positive arguments, and its negative. */
static void grid_f64(const char *name, double (*f)(double), reference *ref, double low,
                     double high, double limit) {
    uint64_t from = td_bits(low), to = td_bits(high), step = (to - from) / 150000 + 1;
    for (uint64_t u = from; u <= to; u += step)
        for (int sign = 0; sign < 2; sign++) {
            double x = sign ? -td_from_bits(u) : td_from_bits(u), got = f(x);
            double off = ulps_f64(got, ref((long double)x));
            if (!(off <= limit))
                fail_msg("%s(%a) is %a, off by %g ulp", name, x, got, off);
        }
}

static void grid_f32(const char *name, float (*f)(float), reference *ref, double limit) {
    for (uint32_t u = 0; u < 0x7f800000; u += 7919)
        for (int sign = 0; sign < 2; sign++) {
            float x;
            memcpy(&x, &u, sizeof x);
            x = sign ? -x : x;
            float got = f(x);
            double off = ulps_f32(got, ref((long double)x));
            if (!(off <= limit))
                fail_msg("%s(%a) is %a, off by %g ulp", name, (double)x, (double)got,
                         off);
        }
}

static const struct {
    const char *name;
    double (*f64)(double);
    float (*f32)(float);
    reference *ref;
    double low, high; /* where to look closely */
} functions[] = {{"erf", td_erf_f64, td_erf_f32, erfl, 0.1, 7},
                 {"expm1", td_expm1_f64, td_expm1_f32, expm1l, 0.01, 709},
                 {"log1p", td_log1p_f64, td_log1p_f32, log1pl, 1e-3, 0.999},
                 {"softplus", td_softplus_f64, td_softplus_f32, softplus_long, 0.01, 740},
                 {"sigmoid", td_sigmoid_f64, td_sigmoid_f32, sigmoid_long, 0.01, 740},
                 {"tanh", td_tanh_f64, td_tanh_f32, tanhl, 0.01, 23},
                 {"sin", td_sin_f64, sin_f32, sinl, 0.01, 1e6},
                 {"cos", td_cos_f64, cos_f32, cosl, 0.01, 1e6}};

static void test_grids(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        /* x87's own sine is good to 2^63 */
        double most =
            functions[i].ref == sinl || functions[i].ref == cosl ? 1e300 : DBL_MAX;
        grid_f64(functions[i].name, functions[i].f64, functions[i].ref, 0x1p-1074, most,
                 2);
        grid_f64(functions[i].name, functions[i].f64, functions[i].ref, functions[i].low,
                 functions[i].high, 2);
        grid_f32(functions[i].name, functions[i].f32, functions[i].ref, 0.51);
    }
}

/* Arguments as near as doubles get to multiples of pi/2. */
static void test_near_multiples(void **state) {
    (void)state;
    for (int n = 1; n < 200000; n += 37) {
        double x = (double)(n * 1.57079632679489661923132169163975144L);
        assert_true(ulps_f64(td_sin_f64(x), sinl((long double)x)) <= 1);
        assert_true(ulps_f64(td_cos_f64(x), cosl((long double)x)) <= 1);
    }
    double worst = 0x1.6ac5b262ca1ffp+849; /* Kahan's: 4.7e-19 from a multiple */
    assert_true(ulps_f64(td_cos_f64(worst), cosl((long double)worst)) <= 1);
    assert_true(fabs(td_cos_f64(worst)) < 1e-18);
}

static void test_special_values(void **state) {
    (void)state;
    const double inf = INFINITY;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        assert_true(isnan(functions[i].f64(NAN)) && isnan(functions[i].f32(NAN)));
        double want = (double)functions[i].ref(0), y = functions[i].f64(-0.0);
        if (want == 0) assert_true(y == 0 && signbit(y) && !signbit(functions[i].f64(0)));
        if (want == 0) assert_true(signbit(functions[i].f32(-0.0f)));
        assert_true(want == 0 || fabs(y - want) < 1e-15);
    }
    assert_true(td_erf_f64(inf) == 1 && td_erf_f64(-inf) == -1);
    assert_true(td_expm1_f64(inf) == inf && td_expm1_f64(-inf) == -1);
    assert_true(td_expm1_f32(INFINITY) == INFINITY && td_expm1_f32(-INFINITY) == -1);
    assert_true(td_log1p_f64(inf) == inf && td_log1p_f64(-1) == -inf);
    assert_true(isnan(td_log1p_f64(-1.5)) && isnan(td_log1p_f64(-inf)));
    assert_true(td_log1p_f32(-1) == -INFINITY && td_log1p_f32(INFINITY) == INFINITY);
    assert_true(td_softplus_f64(inf) == inf && td_softplus_f64(-inf) == 0);
    assert_true(isnan(td_sin_f64(inf)) && isnan(td_cos_f64(-inf)));
    assert_true(td_sigmoid_f64(-745) == 0x1p-1074 && td_sigmoid_f64(-inf) == 0);
}

/* Bases over the whole range and near 1, exponents up to where the power leaves the range. */
static void test_pow(void **state) {
    (void)state;
    enum { N = 300000 };
    static double u[2 * N];
    td_random_uniform_f64(3, 1, 2 * N, u);
    for (int i = 0; i < N; i++) {
        double wide = i % 3 == 0 ? 1400 : i % 3 == 1 ? 2 : 0.01;
        double x = exp((u[2 * i] - 0.5) * wide);
        double y = (2 * u[2 * i + 1] - 1) * (i % 2 ? 750 / fabs(log(x)) : 10);
        double off = ulps_f64(td_pow_f64(x, y), powl((long double)x, (long double)y));
        if (!(off <= 2)) fail_msg("pow(%a, %a) is off by %g ulp", x, y, off);
        float fx = (float)exp((u[2 * i] - 0.5) * fmin(wide, 170));
        float fy = (float)((2 * u[2 * i + 1] - 1) * (i % 2 ? 105 / fabs(log(x)) : 10));
        off = ulps_f32(td_pow_f32(fx, fy), powl((long double)fx, (long double)fy));
        if (!(off <= 0.51))
            fail_msg("pow(%a, %a) is off by %g ulp", (double)fx, (double)fy, off);
    }
}

/* Every pair of odd numbers as C's annex F says. */
static void test_special_powers(void **state) {
    (void)state;
    static const double odd[] = {0,
                                 1,
                                 2,
                                 3,
                                 0.5,
                                 3.5,
                                 INFINITY,
                                 NAN,
                                 5e-324,
                                 1e308,
                                 1e20,
                                 0x1.0000000000001p+0,
                                 0x1.fffffffffffffp-1,
                                 0x1p53 + 2,
                                 0x1p52 + 1};
    const int n = 2 * (int)(sizeof odd / sizeof *odd);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double x = i & 1 ? -odd[i / 2] : odd[i / 2],
                   y = j & 1 ? -odd[j / 2] : odd[j / 2];
            double got = td_pow_f64(x, y), want = pow(x, y);
            bool close = ulps_f64(got, powl((long double)x, (long double)y)) <= 2;
            if (!close || (!isnan(want) && signbit(got) != signbit(want)))
                fail_msg("pow(%a, %a) is %a, wanted %a", x, y, got, want);
            float fx = (float)x, fy = (float)y, f = td_pow_f32(fx, fy), w = powf(fx, fy);
            close = ulps_f32(f, powl((long double)fx, (long double)fy)) <= 0.51;
            if (!close || (!isnan(w) && signbit(f) != signbit(w)))
                fail_msg("pow(%a, %a) is %a, wanted %a", (double)fx, (double)fy,
                         (double)f, (double)w);
        }
}

/* 3^4 is 81, not a neighbour of it. */
static void test_whole_powers(void **state) {
    (void)state;
    for (int x = -30; x <= 30; x++) {
        double want = 1;
        for (int y = 1; y < 64; y++) {
            want *= x;
            if (fabs(want) > 0x1p53) break;
            assert_true(td_pow_f64(x, y) == want);
        }
        assert_true(td_pow_f64(x + 0.3, 1) == x + 0.3);
        assert_true(td_pow_f64(x + 0.3, -1) == 1 / (x + 0.3));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grids),          cmocka_unit_test(test_near_multiples),
        cmocka_unit_test(test_special_values), cmocka_unit_test(test_pow),
        cmocka_unit_test(test_special_powers), cmocka_unit_test(test_whole_powers),
    };
    return cmocka_run_group_tests_name("math special", tests, NULL, NULL);
}
