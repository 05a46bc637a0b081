/* rnn: a whole layer of Elman's units in one direction, and its way back through the steps. */
#include "vm/ops/recurrent.h"

TD_OP_USE(rnn_grad);

#define RNN_ATTRS                                                                        \
    {.name = "reverse", .kind = TD_ATTR_BOOL}, { .name = "relu", .kind = TD_ATTR_BOOL }

static td_recurrent cell_of(const td_attrs *a) {
    return (td_recurrent){.cell = a->v[1].i ? TD_CELL_RELU : TD_CELL_TANH,
                          .reverse = a->v[0].i != 0};
}

static int rnn_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin;
    td_recurrent r = cell_of(a);
    int rc = td_recurrent_sizes("rnn", in, &r, err);
    out->dtype = in->dtype;
    if (rc == 0) out->shape = td_shape_3(r.steps, r.batch, r.hidden);
    return rc;
}

static int rnn_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    td_recurrent r = cell_of(a);
    return td_recurrent_kernel(&r, in, nin, out, err);
}

static int rnn_gradient(td_grad *g) {
    td_val *back[2], *in[] = {g->gout[0], g->in[TD_REC_U], g->out[0]};
    if (!g_op_n(g, &td_op_rnn_grad, g->attrs, 3, in, back)) return 0;
    g->gin[TD_REC_H0] = back[1];
    td_recurrent_weights_grad(g, back[0], back[0], 1, g->attrs->v[0].i != 0);
    return 0;
}

static double rnn_work(const td_meta *in, int nin, const td_attrs *a,
                       const td_meta *out) {
    (void)nin, (void)a, (void)out;
    return td_recurrent_work(in, TD_REC_W, TD_REC_U);
}

TD_OP(rnn) = {
    .name = "rnn",
    .doc = "A layer of Elman's recurrent units over a sequence; see nn.RNN.\n\n"
           "  x           [steps, batch, features]\n"
           "  h0          the state before the first step, [batch, hidden]\n"
           "  w_ih, w_hh  weights of input and state\n"
           "  b_ih, b_hh  their biases\n"
           "  reverse     from the last step to the first (default false)\n"
           "  relu        relu instead of tanh (default false)",
    .nin = TD_REC_COUNT,
    .nout = 1,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .save = TD_SAVE_IN(TD_REC_X) | TD_SAVE_IN(TD_REC_H0) | TD_SAVE_IN(TD_REC_W) |
            TD_SAVE_IN(TD_REC_U) | TD_SAVE_OUT(0),
    .attr = {RNN_ATTRS},
    .shape = rnn_shape,
    .kernel = rnn_kernel,
    .work = rnn_work,
    .grad = rnn_gradient,
};

/* ---- rnn_grad ---- */

enum { DY, U, Y, COUNT };

static int back_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin;
    const char *call = "rnn_grad";
    td_recurrent r = cell_of(a);
    int rc = td_recurrent_back_sizes(call, in, &in[U].shape, &r, err);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the output", &in[Y].shape, err, 3, r.steps,
                                r.batch, r.hidden);
    out[0].dtype = out[1].dtype = in[0].dtype;
    out[0].shape = td_shape_3(r.steps, r.batch, r.hidden);
    out[1].shape = td_shape_2(r.batch, r.hidden);
    return rc;
}

static int back_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    td_recurrent r = cell_of(a);
    td_recurrent_back_of(in[DY], &r);
    td_held d = {.count = 0};
    td_recurrent_backward b = {.dw = td_tensor_data(out[0]),
                               .dh0 = td_tensor_data(out[1])};
    int rc = td_held_flow(&d, in[DY], &b.dy, err);
    for (int i = U; rc == 0 && i < nin; i++) rc = td_held_add(&d, in[i], err);
    if (rc == 0) {
        b.u = d.data[U];
        b.y = d.data[Y];
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

TD_OP(rnn_grad) = {
    .name = "rnn_grad",
    .doc = "The way back through the steps of rnn: gradients of the sums before the "
           "activation, and of h0, from that of all h.",
    .nin = COUNT,
    .nout = 2,
    .flags = TD_OP_PROMOTE | TD_OP_FLOAT,
    .attr = {RNN_ATTRS},
    .shape = back_shape,
    .kernel = back_kernel,
    .work = back_work,
    .grad = td_recurrent_no_second,
};
