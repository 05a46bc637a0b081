/* Rows of softmax, log_softmax and nll_loss, from their definitions. */
#include "tests/ops/rows.h"

/* The index of the same line's entry c along dim. */
static double along(const rt *x, int64_t i, int64_t dim, int64_t c) {
    int64_t index[TD_MAX_DIM];
    rt_index(x, i, index);
    index[dim] = c;
    return x->v[rt_at(x, index)];
}

static void softmax_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim = a->v[0].i;
    rt_like(out, in);
    for (int64_t i = 0; i < rt_numel(in); i++) {
        double sum = 0;
        for (int64_t c = 0; c < in->dim[dim]; c++)
            sum += exp(along(in, i, dim, c) - in->v[i]);
        out->v[i] = 1 / sum;
    }
}

/* log softmax = x - most - log(sum exp(x - most)), which no spread of the line can overflow. */
static void log_softmax_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim = a->v[0].i;
    rt_like(out, in);
    for (int64_t i = 0; i < rt_numel(in); i++) {
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < in->dim[dim]; c++)
            most = fmax(most, along(in, i, dim, c));
        for (int64_t c = 0; c < in->dim[dim]; c++)
            sum += exp(along(in, i, dim, c) - most);
        out->v[i] = in->v[i] - most - log(sum);
    }
}

#define SOFTMAX_CASES                                                                    \
    CASES({.in = {{"2x5"}}, .attrs = {{A_INT(DIM, 1)}}},                                 \
          {.in = {{"2x5"}}, .attrs = {{A_INT(DIM, 0)}}},                                 \
          {.in = {{"2x3x2"}}, .attrs = {{A_INT(DIM, 1)}}},                               \
          {.in = {{"2x3x2x2"}}, .attrs = {{A_INT(DIM, 3)}}},                             \
          {.in = {{"4"}}, .attrs = {{A_INT(DIM, 0)}}},                                   \
          {.in = {{"3x1"}}, .attrs = {{A_INT(DIM, 1)}}},                                 \
          {.in = {{"0x4"}}, .attrs = {{A_INT(DIM, 1)}}},                                 \
          {.in = {{"4x0"}}, .attrs = {{A_INT(DIM, 1)}}},                                 \
          {.in = {{"3", .low = -80, .high = 80}},                                        \
           .attrs = {{A_INT(DIM, 0)}},                                                   \
           .flags = OP_NO_GRAD},                                                         \
          {.in = {{"3", VALUES(1e4, 9999, -1e4)}},                                       \
           .attrs = {{A_INT(DIM, 0)}},                                                   \
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS})

OP_ROW(softmax) = {
    .op = "softmax",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = softmax_ref,
    .flags = OP_GRAD2,
    SOFTMAX_CASES,
};

OP_ROW(log_softmax) = {
    .op = "log_softmax",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = log_softmax_ref,
    .flags = OP_GRAD2,
    SOFTMAX_CASES,
};

/* The inputs are the gradient and the result, which need not be one. */
static void softmax_grad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim = a->v[0].i;
    rt_like(out, in);
    for (int64_t i = 0; i < rt_numel(in); i++) {
        double sum = 0;
        for (int64_t c = 0; c < in->dim[dim]; c++)
            sum += along(&in[0], i, dim, c) * along(&in[1], i, dim, c);
        out->v[i] = in[1].v[i] * (in[0].v[i] - sum);
    }
}

static void log_softmax_grad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t dim = a->v[0].i;
    rt_like(out, in);
    for (int64_t i = 0; i < rt_numel(in); i++) {
        double sum = 0;
        for (int64_t c = 0; c < in->dim[dim]; c++) sum += along(&in[0], i, dim, c);
        out->v[i] = in[0].v[i] - exp(in[1].v[i]) * sum;
    }
}

#define SOFTMAX_GRAD_CASES(name)                                                         \
    CASES({.in = {{"2x5"}, {"2x5"}}, .attrs = {{A_INT(DIM, 1)}}},                        \
          {.in = {{"2x5"}, {"2x5"}}, .attrs = {{A_INT(DIM, 0)}}},                        \
          {.in = {{"2x3x2"}, {"2x3x2"}}, .attrs = {{A_INT(DIM, 1)}}},                    \
          {.in = {{"2x3x2x2"}, {"2x3x2x2"}}, .attrs = {{A_INT(DIM, 1)}}},                \
          {.in = {{"0x4"}, {"0x4"}}, .attrs = {{A_INT(DIM, 1)}}},                        \
          {.in = {{"3x4"}, {"4"}},                                                       \
           .attrs = {{A_INT(DIM, 1)}},                                                   \
           .error = name ": the gradient is 3x4, the result 4"})

OP_ROW(softmax_grad) = {
    .op = "softmax_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = softmax_grad_ref,
    .flags = OP_GRAD2,
    SOFTMAX_GRAD_CASES("softmax_grad"),
};

OP_ROW(log_softmax_grad) = {
    .op = "log_softmax_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = log_softmax_grad_ref,
    .flags = OP_GRAD2,
    SOFTMAX_GRAD_CASES("log_softmax_grad"),
};

/* ---- nll_loss ---- */

enum { NONE, MEAN, SUM };

static int64_t reduction_of(const td_attr *a) {
    return a->kind == TD_ATTR_INT ? a->i : MEAN;
}

/* The element of logp that label i names. */
static int64_t named(const rt *logp, const rt *label, int64_t i) {
    int64_t index[TD_MAX_DIM];
    rt_index(label, i, index);
    int dim = logp->ndim == 1 ? 0 : 1;
    for (int d = logp->ndim - 1; d > dim; d--) index[d] = index[d - 1];
    index[dim] = (int64_t)label->v[i];
    return rt_at(logp, index);
}

static void nll_loss_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t reduction = reduction_of(&a->v[0]), n = rt_numel(&in[1]);
    rt_new(out, reduction == NONE ? in[1].ndim : 0, in[1].dim);
    for (int64_t i = 0; i < n; i++)
        out->v[reduction == NONE ? i : 0] -= in[0].v[named(&in[0], &in[1], i)];
    if (reduction == MEAN) out->v[0] /= (double)n;
}

OP_ROW(nll_loss) = {
    .op = "nll_loss",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = nll_loss_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"4x3"}, {"4", TD_I64, .low = 0, .high = 2}}},
          {.in = {{"4x3"}, {"4", TD_I32, .low = 0, .high = 2}},
           .attrs = {{A_INT(INT, NONE)}}},
          {.in = {{"4x3"}, {"4", TD_U8, .low = 0, .high = 2}},
           .attrs = {{A_INT(INT, SUM)}}},
          {.in = {{"2x3x2x2"}, {"2x2x2", TD_I64, .low = 0, .high = 2}}},
          {.in = {{"2x3x2"}, {"2x2", TD_I64, .low = 0, .high = 2}},
           .attrs = {{A_INT(INT, NONE)}}},
          {.in = {{"3"}, {"scalar", TD_I64, .low = 0, .high = 2}}},
          {.in = {{"0x3"}, {"0", TD_I64}}, .attrs = {{A_INT(INT, SUM)}}},
          {.in = {{"0x3"}, {"0", TD_I64}}, .flags = OP_NO_GRAD},
          {.in = {{"4x10"}, {"4", TD_I64, VALUES(0, 9, 10, 1)}},
           .error = "nll_loss: label 10 with 10 classes (labels count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"2x3"}, {"2", TD_I64, VALUES(0, -1)}},
           .error = "nll_loss: label -1 with 3 classes (labels count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"4x3"}, {"3", TD_I64}},
           .error = "nll_loss: 4x3 wants 4 labels, got 3"},
          {.in = {{"scalar"}, {"3", TD_I64}},
           .error = "nll_loss: wants NxC numbers, got a scalar"},
          {.in = {{"4x3"}, {"4", TD_F32}},
           .error = "nll_loss: labels are i64, i32 or u8, got f32"},
          {.in = {{"4x3"}, {"4", TD_I64, .low = 0, .high = 2}},
           .attrs = {{A_INT(INT, 3)}},
           .error = "nll_loss: reduction is 0 (none), 1 (mean) or 2 (sum), got 3"}),
};

static void nll_loss_grad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int64_t reduction = reduction_of(&a->v[1]), n = rt_numel(&in[1]);
    rt_new(out, a->v[0].n, a->v[0].list);
    for (int64_t i = 0; i < n; i++)
        out->v[named(out, &in[1], i)] =
            -in[0].v[reduction == NONE ? i : 0] / (reduction == MEAN ? (double)n : 1);
}

OP_ROW(nll_loss_grad) = {
    .op = "nll_loss_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = nll_loss_grad_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"scalar"}, {"4", TD_I64, .low = 0, .high = 2}},
           .attrs = {{A_LIST(SIZES, 4, 3)}}},
          {.in = {{"4"}, {"4", TD_I64, .low = 0, .high = 2}},
           .attrs = {{A_LIST(SIZES, 4, 3), A_INT(INT, NONE)}}},
          {.in = {{"scalar"}, {"2x2", TD_I64, .low = 0, .high = 2}},
           .attrs = {{A_LIST(SIZES, 2, 3, 2), A_INT(INT, SUM)}}},
          {.in = {{"4"}, {"4", TD_I64}},
           .attrs = {{A_LIST(SIZES, 4, 3)}},
           .error = "nll_loss_grad: wants a gradient of scalar, got 4"},
          {.in = {{"scalar"}, {"4", TD_I64, VALUES(0, 0, 0, 3)}},
           .attrs = {{A_LIST(SIZES, 4, 3)}},
           .error = "nll_loss_grad: label 3 with 3 classes (labels count from 0)",
           .flags = OP_NO_LAYOUTS}),
};
