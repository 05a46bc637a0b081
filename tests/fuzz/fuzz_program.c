/* Fuzzes the reading of programs, and what is done with those that are taken: text, passes, a run operation by
 * operation. What was taken must have been in its one form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/apply.h"
#include "vm/inspect.h"
#include "vm/passes.h"
#include "vm/program_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Zeros for inputs; errors of value checks are fine. */
static void run(const td_program *p) {
    td_tensor **v = td_new_array((size_t)p->value_count + 1, sizeof *v);
    td_err err = {0};
    bool well = v != NULL;
    for (uint32_t i = 0; well && i < p->input_count + p->const_count; i++) {
        const td_value *value = &p->value[i];
        v[i] = value->data ? td_tensor_ref(value->data)
                           : td_tensor_new(value->meta.dtype, &value->meta.shape, &err);
        well = v[i] != NULL;
        if (well && !value->data)
            memset(td_tensor_data(v[i]), 0,
                   (size_t)td_tensor_numel(v[i]) * td_dtype_bytes(v[i]->dtype));
    }
    for (uint32_t i = 0; well && i < p->instr_count; i++) {
        const td_instr *in = &p->instr[i];
        td_tensor *operand[TD_OP_MAX_IN], *made[TD_OP_MAX_OUT] = {NULL};
        td_meta meta[TD_OP_MAX_OUT];
        td_attrs attrs = {0};
        if (in->attrs) attrs = *in->attrs;
        for (uint32_t k = 0; k < in->nin; k++) operand[k] = v[in->in[k]];
        for (int k = 0; k < in->op->nout; k++)
            meta[k] = p->value[in->out + (uint32_t)k].meta;
        well = td_op_run(in->op, operand, (int)in->nin, &attrs, meta, made, &err) == 0;
        for (int k = 0; well && k < in->op->nout; k++) v[in->out + (uint32_t)k] = made[k];
    }
    for (uint32_t i = 0; v && i < p->value_count; i++) td_tensor_unref(&v[i]);
    td_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_program_limits limits = td_program_limits_preset();
    limits.instrs = 60;
    limits.bytes = 1 << 20;
    limits.work = 1e7;
    td_err err = {0};
    td_program *p = td_program_decode(data, size, &limits, &err), *better = NULL;
    if (p == NULL) {
        if (err.code == 0 || err.msg[0] == 0) abort();
        return 0;
    }
    td_free(td_program_text(p));
    td_free(td_inspect_text(p, NULL));
    td_free(td_inspect_svg(p));
    run(p);
    if (td_passes_run(p, &better, &err) != 0) abort();
    if (better->instr_count > p->instr_count || better->draws != p->draws) abort();
    run(better);
    td_program_unref(&better);
    td_program_unref(&p);
    return 0;
}
