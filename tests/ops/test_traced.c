/* Every op of the table, traced and run as a program, gives the bits that it gives when it is applied at
 * once: results, changed inputs, and gradients of leaves. Every second input is captured, the others are
 * arguments. Cases and values are those of the rows (rows_*.c). */
#include "tests/ops/call.h"
#include "vm/compiled.h"

static bool same_bits(const td_tensor *a, const td_tensor *b) {
    if (a->dtype != b->dtype || !td_shape_equal(&a->shape, &b->shape)) return false;
    int64_t index[TD_MAX_DIM], n = td_tensor_numel(a);
    size_t bytes = td_dtype_bytes(a->dtype);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i;
        for (int d = a->shape.ndim - 1; d >= 0; d--) {
            index[d] = rest % a->shape.dim[d];
            rest /= a->shape.dim[d];
        }
        const void *p = td_tensor_at(a, index), *q = td_tensor_at(b, index);
        bool nans = td_dtype_is_float(a->dtype) && isnan(td_load_f64(a->dtype, p)) &&
                    isnan(td_load_f64(a->dtype, q));
        if (!nans && memcmp(p, q, bytes) != 0) return false;
    }
    return true;
}

/* The sum of the squares of all float results that gradients flow into; NULL when there is none. */
static td_val *sum_of_squares(const call *k, const td_op *op, td_val **out) {
    td_val *y = NULL;
    td_err err = {0};
    for (int o = 0; o < op->nout; o++) {
        if ((k->row->aside & (1u << o)) || !td_dtype_is_float(out[o]->meta.dtype))
            continue;
        td_val *pair[2] = {out[o], out[o]}, *square = NULL, *sum = NULL;
        if (td_apply(td_op_find("mul"), pair, 2, NULL, &square, &err) ||
            td_apply(td_op_find("sum"), &square, 1, NULL, &sum, &err))
            SAY(k, "%s", err.msg);
        td_val_unref(&square);
        if (y) {
            td_val *both[2] = {y, sum}, *more = NULL;
            if (td_apply(td_op_find("add"), both, 2, NULL, &more, &err))
                SAY(k, "%s", err.msg);
            td_val_unref(&y);
            td_val_unref(&sum);
            y = more;
        } else {
            y = sum;
        }
    }
    return y;
}

/* The op, and backward when there is something to go back to. */
static void function(const call *k, const td_op *op, td_val **in, td_val **out) {
    td_err err = {0};
    if (apply(k, op, in, out, &err)) SAY(k, "%s", err.msg);
    bool wanted = false;
    for (int i = 0; i < k->nin; i++) wanted |= in[i]->requires_grad;
    td_val *y = wanted ? sum_of_squares(k, op, out) : NULL;
    if (y && y->requires_grad && td_backward(y, NULL, false, false, &err))
        SAY(k, "backward: %s", err.msg);
    td_val_unref(&y);
}

static void make_inputs(call *k, const td_op *op, td_val **in) {
    bool grads = (k->row->flags & OP_GRAD) && !(k->c->flags & OP_NO_GRAD) &&
                 !(op->flags & TD_OP_ASSIGN);
    for (int i = 0; i < k->nin; i++) {
        in[i] = input_of(k, i);
        td_dtype t = in[i]->meta.dtype;
        in[i]->requires_grad = grads && td_dtype_is_float(t) && !td_dtype_is_half(t);
    }
}

/* What stands for the inputs in the trace: stand-ins, or the values themselves. */
static td_compiled *compiled(const call *k, const td_op *op, td_val **in) {
    td_err err = {0};
    td_val *use[OP_INPUTS] = {NULL}, *out[TD_OP_MAX_OUT] = {NULL};
    td_trace *t = td_trace_new("f", &err);
    assert_non_null(t);
    td_trace_set_current(t);
    for (int i = 0; i < k->nin; i++) {
        use[i] = i % 2 ? td_val_ref(in[i]) : td_trace_argument(t, in[i], &err);
        assert_non_null(use[i]);
    }
    function(k, op, use, out);
    td_trace_set_current(NULL);
    td_traced *made = td_trace_finish(t, out, op->nout, false, &err);
    if (made == NULL) SAY(k, "finish: %s", err.msg);
    for (int i = 0; i < k->nin; i++) assert_true(in[i]->grad == NULL);
    for (int i = 0; i < OP_INPUTS; i++) td_val_unref(&use[i]);
    for (int o = 0; o < TD_OP_MAX_OUT; o++) td_val_unref(&out[o]);
    td_trace_free(&t);
    td_compiled *c = td_compiled_new(&made, &err);
    if (c == NULL) SAY(k, "compile: %s", err.msg);
    return c;
}

static void compare_bits(const call *k, const td_val *got, const td_val *want,
                         const char *role, int number) {
    if ((got == NULL) != (want == NULL))
        SAY(k, "%s %d %s", role, number, got ? "should not be" : "is missing");
    if (got && !same_bits(got->t, want->t)) SAY(k, "%s %d differs", role, number);
}

static void check_case(const op_row *row, const td_op *op, const op_case *c, td_dtype t,
                       layout how) {
    call k;
    td_err err = {0};
    td_val *in[OP_INPUTS] = {NULL}, *twin[OP_INPUTS] = {NULL}, *args[OP_INPUTS] = {NULL},
           *want[TD_OP_MAX_OUT] = {NULL}, *got[TD_OP_MAX_OUT] = {NULL};
    call_start(&k, row, c, t, how, false);
    make_inputs(&k, op, in);
    make_inputs(&k, op, twin);
    function(&k, op, twin, want);
    td_compiled *program = compiled(&k, op, in);
    for (int i = 0; i < k.nin; i += 2) args[i / 2] = in[i];
    if (!td_compiled_fits(program, args)) SAY(&k, "does not fit its own inputs");
    if (td_compiled_bind(program, args, NULL, &err) != TD_COMPILED_READY)
        SAY(&k, "bind: %s", err.msg);
    if (td_compiled_run(program, args, 1, 1, got, &err)) SAY(&k, "run: %s", err.msg);
    for (int o = 0; o < op->nout; o++) compare_bits(&k, got[o], want[o], "result", o + 1);
    for (int i = 0; i < k.nin; i++) {
        compare_bits(&k, in[i], twin[i], "input", i + 1);
        compare_bits(&k, in[i]->grad, twin[i]->grad, "gradient", i + 1);
    }
    td_compiled_free(&program);
    for (int o = 0; o < TD_OP_MAX_OUT; o++) {
        td_val_unref(&got[o]);
        td_val_unref(&want[o]);
    }
    for (int i = 0; i < k.nin; i++) {
        td_val_unref(&in[i]);
        td_val_unref(&twin[i]);
    }
    call_end(&k);
}

static void test_row(void **state) {
    const op_row *row = *state;
    const td_op *op = td_op_find(row->op);
    for (int i = 0; i < row->count; i++) {
        const op_case *c = &row->cases[i];
        if (c->error) continue;
        for (int how = 0; how < (c->flags & OP_NO_LAYOUTS ? 1 : LAYOUTS); how++) {
            /* assigning to elements that share memory is an error */
            if (how == LAYOUT_EXPANDED && (op->flags & TD_OP_ASSIGN)) continue;
            if (!takes_any_dtype(c)) {
                check_case(row, op, c, c->in[0].dtype, (layout)how);
                continue;
            }
            for (td_dtype t = TD_F64; t < TD_DTYPE_COUNT; t++) {
                bool wanted = row->dtypes & OP_BIT(t);
                if (c->flags & OP_ONLY_FLOATS) wanted &= td_dtype_is_float(t);
                if (wanted) check_case(row, op, c, t, (layout)how);
            }
        }
    }
}

int main(int argc, char **argv) {
    static struct CMUnitTest tests[600];
    size_t n = 0;
    for (const op_row *const *r = __start_td_op_rows; r < __stop_td_op_rows; r++) {
        if (*r == NULL || td_op_find((*r)->op) == NULL) continue;
        if (argc > 1 && strcmp(argv[1], (*r)->op) != 0) continue;
        assert_true(n < sizeof tests / sizeof tests[0]);
        tests[n++] =
            (struct CMUnitTest){(*r)->op, test_row, NULL, NULL, (void *)(uintptr_t)*r};
    }
    return _cmocka_run_group_tests("traced", tests, n, NULL, NULL);
}
