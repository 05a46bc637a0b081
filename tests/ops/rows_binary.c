/* Rows of the ops with two inputs. */
#include "tests/ops/rows.h"

/* out = f(a, b), broadcast. */
static void two(const rt *in, rt *out, double (*f)(double, double)) {
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM];
    int ndim = in[0].ndim > in[1].ndim ? in[0].ndim : in[1].ndim;
    for (int d = 0; d < ndim; d++) {
        int da = d - (ndim - in[0].ndim), db = d - (ndim - in[1].ndim);
        int64_t a = da >= 0 ? in[0].dim[da] : 1, b = db >= 0 ? in[1].dim[db] : 1;
        dim[d] = a == 1 ? b : a;
    }
    rt_new(out, ndim, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        out->v[i] =
            f(rt_broadcast(&in[0], index, ndim), rt_broadcast(&in[1], index, ndim));
    }
}

#define REF(name, expr)                                                                  \
    static double name##_of(double a, double b) { return expr; }                         \
    static void name##_ref(const rt *in, int nin, const td_attrs *at, rt *out) {         \
        (void)nin, (void)at;                                                             \
        two(in, out, name##_of);                                                         \
    }

/* Shapes that every op is tried with. */
#define SHAPES                                                                           \
    {.in = {{"3x4"}, {"3x4"}}}, {.in = {{"scalar"}, {"scalar"}}},                        \
        {.in = {{"2x3"}, {"3"}}}, {.in = {{"3x1"}, {"1x4"}}},                            \
        {.in = {{"2x1x3"}, {"4x1"}}}, {.in = {{"0x3"}, {"1x3"}}},                        \
        {.in = {{"scalar"}, {"2x2x2"}}}, {                                               \
        .in = { {"5"}, {"scalar"} }                                                      \
    }

#define MISMATCH(name)                                                                   \
    { .in = {{"2x3"}, {"4x5"}}, .error = name ": 2x3 does not broadcast with 4x5" }

REF(add, a + b)
OP_ROW(add) = {
    .op = "add",
    .dtypes = OP_NUMBERS,
    .low = 0,
    .high = 3,
    .ref = add_ref,
    .flags = OP_GRAD2,
    CASES(SHAPES, MISMATCH("add")),
};
