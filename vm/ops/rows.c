/* Rows named by ids, which count from 0 and may be equal: sum_rows brings equal ones together, add_rows adds to
 * rows of a matrix in place. What gradients of a few rows (vm/rows.h) and the optimisers that use them are made
 * of; both take time by the ids there are, not by the matrix's rows. */
#include <string.h>

#include "runtime/scratch.h"
#include "vm/op.h"
#include "vm/ops/position.h"

static int check_rows(const char *call, const td_shape *rows, const td_meta *ids,
                      td_err *err) {
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    if (ids->dtype != TD_I64)
        return td_fail(err, TD_E_DTYPE, call, "ids are i64, got %s",
                       td_dtype_name(ids->dtype));
    if (rows->ndim == 2 && ids->shape.ndim == 1 && rows->dim[0] == ids->shape.dim[0])
        return 0;
    return td_fail(err, TD_E_SHAPE, call,
                   "wants rows [n, width] and ids [n], got %s and %s",
                   td_shape_text(rows, a), td_shape_text(&ids->shape, b));
}

static int64_t id_at(const td_tensor *ids, int64_t i) {
    return ((const int64_t *)td_tensor_data(ids))[i * ids->stride[0]];
}

/* to += from, elements `to_step` and `from_step` apart. Integers are added unsigned: they wrap. */
#define ADD_ROW(type)                                                                    \
    {                                                                                    \
        type *t = to;                                                                    \
        const type *f = from;                                                            \
        for (int64_t j = 0; j < width; j++)                                              \
            t[j * to_step] = (type)(t[j * to_step] + f[j * from_step]);                  \
    }

static void add_row(td_dtype dtype, int64_t width, void *to, int64_t to_step,
                    const void *from, int64_t from_step) {
    switch (dtype) {
    case TD_F32: ADD_ROW(float) break;
    case TD_F64: ADD_ROW(double) break;
    case TD_I64: ADD_ROW(uint64_t) break;
    case TD_I32: ADD_ROW(uint32_t) break;
    default: ADD_ROW(uint8_t)
    }
}

static char *row_at(const td_tensor *x, int64_t i) {
    return (char *)td_tensor_data(x) +
           i * x->stride[0] * (int64_t)td_dtype_bytes(x->dtype);
}

/* ---- sum_rows ---- */

static int sum_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin, (void)a;
    if (in[0].dtype == TD_BOOL)
        return td_fail(err, TD_E_DTYPE, "sum_rows", "bool tensors do not add");
    int rc = check_rows("sum_rows", &in[0].shape, &in[1], err);
    out[0].dtype = out[1].dtype = in[0].dtype;
    out[0].shape = in[0].shape;
    out[1].shape = in[1].shape;
    return rc;
}

/* Where an id was met first: a table with open places, at most half full; entries are positions + 1. */
typedef struct met {
    int64_t *entry;
    uint64_t mask;
} met;

static int64_t *met_place(const met *m, const td_tensor *ids, int64_t id) {
    uint64_t at = (uint64_t)id * 0x9e3779b97f4a7c15u;
    at ^= at >> 32;
    while (m->entry[at & m->mask] && id_at(ids, m->entry[at & m->mask] - 1) != id) at++;
    return &m->entry[at & m->mask];
}

static int sum_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin, (void)a;
    const td_tensor *rows = in[0], *ids = in[1];
    int64_t n = ids->shape.dim[0], width = rows->shape.dim[1];
    size_t room = 8, each = td_dtype_bytes(rows->dtype);
    while (room < 2 * (size_t)n) room *= 2;
    met m = {.mask = room - 1, .entry = td_scratch_take(room * sizeof *m.entry, err)};
    if (m.entry == NULL) return TD_E_MEMORY;
    memset(m.entry, 0, room * sizeof *m.entry);
    memset(td_tensor_data(out[0]), 0, (size_t)(n * width) * each);
    for (int64_t i = 0; i < n; i++) {
        int64_t *place = met_place(&m, ids, id_at(ids, i));
        td_store_f64(rows->dtype, row_at(out[1], i), *place == 0);
        if (*place == 0) *place = i + 1;
        add_row(rows->dtype, width, row_at(out[0], *place - 1), 1, row_at(rows, i),
                rows->stride[1]);
    }
    td_scratch_give(m.entry);
    return 0;
}

TD_OP(sum_rows) = {
    .name = "sum_rows",
    .doc = "Rows with equal ids added up: the first of them becomes the sum of all, the "
           "others zeros. Gives the rows, and 1 for each first one, 0 for the others.\n\n"
           "  rows  [n, width]\n"
           "  ids   [n], i64",
    .nin = 2,
    .nout = 2,
    .flags = TD_OP_PROMOTE,
    .keep_dtype = 1 << 1,
    .shape = sum_shape,
    .kernel = sum_kernel,
};

/* ---- add_rows ---- */

static int add_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin, (void)a, (void)out;
    char x[TD_SHAPE_TEXT], rows[TD_SHAPE_TEXT];
    if (in[0].dtype == TD_BOOL)
        return td_fail(err, TD_E_DTYPE, "add_rows", "bool tensors do not add");
    if (td_dtype_is_half(in[0].dtype))
        return td_fail(err, TD_E_DTYPE, "add_rows",
                       "%s is for storage and the wire, not for arithmetic",
                       td_dtype_name(in[0].dtype));
    if (in[2].dtype != in[0].dtype)
        return td_fail(err, TD_E_DTYPE, "add_rows", "rows of %s are not added to %s",
                       td_dtype_name(in[2].dtype), td_dtype_name(in[0].dtype));
    int rc = check_rows("add_rows", &in[2].shape, &in[1], err);
    if (rc == 0 && (in[0].shape.ndim != 2 || in[0].shape.dim[1] != in[2].shape.dim[1]))
        rc = td_fail(err, TD_E_SHAPE, "add_rows", "rows of %s do not go into %s",
                     td_shape_text(&in[2].shape, rows), td_shape_text(&in[0].shape, x));
    return rc;
}

static int add_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin, (void)a;
    int64_t bad, rows = in[0]->shape.dim[0];
    if (!td_finds_outside(in[1], 0, rows - 1, &bad)) return 0;
    return td_fail(err, TD_E_INDEX, "add_rows", "id %lld of %lld rows (ids count from 0)",
                   (long long)bad, (long long)rows);
}

static int add_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                      td_tensor *const *out, td_err *err) {
    (void)nin, (void)a, (void)out, (void)err;
    const td_tensor *x = in[0], *ids = in[1], *rows = in[2];
    for (int64_t i = 0; i < ids->shape.dim[0]; i++)
        add_row(x->dtype, x->shape.dim[1], row_at(x, id_at(ids, i)), x->stride[1],
                row_at(rows, i), rows->stride[1]);
    return 0;
}

TD_OP(add_rows) = {
    .name = "add_rows",
    .doc =
        "Adds rows to those of a matrix that ids name, in place and in their order; one "
        "may be named more than once.\n\n"
        "  x     the matrix, [rows, width]\n"
        "  ids   [n], i64, from 0\n"
        "  rows  [n, width]",
    .nin = 3,
    .nout = 0,
    .flags = TD_OP_ASSIGN,
    .shape = add_shape,
    .check = add_check,
    .kernel = add_kernel,
};
