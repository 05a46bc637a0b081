/* What the steps of a plan do when they run. */
#include <stdio.h>
#include <string.h>

#include "vm/apply.h"
#include "vm/plan_inner.h"

static const td_attrs none;

/* The operation's attributes; of a random one with the streams of this run. */
static const td_attrs *attrs_of(const td_plan *plan, const td_instr *op, uint64_t seed,
                                uint64_t stream, td_attrs *own) {
    if (!(op->op->flags & TD_OP_RANDOM) || plan->program->fixed_seeds)
        return op->attrs ? op->attrs : &none;
    int at = td_op_seed_attr(op->op);
    *own = *op->attrs;
    own->v[at].i = (int64_t)seed;
    own->v[at + 1].i = (int64_t)(stream + (uint64_t)op->attrs->v[at + 1].i);
    return own;
}

static int run_op(const td_plan *plan, const td_instr *op, td_tensor *const *arg,
                  uint64_t seed, uint64_t stream, td_err *err) {
    td_attrs own;
    return td_op_run_into(op->op, arg, (int)op->nin,
                          attrs_of(plan, op, seed, stream, &own), arg + op->nin, err);
}

/* The view's input, laid out in rows in the view's own memory. */
static void run_flatten(td_tensor *const *arg) {
    td_tensor rows = *arg[1];
    rows.shape = arg[0]->shape;
    rows.offset = 0;
    td_shape_strides(&rows.shape, rows.stride);
    td_tensor_copy(&rows, arg[0]);
}

static void run_block(const td_step *s, td_run *run) {
    char *data[TD_BLOCK_OPERANDS];
    for (uint32_t k = 0; k < s->operand_count; k++)
        data[k] = td_tensor_data(&run->tensor[s->operand[k]]);
    td_block_run(s->block, data);
}

int td_step_run(const td_plan *plan, const td_step *s, td_run *run, uint64_t seed,
                uint64_t stream, td_err *err) {
    const td_instr *op = &plan->program->instr[s->instr];
    td_tensor *const *arg = run->arg + plan->arg_at[s->instr];
    int rc = 0;
    switch (s->kind) {
    case TD_STEP_OP:
    case TD_STEP_ASSIGN: rc = run_op(plan, op, arg, seed, stream, err); break;
    case TD_STEP_FLATTEN: run_flatten(arg); break;
    case TD_STEP_BLOCK: run_block(s, run); break;
    case TD_STEP_PRODUCT: rc = td_step_product(plan, s, run, err); break;
    case TD_STEP_CONV: rc = td_step_conv(plan, s, run, err); break;
    }
    if (rc && op->where && err->where[0] == '\0')
        snprintf(err->where, sizeof err->where, "%s", op->where);
    return rc;
}
