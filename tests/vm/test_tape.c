/* The tape: gradients through views and shared values, kept and created graphs, gradients of chosen
 * tensors, in-place changes that are noticed, tapes too long for the stack. Values are compared with
 * closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/mem.h"
#include "vm/grad.h"

static td_err err;

static void ok(int rc) {
    if (rc) fail_msg("%s: %s", err.call, err.msg);
}

static td_val *vec(int n, const double *v) {
    td_shape s = {.ndim = 1, .dim = {n}};
    td_tensor *t = td_tensor_new(TD_F64, &s, &err);
    for (int i = 0; i < n; i++) ((double *)td_tensor_data(t))[i] = v[i];
    return td_val_new(t, &err);
}
#define VEC(...)                                                                         \
    vec((int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

static td_val *leaf(td_val *v) {
    ok(td_val_require_grad(v, true, &err));
    return v;
}

static td_val *apply(const char *name, td_val **in, int nin, const td_attrs *a) {
    td_val *out[TD_OP_MAX_OUT] = {NULL};
    err = (td_err){0};
    ok(td_apply(td_op_find(name), in, nin, a, out, &err));
    for (int k = 1; k < TD_OP_MAX_OUT; k++) td_val_unref(&out[k]);
    return out[0];
}

static td_val *f1(const char *name, td_val *a) { return apply(name, &a, 1, NULL); }
static td_val *f2(const char *name, td_val *a, td_val *b) {
    return apply(name, (td_val *[]){a, b}, 2, NULL);
}
/* The same, and the first input is let go. */
static td_val *then1(const char *name, td_val *a) {
    td_val *y = f1(name, a);
    td_val_unref(&a);
    return y;
}
static td_val *then2(const char *name, td_val *a, td_val *b) {
    td_val *y = f2(name, a, b);
    td_val_unref(&a);
    return y;
}

static double at(const td_val *v, int64_t i) {
    assert_non_null(v);
    int64_t index[TD_MAX_DIM] = {0};
    for (int d = v->meta.shape.ndim - 1; d >= 0; d--) {
        index[d] = i % v->meta.shape.dim[d];
        i /= v->meta.shape.dim[d];
    }
    return td_load_f64(v->t->dtype, td_tensor_at(v->t, index));
}

#define assert_near(got, want)                                                           \
    assert_true((got) - (want) < 1e-12 && (want) - (got) < 1e-12)

static void drop(td_val *v) { td_val_unref(&v); }

/* ---- first derivatives ---- */

static void test_product_and_sharing(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2, 3));
    td_val *square = f2("mul", x, x),
           *y = f2("mul", square, x); /* x^3: x is used three times */
    td_val *loss = f1("sum", y);
    ok(td_backward(loss, NULL, false, false, &err));
    for (int i = 0; i < 3; i++) assert_near(at(x->grad, i), 3.0 * (i + 1) * (i + 1));
    drop(loss), drop(y), drop(square), drop(x);
}

static void test_gradients_accumulate(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2));
    for (int k = 1; k <= 3; k++) {
        td_val *y = then1("sum", f1("square", x));
        ok(td_backward(y, NULL, false, false, &err));
        assert_near(at(x->grad, 1), 4.0 * k);
        drop(y);
    }
    drop(x);
}

static void test_views(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2, 3, 4, 5, 6));
    td_attrs sizes = {0}, swap = {0}, first = {0};
    td_attr_set_list(&sizes, 0, TD_ATTR_SIZES, (int64_t[]){2, 3}, 2);
    td_attr_set_i(&swap, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&swap, 1, TD_ATTR_DIM, 1);
    td_attr_set_i(&first, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&first, 1, TD_ATTR_POS, -1);
    td_val *m = apply("reshape", &x, 1, &sizes), *t = apply("transpose", &m, 1, &swap);
    td_val *last =
        apply("select", &t, 1, &first); /* the last row of 3x2: elements 3 and 6 of x */
    assert_ptr_equal(last->t->storage, x->t->storage);
    td_val *y = then1("sum", f1("square", last));
    ok(td_backward(y, NULL, false, false, &err));
    for (int i = 0; i < 6; i++)
        assert_near(at(x->grad, i), i % 3 == 2 ? 2.0 * (i + 1) : 0.0);
    drop(y), drop(last), drop(t), drop(m), drop(x);
}

static void test_broadcast_is_summed(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2, 3)),
           *b = leaf(td_val_new(td_tensor_from_f64(TD_F64, 2, &err), &err));
    td_val *y = then1("sum", f2("mul", x, b));
    ok(td_backward(y, NULL, false, false, &err));
    assert_int_equal(b->grad->meta.shape.ndim, 0);
    assert_near(at(b->grad, 0), 6.0);
    drop(y), drop(x), drop(b);
}

static void test_dtypes_come_back(void **state) {
    (void)state;
    td_val *x = leaf(td_val_new(td_tensor_from_f64(TD_F32, 3, &err), &err));
    td_val *w = leaf(VEC(1, 2)), *y = then1("sum", f2("mul", w, x));
    assert_int_equal(y->meta.dtype, TD_F64);
    ok(td_backward(y, NULL, false, false, &err));
    assert_int_equal(x->grad->meta.dtype, TD_F32);
    assert_near(at(x->grad, 0), 3.0);
    drop(y), drop(w), drop(x);
}

static void test_second_output_alone(void **state) {
    (void)state;
    td_val *x = leaf(VEC(4, 9, 2));
    td_attrs a = {0};
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    td_val *out[2];
    ok(td_apply(td_op_find("max_dim"), &x, 1, &a, out, &err));
    assert_true(out[0]->requires_grad);
    assert_false(out[1]->requires_grad);
    ok(td_backward(out[0], NULL, false, false, &err));
    assert_near(at(x->grad, 1), 1.0);
    assert_near(at(x->grad, 0) + at(x->grad, 2), 0.0);
    drop(out[0]), drop(out[1]), drop(x);
}

/* Each leaf's gradient is its own memory, each element once: scripts change them in place. */
static void test_gradients_share_nothing(void **state) {
    (void)state;
    td_val *a = leaf(VEC(1, 2)), *b = leaf(VEC(3, 4)), *seed = VEC(5, 6);
    td_val *y = f2("add", a, b);
    ok(td_backward(y, seed, false, false, &err));
    assert_ptr_not_equal(a->grad->t->storage, b->grad->t->storage);
    assert_ptr_not_equal(a->grad->t->storage, seed->t->storage);
    assert_ptr_not_equal(b->grad->t->storage, seed->t->storage);
    td_val *c = leaf(VEC(1, 2, 3)),
           *s = f1("sum", c); /* its gradient is one number, expanded */
    ok(td_backward(s, NULL, false, false, &err));
    td_val *zero = td_val_number(0, &err);
    ok(td_apply(td_op_find("assign"), (td_val *[]){c->grad, zero}, 2, NULL, NULL, &err));
    assert_near(at(c->grad, 2), 0.0);
    drop(zero), drop(s), drop(c), drop(y), drop(seed), drop(a), drop(b);
}

static void test_seeds(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2)), *y = f1("square", x), *seed = VEC(10, 100),
           *wrong = VEC(1, 2, 3);
    assert_int_equal(td_backward(y, NULL, true, false, &err), TD_E_SHAPE);
    assert_string_equal(err.msg, "wants a tensor of one element, got 2");
    assert_int_equal(td_backward(y, wrong, true, false, &err), TD_E_SHAPE);
    assert_string_equal(err.msg, "a gradient of 3 for a tensor of 2");
    ok(td_backward(y, seed, false, false, &err));
    assert_near(at(x->grad, 0), 20.0);
    assert_near(at(x->grad, 1), 400.0);
    drop(wrong), drop(seed), drop(y), drop(x);
}

static void test_a_leaf_is_its_own_result(void **state) {
    (void)state;
    td_val *x = leaf(td_val_new(td_tensor_from_f64(TD_F32, 3, &err), &err));
    td_val *wide = td_val_new(td_tensor_from_f64(TD_F64, 7, &err), &err);
    ok(td_backward(x, NULL, false, false, &err));
    assert_near(at(x->grad, 0), 1.0);
    ok(td_backward(x, wide, false, false,
                   &err)); /* a seed takes the dtype of what it seeds */
    assert_near(at(x->grad, 0), 8.0);
    assert_int_equal(x->grad->meta.dtype, TD_F32);
    drop(wide), drop(x);
}

/* ---- which nodes are walked ---- */

static void test_grad_of(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2)), *z = leaf(VEC(7)), *mid = f1("square", x);
    td_val *y = then1("sum", f1("square", mid)), *grads[4];
    td_val *xs[4] = {x, mid, z, x};
    ok(td_grad_of(y, NULL, xs, 4, false, false, grads, &err));
    assert_near(at(grads[0], 1), 4.0 * 8); /* 4 x^3 */
    assert_near(at(grads[1], 1), 2.0 * 4);
    assert_null(grads[2]); /* y does not depend on z */
    assert_near(at(grads[3], 1), 32.0);
    assert_null(x->grad); /* nothing is accumulated */
    for (int i = 0; i < 4; i++) td_val_unref(&grads[i]);
    td_val *plain = VEC(1, 2);
    assert_int_equal(td_grad_of(y, NULL, &plain, 1, false, false, grads, &err),
                     TD_E_STATE);
    assert_string_equal(err.msg, "tensor 1 does not require a gradient");
    drop(plain), drop(y), drop(mid), drop(z), drop(x);
}

static void test_walked_twice(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2)), *y = then1("sum", f1("square", x));
    ok(td_backward(y, NULL, true, false, &err));
    ok(td_backward(y, NULL, false, false, &err));
    assert_near(at(x->grad, 1), 8.0);
    assert_int_equal(td_backward(y, NULL, false, false, &err), TD_E_STATE);
    assert_string_equal(err.call, "backward");
    assert_string_equal(err.msg,
                        "the graph has been walked already and its values are freed");
    assert_string_equal(err.hint,
                        "keep them the first time: loss:backward{retain_graph = true}");
    drop(y), drop(x);
}

/* A sum keeps nothing, so there is nothing that could be missing. */
static void test_what_keeps_nothing_is_walked_again(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2)), *y = f1("sum", x);
    ok(td_backward(y, NULL, false, false, &err));
    ok(td_backward(y, NULL, false, false, &err));
    assert_near(at(x->grad, 0), 2.0);
    drop(y), drop(x);
}

static void test_no_tape(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2));
    bool old = td_tape_set_off(true);
    td_val *y = f1("sum", x);
    td_tape_set_off(old);
    assert_false(y->requires_grad);
    assert_int_equal(td_backward(y, NULL, false, false, &err), TD_E_STATE);
    assert_string_equal(err.msg,
                        "nothing that this tensor came from requires a gradient");
    td_val *d = td_val_detach(x, &err);
    assert_false(d->requires_grad);
    assert_ptr_equal(d->t->storage, x->t->storage);
    td_val *whole = td_val_new(td_tensor_from_i64(TD_I64, 3, &err), &err);
    assert_int_equal(td_val_require_grad(whole, true, &err), TD_E_DTYPE);
    assert_string_equal(err.msg, "wants a float dtype, got i64");
    drop(whole), drop(d), drop(y), drop(x);
}

/* The tape is off inside backward and on again after it, also after an error. */
static void test_tape_switch_after_error(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2)), *y = f1("square", x);
    assert_int_equal(td_backward(y, NULL, false, false, &err), TD_E_SHAPE);
    assert_false(td_tape_is_off());
    drop(y), drop(x);
}

/* ---- in place ---- */

static void assign(td_val *dst, double v) {
    td_val *n = td_val_number(v, &err);
    bool old = td_tape_set_off(true);
    ok(td_apply(td_op_find("assign"), (td_val *[]){dst, n}, 2, NULL, NULL, &err));
    td_tape_set_off(old);
    drop(n);
}

static void test_changed_in_place(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2)), *y = then1("sum", f1("square", x));
    assign(x, 5);
    assert_int_equal(td_backward(y, NULL, false, false, &err), TD_E_STATE);
    assert_string_equal(err.msg,
                        "a tensor that the gradient of square needs was changed in place "
                        "after it was used");
    drop(y);
    td_val *e = f1("exp", x), *z = f1("sum", e); /* exp keeps its result */
    td_val *other = td_val_detach(e, &err);
    assign(other, 0); /* through another handle of the same memory */
    assert_int_equal(td_backward(z, NULL, false, false, &err), TD_E_STATE);
    drop(other), drop(z), drop(e);
    td_val *s = f1("sum", x); /* sum does not need x: changing it does no harm */
    assign(x, 1);
    ok(td_backward(s, NULL, false, false, &err));
    drop(s), drop(x);
}

static void test_assignments_on_the_tape_are_refused(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1, 2)), *y = VEC(3, 4);
    assert_int_equal(
        td_apply(td_op_find("assign"), (td_val *[]){x, y}, 2, NULL, NULL, &err),
        TD_E_STATE);
    assert_string_equal(err.msg,
                        "the tensor requires a gradient and cannot be changed in place");
    assert_int_equal(
        td_apply(td_op_find("assign"), (td_val *[]){y, x}, 2, NULL, NULL, &err),
        TD_E_STATE);
    assert_string_equal(
        err.msg, "the new value requires a gradient and cannot be written in place");
    drop(y), drop(x);
}

/* ---- second and third derivatives ---- */

static void test_higher_derivatives(void **state) {
    (void)state;
    td_val *x = leaf(VEC(2)),
           *y = then2("mul", then2("mul", f1("square", x), x), x); /* x^4 */
    td_val *g1, *g2, *g3;
    ok(td_grad_of(y, NULL, &x, 1, true, true, &g1, &err));
    assert_near(at(g1, 0), 32.0);
    ok(td_grad_of(g1, NULL, &x, 1, true, true, &g2, &err));
    assert_near(at(g2, 0), 48.0);
    ok(td_grad_of(g2, NULL, &x, 1, false, false, &g3, &err));
    assert_near(at(g3, 0), 48.0);
    assert_false(g3->requires_grad);
    drop(g3), drop(g2), drop(g1), drop(y), drop(x);
}

static void test_gradient_penalty(void **state) {
    (void)state;
    /* L = sum of (d/dx sum x^3)^2 = sum 9 x^4;  dL/dx = 36 x^3 */
    td_val *x = leaf(VEC(1, 2)), *y = then1("sum", then2("mul", f1("square", x), x));
    ok(td_backward(y, NULL, true, true, &err));
    assert_true(x->grad->requires_grad);
    td_val *penalty = then1("sum", f1("square", x->grad));
    td_val_unref(&x->grad);
    ok(td_backward(penalty, NULL, false, false, &err));
    assert_near(at(x->grad, 0), 36.0);
    assert_near(at(x->grad, 1), 288.0);
    drop(penalty), drop(y), drop(x);
}

/* ---- length ---- */

static void test_long_tapes(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1)), *one = VEC(1), *y = f2("mul", x, one);
    for (int i = 0; i < 100000; i++) y = then2("mul", y, one);
    ok(td_backward(y, NULL, true, false, &err));
    assert_near(at(x->grad, 0), 1.0);
    drop(y); /* 100,000 nodes end here */
    y = f2("mul", x, one);
    for (int i = 0; i < 100000; i++)
        y = then2("add", y, y); /* each used twice: 2^100000 ways */
    drop(y);
    td_val *g;
    y = f2("mul", x, one);
    for (int i = 0; i < 50; i++) y = then2("add", y, y);
    ok(td_grad_of(y, NULL, &x, 1, false, false, &g, &err));
    assert_near(at(g, 0) / 0x1p50, 1.0);
    drop(g), drop(y), drop(one), drop(x);
}

/* A long chain of gradients of gradients ends without recursion too. */
static void test_long_created_graphs(void **state) {
    (void)state;
    td_val *x = leaf(VEC(1)), *y = f1("square", x), *g;
    for (int i = 0; i < 20000; i++) y = then1("neg", then1("neg", y));
    ok(td_grad_of(y, NULL, &x, 1, true, true, &g, &err));
    assert_near(at(g, 0), 2.0);
    drop(y), drop(g), drop(x);
}

/* Nothing is left of a tape when its values have gone. */
static void test_memory_comes_back(void **state) {
    (void)state;
    size_t before = td_data_live_bytes();
    td_val *x = leaf(VEC(1, 2, 3));
    for (int i = 0; i < 10; i++) {
        td_val *y = then1("sum", then2("mul", f1("exp", x), x));
        if (i % 2) ok(td_backward(y, NULL, i % 3 == 0, false, &err));
        drop(y);
    }
    drop(x);
    assert_int_equal(td_data_live_bytes(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_product_and_sharing),
        cmocka_unit_test(test_gradients_accumulate),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_broadcast_is_summed),
        cmocka_unit_test(test_dtypes_come_back),
        cmocka_unit_test(test_second_output_alone),
        cmocka_unit_test(test_gradients_share_nothing),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_a_leaf_is_its_own_result),
        cmocka_unit_test(test_grad_of),
        cmocka_unit_test(test_walked_twice),
        cmocka_unit_test(test_what_keeps_nothing_is_walked_again),
        cmocka_unit_test(test_no_tape),
        cmocka_unit_test(test_tape_switch_after_error),
        cmocka_unit_test(test_changed_in_place),
        cmocka_unit_test(test_assignments_on_the_tape_are_refused),
        cmocka_unit_test(test_higher_derivatives),
        cmocka_unit_test(test_gradient_penalty),
        cmocka_unit_test(test_long_tapes),
        cmocka_unit_test(test_long_created_graphs),
        cmocka_unit_test(test_memory_comes_back),
    };
    return cmocka_run_group_tests_name("tape", tests, NULL, NULL);
}
