/* Recurrent layers backward: step by step, the last one first, a pass that takes the gradient through the
 * activations, and a product that takes it to the state of the step before. What the weights get is then
 * one product for all steps, and the caller's. */
#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu.h"
#include "runtime/kernels/product.h"
#include "runtime/kernels/recurrent.h"
#include "runtime/kernels/recurrent_cut.h"
#include "runtime/kernels/recurrent_loops.h"
#include "runtime/pool.h"

TD_LEVEL_DECLARE(td_recurrent_loops, td_recurrent_loops);

typedef struct walk {
    const td_recurrent *r;
    const td_recurrent_backward *b;
    td_cut cut;
    void (*pass)(const td_cell_row_back *row);
    int64_t size, wide; /* of an element in bytes; of a row of dw */
    int64_t t;          /* this step; below 0: there is none left */
    const char *behind; /* the gradient of U h of the step behind, or NULL at first */
    const char *h, *c;  /* of the step before */
    atomic_int rc;
} walk;

/* dh[rows][cols] (+)= behind[rows] times columns of U. The GRU has left there what went past its gates. */
static void multiply(walk *w, const td_part *p) {
    int64_t hidden = w->r->hidden;
    td_product product = {.t = w->r->t,
                          .m = p->rows,
                          .n = p->cols,
                          .k = w->wide,
                          .segments = 1,
                          .a = w->behind + p->row * w->wide * w->size,
                          .a_row = w->wide,
                          .a_col = 1,
                          .b = (const char *)w->b->u + p->col * w->size,
                          .b_row = hidden,
                          .b_col = 1,
                          .c = (char *)w->b->dh0 + (p->row * hidden + p->col) * w->size,
                          .c_row = hidden,
                          .c_col = 1,
                          .add = w->r->cell == TD_CELL_GRU};
    int rc = td_product_run(&product, NULL);
    if (rc) atomic_store(&w->rc, rc);
}

static const char *at(const void *base, int64_t offset) {
    return base ? (const char *)base + offset : NULL;
}

static void pass_row(walk *w, const td_part *p, int64_t row) {
    const td_recurrent *r = w->r;
    const td_recurrent_backward *b = w->b;
    int64_t line = w->t * r->batch + row, size = w->size;
    int64_t state = (row * r->hidden + p->col) * size;
    int64_t states = (line * r->hidden + p->col) * size;
    int64_t grads = (line * w->wide + p->col) * size;
    td_cell_row_back pass = {
        .n = p->cols,
        .hidden = r->hidden,
        .gates = at(b->gates, (line * 4 * r->hidden + p->col) * size),
        .h = at(w->h, state),
        .c = at(w->c, state),
        .y = at(b->y, states),
        .next = at(b->c, states),
        .dy = at(b->dy.data, (w->t * b->dy.step + row * b->dy.row + p->col) * size),
        .dnext = at(b->dc.data, (w->t * b->dc.step + row * b->dc.row + p->col) * size),
        .dh = (char *)b->dh0 + state,
        .dc = b->dc0 ? (char *)b->dc0 + state : NULL,
        .dw = (char *)b->dw + grads,
        .du = b->du ? (char *)b->du + grads : NULL};
    w->pass(&pass);
}

/* The product of the step behind and the pass of this one touch the same rows and columns of dh. */
static void run_piece(void *ctx, int64_t i) {
    walk *w = ctx;
    td_part p = td_cut_part(&w->cut, w->r, i);
    if (w->behind) multiply(w, &p);
    for (int64_t row = p.row; w->t >= 0 && row < p.row + p.rows; row++)
        pass_row(w, &p, row);
}

int td_recurrent_run_back(const td_recurrent *r, const td_recurrent_backward *b,
                          td_err *err) {
    if (r->batch == 0 || r->hidden == 0) return 0;
    int64_t gates = td_cell_gates(r->cell), pieces;
    walk w = {.r = r,
              .b = b,
              .cut = td_recurrent_cut(r, gates),
              .pass = (*TD_LEVEL_PICK(td_recurrent_loops))[r->cell][r->t == TD_F64].back,
              .size = (int64_t)td_dtype_bytes(r->t),
              .wide = gates * r->hidden};
    int64_t state = r->batch * r->hidden * w.size, step = r->batch * w.wide * w.size;
    const char *du = b->du ? b->du : b->dw;
    pieces = w.cut.down * w.cut.across;
    memset(b->dh0, 0, (size_t)state);
    if (b->dc0) memset(b->dc0, 0, (size_t)state);
    for (int64_t s = r->steps - 1; s >= -1 && atomic_load(&w.rc) == 0; s--) {
        int64_t before = s - 1;
        w.t = s < 0 ? -1 : r->reverse ? r->steps - 1 - s : s;
        if (before >= 0) {
            int64_t t = r->reverse ? r->steps - 1 - before : before;
            w.h = at(b->y, t * state);
            w.c = at(b->c, t * state);
        } else {
            w.h = b->h0;
            w.c = b->c0;
        }
        td_pool_run(run_piece, &w, pieces);
        if (s >= 0) w.behind = du + w.t * step;
    }
    int rc = atomic_load(&w.rc);
    return rc ? td_fail(err, TD_E_MEMORY, "", "no scratch memory for a step's products")
              : 0;
}
