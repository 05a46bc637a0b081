/* Recurrent layers forward: one product of the input for all steps, then step by step a product of the state
 * and a pass of activations. Called by the recurrent ops. */
#include "runtime/kernels/recurrent.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu.h"
#include "runtime/kernels/product.h"
#include "runtime/kernels/recurrent_cut.h"
#include "runtime/kernels/recurrent_loops.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

TD_LEVEL_DECLARE(td_recurrent_loops, td_recurrent_loops);

int64_t td_cell_gates(td_cell cell) {
    return cell == TD_CELL_LSTM ? 4 : cell == TD_CELL_GRU ? 3 : 1;
}

/* What the pieces of a step look at. */
typedef struct walk {
    const td_recurrent *r;
    const td_recurrent_forward *f;
    td_cut cut;
    void (*pass)(const td_cell_row *row);
    const char *turned; /* U transposed: [hidden, gates x hidden] */
    char *sums;         /* of this step: what the products are added to */
    int64_t sums_row;   /* in elements */
    const char *h, *c;  /* of the step before */
    char *y, *next;     /* of this step */
    atomic_int rc;
} walk;

static int64_t each(const walk *w) { return (int64_t)td_dtype_bytes(w->r->t); }

/* sums[rows][to ...] (+)= h[rows] times columns `from` of the turned U. */
static void multiply(walk *w, const td_part *p, int64_t from, int64_t to, int64_t cols,
                     bool add, const char *bias) {
    int64_t size = each(w), hidden = w->r->hidden,
            wide = td_cell_gates(w->r->cell) * hidden;
    td_product product = {.t = w->r->t,
                          .m = p->rows,
                          .n = cols,
                          .k = hidden,
                          .segments = 1,
                          .a = w->h + p->row * hidden * size,
                          .a_row = hidden,
                          .a_col = 1,
                          .b = w->turned + from * size,
                          .b_row = wide,
                          .b_col = 1,
                          .c = w->sums + (p->row * w->sums_row + to) * size,
                          .c_row = w->sums_row,
                          .c_col = 1,
                          .add = add,
                          .bias = bias ? bias + from * size : NULL};
    int rc = td_product_run(&product, NULL);
    if (rc) atomic_store(&w->rc, rc);
}

/* The sums of a part. The GRU's third gate keeps what comes from the state apart. */
static void add_state(walk *w, const td_part *p) {
    int64_t hidden = w->r->hidden, gates = td_cell_gates(w->r->cell);
    int64_t summed = w->r->cell == TD_CELL_GRU ? 2 : gates;
    if (p->cols == hidden) {
        multiply(w, p, 0, 0, summed * hidden, true, NULL);
    } else {
        for (int64_t q = 0; q < summed; q++)
            multiply(w, p, q * hidden + p->col, q * hidden + p->col, p->cols, true, NULL);
    }
    if (summed < gates)
        multiply(w, p, 2 * hidden + p->col, 3 * hidden + p->col, p->cols, false,
                 w->f->u_bias);
}

static void run_piece(void *ctx, int64_t i) {
    walk *w = ctx;
    td_part p = td_cut_part(&w->cut, w->r, i);
    add_state(w, &p);
    int64_t size = each(w), hidden = w->r->hidden;
    for (int64_t b = p.row; b < p.row + p.rows; b++) {
        int64_t at = (b * hidden + p.col) * size;
        td_cell_row row = {.n = p.cols,
                           .hidden = hidden,
                           .gates = w->sums + (b * w->sums_row + p.col) * size,
                           .h = w->h + at,
                           .c = w->c ? w->c + at : NULL,
                           .y = w->y + at,
                           .next = w->next ? w->next + at : NULL};
        w->pass(&row);
    }
}

/* The biases that go with the input's product: both, but for the GRU's third gate. */
#define ADD_BIASES(name, T)                                                              \
    static void name(const T *a, const T *b, T *sum, int64_t n, int64_t both) {          \
        for (int64_t j = 0; j < n; j++) sum[j] = j < both ? a[j] + b[j] : a[j];          \
    }
ADD_BIASES(add_biases_f32, float)
ADD_BIASES(add_biases_f64, double)

static int add_input(walk *w, td_err *err) {
    const td_recurrent *r = w->r;
    const td_recurrent_forward *f = w->f;
    int64_t wide = td_cell_gates(r->cell) * r->hidden;
    int64_t both = r->cell == TD_CELL_GRU ? 2 * r->hidden : wide;
    void *bias = td_scratch_take((size_t)(wide * each(w)), err);
    if (bias == NULL) return TD_E_MEMORY;
    if (r->t == TD_F32)
        add_biases_f32(f->w_bias, f->u_bias, bias, wide, both);
    else
        add_biases_f64(f->w_bias, f->u_bias, bias, wide, both);
    td_product product = {.t = r->t,
                          .m = r->steps * r->batch,
                          .n = wide,
                          .k = r->inputs,
                          .segments = 1,
                          .a = f->x,
                          .a_row = r->inputs,
                          .a_col = 1,
                          .b = f->w,
                          .b_row = 1,
                          .b_col = r->inputs,
                          .c = f->gates ? f->gates : f->y,
                          .c_row = w->sums_row,
                          .c_col = 1,
                          .bias = bias};
    int rc = td_product_run(&product, err);
    td_scratch_give(bias);
    return rc;
}

static int run_steps(walk *w, td_err *err) {
    const td_recurrent *r = w->r;
    const td_recurrent_forward *f = w->f;
    int64_t size = each(w), state = r->batch * r->hidden * size;
    int64_t sums = r->batch * w->sums_row * size;
    w->h = f->h0;
    w->c = f->c0;
    for (int64_t s = 0; s < r->steps && atomic_load(&w->rc) == 0; s++) {
        int64_t t = r->reverse ? r->steps - 1 - s : s;
        w->y = (char *)f->y + t * state;
        w->next = f->c ? (char *)f->c + t * state : NULL;
        w->sums = (f->gates ? (char *)f->gates : (char *)f->y) + t * sums;
        td_pool_run(run_piece, w, w->cut.down * w->cut.across);
        w->h = w->y;
        w->c = w->next;
    }
    int rc = atomic_load(&w->rc);
    return rc ? td_fail(err, TD_E_MEMORY, "", "no scratch memory for a step's products")
              : 0;
}

int td_recurrent_run(const td_recurrent *r, const td_recurrent_forward *f, td_err *err) {
    int64_t wide = td_cell_gates(r->cell) * r->hidden;
    if (r->batch == 0 || r->hidden == 0) return 0;
    walk w = {.r = r,
              .f = f,
              .cut = td_recurrent_cut(r, td_cell_gates(r->cell)),
              .pass =
                  (*TD_LEVEL_PICK(td_recurrent_loops))[r->cell][r->t == TD_F64].forward,
              .sums_row = f->gates ? 4 * r->hidden : r->hidden};
    size_t size = td_dtype_bytes(r->t);
    int rc = add_input(&w, err);
    if (rc) return rc;
    void *turned = td_scratch_take((size_t)(wide * r->hidden) * size, err);
    if (turned == NULL) return TD_E_MEMORY;
    td_transpose(size, wide, r->hidden, f->u, r->hidden, turned, wide);
    w.turned = turned;
    rc = run_steps(&w, err);
    td_scratch_give(turned);
    return rc;
}
