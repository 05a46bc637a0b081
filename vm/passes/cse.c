/* Common subexpressions: an operation that was done before, on the same values, in memory that nothing has
 * changed in between, is not done again. */
#include <string.h>

#include "runtime/mem.h"
#include "vm/passes/rewrite.h"

typedef struct table {
    const td_program *p;
    uint32_t *same;    /* value to the first of those that are equal to it */
    uint32_t *changes; /* of a root: how often its memory was changed so far */
    uint32_t *
        state; /* for each place of in_pool: `changes` of what it reads, when it is read */
    bool *given; /* of a root: a caller gets its memory, once merged ones are counted */
    uint32_t *slot; /* operation + 1, by hash; 0: free */
    uint32_t room;  /* of slot, a power of 2 */
} table;

static uint64_t mix(uint64_t h, uint64_t v) { return (h ^ v) * 1099511628211u; }

static const uint32_t *state_of(const table *t, const td_instr *in) {
    return t->state + (in->in - t->p->in_pool);
}

static uint64_t key_of(const table *t, const td_instr *in) {
    uint64_t h = mix(14695981039346656037u, (uint64_t)(uintptr_t)in->op);
    for (uint32_t k = 0; k < in->nin; k++)
        h = mix(mix(h, t->same[in->in[k]]), state_of(t, in)[k]);
    const uint64_t *word = (const void *)in->attrs;
    for (size_t i = 0; word && i < sizeof *in->attrs / sizeof *word; i++)
        h = mix(h, word[i]);
    return h ^ (h >> 29);
}

static bool is_same(const table *t, const td_instr *a, const td_instr *b) {
    if (a->op != b->op || a->nin != b->nin) return false;
    for (uint32_t k = 0; k < a->nin; k++)
        if (t->same[a->in[k]] != t->same[b->in[k]] ||
            state_of(t, a)[k] != state_of(t, b)[k])
            return false;
    return a->attrs == NULL || memcmp(a->attrs, b->attrs, sizeof *a->attrs) == 0;
}

/* Is it memory of its own that somebody writes to? */
static bool is_written(const table *t, const td_instr *in) {
    for (int k = 0; k < in->op->nout && !td_view_is_pure(in->op); k++)
        if (t->p->value[td_program_root(t->p, in->out + (uint32_t)k)].assigned)
            return true;
    return false;
}

/* A caller gets at most one of two results that were memory of their own. Headers over the same memory may
 * always become one. */
static bool may_share(const table *t, const td_instr *a, const td_instr *b) {
    for (int k = 0; k < a->op->nout && !td_view_is_pure(a->op); k++)
        if (t->given[td_program_root(t->p, a->out + (uint32_t)k)] &&
            t->given[td_program_root(t->p, b->out + (uint32_t)k)])
            return false;
    return true;
}

/* Notes what the operation reads; an assignment makes another state of what it writes. */
static void note_state(table *t, const td_instr *in) {
    for (uint32_t k = 0; k < in->nin; k++)
        t->state[(in->in - t->p->in_pool) + k] =
            td_view_is_pure(in->op) ? 0 : t->changes[td_program_root(t->p, in->in[k])];
    if (in->op->flags & TD_OP_ASSIGN) t->changes[td_program_root(t->p, in->in[0])]++;
}

/* The earlier operation with the same results, or NULL; the first of a kind is entered. */
static const td_instr *find(table *t, uint32_t i) {
    const td_instr *in = &t->p->instr[i];
    note_state(t, in);
    if (in->op->nout == 0 || td_op_seed_attr(in->op) >= 0 || is_written(t, in))
        return NULL;
    for (uint64_t at = key_of(t, in);; at++) {
        uint32_t *slot = &t->slot[at & (t->room - 1)];
        if (*slot == 0) {
            *slot = i + 1;
            return NULL;
        }
        const td_instr *first = &t->p->instr[*slot - 1];
        if (is_same(t, first, in)) return may_share(t, first, in) ? first : NULL;
    }
}

static int table_init(table *t, const td_program *p, td_err *err) {
    *t = (table){.p = p, .room = 64};
    while (t->room < 2 * p->instr_count) t->room *= 2;
    size_t values = (size_t)p->value_count + 1, reads = 1;
    for (uint32_t i = 0; i < p->instr_count; i++) reads += p->instr[i].nin;
    t->same = td_new_array(values, sizeof *t->same);
    t->changes = td_new_array(values, sizeof *t->changes);
    t->state = td_new_array(reads, sizeof *t->state);
    t->given = td_new_array(values, sizeof *t->given);
    t->slot = td_new_array(t->room, sizeof *t->slot);
    if (!t->same || !t->changes || !t->state || !t->given || !t->slot)
        return td_fail(err, TD_E_MEMORY, "program", "out of memory");
    for (uint32_t v = 0; v < p->value_count; v++) {
        t->same[v] = v;
        t->given[v] = p->value[v].given;
    }
    return 0;
}

int td_pass_cse(td_program *p, td_program **out, td_err *err) {
    td_rewrite w;
    table t = {0};
    int rc = td_rewrite_begin(&w, p, err);
    if (rc == 0) rc = table_init(&t, p, err);
    for (uint32_t i = 0; rc == 0 && i < p->instr_count; i++) {
        const td_instr *in = &p->instr[i], *first = find(&t, i);
        if (first == NULL) {
            td_rewrite_copy(&w, i);
            continue;
        }
        for (uint32_t k = 0; k < (uint32_t)in->op->nout; k++) {
            t.same[in->out + k] = t.same[first->out + k];
            td_rewrite_replace(&w, in->out + k, w.to[first->out + k]);
            if (t.given[td_program_root(p, in->out + k)])
                t.given[td_program_root(p, first->out + k)] = true;
        }
    }
    int end = td_rewrite_end(&w, out, err);
    if (rc) td_program_unref(out);
    td_free(t.same);
    td_free(t.changes);
    td_free(t.state);
    td_free(t.given);
    td_free(t.slot);
    return rc ? rc : end;
}
