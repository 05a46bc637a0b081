/* Running fused elementwise operations: the shape is folded into as few dimensions as the operands allow,
 * the two innermost are cut into chunks. */
#include "vm/block.h"

#include <string.h>

#include "runtime/mem.h"
#include "runtime/pool.h"

#define CHUNK_BYTES 4096 /* of the widest dtype in the block */
#define PIECE_CHUNKS 16  /* a pool's piece */

typedef enum how {
    FLAT,     /* a constant step under a chunk: used where it lies */
    GATHERED, /* copied into a buffer for each chunk */
    FIXED,    /* the same for every chunk: gathered once */
} how;

typedef struct operand {
    how how;
    size_t bytes;               /* of an element */
    int64_t stride[TD_MAX_DIM]; /* in bytes, of the folded dimensions */
    int64_t step;               /* FLAT: between elements of a chunk */
} operand;

struct td_block {
    int outer; /* dimensions in front of the two that chunks are cut from */
    int64_t size[TD_MAX_DIM];
    int64_t rows, cols; /* the last two of size (rows 1 when there is but one) */
    int64_t chunk_rows, chunk_cols;
    int64_t row_chunks, col_chunks, chunks;
    int operand_count, op_count;
    operand operand[TD_BLOCK_OPERANDS];
    td_block_op op[TD_BLOCK_OPS];
};

/* ---- making one ---- */

/* The dimensions of shape from the outermost to the innermost in memory. */
static void walk_order(const td_shape *shape, td_order order, int dim[TD_MAX_DIM]) {
    for (int i = 0; i < shape->ndim; i++) dim[i] = i;
    if (order == TD_ORDER_CHANNELS && shape->ndim == 4) {
        dim[1] = 2;
        dim[2] = 3;
        dim[3] = 1;
    }
}

/* The stride in bytes of operand x along dimension d of the block's shape. */
static int64_t stride_along(const td_tensor *x, const td_shape *shape, int d) {
    int own = d - (shape->ndim - x->shape.ndim);
    if (own < 0 || x->shape.dim[own] == 1) return 0;
    return x->stride[own] * (int64_t)td_dtype_bytes(x->dtype);
}

bool td_block_writes(const td_tensor *x, const td_shape *shape, td_order order) {
    if (!td_shape_equal(&x->shape, shape)) return false;
    int64_t want[TD_MAX_DIM];
    td_shape_strides_in(shape, order, want);
    for (int i = 0; i < shape->ndim; i++)
        if (shape->dim[i] != 1 && x->stride[i] != want[i]) return false;
    return true;
}

/* Folds neighbouring dimensions that every operand walks through evenly; the last one stays by itself
 * when rows are to be told apart. Returns how many are left, at least 1. */
static int fold(td_block *b, const td_block_draft *d) {
    int dim[TD_MAX_DIM], n = 0;
    walk_order(&d->shape, d->order, dim);
    for (int i = 0; i < d->shape.ndim; i++) {
        int64_t size = d->shape.dim[dim[i]];
        bool is_last = i == d->shape.ndim - 1;
        if (size == 1 && !(d->by_rows && is_last)) continue;
        bool merge = n > 0 && !(d->by_rows && is_last);
        for (int k = 0; merge && k < d->operand_count; k++) {
            int64_t s = stride_along(&d->operand[k], &d->shape, dim[i]);
            merge = b->operand[k].stride[n - 1] == s * size;
        }
        if (!merge) b->size[n++] = 1;
        for (int k = 0; k < d->operand_count; k++)
            b->operand[k].stride[n - 1] = stride_along(&d->operand[k], &d->shape, dim[i]);
        b->size[n - 1] *= size;
    }
    if (n == 0) b->size[n++] = 1; /* a single element: all strides are 0 */
    return n;
}

static void cut(td_block *b, int dims, size_t widest) {
    int64_t chunk = (int64_t)(CHUNK_BYTES / widest);
    if (dims == 1) { /* a row of its own in front: strides of it are 0 */
        b->size[1] = b->size[0];
        b->size[0] = 1;
        for (int k = 0; k < b->operand_count; k++) {
            b->operand[k].stride[1] = b->operand[k].stride[0];
            b->operand[k].stride[0] = 0;
        }
        dims = 2;
    }
    b->outer = dims - 2;
    b->rows = b->size[dims - 2];
    b->cols = b->size[dims - 1];
    b->chunk_cols = b->cols < chunk ? b->cols : chunk;
    b->chunk_rows = 1;
    if (b->cols > 0 && b->cols <= chunk / 2) b->chunk_rows = chunk / b->cols;
    if (b->chunk_rows > b->rows) b->chunk_rows = b->rows > 0 ? b->rows : 1;
    int64_t outer_count = 1;
    for (int i = 0; i < b->outer; i++) outer_count *= b->size[i];
    b->row_chunks = (b->rows + b->chunk_rows - 1) / b->chunk_rows;
    b->col_chunks = b->chunk_cols > 0 ? (b->cols + b->chunk_cols - 1) / b->chunk_cols : 0;
    b->chunks = outer_count * b->row_chunks * b->col_chunks;
}

static void judge(td_block *b, operand *o) {
    const int r = b->outer, c = b->outer + 1;
    bool even = b->chunk_rows == 1 || o->stride[r] == o->stride[c] * b->cols;
    if (b->cols == 1) even = true;
    if (even) {
        o->how = FLAT;
        o->step = b->cols == 1 ? o->stride[r] : o->stride[c];
        return;
    }
    o->how = o->stride[r] == 0 ? FIXED : GATHERED;
    for (int i = 0; i < b->outer; i++)
        if (o->stride[i] != 0) o->how = GATHERED;
    o->step = (int64_t)o->bytes;
}

td_block *td_block_new(const td_block_draft *d, td_err *err) {
    td_block *b = td_new(td_block);
    if (b == NULL) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    b->operand_count = d->operand_count;
    b->op_count = d->op_count;
    memcpy(b->op, d->op, sizeof b->op[0] * (size_t)d->op_count);
    size_t widest = 1;
    for (int k = 0; k < d->operand_count; k++) {
        b->operand[k].bytes = td_dtype_bytes(d->operand[k].dtype);
        if (b->operand[k].bytes > widest) widest = b->operand[k].bytes;
    }
    for (int i = 0; i < d->op_count; i++)
        if (d->op[i].out_bytes > widest) widest = d->op[i].out_bytes;
    cut(b, fold(b, d), widest);
    for (int k = 0; k < d->operand_count; k++) judge(b, &b->operand[k]);
    return b;
}

void td_block_free(td_block **b) {
    td_free(*b);
    *b = NULL;
}

/* ---- running ---- */

/* Buffers of one thread for the time of a run. They do not begin a whole number of pages apart, where
 * reads behind writes would be taken for the same address. */
#define BUFFER_BYTES (CHUNK_BYTES + 192)
typedef struct work {
    _Alignas(64) char buffer[TD_BLOCK_BUFFERS][BUFFER_BYTES];
    char gathered[TD_BLOCK_OPERANDS][BUFFER_BYTES];
    bool is_there[TD_BLOCK_OPERANDS]; /* a FIXED operand's buffer is filled */
} work;

static void gather(char *to, const char *from, size_t bytes, int64_t rows, int64_t cols,
                   int64_t row, int64_t col) {
#define GATHER(T)                                                                        \
    for (int64_t i = 0; i < rows; i++, from += row) {                                    \
        const char *p = from;                                                            \
        T *restrict q = (T *)(void *)to + i * cols;                                      \
        if (col == 0) {                                                                  \
            const T x = *(const T *)(const void *)p;                                     \
            for (int64_t j = 0; j < cols; j++) q[j] = x;                                 \
        } else {                                                                         \
            for (int64_t j = 0; j < cols; j++, p += col)                                 \
                q[j] = *(const T *)(const void *)p;                                      \
        }                                                                                \
    }
    if (bytes == 4) {
        GATHER(uint32_t)
    } else if (bytes == 8) {
        GATHER(uint64_t)
    } else if (bytes == 2) {
        GATHER(uint16_t)
    } else {
        GATHER(uint8_t)
    }
#undef GATHER
}

static int64_t outer_offset(const td_block *b, const operand *o, int64_t at) {
    int64_t offset = 0;
    for (int i = b->outer - 1; i >= 0; i--) {
        offset += at % b->size[i] * o->stride[i];
        at /= b->size[i];
    }
    return offset;
}

/* Where the chunk's elements of operand k are to be read or written. */
static char *reach(const td_block *b, int k, char *data, work *w, int64_t at, int64_t row,
                   int64_t col, int64_t rows, int64_t cols) {
    const operand *o = &b->operand[k];
    const int64_t row_stride = o->stride[b->outer], col_stride = o->stride[b->outer + 1];
    if (o->how == FIXED) {
        if (!w->is_there[k])
            gather(w->gathered[k], data, o->bytes, b->chunk_rows, cols, 0, col_stride);
        w->is_there[k] = true;
        return w->gathered[k];
    }
    char *p = data + row * row_stride + col * col_stride;
    if (b->outer > 0) p += outer_offset(b, o, at);
    if (o->how == FLAT) return p;
    gather(w->gathered[k], p, o->bytes, rows, cols, row_stride, col_stride);
    return w->gathered[k];
}

/* rows x cols elements from (row, col) of the outer position `at`. */
static void run_chunk(const td_block *b, char *const *data, work *w, int64_t at,
                      int64_t row, int64_t col, int64_t rows, int64_t cols) {
    char *place[TD_BLOCK_OPERANDS + TD_BLOCK_BUFFERS];
    for (int k = 0; k < b->operand_count; k++)
        place[k] = reach(b, k, data[k], w, at, row, col, rows, cols);
    for (int i = 0; i < TD_BLOCK_BUFFERS; i++)
        place[TD_BLOCK_OPERANDS + i] = w->buffer[i];
    for (int i = 0; i < b->op_count; i++) {
        const td_block_op *op = &b->op[i];
        char *ptr[TD_LOOP_MAX];
        int64_t stride[TD_LOOP_MAX];
        ptr[0] = place[op->dst];
        stride[0] = op->out_bytes;
        for (int k = 0; k < op->nin; k++) {
            int s = op->src[k];
            ptr[k + 1] = place[s];
            stride[k + 1] =
                s < TD_BLOCK_OPERANDS ? b->operand[s].step : (int64_t)op->in_bytes[k];
        }
        op->loop(rows * cols, ptr, stride, &op->args);
    }
}

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

static void run_chunks(const td_block *b, char *const *data, int64_t from, int64_t to) {
    work w;
    memset(w.is_there, 0, sizeof w.is_there);
    for (int64_t i = from; i < to; i++) {
        int64_t col = i % b->col_chunks * b->chunk_cols, rest = i / b->col_chunks;
        int64_t row = rest % b->row_chunks * b->chunk_rows;
        run_chunk(b, data, &w, rest / b->row_chunks, row, col,
                  at_most(b->chunk_rows, b->rows - row),
                  at_most(b->chunk_cols, b->cols - col));
    }
}

void td_block_run_rows(const td_block *b, char *const *data, int64_t from, int64_t to) {
    work w;
    memset(w.is_there, 0, sizeof w.is_there);
    while (from < to) {
        int64_t row = from % b->rows;
        int64_t rows = at_most(at_most(b->chunk_rows, b->rows - row), to - from);
        for (int64_t col = 0; col < b->cols; col += b->chunk_cols)
            run_chunk(b, data, &w, from / b->rows, row, col, rows,
                      at_most(b->chunk_cols, b->cols - col));
        from += rows;
    }
}

typedef struct job {
    const td_block *b;
    char *const *data;
} job;

static void run_piece(void *ctx, int64_t i) {
    const job *j = ctx;
    run_chunks(j->b, j->data, i * PIECE_CHUNKS,
               at_most((i + 1) * PIECE_CHUNKS, j->b->chunks));
}

void td_block_run(const td_block *b, char *const *data) {
    if (b->chunks < 2 * PIECE_CHUNKS) {
        run_chunks(b, data, 0, b->chunks);
    } else {
        job j = {b, data};
        td_pool_run(run_piece, &j, (b->chunks + PIECE_CHUNKS - 1) / PIECE_CHUNKS);
    }
}
