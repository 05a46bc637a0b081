/* Loops over strided operands. Dimensions of one are dropped, neighbours that lie flat in every operand
 * are merged, so that most walks end up with one or two dimensions. */
#include "runtime/loop.h"

#include "runtime/pool.h"

static void drop_and_merge(td_loop *l) {
    int n = 0;
    for (int i = 0; i < l->ndim; i++) {
        if (l->dim[i] == 1) continue;
        bool flat = n > 0;
        for (int k = 0; flat && k < l->count; k++)
            flat = l->stride[k][n - 1] == l->stride[k][i] * l->dim[i];
        if (flat) {
            l->dim[n - 1] *= l->dim[i];
            for (int k = 0; k < l->count; k++) l->stride[k][n - 1] = l->stride[k][i];
        } else {
            l->dim[n] = l->dim[i];
            for (int k = 0; k < l->count; k++) l->stride[k][n] = l->stride[k][i];
            n++;
        }
    }
    l->ndim = n;
}

/* Insertion sort: the dimension with the largest stride of operand 0 (then 1, ...) goes outermost. */
static void sort_dims(td_loop *l) {
    for (int i = 1; i < l->ndim; i++) {
        for (int j = i; j > 0; j--) {
            int k = 0;
            while (k < l->count && l->stride[k][j - 1] == l->stride[k][j]) k++;
            if (k == l->count || l->stride[k][j - 1] >= l->stride[k][j]) break;
            int64_t t = l->dim[j];
            l->dim[j] = l->dim[j - 1];
            l->dim[j - 1] = t;
            for (k = 0; k < l->count; k++) {
                t = l->stride[k][j];
                l->stride[k][j] = l->stride[k][j - 1];
                l->stride[k][j - 1] = t;
            }
        }
    }
}

void td_loop_init(td_loop *l, const td_shape *shape, td_tensor *const *operand,
                  int count) {
    l->ndim = shape->ndim;
    l->count = count;
    for (int i = 0; i < shape->ndim; i++) l->dim[i] = shape->dim[i];
    for (int k = 0; k < count; k++) {
        const td_tensor *x = operand[k];
        int64_t bytes = (int64_t)td_dtype_bytes(x->dtype);
        int lead = shape->ndim - x->shape.ndim;
        l->ptr[k] = td_tensor_data(x);
        for (int i = 0; i < shape->ndim; i++) {
            bool fixed = i < lead || (x->shape.dim[i - lead] == 1 && shape->dim[i] != 1);
            l->stride[k][i] = fixed ? 0 : x->stride[i - lead] * bytes;
        }
    }
    sort_dims(l);
    drop_and_merge(l);
}

void td_loop_init_raw(td_loop *l, const td_shape *shape, char *const *ptr,
                      const int64_t *const *stride_bytes, int count) {
    l->ndim = shape->ndim;
    l->count = count;
    for (int i = 0; i < shape->ndim; i++) l->dim[i] = shape->dim[i];
    for (int k = 0; k < count; k++) {
        l->ptr[k] = ptr[k];
        for (int i = 0; i < shape->ndim; i++) l->stride[k][i] = stride_bytes[k][i];
    }
    drop_and_merge(l);
}

void td_loop_run(const td_loop *l, td_inner *inner, const void *ctx) {
    for (int i = 0; i < l->ndim; i++)
        if (l->dim[i] == 0) return;
    char *ptr[TD_LOOP_MAX];
    int64_t step[TD_LOOP_MAX] = {0};
    int last = l->ndim - 1;
    for (int k = 0; k < l->count; k++) {
        ptr[k] = l->ptr[k];
        if (last >= 0) step[k] = l->stride[k][last];
    }
    if (last <= 0) {
        inner(last < 0 ? 1 : l->dim[0], ptr, step, ctx);
        return;
    }
    int64_t index[TD_MAX_DIM] = {0};
    for (;;) {
        inner(l->dim[last], ptr, step, ctx);
        int i = last - 1;
        for (; i >= 0; i--) {
            for (int k = 0; k < l->count; k++) ptr[k] += l->stride[k][i];
            if (++index[i] < l->dim[i]) break;
            for (int k = 0; k < l->count; k++) ptr[k] -= l->stride[k][i] * l->dim[i];
            index[i] = 0;
        }
        if (i < 0) return;
    }
}

/* ---- over the pool ---- */

/* Steps of a piece: enough to be worth a thread's while, in memory and in time. */
#define PIECE 16384

typedef struct cut {
    const td_loop *loop;
    td_inner *inner;
    const void *ctx;
    int dim;      /* the dimension that is cut */
    int64_t each; /* entries of it in a piece */
} cut;

static void run_piece(void *ctx, int64_t i) {
    const cut *c = ctx;
    td_loop part = *c->loop;
    int64_t from = i * c->each, left = part.dim[c->dim] - from;
    part.dim[c->dim] = left < c->each ? left : c->each;
    for (int k = 0; k < part.count; k++) part.ptr[k] += from * part.stride[k][c->dim];
    td_loop_run(&part, c->inner, c->ctx);
}

void td_loop_run_cut(const td_loop *l, td_inner *inner, const void *ctx) {
    int64_t steps = 1;
    for (int i = 0; i < l->ndim; i++) steps *= l->dim[i];
    if (steps < 2 * PIECE) {
        td_loop_run(l, inner, ctx);
        return;
    }
    int64_t pieces = steps / PIECE;
    cut c = {.loop = l, .inner = inner, .ctx = ctx};
    for (int i = 1; i < l->ndim; i++) /* the outermost that has enough, or the longest */
        if (l->dim[c.dim] < pieces && l->dim[i] > l->dim[c.dim]) c.dim = i;
    c.each = (l->dim[c.dim] + pieces - 1) / pieces;
    td_pool_run(run_piece, &c, (l->dim[c.dim] + c.each - 1) / c.each);
}
