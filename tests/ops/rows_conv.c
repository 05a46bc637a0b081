/* Rows of convolution and pooling: seven nested loops, straight from the definition. */
#include "tests/ops/rows.h"

/* ---- conv2d, conv2d_input, conv2d_weight ---- */

/* Stride, padding, dilation and groups, from a case's attributes `from` on. */
typedef struct window {
    int64_t stride[2], padding[2], dilation[2], groups;
} window;

static void pair(const td_attr *a, int64_t preset, int64_t out[2]) {
    for (int i = 0; i < 2; i++) out[i] = a->kind ? a->list[i] : preset;
}

static window window_of(const td_attrs *a, int from) {
    window w = {.groups = a->v[from + 3].kind ? a->v[from + 3].i : 1};
    pair(&a->v[from], 1, w.stride);
    pair(&a->v[from + 1], 0, w.padding);
    pair(&a->v[from + 2], 1, w.dilation);
    return w;
}

static int64_t out_size(const window *w, int side, int64_t size, int64_t kernel) {
    return (size + 2 * w->padding[side] - w->dilation[side] * (kernel - 1) - 1) /
               w->stride[side] +
           1;
}

/* Goes through all products x * weight -> y of a convolution, and adds to the one of the three that is
 * asked for the product of the other two. */
static void conv_loops(const window *s, rt *x, rt *weight, rt *y, rt *result) {
    int64_t filters = weight->dim[0] / s->groups;
    for (int64_t n = 0; n < y->dim[0]; n++)
        for (int64_t o = 0; o < y->dim[1]; o++)
            for (int64_t i = 0; i < y->dim[2]; i++)
                for (int64_t j = 0; j < y->dim[3]; j++)
                    for (int64_t c = 0; c < weight->dim[1]; c++)
                        for (int64_t p = 0; p < weight->dim[2]; p++)
                            for (int64_t q = 0; q < weight->dim[3]; q++) {
                                int64_t row =
                                    i * s->stride[0] + p * s->dilation[0] - s->padding[0];
                                int64_t col =
                                    j * s->stride[1] + q * s->dilation[1] - s->padding[1];
                                if (row < 0 || row >= x->dim[2] || col < 0 ||
                                    col >= x->dim[3])
                                    continue;
                                int64_t channel = o / filters * weight->dim[1] + c;
                                double *vx =
                                    &x->v[rt_at(x, (int64_t[]){n, channel, row, col})];
                                double *vw =
                                    &weight->v[rt_at(weight, (int64_t[]){o, c, p, q})];
                                double *vy = &y->v[rt_at(y, (int64_t[]){n, o, i, j})];
                                if (result == y) *vy += *vx * *vw;
                                if (result == x) *vx += *vy * *vw;
                                if (result == weight) *vw += *vy * *vx;
                            }
}

static void conv2d_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    window w = window_of(a, 0);
    rt x = in[0], weight = in[1];
    rt_new(out, 4,
           (int64_t[]){x.dim[0], weight.dim[0], out_size(&w, 0, x.dim[2], weight.dim[2]),
                       out_size(&w, 1, x.dim[3], weight.dim[3])});
    conv_loops(&w, &x, &weight, out, out);
}

#define STRIDE(a, b) A_LIST(INTS, a, b)

OP_ROW(conv2d) = {
    .op = "conv2d",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = conv2d_ref,
    .flags = OP_GRAD2,
    .tol32 = 1e-5,
    CASES({.in = {{"2x1x5x5"}, {"3x1x3x3"}}},
          {.in = {{"1x2x4x5"}, {"2x2x2x3"}},
           .attrs = {{STRIDE(2, 1), STRIDE(1, 2), STRIDE(1, 1)}}},
          {.in = {{"1x2x6x5"}, {"2x2x2x2"}},
           .attrs = {{STRIDE(1, 2), STRIDE(0, 1), STRIDE(2, 3)}}},
          {.in = {{"1x4x3x3"}, {"4x2x2x2"}},
           .attrs = {{A_NONE, A_NONE, A_NONE, A_INT(INT, 2)}}},
          {.in = {{"1x3x3x3"}, {"3x1x3x1"}},
           .attrs = {{A_NONE, STRIDE(1, 0), A_NONE, A_INT(INT, 3)}}},
          {.in = {{"2x3x2x2"}, {"2x3x1x1"}}}, {.in = {{"1x2x5x3"}, {"2x2x3x1"}}},
          {.in = {{"1x1x3x3"}, {"1x1x1x1"}}, .attrs = {{STRIDE(2, 2), STRIDE(1, 1)}}},
          {.in = {{"2x24x6x7"}, {"3x24x3x2"}}, .flags = OP_NO_GRAD},
          {.in = {{"2x24x9x7"}, {"3x24x3x3"}},
           .attrs = {{STRIDE(2, 2), STRIDE(1, 1)}},
           .flags = OP_NO_GRAD},
          {.in = {{"1x25x9x9"}, {"2x25x3x2"}},
           .attrs = {{STRIDE(2, 1), STRIDE(2, 0), STRIDE(3, 2)}},
           .flags = OP_NO_GRAD},
          {.in = {{"1x25x9x9"}, {"2x25x2x2"}},
           .attrs = {{STRIDE(5, 4)}},
           .flags = OP_NO_GRAD},
          {.in = {{"1x1x28x28"}, {"6x1x5x5"}}, .flags = OP_NO_GRAD},
          {.in = {{"0x2x4x4"}, {"3x2x2x2"}}}, {.in = {{"2x0x4x4"}, {"3x0x2x2"}}},
          {.in = {{"2x2x4x4"}, {"0x2x2x2"}}},
          {.in = {{"3x28x28"}, {"3x1x3x3"}},
           .error = "conv2d: wants images [N, C, H, W], got 3x28x28"},
          {.in = {{"1x1x4x4"}, {"3x3"}},
           .error = "conv2d: wants weights [out, in, H, W], got 3x3"},
          {.in = {{"1x3x4x4"}, {"2x1x3x3"}},
           .error = "conv2d: images of 1x3x4x4 and weights of 2x1x3x3 with 1 group: 3 "
                    "channels, not 1"},
          {.in = {{"1x4x4x4"}, {"2x4x3x3"}},
           .attrs = {{A_NONE, A_NONE, A_NONE, A_INT(INT, 2)}},
           .error = "conv2d: images of 1x4x4x4 and weights of 2x4x3x3 with 2 groups: 4 "
                    "channels, not 8"},
          {.in = {{"1x2x4x4"}, {"3x1x3x3"}},
           .attrs = {{A_NONE, A_NONE, A_NONE, A_INT(INT, 2)}},
           .error = "conv2d: 3 filters do not go into 2 groups"},
          {.in = {{"1x1x4x4"}, {"1x1x5x5"}},
           .error = "conv2d: a kernel of 5x5 does not fit into 4x4 with padding 0x0"},
          {.in = {{"1x1x4x4"}, {"1x1x3x3"}},
           .attrs = {{A_NONE, A_NONE, STRIDE(1, 2)}},
           .error = "conv2d: a kernel of 3x3 with dilation 1x2 does not fit into 4x4 "
                    "with padding 0x0"},
          {.in = {{"1x1x4x4"}, {"1x1x0x3"}},
           .error = "conv2d: weights of 1x1x0x3 have no elements to multiply with"},
          {.in = {{"1x1x4x4"}, {"1x1x3x3"}},
           .attrs = {{STRIDE(0, 1)}},
           .error = "conv2d: stride 0 is below 1"},
          {.in = {{"1x1x4x4"}, {"1x1x3x3"}},
           .attrs = {{A_NONE, STRIDE(0, -1)}},
           .error = "conv2d: padding -1 is below 0"},
          {.in = {{"1x1x4x4"}, {"1x1x3x3"}},
           .attrs = {{A_NONE, A_NONE, STRIDE((int64_t)1 << 31, 1)}},
           .error = "conv2d: dilation 2147483648 is above 2147483647"}),
};

static void conv2d_input_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    window w = window_of(a, 1);
    rt g = in[0], weight = in[1];
    rt_new(out, 4, a->v[0].list);
    conv_loops(&w, out, &weight, &g, out);
}

OP_ROW(conv2d_input) = {
    .op = "conv2d_input",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = conv2d_input_ref,
    .flags = OP_GRAD2,
    .tol32 = 1e-5,
    CASES({.in = {{"2x3x3x3"}, {"3x1x3x3"}}, .attrs = {{A_LIST(SIZES, 2, 1, 5, 5)}}},
          {.in = {{"1x2x3x7"}, {"2x2x2x3"}},
           .attrs = {{A_LIST(SIZES, 1, 2, 4, 5), STRIDE(2, 1), STRIDE(1, 2)}}},
          {.in = {{"1x4x2x2"}, {"4x1x2x2"}},
           .attrs = {{A_LIST(SIZES, 1, 2, 3, 3), A_NONE, A_NONE, A_NONE, A_INT(INT, 2)}}},
          {.in = {{"2x3x2x2"}, {"3x2x1x1"}}, .attrs = {{A_LIST(SIZES, 2, 2, 2, 2)}}},
          {.in = {{"1x2x5x3"}, {"2x25x3x3"}},
           .attrs = {{A_LIST(SIZES, 1, 25, 9, 6), STRIDE(2, 2), STRIDE(1, 1)}},
           .flags = OP_NO_GRAD},
          {.in = {{"1x2x4x4"}, {"2x25x3x2"}},
           .attrs = {{A_LIST(SIZES, 1, 25, 6, 5)}},
           .flags = OP_NO_GRAD},
          {.in = {{"1x2x2x2"}, {"2x1x1x1"}},
           .attrs = {{A_LIST(SIZES, 1, 1, 6, 6), STRIDE(5, 4)}}},
          {.in = {{"0x2x3x3"}, {"2x1x2x2"}}, .attrs = {{A_LIST(SIZES, 0, 1, 4, 4)}}},
          {.in = {{"1x0x3x3"}, {"0x1x2x2"}}, .attrs = {{A_LIST(SIZES, 1, 1, 4, 4)}}},
          {.in = {{"2x3x3x3"}, {"3x1x3x3"}},
           .attrs = {{A_LIST(SIZES, 2, 1, 6, 6)}},
           .error = "conv2d_input: wants a gradient of 2x3x4x4, got 2x3x3x3"}),
};

static void conv2d_weight_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    window w = window_of(a, 1);
    rt g = in[0], x = in[1];
    rt_new(out, 4, a->v[0].list);
    conv_loops(&w, &x, out, &g, out);
}

OP_ROW(conv2d_weight) = {
    .op = "conv2d_weight",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = conv2d_weight_ref,
    .flags = OP_GRAD2,
    .tol32 = 1e-5,
    CASES({.in = {{"2x3x3x3"}, {"2x1x5x5"}}, .attrs = {{A_LIST(SIZES, 3, 1, 3, 3)}}},
          {.in = {{"1x2x3x7"}, {"1x2x4x5"}},
           .attrs = {{A_LIST(SIZES, 2, 2, 2, 3), STRIDE(2, 1), STRIDE(1, 2)}}},
          {.in = {{"1x4x2x2"}, {"1x2x3x3"}},
           .attrs = {{A_LIST(SIZES, 4, 1, 2, 2), A_NONE, A_NONE, A_NONE, A_INT(INT, 2)}}},
          {.in = {{"2x3x2x2"}, {"2x2x2x2"}}, .attrs = {{A_LIST(SIZES, 3, 2, 1, 1)}}},
          {.in = {{"2x2x5x3"}, {"2x25x9x6"}},
           .attrs = {{A_LIST(SIZES, 2, 25, 3, 3), STRIDE(2, 2), STRIDE(1, 1)}},
           .flags = OP_NO_GRAD},
          {.in = {{"0x2x3x3"}, {"0x1x4x4"}}, .attrs = {{A_LIST(SIZES, 2, 1, 2, 2)}}},
          {.in = {{"2x3x3x3"}, {"2x1x6x6"}},
           .attrs = {{A_LIST(SIZES, 3, 1, 3, 3)}},
           .error = "conv2d_weight: wants a gradient of 2x3x4x4, got 2x3x3x3"}),
};

/* ---- pooling ---- */

typedef struct pool {
    int64_t kernel[2], stride[2], padding[2], out[2];
} pool;

static pool pool_of(const td_attrs *a, int from, const int64_t *plane) {
    pool p;
    pair(&a->v[from], 0, p.kernel);
    pair(&a->v[from + 1], 0, p.stride);
    pair(&a->v[from + 2], 0, p.padding);
    for (int i = 0; i < 2; i++) {
        if (p.stride[i] == 0) p.stride[i] = p.kernel[i];
        p.out[i] = (plane[i] + 2 * p.padding[i] - p.kernel[i]) / p.stride[i] + 1;
    }
    return p;
}

/* The element of plane (n, c) that a tap of the window at (i, j) meets; -1 in the border. */
static int64_t met(const rt *x, const pool *p, const int64_t *at, int64_t r, int64_t s) {
    int64_t row = at[2] * p->stride[0] + r - p->padding[0];
    int64_t col = at[3] * p->stride[1] + s - p->padding[1];
    if (row < 0 || row >= x->dim[2] || col < 0 || col >= x->dim[3]) return -1;
    return rt_at(x, (int64_t[]){at[0], at[1], row, col});
}

static void max_pool2d_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    pool p = pool_of(a, 0, in->dim + 2);
    int64_t at[TD_MAX_DIM], plane = in->dim[2] * in->dim[3];
    for (int k = 0; k < 2; k++)
        rt_new(&out[k], 4, (int64_t[]){in->dim[0], in->dim[1], p.out[0], p.out[1]});
    for (int64_t i = 0; i < rt_numel(&out[0]); i++) {
        rt_index(&out[0], i, at);
        int64_t best = -1;
        for (int64_t r = 0; r < p.kernel[0]; r++)
            for (int64_t s = 0; s < p.kernel[1]; s++) {
                int64_t e = met(in, &p, at, r, s);
                if (e < 0) continue;
                if (best < 0 || in->v[e] > in->v[best] || isnan(in->v[e])) best = e;
            }
        out[0].v[i] = in->v[best];
        out[1].v[i] = (double)(best % plane + 1);
    }
}

OP_ROW(max_pool2d) = {
    .op = "max_pool2d",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT, OP_IS_I32},
    .ref = max_pool2d_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x2x4x6"}}, .attrs = {{STRIDE(2, 2)}}},
          {.in = {{"1x2x5x7"}}, .attrs = {{STRIDE(2, 2)}}},
          {.in = {{"1x2x5x5"}}, .attrs = {{STRIDE(3, 2), STRIDE(1, 2)}}},
          {.in = {{"1x1x4x5"}}, .attrs = {{STRIDE(3, 3), STRIDE(2, 2), STRIDE(1, 1)}}},
          {.in = {{"0x2x4x4"}}, .attrs = {{STRIDE(2, 2)}}},
          {.in = {{"1x1x4x4",
                   VALUES(1, 2, NAN, 3, 3, 3, 4, 4, NAN, NAN, -1, -1, 0, 5, -1, -2)}},
           .attrs = {{STRIDE(2, 2)}},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS},
          {.in = {{"1x1x3x3", VALUES(NAN, 2, 3, 3, NAN, 3, 3, 3, 3)}},
           .attrs = {{STRIDE(2, 2), STRIDE(1, 1)}},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS},
          {.in = {{"4x4"}},
           .attrs = {{STRIDE(2, 2)}},
           .error = "max_pool2d: wants images [N, C, H, W], got 4x4"},
          {.in = {{"1x1x4x4"}},
           .attrs = {{STRIDE(5, 5)}},
           .error = "max_pool2d: a kernel of 5x5 does not fit into 4x4 with padding 0x0"},
          {.in = {{"1x1x4x4"}},
           .attrs = {{STRIDE(2, 2), A_NONE, STRIDE(2, 2)}},
           .error = "max_pool2d: padding 2 is more than half a kernel of 2"},
          {.in = {{"1x1x4x4"}},
           .attrs = {{STRIDE(0, 2)}},
           .error = "max_pool2d: kernel 0 is out of range"},
          {.in = {{"1x1x4x4"}},
           .attrs = {{STRIDE(2, 2), STRIDE(1, -1)}},
           .error = "max_pool2d: stride -1 is out of range"},
          {.in = {{"1x1x4x4"}}, .error = "max_pool2d: no kernel was given"}),
};

static void max_pool2d_grad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    rt_new(out, 4, a->v[0].list);
    int64_t each = in->dim[2] * in->dim[3], plane = out->dim[2] * out->dim[3];
    for (int64_t i = 0; i < rt_numel(in); i++)
        out->v[i / each * plane + (int64_t)in[1].v[i] - 1] += in[0].v[i];
}

OP_ROW(max_pool2d_grad) = {
    .op = "max_pool2d_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = max_pool2d_grad_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"1x2x2x2"}, {"1x2x2x2", TD_I32, VALUES(1, 3, 3, 9, 2, 5, 9, 1)}},
           .attrs = {{A_LIST(SIZES, 1, 2, 3, 3)}}},
          {.in = {{"0x2x2x2"}, {"0x2x2x2", TD_I32}},
           .attrs = {{A_LIST(SIZES, 0, 2, 3, 3)}}},
          {.in = {{"1x1x1x2"}, {"1x1x1x2", TD_I32, VALUES(1, 10)}},
           .attrs = {{A_LIST(SIZES, 1, 1, 3, 3)}},
           .error = "max_pool2d_grad: position 10 of a plane of 9",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"1x1x1x2"}, {"1x1x1x2", TD_I32, VALUES(1, -1)}},
           .attrs = {{A_LIST(SIZES, 1, 1, 3, 3)}},
           .error = "max_pool2d_grad: position -1 of a plane of 9",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"1x1x1x2"}, {"1x1x2", TD_I32}},
           .attrs = {{A_LIST(SIZES, 1, 1, 3, 3)}},
           .error = "max_pool2d_grad: wants indices of 1x1x1x2, got 1x1x2"},
          {.in = {{"1x1x1x2"}, {"1x1x1x2", TD_I64}},
           .attrs = {{A_LIST(SIZES, 1, 1, 3, 3)}},
           .error = "max_pool2d_grad: indices are i32, got i64"},
          {.in = {{"1x2x1x2"}, {"1x2x1x2", TD_I32}},
           .attrs = {{A_LIST(SIZES, 1, 1, 3, 3)}},
           .error = "max_pool2d_grad: a gradient of 1x2x1x2 does not belong to images of "
                    "1x1x3x3"}),
};

/* How many elements the average over the window at `at` is of. */
static double divisor(const rt *x, const pool *p, const int64_t *at, bool count_pad) {
    double inside = 0;
    for (int64_t r = 0; r < p->kernel[0]; r++)
        for (int64_t s = 0; s < p->kernel[1]; s++) inside += met(x, p, at, r, s) >= 0;
    return count_pad ? (double)(p->kernel[0] * p->kernel[1]) : inside;
}

static void avg_pool2d_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    pool p = pool_of(a, 0, in->dim + 2);
    bool count_pad = a->v[3].kind ? a->v[3].i : true;
    int64_t at[TD_MAX_DIM];
    rt_new(out, 4, (int64_t[]){in->dim[0], in->dim[1], p.out[0], p.out[1]});
    for (int64_t i = 0; i < rt_numel(out); i++) {
        rt_index(out, i, at);
        for (int64_t r = 0; r < p.kernel[0]; r++)
            for (int64_t s = 0; s < p.kernel[1]; s++) {
                int64_t e = met(in, &p, at, r, s);
                if (e >= 0) out->v[i] += in->v[e] / divisor(in, &p, at, count_pad);
            }
    }
}

OP_ROW(avg_pool2d) = {
    .op = "avg_pool2d",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = avg_pool2d_ref,
    .flags = OP_GRAD2,
    CASES(
        {.in = {{"2x2x4x6"}}, .attrs = {{STRIDE(2, 2)}}},
        {.in = {{"1x2x5x5"}}, .attrs = {{STRIDE(3, 2), STRIDE(1, 2)}}},
        {.in = {{"1x1x4x5"}}, .attrs = {{STRIDE(3, 3), STRIDE(2, 2), STRIDE(1, 1)}}},
        {.in = {{"1x1x4x5"}},
         .attrs = {{STRIDE(3, 3), STRIDE(2, 2), STRIDE(1, 1), A_INT(BOOL, 0)}}},
        {.in = {{"0x2x4x4"}}, .attrs = {{STRIDE(2, 2)}}},
        {.in = {{"1x1x4x4"}},
         .attrs = {{STRIDE(5, 5)}},
         .error = "avg_pool2d: a kernel of 5x5 does not fit into 4x4 with padding 0x0"}),
};

static void avg_pool2d_grad_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    rt_new(out, 4, a->v[0].list);
    pool p = pool_of(a, 1, out->dim + 2);
    bool count_pad = a->v[4].kind ? a->v[4].i : true;
    int64_t at[TD_MAX_DIM];
    for (int64_t i = 0; i < rt_numel(in); i++) {
        rt_index(in, i, at);
        for (int64_t r = 0; r < p.kernel[0]; r++)
            for (int64_t s = 0; s < p.kernel[1]; s++) {
                int64_t e = met(out, &p, at, r, s);
                if (e >= 0) out->v[e] += in->v[i] / divisor(out, &p, at, count_pad);
            }
    }
}

OP_ROW(avg_pool2d_grad) = {
    .op = "avg_pool2d_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = avg_pool2d_grad_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"2x2x2x3"}}, .attrs = {{A_LIST(SIZES, 2, 2, 4, 6), STRIDE(2, 2)}}},
          {.in = {{"1x1x2x3"}},
           .attrs = {{A_LIST(SIZES, 1, 1, 4, 5), STRIDE(3, 3), STRIDE(2, 2), STRIDE(1, 1),
                      A_INT(BOOL, 0)}}},
          {.in = {{"2x2x2x2"}},
           .attrs = {{A_LIST(SIZES, 2, 2, 4, 6), STRIDE(2, 2)}},
           .error = "avg_pool2d_grad: wants a gradient of 2x2x2x3, got 2x2x2x2"}),
};
