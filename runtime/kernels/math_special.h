/* erf, expm1, log1p and softplus on top of math_core.h, by its rules: the same bits at every processor level
 * and place, from additions, multiplications, divisions and bit moves. The polynomials interpolate at
 * Chebyshev's nodes. Errors, found by tests/runtime/test_math_special.c: below 2 ulp in f64, 0.51 in f32. */
#ifndef TD_MATH_SPECIAL_H
#define TD_MATH_SPECIAL_H

#include "runtime/kernels/math_core.h"

/* erf(x) / x - 1 as a polynomial in x^2, for |x| < 1: to 2e-19, and to 4e-11. */
static inline double td_erf_series(double z) {
    double p = 0x1.05ffd737fb32ep-34;
    p = p * z - 0x1.389d4f2641625p-30;
    p = p * z + 0x1.f7b4bf3b13964p-27;
    p = p * z - 0x1.5f1ecb6f0764cp-23;
    p = p * z + 0x1.b9df224ca4b97p-20;
    p = p * z - 0x1.f4d1e3183f7aep-17;
    p = p * z + 0x1.f9a321d5b8e1ep-14;
    p = p * z - 0x1.c02db3dac435fp-11;
    p = p * z + 0x1.565bcd0dbaa38p-8;
    p = p * z - 0x1.b82ce31284e00p-6;
    p = p * z + 0x1.ce2f21a042b30p-4;
    p = p * z - 0x1.812746b0379e6p-2;
    return p * z + 0x1.06eba8214db69p-3;
}

static inline double td_erf_series_short(double z) {
    double p = -0x1.445f47d33d87bp-17;
    p = p * z + 0x1.d887505de3ba6p-14;
    p = p * z - 0x1.bccf664d7f763p-11;
    p = p * z + 0x1.562a60ddba6e6p-8;
    p = p * z - 0x1.b829c897922e5p-6;
    p = p * z + 0x1.ce2f08fec14fdp-4;
    p = p * z - 0x1.81274665754c3p-2;
    return p * z + 0x1.06eba82022eadp-3;
}

/* e^(x^2) erfc(x) as a polynomial in (x - 2) / (x + 2), for x in [1, 6]: to 4e-17, and to 3e-10. */
static inline double td_erfcx_series(double s) {
    double p = -0x1.de7cb807e82e6p-23;
    p = p * s + 0x1.1640edd9e223dp-18;
    p = p * s + 0x1.f322e0892648ep-20;
    p = p * s - 0x1.db57ed0f1c283p-17;
    p = p * s - 0x1.cfbc05a3f041ap-16;
    p = p * s + 0x1.ce62d05252d06p-16;
    p = p * s + 0x1.6dab5fdd60b62p-13;
    p = p * s + 0x1.6d589c869e092p-15;
    p = p * s - 0x1.016b5e511a3f0p-10;
    p = p * s - 0x1.bc25a010847bep-11;
    p = p * s + 0x1.ca95ed532b303p-8;
    p = p * s + 0x1.e9471591b7446p-9;
    p = p * s - 0x1.437f0b68c0663p-4;
    p = p * s + 0x1.eeea7dc8a7bb2p-3;
    p = p * s - 0x1.b57034efd3f74p-2;
    return p * s + 0x1.058671b52c775p-2;
}

static inline double td_erfcx_series_short(double s) {
    double p = 0x1.747c7b3d96aadp-13;
    p = p * s - 0x1.f63ec139a7763p-11;
    p = p * s - 0x1.cc6b7b66b025cp-11;
    p = p * s + 0x1.ca9614f8b06a0p-8;
    p = p * s + 0x1.e9965f2c7df48p-9;
    p = p * s - 0x1.437f1fe39485bp-4;
    p = p * s + 0x1.eeea75bfc39e5p-3;
    p = p * s - 0x1.b57034d907d6ep-2;
    return p * s + 0x1.058671b960db5p-2;
}

/* Near 0 x (1 + series), then 1 - e^(-x^2) erfcx(x), which is 1 from 6 on. */
static inline double td_erf_f64(double x) {
    double a = fabs(x), c = a > 6 ? 6 : a, z = c * c;
    double near = x + x * td_erf_series(z < 1 ? z : 1);
    double far = 1 - td_exp_f64(-z) * td_erfcx_series((c - 2) / (c + 2));
    return a < 1 ? near : copysign(far, x);
}

static inline float td_erf_f32(float x) {
    double v = (double)x, a = fabs(v), c = a > 6 ? 6 : a, z = c * c;
    double near = v + v * td_erf_series_short(z < 1 ? z : 1);
    double far = 1 - td_exp_short(-z) * td_erfcx_series_short((c - 2) / (c + 2));
    return (float)(a < 1 ? near : copysign(far, v));
}

/* With x = k ln 2 + r: 2^k (e^r - 1) + (2^k - 1), halved and doubled, since k may be 1024. Arguments that
 * halving would hurt are their own results. */
static inline double td_expm1_f64(double x) {
    double c = x < -40 ? -40 : x > 710 ? 710 : x;
    uint64_t k;
    double p = td_expm1_series(td_exp_reduce(c, &k)), half = td_pow2(k - 1);
    double y = (half * p + (half - 0.5)) * 2;
    return fabs(x) < 0x1p-54 ? x : y;
}

static inline float td_expm1_f32(float x) {
    double v = (double)x, c = v < -40 ? -40 : v > 130 ? 130 : v;
    uint64_t k;
    double p = td_expm1_series_short(td_exp_reduce(c, &k)), scale = td_pow2(k);
    double y = scale * p + (scale - 1);
    return fabs(v) < 0x1p-54 ? x : (float)y;
}

/* log(u) for u = 1 + x as rounded, and the first term of what rounding took away. */
static inline double td_log1p_f64(double x) {
    double u = 1 + x, lost = x > 1 ? 1 - (u - x) : x - (u - 1);
    double y = td_log_f64(u) + (u > 0 && u < 0x1p60 ? lost / u : 0);
    return fabs(x) < 0x1p-54 ? x : y;
}

static inline float td_log1p_f32(float x) { return (float)td_log1p_f64((double)x); }

/* log(1 + e) for e in [0, 1], to 2e-11: 2 atanh(e / (2 + e)). */
static inline double td_log1p_short(double e) {
    double s = e / (2 + e), z = s * s;
    double r = 2.0 / 19;
    r = r * z + 2.0 / 17;
    r = r * z + 2.0 / 15;
    r = r * z + 2.0 / 13;
    r = r * z + 2.0 / 11;
    r = r * z + 2.0 / 9;
    r = r * z + 2.0 / 7;
    r = r * z + 2.0 / 5;
    r = r * z + 2.0 / 3;
    return s * (2 + z * r);
}

/* max(x, 0) + log(1 + e^-|x|) */
static inline double td_softplus_f64(double x) {
    double e = td_exp_f64(-fabs(x)), u = 1 + e;
    double log1p = td_log_normal(u, 0) + (e - (u - 1)) / u;
    log1p = e < 0x1p-54 ? e : log1p;
    double y = (x > 0 ? x : 0) + log1p;
    return x != x ? x : y;
}

static inline float td_softplus_f32(float x) {
    double v = (double)x;
    return (float)((v > 0 ? v : 0) + td_log1p_short(td_exp_short(-fabs(v))));
}

#endif
