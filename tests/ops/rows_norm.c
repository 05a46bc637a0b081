/* Rows of the normalisations, from their definitions. */
#include "tests/ops/rows.h"

typedef enum kind { GROUP, LAYER, BATCH } kind;

/* Which statistic, and which entry of weight and bias, element i belongs to. */
typedef struct place {
    int64_t statistic, weight;
} place;

static place place_of(kind k, const rt *x, const td_attrs *a, int64_t i) {
    int64_t index[TD_MAX_DIM];
    rt_index(x, i, index);
    if (k == BATCH) return (place){index[1], index[1]};
    if (k == GROUP) {
        int64_t groups = a->v[1].i;
        return (place){index[0] * groups + index[1] / (x->dim[1] / groups), index[1]};
    }
    int64_t last = 1;
    for (int d = 0; d < (a->v[1].kind ? a->v[1].i : 1); d++)
        last *= x->dim[x->ndim - 1 - d];
    return (place){i / last, i % last};
}

/* Sizes of the statistics and of the weight. */
static void sizes(kind k, const rt *x, const td_attrs *a, rt *statistics, rt *weight) {
    int first = x->ndim - (a->v[1].kind ? (int)a->v[1].i : 1);
    if (k == LAYER) {
        rt_new(statistics, first, x->dim);
        rt_new(weight, x->ndim - first, x->dim + first);
        return;
    }
    rt_new(weight, 1, &x->dim[1]);
    if (k == BATCH)
        rt_new(statistics, 1, &x->dim[1]);
    else
        rt_new(statistics, 2, (int64_t[]){x->dim[0], a->v[1].i});
}

static double eps_of(const td_attrs *a) { return a->v[0].kind ? a->v[0].f : 1e-5; }

static void norm(kind k, const rt *in, int nin, const td_attrs *a, rt *out) {
    const rt *x = &in[0];
    rt weight;
    rt_like(&out[0], x);
    sizes(k, x, a, &out[1], &weight);
    rt_like(&out[2], &out[1]);
    int64_t n = rt_numel(x), count = rt_numel(&out[1]);
    double each = (double)n / (double)count;
    for (int64_t i = 0; i < n; i++) out[1].v[place_of(k, x, a, i).statistic] += x->v[i];
    for (int64_t s = 0; s < count; s++) out[1].v[s] /= each;
    for (int64_t i = 0; i < n; i++) {
        int64_t s = place_of(k, x, a, i).statistic;
        out[2].v[s] += (x->v[i] - out[1].v[s]) * (x->v[i] - out[1].v[s]);
    }
    for (int64_t s = 0; s < count; s++) out[2].v[s] /= each;
    for (int64_t i = 0; i < n; i++) {
        place p = place_of(k, x, a, i);
        double y =
            (x->v[i] - out[1].v[p.statistic]) / sqrt(out[2].v[p.statistic] + eps_of(a));
        out[0].v[i] = nin == 3 ? y * in[1].v[p.weight] + in[2].v[p.weight] : y;
    }
    free(weight.v);
}

/* The inputs are x, dy, mean, var, weight; mean and var need not be x's own. */
static void norm_grad(kind k, const rt *in, int nin, const td_attrs *a, rt *out) {
    const rt *x = &in[0], *dy = &in[1], *mean = &in[2], *var = &in[3];
    rt sum, product, weight;
    sizes(k, x, a, &sum, &weight);
    rt_like(&product, &sum);
    rt_like(&out[0], x);
    rt_like(&out[1], &weight);
    rt_like(&out[2], &weight);
    int64_t n = rt_numel(x);
    double each = (double)n / (double)rt_numel(&sum);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < n; i++) {
            place p = place_of(k, x, a, i);
            double r = 1 / sqrt(var->v[p.statistic] + eps_of(a));
            double h = (x->v[i] - mean->v[p.statistic]) * r;
            double g = dy->v[i] * (nin == 5 ? in[4].v[p.weight] : 1);
            if (pass == 0) {
                sum.v[p.statistic] += g / each;
                product.v[p.statistic] += g * h / each;
                out[1].v[p.weight] += dy->v[i] * h;
                out[2].v[p.weight] += dy->v[i];
            } else {
                out[0].v[i] = r * (g - sum.v[p.statistic] - h * product.v[p.statistic]);
            }
        }
    free(sum.v), free(product.v), free(weight.v);
}

#define REFS(name, KIND)                                                                 \
    static void name##_ref(const rt *in, int nin, const td_attrs *a, rt *out) {          \
        norm(KIND, in, nin, a, out);                                                     \
    }                                                                                    \
    static void name##_grad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {     \
        norm_grad(KIND, in, nin, a, out);                                                \
    }

#define EPS A_FLT(0.3)
#define OUT .dtypes = OP_ALL, .out = {OP_FLOAT, OP_FLOAT, OP_FLOAT}, .flags = OP_GRAD2
#define NAN_STATISTICS .flags = OP_NO_GRAD

/* ---- group_norm ---- */

REFS(group_norm, GROUP)
OP_ROW(group_norm) = {
    .op = "group_norm",
    OUT,
    .ref = group_norm_ref,
    .tol32 = 1e-5,
    CASES({.in = {{"2x4x3"}}, .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"2x4x3"}, {"4"}, {"4"}}, .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"2x4x2x2"}, {"4"}, {"4"}}, .attrs = {{EPS, A_INT(INT, 1)}}},
          {.in = {{"2x3x2x2"}, {"3"}, {"3"}}, .attrs = {{EPS, A_INT(INT, 3)}}},
          {.in = {{"3x6"}, {"6"}, {"6"}}, .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"2x2x3x1x2"}, {"2"}, {"2"}}, .attrs = {{EPS, A_INT(INT, 1)}}},
          {.in = {{"2x2x40"}}, .attrs = {{A_NONE, A_INT(INT, 1)}}, .flags = OP_NO_GRAD},
          {.in = {{"0x4x3"}, {"4"}, {"4"}}, .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"1x2x0"}}, .attrs = {{EPS, A_INT(INT, 2)}}, NAN_STATISTICS},
          {.in = {{"2x4x3"}},
           .attrs = {{EPS, A_INT(INT, 3)}},
           .error = "group_norm: the channels of 2x4x3 do not make 3 equal groups"},
          {.in = {{"2x4x3"}},
           .attrs = {{EPS, A_INT(INT, 0)}},
           .error = "group_norm: the channels of 2x4x3 do not make 0 equal groups"},
          {.in = {{"4"}},
           .attrs = {{EPS, A_INT(INT, 2)}},
           .error = "group_norm: wants [N, C, ...], got 4"},
          {.in = {{"2x4x3"}},
           .attrs = {{A_FLT(-1), A_INT(INT, 2)}},
           .error = "group_norm: eps is -1, not at least 0"},
          {.in = {{"2x4"}, {"4"}},
           .attrs = {{EPS, A_INT(INT, 2)}},
           .error = "group_norm: takes x, or x, weight and bias; got 2 tensors"},
          {.in = {{"2x4"}, {"3"}, {"4"}},
           .attrs = {{EPS, A_INT(INT, 2)}},
           .error = "group_norm: the weight is 3, wanted 4"},
          {.in = {{"2x4"}, {"4"}, {"1x4"}},
           .attrs = {{EPS, A_INT(INT, 2)}},
           .error = "group_norm: the bias is 1x4, wanted 4"}),
};

/* mean and var are inputs like others: var must stay above -eps. */
#define VAR(sizes)                                                                       \
    { sizes, .low = 1, .high = 2 }

OP_ROW(group_norm_grad) = {
    .op = "group_norm_grad",
    OUT,
    .ref = group_norm_grad_ref,
    .tol32 = 1e-5,
    CASES({.in = {{"2x4x3"}, {"2x4x3"}, {"2x2"}, VAR("2x2")},
           .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"2x4x2x2"}, {"2x4x2x2"}, {"2x2"}, VAR("2x2"), {"4"}},
           .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"3x4"}, {"3x4"}, {"3x2"}, VAR("3x2"), {"4"}},
           .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"0x4x3"}, {"0x4x3"}, {"0x2"}, VAR("0x2"), {"4"}},
           .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"2x4"}, {"2x4"}, {"2x1"}},
           .attrs = {{EPS, A_INT(INT, 1)}},
           .error = "group_norm_grad: takes x, the gradient, mean, var and perhaps "
                    "weight; got 3 tensors"},
          {.in = {{"2x4"}, {"2x3"}, {"2x1"}, {"2x1"}},
           .attrs = {{EPS, A_INT(INT, 1)}},
           .error = "group_norm_grad: the gradient is 2x3, wanted 2x4"},
          {.in = {{"2x4"}, {"2x4"}, {"2"}, {"2x1"}},
           .attrs = {{EPS, A_INT(INT, 1)}},
           .error = "group_norm_grad: the mean is 2, wanted 2x1"},
          {.in = {{"2x4"}, {"2x4"}, {"2x1"}, {"2"}},
           .attrs = {{EPS, A_INT(INT, 1)}},
           .error = "group_norm_grad: the var is 2, wanted 2x1"},
          {.in = {{"2x4"}, {"2x4"}, {"2x1"}, {"2x1"}, {"2"}},
           .attrs = {{EPS, A_INT(INT, 1)}},
           .error = "group_norm_grad: the weight is 2, wanted 4"}),
};

/* ---- layer_norm ---- */

REFS(layer_norm, LAYER)
OP_ROW(layer_norm) = {
    .op = "layer_norm",
    OUT,
    .ref = layer_norm_ref,
    .tol32 = 1e-5,
    CASES({.in = {{"3x5"}}, .attrs = {{EPS, A_INT(INT, 1)}}},
          {.in = {{"3x5"}, {"5"}, {"5"}}, .attrs = {{EPS}}},
          {.in = {{"2x3x4"}, {"3x4"}, {"3x4"}}, .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"2x2x2x3"}, {"2x3"}, {"2x3"}}, .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"6"}, {"6"}, {"6"}}, .attrs = {{EPS, A_INT(INT, 1)}}},
          {.in = {{"0x4"}, {"4"}, {"4"}}, .attrs = {{EPS}}},
          {.in = {{"2x0"}}, .attrs = {{EPS}}, NAN_STATISTICS},
          {.in = {{"2x3"}},
           .attrs = {{EPS, A_INT(INT, 3)}},
           .error = "layer_norm: dims is 3, and the tensor 2x3"},
          {.in = {{"2x3"}},
           .attrs = {{EPS, A_INT(INT, 0)}},
           .error = "layer_norm: dims is 0, and the tensor 2x3"},
          {.in = {{"2x3"}, {"2"}, {"3"}},
           .attrs = {{EPS}},
           .error = "layer_norm: the weight is 2, wanted 3"}),
};

OP_ROW(layer_norm_grad) = {
    .op = "layer_norm_grad",
    OUT,
    .ref = layer_norm_grad_ref,
    .tol32 = 1e-5,
    CASES({.in = {{"3x5"}, {"3x5"}, {"3"}, VAR("3")}, .attrs = {{EPS}}},
          {.in = {{"2x3x4"}, {"2x3x4"}, {"2"}, VAR("2"), {"3x4"}},
           .attrs = {{EPS, A_INT(INT, 2)}}},
          {.in = {{"6"}, {"6"}, {"scalar"}, VAR("scalar"), {"6"}}, .attrs = {{EPS}}},
          {.in = {{"3x5"}, {"3x5"}, {"3x1"}, {"3"}},
           .attrs = {{EPS}},
           .error = "layer_norm_grad: the mean is 3x1, wanted 3"}),
};

/* ---- batch_norm ---- */

REFS(batch_norm, BATCH)
OP_ROW(batch_norm) = {
    .op = "batch_norm",
    OUT,
    .ref = batch_norm_ref,
    .tol32 = 1e-5,
    CASES({.in = {{"3x2x3"}}, .attrs = {{EPS}}},
          {.in = {{"3x2x2x2"}, {"2"}, {"2"}}, .attrs = {{EPS}}},
          {.in = {{"5x3"}, {"3"}, {"3"}}, .attrs = {{EPS}}},
          {.in = {{"40x3"}}, .attrs = {{EPS}}, .flags = OP_NO_GRAD},
          {.in = {{"0x2"}}, .attrs = {{EPS}}, NAN_STATISTICS},
          {.in = {{"3"}},
           .attrs = {{EPS}},
           .error = "batch_norm: wants [N, C, ...], got 3"},
          {.in = {{"2x3"}, {"3"}, {"2"}},
           .attrs = {{EPS}},
           .error = "batch_norm: the bias is 2, wanted 3"}),
};

OP_ROW(batch_norm_grad) = {
    .op = "batch_norm_grad",
    OUT,
    .ref = batch_norm_grad_ref,
    .tol32 = 1e-5,
    CASES({.in = {{"3x2x3"}, {"3x2x3"}, {"2"}, VAR("2")}, .attrs = {{EPS}}},
          {.in = {{"3x2x2x2"}, {"3x2x2x2"}, {"2"}, VAR("2"), {"2"}}, .attrs = {{EPS}}},
          {.in = {{"5x3"}, {"5x3"}, {"3"}, VAR("3"), {"3"}}, .attrs = {{EPS}}},
          {.in = {{"2x3"}, {"2x3"}, {"3"}, {"2"}},
           .attrs = {{EPS}},
           .error = "batch_norm_grad: the var is 2, wanted 3"}),
};
