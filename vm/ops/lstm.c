/* lstm: a whole layer in one direction, and its way back through the steps. */
#include "vm/ops/recurrent.h"

TD_OP_USE(lstm_grad);

enum { X, H0, C0, W, U, A, B, COUNT };

static td_recurrent cell_of(const td_attrs *a) {
    return (td_recurrent){.cell = TD_CELL_LSTM, .reverse = a->v[0].i != 0};
}

static int lstm_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin;
    td_recurrent r = cell_of(a);
    int rc = td_recurrent_sizes("lstm", in, &r, err);
    if (rc) return rc;
    for (int k = 0; k < 3; k++) out[k].dtype = in[0].dtype;
    out[0].shape = out[1].shape = td_shape_3(r.steps, r.batch, r.hidden);
    out[2].shape = td_shape_3(r.steps, r.batch, 4 * r.hidden);
    return 0;
}

static int lstm_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    td_recurrent r = cell_of(a);
    return td_recurrent_kernel(&r, in, nin, out, err);
}

static int lstm_gradient(td_grad *g) {
    if (g->gout[2]) return td_recurrent_no_second(g);
    td_val *back[3];
    td_val *in[] = {td_recurrent_gout(g, 0),
                    td_recurrent_gout(g, 1),
                    g->in[C0],
                    g->in[U],
                    g->out[1],
                    g->out[2]};
    if (!g_op_n(g, &td_op_lstm_grad, g->attrs, 6, in, back)) return 0;
    g->gin[H0] = back[1];
    g->gin[C0] = back[2];
    td_recurrent_weights_grad(g, back[0], back[0], 2, g->attrs->v[0].i != 0);
    return 0;
}

static double lstm_work(const td_meta *in, int nin, const td_attrs *a,
                        const td_meta *out) {
    (void)nin, (void)a, (void)out;
    return td_recurrent_work(in, W, U);
}

TD_OP(lstm) = {
    .name = "lstm",
    .doc = "A layer of long short-term memory over a sequence; see nn.LSTM.\n\n"
           "  x           [steps, batch, features]\n"
           "  h0, c0      states before the first step, [batch, hidden]\n"
           "  w_ih, w_hh  weights of input and state for the gates i, f, g, o, one below "
           "the other\n"
           "  b_ih, b_hh  their biases\n"
           "  reverse     from the last step to the first (default false)\n\n"
           "Gives h and c of all steps, and the gates [steps, batch, 4 hidden], which "
           "its gradient reads.",
    .nin = COUNT,
    .nout = 3,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .save = TD_SAVE_IN(X) | TD_SAVE_IN(H0) | TD_SAVE_IN(C0) | TD_SAVE_IN(W) |
            TD_SAVE_IN(U) | TD_SAVE_OUT(0) | TD_SAVE_OUT(1) | TD_SAVE_OUT(2),
    .attr = {{.name = "reverse", .kind = TD_ATTR_BOOL}},
    .shape = lstm_shape,
    .kernel = lstm_kernel,
    .work = lstm_work,
    .grad = lstm_gradient,
};

/* ---- lstm_grad ---- */

enum { G_DY, G_DC, G_C0, G_U, G_C, G_GATES, G_COUNT };

static int back_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin, (void)a;
    const char *call = "lstm_grad";
    td_recurrent r = {.cell = TD_CELL_LSTM};
    int rc = td_recurrent_back_sizes(call, in, &in[G_U].shape, &r, err);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the cells' gradient", &in[G_DC].shape, err, 3,
                                r.steps, r.batch, r.hidden);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the cell's state", &in[G_C0].shape, err, 2,
                                r.batch, r.hidden);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the block of cells", &in[G_C].shape, err, 3,
                                r.steps, r.batch, r.hidden);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the block of gates", &in[G_GATES].shape, err, 3,
                                r.steps, r.batch, 4 * r.hidden);
    for (int k = 0; k < 3; k++) out[k].dtype = in[0].dtype;
    out[0].shape = td_shape_3(r.steps, r.batch, 4 * r.hidden);
    out[1].shape = out[2].shape = td_shape_2(r.batch, r.hidden);
    return rc;
}

static int back_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    td_recurrent r = cell_of(a);
    td_recurrent_back_of(in[G_DY], &r);
    td_held d = {.count = 0};
    td_recurrent_backward b = {.dw = td_tensor_data(out[0]),
                               .dh0 = td_tensor_data(out[1]),
                               .dc0 = td_tensor_data(out[2])};
    int rc = td_held_flow(&d, in[G_DY], &b.dy, err);
    if (rc == 0) rc = td_held_flow(&d, in[G_DC], &b.dc, err);
    for (int i = G_C0; rc == 0 && i < nin; i++) rc = td_held_add(&d, in[i], err);
    if (rc == 0) {
        b.c0 = d.data[G_C0];
        b.u = d.data[G_U];
        b.c = d.data[G_C];
        b.gates = d.data[G_GATES];
        rc = td_recurrent_run_back(&r, &b, err);
    }
    td_held_end(&d);
    return rc;
}

static double back_work(const td_meta *in, int nin, const td_attrs *a,
                        const td_meta *out) {
    (void)nin, (void)a, (void)out;
    return td_recurrent_work(in, -1, G_U);
}

TD_OP(lstm_grad) = {
    .name = "lstm_grad",
    .doc = "The way back through the steps of lstm: gradients of the gates before their "
           "activations, of h0 and of c0, from those of all h and all c.",
    .nin = G_COUNT,
    .nout = 3,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {{.name = "reverse", .kind = TD_ATTR_BOOL}},
    .shape = back_shape,
    .kernel = back_kernel,
    .work = back_work,
    .grad = td_recurrent_no_second,
};
