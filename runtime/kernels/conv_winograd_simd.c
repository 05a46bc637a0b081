/* Winograd's transforms, compiled once for each processor level: lanes are channels. */
#include "runtime/kernels/conv_winograd.h"

#include "runtime/cpu.h"
#include "runtime/kernels/product_vector.h"

/* ---- filters: so many side by side ---- */

enum { FILTERS = 16 };
typedef double lanes[FILTERS];

#define HALF 0.70710678118654752440 /* the root of 1/2 */
#define TWO 1.41421356237309504880  /* and of 2 */

/* Points as G gives them from three numbers of a filter. */
INLINE void filter_line(const lanes g0, const lanes g1, const lanes g2, lanes to[6]) {
    TD_VECTOR for (int l = 0; l < FILTERS; l++) {
        double even = g0[l] + g2[l] * 0.5, odd = HALF * g1[l];
        to[0][l] = g0[l];
        to[1][l] = (even + odd) * (-1 / 1.5);
        to[2][l] = (even - odd) * (-1 / 1.5);
        even = g0[l] + 2 * g2[l], odd = TWO * g1[l];
        to[3][l] = (even + odd) * (1 / 6.0);
        to[4][l] = (even - odd) * (1 / 6.0);
        to[5][l] = g2[l];
    }
}

/* Its adjoint. */
INLINE void filter_line_back(const lanes s[6], lanes to0, lanes to1, lanes to2) {
    TD_VECTOR for (int l = 0; l < FILTERS; l++) {
        double a = (s[1][l] + s[2][l]) * (-1 / 1.5), b = (s[3][l] + s[4][l]) * (1 / 6.0);
        double c = (s[1][l] - s[2][l]) * (-1 / 1.5), d = (s[3][l] - s[4][l]) * (1 / 6.0);
        to0[l] = s[0][l] + a + b;
        to1[l] = HALF * c + TWO * d;
        to2[l] = a * 0.5 + 2 * b + s[5][l];
    }
}

static void filter_points(const lanes g[9], lanes to[36]) {
    lanes half[3][6], turned[6][3];
    for (int x = 0; x < 3; x++) filter_line(g[x], g[3 + x], g[6 + x], half[x]);
    for (int x = 0; x < 3; x++)
        for (int y = 0; y < 6; y++)
            TD_VECTOR for (int l = 0; l < FILTERS; l++) turned[y][x][l] = half[x][y][l];
    for (int y = 0; y < 6; y++)
        filter_line(turned[y][0], turned[y][1], turned[y][2], to + 6 * y);
}

static void filter_points_back(const lanes from[36], lanes g[9]) {
    lanes half[3][6], line[6];
    for (int x = 0; x < 6; x++) {
        for (int y = 0; y < 6; y++)
            TD_VECTOR for (int l = 0; l < FILTERS; l++) line[y][l] = from[6 * y + x][l];
        filter_line_back((const lanes *)line, half[0][x], half[1][x], half[2][x]);
    }
    for (int y = 0; y < 3; y++)
        filter_line_back((const lanes *)half[y], g[3 * y], g[3 * y + 1], g[3 * y + 2]);
}

#define S f32
#define REAL float
#include "runtime/kernels/conv_winograd_typed.h"
#undef S
#undef REAL
#define S f64
#define REAL double
#include "runtime/kernels/conv_winograd_typed.h"

extern const td_winograd_level TD_LEVELED(td_winograd_level);
const td_winograd_level TD_LEVELED(td_winograd_level) = {
    .f32 = {image_f32, result_f32, gradient_f32, filters_f32, filters_back_f32},
    .f64 = {image_f64, result_f64, gradient_f64, filters_f64, filters_back_f64},
};
