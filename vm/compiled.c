/* Running what was traced. */
#include "vm/compiled.h"

#include "runtime/mem.h"
#include "vm/passes.h"

struct td_compiled {
    td_traced *traced;
    td_program *program; /* after the passes; its inputs are the traced program's */
    td_plan *plan;
    td_tensor **in;     /* of the run under way; borrowed but for scalars */
    td_tensor **out;    /* likewise */
    td_tensor **scalar; /* 0-d tensors, written before each run */
    bool *copied;       /* outputs that need memory of their own */
    uint32_t *assigned; /* inputs that a run changes */
    uint32_t assigned_count;
};

static int out_of_memory(td_err *err) {
    return td_fail(err, TD_E_MEMORY, "compile", "out of memory");
}

/* ---- making ---- */

/* A pass may have found that two outputs are the same, or that one is an input or a constant. In the
 * function they were tensors of their own, and a script may change one of them. */
static void mark_copies(td_compiled *c) {
    const td_program *before = c->traced->program, *after = c->program;
    for (uint32_t k = 0; k < after->output_count; k++) {
        uint32_t was = td_program_root(before, before->output[k]),
                 root = td_program_root(after, after->output[k]);
        bool was_result = before->value[was].kind == TD_VALUE_RESULT;
        if (after->value[root].kind == TD_VALUE_CONST) continue; /* the plan copies it */
        bool copy = was_result && after->value[root].kind == TD_VALUE_INPUT;
        for (uint32_t j = 0; j < k && !copy; j++)
            copy = td_program_root(after, after->output[j]) == root &&
                   td_program_root(before, before->output[j]) != was;
        c->copied[k] = copy;
    }
}

static int make_scalars(td_compiled *c, td_err *err) {
    for (int i = 0; i < c->traced->scalars; i++) {
        c->scalar[i] = td_tensor_from_f64(TD_F64, 0, err);
        if (c->scalar[i] == NULL) return TD_E_MEMORY;
    }
    return 0;
}

static int prepare(td_compiled *c, td_err *err) {
    int rc = td_passes_run(c->traced->program, &c->program, err);
    if (rc) return rc;
    c->plan = td_plan_new(c->program, err);
    if (c->plan == NULL) return err->code;
    const uint32_t inputs = c->program->input_count, outputs = c->program->output_count;
    c->in = td_new_array((size_t)inputs + 1, sizeof *c->in);
    c->out = td_new_array((size_t)outputs + 1, sizeof *c->out);
    c->copied = td_new_array((size_t)outputs + 1, sizeof *c->copied);
    c->assigned = td_new_array((size_t)inputs + 1, sizeof *c->assigned);
    c->scalar = td_new_array((size_t)c->traced->scalars + 1, sizeof *c->scalar);
    if (!c->in || !c->out || !c->copied || !c->assigned || !c->scalar)
        return out_of_memory(err);
    for (uint32_t i = 0; i < inputs; i++)
        if (td_program_assigns(c->program, i)) c->assigned[c->assigned_count++] = i;
    mark_copies(c);
    return make_scalars(c, err);
}

td_compiled *td_compiled_new(td_traced **made, td_err *err) {
    td_compiled *c = td_new(td_compiled);
    if (c == NULL) {
        td_traced_free(made);
        out_of_memory(err);
        return NULL;
    }
    c->traced = *made;
    *made = NULL;
    if (prepare(c, err)) td_compiled_free(&c);
    return c;
}

void td_compiled_free(td_compiled **cp) {
    td_compiled *c = *cp;
    *cp = NULL;
    if (c == NULL) return;
    for (int i = 0; c->scalar && i < c->traced->scalars; i++)
        td_tensor_unref(&c->scalar[i]);
    td_free(c->in);
    td_free(c->out);
    td_free(c->scalar);
    td_free(c->copied);
    td_free(c->assigned);
    td_plan_unref(&c->plan);
    td_program_unref(&c->program);
    td_traced_free(&c->traced);
    td_free(c);
}

uint32_t td_compiled_draws(const td_compiled *c) { return c->program->draws; }
td_program *td_compiled_program(const td_compiled *c) { return c->program; }
td_plan *td_compiled_plan(const td_compiled *c) { return c->plan; }

/* ---- binding ---- */

static td_val *leaf_of(const td_grad_rule *r, td_val *const *args) {
    return r->leaf ? r->leaf : args[r->index];
}

/* The value whose contents are input i, NULL for a scalar. */
static td_val *bound(const td_bind *b, td_val *const *args) {
    switch (b->kind) {
    case TD_BIND_ARGUMENT: return args[b->index];
    case TD_BIND_VALUE: return b->value;
    case TD_BIND_GRAD: return (b->value ? b->value : args[b->index])->grad;
    default: return NULL;
    }
}

bool td_compiled_fits(td_compiled *c, td_val *const *args) {
    const td_traced *m = c->traced;
    for (int i = 0; i < m->rules; i++)
        if (m->rule[i].is_read &&
            (leaf_of(&m->rule[i], args)->grad != NULL) != m->rule[i].was_there)
            return false;
    for (uint32_t i = 0; i < c->program->input_count; i++) {
        const td_bind *b = &m->bind[i];
        if (b->kind == TD_BIND_ARGUMENT || b->kind == TD_BIND_SCALAR) continue;
        const td_val *v = bound(b, args);
        const td_meta *want = &c->program->value[i].meta;
        if (v->obj || v->meta.dtype != want->dtype ||
            !td_shape_equal(&v->meta.shape, &want->shape) ||
            (b->kind == TD_BIND_VALUE && v->requires_grad != b->requires_grad))
            return false;
    }
    return true;
}

static int bind_inputs(td_compiled *c, td_val *const *args, const double *scalars,
                       td_err *err) {
    const td_traced *m = c->traced;
    for (int i = 0; i < m->scalars; i++)
        *(double *)c->scalar[i]->storage->data = scalars[i];
    for (uint32_t i = 0; i < c->program->input_count; i++) {
        const td_bind *b = &m->bind[i];
        td_val *v = bound(b, args);
        c->in[i] = v == NULL ? c->scalar[b->index]
                   : v->t    ? v->t
                             : td_val_tensor(v, "compile", err);
        if (c->in[i] == NULL) return err->code;
    }
    return 0;
}

/* An argument that wants a gradient and is captured too would get only half of it. */
static bool is_captured(const td_traced *m, uint32_t inputs, const td_val *v) {
    for (uint32_t i = 0; i < inputs; i++)
        if (m->bind[i].kind == TD_BIND_VALUE && m->bind[i].value == v) return true;
    return false;
}

static bool overlaps(const td_compiled *c, td_val *const *args) {
    const td_traced *m = c->traced;
    for (int i = 0; i < m->arguments; i++)
        if (args[i]->requires_grad && is_captured(m, c->program->input_count, args[i]))
            return true;
    return c->assigned_count && td_plan_overlaps(c->plan, c->in);
}

td_compiled_answer td_compiled_bind(td_compiled *c, td_val *const *args,
                                    const double *scalars, td_err *err) {
    if (bind_inputs(c, args, scalars, err)) return TD_COMPILED_FAILED;
    return overlaps(c, args) ? TD_COMPILED_OVERLAPS : TD_COMPILED_READY;
}

/* ---- results ---- */

static int own_memory(td_tensor **t, td_err *err) {
    td_tensor *copy = td_tensor_new((*t)->dtype, &(*t)->shape, err);
    if (copy == NULL) return TD_E_MEMORY;
    td_tensor_copy(copy, *t);
    td_tensor_unref(t);
    *t = copy;
    return 0;
}

static void set_grad(td_val *leaf, td_val *grad) {
    td_val *old = leaf->grad;
    leaf->grad = grad;
    td_val_unref(&old);
}

static int set_grads(td_compiled *c, td_val *const *args, td_err *err) {
    const td_traced *m = c->traced;
    for (int i = 0; i < m->rules; i++) {
        const td_grad_rule *r = &m->rule[i];
        td_val *leaf = leaf_of(r, args), *grad = NULL;
        switch (r->end) {
        case TD_GRAD_STAYS: continue;
        case TD_GRAD_NONE: break;
        case TD_GRAD_VALUE: grad = td_val_ref(r->value); break;
        case TD_GRAD_OUTPUT:
            grad = td_val_new(c->out[r->output], err);
            c->out[r->output] = NULL;
            if (grad == NULL) return err->code;
        }
        set_grad(leaf, grad);
    }
    return 0;
}

static int give_results(td_compiled *c, td_val *const *args, td_val **out, td_err *err) {
    int rc = 0;
    for (uint32_t k = 0; rc == 0 && k < c->program->output_count; k++)
        if (c->copied[k]) rc = own_memory(&c->out[k], err);
    for (int k = 0; rc == 0 && k < c->traced->outputs; k++) {
        out[k] = td_val_new(c->out[k], err);
        c->out[k] = NULL;
        if (out[k] == NULL) rc = err->code;
    }
    return rc ? rc : set_grads(c, args, err);
}

int td_compiled_run(td_compiled *c, td_val *const *args, uint64_t seed, uint64_t stream,
                    td_val **out, td_err *err) {
    for (int k = 0; k < c->traced->outputs; k++) out[k] = NULL;
    int rc = td_plan_run(c->plan, c->in, seed, stream, c->out, err);
    for (uint32_t i = 0; i < c->assigned_count; i++)
        c->in[c->assigned[i]]->storage->version++;
    if (rc) return rc;
    rc = give_results(c, args, out, err);
    for (uint32_t k = 0; k < c->program->output_count; k++) td_tensor_unref(&c->out[k]);
    for (int k = 0; rc && k < c->traced->outputs; k++) td_val_unref(&out[k]);
    return rc;
}
