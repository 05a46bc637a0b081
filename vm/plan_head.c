/* Making the steps that begin with a product or a convolution: a bias and a relu go inside, anything else that
 * is fused becomes a block behind it. */
#include <string.h>

#include "vm/order.h"
#include "vm/plan_inner.h"

TD_OP_USE(add);
TD_OP_USE(relu);
TD_OP_USE(matmul);
TD_OP_USE(conv2d);
TD_OP_USE(conv2d_input);

bool td_plan_is_head(const td_plan *plan, uint32_t i) {
    const td_instr *op = &plan->program->instr[i];
    if (op->op != &td_op_matmul && op->op != &td_op_conv2d &&
        op->op != &td_op_conv2d_input)
        return false;
    const td_tensor *y = &plan->header[op->out];
    if ((y->dtype != TD_F32 && y->dtype != TD_F64) || td_tensor_numel(y) == 0)
        return false;
    if (op->op == &td_op_matmul) return td_plan_multiplies(plan, i);
    td_conv v;
    return (td_lies(y) & TD_LIES_IN_CHANNELS) && td_plan_convolves(plan, i, &v);
}

static bool used_once(const td_plan *plan, const td_uses *uses, uint32_t v) {
    return uses->at[v + 1] - uses->at[v] == 1 &&
           plan->memory[plan->root[v]].home != TD_HOME_OUTPUT &&
           !plan->program->value[v].assigned;
}

/* Is v a vector along the columns of a product, or along the channels of images? */
static bool is_bias(const td_plan *plan, const td_step *s, uint32_t v) {
    const td_tensor *x = &plan->header[v], *y = &plan->header[s->head];
    int along = s->kind == TD_STEP_CONV ? 1 : y->shape.ndim - 1;
    int own = along - (y->shape.ndim - x->shape.ndim);
    int64_t n = y->shape.dim[along];
    if (x->dtype != y->dtype || own < 0 || x->shape.ndim > y->shape.ndim) return false;
    return td_tensor_numel(x) == n && x->shape.dim[own] == n &&
           (n == 1 || x->stride[own] == 1);
}

/* The member that alone uses the head, if it is `op`; the count says how many members there are. */
static int follower(const td_plan *plan, const td_step *s, const td_op *op) {
    for (uint32_t k = 0; k < s->member_count; k++) {
        const td_instr *at = &plan->program->instr[s->member[k]];
        if (at->op != op) continue;
        for (uint32_t i = 0; i < at->nin; i++)
            if (at->in[i] == s->head) return (int)k;
    }
    return -1;
}

/* Takes the member away; its result is the head from now on. */
static void take_in(td_plan *plan, td_step *s, uint32_t k) {
    plan->memory[s->head].home = TD_HOME_NONE;
    s->head = plan->program->instr[s->member[k]].out;
    memmove(&s->member[k], &s->member[k + 1],
            sizeof *s->member * (s->member_count - k - 1));
    s->member_count--;
}

static void take_bias(td_plan *plan, const td_uses *uses, td_step *s) {
    int k = follower(plan, s, &td_op_add);
    if (k < 0 || !used_once(plan, uses, s->head)) return;
    const td_instr *add = &plan->program->instr[s->member[k]];
    uint32_t bias = add->in[0] == s->head ? add->in[1] : add->in[0];
    if (bias == s->head || !is_bias(plan, s, bias)) return;
    for (uint32_t m = 0; m < s->member_count; m++) /* not made in this very step */
        if (plan->program->instr[s->member[m]].out == bias) return;
    s->bias = bias;
    take_in(plan, s, (uint32_t)k);
}

static void take_relu(td_plan *plan, const td_uses *uses, td_step *s) {
    int k = follower(plan, s, &td_op_relu);
    if (k < 0 || !used_once(plan, uses, s->head)) return;
    s->relu = true;
    take_in(plan, s, (uint32_t)k);
}

static bool is_needed_outside(const td_plan *plan, const td_uses *uses,
                              const td_step *s) {
    if (plan->memory[s->head].home == TD_HOME_OUTPUT ||
        plan->program->value[s->head].assigned)
        return true;
    for (uint32_t u = uses->at[s->head]; u < uses->at[s->head + 1]; u++) {
        bool is_inside = false;
        for (uint32_t k = 0; k < s->member_count; k++)
            is_inside |= s->member[k] == uses->by[u];
        if (!is_inside) return true;
    }
    return false;
}

/* What the product reads to its end cannot give its memory to a result of the first panel. */
static void keep_inputs(const td_plan *plan, td_step *s) {
    const td_instr *op = &plan->program->instr[s->instr];
    for (uint32_t i = 0; i < s->operand_count; i++)
        for (uint32_t k = 0; k < op->nin && s->share[i] != TD_NO_VALUE; k++)
            if (s->share[i] == plan->root[op->in[k]]) s->share[i] = TD_NO_VALUE;
}

bool td_plan_lead(td_plan *plan, const td_uses *uses, uint32_t head, td_step *s,
                  td_err *err) {
    s->instr = head;
    s->kind =
        plan->program->instr[head].op == &td_op_matmul ? TD_STEP_PRODUCT : TD_STEP_CONV;
    s->head = plan->program->instr[head].out;
    for (uint32_t k = 0; k < s->member_count; k++)
        if (s->member[k] == head) {
            memmove(&s->member[k], &s->member[k + 1],
                    sizeof *s->member * (s->member_count - k - 1));
            s->member_count--;
            break;
        }
    if (plan->program->instr[head].op != &td_op_conv2d_input) {
        take_bias(plan, uses, s);
        take_relu(plan, uses, s);
    }
    if (s->member_count == 0) return true;
    if (!td_plan_block(plan, uses, s->member, s->member_count, s->head, s, err))
        return false;
    keep_inputs(plan, s);
    if (!is_needed_outside(plan, uses, s)) plan->memory[s->head].home = TD_HOME_NONE;
    return true;
}
