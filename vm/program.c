/* A program once it is made: its references, and questions about it. How one is made stands in
 * program_build.c, its text in program_text.c. */
#include "vm/program.h"

#include <string.h>

#include "runtime/mem.h"

TD_OP_USE(reshape);

td_program *td_program_ref(td_program *p) {
    if (p) atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void td_program_unref(td_program **slot) {
    td_program *p = *slot;
    *slot = NULL;
    if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t v = 0; p->value && v < p->value_count; v++)
        td_tensor_unref(&p->value[v].data);
    td_free(p->value);
    td_free(p->instr);
    td_free(p->output);
    td_free(p->in_pool);
    td_free(p->attrs_pool);
    td_free(p->where_pool);
    td_free(p);
}

uint32_t td_program_root(const td_program *p, uint32_t v) { return p->value[v].root; }

bool td_program_assigns(const td_program *p, uint32_t input) {
    return p->value[input].assigned;
}

int td_op_seed_attr(const td_op *op) {
    for (int k = 0; k + 1 < TD_OP_MAX_ATTRS; k++) {
        const char *name = op->attr[k].name, *next = op->attr[k + 1].name;
        if (name && next && strcmp(name, "seed") == 0 && strcmp(next, "stream") == 0)
            return k;
    }
    return -1;
}

bool td_view_is_pure(const td_op *op) {
    return (op->flags & TD_OP_VIEW) && op != &td_op_reshape;
}

static bool values_equal(const td_value *a, const td_value *b) {
    if (a->kind != b->kind || a->meta.dtype != b->meta.dtype ||
        !td_shape_equal(&a->meta.shape, &b->meta.shape))
        return false;
    if (a->kind != TD_VALUE_CONST) return true;
    size_t bytes = (size_t)td_tensor_numel(a->data) * td_dtype_bytes(a->meta.dtype);
    return memcmp(td_tensor_data(a->data), td_tensor_data(b->data), bytes) == 0;
}

static bool instrs_equal(const td_instr *a, const td_instr *b) {
    return a->op == b->op && a->nin == b->nin && a->out == b->out &&
           (a->nin == 0 || memcmp(a->in, b->in, sizeof *a->in * a->nin) == 0) &&
           (a->attrs == NULL || memcmp(a->attrs, b->attrs, sizeof *a->attrs) == 0);
}

bool td_program_equal(const td_program *a, const td_program *b) {
    if (a->input_count != b->input_count || a->value_count != b->value_count ||
        a->instr_count != b->instr_count || a->output_count != b->output_count ||
        a->draws != b->draws || a->fixed_seeds != b->fixed_seeds)
        return false;
    for (uint32_t v = 0; v < a->value_count; v++)
        if (!values_equal(&a->value[v], &b->value[v])) return false;
    for (uint32_t i = 0; i < a->instr_count; i++)
        if (!instrs_equal(&a->instr[i], &b->instr[i])) return false;
    for (uint32_t k = 0; k < a->output_count; k++)
        if (a->output[k] != b->output[k]) return false;
    return true;
}
