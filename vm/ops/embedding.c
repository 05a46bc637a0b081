/* Looking up by labels and token ids, which count from 0: embedding and its adjoint, one_hot. */
#include <string.h>

#include "runtime/dense.h"
#include "vm/grad.h"
#include "vm/ops/position.h"

TD_OP_USE(embedding);
TD_OP_USE(embedding_grad);
TD_OP_USE(sum_rows);
TD_OP_USE(clone);

/* ids are known to have no more than 7 dimensions. */
static td_shape with_last(const td_shape *s, int64_t size) {
    td_shape longer = *s;
    longer.dim[longer.ndim++] = size;
    return longer;
}

static int check_room(const char *call, const td_shape *ids, td_err *err) {
    if (ids->ndim < TD_MAX_DIM) return 0;
    return td_fail(err, TD_E_LIMIT, call, "a tensor has at most %d dimensions",
                   TD_MAX_DIM);
}

static int check_rows(const char *call, td_tensor *ids, int64_t rows, td_err *err) {
    int64_t bad;
    if (!td_finds_outside(ids, 0, rows - 1, &bad)) return 0;
    return td_fail(err, TD_E_INDEX, call, "id %lld of %lld rows (ids count from 0)",
                   (long long)bad, (long long)rows);
}

/* ---- embedding ---- */

static int embedding_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                           td_err *err) {
    (void)nin, (void)a;
    char text[TD_SHAPE_TEXT];
    int rc = td_labels_dtype("embedding", in[1].dtype, err);
    if (rc == 0) rc = check_room("embedding", &in[1].shape, err);
    if (rc) return rc;
    if (in[0].shape.ndim != 2)
        return td_fail(err, TD_E_SHAPE, "embedding",
                       "wants weights [rows, features], got %s",
                       td_shape_text(&in[0].shape, text));
    out->dtype = in[0].dtype;
    out->shape = with_last(&in[1].shape, in[0].shape.dim[1]);
    return 0;
}

static int embedding_check(td_tensor *const *in, int nin, const td_attrs *a,
                           td_err *err) {
    (void)nin, (void)a;
    return check_rows("embedding", in[1], in[0]->shape.dim[0], err);
}

static int embedding_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                            td_tensor *const *out, td_err *err) {
    (void)nin, (void)a;
    td_dense weight;
    td_tensor *ids = td_labels_plain(in[1], err);
    int rc = td_dense_take(&weight, in[0], TD_ORDER_ROWS, err);
    if (ids == NULL) rc = TD_E_MEMORY;
    if (rc == 0) {
        size_t row = (size_t)in[0]->shape.dim[1] * td_dtype_bytes(in[0]->dtype);
        const int64_t *id = td_tensor_data(ids);
        const char *from = weight.data;
        char *to = td_tensor_data(out[0]);
        for (int64_t i = td_tensor_numel(ids); i > 0; i--, id++, to += row)
            memcpy(to, from + (size_t)*id * row, row);
    }
    td_dense_give(&weight);
    td_tensor_unref(&ids);
    return rc;
}

/* The gradient as the rows that were looked up, in memory of its own: ids may change before it is used. */
static int gradient_of_rows(td_grad *g) {
    td_shape flat = {.ndim = 1, .dim = {td_shape_numel(&g->in_meta[1].shape)}};
    td_shape wide = with_last(&flat, g->in_meta[0].shape.dim[1]);
    td_val *ids = g->in[1], *made[2];
    ids = g->in_meta[1].dtype == TD_I64 ? g_unary(g, &td_op_clone, ids)
                                        : g_cast(g, ids, TD_I64);
    td_val *in[2] = {g_reshape(g, g->gout[0], &wide), g_reshape(g, ids, &flat)};
    if (g_op_n(g, &td_op_sum_rows, NULL, 2, in, made))
        g->gin[0] = g_rows(g, 0, in[1], made[0], made[1]);
    return 0;
}

static int embedding_gradient(td_grad *g) {
    if (g->attrs->v[0].i && td_tape_is_off()) return gradient_of_rows(g);
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_INT, g->in_meta[0].shape.dim[0]);
    g->gin[0] =
        g_op(g, &td_op_embedding_grad, &at, 2, (td_val *[]){g->gout[0], g->in[1]});
    return 0;
}

TD_OP(embedding) = {
    .name = "embedding",
    .doc = "Rows of a matrix, named by token ids.\n\n"
           "  weight  [rows, features]\n"
           "  ids     ids from 0, of any shape; the result has one dimension more\n"
           "  sparse  whether the weight's .grad holds the named rows alone (default "
           "false)\n\n"
           "  ids = tide.tensor({2, 0}, {dtype = \"i64\"})\n"
           "  F.embedding(ids, tide.eye(3))[{1, 3}]:item()  --> 1.0",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE,
    .keep_dtype = 1 << 1,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "sparse", .kind = TD_ATTR_BOOL}},
    .shape = embedding_shape,
    .check = embedding_check,
    .kernel = embedding_kernel,
    .grad = embedding_gradient,
};

/* ---- embedding_grad ---- */

static int adjoint_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin;
    const char *call = "embedding_grad";
    char g_text[TD_SHAPE_TEXT], ids_text[TD_SHAPE_TEXT];
    int rc = td_labels_dtype(call, in[1].dtype, err);
    if (rc) return rc;
    if (in[0].dtype == TD_BOOL)
        return td_fail(err, TD_E_DTYPE, call, "bool tensors do not add");
    const td_shape *g = &in[0].shape, *ids = &in[1].shape;
    td_shape lead = *g;
    lead.ndim = g->ndim > 0 ? g->ndim - 1 : 0;
    if (g->ndim != ids->ndim + 1 || !td_shape_equal(&lead, ids))
        return td_fail(err, TD_E_SHAPE, call,
                       "a gradient of %s does not belong to ids of %s",
                       td_shape_text(g, g_text), td_shape_text(ids, ids_text));
    if (a->v[0].i < 0)
        return td_fail(err, TD_E_VALUE, call, "%lld rows are below 0",
                       (long long)a->v[0].i);
    out->dtype = in[0].dtype;
    out->shape = (td_shape){.ndim = 2, .dim = {a->v[0].i, g->dim[g->ndim - 1]}};
    return 0;
}

static int adjoint_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin;
    return check_rows("embedding_grad", in[1], a->v[0].i, err);
}

/* Integers are added unsigned: they wrap. */
#define ADD_ROWS(type)                                                                   \
    for (int64_t i = 0; i < count; i++) {                                                \
        const type *from = (const type *)g.data + i * width;                             \
        type *to = (type *)td_tensor_data(y) + id[i] * width;                            \
        for (int64_t j = 0; j < width; j++) to[j] = (type)(to[j] + from[j]);             \
    }

static int adjoint_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)nin, (void)a;
    td_dense g;
    td_tensor *ids = td_labels_plain(in[1], err);
    int rc = td_dense_take(&g, in[0], TD_ORDER_ROWS, err);
    if (ids == NULL) rc = TD_E_MEMORY;
    if (rc == 0) {
        td_tensor *y = out[0];
        int64_t count = td_tensor_numel(ids), width = y->shape.dim[1];
        const int64_t *id = td_tensor_data(ids);
        memset(td_tensor_data(y), 0,
               (size_t)td_tensor_numel(y) * td_dtype_bytes(y->dtype));
        switch (y->dtype) {
        case TD_F32: ADD_ROWS(float) break;
        case TD_F64: ADD_ROWS(double) break;
        case TD_I64: ADD_ROWS(uint64_t) break;
        case TD_I32: ADD_ROWS(uint32_t) break;
        default: ADD_ROWS(uint8_t)
        }
    }
    td_dense_give(&g);
    td_tensor_unref(&ids);
    return rc;
}

static int adjoint_gradient(td_grad *g) {
    g->gin[0] = g_op(g, &td_op_embedding, NULL, 2, (td_val *[]){g->gout[0], g->in[1]});
    return 0;
}

TD_OP(embedding_grad) = {
    .name = "embedding_grad",
    .doc = "The gradient of embedding with respect to its weights: rows are added where "
           "ids say.\n\n"
           "  g     gradient of the output, [..., features]\n"
           "  ids   ids from 0, of g's shape without features\n"
           "  rows  how many rows the weights have",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_PROMOTE,
    .keep_dtype = 1 << 1,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "rows", .kind = TD_ATTR_INT, .required = true}},
    .shape = adjoint_shape,
    .check = adjoint_check,
    .kernel = adjoint_kernel,
    .grad = adjoint_gradient,
};

/* ---- one_hot ---- */

static int one_hot_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin;
    int rc = td_labels_dtype("one_hot", in[0].dtype, err);
    if (rc == 0) rc = check_room("one_hot", &in[0].shape, err);
    if (rc) return rc;
    if (a->v[0].i < 0)
        return td_fail(err, TD_E_VALUE, "one_hot", "%lld classes are below 0",
                       (long long)a->v[0].i);
    out->dtype = TD_I64;
    out->shape = with_last(&in[0].shape, a->v[0].i);
    return 0;
}

static int one_hot_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin;
    return td_labels_check("one_hot", in[0], a->v[0].i, err);
}

static int one_hot_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)nin;
    td_tensor *labels = td_labels_plain(in[0], err);
    if (labels == NULL) return TD_E_MEMORY;
    int64_t *to = td_tensor_data(out[0]), classes = a->v[0].i;
    const int64_t *label = td_tensor_data(labels);
    memset(to, 0, (size_t)td_tensor_numel(out[0]) * sizeof *to);
    for (int64_t i = td_tensor_numel(labels); i > 0; i--, to += classes) to[*label++] = 1;
    td_tensor_unref(&labels);
    return 0;
}

TD_OP(one_hot) = {
    .name = "one_hot",
    .doc = "A line for each label, 1 at the label's place and 0 elsewhere.\n\n"
           "  labels   labels from 0, i64, of any shape; the result is i64 with one "
           "dimension more\n"
           "  classes  how many there are\n\n"
           "  F.one_hot(tide.tensor({2, 0}, {dtype = \"i64\"}), 3)[{1, 3}]:item()  --> 1",
    .nin = 1,
    .nout = 1,
    .attr = {{.name = "classes", .kind = TD_ATTR_INT, .required = true}},
    .shape = one_hot_shape,
    .check = one_hot_check,
    .kernel = one_hot_kernel,
};
