/* softmax: which lines are worked on together, and how they are cut over threads. The loops are in
 * softmax_simd.c. */
#include "runtime/kernels/softmax.h"

#include "runtime/cpu.h"
#include "runtime/pool.h"

TD_LEVEL_DECLARE(td_softmax_table, td_softmax_table);

#define PIECE 8192 /* elements that make a piece worth handing to a thread */

/* A unit is a tile's width of lines, or what is left of such at the end of an inner run. */
typedef struct job {
    td_softmax s;
    const td_softmax_loops *loops;
    const char *a, *b; /* x; or dy and y */
    char *to;
    bool grad;
    int64_t each, units, per_piece, per_outer;
} job;

static void unit_run(const job *j, int64_t unit) {
    const td_softmax *s = &j->s;
    if (s->inner == 1) {
        int64_t first = unit * TD_SOFTMAX_TILE, at = first * s->length * j->each;
        int64_t lines =
            s->outer - first < TD_SOFTMAX_TILE ? s->outer - first : TD_SOFTMAX_TILE;
        if (j->grad)
            j->loops->grad_lines(s->as_log, lines, s->length, j->a + at, j->b + at,
                                 j->to + at);
        else
            j->loops->lines(s->as_log, lines, s->length, j->a + at, j->to + at);
        return;
    }
    int64_t outer = unit / j->per_outer, first = unit % j->per_outer * TD_SOFTMAX_TILE;
    int64_t width =
        s->inner - first < TD_SOFTMAX_TILE ? s->inner - first : TD_SOFTMAX_TILE;
    int64_t at = (outer * s->length * s->inner + first) * j->each;
    if (j->grad)
        j->loops->grad_columns(s->as_log, width, s->length, s->inner, j->a + at,
                               j->b + at, j->to + at);
    else
        j->loops->columns(s->as_log, width, s->length, s->inner, j->a + at, j->to + at);
}

static void piece_run(void *ctx, int64_t piece) {
    const job *j = ctx;
    int64_t from = piece * j->per_piece, to = from + j->per_piece;
    for (int64_t u = from; u < to && u < j->units; u++) unit_run(j, u);
}

static void run(job *j) {
    const td_softmax *s = &j->s;
    if (s->outer == 0 || s->length == 0 || s->inner == 0) return;
    j->loops = (*TD_LEVEL_PICK(td_softmax_table))[s->t == TD_F64];
    j->each = (int64_t)td_dtype_bytes(s->t);
    j->per_outer = (s->inner + TD_SOFTMAX_TILE - 1) / TD_SOFTMAX_TILE;
    j->units = s->inner == 1 ? (s->outer + TD_SOFTMAX_TILE - 1) / TD_SOFTMAX_TILE
                             : s->outer * j->per_outer;
    j->per_piece = PIECE / (s->length * TD_SOFTMAX_TILE) + 1;
    int64_t pieces = (j->units + j->per_piece - 1) / j->per_piece;
    if (pieces == 1)
        piece_run(j, 0);
    else
        td_pool_run(piece_run, j, pieces);
}

void td_softmax_run(const td_softmax *s, const void *x, void *y) {
    job j = {.s = *s, .a = x, .to = y};
    run(&j);
}

void td_softmax_grad(const td_softmax *s, const void *dy, const void *y, void *dx) {
    job j = {.s = *s, .a = dy, .b = y, .to = dx, .grad = true};
    run(&j);
}
