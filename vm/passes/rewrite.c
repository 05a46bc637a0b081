/* What all passes share. */
#include "vm/passes/rewrite.h"

#include "runtime/mem.h"

TD_OP_USE(expand);

int td_rewrite_begin(td_rewrite *w, td_program *p, td_err *err) {
    *w = (td_rewrite){.p = p};
    w->b = td_builder_new(err);
    w->to = td_new_array((size_t)p->value_count + 1, sizeof *w->to);
    w->changed_until = td_new_array((size_t)p->value_count + 1, sizeof *w->changed_until);
    if (w->b == NULL || w->to == NULL || w->changed_until == NULL)
        return td_fail(err, TD_E_MEMORY, "program", "out of memory");
    td_build_seeds(w->b, p->draws, p->fixed_seeds);
    for (uint32_t v = 0; v < p->value_count; v++)
        w->to[v] =
            v < p->input_count ? td_build_input(w->b, &p->value[v].meta) : TD_NO_VALUE;
    for (uint32_t i = 0; i < p->instr_count; i++)
        if (p->instr[i].op->flags & TD_OP_ASSIGN)
            w->changed_until[td_program_root(p, p->instr[i].in[0])] = i + 1;
    return 0;
}

uint32_t td_rewrite_value(td_rewrite *w, uint32_t v) {
    if (w->to[v] == TD_NO_VALUE && w->p->value[v].kind == TD_VALUE_CONST)
        w->to[v] = td_build_const(w->b, w->p->value[v].data);
    return w->to[v];
}

void td_rewrite_copy(td_rewrite *w, uint32_t i) {
    const td_instr *old = &w->p->instr[i];
    uint32_t in[TD_OP_MAX_IN];
    for (uint32_t k = 0; k < old->nin; k++) in[k] = td_rewrite_value(w, old->in[k]);
    td_rewrite_op(w, i, old->op, in, old->nin, old->attrs);
}

void td_rewrite_op(td_rewrite *w, uint32_t i, const td_op *op, const uint32_t *in,
                   uint32_t nin, const td_attrs *attrs) {
    const td_instr *old = &w->p->instr[i];
    uint32_t first = td_build_op(w->b, op, in, nin, attrs, old->where);
    for (int k = 0; first != TD_NO_VALUE && k < op->nout; k++)
        w->to[old->out + (uint32_t)k] = first + (uint32_t)k;
    if (op != old->op) w->changed = true;
}

void td_rewrite_replace(td_rewrite *w, uint32_t v, uint32_t is) {
    w->to[v] = is;
    w->changed = true;
}

int td_rewrite_end(td_rewrite *w, td_program **out, td_err *err) {
    int rc = 0;
    *out = NULL;
    if (w->b == NULL || w->to == NULL || w->changed_until == NULL) {
        rc = TD_E_MEMORY; /* td_rewrite_begin has said so */
    } else if (!w->changed && td_build_error(w->b) == NULL) {
        *out = td_program_ref(w->p);
    } else {
        td_err own;
        if (err == NULL) err = &own;
        for (uint32_t k = 0; k < w->p->output_count; k++)
            td_build_output(w->b, td_rewrite_value(w, w->p->output[k]));
        *out = td_builder_seal(&w->b, err);
        rc = *out ? 0 : err->code;
    }
    td_builder_free(&w->b);
    td_free(w->to);
    td_free(w->changed_until);
    return rc;
}

bool td_rewrite_may_be(const td_rewrite *w, uint32_t v, uint32_t x) {
    const td_value *value = &w->p->value[v];
    return !value->given && !value->assigned &&
           w->changed_until[td_program_root(w->p, x)] <= value->maker;
}

/* Is v a view in which elements may share memory? */
static bool is_expanded(const td_program *p, uint32_t v) {
    while (p->value[v].root != v) {
        const td_instr *view = &p->instr[p->value[v].maker];
        if (view->op == &td_op_expand) return true;
        v = view->in[0];
    }
    return false;
}

bool td_instr_may_fail(const td_program *p, const td_instr *in) {
    if (in->op->flags & TD_OP_ASSIGN)
        return p->value[td_program_root(p, in->in[0])].kind == TD_VALUE_INPUT ||
               is_expanded(p, in->in[0]);
    for (uint32_t k = 0; in->op->check && k < in->nin; k++)
        if (!td_dtype_is_float(p->value[in->in[k]].meta.dtype)) return true;
    return false;
}
