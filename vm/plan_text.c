/* A plan as text to read: a step a line, with the operations that it fuses and where its results lie. */
#include "vm/order.h"
#include "vm/plan_inner.h"
#include "vm/text.h"

static void put_value(td_text *t, const td_plan *plan, uint32_t v) {
    char shape[TD_SHAPE_TEXT];
    const td_root *m = &plan->memory[plan->root[v]];
    const td_tensor *x = &plan->header[v];
    td_text_put(t, "%%%u %s %s", v, td_dtype_name(x->dtype),
                td_shape_text(&x->shape, shape));
    if (td_lies(x) == TD_LIES_IN_CHANNELS) td_text_put(t, " channels last");
    switch (m->home) {
    case TD_HOME_NONE: td_text_put(t, " (no memory)"); break;
    case TD_HOME_ARENA: td_text_put(t, " at %zu", m->at); break;
    case TD_HOME_INPUT: td_text_put(t, " (input)"); break;
    case TD_HOME_CONST: td_text_put(t, " (constant)"); break;
    case TD_HOME_OUTPUT: td_text_put(t, " (output)"); break;
    }
    if (plan->root[v] == v && m->shares != TD_NO_VALUE)
        td_text_put(t, " in place of %%%u", m->shares);
}

static void put_op(td_text *t, const td_plan *plan, uint32_t i) {
    const td_instr *op = &plan->program->instr[i];
    td_text_put(t, "%s(", op->op->name);
    for (uint32_t k = 0; k < op->nin; k++)
        td_text_put(t, k ? ", %%%u" : "%%%u", op->in[k]);
    td_text_put(t, ")");
    for (int k = 0; k < op->op->nout; k++) {
        td_text_put(t, k ? ", " : " -> ");
        put_value(t, plan, op->out + (uint32_t)k);
    }
}

static void put_step(td_text *t, const td_plan *plan, uint32_t at) {
    static const char *const kind[] = {"op",    "flatten", "assign",
                                       "block", "product", "conv"};
    const td_step *s = &plan->step[at];
    td_text_put(t, "  %-3u %s", at + 1, kind[s->kind]);
    if (s->kind != TD_STEP_BLOCK) {
        td_text_put(t, " ");
        put_op(t, plan, s->instr);
    }
    if (s->bias != TD_NO_VALUE) td_text_put(t, " + bias %%%u", s->bias);
    if (s->relu) td_text_put(t, ", relu");
    if (s->head != TD_NO_VALUE && s->head != plan->program->instr[s->instr].out) {
        td_text_put(t, " -> ");
        put_value(t, plan, s->head);
    }
    td_text_put(t, "\n");
    for (uint32_t k = 0; s->block && k < s->member_count; k++) {
        td_text_put(t, "        ");
        put_op(t, plan, s->member[k]);
        td_text_put(t, "\n");
    }
}

char *td_plan_text(const td_plan *plan) {
    td_text t = {0};
    td_text_put(&t, "plan: %u steps, %zu bytes of memory\n", plan->step_count,
                plan->arena_bytes);
    for (uint32_t s = 0; s < plan->step_count; s++) put_step(&t, plan, s);
    return td_text_end(&t);
}
