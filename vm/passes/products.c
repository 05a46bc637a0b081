/* Products that are only ever looked at transposed are made transposed: (a b)' = b' a'. What a gradient of a
 * linear layer's weights leaves in [in, out] order comes out in the weights' own order so, and what follows
 * can be fused with it. Every element is the same chain of the same numbers. */
#include "runtime/mem.h"
#include "vm/passes/rewrite.h"

TD_OP_USE(matmul);
TD_OP_USE(transpose);

static bool is_product(const td_program *p, const td_instr *in) {
    if (in->op != &td_op_matmul) return false;
    const td_value *y = &p->value[in->out];
    return td_dtype_is_float(y->meta.dtype) && !y->assigned && !y->given &&
           p->value[in->in[0]].meta.shape.ndim == 2 &&
           p->value[in->in[1]].meta.shape.ndim == 2;
}

static bool swaps(const td_instr *in) {
    return in->op == &td_op_transpose && in->attrs->v[0].i != in->attrs->v[1].i;
}

static void note_uses(const td_program *p, bool *turned, bool *plain) {
    for (uint32_t i = 0; i < p->instr_count; i++) {
        const td_instr *in = &p->instr[i];
        for (uint32_t k = 0; k < in->nin; k++) {
            const uint32_t v = in->in[k];
            if (swaps(in) && p->value[v].meta.shape.ndim == 2)
                turned[v] = true;
            else
                plain[v] = true;
        }
    }
    for (uint32_t k = 0; k < p->output_count; k++) plain[p->output[k]] = true;
}

static uint32_t transposed(td_rewrite *w, uint32_t x, const td_instr *for_) {
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&at, 1, TD_ATTR_DIM, 1);
    return td_build_op(w->b, &td_op_transpose, &x, 1, &at, for_->where);
}

int td_pass_products(td_program *p, td_program **out, td_err *err) {
    td_rewrite w;
    bool *turned = td_new_array(p->value_count + 1, sizeof *turned),
         *plain = td_new_array(p->value_count + 1, sizeof *plain);
    if (turned == NULL || plain == NULL) {
        td_free(turned);
        td_free(plain);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    note_uses(p, turned, plain);
    int rc = td_rewrite_begin(&w, p, err);
    for (uint32_t i = 0; rc == 0 && i < p->instr_count; i++) {
        const td_instr *in = &p->instr[i];
        if (is_product(p, in) && turned[in->out] && !plain[in->out]) {
            uint32_t both[2] = {transposed(&w, td_rewrite_value(&w, in->in[1]), in),
                                transposed(&w, td_rewrite_value(&w, in->in[0]), in)};
            td_rewrite_op(&w, i, in->op, both, 2, NULL);
            w.changed = true;
        } else if (swaps(in) && turned[in->in[0]] && !plain[in->in[0]] &&
                   p->value[in->in[0]].kind == TD_VALUE_RESULT &&
                   is_product(p, &p->instr[p->value[in->in[0]].maker])) {
            td_rewrite_replace(&w, in->out, td_rewrite_value(&w, in->in[0]));
        } else {
            td_rewrite_copy(&w, i);
        }
    }
    td_free(turned);
    td_free(plain);
    return rc ? rc : td_rewrite_end(&w, out, err);
}
