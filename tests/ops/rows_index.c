/* Rows of the ops that look up by positions (from 1, or negative) and by labels (from 0), and of sort. */
#include "tests/ops/rows.h"

static int64_t position(double given, int64_t size) {
    return given < 0 ? (int64_t)given + size : (int64_t)given - 1;
}

/* ---- positions ---- */

static void index_select_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM], d = a->v[0].i;
    for (int i = 0; i < in->ndim; i++) dim[i] = i == d ? in[1].dim[0] : in->dim[i];
    rt_new(out, in->ndim, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        index[d] = position(in[1].v[index[d]], in->dim[d]);
        out->v[i] = in->v[rt_at(in, index)];
    }
}

OP_ROW(index_select) = {
    .op = "index_select",
    .dtypes = OP_ANY,
    .ref = index_select_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"3x4"}, {"4", TD_I64, VALUES(3, 1, -1, 1)}},
           .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"3x4"}, {"5", TD_I32, VALUES(4, -4, 2, 2, 1)}},
           .attrs = {{A_INT(DIM, 1)}}},
          {.in = {{"4x2x5"}, {"2", TD_I64, VALUES(2, 4)}}, .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"2x3x9"}, {"3", TD_I64, VALUES(2, 1, 3)}}, .attrs = {{A_INT(DIM, 1)}}},
          {.in = {{"5"}, {"3", TD_I64, VALUES(5, 5, 1)}}, .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"3x4"}, {"0", TD_I64}}, .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"0x4"}, {"0", TD_I64}}, .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"3x4"}, {"2", TD_I64, VALUES(1, 4)}},
           .attrs = {{A_INT(DIM, 0)}},
           .error = "index_select: position 4 of dimension 1, which has 3",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"3x4"}, {"2", TD_I64, VALUES(1, 0)}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "index_select: position 0 of dimension 2, which has 4",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"3x4"}, {"1x2", TD_I64}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "index_select: wants positions in one dimension, got 1x2"},
          {.in = {{"3x4"}, {"2", TD_F32}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "index_select: positions are i64 or i32, got f32"}),
};

static void gather_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t index[TD_MAX_DIM], d = a->v[0].i;
    rt_like(out, &in[1]);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        index[d] = position(in[1].v[i], in->dim[d]);
        out->v[i] = in->v[rt_at(in, index)];
    }
}

OP_ROW(gather) = {
    .op = "gather",
    .dtypes = OP_ANY,
    .ref = gather_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x3"}, {"2x2", TD_I64, VALUES(3, 1, -3, 2)}},
           .attrs = {{A_INT(DIM, 1)}}},
          {.in = {{"3x3"}, {"4x2", TD_I64, VALUES(3, 1, 2, 2, -1, 1, 1, 1)}},
           .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"2x3x2"}, {"2x2x2", TD_I32, VALUES(1, 2, 3, 3, -1, 1, 2, 2)}},
           .attrs = {{A_INT(DIM, 1)}}},
          {.in = {{"4"}, {"2", TD_I64, VALUES(4, 4)}}, .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"2x3"}, {"2x0", TD_I64}}, .attrs = {{A_INT(DIM, 1)}}},
          {.in = {{"3x10"}, {"3x1", TD_I64, VALUES(1, 10, 11)}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "gather: position 11 of dimension 2, which has 10",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"2x3"}, {"2x1", TD_I64, VALUES(1, -4)}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "gather: position -4 of dimension 2, which has 3",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"2x3"}, {"3x1", TD_I64}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "gather: positions of 3x1 do not lie inside 2x3 (dimension 2 aside)"},
          {.in = {{"2x3"}, {"2", TD_I64}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "gather: positions of 2 do not lie inside 2x3 (dimension 2 aside)"},
          {.in = {{"2x3"}, {"2x3", TD_BOOL}},
           .attrs = {{A_INT(DIM, 1)}},
           .error = "gather: positions are i64 or i32, got bool"}),
};

static void scatter_add_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t index[TD_MAX_DIM], d = a->v[0].i;
    rt_like(out, in);
    for (int64_t i = 0; i < rt_numel(in); i++) out->v[i] = in->v[i];
    for (int64_t i = 0; i < rt_numel(&in[1]); i++) {
        rt_index(&in[1], i, index);
        index[d] = position(in[1].v[i], in->dim[d]);
        out->v[rt_at(out, index)] += in[2].v[i];
    }
}

OP_ROW(scatter_add) = {
    .op = "scatter_add",
    .dtypes = OP_NUMBERS,
    .ref = scatter_add_ref,
    .flags = OP_GRAD2,
    CASES(
        {.in = {{"2x3"}, {"2x4", TD_I64, VALUES(3, 1, 3, 2, -3, -3, 1, 1)}, {"2x4"}},
         .attrs = {{A_INT(DIM, 1)}}},
        {.in = {{"3x3"}, {"4x2", TD_I32, VALUES(3, 1, 2, 2, -1, 1, 1, 1)}, {"4x2"}},
         .attrs = {{A_INT(DIM, 0)}}},
        {.in = {{"3"}, {"0", TD_I64}, {"0"}}, .attrs = {{A_INT(DIM, 0)}}},
        {.in = {{"2x3"}, {"2x2", TD_I64, VALUES(1, 2, 3, 4)}, {"2x2"}},
         .attrs = {{A_INT(DIM, 1)}},
         .error = "scatter_add: position 4 of dimension 2, which has 3",
         .flags = OP_NO_LAYOUTS},
        {.in = {{"2x3"}, {"2x2", TD_I64}, {"2x3"}},
         .attrs = {{A_INT(DIM, 1)}},
         .error = "scatter_add: positions of 2x2 for values of 2x3"},
        {.in = {{"2x3"}, {"3x2", TD_I64}, {"3x2"}},
         .attrs = {{A_INT(DIM, 1)}},
         .error =
             "scatter_add: positions of 3x2 do not lie inside 2x3 (dimension 2 aside)"}),
};

/* ---- labels ---- */

static void embedding_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin, (void)a;
    int64_t dim[TD_MAX_DIM], width = in->dim[1];
    for (int i = 0; i < in[1].ndim; i++) dim[i] = in[1].dim[i];
    dim[in[1].ndim] = width;
    rt_new(out, in[1].ndim + 1, dim);
    for (int64_t i = 0; i < rt_numel(out); i++)
        out->v[i] = in->v[(int64_t)in[1].v[i / width] * width + i % width];
}

OP_ROW(embedding) = {
    .op = "embedding",
    .dtypes = OP_ALL,
    .ref = embedding_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"4x3"}, {"5", TD_I64, VALUES(0, 3, 3, 1, 0)}}},
          {.in = {{"4x3"}, {"2x2", TD_I32, VALUES(2, 0, 2, 1)}}},
          {.in = {{"4x1"}, {"scalar", TD_U8, VALUES(2)}}},
          {.in = {{"4x3"}, {"0", TD_I64}}},
          {.in = {{"90x2"}, {"2", TD_I64, VALUES(89, 90)}},
           .error = "embedding: id 90 of 90 rows (ids count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"4x2"}, {"2", TD_I64, VALUES(0, -1)}},
           .error = "embedding: id -1 of 4 rows (ids count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"4"}, {"2", TD_I64}},
           .error = "embedding: wants weights [rows, features], got 4"},
          {.in = {{"4x3"}, {"2", TD_F32}},
           .error = "embedding: labels are i64, i32 or u8, got f32"},
          {.in = {{"4x3"}, {"1x1x1x1x1x1x1x1", TD_I64}},
           .error = "embedding: a tensor has at most 8 dimensions"}),
};

static void embedding_grad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t width = in->dim[in->ndim - 1];
    rt_new(out, 2, (int64_t[]){a->v[0].i, width});
    for (int64_t i = 0; i < rt_numel(in); i++)
        out->v[(int64_t)in[1].v[i / width] * width + i % width] += in->v[i];
}

OP_ROW(embedding_grad) = {
    .op = "embedding_grad",
    .dtypes = OP_NUMBERS,
    .ref = embedding_grad_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"5x3"}, {"5", TD_I64, VALUES(0, 3, 3, 1, 0)}},
           .attrs = {{A_INT(INT, 4)}}},
          {.in = {{"2x2x3"}, {"2x2", TD_I32, VALUES(2, 0, 2, 1)}},
           .attrs = {{A_INT(INT, 3)}}},
          {.in = {{"0x3"}, {"0", TD_I64}}, .attrs = {{A_INT(INT, 2)}}},
          {.in = {{"2x3"}, {"2", TD_I64, VALUES(0, 2)}},
           .attrs = {{A_INT(INT, 2)}},
           .error = "embedding_grad: id 2 of 2 rows (ids count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"2x3"}, {"3", TD_I64}},
           .attrs = {{A_INT(INT, 2)}},
           .error = "embedding_grad: a gradient of 2x3 does not belong to ids of 3"},
          {.in = {{"2x3"}, {"2", TD_I64}},
           .attrs = {{A_INT(INT, -2)}},
           .error = "embedding_grad: -2 rows are below 0"}),
};

static void one_hot_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM], classes = a->v[0].i;
    for (int i = 0; i < in->ndim; i++) dim[i] = in->dim[i];
    dim[in->ndim] = classes;
    rt_new(out, in->ndim + 1, dim);
    for (int64_t i = 0; i < rt_numel(in); i++)
        out->v[i * classes + (int64_t)in->v[i]] = 1;
}

OP_ROW(one_hot) = {
    .op = "one_hot",
    .dtypes = OP_INTS,
    .out = {OP_IS_I64},
    .ref = one_hot_ref,
    .low = 0,
    .high = 3,
    CASES({.in = {{"5"}}, .attrs = {{A_INT(INT, 4)}}},
          {.in = {{"2x3"}}, .attrs = {{A_INT(INT, 4)}}},
          {.in = {{"scalar"}}, .attrs = {{A_INT(INT, 4)}}},
          {.in = {{"0"}}, .attrs = {{A_INT(INT, 4)}}},
          {.in = {{"2", VALUES(0, 10)}},
           .attrs = {{A_INT(INT, 10)}},
           .error = "one_hot: label 10 with 10 classes (labels count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"2", TD_I64, VALUES(0, -1)}},
           .attrs = {{A_INT(INT, 10)}},
           .error = "one_hot: label -1 with 10 classes (labels count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"2"}},
           .attrs = {{A_INT(INT, -1)}},
           .error = "one_hot: -1 classes are below 0"}),
};

/* ---- sort and topk ---- */

/* Does a come before b in ascending order? NaN is larger than any number. */
static bool is_less(double a, double b) { return isnan(b) ? !isnan(a) : a < b; }

/* Selection sort: the first `count` of each line. */
static void select_first(const rt *in, int64_t d, int64_t count, bool largest, rt *out) {
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM], size = in->dim[d];
    for (int i = 0; i < in->ndim; i++) dim[i] = i == d ? count : in->dim[i];
    for (int k = 0; k < 2; k++) rt_new(&out[k], in->ndim, dim);
    char *taken = calloc((size_t)rt_numel(in) + 1, 1);
    for (int64_t i = 0; i < rt_numel(&out[0]); i++) {
        rt_index(&out[0], i, index);
        int64_t best = -1, best_at = 0; /* lines are filled from their first entry on */
        for (int64_t e = 0; e < size; e++) {
            index[d] = e;
            int64_t at = rt_at(in, index);
            if (taken[at]) continue;
            if (best < 0 || (largest ? is_less(in->v[best], in->v[at])
                                     : is_less(in->v[at], in->v[best])))
                best = at, best_at = e;
        }
        taken[best] = 1;
        out[0].v[i] = in->v[best];
        out[1].v[i] = (double)(best_at + 1);
    }
    free(taken);
}

static int64_t dim_of(const rt *in, const td_attr *a) {
    return a->kind == TD_ATTR_DIM ? a->i : in->ndim - 1;
}

static void sort_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t d = dim_of(in, &a->v[0]);
    select_first(in, d, in->dim[d], a->v[1].kind && a->v[1].i, out);
}

OP_ROW(sort) = {
    .op = "sort",
    .dtypes = OP_ANY,
    .out = {OP_SAME, OP_IS_I64},
    .ref = sort_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"7"}}}, {.in = {{"3x5"}}},
          {.in = {{"5x3"}}, .attrs = {{A_INT(DIM, 0)}}},
          {.in = {{"2x4x3"}}, .attrs = {{A_INT(DIM, 1), A_INT(BOOL, 1)}}},
          {.in = {{"100"}}, .flags = OP_NO_GRAD},
          {.in = {{"2x67", .low = -3, .high = 3}},
           .attrs = {{A_NONE, A_INT(BOOL, 1)}},
           .flags = OP_NO_GRAD},
          {.in = {{"8", VALUES(3, NAN, -INFINITY, 0, -0.0, INFINITY, NAN, -1)}},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS},
          {.in = {{"6", VALUES(3, NAN, 0, -0.0, 7, NAN)}},
           .attrs = {{A_NONE, A_INT(BOOL, 1)}},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS},
          {.in = {{"0x3"}}, .attrs = {{A_INT(DIM, 0)}}}, {.in = {{"3x0"}}},
          {.in = {{"scalar"}}, .error = "sort: a scalar has no dimension to go along"}),
};

static void topk_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    select_first(in, dim_of(in, &a->v[1]), a->v[0].i, !a->v[2].kind || a->v[2].i, out);
}

OP_ROW(topk) = {
    .op = "topk",
    .dtypes = OP_ANY,
    .out = {OP_SAME, OP_IS_I64},
    .ref = topk_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"7"}}, .attrs = {{A_INT(INT, 3)}}},
          {.in = {{"4x3"}}, .attrs = {{A_INT(INT, 2), A_INT(DIM, 0)}}},
          {.in = {{"2x5"}}, .attrs = {{A_INT(INT, 5), A_NONE, A_INT(BOOL, 0)}}},
          {.in = {{"2x60", .low = -3, .high = 3}},
           .attrs = {{A_INT(INT, 4)}},
           .flags = OP_NO_GRAD},
          {.in = {{"90"}},
           .attrs = {{A_INT(INT, 7), A_NONE, A_INT(BOOL, 0)}},
           .flags = OP_NO_GRAD},
          {.in = {{"12", VALUES(3, NAN, 1, 4, 1, 5, 9, 2, 6, 5, 3, NAN)}},
           .attrs = {{A_INT(INT, 3)}},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS},
          {.in = {{"5"}}, .attrs = {{A_INT(INT, 0)}}},
          {.in = {{"5"}},
           .attrs = {{A_INT(INT, 6)}},
           .error = "topk: the first 6 of dimension 1, which has 5"},
          {.in = {{"3x5"}},
           .attrs = {{A_INT(INT, -1), A_INT(DIM, 0)}},
           .error = "topk: the first -1 of dimension 1, which has 3"},
          {.in = {{"scalar"}},
           .attrs = {{A_INT(INT, 1)}},
           .error = "topk: a scalar has no dimension to go along"}),
};
