/* One call of an op as its rows describe it: inputs with a dtype and a layout chosen, filled with values that
 * depend on nothing else. Shared by the tests that try every op. */
#ifndef TESTS_OPS_CALL_H
#define TESTS_OPS_CALL_H

#include "tests/ops/tensors.h"

extern const op_row *const __start_td_op_rows[];
extern const op_row *const __stop_td_op_rows[];

static inline const op_row *row_of(const char *op) {
    for (const op_row *const *r = __start_td_op_rows; r < __stop_td_op_rows; r++)
        if (*r && strcmp((*r)->op, op) == 0) return *r;
    return NULL;
}

/* ---- inputs ---- */

/* One call: a case with dtypes and layouts chosen. */
typedef struct call {
    const op_row *row;
    const op_case *c;
    td_dtype dtype;
    layout how;
    bool mixed; /* each input lies in another way */
    int nin;
    td_dtype in_dtype[OP_INPUTS];
    rt in[OP_INPUTS];
} call;

static inline void describe(const call *k, char *text, size_t size) {
    int at =
        snprintf(text, size, "%s case %d (", k->row->op, (int)(k->c - k->row->cases) + 1);
    for (int i = 0; i < k->nin; i++)
        at += snprintf(text + at, size - (size_t)at, "%s%s %s", i ? ", " : "",
                       k->c->in[i].shape, td_dtype_name(k->in_dtype[i]));
    snprintf(text + at, size - (size_t)at, ") %s%s", k->mixed ? "mixed " : "",
             layout_name[k->how]);
}

#define SAY(k, ...)                                                                      \
    do {                                                                                 \
        char about[300], what[1400];                                                     \
        describe(k, about, sizeof about);                                                \
        snprintf(what, sizeof what, __VA_ARGS__);                                        \
        fail_msg("%s: %s", about, what);                                                 \
    } while (0)

static inline void fill_value(const call *k, const op_in *spec, int which, td_dtype t,
                              rt *x) {
    double low = spec->low, high = spec->high;
    if (low == 0 && high == 0) low = k->row->low, high = k->row->high;
    if (low == 0 && high == 0) low = -2, high = 2;
    if (t == TD_U8 && low < 0) low = 0;
    for (int64_t i = 0; i < rt_numel(x); i++) {
        double u = spread(i, which);
        if (spec->given)
            x->v[i] = spec->value[i % spec->given];
        else if (td_dtype_is_float(t))
            x->v[i] = low + (high - low) * u;
        else
            x->v[i] = t == TD_BOOL ? u < 0.5
                                   : ceil(low) + floor(u * (floor(high) - ceil(low) + 1));
    }
}

static inline void call_start(call *k, const op_row *row, const op_case *c, td_dtype t,
                              layout how, bool mixed) {
    *k = (call){.row = row, .c = c, .dtype = t, .how = how, .mixed = mixed};
    for (; k->nin < OP_INPUTS && c->in[k->nin].shape; k->nin++) {
        const op_in *spec = &c->in[k->nin];
        td_shape s;
        shape_of(spec->shape, &s);
        rt_new(&k->in[k->nin], s.ndim, s.dim);
        k->in_dtype[k->nin] = spec->dtype ? spec->dtype : t;
        fill_value(k, spec, k->nin, k->in_dtype[k->nin], &k->in[k->nin]);
    }
}

static inline td_val *input_of(call *k, int i) {
    td_err err = {0};
    layout how = k->mixed ? (layout)(((int)k->how + i) % LAYOUTS) : k->how;
    if (how == LAYOUT_EXPANDED && k->c->in[i].given)
        how = LAYOUT_FLAT; /* they are meant as they are */
    td_val *v = td_val_new(tensor_of(&k->in[i], k->in_dtype[i], how), &err);
    assert_non_null(v);
    return v;
}

static inline void call_end(call *k) {
    for (int i = 0; i < k->nin; i++) rt_free(&k->in[i]);
}

/* Applies the op; out is what came, or the changed first input. */
static inline int apply(const call *k, const td_op *op, td_val **in, td_val **out,
                        td_err *err) {
    if (op->flags & TD_OP_CREATE)
        return td_apply_create(NULL, op, &k->c->attrs, out, err);
    int rc = td_apply(op, in, k->nin, &k->c->attrs, out, err);
    if (rc == 0 && op->nout == 0) out[0] = td_val_ref(in[0]);
    return rc;
}

static inline int results(const td_op *op) { return op->nout ? op->nout : 1; }

static inline bool takes_any_dtype(const op_case *c) {
    if (c->in[0].shape == NULL) return false;
    for (int i = 0; i < OP_INPUTS && c->in[i].shape; i++)
        if (c->in[i].dtype == TD_NONE) return true;
    return false;
}

#endif
