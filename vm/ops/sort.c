/* sort and topk: values in order along a dimension, and the positions where they stood. */
#include "runtime/kernels/sort.h"

#include <string.h>

#include "runtime/loop.h"
#include "runtime/mem.h"
#include "runtime/scratch.h"
#include "vm/grad.h"

TD_OP_USE(scatter_add);

/* A dimension that was not given is the last one. */
static int complete_dim(const char *call, const td_shape *x, td_attr *dim, td_err *err) {
    if (x->ndim == 0)
        return td_fail(err, TD_E_SHAPE, call, "a scalar has no dimension to go along");
    if (dim->i < 0) dim->i = x->ndim - 1;
    return 0;
}

/* What is done with each line along the dimension. */
typedef struct lines {
    td_dtype dtype;
    bool descending;
    int64_t length, wanted; /* of a line, and how many of the first are kept */
    int64_t x_step, value_step, at_step; /* bytes along a line */
    td_key *keys, *spare;
} lines;

static void run_lines(int64_t n, char *const *ptr, const int64_t *stride,
                      const void *ctx) {
    const lines *l = ctx;
    size_t bytes = td_dtype_bytes(l->dtype);
    for (int64_t i = 0; i < n; i++) {
        char *value = ptr[0] + i * stride[0], *at = ptr[1] + i * stride[1];
        const char *x = ptr[2] + i * stride[2];
        td_keys_read(l->dtype, l->descending, l->length, x, l->x_step, l->keys);
        td_keys_sort_first(l->keys, l->spare, l->length, l->wanted);
        for (int64_t j = 0; j < l->wanted;
             j++, value += l->value_step, at += l->at_step) {
            memcpy(value, x + l->keys[j].at * l->x_step, bytes);
            *(int64_t *)at = l->keys[j].at + 1;
        }
    }
}

/* The first `wanted` of each line of x, in order, into out[0], and their positions into out[1]. */
static int sort_lines(td_tensor *x, td_tensor *const *out, int dim, bool descending,
                      td_err *err) {
    lines l = {.dtype = x->dtype,
               .descending = descending,
               .length = x->shape.dim[dim],
               .wanted = out[0]->shape.dim[dim]};
    size_t bytes;
    if (!td_mul_size((size_t)l.length, 2 * sizeof *l.keys, &bytes))
        return td_fail(err, TD_E_LIMIT, "", "a line of %lld elements is too long",
                       (long long)l.length);
    l.keys = td_scratch_take(bytes, err);
    if (l.keys == NULL) return TD_E_MEMORY;
    l.spare = l.keys + l.length;
    td_shape rest = x->shape;
    td_tensor *operand[3] = {out[0], out[1], x};
    int64_t stride[3][TD_MAX_DIM];
    const int64_t *strides[3] = {stride[0], stride[1], stride[2]};
    char *ptr[3];
    for (int k = 0; k < 3; k++) {
        int64_t each = (int64_t)td_dtype_bytes(operand[k]->dtype);
        ptr[k] = td_tensor_data(operand[k]);
        for (int i = 0; i < rest.ndim; i++) stride[k][i] = operand[k]->stride[i] * each;
    }
    l.value_step = stride[0][dim];
    l.at_step = stride[1][dim];
    l.x_step = stride[2][dim];
    rest.dim[dim] = 1;
    td_loop loop;
    td_loop_init_raw(&loop, &rest, ptr, strides, 3);
    td_loop_run(&loop, run_lines, &l);
    td_scratch_give(l.keys);
    return 0;
}

/* The gradient of each value goes to where the value came from. dim is the op's attribute `at`. */
static int to_positions(td_grad *g, int at) {
    td_val *dy = g->gout[0];
    if (dy == NULL) return 0;
    td_attrs dim = {0};
    td_attr_set_i(&dim, 0, TD_ATTR_DIM, g->attrs->v[at].i);
    td_meta like = {.dtype = dy->meta.dtype, .shape = g->in_meta[0].shape};
    g->gin[0] = g_op(g, &td_op_scatter_add, &dim, 3,
                     (td_val *[]){g_zeros(g, &like, dy), g->out[1], dy});
    return 0;
}

/* ---- sort ---- */

static int sort_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin;
    out[0] = (td_meta){.dtype = in[0].dtype, .shape = in[0].shape};
    out[1] = (td_meta){.dtype = TD_I64, .shape = in[0].shape};
    return complete_dim("sort", &in[0].shape, &a->v[0], err);
}

static int sort_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)nin;
    return sort_lines(in[0], out, (int)a->v[0].i, a->v[1].i, err);
}

static int sort_grad(td_grad *g) { return to_positions(g, 0); }

TD_OP(sort) = {
    .name = "sort",
    .doc = "The entries of a dimension in order, and the positions where they stood.\n\n"
           "  dim         the dimension (default: the last)\n"
           "  descending  largest first (default false)\n\n"
           "Equal entries keep their order. NaN counts as larger than any number.\n\n"
           "  values, positions = tide.tensor{3, 1, 2}:sort()\n"
           "  values[1]:item()  --> 1.0\n"
           "  positions[1]:item()  --> 2",
    .nin = 1,
    .nout = 2,
    .flags = TD_OP_METHOD,
    .save = TD_SAVE_OUT(1),
    .attr = {{.name = "dim", .kind = TD_ATTR_DIM, .preset = -1},
             {.name = "descending", .kind = TD_ATTR_BOOL}},
    .shape = sort_shape,
    .kernel = sort_kernel,
    .grad = sort_grad,
};

/* ---- topk ---- */

static int topk_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)nin;
    int rc = complete_dim("topk", &in[0].shape, &a->v[1], err);
    if (rc) return rc;
    int64_t k = a->v[0].i, dim = a->v[1].i, size = in[0].shape.dim[dim];
    if (k < 0 || k > size)
        return td_fail(err, TD_E_VALUE, "topk",
                       "the first %lld of dimension %lld, which has %lld", (long long)k,
                       (long long)dim + 1, (long long)size);
    out[0] = (td_meta){.dtype = in[0].dtype, .shape = in[0].shape};
    out[0].shape.dim[dim] = k;
    out[1] = (td_meta){.dtype = TD_I64, .shape = out[0].shape};
    return 0;
}

static int topk_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)nin;
    return sort_lines(in[0], out, (int)a->v[1].i, a->v[2].i, err);
}

static int topk_grad(td_grad *g) { return to_positions(g, 1); }

TD_OP(topk) = {
    .name = "topk",
    .doc =
        "The k largest entries of a dimension, largest first, and where they stood.\n\n"
        "  k        how many\n"
        "  dim      the dimension (default: the last)\n"
        "  largest  false: the k smallest, smallest first (default true)\n\n"
        "  values, positions = tide.tensor{3, 1, 2}:topk(2)\n"
        "  values[2]:item()  --> 2.0\n"
        "  positions[2]:item()  --> 3",
    .nin = 1,
    .nout = 2,
    .flags = TD_OP_METHOD,
    .save = TD_SAVE_OUT(1),
    .attr = {{.name = "k", .kind = TD_ATTR_INT, .required = true},
             {.name = "dim", .kind = TD_ATTR_DIM, .preset = -1},
             {.name = "largest", .kind = TD_ATTR_BOOL, .preset = 1}},
    .shape = topk_shape,
    .kernel = topk_kernel,
    .grad = topk_grad,
};
