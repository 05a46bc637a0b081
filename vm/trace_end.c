/* What a trace leaves: the program, where its inputs come from, and what becomes of the gradients. */
#include "runtime/mem.h"
#include "vm/rows.h"
#include "vm/trace_state.h"

static int out_of_memory(td_err *err) {
    return td_fail(err, TD_E_MEMORY, "compile", "out of memory");
}

/* The input that holds the leaf itself. */
static const td_input *input_of(const td_trace *t, const td_leaf *l) {
    for (int i = 0; i < t->inputs; i++) {
        const td_input *in = &t->input[i];
        if (l->argument >= 0 ? in->kind == TD_BIND_ARGUMENT && in->index == l->argument
                             : in->kind == TD_BIND_VALUE && in->value == l->value)
            return in;
    }
    return NULL;
}

/* The function zeroes the gradient before it makes one and changes the leaf after it: the next call could
 * not see it, so it need not leave the program at all. */
static bool is_used_up(const td_trace *t, const td_leaf *l) {
    const td_input *in = input_of(t, l);
    return !l->is_read && in && in->changed_at > l->written_at;
}

static int refuse_outer_leaf(const td_trace *t, int argument, td_err *err) {
    td_fail(err, TD_E_STATE, "backward",
            "argument %d was computed outside of the compiled function '%s' and wants a "
            "gradient",
            argument + 1, t->place->name);
    td_hint(err, "detach() it, or compute it inside");
    return TD_E_STATE;
}

static int add_output(td_trace *t, const td_val *v, td_err *err) {
    if (v->obj == NULL || v->obj->place != t->place) {
        if (v->obj && td_place_is_trace(v->obj->place))
            return td_trace_refuse(v->obj->place, "compile", err);
        return td_fail(err, TD_E_INTERNAL, "compile", "an output that was not traced");
    }
    td_build_output(t->builder, td_trace_value_of(t, v->obj));
    return 0;
}

static int make_rule(td_trace *t, const td_leaf *l, bool keep_grads, uint32_t *outputs,
                     td_grad_rule *r, td_err *err) {
    td_val *end = l->value->grad;
    *r = (td_grad_rule){
        .index = l->argument, .is_read = l->is_read, .was_there = l->before != NULL};
    if (l->argument < 0) r->leaf = td_val_ref(l->value);
    bool is_made = end && (end->obj || end->rows);
    bool goes = is_made && !keep_grads && is_used_up(t, l);
    if (end && end != l->before && !goes && td_rows_make_whole(end, err))
        return err->code;
    if (!l->is_written || end == l->before) {
        r->end = end == NULL && l->is_written ? TD_GRAD_NONE : TD_GRAD_STAYS;
    } else if (end == NULL ||
               (!keep_grads && td_val_place(end) == t->place && is_used_up(t, l))) {
        r->end = TD_GRAD_NONE;
    } else if (td_val_place(end) == t->place) {
        if (td_rows_make_whole(end, err)) return err->code;
        if (l->argument >= 0 && !t->argument[l->argument].is_leaf)
            return refuse_outer_leaf(t, l->argument, err);
        r->end = TD_GRAD_OUTPUT;
        r->output = (*outputs)++;
        return add_output(t, end, err);
    } else {
        r->end = TD_GRAD_VALUE;
        r->value = td_val_ref(end);
    }
    return 0;
}

static void make_bind(const td_trace *t, const td_input *in, td_bind *b) {
    *b = (td_bind){
        .kind = in->kind, .index = in->index, .requires_grad = in->requires_grad};
    if (in->kind == TD_BIND_VALUE) b->value = td_val_ref(in->value);
    if (in->kind != TD_BIND_GRAD) return;
    const td_leaf *l = &t->leaf[in->leaf];
    b->index = l->argument;
    if (l->argument < 0) b->value = td_val_ref(l->value);
}

td_traced *td_trace_finish(td_trace *t, td_val *const *out, int nout, bool keep_grads,
                           td_err *err) {
    td_traced *m = td_new(td_traced);
    if (m) m->rule = td_new_array((size_t)t->leaves + 1, sizeof *m->rule);
    if (m) m->bind = td_new_array((size_t)t->inputs + 1, sizeof *m->bind);
    int rc = m && m->rule && m->bind ? 0 : out_of_memory(err);
    uint32_t outputs = (uint32_t)nout;
    for (int k = 0; rc == 0 && k < nout; k++) rc = add_output(t, out[k], err);
    td_trace *before = td_trace_set_current(t);
    for (int i = 0; rc == 0 && i < t->leaves; i++)
        rc = make_rule(t, &t->leaf[i], keep_grads, &outputs, &m->rule[m->rules++], err);
    td_trace_set_current(before);
    td_trace_restore_grads(t);
    if (rc == 0) m->program = td_builder_seal(&t->builder, err);
    if (m == NULL || m->program == NULL) {
        td_traced_free(&m);
        return NULL;
    }
    for (int i = 0; i < t->inputs; i++) make_bind(t, &t->input[i], &m->bind[i]);
    m->outputs = nout;
    m->arguments = t->arguments;
    m->scalars = t->scalars;
    return m;
}

void td_traced_free(td_traced **mp) {
    td_traced *m = *mp;
    *mp = NULL;
    if (m == NULL) return;
    for (uint32_t i = 0; m->program && i < m->program->input_count; i++)
        td_val_unref(&m->bind[i].value);
    for (int i = 0; i < m->rules; i++) {
        td_val_unref(&m->rule[i].leaf);
        td_val_unref(&m->rule[i].value);
    }
    if (m->program) td_program_unref(&m->program);
    td_free(m->bind);
    td_free(m->rule);
    td_free(m);
}
