/* The common part of rnn, gru and lstm; see recurrent.h. */
#include "vm/ops/recurrent.h"

#include <stdarg.h>
#include <string.h>

#include "runtime/scratch.h"

TD_OP_USE(full);
TD_OP_USE(expand);
TD_OP_USE(matmul);
TD_OP_USE(transpose);
TD_OP_USE(sum);
TD_OP_USE(narrow);
TD_OP_USE(unsqueeze);
TD_OP_USE(cat);

/* ---- sizes ---- */

td_shape td_shape_2(int64_t a, int64_t b) { return (td_shape){.ndim = 2, .dim = {a, b}}; }

td_shape td_shape_3(int64_t a, int64_t b, int64_t c) {
    return (td_shape){.ndim = 3, .dim = {a, b, c}};
}

int td_recurrent_wants(const char *call, const char *what, const td_shape *got,
                       td_err *err, int ndim, ...) {
    td_shape want = {.ndim = ndim};
    va_list sizes;
    va_start(sizes, ndim);
    for (int i = 0; i < ndim; i++) want.dim[i] = va_arg(sizes, int64_t);
    va_end(sizes);
    if (td_shape_equal(got, &want)) return 0;
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    return td_fail(err, TD_E_SHAPE, call, "%s is %s, not %s", what, td_shape_text(got, a),
                   td_shape_text(&want, b));
}

int td_recurrent_sizes(const char *call, const td_meta *in, td_recurrent *r,
                       td_err *err) {
    const td_shape *x = &in[TD_REC_X].shape, *h0 = &in[TD_REC_H0].shape;
    const td_meta *rest = in + (r->cell == TD_CELL_LSTM);
    char text[TD_SHAPE_TEXT];
    r->t = in->dtype;
    if (x->ndim != 3)
        return td_fail(err, TD_E_SHAPE, call,
                       "wants a sequence [steps, batch, features], got %s",
                       td_shape_text(x, text));
    if (x->dim[0] < 1) return td_fail(err, TD_E_SHAPE, call, "the sequence has no steps");
    if (h0->ndim != 2)
        return td_fail(err, TD_E_SHAPE, call, "wants a state [batch, hidden], got %s",
                       td_shape_text(h0, text));
    r->steps = x->dim[0];
    r->batch = x->dim[1];
    r->inputs = x->dim[2];
    r->hidden = h0->dim[1];
    if (r->hidden < 1) return td_fail(err, TD_E_SHAPE, call, "the state has no numbers");
    int64_t wide;
    if (__builtin_mul_overflow(r->hidden, (int64_t)4, &wide))
        return td_fail(err, TD_E_LIMIT, call, "%lld hidden numbers are too many",
                       (long long)r->hidden);
    wide = td_cell_gates(r->cell) * r->hidden;
    int rc = td_recurrent_wants(call, "the state", h0, err, 2, r->batch, r->hidden);
    if (rc == 0 && r->cell == TD_CELL_LSTM)
        rc = td_recurrent_wants(call, "the cell's state", &in[TD_REC_H0 + 1].shape, err,
                                2, r->batch, r->hidden);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the input's weight", &rest[TD_REC_W].shape, err, 2,
                                wide, r->inputs);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the state's weight", &rest[TD_REC_U].shape, err, 2,
                                wide, r->hidden);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the input's bias", &rest[TD_REC_A].shape, err, 1,
                                wide);
    if (rc == 0)
        rc = td_recurrent_wants(call, "the state's bias", &rest[TD_REC_B].shape, err, 1,
                                wide);
    return rc;
}

int td_recurrent_back_sizes(const char *call, const td_meta *in, const td_shape *u,
                            td_recurrent *r, td_err *err) {
    const td_shape *dy = &in->shape;
    char text[TD_SHAPE_TEXT];
    if (dy->ndim != 3 || dy->dim[0] < 1 || dy->dim[2] < 1)
        return td_fail(err, TD_E_SHAPE, call,
                       "wants a gradient [steps, batch, hidden], got %s",
                       td_shape_text(dy, text));
    r->t = in->dtype;
    r->steps = dy->dim[0];
    r->batch = dy->dim[1];
    r->hidden = dy->dim[2];
    int64_t wide;
    if (__builtin_mul_overflow(r->hidden, (int64_t)4, &wide))
        return td_fail(err, TD_E_LIMIT, call, "%lld hidden numbers are too many",
                       (long long)r->hidden);
    return td_recurrent_wants(call, "the state's weight", u, err, 2,
                              td_cell_gates(r->cell) * r->hidden, r->hidden);
}

void td_recurrent_back_of(const td_tensor *dy, td_recurrent *r) {
    r->t = dy->dtype;
    r->steps = dy->shape.dim[0];
    r->batch = dy->shape.dim[1];
    r->hidden = dy->shape.dim[2];
}

/* ---- dense rows ---- */

/* A copy in scratch memory, of sizes to which x's elements go as they are. */
static void *copied(td_tensor *x, const td_shape *sizes, td_err *err) {
    size_t bytes;
    if (td_shape_bytes(sizes, x->dtype, &bytes, err)) return NULL;
    void *room = td_scratch_take(bytes, err);
    if (room == NULL) return NULL;
    td_storage storage = {.refs = 1, .bytes = bytes, .data = room};
    td_tensor to = {.refs = 1, .dtype = x->dtype, .shape = *sizes, .storage = &storage};
    td_shape_strides(sizes, to.stride);
    td_tensor from = {.refs = 1,
                      .dtype = x->dtype,
                      .shape = *sizes,
                      .offset = x->offset,
                      .storage = x->storage};
    memcpy(from.stride, x->stride, sizeof from.stride);
    td_tensor_copy(&to, &from);
    return room;
}

int td_held_add(td_held *d, td_tensor *x, td_err *err) {
    int at = d->count++;
    d->copy[at] = NULL;
    d->data[at] = td_tensor_data(x);
    if (td_tensor_is_contiguous(x)) return 0;
    d->data[at] = d->copy[at] = copied(x, &x->shape, err);
    return d->copy[at] ? 0 : TD_E_MEMORY;
}

void td_held_end(td_held *d) {
    while (d->count > 0) td_scratch_give(d->copy[--d->count]);
}

int td_held_flow(td_held *d, td_tensor *x, td_flow *flow, td_err *err) {
    int at = d->count++;
    const int64_t *stride = x->stride;
    td_shape sizes = x->shape;
    d->copy[at] = NULL;
    *flow = (td_flow){td_tensor_data(x), stride[0], stride[1]};
    if (stride[2] == 1 || sizes.dim[2] <= 1) return 0;
    bool is_one = stride[0] == 0 && stride[1] == 0 && stride[2] == 0;
    if (is_one) sizes.dim[0] = sizes.dim[1] = 1;
    flow->data = d->copy[at] = copied(x, &sizes, err);
    flow->row = is_one ? 0 : sizes.dim[2];
    flow->step = is_one ? 0 : sizes.dim[1] * sizes.dim[2];
    return d->copy[at] ? 0 : TD_E_MEMORY;
}

/* ---- forward ---- */

int td_recurrent_kernel(td_recurrent *r, td_tensor *const *in, int nin,
                        td_tensor *const *out, td_err *err) {
    bool is_lstm = r->cell == TD_CELL_LSTM;
    int from = is_lstm ? 1 : 0;
    const td_shape *x = &in[TD_REC_X]->shape;
    r->t = in[TD_REC_X]->dtype;
    r->steps = x->dim[0];
    r->batch = x->dim[1];
    r->inputs = x->dim[2];
    r->hidden = in[TD_REC_H0]->shape.dim[1];
    td_held d = {.count = 0};
    int rc = 0;
    for (int i = 0; rc == 0 && i < nin; i++) rc = td_held_add(&d, in[i], err);
    if (rc == 0) {
        td_recurrent_forward f = {.x = d.data[TD_REC_X],
                                  .h0 = d.data[TD_REC_H0],
                                  .c0 = is_lstm ? d.data[TD_REC_H0 + 1] : NULL,
                                  .w = d.data[from + TD_REC_W],
                                  .u = d.data[from + TD_REC_U],
                                  .w_bias = d.data[from + TD_REC_A],
                                  .u_bias = d.data[from + TD_REC_B],
                                  .y = td_tensor_data(out[0])};
        if (is_lstm) f.c = td_tensor_data(out[1]);
        if (is_lstm || r->cell == TD_CELL_GRU) f.gates = td_tensor_data(out[1 + from]);
        rc = td_recurrent_run(r, &f, err);
    }
    td_held_end(&d);
    return rc;
}

/* ---- gradients ---- */

td_val *td_recurrent_gout(td_grad *g, int k) {
    if (g->gout[k]) return g->gout[k];
    td_val *like = NULL;
    for (int i = 0; i < g->op->nout; i++)
        if (g->gout[i]) like = g->gout[i];
    td_meta zero = {.dtype = g->out_meta[k].dtype};
    return g_expand(g, g_zeros(g, &zero, like), &g->out_meta[k].shape);
}

static td_val *turned(td_grad *g, td_val *x) {
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&at, 1, TD_ATTR_DIM, 1);
    return g_op(g, &td_op_transpose, &at, 1, &x);
}

static td_val *column_sums(td_grad *g, td_val *x) {
    td_attrs at = {0};
    td_attr_set_list(&at, 0, TD_ATTR_DIMS, (int64_t[]){0}, 1);
    return g_op(g, &td_op_sum, &at, 1, &x);
}

/* The states from which the steps began: h0 and all of y but the last step's. */
static td_val *begun_from(td_grad *g, bool reverse) {
    td_val *y = g->out[0], *h0 = g->in[TD_REC_H0];
    const td_shape *sizes = &g->out_meta[0].shape;
    td_attrs first = {0}, rest = {0}, along = {0};
    td_attr_set_i(&first, 0, TD_ATTR_NEWDIM, 0);
    h0 = g_op(g, &td_op_unsqueeze, &first, 1, &h0);
    if (sizes->dim[0] == 1) return h0;
    td_attr_set_i(&rest, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&rest, 1, TD_ATTR_POS, reverse ? 1 : 0);
    td_attr_set_i(&rest, 2, TD_ATTR_INT, sizes->dim[0] - 1);
    y = g_op(g, &td_op_narrow, &rest, 1, &y);
    td_attr_set_i(&along, 0, TD_ATTR_DIM, 0);
    return g_op(g, &td_op_cat, &along, 2,
                reverse ? (td_val *[]){y, h0} : (td_val *[]){h0, y});
}

void td_recurrent_weights_grad(td_grad *g, td_val *dw, td_val *du, int states,
                               bool reverse) {
    const td_shape *x = &g->in_meta[TD_REC_X].shape;
    int from = states - 1;
    int64_t rows = x->dim[0] * x->dim[1];
    int64_t wide = g->in_meta[from + TD_REC_W].shape.dim[0];
    int64_t hidden = g->in_meta[TD_REC_H0].shape.dim[1];
    td_shape grads = td_shape_2(rows, wide), inputs = td_shape_2(rows, x->dim[2]),
             begun = td_shape_2(rows, hidden);
    const bool *need = g->need;
    td_val **gin = g->gin;
    bool is_one = du == dw;
    dw = g_reshape(g, dw, &grads);
    du = is_one ? dw : g_reshape(g, du, &grads);
    if (need[TD_REC_X])
        gin[TD_REC_X] =
            g_reshape(g, g_binary(g, &td_op_matmul, dw, g->in[from + TD_REC_W]), x);
    if (need[from + TD_REC_W])
        gin[from + TD_REC_W] = g_binary(g, &td_op_matmul, turned(g, dw),
                                        g_reshape(g, g->in[TD_REC_X], &inputs));
    if (need[from + TD_REC_U])
        gin[from + TD_REC_U] = g_binary(g, &td_op_matmul, turned(g, du),
                                        g_reshape(g, begun_from(g, reverse), &begun));
    if (need[from + TD_REC_A]) gin[from + TD_REC_A] = column_sums(g, dw);
    if (need[from + TD_REC_B])
        gin[from + TD_REC_B] =
            is_one && gin[from + TD_REC_A] ? gin[from + TD_REC_A] : column_sums(g, du);
}

int td_recurrent_no_second(td_grad *g) {
    td_fail(g->err, TD_E_UNSUPPORTED, "backward",
            "fused recurrent layers have first derivatives alone");
    td_hint(
        g->err,
        "F.rnn_cell, F.gru_cell and F.lstm_cell, step by step, have them of any order");
    return TD_E_UNSUPPORTED;
}

double td_recurrent_work(const td_meta *in, int w, int u) {
    double places = (double)in[0].shape.dim[0] * (double)in[0].shape.dim[1];
    double weights = (double)td_shape_numel(&in[u].shape);
    if (w >= 0) weights += (double)td_shape_numel(&in[w].shape);
    return 2 * places * weights;
}
