/* Angles too large for parts of pi/2. */
#include "runtime/kernels/math_trig.h"

/* The first 1280 bits of 2/pi behind the point; the largest double needs 1024 - 53 + 192 of them. */
static const uint64_t two_over_pi[] = {
    0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u, 0xdb6295993c439041u, 0xfe5163abdebbc561u,
    0xb7246e3a424dd2e0u, 0x06492eea09d1921cu, 0xfe1deb1cb129a73eu, 0xe88235f52ebb4484u,
    0xe99c7026b45f7e41u, 0x3991d639835339f4u, 0x9c845f8bbdf9283bu, 0x1ff897ffde05980fu,
    0xef2f118b5a0a6d1fu, 0x6d367ecf27cb09b7u, 0x4f463f669e5fea2du, 0x7527bac7ebe5f17bu,
    0x3d0739f78a5292eau, 0x6bfb5fb11f8d5d08u, 0x56033046fc7b6babu, 0xf0cfbc209af4361du};

/* 64 bits of 2/pi from bit `at` on; before the point there are zeros. */
static uint64_t bits_at(int at) {
    if (at <= -64) return 0;
    if (at < 0) return two_over_pi[0] >> -at;
    int word = at / 64, shift = at % 64;
    if (shift == 0) return two_over_pi[word];
    return two_over_pi[word] << shift | two_over_pi[word + 1] >> (64 - shift);
}

/* |x| = m 2^e with an integer m. Bits of 2/pi that make multiples of 4 quarters are left out, 192 of the
 * others are multiplied: the fraction of |x| / (2 pi) stands in hi, mid, lo. */
td_angle td_angle_far(double x) {
    td_angle v = {(double)NAN, 0, 0};
    if (!(fabs(x) <= 0x1.fffffffffffffp1023)) return v;
    uint64_t bits = td_bits(fabs(x));
    uint64_t m = (bits & 0x000fffffffffffffu) | 0x0010000000000000u;
    int at = (int)(bits >> 52) - 1075 - 2;
    unsigned __int128 p = (unsigned __int128)m * bits_at(at + 128);
    uint64_t lo = (uint64_t)p;
    p = (unsigned __int128)m * bits_at(at + 64) + (uint64_t)(p >> 64);
    uint64_t mid = (uint64_t)p, hi = m * bits_at(at) + (uint64_t)(p >> 64);
    /* Two bits of quarters; the rest as a signed fraction of one. */
    uint64_t high = hi << 2 | mid >> 62, low = mid << 2 | lo >> 62;
    v.quarters = (hi >> 62) + (high >> 63);
    __int128 fraction = (__int128)((unsigned __int128)high << 64 | low);
    double f = (double)fraction, rest = (double)(fraction - (__int128)f);
    f *= 0x1p-128;
    rest *= 0x1p-128;
    v.high = f * 0x1.921fb54442d18p+0;
    v.low = fma(f, 0x1.921fb54442d18p+0, -v.high) +
            (f * 0x1.1a62633145c07p-54 + rest * 0x1.921fb54442d18p+0);
    if (x < 0) {
        v.high = -v.high;
        v.low = -v.low;
        v.quarters = 0 - v.quarters;
    }
    return v;
}
