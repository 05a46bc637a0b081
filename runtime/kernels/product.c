/* Products: which operand's numbers fill the vectors, what has to be packed for that, and how the work is
 * cut over the pool's threads. None of it changes a bit. The loops are in product_simd.c. */
#include "runtime/kernels/product.h"

#include "runtime/cpu.h"
#include "runtime/kernels/product_loops.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

TD_LEVEL_DECLARE(td_product_level, td_product_level);

/* Links of a chain whose b is packed at a time: a panel of them stays in the first cache when there is one
 * tile of rows, in the second when there are more. */
#define LINKS_LOW 256
#define LINKS_HIGH 1024
/* Links in all that are worth a piece of their own. */
#define PIECE_LINKS (double)(1 << 20)
#define MOST_PIECES 32

/* A product with its roles dealt: lanes run along j of `part`. */
typedef struct job {
    td_part part;
    const td_product_loops *loops;
    size_t each; /* bytes of a number */
    int64_t b_col;
    bool packs;
    int64_t panel;               /* columns */
    int64_t chunk_k, chunk_segs; /* what is packed at a time */
    int64_t cut, pieces;         /* columns or rows of a piece */
    bool cuts_rows;
    char *scratch;
    size_t scratch_each;
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static const void *past(const job *w, const void *p, int64_t elements) {
    return (const char *)p + elements * (int64_t)w->each;
}

/* ---- one piece ---- */

/* b[first segment..][q..][j..] into rows of `panel` numbers. */
static void pack(const job *w, const td_part *p, const void *b, int64_t cols, char *to) {
    int64_t row = w->panel;
    for (int64_t s = 0; s < p->segments; s++) {
        const char *from = past(w, b, s * w->part.b_seg);
        char *at = to + s * p->b_seg * (int64_t)w->each;
        if (w->part.b_row == 1) {
            td_transpose(w->each, cols, p->k, from, w->b_col, at, row);
            continue;
        }
        for (int64_t q = 0; q < p->k; q++)
            for (int64_t j = 0; j < cols; j++) {
                const void *x = past(w, from, q * w->part.b_row + j * w->b_col);
                char *y = at + (q * row + j) * (int64_t)w->each;
                if (w->each == 4)
                    *(uint32_t *)(void *)y = *(const uint32_t *)x;
                else
                    *(uint64_t *)(void *)y = *(const uint64_t *)x;
            }
    }
}

/* Some columns, packed and summed a chunk of links after another. */
static void run_packed(const job *w, td_part p, char *scratch) {
    const td_part whole = p;
    p.b_row = w->panel;
    p.b_panel = 0;
    p.b = scratch;
    for (int64_t j = 0; j < whole.n; j += w->panel) {
        p.n = least(w->panel, whole.n - j);
        p.c = (char *)whole.c + j * whole.c_col * (int64_t)w->each;
        const void *bias = whole.bias ? past(w, whole.bias, j * whole.bias_col) : NULL;
        p.add = whole.add;
        for (int64_t s = 0; s < whole.segments; s += w->chunk_segs)
            for (int64_t q = 0; q < whole.k; q += w->chunk_k) {
                p.segments = least(w->chunk_segs, whole.segments - s);
                p.k = least(w->chunk_k, whole.k - q);
                p.b_seg = p.k * w->panel;
                bool ends = s + p.segments == whole.segments && q + p.k == whole.k;
                p.bias = ends ? bias : NULL;
                p.relu = ends && whole.relu;
                p.a = past(w, whole.a, s * whole.a_seg + q * whole.a_col);
                const void *b =
                    past(w, whole.b, s * whole.b_seg + q * whole.b_row + j * w->b_col);
                pack(w, &p, b, p.n, scratch);
                w->loops->run(&p);
                p.add = true;
            }
    }
}

static void run_piece(void *ctx, int64_t i) {
    const job *w = ctx;
    td_part p = w->part;
    int64_t from = i * w->cut;
    if (w->cuts_rows) {
        p.m = least(w->cut, p.m - from);
        p.a = past(w, p.a, from * p.a_row);
        p.c = (char *)p.c + from * p.c_row * (int64_t)w->each;
        if (p.bias) p.bias = past(w, p.bias, from * p.bias_row);
    } else {
        p.n = least(w->cut, p.n - from);
        p.b = past(w, p.b, w->packs ? from * w->b_col : from / w->panel * p.b_panel);
        p.c = (char *)p.c + from * p.c_col * (int64_t)w->each;
        if (p.bias) p.bias = past(w, p.bias, from * p.bias_col);
    }
    if (w->packs)
        run_packed(w, p, w->scratch + (size_t)i * w->scratch_each);
    else
        w->loops->run(&p);
}

/* ---- what is chosen ---- */

/* Cycles, roughly, with lanes along a side of `across` numbers: two vectors of links in a cycle, a quarter
 * of a cycle for each number that is turned. */
static double price(const td_product *p, int64_t lanes, int64_t across, int64_t along,
                    bool packs, bool c_lies) {
    double links = (double)p->k * (double)p->segments;
    double vectors = (double)ceil_div(across, lanes);
    double chains = vectors * (double)along;
    double cost = links * (chains < 8 ? 4 : chains / 2);
    if (packs) cost += links * (double)across / 4;
    if (!c_lies) cost += (double)p->m * (double)p->n / 4;
    return cost;
}

static td_product turned(const td_product *p) {
    td_product t = *p;
    t.m = p->n, t.n = p->m;
    t.a = p->b, t.a_row = p->b_col, t.a_col = p->b_row, t.a_seg = p->b_seg;
    t.b = p->a, t.b_row = p->a_col, t.b_col = p->a_row, t.b_seg = p->a_seg;
    t.c_row = p->c_col, t.c_col = p->c_row;
    return t;
}

/* One segment instead of several that follow on, or that have one link each. */
static void join_segments(td_product *p) {
    if (p->k == 0) p->segments = 0;
    if (p->segments <= 1) return;
    if (p->k == 1) {
        p->a_col = p->a_seg, p->b_row = p->b_seg;
    } else if (p->a_seg != p->k * p->a_col || p->b_seg != p->k * p->b_row) {
        return;
    }
    p->k *= p->segments;
    p->segments = 1;
}

static int width_for(const td_product_loops *l, int64_t m, int64_t n) {
    int64_t vectors = ceil_div(n, l->lanes);
    if (vectors < 4) return (int)vectors;
    return m <= l->tallest[4] ? 4 : m <= l->tallest[3] ? 3 : 2;
}

static void plan_packing(job *w) {
    td_part *p = &w->part;
    int64_t links = p->m <= w->loops->tallest[p->width] ? LINKS_LOW : LINKS_HIGH;
    w->chunk_k = least(p->k, links);
    w->chunk_segs = p->k > links ? 1 : least(p->segments, links / p->k);
    w->scratch_each = (size_t)(w->chunk_k * w->chunk_segs * w->panel) * w->each;
}

static void plan_pieces(job *w) {
    td_part *p = &w->part;
    w->pieces = 1;
    w->cut = p->n;
    double links = (double)p->m * (double)p->n * (double)p->k * (double)p->segments;
    if (links < 2 * PIECE_LINKS || td_pool_threads() == 1 || td_pool_is_inside()) return;
    int64_t pieces =
        links > MOST_PIECES * PIECE_LINKS ? MOST_PIECES : (int64_t)(links / PIECE_LINKS);
    int64_t tall = w->loops->tallest[p->width];
    int64_t panels = ceil_div(p->n, w->panel), tiles = ceil_div(p->m, tall);
    w->cuts_rows = tiles > panels;
    w->cut = w->cuts_rows ? ceil_div(tiles, pieces) * tall
                          : ceil_div(panels, pieces) * w->panel;
    w->pieces = ceil_div(w->cuts_rows ? p->m : p->n, w->cut);
}

int td_product_run(const td_product *product, td_err *err) {
    return td_product_run_at(TD_LEVEL_PICK(td_product_level), product, err);
}

int td_product_run_at(const td_product_level *level, const td_product *product,
                      td_err *err) {
    if (product->m == 0 || product->n == 0) return 0;
    td_product t = *product;
    join_segments(&t);
    job w = {.loops = t.t == TD_F32 ? &level->f32 : &level->f64,
             .each = td_dtype_bytes(t.t)};
    bool b_lies = t.b_col == 1 || t.n == 1, a_lies = t.a_row == 1 || t.m == 1;
    int64_t lanes = w.loops->lanes;
    bool turns = price(&t, lanes, t.m, t.n, !a_lies, t.c_row == 1) <
                 price(&t, lanes, t.n, t.m, !b_lies, t.c_col == 1);
    if (turns) t = turned(&t);
    w.packs = turns ? !a_lies : !b_lies;
    w.part = (td_part){.m = t.m,
                       .n = t.n,
                       .k = t.k,
                       .segments = t.segments,
                       .a = t.a,
                       .a_row = t.a_row,
                       .a_col = t.a_col,
                       .a_seg = t.a_seg,
                       .b = t.b,
                       .b_row = t.b_row,
                       .b_seg = t.b_seg,
                       .c = t.c,
                       .c_row = t.c_row,
                       .c_col = t.n == 1 ? 1 : t.c_col,
                       .bias = t.bias,
                       .bias_row = turns,
                       .bias_col = !turns,
                       .width = width_for(w.loops, t.m, t.n),
                       .add = t.add,
                       .relu = t.relu};
    w.b_col = t.b_col;
    w.panel = w.part.width * lanes;
    w.part.b_panel = w.panel;
    if (w.part.segments > 0 && w.packs)
        plan_packing(&w);
    else
        w.packs = false;
    plan_pieces(&w);
    if (w.packs) {
        w.scratch = td_scratch_take((size_t)w.pieces * w.scratch_each, err);
        if (w.scratch == NULL) return TD_E_MEMORY;
    }
    if (w.pieces == 1)
        run_piece(&w, 0);
    else
        td_pool_run(run_piece, &w, w.pieces);
    td_scratch_give(w.scratch);
    return 0;
}
