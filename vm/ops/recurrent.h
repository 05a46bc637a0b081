/* What the ops rnn, gru and lstm share: judging sizes, inputs as dense rows, and the part of the gradient
 * that products make once the cell's own backward op has gone through the steps. */
#ifndef TD_OPS_RECURRENT_H
#define TD_OPS_RECURRENT_H

#include "runtime/kernels/recurrent.h"
#include "vm/grad.h"

/* Inputs of a forward op; the LSTM has a C0 behind H0, and what follows comes one later. */
enum { TD_REC_X, TD_REC_H0, TD_REC_W, TD_REC_U, TD_REC_A, TD_REC_B, TD_REC_COUNT };

/* Judges the inputs of a forward op and fills in r's sizes; r->cell and r->reverse are set already. */
int td_recurrent_sizes(const char *call, const td_meta *in, td_recurrent *r, td_err *err);
/* The same for a backward op, whose input 0 is the gradient of y, and u the state's weights. */
int td_recurrent_back_sizes(const char *call, const td_meta *in, const td_shape *u,
                            td_recurrent *r, td_err *err);
/* r's dtype and sizes from the gradient of y that a backward kernel got. */
void td_recurrent_back_of(const td_tensor *dy, td_recurrent *r);
/* SHAPE unless got is the sizes that follow, `ndim` of them: "lstm: the state is 2x3, not 4x5". */
int td_recurrent_wants(const char *call, const char *what, const td_shape *got,
                       td_err *err, int ndim, ...);

td_shape td_shape_2(int64_t a, int64_t b);
td_shape td_shape_3(int64_t a, int64_t b, int64_t c);

/* Tensors as dense rows: where they lie, or copies in scratch memory. End gives the copies back, and must
 * be called after a failure too. */
#define TD_DENSE_MAX 8
typedef struct td_held {
    const void *data[TD_DENSE_MAX];
    void *copy[TD_DENSE_MAX];
    int count;
} td_held;
int td_held_add(td_held *d, td_tensor *x, td_err *err);
void td_held_end(td_held *d);
/* The same for a gradient [steps, batch, hidden], whose rows alone must be dense; one that is the same
 * number everywhere (of a sum) becomes a single row. */
int td_held_flow(td_held *d, td_tensor *x, td_flow *flow, td_err *err);

/* The kernel of the forward ops: outputs are y, for the LSTM c, and the gates where the cell has them. */
int td_recurrent_kernel(td_recurrent *r, td_tensor *const *in, int nin,
                        td_tensor *const *out, td_err *err);

/* The gradients of x, w, u and both biases, where they are wanted, from those of W x + a (dw) and U h + b
 * (du), [steps, batch, gates x hidden]; y is output 0. `states` is how many inputs stand between x and w. */
void td_recurrent_weights_grad(td_grad *g, td_val *dw, td_val *du, int states,
                               bool reverse);

/* Output k's gradient, or zeros that take no memory where nothing flows in. */
td_val *td_recurrent_gout(td_grad *g, int k);

/* The gradient rule of the backward ops: an error with a hint. */
int td_recurrent_no_second(td_grad *g);

/* td_op's work: the products with the weights in inputs `w` (-1: none) and `u`, at each place of the
 * sequence in input 0. */
double td_recurrent_work(const td_meta *in, int w, int u);

#endif
