/* Making a plan, its runs' memory, binding inputs and handing out outputs. What a step does is in
 * plan_step.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/plan_inner.h"

/* ---- making and freeing ---- */

static void run_free(const td_plan *plan, td_run *run) {
    if (run == NULL) return;
    td_data_free(run->arena, run->arena ? plan->arena_bytes : 0);
    td_free(run->tensor);
    td_free(run->storage);
    td_free(run->arg);
    td_free(run);
}

void td_step_free(td_step *s) {
    td_free(s->member);
    td_free(s->operand);
    td_free(s->share);
    td_block_free(&s->block);
}

static void plan_free(td_plan *plan) {
    for (td_run *r = plan->idle, *next; r; r = next) {
        next = r->next;
        run_free(plan, r);
    }
    for (uint32_t i = 0; i < plan->step_count; i++) td_step_free(&plan->step[i]);
    td_free(plan->step);
    td_free(plan->header);
    td_free(plan->root);
    td_free(plan->memory);
    td_free(plan->arg_at);
    td_free(plan->viewer_at);
    td_free(plan->viewer);
    td_program_unref(&plan->program);
    pthread_mutex_destroy(&plan->lock);
    td_free(plan);
}

static int out_of_memory(td_err *err) {
    return td_fail(err, TD_E_MEMORY, "", "out of memory");
}

/* Which values look at each root: their headers are filled in when it is bound. */
static int find_viewers(td_plan *plan, td_err *err) {
    const uint32_t n = plan->program->value_count;
    plan->viewer_at = td_new_array(n + 2, sizeof *plan->viewer_at);
    plan->viewer = td_new_array(n + 1, sizeof *plan->viewer);
    if (plan->viewer_at == NULL || plan->viewer == NULL) return out_of_memory(err);
    for (uint32_t v = 0; v < n; v++) plan->viewer_at[plan->root[v] + 2]++;
    for (uint32_t v = 0; v < n; v++) plan->viewer_at[v + 2] += plan->viewer_at[v + 1];
    for (uint32_t v = 0; v < n; v++)
        plan->viewer[plan->viewer_at[plan->root[v] + 1]++] = v;
    return 0;
}

static int prepare(td_plan *plan, td_err *err) {
    const td_program *p = plan->program;
    plan->header = td_new_array(p->value_count + 1, sizeof *plan->header);
    plan->root = td_new_array(p->value_count + 1, sizeof *plan->root);
    plan->memory = td_new_array(p->value_count + 1, sizeof *plan->memory);
    plan->arg_at = td_new_array(p->instr_count + 1, sizeof *plan->arg_at);
    if (!plan->header || !plan->root || !plan->memory || !plan->arg_at)
        return out_of_memory(err);
    for (uint32_t i = 0; i < p->instr_count; i++) {
        plan->arg_at[i] = plan->arg_count;
        plan->arg_count += p->instr[i].nin + (uint32_t)p->instr[i].op->nout;
    }
    int rc = td_plan_layout(plan, err);
    if (rc == 0) rc = td_plan_fuse(plan, err);
    if (rc == 0) rc = td_plan_place(plan, err);
    if (rc == 0) rc = find_viewers(plan, err);
    return rc;
}

/* TIDE_DUMP=1 shows the plan behind the passes that led to it. */
static void dump(const td_plan *plan) {
    const char *wanted = getenv("TIDE_DUMP");
    if (wanted == NULL || strcmp(wanted, "1") != 0) return;
    char *text = td_plan_text(plan);
    if (text) fputs(text, stderr);
    td_free(text);
}

td_plan *td_plan_new(td_program *p, td_err *err) {
    td_err own;
    if (err == NULL) err = &own;
    td_plan *plan = td_new(td_plan);
    if (plan == NULL) {
        out_of_memory(err);
        return NULL;
    }
    atomic_init(&plan->refs, 1);
    pthread_mutex_init(&plan->lock, NULL);
    plan->program = td_program_ref(p);
    if (prepare(plan, err) != 0) {
        plan_free(plan);
        return NULL;
    }
    dump(plan);
    return plan;
}

td_plan *td_plan_ref(td_plan *plan) {
    atomic_fetch_add_explicit(&plan->refs, 1, memory_order_relaxed);
    return plan;
}

void td_plan_unref(td_plan **pp) {
    td_plan *plan = *pp;
    *pp = NULL;
    if (plan && atomic_fetch_sub_explicit(&plan->refs, 1, memory_order_acq_rel) == 1)
        plan_free(plan);
}

/* ---- a run's memory ---- */

static td_run *run_new(const td_plan *plan, td_err *err) {
    const td_program *p = plan->program;
    td_run *run = td_new(td_run);
    if (run == NULL) {
        out_of_memory(err);
        return NULL;
    }
    run->tensor = td_new_array(p->value_count + 1, sizeof *run->tensor);
    run->storage = td_new_array(p->value_count + 1, sizeof *run->storage);
    run->arg = td_new_array(plan->arg_count + 1, sizeof *run->arg);
    run->arena = td_data_new(plan->arena_bytes, err);
    if (!run->tensor || !run->storage || !run->arg || !run->arena) {
        if (run->arena) out_of_memory(err);
        run_free(plan, run);
        return NULL;
    }
    for (uint32_t v = 0; v < p->value_count; v++) {
        const td_root *m = &plan->memory[v];
        atomic_init(&run->storage[v].refs, 1);
        if (m->home == TD_HOME_ARENA) {
            run->storage[v].data = run->arena + m->at;
            run->storage[v].bytes = m->bytes;
        }
    }
    for (uint32_t v = 0; v < p->value_count; v++) {
        td_tensor *x = &run->tensor[v];
        uint32_t root = plan->root[v];
        x->dtype = plan->header[v].dtype;
        x->shape = plan->header[v].shape;
        x->offset = plan->header[v].offset;
        memcpy(x->stride, plan->header[v].stride, sizeof x->stride);
        atomic_init(&x->refs, 1);
        x->storage = p->value[root].kind == TD_VALUE_CONST ? p->value[root].data->storage
                                                           : &run->storage[root];
        if (p->value[root].kind == TD_VALUE_CONST)
            x->offset += p->value[root].data->offset;
    }
    for (uint32_t i = 0; i < p->instr_count; i++) {
        td_tensor **arg = run->arg + plan->arg_at[i];
        for (uint32_t k = 0; k < p->instr[i].nin; k++)
            *arg++ = &run->tensor[p->instr[i].in[k]];
        for (int k = 0; k < p->instr[i].op->nout; k++)
            *arg++ = &run->tensor[p->instr[i].out + (uint32_t)k];
    }
    return run;
}

static td_run *take_run(td_plan *plan, td_err *err) {
    pthread_mutex_lock(&plan->lock);
    td_run *run = plan->idle;
    if (run) plan->idle = run->next;
    pthread_mutex_unlock(&plan->lock);
    return run ? run : run_new(plan, err);
}

static void give_run(td_plan *plan, td_run *run) {
    pthread_mutex_lock(&plan->lock);
    run->next = plan->idle;
    plan->idle = run;
    pthread_mutex_unlock(&plan->lock);
}

/* ---- binding ---- */

/* Everything that looks at root r looks into this storage, which begins `offset` elements in. */
static void bind(const td_plan *plan, td_run *run, uint32_t r, td_storage *storage,
                 int64_t offset) {
    for (uint32_t i = plan->viewer_at[r]; i < plan->viewer_at[r + 1]; i++) {
        uint32_t v = plan->viewer[i];
        run->tensor[v].storage = storage;
        run->tensor[v].offset = plan->header[v].offset + offset;
    }
}

static int check_input(const td_plan *plan, uint32_t i, const td_tensor *x, td_err *err) {
    const td_value *want = &plan->program->value[i];
    if (x->dtype != want->meta.dtype || !td_shape_equal(&x->shape, &want->meta.shape)) {
        char got[TD_SHAPE_TEXT], wanted[TD_SHAPE_TEXT];
        return td_fail(err, TD_E_SHAPE, "", "input %u is %s %s, the program takes %s %s",
                       i + 1, td_dtype_name(x->dtype), td_shape_text(&x->shape, got),
                       td_dtype_name(want->meta.dtype),
                       td_shape_text(&want->meta.shape, wanted));
    }
    if (want->assigned && x->storage->readonly)
        return td_fail(err, TD_E_STATE, "assign",
                       "input %u is read-only and would be changed", i + 1);
    return 0;
}

/* Inputs that do not lie in rows are copied; *copied says how many were, for give_back. */
static int bind_inputs(const td_plan *plan, td_run *run, td_tensor *const *in,
                       td_tensor **copy, td_err *err) {
    const td_program *p = plan->program;
    for (uint32_t i = 0; i < p->input_count; i++) {
        int rc = check_input(plan, i, in[i], err);
        if (rc) return rc;
        const td_tensor *x = in[i];
        if (!td_tensor_is_contiguous(x)) {
            copy[i] = td_tensor_contiguous(in[i], err);
            if (copy[i] == NULL) return TD_E_MEMORY;
            x = copy[i];
        }
        bind(plan, run, i, x->storage, x->offset);
    }
    return 0;
}

static void give_back(const td_plan *plan, td_tensor *const *in, td_tensor **copy) {
    const td_program *p = plan->program;
    for (uint32_t i = 0; i < p->input_count; i++) {
        if (p->value[i].assigned) {
            if (copy[i]) td_tensor_copy(in[i], copy[i]);
            in[i]->storage->version++;
        }
        td_tensor_unref(&copy[i]);
    }
}

/* Fresh memory for the results that are handed out. */
static int make_outputs(const td_plan *plan, td_run *run, td_storage **fresh,
                        td_err *err) {
    const td_program *p = plan->program;
    for (uint32_t k = 0; k < p->output_count; k++) {
        uint32_t r = plan->root[p->output[k]];
        if (plan->memory[r].home != TD_HOME_OUTPUT) continue;
        bool is_there = false;
        for (uint32_t j = 0; j < k && !is_there; j++)
            is_there = plan->root[p->output[j]] == r;
        if (is_there) continue;
        fresh[k] = td_storage_new(plan->memory[r].bytes, err);
        if (fresh[k] == NULL) return TD_E_MEMORY;
        bind(plan, run, r, fresh[k], 0);
    }
    return 0;
}

/* A copy of what x looks at; of a root that x repeats, the root is copied and x looks at that. */
static td_tensor *copy_view(const td_tensor *x, const td_tensor *root, td_err *err) {
    bool repeats = td_tensor_numel(x) > td_tensor_numel(root) &&
                   td_tensor_is_contiguous(root) && x->dtype == root->dtype;
    const td_tensor *from = repeats ? root : x;
    td_tensor *own = td_tensor_new(from->dtype, &from->shape, err);
    if (own == NULL) return NULL;
    td_tensor_copy(own, from);
    if (!repeats) return own;
    td_tensor *y =
        td_tensor_view(own, &x->shape, x->stride, x->offset - root->offset, err);
    td_tensor_unref(&own);
    return y;
}

static td_tensor *hand_out(const td_plan *plan, const td_run *run, td_tensor *const *in,
                           td_tensor *const *copy, uint32_t v, td_err *err) {
    uint32_t r = plan->root[v];
    const td_tensor *x = &run->tensor[v];
    if (plan->memory[r].home == TD_HOME_INPUT && v == r) return td_tensor_ref(in[v]);
    if (plan->memory[r].home == TD_HOME_OUTPUT ||
        (plan->memory[r].home == TD_HOME_INPUT && copy[r] == NULL))
        return td_tensor_view(x, &x->shape, x->stride, x->offset, err);
    return copy_view(x, &run->tensor[r], err);
}

static int run_bound(td_plan *plan, td_run *run, td_tensor *const *in,
                     td_tensor *const *copy, uint64_t seed, uint64_t stream,
                     td_tensor **out, td_err *err) {
    int rc = 0;
    for (uint32_t s = 0; rc == 0 && s < plan->step_count; s++)
        rc = td_step_run(plan, &plan->step[s], run, seed, stream, err);
    for (uint32_t k = 0; rc == 0 && k < plan->program->output_count; k++) {
        out[k] = hand_out(plan, run, in, copy, plan->program->output[k], err);
        if (out[k] == NULL) rc = TD_E_MEMORY;
    }
    return rc;
}

int td_plan_run(td_plan *plan, td_tensor *const *in, uint64_t seed, uint64_t stream,
                td_tensor **out, td_err *err) {
    const td_program *p = plan->program;
    td_err own;
    if (err == NULL) err = &own;
    for (uint32_t k = 0; k < p->output_count; k++) out[k] = NULL;
    td_run *run = take_run(plan, err);
    if (run == NULL) return TD_E_MEMORY;
    td_tensor *few_copy[32] = {NULL}, **copy = few_copy;
    td_storage *few_fresh[32] = {NULL}, **fresh = few_fresh;
    if (p->input_count > 32) copy = td_new_array(p->input_count, sizeof(td_tensor *));
    if (p->output_count > 32) fresh = td_new_array(p->output_count, sizeof(td_storage *));
    int rc = copy && fresh ? 0 : out_of_memory(err);
    if (rc == 0) rc = bind_inputs(plan, run, in, copy, err);
    if (rc == 0) {
        rc = make_outputs(plan, run, fresh, err);
        if (rc == 0) rc = run_bound(plan, run, in, copy, seed, stream, out, err);
        give_back(plan, in, copy);
    } else if (copy) {
        for (uint32_t i = 0; i < p->input_count; i++) td_tensor_unref(&copy[i]);
    }
    for (uint32_t k = 0; fresh && k < p->output_count; k++) td_storage_unref(&fresh[k]);
    if (rc)
        for (uint32_t k = 0; k < p->output_count; k++) td_tensor_unref(&out[k]);
    if (copy != few_copy) td_free(copy);
    if (fresh != few_fresh) td_free(fresh);
    give_run(plan, run);
    return rc;
}

/* ---- overlaps and costs ---- */

static void extent(const td_tensor *x, const char **from, const char **to) {
    int64_t low = 0, high = 0, each = (int64_t)td_dtype_bytes(x->dtype);
    for (int d = 0; d < x->shape.ndim; d++) {
        int64_t reach = (x->shape.dim[d] - 1) * x->stride[d];
        if (x->shape.dim[d] == 0) reach = 0;
        if (reach < 0)
            low += reach;
        else
            high += reach;
    }
    *from = (const char *)td_tensor_data(x) + low * each;
    *to = (const char *)td_tensor_data(x) + (high + 1) * each;
}

bool td_plan_overlaps(const td_plan *plan, td_tensor *const *in) {
    const td_program *p = plan->program;
    for (uint32_t i = 0; i < p->input_count; i++) {
        if (!p->value[i].assigned) continue;
        const char *from, *to, *a, *b;
        extent(in[i], &from, &to);
        for (uint32_t j = 0; j < p->input_count; j++) {
            if (i == j || in[i]->storage != in[j]->storage) continue;
            extent(in[j], &a, &b);
            if (a < to && from < b) return true;
        }
    }
    return false;
}

td_plan_cost td_plan_costs(const td_plan *plan) {
    const td_program *p = plan->program;
    td_plan_cost c = {.memory_bytes = plan->arena_bytes, .steps = plan->step_count};
    for (uint32_t v = 0; v < p->value_count; v++) {
        if (plan->root[v] != v) continue;
        if (plan->memory[v].home == TD_HOME_INPUT) c.input_bytes += plan->memory[v].bytes;
        if (plan->memory[v].home == TD_HOME_OUTPUT)
            c.output_bytes += plan->memory[v].bytes;
    }
    return c;
}
