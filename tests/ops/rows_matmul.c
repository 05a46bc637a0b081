/* The row of matmul: three loops in double. */
#include "tests/ops/rows.h"

/* Any rank as a batch of matrices: vectors get a dimension of 1. */
static rt as_matrices(const rt *x, bool is_left) {
    rt m = *x;
    if (x->ndim > 1) return m;
    m.ndim = 2;
    m.dim[0] = is_left ? 1 : x->dim[0];
    m.dim[1] = is_left ? x->dim[0] : 1;
    return m;
}

static double element(const rt *m, const int64_t *batch, int nbatch, int64_t row,
                      int64_t col) {
    int64_t index[TD_MAX_DIM];
    int own = m->ndim - 2;
    for (int d = 0; d < own; d++) index[d] = m->dim[d] == 1 ? 0 : batch[nbatch - own + d];
    index[own] = row;
    index[own + 1] = col;
    return m->v[rt_at(m, index)];
}

static void matmul_ref(const rt *in, int nin, const td_attrs *at, rt *out) {
    (void)nin, (void)at;
    rt a = as_matrices(&in[0], true), b = as_matrices(&in[1], false);
    int64_t dim[TD_MAX_DIM], index[TD_MAX_DIM];
    int nbatch = (a.ndim > b.ndim ? a.ndim : b.ndim) - 2, n = nbatch;
    for (int d = 0; d < nbatch; d++) {
        int da = d - (nbatch - (a.ndim - 2)), db = d - (nbatch - (b.ndim - 2));
        dim[d] = da >= 0 ? a.dim[da] : 1;
        if (db >= 0 && dim[d] == 1) dim[d] = b.dim[db];
    }
    if (in[0].ndim > 1) dim[n++] = a.dim[a.ndim - 2];
    if (in[1].ndim > 1) dim[n++] = b.dim[b.ndim - 1];
    rt_new(out, n, dim);
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, index);
        int64_t row = in[0].ndim > 1 ? index[nbatch] : 0;
        int64_t col = in[1].ndim > 1 ? index[n - 1] : 0;
        for (int64_t k = 0; k < a.dim[a.ndim - 1]; k++)
            out->v[i] +=
                element(&a, index, nbatch, row, k) * element(&b, index, nbatch, k, col);
    }
}

OP_ROW(matmul) = {
    .op = "matmul",
    .dtypes = OP_NUMBERS,
    .ref = matmul_ref,
    .flags = OP_GRAD2,
    .tol32 = 1e-5,
    CASES({.in = {{"2x3"}, {"3x4"}}}, {.in = {{"17x33"}, {"33x9"}}, .flags = OP_NO_GRAD},
          {.in = {{"3"}, {"3"}}}, {.in = {{"3"}, {"3x4"}}}, {.in = {{"2x3"}, {"3"}}},
          {.in = {{"1x3"}, {"3x1"}}}, {.in = {{"5x1"}, {"1x4"}}},
          {.in = {{"2x2x3"}, {"2x3x2"}}}, {.in = {{"4x2x3"}, {"3x2"}}},
          {.in = {{"4x1x3"}, {"3x2"}}}, {.in = {{"2x3"}, {"4x3x2"}}},
          {.in = {{"2x1x2x3"}, {"3x3x2"}}}, {.in = {{"3"}, {"2x3x2"}}},
          {.in = {{"2x2x3"}, {"3"}}}, {.in = {{"0x3"}, {"3x2"}}},
          {.in = {{"2x0"}, {"0x3"}}}, {.in = {{"0x2x3"}, {"3x2"}}},
          {.in = {{"0"}, {"0"}}},
          {.in = {{"2x3"}, {"4x5"}}, .error = "matmul: 2x3 does not multiply 4x5"},
          {.in = {{"scalar"}, {"3"}}, .error = "matmul: scalar does not multiply 3"},
          {.in = {{"2x2x3"}, {"3x3x2"}},
           .error = "matmul: 2x2x3 does not multiply 3x3x2"},
          {.in = {{"3"}, {"2"}}, .error = "matmul: 3 does not multiply 2"}),
};
