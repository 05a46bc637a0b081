/* Running a convolution and the block behind it: some images at a time, while they are in cache. */
#include <stdatomic.h>
#include <string.h>

#include "runtime/dense.h"
#include "runtime/pool.h"
#include "runtime/scratch.h"
#include "vm/ops/conv.h"
#include "vm/plan_inner.h"

TD_OP_USE(conv2d);

#define PANEL                                                                            \
    16384 /* elements of the images that a piece makes, if one image is not more */

bool td_plan_convolves(const td_plan *plan, uint32_t i, td_conv *v) {
    const td_instr *op = &plan->program->instr[i];
    return td_conv_of(op->op, &plan->header[op->in[0]], &plan->header[op->in[1]],
                      &plan->header[op->out], op->attrs, v);
}

typedef struct job {
    td_conv v;
    td_dtype t;
    bool is_forward, relu;
    const void *x, *filters, *bias;
    char *y; /* NULL: results live in a panel alone */
    const td_block *block;
    char *data[TD_BLOCK_OPERANDS];
    int head;                            /* operand */
    int64_t images, pixels, image_bytes; /* of a piece; of a result's image */
    td_err err;
    atomic_int failed;
} job;

static int convolve(const job *j, void *y, int64_t from, int64_t to, td_err *err) {
    if (j->is_forward)
        return td_conv_forward(&j->v, j->t, j->x, j->filters, j->bias, j->relu, y, from,
                               to, err);
    return td_conv_input(&j->v, j->t, j->x, j->filters, y, from, to, err);
}

static void run_images(void *ctx, int64_t i) {
    job *j = ctx;
    td_err err = {0};
    int64_t from = i * j->images, to = from + j->images;
    if (to > j->v.n) to = j->v.n;
    char *data[TD_BLOCK_OPERANDS], *y = j->y;
    void *panel = NULL;
    memcpy(data, j->data, sizeof data);
    if (y == NULL) { /* as if image 0 stood so far in front of it */
        panel = td_scratch_take((size_t)(j->images * j->image_bytes), &err);
        y = (char *)((uintptr_t)panel - (uintptr_t)(from * j->image_bytes));
        if (j->head >= 0) data[j->head] = y;
    }
    int rc = j->y || panel ? convolve(j, y, from, to, &err) : TD_E_MEMORY;
    if (rc == 0)
        td_block_run_rows(j->block, data, from * j->pixels, to * j->pixels);
    else if (atomic_exchange(&j->failed, 1) == 0)
        j->err = err;
    td_scratch_give(panel);
}

static int run_pieces(job *j, const td_tensor *y, td_err *err) {
    int64_t image = td_tensor_numel(y) / y->shape.dim[0];
    j->pixels = y->shape.dim[2] * y->shape.dim[3];
    j->image_bytes = image * (int64_t)td_dtype_bytes(y->dtype);
    j->images = PANEL / image > 0 ? PANEL / image : 1;
    td_pool_run(run_images, j, (j->v.n + j->images - 1) / j->images);
    if (!j->failed) return 0;
    *err = j->err;
    return err->code;
}

static int run_prepared(job *j, const td_plan *plan, const td_step *s, td_run *run,
                        td_err *err) {
    const td_tensor *y = &run->tensor[s->head];
    bool is_kept = plan->memory[plan->root[s->head]].home != TD_HOME_NONE;
    j->y = is_kept ? td_tensor_data(y) : NULL;
    if (s->bias != TD_NO_VALUE) j->bias = td_tensor_data(&run->tensor[s->bias]);
    if (s->block == NULL) return convolve(j, j->y, 0, j->v.n, err);
    for (uint32_t k = 0; k < s->operand_count; k++)
        j->data[k] = (int)k == s->head_operand && !is_kept
                         ? NULL
                         : td_tensor_data(&run->tensor[s->operand[k]]);
    return run_pieces(j, y, err);
}

int td_step_conv(const td_plan *plan, const td_step *s, td_run *run, td_err *err) {
    const td_instr *op = &plan->program->instr[s->instr];
    job j = {.t = plan->header[s->head].dtype,
             .is_forward = op->op == &td_op_conv2d,
             .relu = s->relu,
             .block = s->block,
             .head = s->head_operand};
    td_plan_convolves(plan, s->instr, &j.v);
    const td_conv_way way = j.is_forward ? TD_CONV_FORWARD : TD_CONV_INPUT;
    td_dense images = {0}, weight = {0};
    void *filters = NULL;
    size_t bytes;
    int rc = td_conv_filters_bytes(&j.v, j.t, way, &bytes, err);
    if (rc == 0)
        rc = td_dense_take(&images, &run->tensor[op->in[0]], TD_ORDER_CHANNELS, err);
    if (rc == 0) rc = td_dense_take(&weight, &run->tensor[op->in[1]], TD_ORDER_ROWS, err);
    if (rc == 0 && (filters = td_scratch_take(bytes, err)) == NULL) rc = TD_E_MEMORY;
    if (rc == 0) {
        td_conv_filters(&j.v, j.t, way, weight.data, filters);
        j.x = images.data;
        j.filters = filters;
        rc = run_prepared(&j, plan, s, run, err);
    }
    td_scratch_give(filters);
    td_dense_give(&weight);
    td_dense_give(&images);
    return rc;
}
