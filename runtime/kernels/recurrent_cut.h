/* How a step of a recurrent layer is cut: into a grid of rows and hidden columns that depends on sizes alone.
 * For recurrent.c and recurrent_back.c. */
#ifndef TD_RECURRENT_CUT_H
#define TD_RECURRENT_CUT_H

#include "runtime/kernels/recurrent.h"

typedef struct td_cut {
    int64_t rows, cols; /* of a piece; the last of a line of pieces may have fewer */
    int64_t down, across;
} td_cut;

/* `gates` columns of products with U, of `hidden` numbers each, make one hidden column. */
static inline td_cut td_recurrent_cut(const td_recurrent *r, int64_t gates) {
    /* Below this a piece is not worth waking a thread for. */
    const double least = 400e3;
    double work =
        2.0 * (double)r->batch * (double)r->hidden * (double)(gates * r->hidden);
    td_cut c = {.rows = r->batch, .cols = r->hidden, .down = 1, .across = 1};
    if (work < 2 * least) return c;
    if (r->batch >= 64)
        c.rows = 32;
    else if (r->hidden >= 128)
        c.cols = r->hidden >= 256 ? 128 : 64;
    c.down = (r->batch + c.rows - 1) / c.rows;
    c.across = (r->hidden + c.cols - 1) / c.cols;
    return c;
}

/* The part of the grid that piece i is. */
typedef struct td_part {
    int64_t row, rows, col, cols;
} td_part;

static inline td_part td_cut_part(const td_cut *c, const td_recurrent *r, int64_t i) {
    td_part p = {.row = i / c->across * c->rows, .col = i % c->across * c->cols};
    p.rows = r->batch - p.row < c->rows ? r->batch - p.row : c->rows;
    p.cols = r->hidden - p.col < c->cols ? r->hidden - p.col : c->cols;
    return p;
}

#endif
