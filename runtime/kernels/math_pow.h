/* x^y by the rules of math_core.h: e^(y log x) with the logarithm and the product in two doubles each, so that
 * large powers keep their last places. Errors, found by tests/runtime/test_math_special.c: below 2 ulp in f64,
 * 0.51 in f32. */
#ifndef TD_MATH_POW_H
#define TD_MATH_POW_H

#include "runtime/kernels/math_core.h"

/* Loops over them vectorise when no call is left, however large they get. */
#define TD_POW_INLINE static inline __attribute__((always_inline))

typedef struct td_pair {
    double high, low;
} td_pair;

/* a + b where |a| >= |b|, and any a * b, exactly (Dekker 1971). */
TD_POW_INLINE td_pair td_pair_sum(double a, double b) {
    double s = a + b;
    return (td_pair){s, b - (s - a)};
}

TD_POW_INLINE td_pair td_pair_product(double a, double b) {
    double p = a * b, ta = a * 0x1.0000002p27, tb = b * 0x1.0000002p27;
    double ah = ta - (ta - a), al = a - ah, bh = tb - (tb - b), bl = b - bh;
    return (td_pair){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

/* log x for positive x, to some 2^-66: with s = f / (2 + f) and z = s^2, 2 s (1 + z (1/3 + z Q(z))). */
TD_POW_INLINE td_pair td_log_pair(double x) {
    double k, m = td_log_reduce(x < 0x1p-1022 ? x * 0x1p54 : x, &k);
    k = x < 0x1p-1022 ? k - 54 : k;
    double f = m - 1, d = 2 + f, d_low = f - (d - 2);
    double s = f / d;
    td_pair back = td_pair_product(s, d);
    double s_low = ((f - back.high) - back.low - s * d_low) / d;
    td_pair z = td_pair_product(s, s);
    z.low += 2 * s * s_low;
    double q = 2.0 / 23;
    q = q * z.high + 2.0 / 21;
    q = q * z.high + 2.0 / 19;
    q = q * z.high + 2.0 / 17;
    q = q * z.high + 2.0 / 15;
    q = q * z.high + 2.0 / 13;
    q = q * z.high + 2.0 / 11;
    q = q * z.high + 2.0 / 9;
    q = q * z.high + 2.0 / 7;
    q = q * z.high + 2.0 / 5;
    td_pair c = td_pair_sum(2.0 / 3, z.high * q);
    c.low += 0x1.5555555555555p-55 + z.low * q;
    td_pair t = td_pair_product(z.high, c.high); /* log x = s (2 + t) + k ln 2 */
    t.low += z.high * c.low + z.low * c.high;
    td_pair u = td_pair_product(s, t.high);
    u.low += s * t.low + s_low * t.high;
    td_pair r = td_pair_sum(2 * s, u.high);
    r.low += u.low + 2 * s_low;
    /* |k| ln 2 > |r|, or k is 0 and nothing is lost */
    td_pair whole = td_pair_sum(k * TD_LN2_HIGH, r.high);
    return td_pair_sum(whole.high, whole.low + (r.low + k * TD_LN2_LOW));
}

/* x^y by squaring, for whole y from 0 to 63. */
TD_POW_INLINE double td_pow_whole(double x, double y) {
    double p = 1, half;
#define TD_POW_BIT                                                                       \
    half = floor(y * 0.5);                                                               \
    p *= half * 2 == y ? 1 : x;                                                          \
    x *= x;                                                                              \
    y = half;
    TD_POW_BIT TD_POW_BIT TD_POW_BIT TD_POW_BIT TD_POW_BIT TD_POW_BIT
#undef TD_POW_BIT
        return p;
}

/* x^0.5, which differs from the root at the two that have a minus. */
TD_POW_INLINE double td_pow_root(double x) {
    double root = sqrt(x + 0.0);
    return x == -(double)INFINITY ? (double)INFINITY : root;
}

/* What x^y is for |x|^y = p: signs of odd powers, and the cases that have a value of their own. One choice
 * after another, none inside another, so that loops vectorise. */
TD_POW_INLINE double td_pow_signed(double x, double y, double p) {
    const double inf = (double)INFINITY;
    double a = fabs(x), whole = floor(y), half = floor(y * 0.5);
    double grown = y > 0 ? inf : 0, shrunk = y > 0 ? 0 : inf;
    p = a == 0 ? shrunk : p;
    p = a == inf ? grown : p;
    double end = a > 1 ? grown : shrunk;
    end = a == 1 ? 1 : end;
    p = fabs(y) == inf ? end : p;
    double sign = half * 2 == whole ? 1 : -1;
    sign = whole == y ? sign : 1;
    sign = copysign(1.0, x) > 0 ? 1 : sign;
    p *= sign;
    double below = whole == y ? p : (double)NAN;
    below = a == inf ? p : below;
    p = x < 0 ? below : p;
    p = y == 2 ? x * x : p; /* as loops of squares have it */
    p = y == 1 ? x : p;
    p = y == 3 ? x * x * x : p;
    p = y == -1 ? 1 / x : p;
    double root = td_pow_root(x);
    p = y == 0.5 ? root : p;
    /* whole numbers whose power is exact */
    double exact = td_pow_whole(x, whole >= 0 && whole < 64 ? whole : 0);
    exact = (floor(a) == a) & (whole == y) & (whole > 0) & (whole < 64) &
                    (fabs(exact) <= 0x1p53)
                ? exact
                : p;
    p = exact;
    p = x != x ? x : p;
    p = y != y ? y : p;
    p = x == 1 ? 1 : p;
    return y == 0 ? 1 : p;
}

TD_POW_INLINE double td_pow_f64(double x, double y) {
    td_pair log = td_log_pair(fabs(x));
    double c = fabs(y) > 0x1p64 ? copysign(0x1p64, y) : y;
    td_pair p = td_pair_product(c, log.high);
    td_pair e = td_pair_sum(p.high, p.low + c * log.low);
    double y0 = td_exp_f64(e.high);
    double more = y0 * e.low;
    y0 += more - more == 0 ? more : 0; /* not where the power is infinite */
    return td_pow_signed(x, y, y0);
}

TD_POW_INLINE float td_pow_f32(float x, float y) {
    double p = td_exp_short((double)y * td_log_f64(fabs((double)x)));
    return (float)td_pow_signed((double)x, (double)y, p);
}

#endif
