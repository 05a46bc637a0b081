/* Counting: what each kind of operation does, and what a run holds at once. */
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/inspect.h"

static size_t bytes_of(const td_value *v) {
    return (size_t)td_shape_numel(&v->meta.shape) * td_dtype_bytes(v->meta.dtype);
}

static td_report_row *row_of(td_report *r, const td_op *op) {
    for (uint32_t i = 0; i < r->row_count; i++)
        if (r->row[i].op == op) return &r->row[i];
    td_report_row *row = &r->row[r->row_count++];
    *row = (td_report_row){.op = op};
    return row;
}

/* An assignment writes its first input, and reads the second alone. */
static void count_instr(td_report *r, const td_program *p, const td_instr *in) {
    td_report_row *row = row_of(r, in->op);
    td_meta meta[TD_OP_MAX_IN], out[TD_OP_MAX_OUT];
    double read = 0, written = 0;
    bool is_assign = in->op->flags & TD_OP_ASSIGN, is_view = in->op->flags & TD_OP_VIEW;
    for (uint32_t k = 0; k < in->nin; k++) {
        meta[k] = p->value[in->in[k]].meta;
        *(is_assign && k == 0 ? &written : &read) +=
            (double)bytes_of(&p->value[in->in[k]]);
    }
    for (int k = 0; k < in->op->nout; k++) {
        out[k] = p->value[in->out + (uint32_t)k].meta;
        written += (double)bytes_of(&p->value[in->out + (uint32_t)k]);
    }
    double flops = td_op_work(in->op, meta, (int)in->nin, in->attrs, out);
    if (is_view) read = written = 0;
    row->count++;
    row->flops += flops;
    row->read_bytes += read;
    row->written_bytes += written;
    r->flops += flops;
    r->read_bytes += read;
    r->written_bytes += written;
}

/* The most that results take at one time, when each goes after its last use. */
static size_t live_bytes(const td_program *p, uint32_t *last) {
    size_t live = 0, most = 0;
    for (uint32_t v = 0; v < p->value_count; v++) last[v] = p->value[v].maker;
    for (uint32_t i = 0; i < p->instr_count; i++)
        for (uint32_t k = 0; k < p->instr[i].nin; k++)
            last[td_program_root(p, p->instr[i].in[k])] = i;
    for (uint32_t k = 0; k < p->output_count; k++)
        last[td_program_root(p, p->output[k])] = TD_NO_VALUE;
    for (uint32_t i = 0; i < p->instr_count; i++) {
        const td_instr *in = &p->instr[i];
        bool owns = in->op->nout > 0 && !(in->op->flags & TD_OP_VIEW);
        for (int k = 0; owns && k < in->op->nout; k++)
            live += bytes_of(&p->value[in->out + (uint32_t)k]);
        if (live > most) most = live;
        for (uint32_t k = 0; k < in->nin; k++) {
            uint32_t root = td_program_root(p, in->in[k]);
            if (p->value[root].kind != TD_VALUE_RESULT || last[root] != i) continue;
            live -= bytes_of(&p->value[root]);
            last[root] = TD_NO_VALUE; /* once */
        }
        for (int k = 0; owns && k < in->op->nout; k++)
            if (last[in->out + (uint32_t)k] == i)
                live -= bytes_of(&p->value[in->out + (uint32_t)k]);
    }
    return most;
}

static int by_flops(const void *a, const void *b) {
    const td_report_row *x = a, *y = b;
    if (x->flops != y->flops) return x->flops < y->flops ? 1 : -1;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->op->name, y->op->name);
}

static void count_values(td_report *r, const td_program *p) {
    for (uint32_t v = 0; v < p->input_count; v++) {
        r->input_bytes += bytes_of(&p->value[v]);
        if (!p->value[v].assigned) continue;
        r->assigned_bytes += bytes_of(&p->value[v]);
        r->assigned_count++;
    }
    for (uint32_t v = p->input_count; v < p->input_count + p->const_count; v++)
        r->const_bytes += bytes_of(&p->value[v]);
    for (uint32_t k = 0; k < p->output_count; k++)
        r->output_bytes += bytes_of(&p->value[p->output[k]]);
}

td_report *td_inspect(const td_program *p, const td_plan *plan, td_err *err) {
    td_report *r = td_new(td_report);
    uint32_t *last = td_new_array((size_t)p->value_count + 1, sizeof *last);
    if (r) r->row = td_new_array((size_t)td_op_count(), sizeof *r->row);
    if (r == NULL || r->row == NULL || last == NULL) {
        td_report_free(&r);
        td_free(last);
        td_fail(err, TD_E_MEMORY, "inspect", "out of memory");
        return NULL;
    }
    r->instr_count = p->instr_count;
    for (uint32_t i = 0; i < p->instr_count; i++) count_instr(r, p, &p->instr[i]);
    qsort(r->row, r->row_count, sizeof *r->row, by_flops);
    count_values(r, p);
    r->memory_bytes = live_bytes(p, last);
    if (plan) {
        td_plan_cost cost = td_plan_costs(plan);
        r->memory_bytes = cost.memory_bytes;
        r->steps = cost.steps;
    }
    td_free(last);
    return r;
}

void td_report_free(td_report **r) {
    if (*r) td_free((*r)->row);
    td_free(*r);
    *r = NULL;
}
