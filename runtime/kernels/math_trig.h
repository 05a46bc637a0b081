/* sin and cos by the rules of math_core.h. Up to TD_TRIG_FAR multiples of pi/2 are taken away in parts of 33
 * bits, whose products are exact; arguments beyond that (td_sin_far) are multiplied by as many bits of 2/pi
 * as matter (Payne and Hanek 1983). Errors, found by tests/runtime/test_math_special.c: below 1 ulp in f64,
 * 0.51 in f32. */
#ifndef TD_MATH_TRIG_H
#define TD_MATH_TRIG_H

#include "runtime/kernels/math_core.h"

#define TD_TRIG_FAR 0x1p20

/* An angle modulo pi/2: high + low with |high| <= pi/4, and how often pi/2 was taken away, of which two bits
 * count. */
typedef struct td_angle {
    double high, low;
    uint64_t quarters;
} td_angle;

static inline td_angle td_angle_near(double x) {
    double t = x * 0x1.45f306dc9c883p-1 + TD_ROUNDER, n = t - TD_ROUNDER;
    double a = x - n * 0x1.921fb54400000p+0, b = n * 0x1.0b4611a600000p-34;
    double c = n * 0x1.3198a2e000000p-69, d = n * 0x1.b839a252049c1p-104;
    double r1 = a - b, back = a - r1, e1 = (a - (r1 + back)) + (back - b);
    double r = r1 - c;
    td_angle v = {r, (((r1 - r) - c) + e1) - d, td_bits(t)};
    return v;
}

/* sin and cos of an angle. r (1 + z S(z)), and 1 - z/2 + z^2 C(z) with what 1 - z/2 loses put back. */
static inline double td_angle_sin(td_angle v, uint64_t turn) {
    double r = v.high, z = r * r;
    double s = 0x1.61217ec01749cp-33 - z * 0x1.ab17a792379b8p-41;
    s = s * z - 0x1.ae64541266378p-26;
    s = s * z + 0x1.71de3a54605eep-19;
    s = s * z - 0x1.a01a01a019936p-13;
    s = s * z + 0x1.1111111111110p-7;
    s = s * z - 0x1.5555555555555p-3;
    double sine = r + (r * z * s + v.low * (1 - 0.5 * z));
    double c = 0x1.ab783375c3f9cp-45 * z - 0x1.9394b9c9c064cp-37;
    c = c * z + 0x1.1eed8deb6d54dp-29;
    c = c * z - 0x1.27e4fb7712bdfp-22;
    c = c * z + 0x1.a01a01a019d0ap-16;
    c = c * z - 0x1.6c16c16c16c16p-10;
    c = c * z + 0x1.5555555555555p-5;
    double half = 0.5 * z, w = 1 - half;
    double cosine = w + (((1 - w) - half) + (z * z * c - r * v.low));
    uint64_t quarter = v.quarters + turn;
    double y = quarter & 1 ? cosine : sine;
    return quarter & 2 ? -y : y;
}

static inline double td_sin_near(double x) {
    double y = td_angle_sin(td_angle_near(x), 0);
    return fabs(x) < 0x1p-27 ? x : y;
}
static inline double td_cos_near(double x) { return td_angle_sin(td_angle_near(x), 1); }

/* For |x| > TD_TRIG_FAR; NaN for infinities. In math_trig.c. */
td_angle td_angle_far(double x);

static inline double td_sin_f64(double x) {
    return fabs(x) > TD_TRIG_FAR ? td_angle_sin(td_angle_far(x), 0) : td_sin_near(x);
}
static inline double td_cos_f64(double x) {
    return fabs(x) > TD_TRIG_FAR ? td_angle_sin(td_angle_far(x), 1) : td_cos_near(x);
}

#endif
