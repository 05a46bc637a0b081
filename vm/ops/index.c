/* Looking up and writing by positions: index_select, gather, scatter_add. Positions stand in i64 or i32
 * tensors and count from 1, or from the end when negative. */
#include "runtime/kernels/index.h"

#include "runtime/loop.h"
#include "vm/grad.h"
#include "vm/ops/position.h"

TD_OP_USE(gather);
TD_OP_USE(scatter_add);

enum { TO, IDS, FROM }; /* operands of a run */

/* Walks over the shape of `ids` in its order. `led` is the operand through whose dimension dim the ids
 * lead: it stands still there. */
static void run_indexed(td_inner *inner, td_tensor *to, td_tensor *ids, td_tensor *from,
                        int dim, int led) {
    td_tensor *operand[3] = {to, ids, from};
    const td_tensor *looked_up = operand[led];
    int64_t bytes = (int64_t)td_dtype_bytes(looked_up->dtype);
    td_index x = {.ids = ids->dtype,
                  .values = looked_up->dtype,
                  .size = looked_up->shape.dim[dim],
                  .step = looked_up->stride[dim] * bytes};
    int64_t stride[3][TD_MAX_DIM];
    const int64_t *strides[3] = {stride[0], stride[1], stride[2]};
    char *ptr[3];
    for (int k = 0; k < 3; k++) {
        ptr[k] = td_tensor_data(operand[k]);
        for (int i = 0; i < ids->shape.ndim; i++)
            stride[k][i] =
                operand[k]->stride[i] * (int64_t)td_dtype_bytes(operand[k]->dtype);
    }
    stride[led][dim] = 0;
    td_loop loop;
    td_loop_init_raw(&loop, &ids->shape, ptr, strides, 3);
    td_loop_run(&loop, inner, &x);
}

/* ids must have x's dimensions, and no more entries than it in each but dim. */
static int check_same_rank(const char *call, const td_meta *x, const td_meta *ids,
                           int64_t dim, td_err *err) {
    int rc = td_positions_dtype(call, ids->dtype, err);
    if (rc) return rc;
    bool fits = x->shape.ndim == ids->shape.ndim;
    for (int i = 0; fits && i < x->shape.ndim; i++)
        fits = i == dim || ids->shape.dim[i] <= x->shape.dim[i];
    if (fits) return 0;
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    return td_fail(err, TD_E_SHAPE, call,
                   "positions of %s do not lie inside %s (dimension %lld aside)",
                   td_shape_text(&ids->shape, a), td_shape_text(&x->shape, b),
                   (long long)dim + 1);
}

/* zeros of input 0's shape with g->gout[0] added at ids: the gradient of every lookup. */
static td_val *scattered(td_grad *g, int64_t dim, td_val *ids) {
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_DIM, dim);
    td_meta like = {.dtype = g->gout[0]->meta.dtype, .shape = g->in_meta[0].shape};
    return g_op(g, &td_op_scatter_add, &at, 3,
                (td_val *[]){g_zeros(g, &like, g->gout[0]), ids, g->gout[0]});
}

/* ---- gather ---- */

static int gather_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    out->dtype = in[0].dtype;
    out->shape = in[1].shape;
    return check_same_rank("gather", &in[0], &in[1], a->v[0].i, err);
}

static int gather_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin;
    int dim = (int)a->v[0].i;
    return td_positions_check("gather", in[1], dim, in[0]->shape.dim[dim], err);
}

static int gather_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin, (void)err;
    run_indexed(td_gather_run, out[0], in[1], in[0], (int)a->v[0].i, FROM);
    return 0;
}

static int gather_grad(td_grad *g) {
    g->gin[0] = scattered(g, g->attrs->v[0].i, g->in[1]);
    return 0;
}

TD_OP(gather) = {
    .name = "gather",
    .doc =
        "Elements looked up one by one along a dimension: y[i][j] = x[i][ids[i][j]] for "
        "dim 2.\n\n"
        "  dim  the dimension along which ids lead\n"
        "  ids  positions, i64 or i32, with as many dimensions as x; the result has "
        "their shape\n\n"
        "  x = tide.tensor{{1, 2}, {3, 4}}\n"
        "  x:gather(2, tide.tensor({{2}, {1}}, {dtype = \"i64\"})):sum():item()  --> 5.0",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_METHOD,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true}},
    .shape = gather_shape,
    .check = gather_check,
    .kernel = gather_kernel,
    .grad = gather_grad,
};

/* ---- scatter_add ---- */

static int scatter_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)nin;
    if (in[0].dtype == TD_BOOL)
        return td_fail(err, TD_E_DTYPE, "scatter_add", "bool tensors do not add");
    int rc = check_same_rank("scatter_add", &in[0], &in[1], a->v[0].i, err);
    if (rc == 0 && !td_shape_equal(&in[1].shape, &in[2].shape)) {
        char ids[TD_SHAPE_TEXT], src[TD_SHAPE_TEXT];
        rc = td_fail(err, TD_E_SHAPE, "scatter_add", "positions of %s for values of %s",
                     td_shape_text(&in[1].shape, ids), td_shape_text(&in[2].shape, src));
    }
    out->dtype = in[0].dtype;
    out->shape = in[0].shape;
    return rc;
}

static int scatter_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin;
    int dim = (int)a->v[0].i;
    return td_positions_check("scatter_add", in[1], dim, in[0]->shape.dim[dim], err);
}

static int scatter_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)nin, (void)err;
    td_tensor_copy(out[0], in[0]);
    run_indexed(td_scatter_add_run, out[0], in[1], in[2], (int)a->v[0].i, TO);
    return 0;
}

static int scatter_grad(td_grad *g) {
    g->gin[0] = g->gout[0];
    if (g->need[2])
        g->gin[2] =
            g_op(g, &td_op_gather, g->attrs, 2, (td_val *[]){g->gout[0], g->in[1]});
    return 0;
}

TD_OP(scatter_add) = {
    .name = "scatter_add",
    .doc = "A copy of x with values added where positions say; several may meet in one "
           "place.\n\n"
           "  dim  the dimension along which ids lead\n"
           "  ids  positions, i64 or i32, with as many dimensions as x\n"
           "  src  what is added, of ids' shape\n\n"
           "  ids = tide.tensor({1, 1}, {dtype = \"i64\"})\n"
           "  tide.zeros(3):scatter_add(1, ids, tide.ones(2))[1]:item()  --> 2.0",
    .nin = 3,
    .nout = 1,
    .flags = TD_OP_METHOD | TD_OP_PROMOTE,
    .keep_dtype = 1 << 1,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true}},
    .shape = scatter_shape,
    .check = scatter_check,
    .kernel = scatter_kernel,
    .grad = scatter_grad,
};

/* ---- index_select ---- */

static int select_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                        td_err *err) {
    (void)nin;
    int rc = td_positions_dtype("index_select", in[1].dtype, err);
    if (rc) return rc;
    if (in[1].shape.ndim != 1) {
        char text[TD_SHAPE_TEXT];
        return td_fail(err, TD_E_SHAPE, "index_select",
                       "wants positions in one dimension, got %s",
                       td_shape_text(&in[1].shape, text));
    }
    out->dtype = in[0].dtype;
    out->shape = in[0].shape;
    out->shape.dim[a->v[0].i] = in[1].shape.dim[0];
    return 0;
}

static int select_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin;
    int dim = (int)a->v[0].i;
    return td_positions_check("index_select", in[1], dim, in[0]->shape.dim[dim], err);
}

/* ids as a view of y's shape that stands still on all dimensions but dim. */
static td_tensor *spread_ids(td_tensor *ids, const td_shape *y, int dim, td_err *err) {
    int64_t stride[TD_MAX_DIM] = {0};
    stride[dim] = ids->stride[0];
    return td_tensor_view(ids, y, stride, ids->offset, err);
}

/* Slices of fewer elements than this are not worth a copy each. */
#define SLICE 8

static int select_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                         td_tensor *const *out, td_err *err) {
    (void)nin;
    int dim = (int)a->v[0].i;
    td_tensor *x = in[0], *ids = in[1], *y = out[0];
    int64_t count = ids->shape.dim[0];
    if (td_tensor_numel(y) < SLICE * count) {
        td_tensor *spread = spread_ids(ids, &y->shape, dim, err);
        if (spread == NULL) return TD_E_MEMORY;
        run_indexed(td_gather_run, y, spread, x, dim, FROM);
        td_tensor_unref(&spread);
        return 0;
    }
    td_shape slice = y->shape;
    slice.dim[dim] = 1;
    td_tensor *from = td_tensor_view(x, &slice, x->stride, x->offset, err);
    td_tensor *to = td_tensor_view(y, &slice, y->stride, y->offset, err);
    if (from && to) {
        td_index look = {.ids = ids->dtype, .size = x->shape.dim[dim]};
        int64_t id_step = ids->stride[0] * (int64_t)td_dtype_bytes(ids->dtype);
        const char *id = td_tensor_data(ids);
        for (int64_t i = 0; i < count;
             i++, id += id_step) { /* the two views are ours alone */
            from->offset = x->offset + td_index_at(&look, id) * x->stride[dim];
            to->offset = y->offset + i * y->stride[dim];
            td_tensor_copy(to, from);
        }
    }
    int rc = from && to ? 0 : TD_E_MEMORY;
    td_tensor_unref(&from);
    td_tensor_unref(&to);
    return rc;
}

static int select_grad(td_grad *g) {
    int64_t dim = g->attrs->v[0].i;
    const td_shape *y = &g->gout[0]->meta.shape;
    td_shape line = {.ndim = y->ndim};
    for (int i = 0; i < y->ndim; i++) line.dim[i] = i == dim ? y->dim[i] : 1;
    g->gin[0] = scattered(g, dim, g_expand(g, g_reshape(g, g->in[1], &line), y));
    return 0;
}

TD_OP(index_select) = {
    .name = "index_select",
    .doc = "Entries of one dimension, in the order in which positions name them.\n\n"
           "  dim  the dimension\n"
           "  ids  positions, i64 or i32, in one dimension; one may be named more than "
           "once\n\n"
           "  ids = tide.tensor({3, 1}, {dtype = \"i64\"})\n"
           "  tide.arange(1, 3):index_select(1, ids)[1]:item()  --> 3.0",
    .nin = 2,
    .nout = 1,
    .flags = TD_OP_METHOD,
    .save = TD_SAVE_IN(1),
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .required = true}},
    .shape = select_shape,
    .check = select_check,
    .kernel = select_kernel,
    .grad = select_grad,
};
