/* For tests of programs: random ones over the whole op table, and the executor that everything else is
 * measured against, which runs a program operation by operation. */
#ifndef TESTS_VM_PROGRAMS_H
#define TESTS_VM_PROGRAMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/mem.h"
#include "vm/apply.h"
#include "vm/program.h"

/* ---- running one, plainly ---- */

/* The attributes of a random operation with the run's seed and stream in them. */
static inline td_attrs plain_attrs(const td_program *p, const td_instr *in, uint64_t seed,
                                   uint64_t stream) {
    td_attrs a = {0};
    if (in->attrs) a = *in->attrs;
    int at = td_op_seed_attr(in->op);
    if (at >= 0 && !p->fixed_seeds) {
        a.v[at].i = (int64_t)seed;
        a.v[at + 1].i += (int64_t)stream;
    }
    return a;
}

/* As td_plan_run, one td_op_run after the other. `in` is changed where the program assigns. */
static inline int plain_run(const td_program *p, td_tensor *const *in, uint64_t seed,
                            uint64_t stream, td_tensor **out, td_err *err) {
    td_tensor **v = calloc((size_t)p->value_count + 1, sizeof(td_tensor *));
    int rc = 0;
    for (uint32_t i = 0; i < p->input_count; i++) v[i] = td_tensor_ref(in[i]);
    for (uint32_t i = p->input_count; i < p->input_count + p->const_count; i++)
        v[i] = td_tensor_ref(p->value[i].data);
    for (uint32_t k = 0; k < p->output_count; k++) out[k] = NULL;
    for (uint32_t i = 0; rc == 0 && i < p->instr_count; i++) {
        const td_instr *ins = &p->instr[i];
        td_tensor *operand[TD_OP_MAX_IN];
        td_meta meta[TD_OP_MAX_OUT];
        for (uint32_t k = 0; k < ins->nin; k++) operand[k] = v[ins->in[k]];
        for (int k = 0; k < ins->op->nout; k++)
            meta[k] = p->value[ins->out + (uint32_t)k].meta;
        td_attrs a = plain_attrs(p, ins, seed, stream);
        td_tensor *made[TD_OP_MAX_OUT] = {NULL};
        rc = td_op_run(ins->op, operand, (int)ins->nin, &a, meta, made, err);
        for (int k = 0; rc == 0 && k < ins->op->nout; k++)
            v[ins->out + (uint32_t)k] = made[k];
    }
    for (uint32_t k = 0; rc == 0 && k < p->output_count; k++)
        out[k] = td_tensor_ref(v[p->output[k]]);
    for (uint32_t i = 0; i < p->value_count; i++) td_tensor_unref(&v[i]);
    free(v);
    return rc;
}

/* ---- chance ---- */

static inline uint64_t chance(uint64_t *x, uint64_t below) { /* splitmix64 */
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

/* A tensor of that kind: floats in [-2, 2] with some 0, -0, infinities and NaN, integers 1 or 2 (which are
 * positions in most tensors here). It lies transposed in memory one time in three. */
static inline td_tensor *chance_tensor(uint64_t *x, const td_meta *m) {
    static const double special[] = {0, -0.0, __builtin_inf(), -__builtin_inf(), 1, -1};
    td_err err = {0};
    td_shape lying = m->shape;
    bool flipped = chance(x, 3) == 0;
    for (int d = 0; flipped && d < lying.ndim; d++)
        lying.dim[d] = m->shape.dim[m->shape.ndim - 1 - d];
    td_tensor *t = td_tensor_new(m->dtype, &lying, &err);
    assert_non_null(t);
    char *p = td_tensor_data(t);
    for (int64_t i = 0; i < td_tensor_numel(t); i++, p += td_dtype_bytes(m->dtype)) {
        double v = (double)chance(x, 4001) / 1000 - 2;
        if (chance(x, 12) == 0) v = special[chance(x, 6)];
        if (chance(x, 60) == 0) v = __builtin_nan("");
        if (td_dtype_is_float(m->dtype))
            td_store_f64(m->dtype, p, v);
        else
            td_store_i64(m->dtype, p, 1 + (int64_t)chance(x, 2));
    }
    if (!flipped) return t;
    int64_t stride[TD_MAX_DIM];
    for (int d = 0; d < lying.ndim; d++) stride[d] = t->stride[lying.ndim - 1 - d];
    td_tensor *y = td_tensor_view(t, &m->shape, stride, 0, &err);
    assert_non_null(y);
    td_tensor_unref(&t);
    return y;
}

static inline void chance_attr(uint64_t *x, const td_attr_spec *spec, const td_meta *in,
                               td_attr *a) {
    int ndim = in ? in->shape.ndim : 0;
    if (!spec->required && chance(x, 3) == 0) return; /* the preset */
    a->kind = (uint8_t)spec->kind;
    switch (spec->kind) {
    case TD_ATTR_FLOAT: a->f = (double)chance(x, 5) / 2 - 0.5; break;
    case TD_ATTR_BOOL: a->i = (int64_t)chance(x, 2); break;
    case TD_ATTR_DTYPE: a->i = 1 + (int64_t)chance(x, 8); break;
    case TD_ATTR_DIM: a->i = ndim ? (int64_t)chance(x, (uint64_t)ndim) : 0; break;
    case TD_ATTR_NEWDIM: a->i = (int64_t)chance(x, (uint64_t)ndim + 1); break;
    case TD_ATTR_POS: a->i = (int64_t)chance(x, 4) - 2; break;
    case TD_ATTR_DIMS: { /* some of them, in any order */
        for (int d = 0; d < ndim; d++) {
            int at = (int)chance(x, (uint64_t)a->n + 1);
            for (int k = a->n; k > at; k--) a->list[k] = a->list[k - 1];
            a->list[at] = d;
            a->n++;
        }
        if (chance(x, 2)) a->n = (uint8_t)chance(x, (uint64_t)a->n + 1);
        break;
    }
    case TD_ATTR_SIZES: /* the input's, perhaps with a dimension more, or in one piece */
        for (int d = 0; d < ndim && d < TD_MAX_DIM - 1; d++)
            a->list[a->n++] = in->shape.dim[d];
        switch (chance(x, 4)) {
        case 0:
            a->n = 1;
            a->list[0] = in ? td_shape_numel(&in->shape) : 5;
            break;
        case 1:
            for (int k = a->n; k > 0; k--) a->list[k] = a->list[k - 1];
            a->list[0] = 1 + (int64_t)chance(x, 3);
            a->n++;
            break;
        case 2:
            for (int k = 0; k < a->n / 2; k++) {
                int64_t v = a->list[k];
                a->list[k] = a->list[a->n - 1 - k];
                a->list[a->n - 1 - k] = v;
            }
            break;
        default: break;
        }
        break;
    case TD_ATTR_INTS:
        a->n = (uint8_t)(spec->count ? spec->count : (int)chance(x, 3));
        for (int k = 0; k < a->n; k++) a->list[k] = (int64_t)chance(x, 3);
        break;
    default: a->i = (int64_t)chance(x, 4);
    }
}

/* ---- random programs ---- */

#define CHANCE_VALUES 64
#define CHANCE_NUMEL 600 /* the largest value */

typedef struct chance_program {
    td_builder *b;
    uint64_t *x;
    uint32_t value[CHANCE_VALUES];
    bool fixed[CHANCE_VALUES]; /* a constant's memory */
    int values;
} chance_program;

static inline const td_meta *chance_meta(const chance_program *c, int i) {
    return td_build_meta(c->b, c->value[i]);
}

/* One more operation, when chance finds one whose inputs go together. */
static inline bool chance_op(chance_program *c) {
    uint64_t *x = c->x;
    const td_op *op = td_op_at((int)chance(x, (uint64_t)td_op_count()));
    if (chance(x, 8) == 0) op = td_op_find("assign"); /* rarer than it ought to be */
    uint32_t in[4];
    td_meta meta[4] = {{0}};
    bool fixed = false;
    int nin = op->nin >= 0 ? op->nin : 1 + (int)chance(x, 3);
    if (nin > 4 || c->values + TD_OP_MAX_OUT > CHANCE_VALUES) return false;
    for (int i = 0; i < nin; i++) {
        int pick = (int)chance(x, (uint64_t)c->values);
        for (int k = 0; k < 8 && i > 0 && chance(x, 5); k++) { /* like the first */
            const td_meta *m = chance_meta(c, pick);
            bool keeps = op->keep_dtype & (1u << i);
            if (td_shape_equal(&m->shape, &meta[0].shape) &&
                (keeps || m->dtype == meta[0].dtype))
                break;
            pick = (int)chance(x, (uint64_t)c->values);
        }
        if (i == 0 && (op->flags & TD_OP_ASSIGN) && c->fixed[pick]) return false;
        if (i == 0) fixed = c->fixed[pick] && (op->flags & TD_OP_VIEW);
        in[i] = c->value[pick];
        meta[i] = *chance_meta(c, pick);
    }
    td_attrs a = {0};
    for (int k = 0; k < td_op_attr_count(op); k++)
        chance_attr(x, &op->attr[k], nin ? &meta[0] : NULL, &a.v[k]);
    td_meta out[TD_OP_MAX_OUT];
    td_attrs tried = a;
    int seed = td_op_seed_attr(op);
    if (td_op_infer(op, meta, nin, &tried, out, NULL) != 0) return false;
    for (int k = 0; k < op->nout; k++)
        if (td_shape_numel(&out[k].shape) > CHANCE_NUMEL) return false;
    if (seed >= 0) {
        td_attr_set_i(&a, seed, TD_ATTR_INT, 0);
        td_attr_set_i(&a, seed + 1, TD_ATTR_INT, td_build_draw(c->b));
    }
    char where[32];
    snprintf(where, sizeof where, "net.lua:%d", (int)chance(x, 50));
    uint32_t first = td_build_op(c->b, op, in, (uint32_t)nin, &a, where);
    if (first == TD_NO_VALUE) fail_msg("%s: %s", op->name, td_build_error(c->b)->msg);
    for (int k = 0; k < op->nout; k++) {
        c->fixed[c->values] = fixed;
        c->value[c->values++] = first + (uint32_t)k;
    }
    return true;
}

/* A program of some `ops` operations. */
static inline td_program *chance_make(uint64_t seed, int ops) {
    static const td_dtype dtype[] = {TD_F32, TD_F32,  TD_F32, TD_F64,
                                     TD_I64, TD_BOOL, TD_I32};
    uint64_t x = seed;
    td_err err = {0};
    chance_program c = {.b = td_builder_new(&err), .x = &x};
    int inputs = 1 + (int)chance(&x, 4), consts = (int)chance(&x, 4);
    td_shape common = {.ndim = (int32_t)chance(&x, 5)};
    for (int d = 0; d < common.ndim; d++) common.dim[d] = 2 + (int64_t)chance(&x, 3);
    if (chance(&x, 20) == 0 && common.ndim) common.dim[0] = 0;
    for (int i = 0; i < inputs + consts; i++) {
        td_meta m = {.dtype = dtype[chance(&x, 7)], .shape = common};
        if (chance(&x, 3) == 0)
            m.shape.ndim = (int32_t)chance(&x, (uint64_t)common.ndim + 1);
        if (chance(&x, 6) == 0) m.shape.dim[0] = 1;
        if (i < inputs) {
            c.value[c.values++] = td_build_input(c.b, &m);
            continue;
        }
        td_tensor *t = chance_tensor(&x, &m);
        c.fixed[c.values] = true;
        c.value[c.values++] = td_build_const(c.b, t);
        td_tensor_unref(&t);
    }
    uint32_t number[] = {
        td_build_number(c.b, TD_F32, (double)chance(&x, 3) - 1, 0),
        td_build_number(c.b, TD_F32, -0.0, 0),
        td_build_number(c.b, TD_I64, 0, (int64_t)chance(&x, 3)),
    };
    for (int i = 0; i < 3; i++) {
        c.fixed[c.values] = true;
        c.value[c.values++] = number[i];
    }
    for (int tries = 0, done = 0; done < ops && tries < 100 * ops; tries++)
        done += chance_op(&c);
    for (int k = 1 + (int)chance(&x, 3); k > 0; k--)
        td_build_output(c.b, c.value[chance(&x, (uint64_t)c.values)]);
    td_program *p = td_builder_seal(&c.b, &err);
    if (p == NULL)
        fail_msg("seed %llu: %s: %s", (unsigned long long)seed, err.call, err.msg);
    return p;
}

/* ---- comparing ---- */

static inline bool same_bits(const td_tensor *a, const td_tensor *b) {
    if (a->dtype != b->dtype || !td_shape_equal(&a->shape, &b->shape)) return false;
    td_err err = {0};
    td_tensor *x = td_tensor_contiguous((td_tensor *)(uintptr_t)a, &err);
    td_tensor *y = td_tensor_contiguous((td_tensor *)(uintptr_t)b, &err);
    bool same = memcmp(td_tensor_data(x), td_tensor_data(y),
                       (size_t)td_tensor_numel(x) * td_dtype_bytes(x->dtype)) == 0;
    td_tensor_unref(&x);
    td_tensor_unref(&y);
    return same;
}

/* The same bits, but that one NaN is as good as another: which of two a product passes on is the processor's
 * choice of operands. */
static inline bool same_numbers(const td_tensor *a, const td_tensor *b) {
    if (same_bits(a, b)) return true;
    if (!td_dtype_is_float(a->dtype) || a->dtype != b->dtype) return false;
    td_err err = {0};
    td_tensor *x = td_tensor_contiguous((td_tensor *)(uintptr_t)a, &err);
    td_tensor *y = td_tensor_contiguous((td_tensor *)(uintptr_t)b, &err);
    const size_t each = td_dtype_bytes(a->dtype);
    const char *p = td_tensor_data(x), *q = td_tensor_data(y);
    bool same = td_shape_equal(&a->shape, &b->shape);
    for (int64_t i = 0; same && i < td_tensor_numel(x); i++, p += each, q += each) {
        double v = td_load_f64(a->dtype, p), w = td_load_f64(a->dtype, q);
        same = memcmp(p, q, each) == 0 || (v != v && w != w);
    }
    td_tensor_unref(&x);
    td_tensor_unref(&y);
    return same;
}

/* A copy that lies in memory as t does (no strides of 0 in it). */
static inline td_tensor *twin(const td_tensor *t) {
    td_err err = {0};
    td_storage *s = td_storage_new(t->storage->bytes, &err);
    assert_non_null(s);
    memcpy(s->data, t->storage->data, s->bytes);
    td_tensor base = {.dtype = t->dtype, .storage = s};
    td_tensor *y = td_tensor_view(&base, &t->shape, t->stride, t->offset, &err);
    td_storage_unref(&s);
    return y;
}

enum { CHANCE_PLACES = 24 };

/* Runs both on the same random inputs, and compares everything a caller could see: the error, the outputs,
 * what inputs have become, and which outputs share memory with which. Gives what p's run gave. */
static inline int assert_same_runs(const td_program *p, const td_program *q,
                                   uint64_t seed) {
    uint64_t x = seed ^ 0xabcdef;
    td_tensor *a[CHANCE_PLACES] = {NULL}, *b[CHANCE_PLACES] = {NULL},
              *out_a[CHANCE_PLACES], *out_b[CHANCE_PLACES];
    td_err err_a = {0}, err_b = {0};
    assert_true(p->input_count <= CHANCE_PLACES && p->output_count <= CHANCE_PLACES);
    assert_int_equal(p->input_count, q->input_count);
    assert_int_equal(p->output_count, q->output_count);
    for (uint32_t i = 0; i < p->input_count; i++) {
        a[i] = chance_tensor(&x, &p->value[i].meta);
        b[i] = twin(a[i]);
    }
    int rc = plain_run(p, a, 7, 100, out_a, &err_a);
    int other = plain_run(q, b, 7, 100, out_b, &err_b);
    bool same = rc == other && strcmp(err_a.msg, err_b.msg) == 0;
    for (uint32_t i = 0; same && i < p->input_count; i++) same = same_numbers(a[i], b[i]);
    for (uint32_t k = 0; same && rc == 0 && k < p->output_count; k++) {
        same = same_numbers(out_a[k], out_b[k]);
        for (uint32_t i = 0; same && i < p->input_count; i++)
            same = (out_a[k]->storage == a[i]->storage) ==
                   (out_b[k]->storage == b[i]->storage);
        for (uint32_t i = 0; same && i < k; i++)
            same = (out_a[k]->storage == out_a[i]->storage) ==
                   (out_b[k]->storage == out_b[i]->storage);
    }
    if (!same) {
        char *before = td_program_text(p), *after = td_program_text(q);
        printf("%s%s", before, after);
        fail_msg("seed %llu: other results (%s / %s)", (unsigned long long)seed,
                 err_a.msg, err_b.msg);
    }
    for (uint32_t i = 0; i < p->input_count; i++) {
        td_tensor_unref(&a[i]);
        td_tensor_unref(&b[i]);
    }
    for (uint32_t k = 0; k < p->output_count; k++) {
        td_tensor_unref(&out_a[k]);
        td_tensor_unref(&out_b[k]);
    }
    return rc;
}

#endif
