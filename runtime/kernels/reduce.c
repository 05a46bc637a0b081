/* Reductions: which elements go together and in which order. The loops over them are in reduce_simd.c. */
#include "runtime/kernels/reduce.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu.h"
#include "runtime/dense.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"

TD_LEVEL_DECLARE(td_reduce_loops, td_reduce_loops);

#define LANES TD_REDUCE_LANES
#define BLOCK TD_REDUCE_BLOCK
#define COLUMNS TD_REDUCE_COLUMNS
#define PIECE 32768 /* elements that make a piece worth handing to a thread */

/* One value of either accumulator type; both have 8 bytes. */
typedef union cell {
    double f;
    int64_t i;
} cell;

/* A dimension, or several neighbours of one kind that lie flat. */
typedef struct axis {
    int64_t size, stride;  /* in bytes */
    int64_t result_stride; /* kept ones: in results */
} axis;

/* `count` <= COLUMNS results from `first` on, whose runs begin at `at`, col apart. */
typedef struct stretch {
    const char *at;
    int64_t col, count, first;
} stretch;

typedef struct plan {
    const td_reduce_loops *loops;
    void (*load)(int64_t, const char *, int64_t, void *);
    td_reduce_kind kind;
    td_reduce_map map;
    bool integers, columns;
    const td_reduce_direct *direct; /* or NULL */
    int64_t each;                   /* bytes of an element */
    cell identity;
    int kept_count, outer_count; /* outer: reduced runs but the innermost */
    axis kept[TD_MAX_DIM], outer[TD_MAX_DIM], inner;
    const double *shift;
    const char *data;
    cell *result;
    int64_t per_piece;
    stretch whole; /* whose blocks are shared out */
    int64_t block; /* the first block of this round */
    cell *part;    /* the values of the round's blocks */
} plan;

/* Folds neighbours of one kind together. False when reduced neighbours do not lie flat. */
static bool lay_out(plan *p, const td_tensor *x, unsigned dims) {
    int64_t bytes = (int64_t)td_dtype_bytes(x->dtype);
    axis reduced[TD_MAX_DIM];
    int reduced_count = 0, last_kind = -1;
    p->kept_count = 0;
    for (int d = 0; d < x->shape.ndim; d++) {
        axis a = {x->shape.dim[d], x->stride[d] * bytes, 0};
        if (a.size == 1) continue;
        int kind = (dims >> d) & 1;
        axis *list = kind ? reduced : p->kept;
        int *count = kind ? &reduced_count : &p->kept_count;
        axis *last = *count > 0 ? &list[*count - 1] : NULL;
        if (kind == last_kind && last->stride == a.stride * a.size) {
            last->size *= a.size;
            last->stride = a.stride;
        } else if (kind == last_kind && kind) {
            return false;
        } else {
            list[(*count)++] = a;
        }
        last_kind = kind;
    }
    int64_t step = 1;
    for (int i = p->kept_count - 1; i >= 0; i--) {
        p->kept[i].result_stride = step;
        step *= p->kept[i].size;
    }
    p->inner = (axis){1, 0, 0};
    if (reduced_count > 0) p->inner = reduced[--reduced_count];
    p->outer_count = reduced_count;
    memcpy(p->outer, reduced, sizeof reduced);
    return true;
}

static void set_identity(plan *p) {
    static const double floats[] = {0, 1, -(double)INFINITY, (double)INFINITY};
    static const int64_t ints[] = {0, 1, INT64_MIN, INT64_MAX};
    if (!p->integers)
        p->identity.f = floats[p->kind];
    else if (p->map == TD_MAP_NONZERO)
        p->identity.i = p->kind != TD_REDUCE_MAX;
    else
        p->identity.i = ints[p->kind];
}

static void map(const plan *p, int64_t n, cell *buf, const double *shift, int64_t step) {
    if (p->map == TD_MAP_SQUARE) p->loops->map_square(n, &buf->f, shift, step);
    if (p->map == TD_MAP_EXP) p->loops->map_exp(n, &buf->f, shift, step);
}

/* The 16 lanes of one block of n elements, joined: into *value. */
static void reduce_block(const plan *p, const char *at, int64_t n, const double *shift,
                         cell *value) {
    cell buf[BLOCK], lane[LANES];
    for (int j = 0; j < LANES; j++) lane[j] = p->identity;
    if (p->direct && p->inner.stride == p->each) {
        p->direct->run(n, at, &lane->f);
    } else {
        p->load(n, at, p->inner.stride, buf);
        map(p, n, buf, shift, 0);
        p->loops->fold[p->integers][p->kind](n, buf, lane);
    }
    int width = LANES; /* lanes that hold nothing but the identity need no joining */
    while (width / 2 >= n) width /= 2;
    for (width /= 2; width > 0; width /= 2)
        p->loops->fold_flat[p->integers][p->kind](width, lane + width, lane);
    *value = lane[0];
}

/* The same for `count` blocks side by side, col apart: each gets the very same operations. */
static void reduce_blocks(const plan *p, const char *at, int64_t n, int64_t col,
                          int64_t count, const double *shift, cell *value) {
    cell buf[COLUMNS], lane[LANES * COLUMNS];
    bool direct = p->direct && col == p->each;
    bool dense = direct && p->inner.stride == count * p->each;
    int64_t lanes = n < LANES ? n : LANES, row = dense ? count : COLUMNS;
    for (int64_t i = 0; i < lanes * row; i++) lane[i] = p->identity;
    if (dense) {
        p->direct->dense(n, count, at, &lane->f);
    } else if (direct) {
        p->direct->rows(n, count, p->inner.stride / p->each, at, &lane->f);
    } else {
        for (int64_t i = 0; i < n; i++, at += p->inner.stride) {
            p->load(count, at, col, buf);
            map(p, count, buf, shift, 1);
            p->loops->fold_flat[p->integers][p->kind](count, buf,
                                                      lane + i % LANES * COLUMNS);
        }
    }
    int width = LANES;
    while (width / 2 >= n) width /= 2;
    for (width /= 2; width > 0; width /= 2) {
        int64_t there = lanes - width < width ? lanes - width : width;
        if (row == count) {
            p->loops->fold_flat[p->integers][p->kind](there * row, lane + width * row,
                                                      lane);
            continue;
        }
        for (int64_t j = 0; j < there; j++)
            p->loops->fold_flat[p->integers][p->kind](count, lane + (j + width) * row,
                                                      lane + j * row);
    }
    memcpy(value, lane, (size_t)count * sizeof *value);
}

/* Block b of a stretch: which of the outer runs it lies in, and where. */
static void stretch_block(const plan *p, const stretch *s, int64_t b, cell *value) {
    int64_t blocks = (p->inner.size + BLOCK - 1) / BLOCK, run = b / blocks;
    int64_t from = b % blocks * BLOCK;
    int64_t n = p->inner.size - from < BLOCK ? p->inner.size - from : BLOCK;
    const char *at = s->at + from * p->inner.stride;
    for (int d = p->outer_count - 1; d >= 0; run /= p->outer[d].size, d--)
        at += run % p->outer[d].size * p->outer[d].stride;
    const double *shift = p->shift ? p->shift + s->first : NULL;
    if (p->columns)
        reduce_blocks(p, at, n, s->col, s->count, shift, value);
    else
        reduce_block(p, at, n, shift, value);
}

static int64_t stretch_blocks(const plan *p) {
    int64_t blocks = (p->inner.size + BLOCK - 1) / BLOCK;
    for (int d = 0; d < p->outer_count; d++) blocks *= p->outer[d].size;
    return blocks;
}

static void join(const plan *p, int64_t count, const cell *value, cell *total) {
    p->loops->fold_flat[p->integers][p->kind](count, value, total);
}

static void reduce_stretch(const plan *p, const stretch *s) {
    cell value[COLUMNS];
    for (int64_t b = 0, blocks = stretch_blocks(p); b < blocks; b++) {
        stretch_block(p, s, b, value);
        join(p, s->count, value, p->result + s->first);
    }
}

static int64_t stretches_of(const plan *p) {
    int64_t n = 1;
    for (int d = 0; d < p->kept_count; d++)
        n *= p->columns && d == p->kept_count - 1
                 ? (p->kept[d].size + COLUMNS - 1) / COLUMNS
                 : p->kept[d].size;
    return n;
}

static stretch stretch_at(const plan *p, int64_t i) {
    stretch s = {.at = p->data, .count = 1};
    int d = p->kept_count - 1;
    if (p->columns) {
        const axis *last = &p->kept[d--];
        int64_t chunks = (last->size + COLUMNS - 1) / COLUMNS;
        s.first = i % chunks * COLUMNS;
        s.count = last->size - s.first < COLUMNS ? last->size - s.first : COLUMNS;
        s.col = last->stride;
        s.at += s.first * last->stride;
        i /= chunks;
    }
    for (; d >= 0; i /= p->kept[d].size, d--) {
        s.at += i % p->kept[d].size * p->kept[d].stride;
        s.first += i % p->kept[d].size * p->kept[d].result_stride;
    }
    return s;
}

/* ---- threads: by stretches; by blocks, which are joined afterwards, where those are few ---- */

#define ROUND 2048 /* blocks whose values are kept until they are joined */

static void stretches_piece(void *ctx, int64_t piece) {
    const plan *p = ctx;
    int64_t from = piece * p->per_piece, to = from + p->per_piece, all = stretches_of(p);
    for (int64_t i = from; i < to && i < all; i++) {
        stretch s = stretch_at(p, i);
        reduce_stretch(p, &s);
    }
}

static void blocks_piece(void *ctx, int64_t piece) {
    const plan *p = ctx;
    int64_t from = piece * p->per_piece, to = from + p->per_piece,
            all = stretch_blocks(p) - p->block;
    for (int64_t b = from; b < to && b < ROUND && b < all; b++)
        stretch_block(p, &p->whole, p->block + b, p->part + b * p->whole.count);
}

static int64_t pieces_of(int64_t parts, int64_t per_piece) {
    return (parts + per_piece - 1) / per_piece;
}

/* Results side by side are worked on together when they lie closer than what is reduced, or when there
 * is little to reduce for each. */
static int run(plan *p, int64_t elements, td_err *err) {
    const axis *last = p->kept_count > 0 ? &p->kept[p->kept_count - 1] : NULL;
    p->columns =
        last && (p->inner.size <= 8 || llabs(last->stride) < llabs(p->inner.stride));
    int64_t stretches = stretches_of(p), blocks = stretch_blocks(p);
    if (elements <= PIECE || (stretches < 8 && blocks < 8)) {
        p->per_piece = stretches;
        stretches_piece(p, 0);
        return 0;
    }
    if (stretches >= 8) {
        int64_t each = elements / stretches + 1;
        p->per_piece = each < PIECE ? PIECE / each : 1;
        td_pool_run(stretches_piece, p, pieces_of(stretches, p->per_piece));
        return 0;
    }
    for (int64_t i = 0; i < stretches; i++) {
        p->whole = stretch_at(p, i);
        int64_t count = p->whole.count, each = elements / stretches / blocks + 1;
        int64_t most = blocks < ROUND ? blocks : ROUND;
        p->part = td_scratch_take((size_t)(most * count) * sizeof *p->part, err);
        if (p->part == NULL) return TD_E_MEMORY;
        p->per_piece = each < PIECE ? PIECE / each : 1;
        for (p->block = 0; p->block < blocks; p->block += ROUND) {
            int64_t now = blocks - p->block < ROUND ? blocks - p->block : ROUND;
            td_pool_run(blocks_piece, p, pieces_of(now, p->per_piece));
            for (int64_t b = 0; b < now; b++)
                join(p, count, p->part + b * count, p->result + p->whole.first);
        }
        td_scratch_give(p->part);
    }
    return 0;
}

int td_reduce(td_reduce_kind kind, td_reduce_map map_kind, td_tensor *x, unsigned dims,
              const double *shift, void *result, td_err *err) {
    plan p = {.loops = TD_LEVEL_PICK(td_reduce_loops),
              .kind = kind,
              .map = map_kind,
              .shift = shift};
    p.integers = map_kind == TD_MAP_NONZERO || !td_dtype_is_float(x->dtype);
    p.load = map_kind == TD_MAP_NONZERO ? p.loops->load_nonzero[x->dtype]
                                        : p.loops->load[x->dtype];
    p.each = (int64_t)td_dtype_bytes(x->dtype);
    if (map_kind == TD_MAP_NONE && td_dtype_is_float(x->dtype))
        p.direct = &p.loops->direct[x->dtype == TD_F64][kind];
    if (p.direct && p.direct->run == NULL) p.direct = NULL;
    set_identity(&p);
    int64_t results = 1, elements = 1;
    for (int d = 0; d < x->shape.ndim; d++) {
        if (!((dims >> d) & 1)) results *= x->shape.dim[d];
        elements *= x->shape.dim[d];
    }
    p.result = result;
    for (int64_t i = 0; i < results; i++) p.result[i] = p.identity;
    if (elements == 0) return 0;
    td_dense flat = {.data = td_tensor_data(x)};
    if (!lay_out(&p, x, dims)) {
        if (td_dense_take(&flat, x, TD_ORDER_ROWS, err)) return TD_E_MEMORY;
        td_tensor rows = *x;
        td_shape_strides(&x->shape, rows.stride);
        lay_out(&p, &rows, dims);
    }
    p.data = flat.data;
    int rc = run(&p, elements, err);
    td_dense_give(&flat);
    return rc;
}
