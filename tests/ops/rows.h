/* A row of the op tests: what test_ops.c needs to know of an op to try it in every way. A file
 * rows_*.c holds rows for ops that belong together; nothing else lists them, and an op of the table that
 * has no row fails the test. Rows use nothing but this header and libm, since they are linked into other
 * tests too.
 *
 *     // y = x^2
 *     static void square_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
 *         (void)nin, (void)a;
 *         rt_like(&out[0], &in[0]);
 *         for (int64_t i = 0; i < rt_numel(&in[0]); i++) out[0].v[i] = in[0].v[i] * in[0].v[i];
 *     }
 *     OP_ROW(square) = {
 *         .op = "square", .dtypes = OP_NUMBERS, .ref = square_ref, .flags = OP_GRAD2,
 *         CASES({.in = {{"2x3"}}}, {.in = {{"scalar"}}}, {.in = {{"0x4"}}}),
 *     };
 *
 * Each case is run with every dtype of the row and with inputs that lie in memory in several ways; dtypes
 * of the table that are not in the row must be refused with a DTYPE error. */
#ifndef TESTS_OPS_ROWS_H
#define TESTS_OPS_ROWS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vm/op.h"

/* Rows name the fields that matter and leave the others out. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* ---- plain tensors, for references: row-major doubles, indices from 0 ---- */

typedef struct rt {
    int ndim;
    int64_t dim[TD_MAX_DIM];
    double *v;
} rt;

static inline int64_t rt_numel(const rt *x) {
    int64_t n = 1;
    for (int d = 0; d < x->ndim; d++) n *= x->dim[d];
    return n;
}

/* Gives a result its sizes and zeros; the harness frees it. */
static inline void rt_new(rt *x, int ndim, const int64_t *dim) {
    x->ndim = ndim;
    for (int d = 0; d < ndim; d++) x->dim[d] = dim[d];
    x->v = calloc((size_t)rt_numel(x) + 1, sizeof *x->v);
}

static inline void rt_like(rt *x, const rt *y) { rt_new(x, y->ndim, y->dim); }

/* The index of element i, and back. */
static inline void rt_index(const rt *x, int64_t i, int64_t *index) {
    for (int d = x->ndim - 1; d >= 0; d--) {
        index[d] = i % x->dim[d];
        i /= x->dim[d];
    }
}

static inline int64_t rt_at(const rt *x, const int64_t *index) {
    int64_t i = 0;
    for (int d = 0; d < x->ndim; d++) i = i * x->dim[d] + index[d];
    return i;
}

/* The element of x that stands at an index of something that x broadcasts to. */
static inline double rt_broadcast(const rt *x, const int64_t *index, int ndim) {
    int64_t own[TD_MAX_DIM];
    for (int d = 0; d < x->ndim; d++)
        own[d] = x->dim[d] == 1 ? 0 : index[ndim - x->ndim + d];
    return x->v[rt_at(x, own)];
}

/* ---- rows ---- */

/* Which dtype a result has, given the common dtype of those inputs that name none. */
typedef enum op_out {
    OP_SAME = 0,
    OP_FLOAT, /* f32 for integers and bool */
    OP_SUM,   /* i64 for integers and bool */
    OP_IS_BOOL,
    OP_IS_I64,
    OP_IS_I32,
    OP_IS_ATTR0, /* the first DTYPE attribute */
} op_out;

typedef struct op_in {
    const char *shape; /* "2x3", "scalar", "0x4"; NULL: no more inputs */
    td_dtype dtype;    /* TD_NONE: the row's dtypes in turn */
    double low,
        high; /* range of values, both ends included for integers; 0, 0: -2 to 2 */
    double value[16]; /* when `given` of them are set, the values instead */
    int given;
} op_in;

#define OP_INPUTS 8 /* of a case, at most */

typedef struct op_case {
    op_in in[OP_INPUTS];
    td_attrs attrs;
    const char *
        error; /* the whole text that must come instead of a result: "add: 2x3 does not ..." */
    unsigned flags; /* OP_NO_GRAD */
} op_case;

enum {
    OP_GRAD = 1,         /* row: gradients agree with central differences */
    OP_GRAD2 = 3,        /* row: so do second derivatives */
    OP_NO_GRAD = 4,      /* case: has no gradient, or stands on a kink */
    OP_NO_LAYOUTS = 8,   /* case: contiguous inputs alone */
    OP_ONLY_FLOATS = 16, /* case: with the row's float dtypes alone */
    OP_ONE_ORDER = 32,   /* row: one derivative further is an error, UNSUPPORTED */
};

#define OP_BIT(t) (1u << (t))
#define OP_FLOATS (OP_BIT(TD_F64) | OP_BIT(TD_F32))
#define OP_INTS (OP_BIT(TD_I64) | OP_BIT(TD_I32) | OP_BIT(TD_U8))
#define OP_NUMBERS (OP_FLOATS | OP_INTS)
#define OP_ALL (OP_NUMBERS | OP_BIT(TD_BOOL)) /* all that ops compute with */
#define OP_ANY                                                                           \
    (OP_ALL | OP_BIT(TD_F16) | OP_BIT(TD_BF16)) /* for ops that only move elements */

typedef struct op_row {
    const char *op;
    unsigned dtypes;
    op_out out[TD_OP_MAX_OUT];
    /* What the op should give, worked out slowly and on its own. NULL: `elsewhere` names the test file
     * that looks at values; sizes and dtypes are then all that is tried here. */
    void (*ref)(const rt *in, int nin, const td_attrs *a, rt *out);
    const char *elsewhere;
    double tol32, tol64; /* relative to max(1, |wanted|); 0: 2e-6 and 1e-12 */
    double low, high;    /* range of values for inputs that give none; 0, 0: -2 to 2 */
    unsigned flags;
    unsigned aside; /* bit i: no gradient flows into result i */
    const op_case *cases;
    int count;
} op_row;

#define CASES(...)                                                                       \
    .cases = (const op_case[]){__VA_ARGS__},                                             \
    .count = (int)(sizeof((const op_case[]){__VA_ARGS__}) / sizeof(op_case))

/* Attributes of a case, in the op's order: .attrs = {{A_INT(DIM, 1), A_LIST(SIZES, 2, 3), A_FLT(0.5)}} */
#define A_INT(KIND, value)                                                               \
    { .kind = TD_ATTR_##KIND, .i = (value) }
#define A_FLT(value)                                                                     \
    { .kind = TD_ATTR_FLOAT, .f = (value) }
#define A_LIST(KIND, ...)                                                                \
    {                                                                                    \
        .kind = TD_ATTR_##KIND,                                                          \
        .n = (uint8_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .list = {    \
            __VA_ARGS__                                                                  \
        }                                                                                \
    }
#define A_EMPTY(KIND)                                                                    \
    { .kind = TD_ATTR_##KIND, .n = 0 }
#define A_NONE                                                                           \
    { .kind = TD_ATTR_NONE } /* not given: the preset */

/* Values instead of a range: {"3", TD_I64, VALUES(1, 3, -1)} */
#define VALUES(...)                                                                      \
    .value = {__VA_ARGS__},                                                              \
    .given = (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))

#define OP_ROW(id)                                                                       \
    extern const op_row op_row_##id;                                                     \
    static const op_row *const op_row_at_##id                                            \
        __attribute__((section("td_op_rows"), used)) = &op_row_##id;                     \
    const op_row op_row_##id

#endif
