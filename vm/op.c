/* The op table: collects the rows that the linker gathered, finds them by name, checks attributes. */
#include "vm/op.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

extern const td_op *const __start_td_ops[];
extern const td_op *const __stop_td_ops[];

#define OPS_MAX 400
static const td_op *table[OPS_MAX]; /* written once, under the once flag */
static int table_count;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static int by_name(const void *a, const void *b) {
    return strcmp((*(const td_op *const *)a)->name, (*(const td_op *const *)b)->name);
}

static void table_make(void) {
    for (const td_op *const *row = __start_td_ops; row < __stop_td_ops; row++) {
        if (*row == NULL) continue; /* padding of the linker's */
        if (table_count == OPS_MAX) abort();
        table[table_count++] = *row;
    }
    qsort(table, (size_t)table_count, sizeof table[0], by_name);
}

int td_op_count(void) {
    pthread_once(&table_once, table_make);
    return table_count;
}

const td_op *td_op_at(int i) { return i >= 0 && i < td_op_count() ? table[i] : NULL; }

const td_op *td_op_find(const char *name) {
    int low = 0, high = td_op_count();
    while (low < high) {
        int mid = (low + high) / 2, c = strcmp(name, table[mid]->name);
        if (c == 0) return table[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

int td_op_attr_count(const td_op *op) {
    int n = 0;
    while (n < TD_OP_MAX_ATTRS && op->attr[n].kind != TD_ATTR_NONE) n++;
    return n;
}

static void preset(const td_attr_spec *spec, td_attr *a) {
    a->kind = (uint8_t)spec->kind;
    a->n = 0;
    a->i = 0;
    switch (spec->kind) {
    case TD_ATTR_FLOAT: a->f = spec->preset; break;
    case TD_ATTR_INTS:
        a->n = (uint8_t)spec->count;
        for (int i = 0; i < spec->count; i++) a->list[i] = (int64_t)spec->preset;
        break;
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES: break;
    default: a->i = (int64_t)spec->preset;
    }
}

static int check_dim(const td_op *op, const td_attr_spec *spec, int64_t dim, int ndim,
                     td_err *err) {
    if (dim >= 0 && dim < ndim) return 0;
    return td_fail(err, TD_E_INDEX, op->name, "%s %lld of a tensor with %d dimensions",
                   spec->name, (long long)(dim < 0 || dim == INT64_MAX ? dim : dim + 1),
                   ndim);
}

static int check_list(const td_op *op, const td_attr_spec *spec, const td_attr *a,
                      int ndim, td_err *err) {
    if (a->n > TD_ATTR_MAX_LIST)
        return td_fail(err, TD_E_LIMIT, op->name, "%s has %d entries, at most %d go",
                       spec->name, a->n, TD_ATTR_MAX_LIST);
    if (spec->kind == TD_ATTR_INTS && spec->count > 0 && a->n != spec->count)
        return td_fail(err, TD_E_ARGUMENT, op->name, "%s wants %d entries, got %d",
                       spec->name, spec->count, a->n);
    if (spec->kind != TD_ATTR_DIMS) return 0;
    unsigned seen = 0;
    for (int i = 0; i < a->n; i++) {
        int rc = check_dim(op, spec, a->list[i], ndim, err);
        if (rc) return rc;
        if (seen & (1u << a->list[i]))
            return td_fail(err, TD_E_ARGUMENT, op->name, "dimension %lld is named twice",
                           (long long)a->list[i] + 1);
        seen |= 1u << a->list[i];
    }
    return 0;
}

int td_attrs_check(const td_op *op, const td_meta *in, int nin, td_attrs *attrs,
                   td_err *err) {
    int ndim = nin > 0 ? in[0].shape.ndim : 0;
    for (int k = 0; k < TD_OP_MAX_ATTRS; k++) {
        const td_attr_spec *spec = &op->attr[k];
        td_attr *a = &attrs->v[k];
        if (a->kind == TD_ATTR_NONE) {
            if (spec->kind == TD_ATTR_NONE) continue;
            if (spec->required)
                return td_fail(err, TD_E_ARGUMENT, op->name, "no %s was given",
                               spec->name);
            preset(spec, a);
            continue; /* a preset dim may be out of range of a 0-d input: the op judges it */
        }
        if (a->kind != spec->kind)
            return td_fail(err, TD_E_ARGUMENT, op->name,
                           "attribute %d is of a wrong kind", k + 1);
        int rc = 0;
        switch (spec->kind) {
        case TD_ATTR_DTYPE:
            if (!td_dtype_is_valid(a->i >= 0 && a->i < 100 ? (int)a->i : 0))
                rc = td_fail(err, TD_E_DTYPE, op->name, "there is no dtype number %lld",
                             (long long)a->i);
            break;
        case TD_ATTR_BOOL:
            if (a->i != 0 && a->i != 1)
                rc =
                    td_fail(err, TD_E_ARGUMENT, op->name, "%s is true or false, got %lld",
                            spec->name, (long long)a->i);
            break;
        case TD_ATTR_DIM: /* a preset has been filled in once: it may come back over the wire */
            if (spec->required || a->i != (int64_t)spec->preset)
                rc = check_dim(op, spec, a->i, ndim, err);
            break;
        case TD_ATTR_NEWDIM: rc = check_dim(op, spec, a->i, ndim + 1, err); break;
        case TD_ATTR_DIMS:
        case TD_ATTR_SIZES:
        case TD_ATTR_INTS: rc = check_list(op, spec, a, ndim, err); break;
        default: break;
        }
        if (rc) return rc;
    }
    return 0;
}

double td_op_work(const td_op *op, const td_meta *in, int nin, const td_attrs *attrs,
                  const td_meta *out) {
    double most = 0;
    if (op->work) return op->work(in, nin, attrs, out);
    if (op->flags & TD_OP_VIEW) return 0;
    for (int i = 0; i < nin; i++) most = fmax(most, (double)td_shape_numel(&in[i].shape));
    for (int k = 0; k < op->nout; k++)
        most = fmax(most, (double)td_shape_numel(&out[k].shape));
    return most;
}

int td_shape_same(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err) {
    (void)nin, (void)a, (void)err;
    out[0].dtype = in[0].dtype;
    out[0].shape = in[0].shape;
    return 0;
}

/* The call's name is put in by whoever called: a shape rule does not know its op. */
int td_shape_elementwise(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)a;
    out[0].dtype = in[0].dtype;
    out[0].shape = in[0].shape;
    td_shape *s = &out[0].shape;
    for (int i = 1; i < nin; i++) {
        if (td_shape_equal(s, &in[i].shape)) continue;
        int rc = td_shape_broadcast(s, &in[i].shape, s, "", err);
        if (rc) return rc;
    }
    return 0;
}

void td_attr_set_i(td_attrs *a, int at, td_attr_kind kind, int64_t v) {
    a->v[at].kind = (uint8_t)kind;
    a->v[at].n = 0;
    a->v[at].i = v;
}

void td_attr_set_f(td_attrs *a, int at, double v) {
    a->v[at].kind = TD_ATTR_FLOAT;
    a->v[at].n = 0;
    a->v[at].f = v;
}

void td_attr_set_list(td_attrs *a, int at, td_attr_kind kind, const int64_t *v, int n) {
    a->v[at].kind = (uint8_t)kind;
    a->v[at].n = (uint8_t)n;
    for (int i = 0; i < n; i++) a->v[at].list[i] = v[i];
}

void td_attr_set_sizes(td_attrs *a, int at, const td_shape *s) {
    td_attr_set_list(a, at, TD_ATTR_SIZES, s->dim, s->ndim);
}

td_shape td_attr_sizes(const td_attrs *a, int at) {
    td_shape s = {.ndim = a->v[at].n};
    for (int i = 0; i < s.ndim; i++) s.dim[i] = a->v[at].list[i];
    return s;
}
