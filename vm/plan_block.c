/* From operations of a program to a block: what it reads and writes in memory, which buffers hold what
 * passes between its operations, and which results may take over the memory of an operand. */
#include <string.h>

#include "runtime/mem.h"
#include "vm/order.h"
#include "vm/plan_inner.h"

TD_OP_USE(clone);

typedef struct maker {
    td_plan *plan;
    const td_uses *uses;
    const uint32_t *member;
    uint32_t count;
    td_block_draft d;
    uint32_t value[TD_BLOCK_OPERANDS]; /* whose memory each operand is */
    uint32_t holds[TD_BLOCK_BUFFERS];  /* the value in each buffer, or TD_NO_VALUE */
    uint32_t
        into[TD_BLOCK_OPS]; /* the assignment whose target member k's result is written
                                           to at once, or TD_NO_VALUE */
    uint32_t
        read_last[TD_BLOCK_OPERANDS]; /* the last member that reads the operand, + 1 */
    uint32_t written_by[TD_BLOCK_OPERANDS]; /* the member that writes it first, + 1 */
} maker;

static const td_instr *instr_at(const maker *m, uint32_t k) {
    return &m->plan->program->instr[m->member[k]];
}

static bool assigns(const maker *m, uint32_t k) {
    return (instr_at(m, k)->op->flags & TD_OP_ASSIGN) != 0;
}

static uint32_t root_of(const maker *m, uint32_t v) { return m->plan->root[v]; }

static bool is_member(const maker *m, uint32_t i) {
    for (uint32_t k = 0; k < m->count; k++)
        if (m->member[k] == i) return true;
    return false;
}

/* Is v looked at by anything that is not in the block, or changed later on? */
static bool is_needed(const maker *m, uint32_t v) {
    if (m->plan->memory[root_of(m, v)].home == TD_HOME_OUTPUT) return true;
    if (m->plan->program->value[root_of(m, v)].assigned) return true;
    for (uint32_t u = m->uses->at[v]; u < m->uses->at[v + 1]; u++)
        if (!is_member(m, m->uses->by[u])) return true;
    return false;
}

static bool reads(const maker *m, uint32_t k, uint32_t root) {
    const td_instr *op = instr_at(m, k);
    for (uint32_t i = assigns(m, k) ? 1 : 0; i < op->nin; i++)
        if (root_of(m, op->in[i]) == root) return true;
    return false;
}

/* The assignment that member k's result can be written into right away: the only one to that memory,
 * whose old content nobody reads from then on. */
static uint32_t find_into(const maker *m, uint32_t k) {
    uint32_t v = instr_at(m, k)->out, found = TD_NO_VALUE;
    if (assigns(m, k) || is_needed(m, v)) return TD_NO_VALUE;
    for (uint32_t a = k + 1; a < m->count && found == TD_NO_VALUE; a++)
        if (assigns(m, a) && instr_at(m, a)->in[1] == v) found = a;
    if (found == TD_NO_VALUE) return TD_NO_VALUE;
    uint32_t root = root_of(m, instr_at(m, found)->in[0]);
    for (uint32_t j = 0; j < m->count; j++) {
        if (j > k && j <= found && reads(m, j, root)) return TD_NO_VALUE;
        bool writes = assigns(m, j) ? root_of(m, instr_at(m, j)->in[0]) == root
                                    : j > k && instr_at(m, j)->out == root;
        if (j != found && writes) return TD_NO_VALUE;
    }
    return found;
}

static bool same_memory(const td_plan *plan, uint32_t v, uint32_t w) {
    return plan->root[v] == plan->root[w] &&
           td_plan_same_look(&plan->header[v], &plan->header[w]);
}

/* The operand that is v's memory, a new one if need be; -1: no room. */
static int operand_of(maker *m, uint32_t v) {
    for (int i = 0; i < m->d.operand_count; i++)
        if (same_memory(m->plan, m->value[i], v)) return i;
    if (m->d.operand_count == TD_BLOCK_OPERANDS) return -1;
    m->d.operand[m->d.operand_count] = m->plan->header[v];
    m->value[m->d.operand_count] = v;
    return m->d.operand_count++;
}

/* The member that makes v; -1 for none. */
static int made_by(const maker *m, uint32_t v) {
    for (uint32_t k = 0; k < m->count; k++)
        if (!assigns(m, k) && instr_at(m, k)->out == v) return (int)k;
    return -1;
}

static int place_of(maker *m, uint32_t v) {
    int k = made_by(m, v);
    if (k < 0) return operand_of(m, v);
    if (m->into[k] != TD_NO_VALUE) return operand_of(m, instr_at(m, m->into[k])->in[0]);
    for (int b = 0; b < TD_BLOCK_BUFFERS; b++)
        if (m->holds[b] == v) return TD_BLOCK_OPERANDS + b;
    return operand_of(m, v);
}

/* Where member k's result goes. */
static int place_for(maker *m, uint32_t k) {
    uint32_t v = instr_at(m, k)->out;
    if (m->into[k] != TD_NO_VALUE) return operand_of(m, instr_at(m, m->into[k])->in[0]);
    if (is_needed(m, v)) return operand_of(m, v);
    for (int b = 0; b < TD_BLOCK_BUFFERS; b++)
        if (m->holds[b] == TD_NO_VALUE) {
            m->holds[b] = v;
            return TD_BLOCK_OPERANDS + b;
        }
    return -1;
}

static uint8_t bytes_of(const maker *m, uint32_t v) {
    return (uint8_t)td_dtype_bytes(m->plan->header[v].dtype);
}

/* Buffers whose value nobody reads behind member k are free for its result; one that k itself reads only
 * when the result's elements are of the same size. */
static void let_go(maker *m, uint32_t k, uint8_t out_bytes) {
    for (int b = 0; b < TD_BLOCK_BUFFERS; b++) {
        if (m->holds[b] == TD_NO_VALUE) continue;
        bool is_read = bytes_of(m, m->holds[b]) != out_bytes && reads(m, k, m->holds[b]);
        for (uint32_t j = k + 1; j < m->count; j++) is_read |= reads(m, j, m->holds[b]);
        if (!is_read) m->holds[b] = TD_NO_VALUE;
    }
}

static bool add_op(maker *m, uint32_t k) {
    const td_instr *op = instr_at(m, k);
    const uint32_t first = assigns(m, k) ? 1 : 0;
    if (assigns(m, k)) {
        int by = made_by(m, op->in[1]);
        if (by >= 0 && m->into[by] == k) return true; /* it stands there already */
    }
    td_block_op *to = &m->d.op[m->d.op_count++];
    *to = (td_block_op){.nin = (int)(op->nin - first)};
    td_meta meta[TD_LOOP_MAX - 1];
    for (int i = 0; i < to->nin; i++) {
        uint32_t v = op->in[first + (uint32_t)i];
        meta[i] = m->plan->program->value[v].meta;
        to->in_bytes[i] = bytes_of(m, v);
        to->src[i] = place_of(m, v);
        if (to->src[i] < 0) return false;
        if (to->src[i] < TD_BLOCK_OPERANDS) m->read_last[to->src[i]] = k + 1;
    }
    to->out_bytes = bytes_of(m, first ? op->in[0] : op->out);
    let_go(m, k, to->out_bytes);
    to->dst = first ? operand_of(m, op->in[0]) : place_for(m, k);
    if (to->dst < 0) return false;
    if (to->dst < TD_BLOCK_OPERANDS) {
        m->d.written[to->dst] = true;
        if (m->written_by[to->dst] == 0) m->written_by[to->dst] = k + 1;
    }
    const td_op *loop = first ? &td_op_clone : op->op;
    to->loop = loop->inner(meta, to->nin, op->attrs, &to->args);
    return to->loop != NULL;
}

/* Does nothing that was written down behind the block read x? */
static bool dies(const maker *m, uint32_t x) {
    uint32_t last = m->uses->by[m->uses->at[x + 1] - 1];
    return last <= m->member[m->count - 1];
}

/* Could the written operand lie in x's memory, should x be read here for the last time? It must be of the same
 * layout, and not read any more once the first result is written. */
static bool may_share(const maker *m, int at, int from) {
    const td_plan *plan = m->plan;
    uint32_t v = m->value[at], x = m->value[from];
    return !m->d.written[from] && plan->root[x] == x &&
           plan->program->value[x].kind == TD_VALUE_RESULT &&
           bytes_of(m, x) == bytes_of(m, v) && m->read_last[from] <= m->written_by[at] &&
           td_block_writes(&plan->header[x], &m->d.shape, m->d.order) &&
           plan->memory[x].bytes == plan->memory[v].bytes;
}

/* The operand whose memory the written one takes over if it can, best one that is not read later. */
static uint32_t find_share(const maker *m, int at, const bool *taken) {
    const td_plan *plan = m->plan;
    uint32_t v = m->value[at], found = TD_NO_VALUE;
    if (plan->root[v] != v || plan->program->value[v].kind != TD_VALUE_RESULT)
        return TD_NO_VALUE;
    for (int i = 0; i < m->d.operand_count; i++) {
        if (i == at || taken[i] || !may_share(m, at, i)) continue;
        if (dies(m, m->value[i])) return (uint32_t)i;
        if (found == TD_NO_VALUE) found = (uint32_t)i;
    }
    return found;
}

static int keep(const maker *m, td_step *step, uint32_t head, td_err *err) {
    const uint32_t n = (uint32_t)m->d.operand_count;
    step->operand = td_new_array(n, sizeof *step->operand);
    step->share = td_new_array(n, sizeof *step->share);
    if (step->operand == NULL || step->share == NULL)
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    step->operand_count = n;
    step->head_operand = -1;
    bool taken[TD_BLOCK_OPERANDS] = {false};
    for (uint32_t i = 0; i < n; i++) {
        step->operand[i] = m->value[i];
        if (m->value[i] == head) {
            step->head_operand = (int)i;
            taken[i] = true;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = m->d.written[i] ? find_share(m, (int)i, taken) : TD_NO_VALUE;
        step->share[i] = TD_NO_VALUE;
        if (from == TD_NO_VALUE) continue;
        step->share[i] = m->value[from];
        taken[from] = true;
    }
    step->block = td_block_new(&m->d, err);
    return step->block ? 0 : TD_E_MEMORY;
}

/* What is made and used inside alone has no memory. */
static void forget_inner(const maker *m) {
    for (uint32_t k = 0; k < m->count; k++)
        if (!assigns(m, k) && !is_needed(m, instr_at(m, k)->out))
            m->plan->memory[instr_at(m, k)->out].home = TD_HOME_NONE;
}

bool td_plan_block(td_plan *plan, const td_uses *uses, const uint32_t *member,
                   uint32_t count, uint32_t head, td_step *step, td_err *err) {
    if (count > TD_BLOCK_OPS) return false;
    maker m = {.plan = plan, .uses = uses, .member = member, .count = count};
    const td_instr *last = &plan->program->instr[member[count - 1]];
    uint32_t like = last->op->flags & TD_OP_ASSIGN ? last->in[0] : last->out;
    m.d.shape = plan->header[like].shape;
    bool in_rows = td_lies(&plan->header[like]) & TD_LIES_IN_ROWS;
    m.d.order = in_rows && step->kind != TD_STEP_CONV ? TD_ORDER_ROWS : TD_ORDER_CHANNELS;
    m.d.by_rows = head != TD_NO_VALUE;
    for (int b = 0; b < TD_BLOCK_BUFFERS; b++) m.holds[b] = TD_NO_VALUE;
    for (uint32_t k = 0; k < count; k++) m.into[k] = find_into(&m, k);
    for (uint32_t k = 0; k < count; k++)
        if (!add_op(&m, k)) return false;
    if (keep(&m, step, head, err) != 0) return false;
    forget_inner(&m);
    return true;
}
