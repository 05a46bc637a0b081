/* Running a product and the block behind it: on a panel of rows at a time, while they are in cache. */
#include <stdatomic.h>
#include <string.h>

#include "runtime/kernels/product.h"
#include "runtime/mem.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"
#include "vm/plan_inner.h"

/* Rows of a panel are so many that it holds about PANEL elements, a multiple of what the products' tiles
 * go into. */
#define PANEL 8192
#define PANEL_ROWS 24

bool td_plan_multiplies(const td_plan *plan, uint32_t i) {
    const td_instr *op = &plan->program->instr[i];
    const td_tensor *a = &plan->header[op->in[0]], *b = &plan->header[op->in[1]];
    if (b->shape.ndim != 2 || a->shape.ndim < 2) return false;
    int64_t step = a->stride[a->shape.ndim - 2] * a->shape.dim[a->shape.ndim - 2];
    for (int d = a->shape.ndim - 3; d >= 0; d--) {
        if (a->shape.dim[d] != 1 && a->stride[d] != step) return false;
        step *= a->shape.dim[d];
    }
    return td_tensor_numel(&plan->header[op->out]) > 0;
}

/* ---- running ---- */

typedef struct job {
    td_product p;
    const td_block *block;
    char *data[TD_BLOCK_OPERANDS];
    int head; /* operand */
    int64_t panel_rows;
    size_t panel_bytes; /* 0: the head's own memory */
    td_err err;
    atomic_int failed;
} job;

static const char *along(const void *p, int64_t elements, td_dtype t) {
    return (const char *)p + elements * (int64_t)td_dtype_bytes(t);
}

static void run_panel(void *ctx, int64_t i) {
    job *j = ctx;
    td_err err = {0};
    int64_t from = i * j->panel_rows, to = from + j->panel_rows;
    if (to > j->p.m) to = j->p.m;
    td_product p = j->p;
    p.m = to - from;
    p.a = along(p.a, from * p.a_row, p.t);
    char *data[TD_BLOCK_OPERANDS], *panel = NULL;
    memcpy(data, j->data, sizeof data);
    if (j->panel_bytes > 0) {
        panel = td_scratch_take(j->panel_bytes, &err);
        p.c = panel;
        if (panel && j->head >= 0) /* where row 0 would stand */
            data[j->head] =
                (char *)((uintptr_t)panel -
                         (uintptr_t)from * (uintptr_t)p.c_row * td_dtype_bytes(p.t));
    } else {
        p.c = (char *)p.c + from * p.c_row * (int64_t)td_dtype_bytes(p.t);
    }
    int rc = p.c ? td_product_run(&p, &err) : TD_E_MEMORY;
    if (rc == 0)
        td_block_run_rows(j->block, data, from, to);
    else if (atomic_exchange(&j->failed, 1) == 0)
        j->err = err;
    td_scratch_give(panel);
}

/* The right operand's columns are read by every panel: they are laid side by side once. */
static int lay_columns(td_product *p, void **space, td_err *err) {
    size_t each = td_dtype_bytes(p->t), elements, bytes;
    if (!td_mul_size((size_t)p->n, (size_t)p->k, &elements) ||
        !td_mul_size(elements, each, &bytes))
        return td_fail(err, TD_E_LIMIT, "matmul", "too large");
    *space = td_scratch_take(bytes, err);
    if (*space == NULL) return TD_E_MEMORY;
    td_transpose(each, p->n, p->k, p->b, p->b_col, *space, p->n);
    p->b = *space;
    p->b_row = p->n;
    p->b_col = 1;
    return 0;
}

static int run_panels(job *j, td_err *err) {
    int64_t rows = PANEL / j->p.n / PANEL_ROWS * PANEL_ROWS;
    if (rows < PANEL_ROWS) rows = PANEL_ROWS;
    if (rows * 3 / 2 >= j->p.m) rows = j->p.m;
    j->panel_rows = rows;
    if (j->panel_bytes > 0)
        j->panel_bytes = (size_t)(rows * j->p.n) * td_dtype_bytes(j->p.t);
    void *space = NULL;
    int rc = 0;
    if (rows < j->p.m && j->p.b_row == 1 && j->p.b_col != 1)
        rc = lay_columns(&j->p, &space, err);
    if (rc == 0) td_pool_run(run_panel, j, (j->p.m + rows - 1) / rows);
    td_scratch_give(space);
    if (rc == 0 && j->failed) {
        *err = j->err;
        rc = err->code;
    }
    return rc;
}

int td_step_product(const td_plan *plan, const td_step *s, td_run *run, td_err *err) {
    const td_instr *op = &plan->program->instr[s->instr];
    const td_tensor *a = &run->tensor[op->in[0]], *b = &run->tensor[op->in[1]],
                    *c = &run->tensor[s->head];
    int nd = a->shape.ndim;
    int64_t rows =
        1; /* also where they have no elements: sums of nothing are written too */
    for (int d = 0; d < nd - 1; d++) rows *= a->shape.dim[d];
    job j = {.block = s->block, .head = s->head_operand};
    j.p = (td_product){
        .t = a->dtype,
        .m = rows,
        .k = a->shape.dim[nd - 1],
        .n = b->shape.dim[1],
        .segments = 1,
        .a = td_tensor_data(a),
        .a_row = a->stride[nd - 2],
        .a_col = a->stride[nd - 1],
        .b = td_tensor_data(b),
        .b_row = b->stride[0],
        .b_col = b->stride[1],
        .c_row = b->shape.dim[1],
        .c_col = 1,
        .bias = s->bias == TD_NO_VALUE ? NULL : td_tensor_data(&run->tensor[s->bias]),
        .relu = s->relu};
    bool is_kept = plan->memory[plan->root[s->head]].home != TD_HOME_NONE;
    j.p.c = is_kept ? td_tensor_data(c) : NULL;
    if (s->block == NULL) return td_product_run(&j.p, err);
    j.panel_bytes = is_kept ? 0 : 1;
    for (uint32_t k = 0; k < s->operand_count; k++)
        j.data[k] = (int)k == s->head_operand && !is_kept
                        ? NULL
                        : td_tensor_data(&run->tensor[s->operand[k]]);
    return run_panels(&j, err);
}
