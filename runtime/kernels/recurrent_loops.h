/* The passes over one row of one step, of which recurrent.c and recurrent_back.c make layers. Compiled once
 * for each processor level in recurrent_simd.c. Pointers are to the first of n columns; what is changed in
 * place is not const. */
#ifndef TD_RECURRENT_LOOPS_H
#define TD_RECURRENT_LOOPS_H

#include "runtime/kernels/recurrent.h"

/* The columns of one gate lie `hidden` elements behind those of the one before. */
typedef struct td_cell_row {
    int64_t n, hidden;
    void *
        gates; /* sums before the pass, activations after it; Elman's unit has them in y */
    const void *h;  /* of the step before */
    const void *c;  /* likewise */
    void *y, *next; /* h and c of this step */
} td_cell_row;

typedef struct td_cell_row_back {
    int64_t n, hidden;
    const void *gates, *h, *c, *y, *next;
    const void *dy, *dnext; /* what flows into y and next from outside */
    /* What flows into y from the step behind; the GRU leaves there what goes past its gates to the step
     * before. */
    void *dh;
    void *dc; /* what flows into next from the step behind; becomes what flows into c */
    void *dw, *du;
} td_cell_row_back;

typedef struct td_cell_loops {
    void (*forward)(const td_cell_row *row);
    void (*back)(const td_cell_row_back *row);
} td_cell_loops;

/* By cell and dtype (0: f32, 1: f64). */
typedef td_cell_loops td_recurrent_loops[TD_CELL_COUNT][2];

#endif
