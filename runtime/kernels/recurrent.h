/* Recurrent layers over whole sequences, forward and backward: Elman's unit (tanh or relu), the GRU (Cho et
 * al. 2014, with the reset gate behind the product, as cuDNN and PyTorch have it) and the LSTM (Hochreiter
 * and Schmidhuber 1997, with a forget gate). With s the logistic function, x_t a row of the input, h_t and
 * c_t rows of states, W and U the input's and the state's weights, a and b their biases:
 *
 *     Elman   h_t = f(W x_t + a + U h_t-1 + b)
 *     GRU     r = s(W_r x_t + a_r + U_r h_t-1 + b_r),   z = s(W_z x_t + a_z + U_z h_t-1 + b_z)
 *             n = tanh(W_n x_t + a_n + r (U_n h_t-1 + b_n)),   h_t = (1 - z) n + z h_t-1
 *     LSTM    i, f, o = s(W x_t + a + U h_t-1 + b),   g = tanh(...)
 *             c_t = f c_t-1 + i g,   h_t = o tanh(c_t)
 *
 * The products of all steps with W are one; each step then has its product with U and one pass over its
 * rows, which takes the activations. Steps are cut over the pool's threads by rows and hidden columns; bits
 * depend on neither. Sequences are [steps, batch, ...], row by row and dense. */
#ifndef TD_RECURRENT_H
#define TD_RECURRENT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/dtype.h"
#include "runtime/err.h"

typedef enum td_cell {
    TD_CELL_TANH,
    TD_CELL_RELU,
    TD_CELL_GRU,  /* weights in the order r, z, n */
    TD_CELL_LSTM, /* weights in the order i, f, g, o */
    TD_CELL_COUNT
} td_cell;

typedef struct td_recurrent {
    td_dtype t; /* TD_F32 or TD_F64 */
    td_cell cell;
    bool reverse; /* from the last step to the first */
    int64_t steps, batch, inputs, hidden;
} td_recurrent;

/* Gates that the weights have: W is [gates x hidden, inputs], U [gates x hidden, hidden]. */
int64_t td_cell_gates(td_cell cell);

typedef struct td_recurrent_forward {
    const void *x;               /* [steps, batch, inputs] */
    const void *h0, *c0;         /* [batch, hidden]; c0 of the LSTM alone */
    const void *w, *u;           /* W and U */
    const void *w_bias, *u_bias; /* [gates x hidden] */
    void *y;                     /* [steps, batch, hidden]: h of each step */
    void *c;                     /* the LSTM's: c of each step */
    /* [steps, batch, 4 x hidden], what backward wants: the LSTM's i, f, g, o; the GRU's r, z, n and
     * U_n h + b_n. Elman's unit has none. */
    void *gates;
} td_recurrent_forward;

/* Fails only for want of scratch memory. */
int td_recurrent_run(const td_recurrent *r, const td_recurrent_forward *f, td_err *err);

/* A gradient that flows into all steps, with strides in elements over steps and rows; a row is dense. */
typedef struct td_flow {
    const void *data;
    int64_t step, row;
} td_flow;

typedef struct td_recurrent_backward {
    td_flow dy;
    td_flow dc; /* the LSTM's: into c of each step */
    const void *h0, *c0, *u, *y, *c, *gates;
    /* Gradients of what W x + a and U h + b gave, [steps, batch, gates x hidden]. They differ in the GRU
     * alone, and du is not used elsewhere. */
    void *dw, *du;
    void *dh0, *dc0; /* [batch, hidden] */
} td_recurrent_backward;

int td_recurrent_run_back(const td_recurrent *r, const td_recurrent_backward *b,
                          td_err *err);

#endif
