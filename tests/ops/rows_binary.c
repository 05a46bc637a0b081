/* Rows of the ops with two inputs, and of where. */
#include "tests/ops/rows.h"

/* The shape that several broadcast to. */
static void broadcast(const rt *in, int nin, rt *out) {
    int64_t dim[TD_MAX_DIM] = {0};
    int ndim = 0;
    for (int i = 0; i < nin; i++)
        if (in[i].ndim > ndim) ndim = in[i].ndim;
    for (int d = 0; d < ndim; d++) dim[d] = 1;
    for (int i = 0; i < nin; i++)
        for (int d = 0; d < in[i].ndim; d++)
            if (in[i].dim[d] != 1) dim[ndim - in[i].ndim + d] = in[i].dim[d];
    rt_new(out, ndim, dim);
}

/* out = f(a, b), broadcast. */
static void two(const rt *in, rt *out, double (*f)(double, double)) {
    int64_t index[TD_MAX_DIM];
    broadcast(in, 2, out);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        out->v[i] = f(rt_broadcast(&in[0], index, out->ndim),
                      rt_broadcast(&in[1], index, out->ndim));
    }
}

#define REF(name, expr)                                                                  \
    static double name##_of(double a, double b) { return expr; }                         \
    static void name##_ref(const rt *in, int nin, const td_attrs *at, rt *out) {         \
        (void)nin, (void)at;                                                             \
        two(in, out, name##_of);                                                         \
    }

/* What every op is tried with. */
#define SHAPES(name)                                                                     \
    {.in = {{"3x4"}, {"3x4"}}}, {.in = {{"scalar"}, {"scalar"}}},                        \
        {.in = {{"2x3"}, {"3"}}}, {.in = {{"3x1"}, {"1x4"}}},                            \
        {.in = {{"2x1x3"}, {"4x1"}}}, {.in = {{"0x3"}, {"1x3"}}},                        \
        {.in = {{"scalar"}, {"2x2x2"}}}, {.in = {{"5"}, {"scalar"}}},                    \
        {.in = {{"33"}, {"33"}}},                                                        \
        {.in = {{"2x3"}, {"4x5"}}, .error = name ": 2x3 does not broadcast with 4x5"}, { \
        .in = {{"0"}, {"2"}}, .error = name ": 0 does not broadcast with 2"              \
    }

#define ROW(name, types, range_low, range_high, ...)                                     \
    OP_ROW(name) = {.op = #name,                                                         \
                    .dtypes = types,                                                     \
                    .low = range_low,                                                    \
                    .high = range_high,                                                  \
                    .ref = name##_ref,                                                   \
                    __VA_ARGS__,                                                         \
                    CASES(SHAPES(#name))}

/* ---- arithmetic ---- */

REF(add, a + b)
ROW(add, OP_ALL, -3, 3, .flags = OP_GRAD2);
REF(sub, a - b)
ROW(sub, OP_NUMBERS, -3, 3, .flags = OP_GRAD2);
REF(mul, a *b)
ROW(mul, OP_ALL, -3, 3, .flags = OP_GRAD2);
REF(maximum, a > b ? a : b)
ROW(maximum, OP_ALL, -3, 3, .flags = OP_GRAD2);
REF(minimum, a < b ? a : b)
ROW(minimum, OP_ALL, -3, 3, .flags = OP_GRAD2);

/* Where both are equal each takes half of the gradient, which no difference shows: test_special.c. */
REF(div, a / b)
OP_ROW(div) = {
    .op = "div",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = div_ref,
    .low = 1,
    .high = 4,
    .tol32 = 1e-6,
    .flags = OP_GRAD2,
    CASES(SHAPES("div"), {.in = {{"4", .low = -3, .high = 3}, {"4"}}},
          {.in = {{"3", VALUES(1, 0, -1)}, {"scalar", VALUES(0)}}, .flags = OP_NO_GRAD}),
};

REF(pow, pow(a, b))
OP_ROW(pow) = {
    .op = "pow",
    .dtypes = OP_NUMBERS,
    .ref = pow_ref,
    .low = 1,
    .high = 3,
    .flags = OP_GRAD2,
    .tol32 = 1e-6,
    CASES(SHAPES("pow"),
          {.in = {{"4", VALUES(0, 1, 2, 3)}, {"scalar", VALUES(2)}}, .flags = OP_NO_GRAD},
          {.in = {{"4", VALUES(0, 1, 2, 3)}, {"4", VALUES(0, 0, 1, 3)}},
           .flags = OP_NO_GRAD},
          {.in = {{"4", TD_F64, VALUES(-2, -3, 2, 4)},
                  {"4", TD_F64, VALUES(3, -1, 0.5, -2)}},
           .flags = OP_NO_GRAD},
          {.in = {{"2", TD_I64, VALUES(2, 3)}, {"2", TD_I64, VALUES(1, -1)}},
           .error = "pow: a negative exponent with integers"}),
};

REF(remainder, a - b * floor(a / b))
OP_ROW(remainder) = {
    .op = "remainder",
    .dtypes = OP_NUMBERS,
    .ref = remainder_ref,
    .low = 1,
    .high = 9,
    .tol32 = 1e-5,
    .flags = OP_GRAD2,
    CASES(SHAPES("remainder"),
          {.in = {{"4", .dtype = TD_F64, VALUES(5, -5, 5, -5)},
                  {"4", .dtype = TD_F64, VALUES(3, 3, -3, -3)}},
           .flags = OP_NO_GRAD},
          {.in = {{"6", .dtype = TD_I64, VALUES(5, -5, 5, -5, 6, -6)},
                  {"6", .dtype = TD_I64, VALUES(3, 3, -3, -3, 3, -3)}},
           .flags = OP_NO_GRAD},
          {.in = {{"2", .dtype = TD_I32, VALUES(5, 7)},
                  {"2", .dtype = TD_I32, VALUES(1, 0)}},
           .error = "remainder: an integer division by zero"}),
};

REF(floor_divide, floor(a / b))
OP_ROW(floor_divide) = {
    .op = "floor_divide",
    .dtypes = OP_NUMBERS,
    .ref = floor_divide_ref,
    .low = 1,
    .high = 9,
    CASES(SHAPES("floor_divide"),
          {.in = {{"4", TD_F64, VALUES(5, -5, 5, -5)},
                  {"4", TD_F64, VALUES(3, 3, -3, -3)}}},
          {.in = {{"6", TD_I64, VALUES(5, -5, 5, -5, 6, -6)},
                  {"6", TD_I64, VALUES(3, 3, -3, -3, 3, -3)}}},
          {.in = {{"2", TD_I64, VALUES(5, 7)}, {"2", TD_I64, VALUES(1, 0)}},
           .error = "floor_divide: an integer division by zero"}),
};

/* ---- questions ---- */

#define QUESTION(name, expr)                                                             \
    REF(name, expr)                                                                      \
    ROW(name, OP_ALL, -1, 1, .out = {OP_IS_BOOL})
QUESTION(eq, a == b);
QUESTION(ne, a != b);
QUESTION(lt, a < b);
QUESTION(le, a <= b);
QUESTION(gt, a > b);
QUESTION(ge, a >= b);
QUESTION(logical_and, a != 0 && b != 0);
QUESTION(logical_or, a != 0 || b != 0);
QUESTION(logical_xor, (a != 0) != (b != 0));

/* ---- where ---- */

static void where_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)a;
    int64_t index[TD_MAX_DIM];
    broadcast(in, nin, out);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        bool c = rt_broadcast(&in[0], index, out->ndim) != 0;
        out->v[i] = rt_broadcast(&in[c ? 1 : 2], index, out->ndim);
    }
}

OP_ROW(where) = {
    .op = "where",
    .dtypes = OP_ALL,
    .ref = where_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"3x4", TD_BOOL}, {"3x4"}, {"3x4"}}},
          {.in = {{"scalar", TD_BOOL}, {"scalar"}, {"scalar"}}},
          {.in = {{"35", TD_BOOL}, {"35"}, {"scalar"}}},
          {.in = {{"35", TD_BOOL}, {"scalar"}, {"35"}}},
          {.in = {{"4x1", TD_BOOL}, {"3"}, {"2x1x1"}}},
          {.in = {{"0", TD_BOOL}, {"1"}, {"0"}}},
          {.in = {{"2", TD_F32}, {"2"}, {"2"}},
           .error = "where: wants a bool condition, got f32"},
          {.in = {{"2x3", TD_BOOL}, {"2x3"}, {"4"}},
           .error = "where: 2x3 does not broadcast with 4"}),
};
