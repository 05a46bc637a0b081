/* Rows of the ops that show the same elements in other sizes or places: views, pad, cat, flip. */
#include "tests/ops/rows.h"

/* ---- reshape, squeeze, unsqueeze, expand: sizes change, reading order stays ---- */

static void reshape_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM], known = 1;
    for (int i = 0; i < a->v[0].n; i++)
        if ((dim[i] = a->v[0].list[i]) >= 0) known *= dim[i];
    for (int i = 0; i < a->v[0].n; i++)
        if (dim[i] < 0) dim[i] = rt_numel(in) / known;
    rt_new(out, a->v[0].n, dim);
    for (int64_t i = 0; i < rt_numel(in); i++) out->v[i] = in->v[i];
}

OP_ROW(reshape) = {
    .op = "reshape",
    .dtypes = OP_ANY,
    .ref = reshape_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x6"}}, .attrs = {{A_LIST(SIZES, 3, 4)}}},
          {.in = {{"2x3x4"}}, .attrs = {{A_LIST(SIZES, 6, -1)}}},
          {.in = {{"2x3x4"}}, .attrs = {{A_LIST(SIZES, 2, 2, 3, 2)}}},
          {.in = {{"4x1x6"}}, .attrs = {{A_LIST(SIZES, 1, 2, 2, 1, 3, 2, 1)}}},
          {.in = {{"scalar"}}, .attrs = {{A_LIST(SIZES, 1, 1)}}},
          {.in = {{"1x1"}}, .attrs = {{A_EMPTY(SIZES)}}},
          {.in = {{"0x4"}}, .attrs = {{A_LIST(SIZES, 2, 0)}}},
          {.in = {{"2x3"}},
           .attrs = {{A_LIST(SIZES, 4, 2)}},
           .error = "reshape: 2x3 does not go into 4x2"},
          {.in = {{"2x3"}},
           .attrs = {{A_LIST(SIZES, 4, -1)}},
           .error = "reshape: 2x3 does not go into 4x-1"},
          {.in = {{"2x3"}},
           .attrs = {{A_LIST(SIZES, -1, 2, -1)}},
           .error = "reshape: only one size may be -1, 1 and 3 are"},
          {.in = {{"2x3"}},
           .attrs = {{A_LIST(SIZES, -2, 3)}},
           .error = "reshape: a size of -2 is below 0"},
          {.in = {{"0x3"}},
           .attrs = {{A_LIST(SIZES, 0, -1)}},
           .error = "reshape: a -1 beside a size of 0 could stand for anything"},
          {.in = {{"2", TD_F64}},
           .attrs = {{A_LIST(SIZES, 1 << 30, 1 << 30, 1 << 30)}},
           .error =
               "reshape: a f64 tensor of 1073741824x1073741824x1073741824 is too large"}),
};

static void expand_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int n = a->v[0].n, lead = n - in->ndim;
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM];
    for (int i = 0; i < n; i++)
        dim[i] = a->v[0].list[i] < 0 ? in->dim[i - lead] : a->v[0].list[i];
    rt_new(out, n, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        out->v[i] = rt_broadcast(in, index, n);
    }
}

OP_ROW(expand) = {
    .op = "expand",
    .dtypes = OP_ANY,
    .ref = expand_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"3x1"}}, .attrs = {{A_LIST(SIZES, 3, 4)}}},
          {.in = {{"1x3"}}, .attrs = {{A_LIST(SIZES, 2, 5, -1)}}},
          {.in = {{"scalar"}}, .attrs = {{A_LIST(SIZES, 2, 2)}}},
          {.in = {{"1x3"}}, .attrs = {{A_LIST(SIZES, 0, 3)}}},
          {.in = {{"2x3"}},
           .attrs = {{A_LIST(SIZES, 4, 3)}},
           .error = "expand: 2x3 does not expand to 4x3"},
          {.in = {{"2x3"}},
           .attrs = {{A_LIST(SIZES, 3)}},
           .error = "expand: 2x3 does not expand to 3"},
          {.in = {{"3"}},
           .attrs = {{A_LIST(SIZES, -1, 3)}},
           .error = "expand: size 1 is -1, but a new dimension has no size to keep"},
          {.in = {{"1"}},
           .attrs = {{A_LIST(SIZES, -3)}},
           .error = "expand: a size of -3 is below 0"}),
};

static void squeeze_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM];
    int n = 0;
    for (int i = 0; i < in->ndim; i++) {
        bool named = a->v[0].n == 0;
        for (int k = 0; k < a->v[0].n; k++) named |= a->v[0].list[k] == i;
        if (!named || in->dim[i] != 1) dim[n++] = in->dim[i];
    }
    rt_new(out, n, dim);
    for (int64_t i = 0; i < rt_numel(in); i++) out->v[i] = in->v[i];
}

OP_ROW(squeeze) = {
    .op = "squeeze",
    .dtypes = OP_ANY,
    .ref = squeeze_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"1x3x1"}}}, {.in = {{"1x3x1"}}, .attrs = {{A_LIST(DIMS, 0)}}},
          {.in = {{"1x3x1"}}, .attrs = {{A_LIST(DIMS, 1, 2)}}}, {.in = {{"1x1"}}},
          {.in = {{"scalar"}}}, {.in = {{"0x1"}}},
          {.in = {{"1x3"}},
           .attrs = {{A_LIST(DIMS, 2)}},
           .error = "squeeze: dims 3 of a tensor with 2 dimensions"}),
};

static void unsqueeze_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM];
    int from = 0;
    for (int i = 0; i <= in->ndim; i++) dim[i] = i == a->v[0].i ? 1 : in->dim[from++];
    rt_new(out, in->ndim + 1, dim);
    for (int64_t i = 0; i < rt_numel(in); i++) out->v[i] = in->v[i];
}

OP_ROW(unsqueeze) = {
    .op = "unsqueeze",
    .dtypes = OP_ANY,
    .ref = unsqueeze_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x3"}}, .attrs = {{A_INT(NEWDIM, 0)}}},
          {.in = {{"2x3"}}, .attrs = {{A_INT(NEWDIM, 1)}}},
          {.in = {{"2x3"}}, .attrs = {{A_INT(NEWDIM, 2)}}},
          {.in = {{"scalar"}}, .attrs = {{A_INT(NEWDIM, 0)}}},
          {.in = {{"3x0"}}, .attrs = {{A_INT(NEWDIM, 1)}}},
          {.in = {{"2x3"}},
           .attrs = {{A_INT(NEWDIM, 3)}},
           .error = "unsqueeze: dim 4 of a tensor with 3 dimensions"},
          {.in = {{"1x1x1x1x1x1x1x1"}},
           .attrs = {{A_INT(NEWDIM, 0)}},
           .error = "unsqueeze: a tensor has at most 8 dimensions"}),
};

/* ---- permute, transpose, flip: an element of the result, by the index it is read from ---- */

static void permute_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM], from[TD_MAX_DIM];
    for (int i = 0; i < in->ndim; i++) dim[i] = in->dim[a->v[0].list[i]];
    rt_new(out, in->ndim, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        for (int d = 0; d < in->ndim; d++) from[a->v[0].list[d]] = index[d];
        out->v[i] = in->v[rt_at(in, from)];
    }
}

OP_ROW(permute) = {
    .op = "permute",
    .dtypes = OP_ANY,
    .ref = permute_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x3x4"}}, .attrs = {{A_LIST(DIMS, 2, 0, 1)}}},
          {.in = {{"2x3"}}, .attrs = {{A_LIST(DIMS, 1, 0)}}},
          {.in = {{"2x0x4"}}, .attrs = {{A_LIST(DIMS, 1, 2, 0)}}},
          {.in = {{"scalar"}}, .attrs = {{A_EMPTY(DIMS)}}},
          {.in = {{"2x3x4"}},
           .attrs = {{A_LIST(DIMS, 1, 0)}},
           .error = "permute: 2 dimensions named of a tensor with 3"},
          {.in = {{"2x3"}},
           .attrs = {{A_LIST(DIMS, 1, 1)}},
           .error = "permute: dimension 2 is named twice"}),
};

static void transpose_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    td_attrs as_list = {0};
    as_list.v[0].n = (uint8_t)in->ndim;
    for (int i = 0; i < in->ndim; i++) as_list.v[0].list[i] = i;
    as_list.v[0].list[a->v[0].i] = a->v[1].i;
    as_list.v[0].list[a->v[1].i] = a->v[0].i;
    permute_ref(in, nin, &as_list, out);
}

OP_ROW(transpose) = {
    .op = "transpose",
    .dtypes = OP_ANY,
    .ref = transpose_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x3"}}, .attrs = {{A_INT(DIM, 0), A_INT(DIM, 1)}}},
          {.in = {{"2x3x4"}}, .attrs = {{A_INT(DIM, 2), A_INT(DIM, 0)}}},
          {.in = {{"2x3x4"}}, .attrs = {{A_INT(DIM, 1), A_INT(DIM, 1)}}},
          {.in = {{"0x4"}}, .attrs = {{A_INT(DIM, 0), A_INT(DIM, 1)}}},
          {.in = {{"2x3"}},
           .attrs = {{A_INT(DIM, 0), A_INT(DIM, 2)}},
           .error = "transpose: dim2 3 of a tensor with 2 dimensions"}),
};

static void flip_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t index[TD_MAX_DIM];
    rt_like(out, in);
    for (int64_t i = 0; i < rt_numel(in); i++) {
        rt_index(in, i, index);
        for (int d = 0; d < in->ndim; d++) {
            bool named = a->v[0].n == 0;
            for (int k = 0; k < a->v[0].n; k++) named |= a->v[0].list[k] == d;
            if (named) index[d] = in->dim[d] - 1 - index[d];
        }
        out->v[i] = in->v[rt_at(in, index)];
    }
}

OP_ROW(flip) = {
    .op = "flip",
    .dtypes = OP_ANY,
    .ref = flip_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x3x4"}}}, {.in = {{"2x3x4"}}, .attrs = {{A_LIST(DIMS, 1)}}},
          {.in = {{"2x3"}}, .attrs = {{A_LIST(DIMS, 1, 0)}}}, {.in = {{"scalar"}}},
          {.in = {{"0x4"}}}),
};

/* ---- narrow, select, pad, cat: an index is moved along a dimension ---- */

/* out element i is in's, `by` further along dim. */
static void shifted(const rt *in, int dim, int64_t by, rt *out) {
    int64_t index[TD_MAX_DIM];
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        index[dim] += by;
        out->v[i] = in->v[rt_at(in, index)];
    }
}

static void narrow_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM], d = a->v[0].i, start = a->v[1].i;
    for (int i = 0; i < in->ndim; i++) dim[i] = i == d ? a->v[2].i : in->dim[i];
    rt_new(out, in->ndim, dim);
    shifted(in, (int)d, start < 0 ? start + in->dim[d] : start, out);
}

OP_ROW(narrow) = {
    .op = "narrow",
    .dtypes = OP_ANY,
    .ref = narrow_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"5x3"}}, .attrs = {{A_INT(DIM, 0), A_INT(POS, 1), A_INT(INT, 3)}}},
          {.in = {{"2x4x3"}}, .attrs = {{A_INT(DIM, 1), A_INT(POS, -2), A_INT(INT, 2)}}},
          {.in = {{"5"}}, .attrs = {{A_INT(DIM, 0), A_INT(POS, 0), A_INT(INT, 5)}}},
          {.in = {{"5"}}, .attrs = {{A_INT(DIM, 0), A_INT(POS, 5), A_INT(INT, 0)}}},
          {.in = {{"5"}},
           .attrs = {{A_INT(DIM, 0), A_INT(POS, 3), A_INT(INT, 3)}},
           .error = "narrow: 3 entries from position 4 of dimension 1, which has 5"},
          {.in = {{"3x5"}},
           .attrs = {{A_INT(DIM, 1), A_INT(POS, 6), A_INT(INT, 1)}},
           .error = "narrow: position 7 of dimension 2, which has 5"},
          {.in = {{"5"}},
           .attrs = {{A_INT(DIM, 0), A_INT(POS, -6), A_INT(INT, 1)}},
           .error = "narrow: position -6 of dimension 1, which has 5"},
          {.in = {{"5"}},
           .attrs = {{A_INT(DIM, 0), A_INT(POS, 0), A_INT(INT, -1)}},
           .error = "narrow: a length of -1 is below 0"},
          {.in = {{"scalar"}},
           .attrs = {{A_INT(DIM, 0), A_INT(POS, 0), A_INT(INT, 1)}},
           .error = "narrow: dim 1 of a tensor with 0 dimensions"}),
};

static void select_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM], from[TD_MAX_DIM], d = a->v[0].i,
                                                                  at = a->v[1].i;
    int n = 0;
    for (int i = 0; i < in->ndim; i++)
        if (i != d) dim[n++] = in->dim[i];
    rt_new(out, n, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        for (int k = 0, o = 0; k < in->ndim; k++)
            from[k] = k == d ? (at < 0 ? at + in->dim[d] : at) : index[o++];
        out->v[i] = in->v[rt_at(in, from)];
    }
}

OP_ROW(select) = {
    .op = "select",
    .dtypes = OP_ANY,
    .ref = select_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"5x3"}}, .attrs = {{A_INT(DIM, 0), A_INT(POS, 2)}}},
          {.in = {{"2x4x3"}}, .attrs = {{A_INT(DIM, 1), A_INT(POS, -1)}}},
          {.in = {{"4"}}, .attrs = {{A_INT(DIM, 0), A_INT(POS, 3)}}},
          {.in = {{"0x3"}}, .attrs = {{A_INT(DIM, 1), A_INT(POS, 1)}}},
          {.in = {{"5x3"}},
           .attrs = {{A_INT(DIM, 0), A_INT(POS, 6)}},
           .error = "select: position 7 of dimension 1, which has 5"},
          {.in = {{"5x3"}},
           .attrs = {{A_INT(DIM, 1), A_INT(POS, -4)}},
           .error = "select: position -4 of dimension 2, which has 3"},
          {.in = {{"0x3"}},
           .attrs = {{A_INT(DIM, 0), A_INT(POS, 0)}},
           .error = "select: position 1 of dimension 1, which has 0"}),
};

static void pad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM];
    int lead = in->ndim - a->v[0].n;
    for (int i = 0; i < in->ndim; i++)
        dim[i] = i < lead ? in->dim[i]
                          : a->v[0].list[i - lead] + in->dim[i] + a->v[1].list[i - lead];
    rt_new(out, in->ndim, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        bool inside = true;
        for (int d = lead; d < in->ndim; d++) {
            index[d] -= a->v[0].list[d - lead];
            inside &= index[d] >= 0 && index[d] < in->dim[d];
        }
        double fill = a->v[2].kind == TD_ATTR_FLOAT ? a->v[2].f : 0;
        out->v[i] = inside ? in->v[rt_at(in, index)] : fill;
    }
}

OP_ROW(pad) = {
    .op = "pad",
    .dtypes = OP_ANY,
    .ref = pad_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x3"}}, .attrs = {{A_LIST(INTS, 1, 2), A_LIST(INTS, 0, 1)}}},
          {.in = {{"2x3"}}, .attrs = {{A_LIST(INTS, 2), A_LIST(INTS, 3), A_FLT(1)}}},
          {.in = {{"1x2x3"}}, .attrs = {{A_LIST(INTS, 0, 0, 0), A_LIST(INTS, 0, 0, 0)}}},
          {.in = {{"0x3"}},
           .attrs = {{A_LIST(INTS, 1, 0), A_LIST(INTS, 1, 0), A_FLT(1)}}},
          {.in = {{"3"}},
           .attrs = {{A_LIST(INTS, 1, 1), A_LIST(INTS, 1, 1)}},
           .error = "pad: sizes for 2 dimensions of a tensor with 1"},
          {.in = {{"3x3"}},
           .attrs = {{A_LIST(INTS, 1, 1), A_LIST(INTS, 1)}},
           .error = "pad: 2 sizes before and 1 after"},
          {.in = {{"3x3"}},
           .attrs = {{A_LIST(INTS, 1, -1), A_LIST(INTS, 1, 0)}},
           .error = "pad: -1 and 0 for dimension 2: below 0"}),
};

static void cat_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM],
        d = a->v[0].kind == TD_ATTR_DIM ? a->v[0].i : 0;
    for (int i = 0; i < in->ndim; i++) dim[i] = in->dim[i];
    for (int k = 1; k < nin; k++) dim[d] += in[k].dim[d];
    rt_new(out, in->ndim, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        int k = 0;
        while (index[d] >= in[k].dim[d]) index[d] -= in[k++].dim[d];
        out->v[i] = in[k].v[rt_at(&in[k], index)];
    }
}

OP_ROW(cat) = {
    .op = "cat",
    .dtypes = OP_ALL,
    .ref = cat_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x3"}, {"1x3"}}},
          {.in = {{"2x3"}, {"2x1"}, {"2x2"}}, .attrs = {{A_INT(DIM, 1)}}},
          {.in = {{"3"}}}, {.in = {{"0x3"}, {"2x3"}}},
          {.in = {{"2x0"}, {"2x0"}}, .attrs = {{A_INT(DIM, 1)}}},
          {.in = {{"2x3"}, {"2x4"}},
           .error = "cat: tensor 2 is 2x4, which does not join 2x3 along dimension 1"},
          {.in = {{"2x3"}, {"3"}},
           .error = "cat: tensor 2 is 3, which does not join 2x3 along dimension 1"},
          {.in = {{"scalar"}, {"3"}},
           .error = "cat: scalars have no dimension to join along"}),
};
