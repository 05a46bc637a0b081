/* Rows of cast, clone and assign. */
#include "tests/ops/rows.h"

static void same_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin, (void)a;
    rt_like(out, in);
    memcpy(out->v, in->v, sizeof *in->v * (size_t)rt_numel(in));
}

static void cast_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    same_ref(in, nin, a, out);
    if (a->v[0].i == TD_I64 || a->v[0].i == TD_I32 || a->v[0].i == TD_U8)
        for (int64_t i = 0; i < rt_numel(in); i++) out->v[i] = trunc(in->v[i]);
}

/* Second derivatives of a cast are zero. A cast to something narrower has no differences to compare
 * with. */
#define TO(type, more)                                                                   \
    { .in = {{"3x5"}}, .attrs = {{A_INT(DTYPE, type)}}, .flags = more }
OP_ROW(cast) = {
    .op = "cast",
    .dtypes = OP_ANY,
    .out = {OP_IS_ATTR0},
    .low = -3,
    .high = 3,
    .ref = cast_ref,
    .flags = OP_GRAD2,
    CASES(TO(TD_F64, 0), TO(TD_F32, OP_NO_GRAD), TO(TD_F16, OP_NO_GRAD),
          TO(TD_BF16, OP_NO_GRAD), TO(TD_I64, OP_NO_GRAD), TO(TD_I32, OP_NO_GRAD),
          TO(TD_U8, OP_NO_GRAD), TO(TD_BOOL, OP_NO_GRAD),
          {.in = {{"scalar"}}, .attrs = {{A_INT(DTYPE, TD_F64)}}},
          {.in = {{"0x3"}}, .attrs = {{A_INT(DTYPE, TD_F64)}}},
          {.in = {{"67"}}, .attrs = {{A_INT(DTYPE, TD_F32)}}, .flags = OP_NO_GRAD},
          {.in = {{"2"}}, .error = "cast: no dtype was given"},
          {.in = {{"2"}},
           .attrs = {{A_INT(DTYPE, 77)}},
           .error = "cast: there is no dtype number 77"}),
};

OP_ROW(clone) = {
    .op = "clone",
    .dtypes = OP_ANY,
    .ref = same_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"3x4"}}}, {.in = {{"scalar"}}}, {.in = {{"0x2"}}}, {.in = {{"67"}}}),
};

static void assign_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin, (void)a;
    int64_t index[TD_MAX_DIM];
    rt_like(out, &in[0]);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        out->v[i] = rt_broadcast(&in[1], index, out->ndim);
    }
}

/* Layouts stand out here: a stretched destination is refused, which test_special.c tries, with
 * overlapping and otherwise laid out ones. */
OP_ROW(assign) = {
    .op = "assign",
    .dtypes = OP_ANY,
    .ref = assign_ref,
    CASES({.in = {{"3x4"}, {"3x4"}}, .flags = OP_NO_LAYOUTS},
          {.in = {{"scalar"}, {"scalar"}}, .flags = OP_NO_LAYOUTS},
          {.in = {{"0x4"}, {"4"}}, .flags = OP_NO_LAYOUTS},
          {.in = {{"2x3x4"}, {"3x1"}}, .flags = OP_NO_LAYOUTS},
          {.in = {{"2x2"}, {"scalar"}}, .flags = OP_NO_LAYOUTS},
          {.in = {{"2x2"}, {"3"}}, .error = "assign: 3 does not broadcast to 2x2"},
          {.in = {{"2"}, {"2x2"}}, .error = "assign: 2x2 does not broadcast to 2"},
          {.in = {{"1"}, {"3"}}, .error = "assign: 3 does not broadcast to 1"}),
};
