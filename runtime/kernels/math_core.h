/* exp, log and tanh from additions, multiplications, divisions and bit moves alone. Loops over them
 * vectorise, and the bits of a result depend on nothing but the argument: not on the libm, the processor
 * level or the element's place. -ffp-contract=off is part of that promise.
 *
 * Errors, found by tests/runtime/test_math_core.c: in f64 at most 1 ulp for exp and log, 2 for sigmoid
 * and tanh; the f32 forms compute in double and round once, so that they are within 0.51 ulp. */
#ifndef TD_MATH_CORE_H
#define TD_MATH_CORE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t td_bits(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline double td_from_bits(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* ln 2 in two parts; the first has 32 bits, so that its product with a small integer is exact. */
#define TD_LN2_HIGH 0x1.62e42feep-1
#define TD_LN2_LOW 0x1.a39ef35793c76p-33
#define TD_LOG2_E 0x1.71547652b82fep+0
/* Adding it rounds a small double to an integer, which then stands in the low bits. */
#define TD_ROUNDER 0x1.8p52

/* 2^k for an integer k in [-1022, 1023]; k is a signed number held unsigned, since a NaN makes it
 * anything. */
static inline double td_pow2(uint64_t k) { return td_from_bits((k + 1023) << 52); }

/* x = k ln 2 + r with |r| <= ln 2 / 2. */
static inline double td_exp_reduce(double x, uint64_t *k) {
    double t = x * TD_LOG2_E + TD_ROUNDER;
    *k = td_bits(t) - td_bits(TD_ROUNDER);
    double n = t - TD_ROUNDER;
    return (x - n * TD_LN2_HIGH) - n * TD_LN2_LOW;
}

/* e^r - 1 for |r| <= ln 2 / 2: Taylor's series, to 4e-18 and to 2e-10. */
static inline double td_expm1_series(double r) {
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    return r + r * r * p;
}

static inline double td_expm1_series_short(double r) {
    double p = 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    return r + r * r * p;
}

static inline double td_exp_f64(double x) {
    double c = x < -746 ? -746 : x > 710 ? 710 : x;
    uint64_t k;
    double e = 1 + td_expm1_series(td_exp_reduce(c, &k));
    /* 2^k in two steps: k goes down to -1076, where results are subnormal. */
    uint64_t half = ((k + 2048) >> 1) - 1024;
    return e * td_pow2(half) * td_pow2(k - half);
}

/* As a double, for the f32 forms: good to 2e-10, over the range that matters for f32. */
static inline double td_exp_short(double x) {
    double c = x < -150 ? -150 : x > 130 ? 130 : x;
    uint64_t k;
    double e = 1 + td_expm1_series_short(td_exp_reduce(c, &k));
    return e * td_pow2(k);
}

static inline float td_exp_f32(float x) { return (float)td_exp_short((double)x); }

/* x = 2^k m with m in [sqrt(1/2), sqrt(2)), for normal positive x; k as a double. */
static inline double td_log_reduce(double x, double *k) {
    const uint64_t root = 0x3fe6a09e667f3bcdu; /* the bits of sqrt(1/2) */
    uint64_t u = td_bits(x) - root + ((uint64_t)1023 << 52);
    *k = td_from_bits((u >> 52) | 0x4330000000000000u) - 0x1p52 - 1023;
    return td_from_bits((u & 0x000fffffffffffffu) + root);
}

/* log x + add ln 2 for normal positive x. With s = f / (2 + f), log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R)). */
static inline double td_log_normal(double x, double add) {
    double k, m = td_log_reduce(x, &k);
    k += add;
    double f = m - 1, s = f / (2 + f), z = s * s;
    double r = 2.0 / 21;
    r = r * z + 2.0 / 19;
    r = r * z + 2.0 / 17;
    r = r * z + 2.0 / 15;
    r = r * z + 2.0 / 13;
    r = r * z + 2.0 / 11;
    r = r * z + 2.0 / 9;
    r = r * z + 2.0 / 7;
    r = r * z + 2.0 / 5;
    r = r * z + 2.0 / 3;
    double h = 0.5 * f * f;
    return k * TD_LN2_HIGH - ((h - (s * (h + z * r) + k * TD_LN2_LOW)) - f);
}

static inline double td_log_f64(double x) {
    double y = td_log_normal(x < 0x1p-1022 ? x * 0x1p54 : x, x < 0x1p-1022 ? -54 : 0);
    y = x == 0 ? -(double)INFINITY : y;
    y = x > 0x1.fffffffffffffp1023 || x != x ? x : y;
    return x < 0 ? (double)NAN : y;
}

/* As a double, good to 2e-10, for normal positive x; NaN for NaN. */
static inline double td_log_short(double x) {
    double k, m = td_log_reduce(x, &k);
    double f = m - 1, s = f / (2 + f), z = s * s;
    double r = 2.0 / 13;
    r = r * z + 2.0 / 11;
    r = r * z + 2.0 / 9;
    r = r * z + 2.0 / 7;
    r = r * z + 2.0 / 5;
    r = r * z + 2.0 / 3;
    double y = k * (TD_LN2_HIGH + TD_LN2_LOW) + s * (2 + z * r);
    return x != x ? x : y;
}

static inline float td_log_f32(float x) {
    float y = (float)td_log_short((double)x); /* every f32 is a normal f64 */
    y = x == 0 ? -INFINITY : y;
    y = x > 0x1.fffffep127f ? x : y;
    return x < 0 ? NAN : y;
}

/* x (1 + z Q(z)) with z = x^2 near 0, and 1 - 2 / (e^2x + 1). */
static inline double td_tanh_f64(double x) {
    double a = fabs(x), c = a > 22 ? 22 : a, z = c < 0.55 ? c * c : 0.3025;
    double q = -0x1.93d4f5880560ep-19;
    q = q * z + 0x1.bfad933eeaeb7p-17;
    q = q * z - 0x1.3f56c69bd5cf8p-15;
    q = q * z + 0x1.94e820ca0b119p-14;
    q = q * z - 0x1.f551fc4e5d933p-13;
    q = q * z + 0x1.355687b590d4dp-11;
    q = q * z - 0x1.7da34f412d0c9p-10;
    q = q * z + 0x1.d6d3d02838d1fp-9;
    q = q * z - 0x1.226e355c60c42p-7;
    q = q * z + 0x1.664f4882ba2b0p-6;
    q = q * z - 0x1.ba1ba1ba1b95ap-5;
    q = q * z + 0x1.1111111111111p-3;
    q = q * z - 0x1.5555555555555p-2;
    double far = 1 - 2 / (td_exp_f64(2 * c) + 1);
    return copysign(a < 0.55 ? a + a * z * q : far, x);
}

/* tanh |x| = u / (u + 2) with u = e^2|x| - 1, which loses nothing near 0. */
static inline float td_tanh_f32(float x) {
    double a = fabs((double)x);
    a = a > 12 ? 12 : a;
    uint64_t k;
    double p = td_expm1_series_short(td_exp_reduce(2 * a, &k)), scale = td_pow2(k);
    double u = scale * p + (scale - 1);
    return (float)copysign(u / (u + 2), (double)x);
}

/* 1 / (1 + e^-x); far below 0 that is e^x, which reaches further. */
static inline double td_sigmoid_f64(double x) {
    bool far = x < -38;
    double e = td_exp_f64(far ? x : -x);
    return far ? e : 1 / (1 + e);
}
static inline float td_sigmoid_f32(float x) {
    return (float)(1 / (1 + td_exp_short(-(double)x)));
}

#endif
