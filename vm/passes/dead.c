/* Dead code: what no output, no change of an input and no error needs goes. A random operation that goes
 * leaves its stream's number to nobody. */
#include "runtime/mem.h"
#include "vm/passes/rewrite.h"

typedef struct liveness {
    const td_program *p;
    bool *value; /* is read by what stays */
    bool *root;  /* its memory is looked at by what stays and comes later */
} liveness;

static void read_value(liveness *l, uint32_t v) {
    l->value[v] = true;
    l->root[td_program_root(l->p, v)] = true;
}

static bool is_live(const liveness *l, const td_instr *in) {
    if (td_instr_may_fail(l->p, in)) return true;
    if (in->op->flags & TD_OP_ASSIGN) return l->root[td_program_root(l->p, in->in[0])];
    for (int k = 0; k < in->op->nout; k++)
        if (l->value[in->out + (uint32_t)k]) return true;
    return false;
}

/* Marks what is read, last operation first; `keep` has one for each operation. */
static void mark(liveness *l, bool *keep) {
    const td_program *p = l->p;
    for (uint32_t k = 0; k < p->output_count; k++) read_value(l, p->output[k]);
    for (uint32_t i = p->instr_count; i-- > 0;) {
        const td_instr *in = &p->instr[i];
        keep[i] = is_live(l, in);
        for (uint32_t k = 0; keep[i] && k < in->nin; k++) read_value(l, in->in[k]);
    }
}

int td_pass_dead(td_program *p, td_program **out, td_err *err) {
    td_rewrite w;
    liveness l = {.p = p};
    l.value = td_new_array((size_t)p->value_count + 1, sizeof *l.value);
    l.root = td_new_array((size_t)p->value_count + 1, sizeof *l.root);
    bool *keep = td_new_array((size_t)p->instr_count + 1, sizeof *keep);
    int rc = td_rewrite_begin(&w, p, err);
    if (rc == 0 && (!l.value || !l.root || !keep))
        rc = td_fail(err, TD_E_MEMORY, "program", "out of memory");
    if (rc == 0) {
        mark(&l, keep);
        for (uint32_t i = 0; i < p->instr_count; i++) {
            if (keep[i])
                td_rewrite_copy(&w, i);
            else
                w.changed = true;
        }
    }
    int end = td_rewrite_end(&w, out, err);
    if (rc) td_program_unref(out);
    td_free(l.value);
    td_free(l.root);
    td_free(keep);
    return rc ? rc : end;
}
