/* Counting what a program takes. */
#include "vm/verify.h"

#include "runtime/mem.h"

td_program_limits td_program_limits_preset(void) {
    return (td_program_limits){.values = 1000000,
                               .instrs = 100000,
                               .const_bytes = (size_t)64 << 20,
                               .bytes = (size_t)64 << 30,
                               .work = 1e15};
}

static int too_much(const char *what, size_t got, size_t most, td_err *err) {
    return td_fail(err, TD_E_LIMIT, "program", "%s of %zu bytes, at most %zu go", what,
                   got, most);
}

static int too_many(const char *what, uint64_t most, td_err *err) {
    return td_fail(err, TD_E_LIMIT, "program", "more than %llu %s",
                   (unsigned long long)most, what);
}

int td_size_value(td_program_size *size, const td_program_limits *limits,
                  const td_value *value, td_err *err) {
    size_t bytes;
    int rc = td_shape_bytes(&value->meta.shape, value->meta.dtype, &bytes, err);
    if (rc) return rc;
    size->values++;
    if (limits && size->values > limits->values)
        return too_many("values", limits->values, err);
    bool is_const = value->kind == TD_VALUE_CONST;
    if (!td_add_size(size->bytes, bytes, &size->bytes))
        return td_fail(err, TD_E_LIMIT, "program", "values of more than 2^64 bytes");
    if (is_const) size->const_bytes += bytes;
    if (limits && size->const_bytes > limits->const_bytes)
        return too_much("constants", size->const_bytes, limits->const_bytes, err);
    if (limits && size->bytes > limits->bytes)
        return too_much("values", size->bytes, limits->bytes, err);
    return 0;
}

int td_size_instr(td_program_size *size, const td_program_limits *limits, const td_op *op,
                  const td_meta *in, uint32_t nin, const td_attrs *attrs,
                  const td_meta *out, td_err *err) {
    size->instrs++;
    if (limits && size->instrs > limits->instrs)
        return too_many("operations", limits->instrs, err);
    size->work += td_op_work(op, in, (int)nin, attrs, out);
    if (limits && size->work > limits->work)
        return td_fail(err, TD_E_LIMIT, "program",
                       "%.3g additions and multiplications, at most %.3g go", size->work,
                       limits->work);
    for (int k = 0; k < op->nout; k++) {
        td_value v = {.meta = out[k], .kind = TD_VALUE_RESULT};
        if (td_view_is_pure(op)) {
            size->values++;
            continue;
        }
        int rc = td_size_value(size, limits, &v, err);
        if (rc) return rc;
    }
    if (limits && size->values > limits->values)
        return too_many("values", limits->values, err);
    return 0;
}

int td_program_sized(const td_program *p, const td_program_limits *limits,
                     td_program_size *size, td_err *err) {
    *size = (td_program_size){0};
    int rc = 0;
    for (uint32_t v = 0; rc == 0 && v < p->input_count + p->const_count; v++)
        rc = td_size_value(size, limits, &p->value[v], err);
    for (uint32_t i = 0; rc == 0 && i < p->instr_count; i++) {
        const td_instr *in = &p->instr[i];
        td_meta meta[TD_OP_MAX_IN], out[TD_OP_MAX_OUT];
        for (uint32_t k = 0; k < in->nin; k++) meta[k] = p->value[in->in[k]].meta;
        for (int k = 0; k < in->op->nout; k++)
            out[k] = p->value[in->out + (uint32_t)k].meta;
        rc = td_size_instr(size, limits, in->op, meta, in->nin, in->attrs, out, err);
    }
    return rc;
}
