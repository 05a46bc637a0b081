/* Rows of the ops with one input that work element by element. */
#include "tests/ops/rows.h"

#define REF(name, expr)                                                                  \
    static void name##_ref(const rt *in, int nin, const td_attrs *a, rt *out) {          \
        (void)nin, (void)a;                                                              \
        rt_like(out, in);                                                                \
        for (int64_t i = 0; i < rt_numel(in); i++) {                                     \
            const double x = in->v[i];                                                   \
            out->v[i] = expr;                                                            \
        }                                                                                \
    }

/* What every op is tried with; 67 is more than any vector holds, and not a multiple of one. */
#define SHAPES                                                                           \
    {.in = {{"3x4"}}}, {.in = {{"scalar"}}}, {.in = {{"0x4"}}}, {.in = {{"2x1x3x2"}}}, { \
        .in = { {"67"} }                                                                 \
    }

#define ROW(name, types, range_low, range_high, ...)                                     \
    OP_ROW(name) = {.op = #name,                                                         \
                    .dtypes = types,                                                     \
                    .low = range_low,                                                    \
                    .high = range_high,                                                  \
                    .ref = name##_ref,                                                   \
                    __VA_ARGS__,                                                         \
                    CASES(SHAPES)}

/* ---- numbers and rounding ---- */

REF(neg, -x)
ROW(neg, OP_NUMBERS, -9, 9, .flags = OP_GRAD2);
REF(abs, x < 0 ? -x : x)
ROW(abs, OP_NUMBERS, -9, 9, .flags = OP_GRAD2);
REF(sign, (x > 0) - (x < 0))
ROW(sign, OP_NUMBERS, -3, 3, .flags = OP_GRAD2);
REF(floor, floor(x))
ROW(floor, OP_NUMBERS, -9, 9, .flags = OP_GRAD2);
REF(ceil, ceil(x))
ROW(ceil, OP_NUMBERS, -9, 9, .flags = OP_GRAD2);
REF(trunc, x < 0 ? ceil(x) : floor(x))
ROW(trunc, OP_NUMBERS, -9, 9, .flags = OP_GRAD2);
REF(square, x *x)
ROW(square, OP_NUMBERS, -9, 9, .flags = OP_GRAD2, .tol32 = 1e-6);
REF(relu, x > 0 ? x : 0)
ROW(relu, OP_NUMBERS, -3, 3, .flags = OP_GRAD2);

/* Halves go to the even neighbour. */
static double nearest_even(double x) {
    double below = floor(x), part = x - below;
    if (part != 0.5) return part < 0.5 ? below : below + 1;
    return fmod(below, 2) == 0 ? below : below + 1;
}

REF(round, nearest_even(x))
OP_ROW(round) = {
    .op = "round",
    .dtypes = OP_NUMBERS,
    .low = -8.7,
    .high = 9.1,
    .ref = round_ref,
    .flags = OP_GRAD2,
    CASES(SHAPES, {.in = {{"8", VALUES(0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0, 3)}},
                   .flags = OP_ONLY_FLOATS | OP_NO_GRAD}),
};

/* ---- analysis: libm in double is the reference ---- */

#define ANALYSIS(name, range_low, range_high, expr)                                      \
    REF(name, expr)                                                                      \
    ROW(name, OP_ALL, range_low, range_high, .out = {OP_FLOAT}, .flags = OP_GRAD2,       \
        .tol32 = 2e-7)
ANALYSIS(exp, -3, 3, exp(x));
ANALYSIS(log, 1, 9, log(x));
ANALYSIS(sqrt, 1, 9, sqrt(x));
ANALYSIS(rsqrt, 1, 9, 1 / sqrt(x));
ANALYSIS(reciprocal, 1, 9, 1 / x);
ANALYSIS(tanh, -3, 3, tanh(x));
ANALYSIS(sigmoid, -4, 4, 1 / (1 + exp(-x)));
ANALYSIS(sin, -9, 9, sin(x));
ANALYSIS(cos, -9, 9, cos(x));
ANALYSIS(erf, -2, 2, erf(x));
ANALYSIS(log1p, 0.5, 9, log(1 + x));
ANALYSIS(expm1, -3, 3, exp(x) - 1);
ANALYSIS(softplus, -9, 9, log(1 + exp(x)));

/* ---- with numbers of their own ---- */

REF(leaky_relu, x > 0 ? x : x * (a->v[0].kind ? a->v[0].f : 0.01))
OP_ROW(leaky_relu) = {
    .op = "leaky_relu",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = leaky_relu_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"3x4"}}}, {.in = {{"3x4"}}, .attrs = {{A_FLT(0.3)}}},
          {.in = {{"scalar"}}}, {.in = {{"0"}}},
          {.in = {{"67"}}, .attrs = {{A_FLT(-1)}}}),
};

static double clamp_of(double x, const td_attrs *a) {
    double low = a->v[0].kind ? a->v[0].f : -INFINITY,
           high = a->v[1].kind ? a->v[1].f : INFINITY;
    return fmin(fmax(x, low), high);
}

REF(clamp, clamp_of(x, a))
OP_ROW(clamp) = {
    .op = "clamp",
    .dtypes = OP_NUMBERS,
    .low = -5,
    .high = 5,
    .ref = clamp_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"3x4"}}}, {.in = {{"3x4"}}, .attrs = {{A_FLT(-1), A_FLT(2)}}},
          {.in = {{"67"}}, .attrs = {{A_NONE, A_FLT(1)}}},
          {.in = {{"scalar"}}, .attrs = {{A_FLT(3)}}},
          {.in = {{"0x2"}}, .attrs = {{A_FLT(0)}}},
          {.in = {{"5", TD_I64, VALUES(-2, -1, 0, 1, 2)}},
           .attrs = {{A_FLT(-1), A_FLT(1)}},
           .flags = OP_NO_GRAD},
          {.in = {{"2"}},
           .attrs = {{A_FLT(NAN), A_NONE}},
           .error = "clamp: the minimum is NaN"}),
};

/* ---- questions ---- */

#define QUESTION(name, expr)                                                             \
    REF(name, expr)                                                                      \
    OP_ROW(name) = {                                                                     \
        .op = #name,                                                                     \
        .dtypes = OP_ALL,                                                                \
        .out = {OP_IS_BOOL},                                                             \
        .ref = name##_ref,                                                               \
        CASES(SHAPES, {.in = {{"6", VALUES(NAN, INFINITY, -INFINITY, 0, -0.0, 1e30)}},   \
                       .flags = OP_ONLY_FLOATS}),                                        \
    }
QUESTION(isnan, x != x);
QUESTION(isfinite, fabs(x) < INFINITY);
QUESTION(logical_not, x == 0);
