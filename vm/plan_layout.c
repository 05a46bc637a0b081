/* Where each value of a plan lies inside its memory: the rule of order.h for what is made, the operations'
 * own `view` for views. Inputs and constants are in rows: a run brings them there. */
#include <string.h>

#include "runtime/mem.h"
#include "vm/order.h"
#include "vm/plan_inner.h"

static int dense_bytes(const td_tensor *x, size_t *bytes, td_err *err) {
    return td_shape_bytes(&x->shape, x->dtype, bytes, err);
}

bool td_plan_same_look(const td_tensor *a, const td_tensor *b) {
    if (!td_shape_equal(&a->shape, &b->shape) || a->offset != b->offset) return false;
    for (int i = 0; i < a->shape.ndim; i++)
        if (a->shape.dim[i] != 1 && a->stride[i] != b->stride[i]) return false;
    return true;
}

static int make_root(td_plan *plan, uint32_t v, td_home home, td_order order,
                     td_err *err) {
    const td_meta *meta = &plan->program->value[v].meta;
    td_tensor *x = &plan->header[v];
    x->dtype = meta->dtype;
    x->shape = meta->shape;
    td_shape_strides_in(&x->shape, order, x->stride);
    plan->root[v] = v;
    plan->memory[v].home = home;
    return dense_bytes(x, &plan->memory[v].bytes, err);
}

/* A view over in's memory; sets *copy when there is none. */
static int view_over(const td_instr *op, const td_tensor *in, td_tensor *out, bool *copy,
                     td_err *err) {
    static const td_attrs none;
    int64_t offset = 0;
    *copy = false;
    int rc = op->op->view(in, op->attrs ? op->attrs : &none, &out->shape, out->stride,
                          &offset, copy);
    out->offset = offset;
    return rc ? td_fail(err, TD_E_INTERNAL, op->op->name, "no view") : 0;
}

static int lay_view(td_plan *plan, uint32_t i, td_err *err) {
    const td_instr *op = &plan->program->instr[i];
    uint32_t in = op->in[0], v = op->out;
    td_tensor *x = &plan->header[v], base = plan->header[in];
    x->dtype = plan->program->value[v].meta.dtype;
    x->shape = plan->program->value[v].meta.shape;
    bool copy;
    int rc = view_over(op, &base, x, &copy, err);
    if (rc == 0 && !copy) {
        plan->root[v] = plan->root[in];
        return 0;
    }
    if (rc == 0) { /* memory of its own, of the input's size, laid out in rows */
        td_shape_strides(&base.shape, base.stride);
        base.offset = 0;
        rc = view_over(op, &base, x, &copy, err);
        plan->root[v] = v;
        plan->memory[v].home = TD_HOME_ARENA;
        if (rc == 0) rc = dense_bytes(&base, &plan->memory[v].bytes, err);
    }
    return rc;
}

bool td_plan_flattens(const td_plan *plan, uint32_t i) {
    const td_instr *op = &plan->program->instr[i];
    return (op->op->flags & TD_OP_VIEW) && plan->root[op->out] == op->out;
}

static int lay_results(td_plan *plan, uint32_t i, td_err *err) {
    const td_instr *op = &plan->program->instr[i];
    td_meta few_meta[8];
    unsigned few_lies[8];
    td_meta *meta = few_meta;
    unsigned *lies = few_lies;
    if (op->nin > 8) {
        meta = td_new_array(op->nin, sizeof *meta);
        lies = td_new_array(op->nin, sizeof *lies);
    }
    int rc = meta && lies ? 0 : td_fail(err, TD_E_MEMORY, "", "out of memory");
    for (uint32_t k = 0; rc == 0 && k < op->nin; k++) {
        meta[k] = plan->program->value[op->in[k]].meta;
        lies[k] = td_lies(&plan->header[op->in[k]]);
    }
    for (int k = 0; rc == 0 && k < op->op->nout; k++) {
        uint32_t v = op->out + (uint32_t)k;
        const td_meta *out = &plan->program->value[v].meta;
        rc = make_root(plan, v, TD_HOME_ARENA,
                       td_op_order(op->op, meta, lies, (int)op->nin, out), err);
    }
    if (meta != few_meta) td_free(meta);
    if (lies != few_lies) td_free(lies);
    return rc;
}

int td_plan_layout(td_plan *plan, td_err *err) {
    const td_program *p = plan->program;
    int rc = 0;
    for (uint32_t v = 0; rc == 0 && v < p->value_count; v++)
        if (p->value[v].kind != TD_VALUE_RESULT)
            rc = make_root(plan, v,
                           p->value[v].kind == TD_VALUE_INPUT ? TD_HOME_INPUT
                                                              : TD_HOME_CONST,
                           TD_ORDER_ROWS, err);
    for (uint32_t i = 0; rc == 0 && i < p->instr_count; i++)
        rc = p->instr[i].op->flags & TD_OP_VIEW ? lay_view(plan, i, err)
                                                : lay_results(plan, i, err);
    for (uint32_t k = 0; rc == 0 && k < p->output_count; k++) {
        td_root *m = &plan->memory[plan->root[p->output[k]]];
        if (m->home == TD_HOME_ARENA) m->home = TD_HOME_OUTPUT;
    }
    return rc;
}
