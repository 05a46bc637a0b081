/* Every op of the table against its row (rows_*.c): values against a slow reference for each dtype and
 * layout of the inputs, gradients and second derivatives against central differences, refused dtypes,
 * the texts of errors. An op without a row fails. */
#include "tests/ops/call.h"

/* ---- values ---- */

static td_dtype wanted_dtype(const call *k, const td_op *op, int out) {
    bool is_float = td_dtype_is_float(k->dtype);
    switch (k->row->out[out]) {
    case OP_FLOAT: return is_float ? k->dtype : TD_F32;
    case OP_SUM: return is_float ? k->dtype : TD_I64;
    case OP_IS_BOOL: return TD_BOOL;
    case OP_IS_I64: return TD_I64;
    case OP_IS_I32: return TD_I32;
    case OP_IS_ATTR0:
        for (int a = 0; a < TD_OP_MAX_ATTRS; a++)
            if (op->attr[a].kind == TD_ATTR_DTYPE)
                return k->c->attrs.v[a].kind ? (td_dtype)k->c->attrs.v[a].i
                                             : (td_dtype)op->attr[a].preset;
        return TD_NONE;
    default: return k->dtype;
    }
}

static double tolerance(const op_row *row, td_dtype t) {
    if (t == TD_F32) return row->tol32 != 0 ? row->tol32 : 2e-6;
    if (t == TD_F64) return row->tol64 != 0 ? row->tol64 : 1e-12;
    if (t == TD_F16) return 1e-3;
    if (t == TD_BF16) return 8e-3;
    return 0;
}

static bool close_to(double got, double want, double tol) {
    if (isnan(want)) return isnan(got);
    if (isinf(want)) return got == want;
    return fabs(got - want) <= tol * fmax(1, fabs(want));
}

/* What an integer or bool result holds of a wanted value: integers wrap. */
static double held(td_dtype t, double v) {
    if (t == TD_BOOL) return v != 0;
    if (t == TD_U8) return v - 256 * floor(v / 256);
    return v;
}

static void compare(const call *k, const td_op *op, int out, const td_tensor *got,
                    const rt *want) {
    td_dtype t = wanted_dtype(k, op, out);
    if (got->dtype != t)
        SAY(k, "result %d is %s, wanted %s", out + 1, td_dtype_name(got->dtype),
            td_dtype_name(t));
    td_shape s = {.ndim = want->ndim};
    for (int d = 0; d < want->ndim; d++) s.dim[d] = want->dim[d];
    char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
    if (!td_shape_equal(&s, &got->shape))
        SAY(k, "result %d is %s, wanted %s", out + 1, td_shape_text(&got->shape, a),
            td_shape_text(&s, b));
    rt have;
    rt_of(&have, got);
    for (int64_t i = 0; i < rt_numel(want); i++)
        if (!close_to(have.v[i], held(t, want->v[i]), tolerance(k->row, t)))
            SAY(k, "result %d, element %lld is %.17g, wanted %.17g", out + 1,
                (long long)i, have.v[i], want->v[i]);
    rt_free(&have);
}

static void check_values(const op_row *row, const td_op *op, const op_case *c, td_dtype t,
                         layout how, bool mixed) {
    call k;
    call_start(&k, row, c, t, how, mixed);
    td_val *in[OP_INPUTS] = {NULL}, *out[TD_OP_MAX_OUT] = {NULL};
    for (int i = 0; i < k.nin; i++) in[i] = input_of(&k, i);
    td_err err = {0};
    int rc = apply(&k, op, in, out, &err);
    char text[500];
    td_err_text(&err, text, sizeof text);
    if (c->error) {
        if (rc == 0) SAY(&k, "no error, wanted '%s'", c->error);
        if (strcmp(text, c->error) != 0) SAY(&k, "'%s', wanted '%s'", text, c->error);
    } else if (rc) {
        SAY(&k, "'%s'", text);
    } else if (row->ref) {
        rt want[TD_OP_MAX_OUT] = {{0}};
        row->ref(k.in, k.nin, &c->attrs, want);
        for (int o = 0; o < results(op); o++) {
            compare(&k, op, o, out[o]->t, &want[o]);
            rt_free(&want[o]);
        }
    } else if (out[0]->t->dtype != wanted_dtype(&k, op, 0)) {
        SAY(&k, "is %s", td_dtype_name(out[0]->t->dtype));
    }
    for (int o = 0; o < TD_OP_MAX_OUT; o++) td_val_unref(&out[o]);
    for (int i = 0; i < k.nin; i++) td_val_unref(&in[i]);
    call_end(&k);
}

static void test_values(void **state) {
    const op_row *row = *state;
    const td_op *op = td_op_find(row->op);
    for (int i = 0; i < row->count; i++) {
        const op_case *c = &row->cases[i];
        if (!takes_any_dtype(c)) {
            for (int how = 0; how < (c->flags & OP_NO_LAYOUTS ? 1 : LAYOUTS); how++)
                check_values(row, op, c, c->in[0].dtype, (layout)how, false);
            continue;
        }
        for (td_dtype t = TD_F64; t < TD_DTYPE_COUNT; t++) {
            if (!(row->dtypes & OP_BIT(t))) continue;
            if ((c->flags & OP_ONLY_FLOATS) && !td_dtype_is_float(t)) continue;
            for (int how = 0; how < (c->flags & OP_NO_LAYOUTS ? 1 : LAYOUTS); how++) {
                check_values(row, op, c, t, (layout)how, false);
                if (!(c->flags & OP_NO_LAYOUTS))
                    check_values(row, op, c, t, (layout)how, true);
            }
        }
    }
}

/* ---- dtypes that are not in the row ---- */

static void test_refusals(void **state) {
    const op_row *row = *state;
    const td_op *op = td_op_find(row->op);
    for (int i = 0; i < row->count; i++) {
        const op_case *c = &row->cases[i];
        if (!takes_any_dtype(c) || c->error) continue;
        for (td_dtype t = TD_F64; t < TD_DTYPE_COUNT; t++) {
            if (row->dtypes & OP_BIT(t)) continue;
            call k;
            call_start(&k, row, c, t, LAYOUT_FLAT, false);
            td_val *in[OP_INPUTS] = {NULL}, *out[TD_OP_MAX_OUT] = {NULL};
            for (int n = 0; n < k.nin; n++) in[n] = input_of(&k, n);
            td_err err = {0};
            if (apply(&k, op, in, out, &err) == 0) SAY(&k, "not refused");
            if (err.code != TD_E_DTYPE) SAY(&k, "refused with '%s'", err.msg);
            if (strcmp(err.call, row->op) != 0) SAY(&k, "the error names '%s'", err.call);
            if (td_dtype_is_half(t) && (op->flags & (TD_OP_PROMOTE | TD_OP_FLOAT))) {
                char want[100];
                snprintf(want, sizeof want,
                         "%s is for storage and the wire, not for arithmetic",
                         td_dtype_name(t));
                assert_string_equal(err.msg, want);
                assert_string_equal(err.hint, "convert it first: x:to(\"f32\")");
            }
            for (int n = 0; n < k.nin; n++) td_val_unref(&in[n]);
            call_end(&k);
        }
    }
}

/* ---- gradients ---- */

static td_val *must(td_val *v, const td_err *err) {
    if (v == NULL) fail_msg("%s: %s", err->call, err->msg);
    return v;
}

static td_val *op2(const char *name, td_val *a, td_val *b) {
    td_err err = {0};
    td_val *in[2] = {a, b}, *out = NULL;
    td_apply(td_op_find(name), in, 2, NULL, &out, &err);
    return must(out, &err);
}

/* Takes over both references. */
static td_val *plus(td_val *a, td_val *b) {
    if (a == NULL) return b;
    td_val *sum = op2("add", a, b);
    td_val_unref(&a);
    td_val_unref(&b);
    return sum;
}

/* sum of w * v, with weights that depend on `salt` alone. */
static td_val *weighed(td_val *v, int salt) {
    td_err err = {0};
    rt w;
    rt_new(&w, v->meta.shape.ndim, v->meta.shape.dim);
    for (int64_t i = 0; i < rt_numel(&w); i++) w.v[i] = 0.5 + spread(i, salt);
    td_val *weight = must(td_val_new(tensor_of(&w, TD_F64, LAYOUT_FLAT), &err), &err);
    rt_free(&w);
    td_val *product = op2("mul", v, weight), *sum = NULL;
    td_apply(td_op_find("sum"), &product, 1, NULL, &sum, &err);
    td_val_unref(&product);
    td_val_unref(&weight);
    return must(sum, &err);
}

static double number(td_val *v) {
    return v ? td_load_f64(v->t->dtype, td_tensor_data(v->t)) : 0;
}

/* A function of the inputs: the weighed sum of all float results (order 1), or of their gradients with
 * respect to the inputs (order 2). Gives its value as something on the tape; NULL: it is constant. */
static td_val *functional(call *k, const td_op *op, td_val **in, int order) {
    td_err err = {0};
    td_val *out[TD_OP_MAX_OUT] = {NULL}, *y = NULL, *grads[OP_INPUTS] = {NULL},
           *xs[OP_INPUTS];
    if (apply(k, op, in, out, &err) != 0) SAY(k, "%s", err.msg);
    for (int o = 0; o < op->nout; o++) {
        bool counts = !(k->row->aside & (1u << o));
        if (counts && td_dtype_is_float(out[o]->meta.dtype))
            y = plus(y, weighed(out[o], 10 + o));
        td_val_unref(&out[o]);
    }
    if (order == 1) return y;
    int count = 0;
    for (int i = 0; i < k->nin; i++)
        if (in[i]->requires_grad) xs[count++] = in[i];
    if (td_grad_of(y, NULL, xs, count, true, true, grads, &err) != 0)
        SAY(k, "%s", err.msg);
    td_val_unref(&y);
    for (int i = 0; i < count; i++) {
        if (grads[i]) y = plus(y, weighed(grads[i], 20 + i));
        td_val_unref(&grads[i]);
    }
    return y;
}

/* The functional's value, with element i of input n moved by h. */
static double moved(call *k, const td_op *op, int n, int64_t i, double h, int order) {
    td_val *in[OP_INPUTS] = {NULL};
    double old = k->in[n].v[i];
    k->in[n].v[i] = old + h;
    for (int m = 0; m < k->nin; m++) {
        td_err err = {0};
        in[m] = input_of(k, m);
        if (order == 2 && td_dtype_is_float(in[m]->meta.dtype))
            td_val_require_grad(in[m], true, &err);
    }
    k->in[n].v[i] = old;
    td_val *y = functional(k, op, in, order);
    double v = number(y);
    td_val_unref(&y);
    for (int m = 0; m < k->nin; m++) td_val_unref(&in[m]);
    return v;
}

static void compare_gradient(call *k, const td_op *op, int n, td_val *grad, int order) {
    const double h = 1e-3;
    rt got;
    if (grad) {
        td_shape own = {.ndim = k->in[n].ndim};
        for (int d = 0; d < own.ndim; d++) own.dim[d] = k->in[n].dim[d];
        char text[TD_SHAPE_TEXT];
        if (!td_shape_equal(&grad->meta.shape, &own))
            SAY(k, "the gradient of input %d is %s", n + 1,
                td_shape_text(&grad->meta.shape, text));
        rt_of(&got, grad->t);
    } else {
        rt_like(&got, &k->in[n]);
    }
    for (int64_t i = 0; i < rt_numel(&k->in[n]); i++) {
        /* Richardson's extrapolation of central differences: the error is of order h^4. */
        double one = moved(k, op, n, i, h, order) - moved(k, op, n, i, -h, order);
        double two = moved(k, op, n, i, 2 * h, order) - moved(k, op, n, i, -2 * h, order);
        double want = (8 * one - two) / (12 * h);
        if (!close_to(got.v[i], want, 2e-8))
            SAY(k,
                "order %d gradient of input %d, element %lld is %.12g, differences say "
                "%.12g",
                order, n + 1, (long long)i, got.v[i], want);
    }
    rt_free(&got);
}

static void check_gradient(const op_row *row, const td_op *op, const op_case *c,
                           layout how, int order) {
    call k;
    call_start(&k, row, c, TD_F64, how, false);
    td_val *in[OP_INPUTS] = {NULL}, *xs[OP_INPUTS], *grads[OP_INPUTS] = {NULL};
    int count = 0, which[OP_INPUTS];
    td_err err = {0};
    for (int i = 0; i < k.nin; i++) {
        in[i] = input_of(&k, i);
        if (!td_dtype_is_float(in[i]->meta.dtype)) continue;
        assert_int_equal(td_val_require_grad(in[i], true, &err), 0);
        which[count] = i;
        xs[count++] = in[i];
    }
    td_val *y = functional(&k, op, in, order);
    if (order == 1 && !y->requires_grad) SAY(&k, "the result is not on the tape");
    if (y && y->requires_grad &&
        td_grad_of(y, NULL, xs, count, false, false, grads, &err) != 0)
        SAY(&k, "%s", err.msg);
    for (int i = 0; i < count; i++) {
        compare_gradient(&k, op, which[i], grads[i], order);
        td_val_unref(&grads[i]);
    }
    td_val_unref(&y);
    for (int i = 0; i < k.nin; i++) td_val_unref(&in[i]);
    call_end(&k);
}

/* The gradient of the order behind the last one that there is must say that there is none. */
static void check_no_further(const op_row *row, const td_op *op, const op_case *c) {
    call k;
    call_start(&k, row, c, TD_F64, LAYOUT_FLAT, false);
    td_val *in[OP_INPUTS] = {NULL}, *grad = NULL;
    td_err err = {0};
    for (int i = 0; i < k.nin; i++) in[i] = input_of(&k, i);
    assert_int_equal(td_val_require_grad(in[0], true, &err), 0);
    td_val *y = functional(&k, op, in, row->flags & OP_GRAD ? 2 : 1);
    int rc = td_grad_of(y, NULL, in, 1, false, false, &grad, &err);
    if (rc != TD_E_UNSUPPORTED) SAY(&k, "not refused: '%s'", err.msg);
    if (err.hint[0] == 0) SAY(&k, "refused without a hint");
    td_val_unref(&y);
    for (int i = 0; i < k.nin; i++) td_val_unref(&in[i]);
    call_end(&k);
}

static void test_gradients(void **state) {
    const op_row *row = *state;
    const td_op *op = td_op_find(row->op);
    if (row->flags & OP_ONE_ORDER) check_no_further(row, op, &row->cases[0]);
    if ((row->flags & OP_ONE_ORDER) && !(row->flags & OP_GRAD)) return;
    if (!(row->flags & OP_GRAD)) {
        if (op->grad) fail_msg("%s has a gradient that its row does not try", row->op);
        return;
    }
    for (int i = 0; i < row->count; i++) {
        const op_case *c = &row->cases[i];
        if (c->error || (c->flags & OP_NO_GRAD)) continue;
        check_gradient(row, op, c, LAYOUT_FLAT, 1);
        check_gradient(row, op, c, LAYOUT_TRANSPOSED, 1);
        if ((row->flags & OP_GRAD2) == OP_GRAD2)
            check_gradient(row, op, c, LAYOUT_FLAT, 2);
    }
}

/* ---- the table itself ---- */

static void test_every_op_has_a_row(void **state) {
    (void)state;
    int missing = 0;
    for (int i = 0; i < td_op_count(); i++) {
        if (row_of(td_op_at(i)->name)) continue;
        print_error("no row in tests/ops/rows_*.c for %s\n", td_op_at(i)->name);
        missing++;
    }
    assert_int_equal(missing, 0);
}

static void test_every_row_has_an_op(void **state) {
    (void)state;
    for (const op_row *const *r = __start_td_op_rows; r < __stop_td_op_rows; r++) {
        if (*r == NULL) continue;
        if (td_op_find((*r)->op) == NULL) fail_msg("there is no op %s", (*r)->op);
        if ((*r)->count == 0) fail_msg("no cases of %s", (*r)->op);
        if (!(*r)->ref && !(*r)->elsewhere)
            fail_msg("%s has neither ref nor elsewhere", (*r)->op);
    }
}

static void test_documents(void **state) {
    (void)state;
    for (int i = 0; i < td_op_count(); i++) {
        const td_op *op = td_op_at(i);
        if (!(op->flags & (TD_OP_METHOD | TD_OP_FUNCTION))) continue;
        if (op->doc == NULL || strstr(op->doc, "-->") == NULL)
            fail_msg("%s has no example in its doc", op->name);
        for (int a = 0; a < td_op_attr_count(op); a++)
            if (strstr(op->doc, op->attr[a].name) == NULL)
                fail_msg("the doc of %s says nothing of %s", op->name, op->attr[a].name);
    }
}

/* No more inputs or attributes than there are, none of a wrong kind. */
static void test_arguments(void **state) {
    (void)state;
    td_err err = {0};
    td_val *x = td_val_number(1, &err), *in[2] = {x, x}, *out[TD_OP_MAX_OUT];
    assert_int_equal(td_apply(td_op_find("add"), in, 1, NULL, out, &err), TD_E_ARGUMENT);
    assert_string_equal(err.msg, "takes 2 tensors, got 1");
    err = (td_err){0};
    assert_int_equal(td_apply(td_op_find("cat"), in, 0, NULL, out, &err), TD_E_ARGUMENT);
    assert_string_equal(err.msg, "takes 1 to 256 tensors, got 0");
    td_attrs odd = {0};
    td_attr_set_f(&odd, 0, 1);
    err = (td_err){0};
    assert_int_equal(td_apply(td_op_find("sum"), in, 1, &odd, out, &err), TD_E_ARGUMENT);
    assert_string_equal(err.call, "sum");
    assert_string_equal(err.msg, "attribute 1 is of a wrong kind");
    td_val_unref(&x);
}

int main(int argc, char **argv) {
    static struct CMUnitTest tests[1600];
    static char names[1600][60];
    size_t n = 0;
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_every_op_has_a_row);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_every_row_has_an_op);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_documents);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_arguments);
    static const struct {
        const char *what;
        CMUnitTestFunction run;
    } kinds[] = {{"values", test_values},
                 {"refusals", test_refusals},
                 {"gradients", test_gradients}};
    for (const op_row *const *r = __start_td_op_rows; r < __stop_td_op_rows; r++) {
        if (*r == NULL || td_op_find((*r)->op) == NULL) continue;
        if (argc > 1 && strcmp(argv[1], (*r)->op) != 0) continue;
        for (int i = 0; i < 3; i++, n++) {
            snprintf(names[n], sizeof names[n], "%s: %s", (*r)->op, kinds[i].what);
            tests[n] = (struct CMUnitTest){names[n], kinds[i].run, NULL, NULL,
                                           (void *)(uintptr_t)*r};
        }
    }
    return _cmocka_run_group_tests("ops", tests, n, NULL, NULL);
}
