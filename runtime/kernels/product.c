/* Products: which operand's numbers fill the vectors, what has to be packed for that, and how the work is
 * cut over the pool's threads. None of it changes a bit. The loops are in product_simd.c. */
#include "runtime/kernels/product.h"

#include <string.h>

#include "runtime/cpu.h"
#include "runtime/kernels/product_loops.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

TD_LEVEL_DECLARE(td_product_level, td_product_level);

/* Links in all that are worth a piece of their own. */
#define PIECE_LINKS (double)(1 << 20)
#define MOST_PIECES 16
/* Bytes of b that are gone over for one tile of rows after another: they stay in the second cache. */
#define BLOCK_BYTES ((int64_t)384 << 10)
#define BLOCK_LINKS 384 /* a packed tile of a stays in the first */
#define STRIP_LINKS 256 /* of a packed panel that is used once: it stays in the first */
#define ROWS_AHEAD 8    /* rows of b that are fetched early when b is gone over once */

/* A product with its roles dealt: lanes run along j of `part`. */
typedef struct job {
    td_part part;
    const td_product_loops *loops;
    size_t each; /* bytes of a number */
    int64_t b_col;
    bool packs_a, packs_b;
    int64_t panel;               /* columns */
    int64_t group;               /* columns that are gone over together */
    int64_t chunk_k, chunk_segs; /* links that are gone over together */
    int64_t cut, pieces;         /* columns or rows of a piece */
    bool cuts_rows;
    char *
        scratch; /* each piece has its own: a packed group of b, then a packed tile of a */
    size_t scratch_b, scratch_each;
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static const void *past(const job *w, const void *p, int64_t elements) {
    return (const char *)p + elements * (int64_t)w->each;
}
static void *into(const job *w, void *p, int64_t elements) {
    return (char *)p + elements * (int64_t)w->each;
}

/* ---- one piece ---- */

/* rows x cols numbers at any strides, so that they lie by rows. */
static void gather(const job *w, int64_t rows, int64_t cols, const void *from,
                   int64_t from_row, int64_t from_col, void *to, int64_t to_row) {
    if (from_col == 1) {
        w->loops->copy(rows, cols, from, from_row, to, to_row);
    } else if (from_row == 1) {
        w->loops->turn(cols, rows, from, from_col, to, to_row);
    } else {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                memcpy(into(w, to, i * to_row + j),
                       past(w, from, i * from_row + j * from_col), w->each);
    }
}

/* The links of p from b on, for its columns, into panels. */
static void pack_b(const job *w, td_part *p, const void *b, void *to) {
    p->b = to;
    p->b_row = w->panel;
    p->b_seg = p->k * w->panel;
    p->b_panel = p->segments * p->b_seg;
    for (int64_t j = 0; j < p->n; j += w->panel)
        for (int64_t s = 0; s < p->segments; s++)
            gather(w, p->k, least(w->panel, p->n - j),
                   past(w, b, s * w->part.b_seg + j * w->b_col), w->part.b_row, w->b_col,
                   into(w, to, j / w->panel * p->b_panel + s * p->b_seg), w->panel);
}

/* The same for the rows of a tile: side by side when they lie so, else one after another. */
static void pack_a(const job *w, td_part *p, void *to) {
    bool beside = p->a_row == 1;
    int64_t row = beside ? w->loops->tallest[p->width] : p->k;
    int64_t seg = beside ? p->k * row : p->m * row;
    for (int64_t s = 0; s < p->segments; s++) {
        const void *from = past(w, p->a, s * p->a_seg);
        if (beside)
            gather(w, p->k, p->m, from, p->a_col, 1, into(w, to, s * seg), row);
        else
            gather(w, p->m, p->k, from, p->a_row, p->a_col, into(w, to, s * seg), row);
    }
    p->a = to;
    p->a_seg = seg;
    p->a_row = beside ? 1 : row;
    p->a_col = beside ? row : 1;
}

static void run_rows(const job *w, const td_part *p, void *scratch_a) {
    if (!w->packs_a) {
        w->loops->run(p);
        return;
    }
    int64_t tall = w->loops->tallest[p->width];
    for (int64_t i = 0; i < p->m; i += tall) {
        td_part t = *p;
        t.m = least(tall, p->m - i);
        t.a = past(w, p->a, i * p->a_row);
        t.c = into(w, p->c, i * p->c_row);
        if (t.bias) t.bias = past(w, p->bias, i * p->bias_row);
        pack_a(w, &t, scratch_a);
        w->loops->run(&t);
    }
}

/* The columns of `whole` from j on: one chunk of links after another. */
static void run_group(const job *w, const td_part *whole, int64_t j, char *scratch) {
    td_part p = *whole;
    p.n = least(w->group, whole->n - j);
    p.c = into(w, whole->c, j * whole->c_col);
    const void *bias = whole->bias ? past(w, whole->bias, j * whole->bias_col) : NULL;
    for (int64_t s = 0; s < whole->segments; s += w->chunk_segs)
        for (int64_t q = 0; q < whole->k; q += w->chunk_k) {
            p.segments = least(w->chunk_segs, whole->segments - s);
            p.k = least(w->chunk_k, whole->k - q);
            bool ends = s + p.segments == whole->segments && q + p.k == whole->k;
            p.bias = ends ? bias : NULL;
            p.relu = ends && whole->relu;
            p.a = past(w, whole->a, s * whole->a_seg + q * whole->a_col);
            p.b = past(w, whole->b, s * whole->b_seg + q * whole->b_row + j * w->b_col);
            if (w->packs_b) pack_b(w, &p, p.b, scratch);
            run_rows(w, &p, scratch + w->scratch_b);
            p.add = true;
        }
}

static void run_piece(void *ctx, int64_t i) {
    const job *w = ctx;
    td_part p = w->part;
    int64_t from = i * w->cut;
    if (w->cuts_rows) {
        p.m = least(w->cut, p.m - from);
        p.a = past(w, p.a, from * p.a_row);
        p.c = into(w, p.c, from * p.c_row);
        if (p.bias) p.bias = past(w, p.bias, from * p.bias_row);
    } else {
        p.n = least(w->cut, p.n - from);
        p.b = past(w, p.b, from * w->b_col);
        p.c = into(w, p.c, from * p.c_col);
        if (p.bias) p.bias = past(w, p.bias, from * p.bias_col);
    }
    if (p.segments == 0) {
        w->loops->run(&p);
        return;
    }
    for (int64_t j = 0; j < p.n; j += w->group)
        run_group(w, &p, j, w->scratch + (size_t)i * w->scratch_each);
}

/* ---- what is chosen ---- */

/* Cycles, roughly, with lanes along a side of `across` numbers: two vectors of links in a cycle, a quarter
 * of a cycle for each number that is turned. */
static double price(const td_product *p, const td_product_loops *l, int64_t across,
                    int64_t along, bool packs, bool c_lies) {
    double links = (double)p->k * (double)p->segments;
    double vectors = (double)((across + l->lanes - 1) / l->lanes);
    if (l->shares && td_is_narrow(across, l->lanes)) vectors -= 0.75;
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
    int64_t vectors = (n + l->lanes - 1) / l->lanes;
    if (vectors < 4 || (l->shares && td_is_narrow(n, l->lanes))) return (int)vectors;
    return m <= l->tallest[4] ? 4 : m <= l->tallest[3] ? 3 : 2;
}

/* Rows (or links) of a that lie a multiple of half a page apart push each other out of the first cache. */
static bool lies_badly(const td_part *p, size_t each) {
    int64_t stride = p->a_col == 1 ? p->a_row : p->a_col;
    return stride * (int64_t)each % 2048 == 0;
}

static void plan_blocks(job *w, bool b_lies) {
    td_part *p = &w->part;
    w->group = p->n;
    w->chunk_k = p->k;
    w->chunk_segs = p->segments;
    if (p->segments == 0) return;
    int64_t links = p->k * p->segments, each = (int64_t)w->each;
    if (b_lies && links * p->n * each <= 2 * BLOCK_BYTES) {
        p->rows_first = true;
        return;
    }
    int64_t tall = w->loops->tallest[p->width], tiles = ceil_div(p->m, tall);
    bool is_large = links * p->n * each > 2 * BLOCK_BYTES;
    w->packs_b = !b_lies || (is_large && tiles >= 8);
    p->rows_first = w->packs_b ? tiles > 1 : !is_large;
    if (w->packs_b) {
        int64_t most = tiles > 1 ? BLOCK_LINKS : STRIP_LINKS;
        w->chunk_k = least(p->k, most);
        w->chunk_segs = p->k > most ? 1 : least(p->segments, most / p->k);
        int64_t panel_bytes = w->chunk_k * w->chunk_segs * w->panel * each;
        int64_t panels = tiles > 1 ? BLOCK_BYTES / panel_bytes : 1;
        w->group = least(p->n, (panels > 0 ? panels : 1) * w->panel);
        w->scratch_b = (size_t)(ceil_div(w->group, w->panel) * panel_bytes);
    } else if (is_large && tiles <= 2) {
        p->ahead = ROWS_AHEAD * p->b_row;
    }
    w->packs_a =
        w->packs_b && tiles > 1 && w->group >= 8 * w->panel && lies_badly(p, w->each);
    w->scratch_each = w->scratch_b;
    if (w->packs_a) w->scratch_each += (size_t)(w->chunk_k * w->chunk_segs * tall * each);
}

/* An even number of pieces: whole panels of columns when they can be dealt evenly, else rows. */
static void plan_pieces(job *w) {
    td_part *p = &w->part;
    w->pieces = 1;
    w->cut = p->n;
    double links = (double)p->m * (double)p->n * (double)p->k * (double)p->segments;
    if (links < 2 * PIECE_LINKS || td_pool_threads() == 1 || td_pool_is_inside()) return;
    int64_t pieces = links > MOST_PIECES * PIECE_LINKS
                         ? MOST_PIECES
                         : (int64_t)(links / PIECE_LINKS) / 2 * 2;
    int64_t panels = ceil_div(p->n, w->panel);
    bool is_even = panels % pieces == 0 || panels >= 4 * pieces;
    w->cuts_rows = !is_even && p->m >= 8 * pieces;
    w->cut = w->cuts_rows ? ceil_div(ceil_div(p->m, pieces), 4) * 4
                          : ceil_div(panels, pieces) * w->panel;
    w->pieces = ceil_div(w->cuts_rows ? p->m : p->n, w->cut);
}

void td_transpose(size_t each, int64_t rows, int64_t cols, const void *from,
                  int64_t from_row, void *to, int64_t to_row) {
    const td_product_level *level = TD_LEVEL_PICK(td_product_level);
    (each == 4 ? &level->f32 : &level->f64)->turn(rows, cols, from, from_row, to, to_row);
}

int td_product_run(const td_product *product, td_err *err) {
    return td_product_run_at(TD_LEVEL_PICK(td_product_level), product, err);
}

int td_product_run_at(const td_product_level *level, const td_product *product,
                      td_err *err) {
    if (product->m == 0 || product->n == 0) return 0;
    if (!td_dtype_is_float(product->t)) {
        td_product_integers(product);
        return 0;
    }
    td_product t = *product;
    join_segments(&t);
    job w = {.loops = t.t == TD_F32 ? &level->f32 : &level->f64,
             .each = td_dtype_bytes(t.t)};
    bool b_lies = t.b_col == 1 || t.n == 1, a_lies = t.a_row == 1 || t.m == 1;
    bool lies_well = b_lies && t.c_col == 1 && !a_lies && t.n >= w.loops->lanes / 2;
    bool turns = !lies_well && price(&t, w.loops, t.m, t.n, !a_lies, t.c_row == 1) <
                                   price(&t, w.loops, t.n, t.m, !b_lies, t.c_col == 1);
    if (turns) t = turned(&t);
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
    w.panel = w.part.width * w.loops->lanes;
    w.part.b_panel = w.panel;
    plan_blocks(&w, turns ? a_lies : b_lies);
    plan_pieces(&w);
    if (w.scratch_each > 0) {
        w.scratch = td_scratch_take((size_t)w.pieces * w.scratch_each, err);
        if (w.scratch == NULL) return TD_E_MEMORY;
    }
    if (w.pieces == 1 && w.scratch_each == 0)
        w.loops->run(&w.part);
    else if (w.pieces == 1)
        run_piece(&w, 0);
    else
        td_pool_run(run_piece, &w, w.pieces);
    td_scratch_give(w.scratch);
    return 0;
}
