/* Philox and what is drawn with it. */
#include "runtime/random.h"

#include "runtime/kernels/math_core.h"

void td_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xd2511f53u * c0, p1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

td_random_block td_random_at(uint64_t seed, uint64_t stream, uint64_t block) {
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                           (uint32_t)(stream >> 32)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
    td_philox(counter, key, out);
    return (td_random_block){
        {(uint64_t)out[1] << 32 | out[0], (uint64_t)out[3] << 32 | out[2]}};
}

/* 24 bits to a float in [0, 1), 53 bits to a double. */
static float unit_f32(uint32_t bits) { return (float)(bits >> 8) * 0x1p-24f; }
static double unit_f64(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

void td_random_uniform_f32(uint64_t seed, uint64_t stream, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i += 4) {
        td_random_block b = td_random_at(seed, stream, (uint64_t)i / 4);
        for (int64_t j = 0; j < 4 && i + j < n; j++)
            out[i + j] = unit_f32((uint32_t)(b.word[j / 2] >> (32 * (j % 2))));
    }
}

void td_random_uniform_f64(uint64_t seed, uint64_t stream, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i += 2) {
        td_random_block b = td_random_at(seed, stream, (uint64_t)i / 2);
        for (int64_t j = 0; j < 2 && i + j < n; j++) out[i + j] = unit_f64(b.word[j]);
    }
}

/* Sine and cosine of 2 pi u, u in [0, 1): the nearest quarter turn is taken off exactly, Taylor's series
 * does the rest, |r| <= pi / 4, to 1e-17. */
static void sin_cos_turns(double u, double *sine, double *cosine) {
    int quarter = (int)(u * 4 + 0.5);
    double r = (u - quarter * 0.25) * 6.283185307179586476925, z = r * r;
    double s = -1.0 / 1307674368000;
    s = s * z + 1.0 / 6227020800;
    s = s * z - 1.0 / 39916800;
    s = s * z + 1.0 / 362880;
    s = s * z - 1.0 / 5040;
    s = s * z + 1.0 / 120;
    s = s * z - 1.0 / 6;
    s = r + r * z * s;
    double c = 1.0 / 20922789888000;
    c = c * z - 1.0 / 87178291200;
    c = c * z + 1.0 / 479001600;
    c = c * z - 1.0 / 3628800;
    c = c * z + 1.0 / 40320;
    c = c * z - 1.0 / 720;
    c = c * z + 1.0 / 24;
    c = 1 - z / 2 + z * z * c;
    switch (quarter & 3) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s;
    }
}

/* Two independent normal values from one block. 1 - u is in (0, 1]: its logarithm is finite. */
static void normal_pair(td_random_block b, double pair[2]) {
    double radius = sqrt(-2 * td_log_f64(1 - unit_f64(b.word[0])));
    double sine, cosine;
    sin_cos_turns(unit_f64(b.word[1]), &sine, &cosine);
    pair[0] = radius * cosine;
    pair[1] = radius * sine;
}

void td_random_normal_f32(uint64_t seed, uint64_t stream, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i += 2) {
        double pair[2];
        normal_pair(td_random_at(seed, stream, (uint64_t)i / 2), pair);
        out[i] = (float)pair[0];
        if (i + 1 < n) out[i + 1] = (float)pair[1];
    }
}

void td_random_normal_f64(uint64_t seed, uint64_t stream, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i += 2) {
        double pair[2];
        normal_pair(td_random_at(seed, stream, (uint64_t)i / 2), pair);
        out[i] = pair[0];
        if (i + 1 < n) out[i + 1] = pair[1];
    }
}

/* The high 64 bits of a 64 by 64 bit product. */
static uint64_t high_product(uint64_t a, uint64_t b) {
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t low = a0 * b0, mid = a1 * b0 + (low >> 32), mid2 = a0 * b1 + (uint32_t)mid;
    return a1 * b1 + (mid >> 32) + (mid2 >> 32);
}

void td_random_below(uint64_t seed, uint64_t stream, uint64_t range, int64_t n,
                     uint64_t *out) {
    for (int64_t i = 0; i < n; i += 2) {
        td_random_block b = td_random_at(seed, stream, (uint64_t)i / 2);
        for (int64_t j = 0; j < 2 && i + j < n; j++)
            out[i + j] = range ? high_product(b.word[j], range) : b.word[j];
    }
}

void td_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out) {
    for (int64_t i = 0; i < n; i++) out[i] = i + 1;
    for (int64_t i = n - 1; i > 0; i--) {
        td_random_block b = td_random_at(seed, stream, (uint64_t)i);
        int64_t j = (int64_t)high_product(b.word[0], (uint64_t)i + 1), t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}
