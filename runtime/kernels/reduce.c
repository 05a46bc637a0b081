/* Reductions: which elements go together and in which order. The loops over them are in reduce_simd.c. */
#include "runtime/kernels/reduce.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu.h"

TD_LEVEL_DECLARE(td_reduce_loops, td_reduce_loops);

#define LANES TD_REDUCE_LANES
#define BLOCK TD_REDUCE_BLOCK
/* Results that are worked on at a time, when they lie closer than what is reduced. */
#define COLUMNS 64

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

typedef struct plan {
    const td_reduce_loops *loops;
    void (*load)(int64_t, const char *, int64_t, void *);
    td_reduce_kind kind;
    td_reduce_map map;
    bool integers, columns;
    cell identity;
    int kept_count, outer_count; /* outer: reduced runs but the innermost */
    axis kept[TD_MAX_DIM], outer[TD_MAX_DIM], inner;
    const double *shift;
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

/* All blocks of one run, n elements that lie stride apart, into *total. */
static void reduce_row(const plan *p, const char *at, const double *shift, cell *total) {
    cell buf[BLOCK], lane[LANES];
    for (int64_t from = 0; from < p->inner.size; from += BLOCK) {
        int64_t n = p->inner.size - from < BLOCK ? p->inner.size - from : BLOCK;
        p->load(n, at + from * p->inner.stride, p->inner.stride, buf);
        map(p, n, buf, shift, 0);
        for (int j = 0; j < LANES; j++) lane[j] = p->identity;
        p->loops->fold[p->integers][p->kind](n, buf, lane);
        int width = LANES; /* lanes that hold nothing but the identity need no joining */
        while (width / 2 >= n) width /= 2;
        for (width /= 2; width > 0; width /= 2)
            p->loops->fold_flat[p->integers][p->kind](width, lane + width, lane);
        p->loops->fold_flat[p->integers][p->kind](1, lane, total);
    }
}

/* The same for `count` runs side by side, col apart: each gets the very same operations. */
static void reduce_columns(const plan *p, const char *at, int64_t col, int64_t count,
                           const double *shift, cell *total) {
    cell buf[COLUMNS], lane[LANES][COLUMNS];
    for (int64_t from = 0; from < p->inner.size; from += BLOCK) {
        int64_t n = p->inner.size - from < BLOCK ? p->inner.size - from : BLOCK;
        for (int j = 0; j < LANES && j < n; j++)
            for (int64_t c = 0; c < count; c++) lane[j][c] = p->identity;
        const char *row = at + from * p->inner.stride;
        for (int64_t i = 0; i < n; i++, row += p->inner.stride) {
            p->load(count, row, col, buf);
            map(p, count, buf, shift, 1);
            p->loops->fold_flat[p->integers][p->kind](count, buf, lane[i % LANES]);
        }
        int width = LANES;
        while (width / 2 >= n) width /= 2;
        for (width /= 2; width > 0; width /= 2)
            for (int j = 0; j < width && j + width < n; j++)
                p->loops->fold_flat[p->integers][p->kind](count, lane[j + width],
                                                          lane[j]);
        p->loops->fold_flat[p->integers][p->kind](count, lane[0], total);
    }
}

/* Counts index through the sizes of axes; false after the last. */
static bool next(int64_t *index, const axis *axes, int count) {
    for (int i = count - 1; i >= 0; i--) {
        if (++index[i] < axes[i].size) return true;
        index[i] = 0;
    }
    return false;
}

static int64_t offset_of(const int64_t *index, const axis *axes, int count) {
    int64_t at = 0;
    for (int i = 0; i < count; i++) at += index[i] * axes[i].stride;
    return at;
}

/* `count` results from `first` on, whose runs lie col apart. */
static void reduce_stretch(const plan *p, const char *at, int64_t col, int64_t count,
                           int64_t first, cell *result) {
    const double *shift = p->shift ? p->shift + first : NULL;
    cell *total = result + first;
    int64_t index[TD_MAX_DIM] = {0};
    do {
        const char *run = at + offset_of(index, p->outer, p->outer_count);
        if (p->columns)
            reduce_columns(p, run, col, count, shift, total);
        else
            reduce_row(p, run, shift, total);
    } while (next(index, p->outer, p->outer_count));
}

/* Results side by side are worked on together when they lie closer than what is reduced, or when there
 * is little to reduce for each. */
static void run(plan *p, const char *data, cell *result) {
    int kept = p->kept_count;
    const axis *last = kept > 0 ? &p->kept[kept - 1] : NULL;
    p->columns =
        last && (p->inner.size <= 8 || llabs(last->stride) < llabs(p->inner.stride));
    if (p->columns) kept--;
    int64_t index[TD_MAX_DIM] = {0};
    do {
        const char *at = data + offset_of(index, p->kept, kept);
        int64_t first = 0;
        for (int i = 0; i < kept; i++) first += index[i] * p->kept[i].result_stride;
        int64_t count = p->columns ? last->size : 1, col = p->columns ? last->stride : 0;
        for (int64_t c = 0; c < count; c += COLUMNS)
            reduce_stretch(p, at + c * col, col,
                           count - c < COLUMNS ? count - c : COLUMNS, first + c, result);
    } while (next(index, p->kept, kept));
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
    set_identity(&p);
    int64_t results = 1, elements = 1;
    for (int d = 0; d < x->shape.ndim; d++) {
        if (!((dims >> d) & 1)) results *= x->shape.dim[d];
        elements *= x->shape.dim[d];
    }
    cell *to = result;
    for (int64_t i = 0; i < results; i++) to[i] = p.identity;
    if (elements == 0) return 0;
    td_tensor *flat = NULL;
    if (!lay_out(&p, x, dims)) {
        flat = td_tensor_contiguous(x, err);
        if (flat == NULL) return TD_E_MEMORY;
        lay_out(&p, flat, dims);
    }
    run(&p, td_tensor_data(flat ? flat : x), to);
    td_tensor_unref(&flat);
    return 0;
}
