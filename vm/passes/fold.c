/* Constant folding: an operation all of whose inputs are constants runs now, and its results are
 * constants. */
#include "runtime/mem.h"
#include "vm/apply.h"
#include "vm/passes/rewrite.h"

/* Results may be so large, or as large as what they were made of: a constant travels with its program. */
#define FOLD_BYTES 4096

static size_t bytes_of(const td_meta *m) {
    return (size_t)td_shape_numel(&m->shape) * td_dtype_bytes(m->dtype);
}

static bool is_worth(const td_program *p, const td_instr *in) {
    size_t made = 0, used = 0;
    for (int k = 0; k < in->op->nout; k++)
        made += bytes_of(&p->value[in->out + (uint32_t)k].meta);
    for (uint32_t k = 0; k < in->nin; k++) used += bytes_of(&p->value[in->in[k]].meta);
    return made <= FOLD_BYTES || made <= used;
}

/* Memory that a caller gets, or that an operation changes, is made anew in each run. */
static bool may_fold(const td_rewrite *w, const td_instr *in) {
    const td_program *p = w->p;
    if (in->op->nout == 0 || td_op_seed_attr(in->op) >= 0) return false;
    for (int k = 0; k < in->op->nout; k++) {
        const td_value *root = &p->value[td_program_root(p, in->out + (uint32_t)k)];
        if (root->given || root->assigned) return false;
    }
    for (uint32_t k = 0; k < in->nin; k++)
        if (p->value[in->in[k]].kind != TD_VALUE_CONST) return false;
    return is_worth(p, in);
}

/* False when the operation fails: it will say so when the program runs. */
static bool fold(td_rewrite *w, uint32_t i) {
    const td_instr *in = &w->p->instr[i];
    td_tensor *operand[TD_OP_MAX_IN], *made[TD_OP_MAX_OUT];
    td_meta meta[TD_OP_MAX_OUT];
    td_attrs attrs = {0};
    if (in->attrs) attrs = *in->attrs;
    for (uint32_t k = 0; k < in->nin; k++) operand[k] = w->p->value[in->in[k]].data;
    for (int k = 0; k < in->op->nout; k++)
        meta[k] = w->p->value[in->out + (uint32_t)k].meta;
    if (td_op_run(in->op, operand, (int)in->nin, &attrs, meta, made, NULL)) return false;
    for (int k = 0; k < in->op->nout; k++) {
        td_rewrite_replace(w, in->out + (uint32_t)k, td_build_const(w->b, made[k]));
        td_tensor_unref(&made[k]);
    }
    return true;
}

int td_pass_fold(td_program *p, td_program **out, td_err *err) {
    td_rewrite w;
    if (td_rewrite_begin(&w, p, err) == 0)
        for (uint32_t i = 0; i < p->instr_count; i++)
            if (!may_fold(&w, &p->instr[i]) || !fold(&w, i)) td_rewrite_copy(&w, i);
    return td_rewrite_end(&w, out, err);
}
