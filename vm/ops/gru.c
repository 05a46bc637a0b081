/* gru: a whole layer in one direction, and its way back through the steps. */
#include "vm/ops/recurrent.h"

TD_OP_USE(gru_grad);

static td_recurrent cell_of(const td_attrs *a) {
    return (td_recurrent){.cell = TD_CELL_GRU, .reverse = a->v[0].i != 0};
}

static int gru_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin;
    td_recurrent r = cell_of(a);
    int rc = td_recurrent_sizes("gru", in, &r, err);
    if (rc) return rc;
    out[0].dtype = out[1].dtype = in[0].dtype;
    out[0].shape = td_shape_3(r.steps, r.batch, r.hidden);
    out[1].shape = td_shape_3(r.steps, r.batch, 4 * r.hidden);
    return 0;
}

static int gru_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    td_recurrent r = cell_of(a);
    return td_recurrent_kernel(&r, in, nin, out, err);
}

static int gru_gradient(td_grad *g) {
    if (g->gout[1]) return td_recurrent_no_second(g);
    td_val *back[3];
    td_val *in[] = {g->gout[0], g->in[TD_REC_H0], g->in[TD_REC_U], g->out[0], g->out[1]};
    if (!g_op_n(g, &td_op_gru_grad, g->attrs, 5, in, back)) return 0;
    g->gin[TD_REC_H0] = back[2];
    td_recurrent_weights_grad(g, back[0], back[1], 1, g->attrs->v[0].i != 0);
    return 0;
}

static double gru_work(const td_meta *in, int nin, const td_attrs *a,
                       const td_meta *out) {
    (void)nin, (void)a, (void)out;
    return td_recurrent_work(in, TD_REC_W, TD_REC_U);
}

TD_OP(gru) = {
    .name = "gru",
    .doc =
        "A layer of gated recurrent units over a sequence; see nn.GRU.\n\n"
        "  x           [steps, batch, features]\n"
        "  h0          the state before the first step, [batch, hidden]\n"
        "  w_ih, w_hh  weights of input and state for the gates r, z, n, one below the "
        "other\n"
        "  b_ih, b_hh  their biases\n"
        "  reverse     from the last step to the first (default false)\n\n"
        "Gives h of all steps, and [steps, batch, 4 hidden] that its gradient reads: "
        "r, z, n and the state's part of n.",
    .nin = TD_REC_COUNT,
    .nout = 2,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .save = TD_SAVE_IN(TD_REC_X) | TD_SAVE_IN(TD_REC_H0) | TD_SAVE_IN(TD_REC_W) |
            TD_SAVE_IN(TD_REC_U) | TD_SAVE_OUT(0) | TD_SAVE_OUT(1),
    .attr = {{.name = "reverse", .kind = TD_ATTR_BOOL}},
    .shape = gru_shape,
    .kernel = gru_kernel,
    .work = gru_work,
    .grad = gru_gradient,
};

/* ---- gru_grad ---- */

enum { DY, H0, U, Y, GATES, COUNT };

static int back_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin, (void)a;
    const char *call = "gru_grad";
    td_recurrent r = {.cell = TD_CELL_GRU};
    int rc = td_recurrent_back_sizes(call, in, &in[U].shape, &r, err);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the state", &in[H0].shape, err, 2, r.batch,
                                r.hidden);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the output", &in[Y].shape, err, 3, r.steps,
                                r.batch, r.hidden);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the block of gates", &in[GATES].shape, err, 3,
                                r.steps, r.batch, 4 * r.hidden);
    for (int k = 0; k < 3; k++) out[k].dtype = in[0].dtype;
    out[0].shape = out[1].shape = td_shape_3(r.steps, r.batch, 3 * r.hidden);
    out[2].shape = td_shape_2(r.batch, r.hidden);
    return rc;
}

static int back_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    td_recurrent r = cell_of(a);
    td_recurrent_back_of(in[DY], &r);
    td_held d = {.count = 0};
    td_recurrent_backward b = {.dw = td_tensor_data(out[0]),
                               .du = td_tensor_data(out[1]),
                               .dh0 = td_tensor_data(out[2])};
    int rc = td_held_flow(&d, in[DY], &b.dy, err);
    for (int i = H0; rc == 0 && i < nin; i++) rc = td_held_add(&d, in[i], err);
    if (rc == 0) {
        b.h0 = d.data[H0];
        b.u = d.data[U];
        b.y = d.data[Y];
        b.gates = d.data[GATES];
        rc = td_recurrent_run_back(&r, &b, err);
    }
    td_held_end(&d);
    return rc;
}

static double back_work(const td_meta *in, int nin, const td_attrs *a,
                        const td_meta *out) {
    (void)nin, (void)a, (void)out;
    return td_recurrent_work(in, -1, U);
}

TD_OP(gru_grad) = {
    .name = "gru_grad",
    .doc =
        "The way back through the steps of gru: gradients of what input and state gave "
        "to the gates before their activations, and of h0, from that of all h.",
    .nin = COUNT,
    .nout = 3,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {{.name = "reverse", .kind = TD_ATTR_BOOL}},
    .shape = back_shape,
    .kernel = back_kernel,
    .work = back_work,
    .grad = td_recurrent_no_second,
};
