/* Rows of the ops that make tensors out of numbers. */
#include "tests/ops/rows.h"

/* Sizes from a list attribute. */
static void sized(rt *x, const td_attr *sizes) { rt_new(x, sizes->n, sizes->list); }

static void full_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)in, (void)nin;
    sized(out, &a->v[0]);
    for (int64_t i = 0; i < rt_numel(out); i++) out->v[i] = a->v[1].f;
}

OP_ROW(full) = {
    .op = "full",
    .out = {OP_IS_ATTR0},
    .ref = full_ref,
    CASES({.attrs = {{A_LIST(SIZES, 2, 3), A_FLT(7)}}},
          {.attrs = {{A_EMPTY(SIZES), A_FLT(0.5), A_INT(DTYPE, TD_F64)}}},
          {.attrs = {{A_LIST(SIZES, 0, 3), A_FLT(1)}}},
          {.attrs = {{A_LIST(SIZES, 4), A_FLT(-3), A_INT(DTYPE, TD_I64)}}},
          {.attrs = {{A_LIST(SIZES, 4), A_FLT(2), A_INT(DTYPE, TD_BOOL)}}},
          {.attrs = {{A_LIST(SIZES, 4), A_FLT(2), A_INT(DTYPE, TD_BF16)}}},
          {.attrs = {{A_LIST(SIZES, 2, -1), A_FLT(7)}},
           .error = "full: a size of -1 is below 0"},
          {.attrs = {{A_LIST(SIZES, INT64_MAX, 2), A_FLT(7)}},
           .error = "full: a f32 tensor of 9223372036854775807x2 is too large"},
          {.attrs = {{A_LIST(SIZES, 2)}}, .error = "full: no value was given"}),
};

/* Counted as a Lua for counts, with the end's rounding forgiven. */
static void arange_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)in, (void)nin;
    double start = a->v[0].f, stop = a->v[1].f, step = a->v[2].kind ? a->v[2].f : 1;
    int64_t n = 0;
    while (step > 0 ? start + (double)n * step <= stop + 1e-9
                    : start + (double)n * step >= stop - 1e-9)
        n++;
    rt_new(out, 1, &n);
    for (int64_t i = 0; i < n; i++) out->v[i] = start + (double)i * step;
    if (a->v[3].kind && !td_dtype_is_float((td_dtype)a->v[3].i))
        for (int64_t i = 0; i < n; i++) out->v[i] = trunc(out->v[i]);
}

OP_ROW(arange) = {
    .op = "arange",
    .out = {OP_IS_ATTR0},
    .ref = arange_ref,
    CASES({.attrs = {{A_FLT(1), A_FLT(10)}}},
          {.attrs = {{A_FLT(0), A_FLT(0.3), A_FLT(0.1)}}},
          {.attrs = {{A_FLT(5), A_FLT(1), A_FLT(-2), A_INT(DTYPE, TD_I64)}}},
          {.attrs = {{A_FLT(5), A_FLT(1)}}}, {.attrs = {{A_FLT(3), A_FLT(3)}}},
          {.attrs = {{A_FLT(0), A_FLT(1), A_FLT(0.3), A_INT(DTYPE, TD_F64)}}},
          {.attrs = {{A_FLT(1), A_FLT(10), A_FLT(0)}},
           .error = "arange: from 1 to 10 in steps of 0 does not end"},
          {.attrs = {{A_FLT(1), A_FLT(INFINITY)}},
           .error = "arange: from 1 to inf in steps of 1 does not end"},
          {.attrs = {{A_FLT(0), A_FLT(1e300)}},
           .error = "arange: from 0 to 1e+300 in steps of 1 is too large"}),
};

static void linspace_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)in, (void)nin;
    rt_new(out, 1, &a->v[2].i);
    int64_t n = a->v[2].i;
    for (int64_t i = 0; i < n; i++) {
        double share = n > 1 ? (double)i / (double)(n - 1) : 0;
        out->v[i] = a->v[0].f * (1 - share) + a->v[1].f * share;
    }
}

OP_ROW(linspace) = {
    .op = "linspace",
    .out = {OP_IS_ATTR0},
    .ref = linspace_ref,
    CASES({.attrs = {{A_FLT(0), A_FLT(1), A_INT(INT, 5)}}},
          {.attrs = {{A_FLT(3), A_FLT(-4), A_INT(INT, 8), A_INT(DTYPE, TD_F64)}}},
          {.attrs = {{A_FLT(3), A_FLT(9), A_INT(INT, 1)}}},
          {.attrs = {{A_FLT(3), A_FLT(9), A_INT(INT, 0)}}},
          {.attrs = {{A_FLT(3), A_FLT(9), A_INT(INT, -1)}},
           .error = "linspace: wants 0 steps or more, got -1"}),
};

static void eye_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)in, (void)nin;
    int64_t dim[2] = {a->v[0].i, a->v[1].kind ? a->v[1].i : a->v[0].i};
    rt_new(out, 2, dim);
    for (int64_t i = 0; i < dim[0] && i < dim[1]; i++) out->v[i * dim[1] + i] = 1;
}

OP_ROW(eye) = {
    .op = "eye",
    .out = {OP_IS_ATTR0},
    .ref = eye_ref,
    CASES({.attrs = {{A_INT(INT, 3)}}}, {.attrs = {{A_INT(INT, 2), A_INT(INT, 4)}}},
          {.attrs = {{A_INT(INT, 4), A_INT(INT, 2), A_INT(DTYPE, TD_I64)}}},
          {.attrs = {{A_INT(INT, 0)}}}, {.attrs = {{A_INT(INT, 3), A_INT(INT, 0)}}},
          {.attrs = {{A_INT(INT, -2)}}, .error = "eye: a size of -2 is below 0"}),
};

/* ---- random: values are looked at in tests/runtime/test_random.c and tests/vm/test_random_ops.c ---- */

#define SEED A_INT(INT, 42), A_INT(INT, 1)
#define VALUES_IN "tests/vm/test_random_ops.c"

OP_ROW(rand) = {
    .op = "rand",
    .out = {OP_IS_ATTR0},
    .elsewhere = VALUES_IN,
    CASES({.attrs = {{A_LIST(SIZES, 2, 3), SEED}}},
          {.attrs = {{A_LIST(SIZES, 5), SEED, A_INT(DTYPE, TD_F64)}}},
          {.attrs = {{A_LIST(SIZES, 5), SEED, A_INT(DTYPE, TD_BF16)}}},
          {.attrs = {{A_LIST(SIZES, 0), SEED}}}, {.attrs = {{A_EMPTY(SIZES), SEED}}},
          {.attrs = {{A_LIST(SIZES, 5), SEED, A_INT(DTYPE, TD_I64)}},
           .error = "rand: wants a float dtype, got i64"}),
};

OP_ROW(randn) = {
    .op = "randn",
    .out = {OP_IS_ATTR0},
    .elsewhere = VALUES_IN,
    CASES({.attrs = {{A_LIST(SIZES, 2, 3), SEED}}},
          {.attrs = {{A_LIST(SIZES, 5), SEED, A_INT(DTYPE, TD_F64)}}},
          {.attrs = {{A_LIST(SIZES, 5), SEED, A_INT(DTYPE, TD_F16)}}},
          {.attrs = {{A_LIST(SIZES, 5), SEED, A_INT(DTYPE, TD_BOOL)}},
           .error = "randn: wants a float dtype, got bool"}),
};

OP_ROW(randint) = {
    .op = "randint",
    .out = {OP_IS_ATTR0},
    .elsewhere = VALUES_IN,
    CASES({.attrs = {{A_INT(INT, 0), A_INT(INT, 9), A_LIST(SIZES, 2, 3), SEED}}},
          {.attrs = {{A_INT(INT, -2), A_INT(INT, -2), A_LIST(SIZES, 7), SEED,
                      A_INT(DTYPE, TD_F32)}}},
          {.attrs = {{A_INT(INT, 3), A_INT(INT, 2), A_LIST(SIZES, 2, 3), SEED}},
           .error = "randint: no whole number from 3 to 2"}),
};

OP_ROW(randperm) = {
    .op = "randperm",
    .out = {OP_IS_I64},
    .elsewhere = VALUES_IN,
    CASES({.attrs = {{A_INT(INT, 10), SEED}}}, {.attrs = {{A_INT(INT, 0), SEED}}},
          {.attrs = {{A_INT(INT, -1), SEED}},
           .error = "randperm: a size of -1 is below 0"}),
};

OP_ROW(bernoulli) = {
    .op = "bernoulli",
    .out = {OP_IS_ATTR0},
    .elsewhere = VALUES_IN,
    CASES({.attrs = {{A_LIST(SIZES, 2, 3), A_FLT(0.5), SEED}}},
          {.attrs = {{A_LIST(SIZES, 9), A_FLT(1), SEED, A_INT(DTYPE, TD_BOOL)}}},
          {.attrs = {{A_LIST(SIZES, 9), A_FLT(1.5), SEED}},
           .error = "bernoulli: a probability from 0 to 1 is wanted, got 1.5"}),
};
