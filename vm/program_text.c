/* A program as text to read: values, then an operation a line. Dimensions and positions are counted from
 * 1, as scripts do. For TIDE_DUMP, inspect and failing tests; nothing reads it back. */
#include "runtime/mem.h"
#include "vm/program.h"
#include "vm/text.h"

static void put_element(td_text *t, const td_tensor *x, int64_t i) {
    const char *p =
        (const char *)td_tensor_data(x) + (size_t)i * td_dtype_bytes(x->dtype);
    if (td_dtype_is_float(x->dtype))
        td_text_put_float(t, x->dtype, td_load_f64(x->dtype, p));
    else
        td_text_put(t, "%lld", (long long)td_load_i64(x->dtype, p));
}

/* "0.1", "{1, 2, 3}", "{1, 2, 3, ... 784}". */
static void put_const(td_text *t, const td_tensor *x) {
    int64_t n = td_tensor_numel(x), shown = n <= 4 ? n : 3;
    if (x->shape.ndim == 0) {
        put_element(t, x, 0);
        return;
    }
    td_text_put(t, "{");
    for (int64_t i = 0; i < shown; i++) {
        if (i) td_text_put(t, ", ");
        put_element(t, x, i);
    }
    td_text_put(t, shown < n ? ", ... %lld numbers}" : "}", (long long)n);
}

static void put_operands(td_text *t, const td_program *p, const td_instr *in) {
    td_text_put(t, "%s(", in->op->name);
    for (uint32_t i = 0; i < in->nin; i++)
        td_text_put(t, i ? ", %%%u" : "%%%u", in->in[i]);
    /* seed and stream are the run's, unless they are fixed */
    int skip = p->fixed_seeds ? -1 : td_op_seed_attr(in->op);
    td_text_put_attrs(t, in->op, in->attrs, in->nin ? ", " : "", skip);
    td_text_put(t, ")");
}

#define TYPE_COLUMN 52 /* where dtypes and sizes begin, unless a line is longer */

static void put_types(td_text *t, const td_program *p, const td_instr *in) {
    char shape[TD_SHAPE_TEXT];
    for (int k = 0; k < in->op->nout; k++) {
        const td_meta *m = &p->value[in->out + (uint32_t)k].meta;
        td_text_put(t, "%s%-4s %s", k ? ", " : "", td_dtype_name(m->dtype),
                    td_shape_text(&m->shape, shape));
    }
}

/* Where the lines of the script stand: behind the widest dtypes and sizes, within reason. */
static size_t where_column(const td_program *p) {
    size_t widest = 14;
    td_text t = {0};
    for (uint32_t i = 0; i < p->instr_count; i++) {
        size_t before = t.size;
        put_types(&t, p, &p->instr[i]);
        if (t.size - before > widest && t.size - before <= 44) widest = t.size - before;
    }
    td_free(td_text_end(&t));
    return TYPE_COLUMN + widest + 2;
}

static void put_instr(td_text *t, const td_program *p, const td_instr *in,
                      size_t column) {
    size_t start = t->size;
    td_text_put(t, "  ");
    for (int k = 0; k < in->op->nout; k++)
        td_text_put(t, k ? ", %%%u" : "%%%u", in->out + (uint32_t)k);
    if (in->op->nout) td_text_put(t, " = ");
    put_operands(t, p, in);
    if (in->op->nout) td_text_pad(t, start, TYPE_COLUMN);
    put_types(t, p, in);
    if (in->where) {
        td_text_pad(t, start, column);
        td_text_put(t, "-- %s", in->where);
    }
    td_text_put(t, "\n");
}

static void put_value(td_text *t, const td_program *p, uint32_t v) {
    const td_value *value = &p->value[v];
    char shape[TD_SHAPE_TEXT];
    size_t start = t->size;
    td_text_put(t, "  %%%u", v);
    if (value->kind == TD_VALUE_CONST) {
        td_text_put(t, " = ");
        put_const(t, value->data);
    } else {
        td_text_put(t, value->assigned ? " = input, assigned" : " = input");
    }
    td_text_pad(t, start, TYPE_COLUMN);
    td_text_put(t, "%-4s %s\n", td_dtype_name(value->meta.dtype),
                td_shape_text(&value->meta.shape, shape));
}

static void put_count(td_text *t, const char *before, uint32_t n, const char *one) {
    td_text_put(t, "%s%u %s%s", before, n, one, n == 1 ? "" : "s");
}

char *td_program_text(const td_program *p) {
    td_text t = {0};
    put_count(&t, "program: ", p->input_count, "input");
    put_count(&t, ", ", p->const_count, "constant");
    put_count(&t, ", ", p->instr_count, "operation");
    put_count(&t, ", ", p->output_count, "output");
    if (p->draws) put_count(&t, ", ", p->draws, "random stream");
    td_text_put(&t, "\n");
    for (uint32_t v = 0; v < p->input_count + p->const_count; v++) put_value(&t, p, v);
    size_t column = where_column(p);
    for (uint32_t i = 0; i < p->instr_count; i++) put_instr(&t, p, &p->instr[i], column);
    td_text_put(&t, "  return");
    for (uint32_t k = 0; k < p->output_count; k++)
        td_text_put(&t, k ? ", %%%u" : " %%%u", p->output[k]);
    td_text_put(&t, "\n");
    return td_text_end(&t);
}
