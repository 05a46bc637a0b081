/* Which operations run together. Elementwise operations over the same sizes that hang together become a
 * block; a product takes in the block that its result flows into. Two groups are joined when no other
 * operation stands between them, so that each group can run as a whole.
 *
 * What depends on what: an operation reads the memory of its inputs and writes that of its results or
 * its target. Views read and write nothing; whoever uses one uses the memory behind it. */
#include <string.h>

#include "runtime/mem.h"
#include "vm/order.h"
#include "vm/plan_inner.h"

#define MEMBERS_MOST 24
#define SEARCH_MOST 4096 /* groups looked at before a join is given up */
/* Programs of tens of thousands of operations: when all searches have looked at so many values, they look at
 * few groups each. */
#define SEARCH_ALL 200000000
#define SEARCH_LATE 32

/* ---- uses ---- */

int td_uses_init(td_uses *u, const td_program *p, td_err *err) {
    uint32_t total = 0;
    for (uint32_t i = 0; i < p->instr_count; i++) total += p->instr[i].nin;
    u->at = td_new_array(p->value_count + 2, sizeof *u->at);
    u->by = td_new_array(total + 1, sizeof *u->by);
    if (u->at == NULL || u->by == NULL)
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    for (uint32_t i = 0; i < p->instr_count; i++)
        for (uint32_t k = 0; k < p->instr[i].nin; k++) u->at[p->instr[i].in[k] + 2]++;
    for (uint32_t v = 0; v < p->value_count; v++) u->at[v + 2] += u->at[v + 1];
    for (uint32_t i = 0; i < p->instr_count; i++)
        for (uint32_t k = 0; k < p->instr[i].nin; k++)
            u->by[u->at[p->instr[i].in[k] + 1]++] = i;
    return 0;
}

void td_uses_free(td_uses *u) {
    td_free(u->at);
    td_free(u->by);
    *u = (td_uses){0};
}

/* ---- dependences ---- */

typedef struct list {
    uint32_t *item;
    uint32_t count, room;
} list;

static bool push(list *l, uint32_t v) {
    if (l->count == l->room) {
        uint32_t room = l->room ? 2 * l->room : 8;
        uint32_t *bigger = td_grow_bytes(l->item, sizeof *bigger * room);
        if (bigger == NULL) return false;
        l->item = bigger;
        l->room = room;
    }
    l->item[l->count++] = v;
    return true;
}

typedef struct group {
    list member;   /* ascending */
    uint32_t head; /* the operation that is a product, or TD_NO_VALUE */
    uint32_t seen; /* the search that has been here last */
    bool is_elementwise, is_done;
} group;

typedef struct fuser {
    td_plan *plan;
    const td_program *p;
    td_uses uses;
    list *before; /* of each operation: those that must run first */
    group *group;
    uint32_t *of;    /* the group of each operation; TD_NO_VALUE for views */
    uint64_t looked; /* at values, by all searches */
    uint32_t searches;
    list stack;
    bool failed;
} fuser;

/* What has been done to a root's memory so far. */
typedef struct history {
    uint32_t writer;
    list readers; /* since then */
} history;

static void depend(fuser *f, uint32_t i, uint32_t on) {
    if (on == TD_NO_VALUE || on == i) return;
    list *l = &f->before[i];
    for (uint32_t k = 0; k < l->count; k++)
        if (l->item[k] == on) return;
    if (!push(l, on)) f->failed = true;
}

static bool is_silent_view(const fuser *f, uint32_t i) {
    return (f->p->instr[i].op->flags & TD_OP_VIEW) && !td_plan_flattens(f->plan, i);
}

static void find_dependences(fuser *f) {
    const td_program *p = f->p;
    history *h = td_new_array(p->value_count + 1, sizeof *h);
    if (h == NULL) {
        f->failed = true;
        return;
    }
    for (uint32_t v = 0; v < p->value_count; v++) h[v].writer = TD_NO_VALUE;
    for (uint32_t i = 0; i < p->instr_count && !f->failed; i++) {
        const td_instr *op = &p->instr[i];
        if (is_silent_view(f, i)) continue;
        bool assigns = op->op->flags & TD_OP_ASSIGN;
        for (uint32_t k = 0; k < op->nin; k++) {
            history *of = &h[f->plan->root[op->in[k]]];
            depend(f, i, of->writer);
            if (!(assigns && k == 0) && !push(&of->readers, i)) f->failed = true;
        }
        for (int k = 0; k < op->op->nout; k++)
            h[f->plan->root[op->out + (uint32_t)k]].writer = i;
        if (assigns) {
            history *of = &h[f->plan->root[op->in[0]]];
            for (uint32_t k = 0; k < of->readers.count; k++)
                depend(f, i, of->readers.item[k]);
            of->readers.count = 0;
            of->writer = i;
        }
    }
    for (uint32_t v = 0; v < p->value_count; v++) td_free(h[v].readers.item);
    td_free(h);
}

/* ---- groups ---- */

/* Operations that look at values before they run do so by themselves. */
static bool fuses(const td_op *op) {
    return (op->flags & TD_OP_ELEMENTWISE) && op->check == NULL;
}

/* Does anything that must run before group `from` (its own members and those of `other` aside) need
 * group `other`? True also when the search is given up. */
static bool reaches(fuser *f, uint32_t from, uint32_t other) {
    uint32_t mark = ++f->searches, visited = 0;
    const uint32_t most = f->looked < SEARCH_ALL ? SEARCH_MOST : SEARCH_LATE;
    f->stack.count = 0;
    f->group[from].seen = mark;
    if (!push(&f->stack, from)) return true;
    while (f->stack.count > 0) {
        uint32_t at = f->stack.item[--f->stack.count];
        const list *members = &f->group[at].member;
        for (uint32_t m = 0; m < members->count; m++) {
            const list *before = &f->before[members->item[m]];
            f->looked += before->count;
            for (uint32_t k = 0; k < before->count; k++) {
                uint32_t g = f->of[before->item[k]];
                if (g == other) {
                    if (at != from) return true;
                    continue;
                }
                if (f->group[g].seen == mark) continue;
                f->group[g].seen = mark;
                if (++visited > most || !push(&f->stack, g)) return true;
            }
        }
    }
    return false;
}

static uint32_t value_of(const fuser *f,
                         uint32_t i) { /* what decides an operation's sizes */
    const td_instr *op = &f->p->instr[i];
    return op->op->flags & TD_OP_ASSIGN ? op->in[0] : op->out;
}

/* Do both lie densely and in one order? */
static bool alike(const fuser *f, uint32_t i, uint32_t j) {
    const td_tensor *x = &f->plan->header[value_of(f, i)],
                    *y = &f->plan->header[value_of(f, j)];
    return td_shape_equal(&x->shape, &y->shape) && (td_lies(x) & td_lies(y));
}

/* Memory that is written inside a group may be looked at there in one way alone. */
static bool one_look(const fuser *f, const group *a, const group *b) {
    const group *both[2] = {a, b};
    for (int x = 0; x < 2; x++)
        for (uint32_t m = 0; m < both[x]->member.count; m++) {
            const td_instr *writes = &f->p->instr[both[x]->member.item[m]];
            const uint32_t target =
                writes->op->flags & TD_OP_ASSIGN ? writes->in[0] : writes->out;
            const td_tensor *to = &f->plan->header[target];
            for (int y = 0; y < 2; y++)
                for (uint32_t n = 0; n < both[y]->member.count; n++) {
                    const td_instr *op = &f->p->instr[both[y]->member.item[n]];
                    for (uint32_t k = 0; k < op->nin; k++) {
                        const td_tensor *from = &f->plan->header[op->in[k]];
                        if (f->plan->root[op->in[k]] != f->plan->root[target]) continue;
                        if (both[y]->member.item[n] == both[y]->head ||
                            !td_plan_same_look(from, to))
                            return false;
                    }
                }
        }
    return true;
}

static void join(fuser *f, uint32_t a, uint32_t b) {
    group *to = &f->group[a], *from = &f->group[b];
    list both = {0};
    uint32_t i = 0, j = 0;
    while (!f->failed && (i < to->member.count || j < from->member.count)) {
        bool left = j == from->member.count ||
                    (i < to->member.count && to->member.item[i] < from->member.item[j]);
        if (!push(&both, left ? to->member.item[i++] : from->member.item[j++]))
            f->failed = true;
    }
    for (uint32_t k = 0; k < from->member.count; k++) f->of[from->member.item[k]] = a;
    if (from->head != TD_NO_VALUE) to->head = from->head;
    td_free(to->member.item);
    td_free(from->member.item);
    from->member = (list){0};
    to->member = both;
}

/* Would the product in front of the two have to wait for one of them? */
static bool head_waits(const fuser *f, uint32_t a, uint32_t b) {
    uint32_t head = f->group[a].head != TD_NO_VALUE ? f->group[a].head : f->group[b].head;
    if (head == TD_NO_VALUE) return false;
    for (uint32_t k = 0; k < f->before[head].count; k++) {
        uint32_t g = f->of[f->before[head].item[k]];
        if (g == a || g == b) return true;
    }
    return false;
}

/* Would it take memory and save none to run i as soon as v, which it reads, is made? So it is when other work
 * lies between the two, another operation near i wants v kept all the same, and i's result would have to be
 * kept too: the mask of an activation whose gradient comes much later. */
static bool is_better_late(const fuser *f, uint32_t i, uint32_t v) {
    const uint32_t maker = f->p->value[v].maker;
    uint32_t between = maker + 1;
    while (between < i && (is_silent_view(f, between) || fuses(f->p->instr[between].op)))
        between++;
    if (between >= i) return false;
    for (uint32_t u = f->uses.at[v]; u < f->uses.at[v + 1]; u++)
        if (f->uses.by[u] != i && f->uses.by[u] > maker + (i - maker) / 2) return true;
    return false;
}

static void try_join(fuser *f, uint32_t i, uint32_t v) {
    const uint32_t maker = f->p->value[v].maker;
    uint32_t a = f->of[maker], b = f->of[i];
    if (a == TD_NO_VALUE || a == b || !f->group[a].is_elementwise) return;
    if (is_better_late(f, i, v)) return;
    const group *x = &f->group[a], *y = &f->group[b];
    if (x->head != TD_NO_VALUE && y->head != TD_NO_VALUE) return;
    if (x->member.count + y->member.count > MEMBERS_MOST) return;
    if (!alike(f, i, maker) || !one_look(f, x, y) || head_waits(f, a, b)) return;
    if (reaches(f, a, b) || reaches(f, b, a)) return;
    join(f, a, b);
}

/* An assignment of a result to all of something of its own sizes and dtype. */
static bool copies(const fuser *f, uint32_t i) {
    const td_instr *op = &f->p->instr[i];
    if (!(op->op->flags & TD_OP_ASSIGN)) return false;
    const td_tensor *to = &f->plan->header[op->in[0]],
                    *from = &f->plan->header[op->in[1]];
    return f->p->value[op->in[1]].kind == TD_VALUE_RESULT && to->dtype == from->dtype &&
           td_shape_equal(&to->shape, &from->shape) && td_lies(to) != 0;
}

static void make_groups(fuser *f) {
    for (uint32_t i = 0; i < f->p->instr_count && !f->failed; i++) {
        const td_instr *op = &f->p->instr[i];
        f->of[i] = TD_NO_VALUE;
        if (is_silent_view(f, i)) continue;
        group *g = &f->group[i];
        f->of[i] = i;
        g->head = td_plan_is_head(f->plan, i) ? i : TD_NO_VALUE;
        bool is_copy = copies(f, i);
        g->is_elementwise = fuses(op->op) || g->head != TD_NO_VALUE || is_copy;
        if (!push(&g->member, i)) f->failed = true;
        if (!g->is_elementwise || g->head != TD_NO_VALUE) continue;
        for (uint32_t k = is_copy ? 1 : 0; k < op->nin; k++) {
            const td_value *in = &f->p->value[op->in[k]];
            if (in->kind == TD_VALUE_RESULT &&
                !(f->p->instr[in->maker].op->flags & TD_OP_VIEW))
                try_join(f, i, op->in[k]);
        }
    }
}

/* ---- steps ---- */

static td_step *add_step(fuser *f) {
    td_plan *plan = f->plan;
    if (plan->step_count == plan->step_room) {
        uint32_t room = plan->step_room ? 2 * plan->step_room : 32;
        td_step *bigger = td_grow_bytes(plan->step, sizeof *bigger * room);
        if (bigger == NULL) {
            f->failed = true;
            return NULL;
        }
        plan->step = bigger;
        plan->step_room = room;
    }
    td_step *s = &plan->step[plan->step_count++];
    *s = (td_step){.bias = TD_NO_VALUE, .head = TD_NO_VALUE, .head_operand = -1};
    return s;
}

static bool set_members(td_step *s, const uint32_t *member, uint32_t count) {
    s->member = td_new_array(count, sizeof *member);
    if (s->member == NULL) return false;
    memcpy(s->member, member, sizeof *member * count);
    s->member_count = count;
    s->instr = member[0];
    return true;
}

static void single(fuser *f, uint32_t i, td_err *err) {
    const td_instr *op = &f->p->instr[i];
    td_step *s = add_step(f);
    if (s == NULL || !set_members(s, &i, 1)) {
        f->failed = true;
        return;
    }
    s->kind = op->op->flags & TD_OP_VIEW     ? TD_STEP_FLATTEN
              : op->op->flags & TD_OP_ASSIGN ? TD_STEP_ASSIGN
                                             : TD_STEP_OP;
    if (fuses(op->op)) {
        s->kind = TD_STEP_BLOCK;
        if (!td_plan_block(f->plan, &f->uses, &i, 1, TD_NO_VALUE, s, err))
            f->failed = true;
    }
}

/* All members in one step. False when they are too many for one (or f has failed). */
static bool whole(fuser *f, const list *m, uint32_t head, td_err *err) {
    td_step *s = add_step(f);
    if (s == NULL || !set_members(s, m->item, m->count)) {
        f->failed = true;
        return false;
    }
    bool well;
    if (head != TD_NO_VALUE) {
        well = td_plan_lead(f->plan, &f->uses, head, s, err);
    } else {
        s->kind = TD_STEP_BLOCK;
        well = td_plan_block(f->plan, &f->uses, m->item, m->count, TD_NO_VALUE, s, err);
    }
    if (well) return true;
    f->failed = err->code != 0;
    td_step_free(s);
    f->plan->step_count--;
    for (uint32_t k = 0; k < m->count; k++) { /* back into memory with all of them */
        const td_instr *op = &f->p->instr[m->item[k]];
        if (op->op->nout && f->plan->memory[op->out].home == TD_HOME_NONE)
            f->plan->memory[op->out].home = TD_HOME_ARENA;
    }
    return false;
}

/* A group that turns out too large for one step runs an operation at a time. */
static void emit(fuser *f, const group *g, td_err *err) {
    const list *m = &g->member;
    if (g->is_elementwise && (m->count > 1 || g->head != TD_NO_VALUE) &&
        whole(f, m, g->head, err))
        return;
    for (uint32_t k = 0; k < m->count && !f->failed; k++) single(f, m->item[k], err);
}

/* Groups in the order of their first operations, each behind those that must run before it. */
static void emit_all(fuser *f, td_err *err) {
    for (uint32_t i = 0; i < f->p->instr_count && !f->failed; i++) {
        if (f->of[i] == TD_NO_VALUE || f->group[f->of[i]].is_done) continue;
        f->stack.count = 0;
        if (!push(&f->stack, f->of[i])) f->failed = true;
        while (f->stack.count > 0 && !f->failed) {
            uint32_t at = f->stack.item[f->stack.count - 1], missing = 0;
            group *g = &f->group[at];
            for (uint32_t m = 0; m < g->member.count && !g->is_done; m++) {
                const list *before = &f->before[g->member.item[m]];
                for (uint32_t k = 0; k < before->count; k++) {
                    uint32_t other = f->of[before->item[k]];
                    if (other == at || f->group[other].is_done) continue;
                    missing++;
                    if (!push(&f->stack, other)) f->failed = true;
                }
            }
            if (missing > 0) continue;
            f->stack.count--;
            if (!g->is_done) emit(f, g, err);
            g->is_done = true;
        }
    }
}

int td_plan_fuse(td_plan *plan, td_err *err) {
    const td_program *p = plan->program;
    fuser f = {.plan = plan, .p = p};
    err->code = 0;
    f.before = td_new_array(p->instr_count + 1, sizeof *f.before);
    f.group = td_new_array(p->instr_count + 1, sizeof *f.group);
    f.of = td_new_array(p->instr_count + 1, sizeof *f.of);
    f.failed = !f.before || !f.group || !f.of || td_uses_init(&f.uses, p, err) != 0;
    if (!f.failed) find_dependences(&f);
    if (!f.failed) make_groups(&f);
    if (!f.failed) emit_all(&f, err);
    for (uint32_t i = 0; i < p->instr_count; i++) {
        if (f.before) td_free(f.before[i].item);
        if (f.group) td_free(f.group[i].member.item);
    }
    td_free(f.before);
    td_free(f.group);
    td_free(f.of);
    td_free(f.stack.item);
    td_uses_free(&f.uses);
    if (f.failed && err->code == 0) td_fail(err, TD_E_MEMORY, "", "out of memory");
    return f.failed ? err->code : 0;
}
