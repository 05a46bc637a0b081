/* Where every value of a run lies in its one block of memory: a value is kept from the step that makes it
 * to the last one that looks at it, and a result takes over the memory of an operand that is read for the
 * last time where that is safe. Large values are placed first, each at the lowest place that is free for
 * as long as it lives. */
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/plan_inner.h"

#define ALIGN 64u

static void live(td_plan *plan, uint32_t v, uint32_t step) {
    td_root *m = &plan->memory[plan->root[v]];
    if (m->first == TD_NO_VALUE) m->first = step;
    m->last = step;
}

static void live_op(td_plan *plan, uint32_t i, uint32_t step) {
    const td_instr *op = &plan->program->instr[i];
    for (uint32_t k = 0; k < op->nin; k++) live(plan, op->in[k], step);
    for (int k = 0; k < op->op->nout; k++) live(plan, op->out + (uint32_t)k, step);
}

static void find_lives(td_plan *plan) {
    for (uint32_t v = 0; v < plan->program->value_count; v++) {
        plan->memory[v].first = TD_NO_VALUE;
        plan->memory[v].shares = TD_NO_VALUE;
    }
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const td_step *step = &plan->step[s];
        live_op(plan, step->instr, s);
        for (uint32_t k = 0; k < step->member_count; k++)
            live_op(plan, step->member[k], s);
        if (step->bias != TD_NO_VALUE) live(plan, step->bias, s);
        if (step->head != TD_NO_VALUE) live(plan, step->head, s);
    }
}

/* The root at the end of a chain of takeovers. */
static uint32_t holder(const td_plan *plan, uint32_t v) {
    while (plan->memory[v].shares != TD_NO_VALUE) v = plan->memory[v].shares;
    return v;
}

static void take_over(td_plan *plan) {
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const td_step *step = &plan->step[s];
        for (uint32_t k = 0; k < step->operand_count; k++) {
            uint32_t v = step->operand[k], from = step->share[k];
            if (from == TD_NO_VALUE) continue;
            td_root *to = &plan->memory[v], *old = &plan->memory[from];
            if (to->home != TD_HOME_ARENA || old->home != TD_HOME_ARENA) continue;
            if (old->last != s || to->first != s) continue;
            to->shares = from;
            td_root *held = &plan->memory[holder(plan, from)];
            if (held->last < to->last) held->last = to->last;
        }
    }
}

typedef struct item {
    uint32_t root;
    size_t bytes;
} item;

static int larger_first(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->root < y->root ? -1 : x->root > y->root;
}

/* The lowest place for m between those that live at the same time, which stand in order. */
static size_t fit(const td_root *m, size_t bytes, td_root *const *placed,
                  uint32_t count) {
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const td_root *other = placed[i];
        if (other->last < m->first || m->last < other->first) continue;
        if (at + bytes <= other->at) break;
        size_t end = other->at + (other->bytes + ALIGN - 1) / ALIGN * ALIGN;
        if (end > at) at = end;
    }
    return at;
}

int td_plan_place(td_plan *plan, td_err *err) {
    const uint32_t n = plan->program->value_count;
    find_lives(plan);
    take_over(plan);
    item *todo = td_new_array(n + 1, sizeof *todo);
    td_root **placed = td_new_array(n + 1, sizeof(td_root *));
    if (todo == NULL || placed == NULL) {
        td_free(todo);
        td_free(placed);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    uint32_t count = 0;
    for (uint32_t v = 0; v < n; v++) {
        const td_root *m = &plan->memory[v];
        if (plan->root[v] == v && m->home == TD_HOME_ARENA && m->first != TD_NO_VALUE &&
            m->shares == TD_NO_VALUE)
            todo[count++] = (item){v, (m->bytes + ALIGN - 1) / ALIGN * ALIGN};
    }
    qsort(todo, count, sizeof *todo, larger_first);
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        td_root *m = &plan->memory[todo[i].root];
        m->at = fit(m, todo[i].bytes, placed, i);
        if (m->at + todo[i].bytes > total) total = m->at + todo[i].bytes;
        uint32_t k = i;
        for (; k > 0 && placed[k - 1]->at > m->at; k--) placed[k] = placed[k - 1];
        placed[k] = m;
    }
    for (uint32_t v = 0; v < n; v++)
        if (plan->memory[v].shares != TD_NO_VALUE)
            plan->memory[v].at = plan->memory[holder(plan, v)].at;
    plan->arena_bytes = total;
    td_free(todo);
    td_free(placed);
    return 0;
}
