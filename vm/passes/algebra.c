/* Arithmetic that changes no bit goes: x * 1, x / 1, x - 0, x + -0.0, the negative of a negative, copies
 * that nobody writes to, casts there and back. What rounds, or turns -0 into 0, stays; signalling NaNs
 * alone would have come out quiet, and no operation here makes one.
 *
 * Tensors of one value (full) that are only broadcast against others become numbers. */
#include <math.h>

#include "runtime/mem.h"
#include "vm/apply.h"
#include "vm/passes/rewrite.h"

TD_OP_USE(add);
TD_OP_USE(sub);
TD_OP_USE(mul);
TD_OP_USE(div);
TD_OP_USE(neg);
TD_OP_USE(cast);
TD_OP_USE(clone);
TD_OP_USE(full);

static const td_instr *maker_of(const td_program *p, uint32_t v) {
    return p->value[v].kind == TD_VALUE_RESULT ? &p->instr[p->value[v].maker] : NULL;
}

/* Is v a constant all of whose elements are the number, with that sign? */
static bool is_number(const td_program *p, uint32_t v, double want) {
    const td_value *value = &p->value[v];
    if (value->kind != TD_VALUE_CONST) return false;
    int64_t n = td_tensor_numel(value->data);
    size_t each = td_dtype_bytes(value->meta.dtype);
    const char *at = td_tensor_data(value->data);
    for (int64_t i = 0; i < n; i++, at += each) {
        double have = td_load_f64(value->meta.dtype, at);
        if (have != want || signbit(have) != signbit(want)) return false;
    }
    return n > 0;
}

/* Which input the operation gives back as it is, or -1. */
static int neutral(const td_program *p, const td_instr *in) {
    uint32_t a = in->in[0], b = in->nin > 1 ? in->in[1] : a;
    bool real = td_dtype_is_float(p->value[a].meta.dtype);
    if (in->op == &td_op_mul) return is_number(p, b, 1) ? 0 : is_number(p, a, 1) ? 1 : -1;
    if (in->op == &td_op_div) return is_number(p, b, 1) ? 0 : -1;
    if (in->op == &td_op_sub) return is_number(p, b, 0) ? 0 : -1;
    if (in->op == &td_op_add) {
        double zero = real ? -0.0 : 0;
        return is_number(p, b, zero) ? 0 : is_number(p, a, zero) ? 1 : -1;
    }
    return in->op == &td_op_clone ? 0 : -1;
}

static bool same_meta(const td_program *p, uint32_t a, uint32_t b) {
    return p->value[a].meta.dtype == p->value[b].meta.dtype &&
           td_shape_equal(&p->value[a].meta.shape, &p->value[b].meta.shape);
}

/* Has x stayed as it was since the operation that read it, and the result too? */
static bool is_still(const td_rewrite *w, const td_instr *read, uint32_t x) {
    const td_value *made = &w->p->value[read->out];
    return !made->assigned && w->changed_until[td_program_root(w->p, x)] <= made->maker;
}

/* The value that output 0 of the operation is a mere copy of, or TD_NO_VALUE. */
static uint32_t copied(const td_rewrite *w, const td_instr *in) {
    const td_program *p = w->p;
    if (in->nin == 0 || in->op->nout != 1) return TD_NO_VALUE;
    uint32_t x = in->in[0];
    const td_instr *before = maker_of(p, x);
    int at = neutral(p, in);
    if (at >= 0)
        x = in->in[at];
    else if (in->op == &td_op_neg && before && before->op == &td_op_neg &&
             is_still(w, before, before->in[0]))
        x = before->in[0];
    else if (in->op != &td_op_cast)
        return TD_NO_VALUE;
    return same_meta(p, x, in->out) ? x : TD_NO_VALUE;
}

/* ---- casts ---- */

/* Does `wide` hold every value of `t`? */
static bool holds(td_dtype wide, td_dtype t) {
    if (wide == t || t == TD_BOOL) return true;
    switch (wide) {
    case TD_F64: return t != TD_I64;
    case TD_F32: return t == TD_F16 || t == TD_BF16 || t == TD_U8;
    case TD_I64: return t == TD_I32 || t == TD_U8;
    case TD_I32:
    case TD_F16:
    case TD_BF16: return t == TD_U8;
    default: return false;
    }
}

/* x -> wide -> t is x -> t: both steps keep the value until the last, and the last treats it alike. */
static bool may_skip(td_dtype x, td_dtype wide, td_dtype t) {
    if (!holds(wide, x)) return false;
    bool real = td_dtype_is_float(x);
    return t == x || holds(t, x) ||
           (real == td_dtype_is_float(wide) && real == td_dtype_is_float(t));
}

/* cast(cast(x)): from x itself. */
static bool cast_of_cast(td_rewrite *w, uint32_t i) {
    const td_program *p = w->p;
    const td_instr *in = &p->instr[i];
    const td_instr *before = in->op == &td_op_cast ? maker_of(p, in->in[0]) : NULL;
    if (before == NULL || before->op != &td_op_cast) return false;
    uint32_t x = before->in[0];
    if (!may_skip(p->value[x].meta.dtype, p->value[before->out].meta.dtype,
                  p->value[in->out].meta.dtype) ||
        !is_still(w, before, x))
        return false;
    if (same_meta(p, x, in->out) && td_rewrite_may_be(w, in->out, x)) {
        td_rewrite_replace(w, in->out, td_rewrite_value(w, x));
        return true;
    }
    uint32_t from = td_rewrite_value(w, x);
    td_rewrite_op(w, i, &td_op_cast, &from, 1, in->attrs);
    w->changed = true;
    return true;
}

/* ---- tensors of one value ---- */

/* The number that all elements of `full` have, in the new program. */
static uint32_t number_of(td_rewrite *w, const td_instr *full) {
    td_tensor *one =
        td_tensor_from_f64(w->p->value[full->out].meta.dtype, full->attrs->v[1].f, NULL);
    uint32_t v = one ? td_build_const(w->b, one) : TD_NO_VALUE;
    td_tensor_unref(&one);
    return v;
}

static bool is_unwritten_full(const td_program *p, uint32_t v) {
    const td_instr *maker = maker_of(p, v);
    return maker && maker->op == &td_op_full && !p->value[v].assigned &&
           p->value[v].meta.shape.ndim > 0;
}

/* An elementwise operation some of whose inputs may be numbers, if its result stays as large as it was. */
static bool use_numbers(td_rewrite *w, uint32_t i) {
    const td_program *p = w->p;
    const td_instr *in = &p->instr[i];
    td_meta meta[8], out;
    bool number[8] = {false}, any = false;
    if (!(in->op->flags & TD_OP_ELEMENTWISE) || in->nin > 8 || in->op->nout != 1)
        return false;
    for (uint32_t k = 0; k < in->nin; k++) {
        meta[k] = p->value[in->in[k]].meta;
        number[k] = is_unwritten_full(p, in->in[k]);
        if (number[k]) meta[k].shape = (td_shape){0};
        any |= number[k];
    }
    td_attrs attrs = {0};
    if (in->attrs) attrs = *in->attrs;
    if (!any || td_op_infer(in->op, meta, (int)in->nin, &attrs, &out, NULL) ||
        !td_shape_equal(&out.shape, &p->value[in->out].meta.shape))
        return false;
    uint32_t use[8];
    for (uint32_t k = 0; k < in->nin; k++)
        use[k] = number[k] ? number_of(w, maker_of(p, in->in[k]))
                           : td_rewrite_value(w, in->in[k]);
    td_rewrite_op(w, i, in->op, use, in->nin, in->attrs);
    w->changed = true;
    return true;
}

static bool simpler(td_rewrite *w, uint32_t i) {
    const td_instr *in = &w->p->instr[i];
    uint32_t x = copied(w, in);
    if (x != TD_NO_VALUE && td_rewrite_may_be(w, in->out, x) &&
        !td_instr_may_fail(w->p, in)) {
        td_rewrite_replace(w, in->out, td_rewrite_value(w, x));
        return true;
    }
    return cast_of_cast(w, i) || use_numbers(w, i);
}

int td_pass_algebra(td_program *p, td_program **out, td_err *err) {
    td_rewrite w;
    if (td_rewrite_begin(&w, p, err) == 0)
        for (uint32_t i = 0; i < p->instr_count; i++)
            if (!simpler(&w, i)) td_rewrite_copy(&w, i);
    return td_rewrite_end(&w, out, err);
}
