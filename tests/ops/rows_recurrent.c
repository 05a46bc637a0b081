/* Rows of rnn, gru and lstm: one number after the other, as their definitions say. Their backward ops are
 * tried by the gradients of these and by PyTorch's figures (tests/lua/test_golden_recurrent.lua). */
#include "tests/ops/rows.h"

/* What x and h give to gate column `j` of row `b` at step t, apart. */
typedef struct sums {
    double input, state;
} sums;

static sums sums_of(const rt *x, const rt *w, const rt *u, const rt *a, const rt *b,
                    const double *h, int64_t t, int64_t row, int64_t j) {
    int64_t inputs = x->dim[2], hidden = u->dim[1];
    sums s = {a->v[j], b->v[j]};
    for (int64_t i = 0; i < inputs; i++)
        s.input += x->v[(t * x->dim[1] + row) * inputs + i] * w->v[j * inputs + i];
    for (int64_t i = 0; i < hidden; i++) s.state += h[i] * u->v[j * hidden + i];
    return s;
}

static double logistic(double v) { return 1 / (1 + exp(-v)); }

/* h of the step before t in the order of the steps. */
static const double *state_before(const rt *y, const rt *h0, bool reverse, int64_t s,
                                  int64_t row) {
    int64_t steps = y->dim[0], batch = y->dim[1], hidden = y->dim[2];
    if (s == 0) return h0->v + row * hidden;
    int64_t t = reverse ? steps - s : s - 1;
    return y->v + (t * batch + row) * hidden;
}

static void rnn_ref(const rt *in, int nin, const td_attrs *at, rt *out) {
    (void)nin;
    bool reverse = at->v[0].i, relu = at->v[1].i;
    const rt *x = &in[0], *h0 = &in[1];
    int64_t steps = x->dim[0], batch = x->dim[1], hidden = h0->dim[1];
    rt_new(&out[0], 3, (int64_t[]){steps, batch, hidden});
    for (int64_t s = 0; s < steps; s++)
        for (int64_t b = 0; b < batch; b++)
            for (int64_t j = 0; j < hidden; j++) {
                int64_t t = reverse ? steps - 1 - s : s;
                const double *h = state_before(&out[0], h0, reverse, s, b);
                sums g = sums_of(x, &in[2], &in[3], &in[4], &in[5], h, t, b, j);
                double v = g.input + g.state;
                out[0].v[(t * batch + b) * hidden + j] = relu ? fmax(v, 0) : tanh(v);
            }
}

static void gru_ref(const rt *in, int nin, const td_attrs *at, rt *out) {
    (void)nin;
    bool reverse = at->v[0].i;
    const rt *x = &in[0], *h0 = &in[1];
    int64_t steps = x->dim[0], batch = x->dim[1], hidden = h0->dim[1];
    rt_new(&out[0], 3, (int64_t[]){steps, batch, hidden});
    rt_new(&out[1], 3, (int64_t[]){steps, batch, 4 * hidden});
    for (int64_t s = 0; s < steps; s++)
        for (int64_t b = 0; b < batch; b++)
            for (int64_t j = 0; j < hidden; j++) {
                int64_t t = reverse ? steps - 1 - s : s, line = t * batch + b;
                const double *h = state_before(&out[0], h0, reverse, s, b);
                sums g[3];
                for (int q = 0; q < 3; q++)
                    g[q] = sums_of(x, &in[2], &in[3], &in[4], &in[5], h, t, b,
                                   q * hidden + j);
                double r = logistic(g[0].input + g[0].state);
                double z = logistic(g[1].input + g[1].state);
                double n = tanh(g[2].input + r * g[2].state);
                double *gates = out[1].v + line * 4 * hidden + j;
                gates[0] = r;
                gates[hidden] = z;
                gates[2 * hidden] = n;
                gates[3 * hidden] = g[2].state;
                out[0].v[line * hidden + j] = (1 - z) * n + z * h[j];
            }
}

static void lstm_ref(const rt *in, int nin, const td_attrs *at, rt *out) {
    (void)nin;
    bool reverse = at->v[0].i;
    const rt *x = &in[0], *h0 = &in[1], *c0 = &in[2];
    int64_t steps = x->dim[0], batch = x->dim[1], hidden = h0->dim[1];
    rt_new(&out[0], 3, (int64_t[]){steps, batch, hidden});
    rt_new(&out[1], 3, (int64_t[]){steps, batch, hidden});
    rt_new(&out[2], 3, (int64_t[]){steps, batch, 4 * hidden});
    for (int64_t s = 0; s < steps; s++)
        for (int64_t b = 0; b < batch; b++)
            for (int64_t j = 0; j < hidden; j++) {
                int64_t t = reverse ? steps - 1 - s : s, line = t * batch + b;
                const double *h = state_before(&out[0], h0, reverse, s, b);
                double before = state_before(&out[1], c0, reverse, s, b)[j];
                double *gates = out[2].v + line * 4 * hidden + j;
                for (int q = 0; q < 4; q++) {
                    sums g = sums_of(x, &in[3], &in[4], &in[5], &in[6], h, t, b,
                                     q * hidden + j);
                    double v = g.input + g.state;
                    gates[q * hidden] = q == 2 ? tanh(v) : logistic(v);
                }
                double c = gates[hidden] * before + gates[0] * gates[2 * hidden];
                out[1].v[line * hidden + j] = c;
                out[0].v[line * hidden + j] = gates[3 * hidden] * tanh(c);
            }
}

/* steps x batch x inputs, hidden; wide is gates x hidden. */
#define SIZED(x, state, w, u, bias)                                                      \
    {x}, {state}, {w}, {u}, {bias}, { bias }
/* Sizes at which a step is cut into pieces. */
#define SMALL(x, state, w, u, bias)                                                      \
    {x}, {state}, {w, .low = -0.1, .high = 0.1}, {u, .low = -0.1, .high = 0.1}, {bias},  \
    {                                                                                    \
        bias                                                                             \
    }

OP_ROW(rnn) = {
    .op = "rnn",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = rnn_ref,
    .flags = OP_GRAD | OP_ONE_ORDER,
    .tol32 = 2e-5,
    CASES({.in = {SIZED("3x2x4", "2x3", "3x4", "3x3", "3")}},
          {.in = {SIZED("3x2x4", "2x3", "3x4", "3x3", "3")}, .attrs = {{A_INT(BOOL, 1)}}},
          {.in = {SIZED("3x2x4", "2x3", "3x4", "3x3", "3")},
           .attrs = {{A_INT(BOOL, 0), A_INT(BOOL, 1)}},
           .flags = OP_NO_GRAD},
          {.in = {{"3x2x2", .low = 0.1, .high = 1},
                  {"2x2", .low = 0.1, .high = 1},
                  {"2x2", .low = 0.1, .high = 1},
                  {"2x2", .low = 0.1, .high = 1},
                  {"2", .low = 0.1, .high = 1},
                  {"2", .low = 0.1, .high = 1}},
           .attrs = {{A_INT(BOOL, 1), A_INT(BOOL, 1)}},
           .flags = OP_ONLY_FLOATS},
          {.in = {SIZED("1x1x1", "1x1", "1x1", "1x1", "1")}},
          {.in = {SIZED("2x0x3", "0x2", "2x3", "2x2", "2")}},
          {.in = {SIZED("2x2x0", "2x2", "2x0", "2x2", "2")}},
          {.in = {SMALL("2x16x3", "16x170", "170x3", "170x170", "170")},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS | OP_NO_LAYOUTS},
          {.in = {SMALL("2x70x3", "70x80", "80x3", "80x80", "80")},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS | OP_NO_LAYOUTS},
          {.in = {SIZED("3x4", "2x3", "3x4", "3x3", "3")},
           .error = "rnn: wants a sequence [steps, batch, features], got 3x4"},
          {.in = {SIZED("0x2x4", "2x3", "3x4", "3x3", "3")},
           .error = "rnn: the sequence has no steps"},
          {.in = {SIZED("3x2x4", "2x0", "0x4", "0x0", "0")},
           .error = "rnn: the state has no numbers"},
          {.in = {SIZED("3x2x4", "3", "3x4", "3x3", "3")},
           .error = "rnn: wants a state [batch, hidden], got 3"},
          {.in = {SIZED("3x2x4", "5x3", "3x4", "3x3", "3")},
           .error = "rnn: the state is 5x3, not 2x3"},
          {.in = {SIZED("3x2x4", "2x3", "3x5", "3x3", "3")},
           .error = "rnn: the input's weight is 3x5, not 3x4"},
          {.in = {SIZED("3x2x4", "2x3", "3x4", "3x2", "3")},
           .error = "rnn: the state's weight is 3x2, not 3x3"},
          {.in = {SIZED("3x2x4", "2x3", "3x4", "3x3", "4")},
           .error = "rnn: the input's bias is 4, not 3"},
          {.in = {{"3x2x4"}, {"2x3"}, {"3x4"}, {"3x3"}, {"3"}, {"4"}},
           .error = "rnn: the state's bias is 4, not 3"}),
};

OP_ROW(gru) = {
    .op = "gru",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT, OP_FLOAT},
    .ref = gru_ref,
    .flags = OP_GRAD | OP_ONE_ORDER,
    .aside = 1 << 1,
    .tol32 = 2e-5,
    CASES({.in = {SIZED("3x2x4", "2x3", "9x4", "9x3", "9")}},
          {.in = {SIZED("3x2x4", "2x3", "9x4", "9x3", "9")}, .attrs = {{A_INT(BOOL, 1)}}},
          {.in = {SIZED("1x1x1", "1x1", "3x1", "3x1", "3")}},
          {.in = {SIZED("2x0x3", "0x2", "6x3", "6x2", "6")}},
          {.in = {SMALL("2x8x3", "8x140", "420x3", "420x140", "420")},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS | OP_NO_LAYOUTS},
          {.in = {SMALL("2x70x3", "70x50", "150x3", "150x50", "150")},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS | OP_NO_LAYOUTS},
          {.in = {SIZED("3x2x4", "2x3", "12x4", "9x3", "9")},
           .error = "gru: the input's weight is 12x4, not 9x4"}),
};

#define LSTM_SIZED(x, state, w, u, bias)                                                 \
    {x}, {state}, {state}, {w}, {u}, {bias}, { bias }
#define LSTM_SMALL(x, state, w, u, bias)                                                 \
    {x}, {state}, {state}, {w, .low = -0.1, .high = 0.1}, {u, .low = -0.1, .high = 0.1}, \
        {bias}, {                                                                        \
        bias                                                                             \
    }

OP_ROW(lstm) = {
    .op = "lstm",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT, OP_FLOAT, OP_FLOAT},
    .ref = lstm_ref,
    .flags = OP_GRAD | OP_ONE_ORDER,
    .aside = 1 << 2,
    .tol32 = 2e-5,
    CASES({.in = {LSTM_SIZED("3x2x4", "2x3", "12x4", "12x3", "12")}},
          {.in = {LSTM_SIZED("3x2x4", "2x3", "12x4", "12x3", "12")},
           .attrs = {{A_INT(BOOL, 1)}}},
          {.in = {LSTM_SIZED("1x1x1", "1x1", "4x1", "4x1", "4")}},
          {.in = {LSTM_SIZED("2x0x3", "0x2", "8x3", "8x2", "8")}},
          {.in = {LSTM_SMALL("2x5x3", "5x150", "600x3", "600x150", "600")},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS | OP_NO_LAYOUTS},
          {.in = {LSTM_SMALL("2x70x3", "70x50", "200x3", "200x50", "200")},
           .flags = OP_NO_GRAD | OP_ONLY_FLOATS | OP_NO_LAYOUTS},
          {.in = {{"3x2x4"}, {"2x3"}, {"2x4"}, {"12x4"}, {"12x3"}, {"12"}, {"12"}},
           .error = "lstm: the cell's state is 2x4, not 2x3"},
          {.in = {LSTM_SIZED("3x2x4", "2x3", "9x4", "12x3", "12")},
           .error = "lstm: the input's weight is 9x4, not 12x4"}),
};

/* ---- backward ops: sizes, and what is refused ---- */

#define BY_GRADIENTS "the gradients of rnn, gru and lstm, and test_golden_recurrent.lua"

OP_ROW(rnn_grad) = {
    .op = "rnn_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT, OP_FLOAT},
    .elsewhere = BY_GRADIENTS,
    .flags = OP_ONE_ORDER,
    CASES({.in = {{"3x2x4"}, {"4x4"}, {"3x2x4"}}},
          {.in = {{"2x4"}, {"4x4"}, {"3x2x4"}},
           .error = "rnn_grad: wants a gradient [steps, batch, hidden], got 2x4"},
          {.in = {{"3x2x4"}, {"4x5"}, {"3x2x4"}},
           .error = "rnn_grad: the state's weight is 4x5, not 4x4"},
          {.in = {{"3x2x4"}, {"4x4"}, {"3x2x5"}},
           .error = "rnn_grad: the output is 3x2x5, not 3x2x4"}),
};

OP_ROW(gru_grad) = {
    .op = "gru_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT, OP_FLOAT, OP_FLOAT},
    .elsewhere = BY_GRADIENTS,
    .flags = OP_ONE_ORDER,
    CASES({.in = {{"3x2x4"}, {"2x4"}, {"12x4"}, {"3x2x4"}, {"3x2x16"}}},
          {.in = {{"3x2x4"}, {"2x5"}, {"12x4"}, {"3x2x4"}, {"3x2x16"}},
           .error = "gru_grad: the state is 2x5, not 2x4"},
          {.in = {{"3x2x4"}, {"2x4"}, {"16x4"}, {"3x2x4"}, {"3x2x16"}},
           .error = "gru_grad: the state's weight is 16x4, not 12x4"},
          {.in = {{"3x2x4"}, {"2x4"}, {"12x4"}, {"2x2x4"}, {"3x2x16"}},
           .error = "gru_grad: the output is 2x2x4, not 3x2x4"},
          {.in = {{"3x2x4"}, {"2x4"}, {"12x4"}, {"3x2x4"}, {"3x2x12"}},
           .error = "gru_grad: the block of gates is 3x2x12, not 3x2x16"}),
};

OP_ROW(lstm_grad) = {
    .op = "lstm_grad",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT, OP_FLOAT, OP_FLOAT},
    .elsewhere = BY_GRADIENTS,
    .flags = OP_ONE_ORDER,
    CASES({.in = {{"3x2x4"}, {"3x2x4"}, {"2x4"}, {"16x4"}, {"3x2x4"}, {"3x2x16"}}},
          {.in = {{"3x2x4"}, {"3x2x5"}, {"2x4"}, {"16x4"}, {"3x2x4"}, {"3x2x16"}},
           .error = "lstm_grad: the cells' gradient is 3x2x5, not 3x2x4"},
          {.in = {{"3x2x4"}, {"3x2x4"}, {"4"}, {"16x4"}, {"3x2x4"}, {"3x2x16"}},
           .error = "lstm_grad: the cell's state is 4, not 2x4"},
          {.in = {{"3x2x4"}, {"3x2x4"}, {"2x4"}, {"16x4"}, {"3x1x4"}, {"3x2x16"}},
           .error = "lstm_grad: the block of cells is 3x1x4, not 3x2x4"},
          {.in = {{"3x2x4"}, {"3x2x4"}, {"2x4"}, {"16x4"}, {"3x2x4"}, {"3x2x4"}},
           .error = "lstm_grad: the block of gates is 3x2x4, not 3x2x16"}),
};
