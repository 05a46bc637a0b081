/* matmul: products of matrices, vectors and batches of matrices, with the shapes of torch.matmul. */
#include <stdatomic.h>

#include "runtime/kernels/product.h"
#include "runtime/pool.h"
#include "vm/grad.h"

TD_OP_USE(matmul);
TD_OP_USE(transpose);

/* The product as batch x (m x k) * (k x n); vectors have been given a dimension of 1. */
typedef struct product {
    int64_t m, n, k;
    td_shape batch;
} product;

static int refuse(const td_meta *in, td_err *err) {
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    return td_fail(err, TD_E_SHAPE, "matmul", "%s does not multiply %s",
                   td_shape_text(&in[0].shape, a), td_shape_text(&in[1].shape, b));
}

/* The dimensions in front of the last two. */
static td_shape batch_of(const td_shape *s) {
    td_shape batch = *s;
    batch.ndim = s->ndim > 2 ? s->ndim - 2 : 0;
    return batch;
}

static int product_of(const td_meta *in, product *p, td_err *err) {
    const td_shape *a = &in[0].shape, *b = &in[1].shape;
    if (a->ndim == 0 || b->ndim == 0) return refuse(in, err);
    p->m = a->ndim > 1 ? a->dim[a->ndim - 2] : 1;
    p->k = a->dim[a->ndim - 1];
    p->n = b->ndim > 1 ? b->dim[b->ndim - 1] : 1;
    td_shape of_a = batch_of(a), of_b = batch_of(b);
    td_err ignored;
    if (p->k != b->dim[b->ndim > 1 ? b->ndim - 2 : 0] ||
        td_shape_broadcast(&of_a, &of_b, &p->batch, "matmul", &ignored) != 0)
        return refuse(in, err);
    return 0;
}

static int matmul_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin, (void)a;
    product p;
    int rc = product_of(in, &p, err);
    if (rc) return rc;
    if (in[0].dtype == TD_BOOL) {
        td_fail(err, TD_E_DTYPE, "matmul", "bool tensors do not multiply");
        td_hint(err, "convert them: x:to(\"f32\"), or x:to(\"i64\") to count");
        return TD_E_DTYPE;
    }
    out->dtype = in[0].dtype;
    out->shape = p.batch;
    if (in[0].shape.ndim > 1) out->shape.dim[out->shape.ndim++] = p.m;
    if (in[1].shape.ndim > 1) out->shape.dim[out->shape.ndim++] = p.n;
    return 0;
}

/* ---- kernel ---- */

/* One input: its matrix, and its strides along the batch's dimensions (0 where it is broadcast). */
typedef struct operand {
    const char *data;
    int64_t row, col;
    int64_t batch_stride[TD_MAX_DIM];
} operand;

static operand operand_of(const td_tensor *x, bool is_left, const product *p) {
    int n = x->shape.ndim;
    operand o = {.data = td_tensor_data(x)};
    if (n > 1) {
        o.row = x->stride[n - 2];
        o.col = x->stride[n - 1];
    } else if (is_left) {
        o.col = x->stride[0];
    } else {
        o.row = x->stride[0];
        o.col = 1;
    }
    int lead = p->batch.ndim - (n - 2);
    for (int i = 0; i < p->batch.ndim; i++) {
        bool fixed = i < lead || x->shape.dim[i - lead] == 1;
        o.batch_stride[i] = fixed ? 0 : x->stride[i - lead];
    }
    return o;
}

/* When the right side is one matrix for the whole batch and the rows of the left side lie evenly, the
 * batch is just more rows. */
static void fold_batch(product *p, operand *a, const operand *b) {
    int64_t rows = p->m, step = a->row;
    for (int i = p->batch.ndim - 1; i >= 0; i--) {
        if (p->batch.dim[i] == 1) continue;
        if (b->batch_stride[i] != 0) return;
        if (rows == 1) step = a->batch_stride[i];
        if (a->batch_stride[i] != rows * step) return;
        rows *= p->batch.dim[i];
    }
    a->row = step;
    p->m = rows;
    p->batch.ndim = 0;
}

/* A batch of products; a piece is some of them. */
typedef struct batch {
    td_product each;
    const product *p;
    const operand *a, *b;
    int64_t bytes, count, in_piece;
    atomic_int failed; /* the code of a piece that failed */
} batch;

static void multiply_piece(void *ctx, int64_t piece) {
    batch *w = ctx;
    const td_shape *s = &w->p->batch;
    int64_t from = piece * w->in_piece, to = from + w->in_piece;
    for (int64_t i = from; i < to && i < w->count; i++) {
        int64_t at_a = 0, at_b = 0, rest = i;
        for (int d = s->ndim - 1; d >= 0; d--) {
            int64_t index = rest % s->dim[d];
            rest /= s->dim[d];
            at_a += index * w->a->batch_stride[d];
            at_b += index * w->b->batch_stride[d];
        }
        td_product one = w->each;
        one.a = w->a->data + at_a * w->bytes;
        one.b = w->b->data + at_b * w->bytes;
        one.c = (char *)one.c + i * one.m * one.n * w->bytes;
        td_err err;
        int rc = td_product_run(&one, &err);
        if (rc) atomic_store(&w->failed, rc);
    }
}

/* Multiplications that are worth a piece of their own. */
#define PIECE_WORK ((int64_t)1 << 19)

static int multiply_all(const product *p, const operand *a, const operand *b,
                        td_tensor *y, td_err *err) {
    batch w = {.p = p,
               .a = a,
               .b = b,
               .bytes = (int64_t)td_dtype_bytes(y->dtype),
               .count = td_shape_numel(&p->batch),
               .each = {.t = y->dtype,
                        .m = p->m,
                        .n = p->n,
                        .k = p->k,
                        .segments = 1,
                        .a = a->data,
                        .a_row = a->row,
                        .a_col = a->col,
                        .b = b->data,
                        .b_row = b->row,
                        .b_col = b->col,
                        .c = td_tensor_data(y),
                        .c_row = p->n,
                        .c_col = 1}};
    if (w.count == 1) return td_product_run(&w.each, err);
    int64_t work = p->m * p->n * (p->k > 0 ? p->k : 1);
    w.in_piece = work < PIECE_WORK ? PIECE_WORK / work : 1;
    int64_t pieces = (w.count + w.in_piece - 1) / w.in_piece;
    if (pieces == 1)
        multiply_piece(&w, 0);
    else
        td_pool_run(multiply_piece, &w, pieces);
    if (atomic_load(&w.failed) == 0) return 0;
    return td_fail(err, TD_E_MEMORY, "matmul", "out of memory");
}

static int matmul_kernel(td_tensor *const *in, int nin, const td_attrs *at,
                         td_tensor *const *out, td_err *err) {
    (void)nin, (void)at;
    td_meta meta[2] = {{.shape = in[0]->shape}, {.shape = in[1]->shape}};
    product p;
    int rc = product_of(meta, &p, err);
    if (rc) return rc;
    if (td_tensor_numel(out[0]) == 0) return 0;
    operand a = operand_of(in[0], true, &p), b = operand_of(in[1], false, &p);
    if (p.batch.ndim > 0) fold_batch(&p, &a, &b);
    return multiply_all(&p, &a, &b, out[0], err);
}

/* ---- gradient ---- */

static td_val *transposed(td_grad *g, td_val *x) {
    if (x == NULL) return NULL;
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_DIM, x->meta.shape.ndim - 2);
    td_attr_set_i(&at, 1, TD_ATTR_DIM, x->meta.shape.ndim - 1);
    return g_op(g, &td_op_transpose, &at, 1, &x);
}

/* x as a matrix with `last` columns: all dimensions but the last one are rows. */
static td_val *flat_rows(td_grad *g, td_val *x, int64_t last) {
    td_shape flat = {.ndim = 2, .dim = {1, last}};
    for (int i = 0; x && i < x->meta.shape.ndim - 1; i++)
        flat.dim[0] *= x->meta.shape.dim[i];
    return g_reshape(g, x, &flat);
}

/* y = a b:  da = g b',  db = a' g.  Vectors are matrices with a dimension of 1 meanwhile; what was
 * broadcast along the batch is summed by the caller. */
static int matmul_grad(td_grad *g) {
    product p;
    if (product_of(g->in_meta, &p, g->err)) return g->err->code;
    const td_shape *sa = &g->in_meta[0].shape, *sb = &g->in_meta[1].shape;
    td_shape a_shape = *sa, b_shape = *sb, y_shape = p.batch;
    if (sa->ndim == 1) a_shape = (td_shape){.ndim = 2, .dim = {1, p.k}};
    if (sb->ndim == 1) b_shape = (td_shape){.ndim = 2, .dim = {p.k, 1}};
    y_shape.dim[y_shape.ndim++] = p.m;
    y_shape.dim[y_shape.ndim++] = p.n;
    td_val *a = g_reshape(g, g->in[0], &a_shape), *b = g_reshape(g, g->in[1], &b_shape);
    td_val *gy = g_reshape(g, g->gout[0], &y_shape);
    if (g->need[0]) {
        td_val *da = g_binary(g, &td_op_matmul, gy, transposed(g, b));
        if (da && sa->ndim == 1) {
            td_shape no_row = da->meta.shape;
            no_row.dim[--no_row.ndim - 1] = p.k;
            da = g_reshape(g, da, &no_row);
        }
        g->gin[0] = da;
    }
    if (g->need[1]) {
        td_val *db;
        if (b_shape.ndim == 2 &&
            p.batch.ndim > 0) /* one matrix met a batch: one product, no sum */
            db = g_binary(g, &td_op_matmul, transposed(g, flat_rows(g, a, p.k)),
                          flat_rows(g, gy, p.n));
        else
            db = g_binary(g, &td_op_matmul, transposed(g, a), gy);
        if (db && sb->ndim == 1) {
            td_shape no_column = db->meta.shape;
            no_column.ndim--;
            db = g_reshape(g, db, &no_column);
        }
        g->gin[1] = db;
    }
    return 0;
}

/* A multiplication and an addition for each link of each sum. */
static double matmul_work(const td_meta *in, int nin, const td_attrs *a,
                          const td_meta *out) {
    (void)nin, (void)a;
    const td_shape *left = &in[0].shape;
    return 2.0 * (double)td_shape_numel(&out[0].shape) *
           (double)left->dim[left->ndim - 1];
}

TD_OP(matmul) = {
    .name = "matmul",
    .doc = "The matrix product.\n\n"
           "  x, y  matrices m x k and k x n; batches of such, whose leading dimensions "
           "broadcast;\n"
           "        or vectors, which count as a row on the left and as a column on the "
           "right\n\n"
           "Integers wrap.\n\n"
           "  x = tide.tensor{{1, 2}, {3, 4}}\n"
           "  x:matmul(x):sum():item()  --> 54.0\n"
           "  tide.zeros(5, 2, 3):matmul(tide.zeros(3, 4)):size(3)  --> 4",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_FUNCTION | TD_OP_PROMOTE,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .shape = matmul_shape,
    .kernel = matmul_kernel,
    .work = matmul_work,
    .grad = matmul_grad,
};
