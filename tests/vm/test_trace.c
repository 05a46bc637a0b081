/* The tracer: what is captured and how it is found again, numbers that move, streams, what becomes of
 * gradients, assignments that are noticed, values that outlive their trace. Programs run through
 * vm/compiled.h; figures are worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vm/compiled.h"
#include "vm/grad.h"

static td_err err;

static td_val *vec(double a, double b) {
    td_shape s = {.ndim = 1, .dim = {2}};
    td_tensor *t = td_tensor_new(TD_F64, &s, &err);
    assert_non_null(t);
    ((double *)td_tensor_data(t))[0] = a;
    ((double *)td_tensor_data(t))[1] = b;
    return td_val_new(t, &err);
}

static double at(const td_val *v, int i) {
    assert_non_null(v);
    assert_non_null(v->t);
    return td_load_f64(v->t->dtype, (char *)td_tensor_data(v->t) +
                                        (size_t)i * td_dtype_bytes(v->t->dtype));
}

static td_val *apply(const char *name, td_val *a, td_val *b) {
    td_val *in[2] = {a, b}, *out[TD_OP_MAX_OUT] = {NULL};
    err = (td_err){0};
    if (td_apply(td_op_find(name), in, b ? 2 : 1, NULL, out, &err))
        fail_msg("%s: %s", err.call, err.msg);
    return out[0];
}

static void drop(td_val *v) { td_val_unref(&v); }

static td_trace *begin(void) {
    td_trace *t = td_trace_new("f", &err);
    assert_non_null(t);
    td_trace_set_current(t);
    return t;
}

/* Ends the trace; out, if any, is let go. */
static td_compiled *end(td_trace *t, td_val *out, bool keep_grads) {
    td_trace_set_current(NULL);
    td_traced *made = td_trace_finish(t, &out, out ? 1 : 0, keep_grads, &err);
    if (made == NULL) fail_msg("%s: %s", err.call, err.msg);
    td_val_unref(&out);
    td_trace_free(&t);
    td_compiled *c = td_compiled_new(&made, &err);
    if (c == NULL) fail_msg("%s: %s", err.call, err.msg);
    return c;
}

static td_val *run(td_compiled *c, td_val **args, const double *scalars, bool gives) {
    td_val *out = NULL;
    assert_true(td_compiled_fits(c, args));
    assert_int_equal(td_compiled_bind(c, args, scalars, &err), TD_COMPILED_READY);
    if (td_compiled_run(c, args, 1, 1, &out, &err)) fail_msg("%s", err.msg);
    assert_int_equal(out != NULL, gives);
    return out;
}

static void test_capture_by_reference(void **state) {
    (void)state;
    td_val *w = vec(1, 2), *x = vec(10, 20);
    td_trace *t = begin();
    td_val *copy = td_val_detach(w, &err); /* the same memory, seen first */
    td_val *a = td_trace_argument(t, x, &err), *b = apply("add", a, copy);
    td_val *y = apply("mul", b, w);
    drop(a), drop(b), drop(copy);
    td_compiled *c = end(t, y, false);
    assert_int_equal(td_compiled_program(c)->input_count, 2);
    td_val *got = run(c, &x, NULL, true);
    assert_true(at(got, 0) == 11 && at(got, 1) == 44);
    drop(got);
    td_val *other = vec(3, 4); /* w becomes another tensor: both uses follow */
    td_val_become_here(w, td_tensor_ref(other->t));
    got = run(c, &x, NULL, true);
    assert_true(at(got, 0) == 39 && at(got, 1) == 96);
    drop(got), drop(other);
    td_val_become_here(w, td_tensor_from_f64(TD_F64, 1, &err));
    w->meta.shape.ndim = 0;
    assert_false(td_compiled_fits(c, &x));
    td_compiled_free(&c);
    drop(w), drop(x);
}

static void test_numbers(void **state) {
    (void)state;
    td_shape s = {.ndim = 1, .dim = {1}};
    td_val *x = td_val_new(td_tensor_new(TD_F32, &s, &err), &err);
    *(float *)td_tensor_data(x->t) = 2;
    td_trace *t = begin();
    td_val *a = td_trace_argument(t, x, &err), *lr = td_trace_scalar(t, &err);
    td_val *three = td_val_integer(3, &err), *p = apply("mul", a, lr);
    assert_int_equal(p->meta.dtype, TD_F32); /* a plain number takes the tensor's dtype */
    td_val *y = apply("add", p, three);
    drop(a), drop(lr), drop(three), drop(p);
    td_compiled *c = end(t, y, false);
    for (int i = 1; i < 4; i++) {
        double rate = 0.1 * i;
        td_val *got = run(c, &x, &rate, true);
        assert_true(at(got, 0) == (double)(2.0f * (float)rate + 3.0f));
        drop(got);
    }
    td_compiled_free(&c);
    drop(x);
}

/* w.grad = nil; (w * w).sum().backward(); w = w - w.grad, or without the last. */
static td_compiled *square_step(td_val *w, bool zero, bool step, bool keep) {
    td_trace *t = begin();
    if (zero) {
        assert_int_equal(td_trace_grad(w, true, &err), 0);
        td_val_unref(&w->grad);
    }
    td_val *square = apply("mul", w, w), *y = apply("sum", square, NULL);
    assert_int_equal(td_backward(y, NULL, false, false, &err), 0);
    assert_ptr_equal(td_val_place(w->grad), td_val_place(y));
    if (step) {
        bool old = td_tape_set_off(true);
        td_val *next = apply("sub", w, w->grad);
        apply("assign", w, next);
        drop(next);
        td_tape_set_off(old);
    }
    drop(square), drop(y);
    return end(t, NULL, keep);
}

static void test_gradients(void **state) {
    (void)state;
    td_val *w = vec(1, 2);
    w->requires_grad = true;
    td_compiled *c = square_step(w, true, false, false);
    assert_null(w->grad); /* the trace left nothing */
    for (int i = 0; i < 2; i++) drop(run(c, NULL, NULL, false));
    assert_true(at(w->grad, 0) == 2 && at(w->grad, 1) == 4);
    td_compiled_free(&c);

    c = square_step(w, false, false, false); /* adds to what is there */
    td_val *before = td_val_ref(w->grad);
    drop(run(c, NULL, NULL, false));
    assert_true(at(w->grad, 1) == 8 && at(before, 1) == 4);
    drop(before);
    td_val_unref(&w->grad);
    assert_false(td_compiled_fits(c, NULL)); /* nothing to add to */
    td_compiled_free(&c);

    c = square_step(w, true, true, false); /* used up: w - 2 w */
    uint32_t version = w->t->storage->version;
    drop(run(c, NULL, NULL, false));
    assert_null(w->grad);
    assert_true(at(w, 0) == -1 && at(w, 1) == -2);
    assert_true(w->t->storage->version > version);
    td_compiled_free(&c);

    c = square_step(w, true, true, true);
    drop(run(c, NULL, NULL, false));
    assert_true(at(w, 1) == 2 && at(w->grad, 1) == -4);
    td_compiled_free(&c);

    td_val_unref(&w->grad);
    c = square_step(w, false, true,
                    false); /* read first: the next call would add to it */
    drop(run(c, NULL, NULL, false));
    assert_true(at(w, 1) == -2 && at(w->grad, 1) == 4);
    td_compiled_free(&c);
    drop(w);
}

static void test_given_up(void **state) {
    (void)state;
    td_val *w = vec(1, 2), *old = vec(5, 5);
    w->requires_grad = true;
    w->grad = td_val_ref(old);
    td_trace *t = begin();
    td_val *y = apply("sum", w, NULL);
    assert_int_equal(td_backward(y, NULL, false, false, &err), 0);
    assert_ptr_not_equal(w->grad, old);
    td_trace_free(&t);
    assert_null(td_trace_current());
    assert_ptr_equal(w->grad, old);
    err = (td_err){0};
    assert_null(td_val_tensor(y, "item", &err));
    assert_int_equal(err.code, TD_E_STATE);
    assert_string_equal(err.msg,
                        "the tensor belongs to a run of the compiled function 'f' "
                        "that has ended");
    td_val *out = NULL, *in[2] = {y, w};
    assert_int_equal(td_apply(td_op_find("add"), in, 2, NULL, &out, &err), TD_E_STATE);
    drop(y), drop(w), drop(old);
}

static void test_no_value(void **state) {
    (void)state;
    td_val *x = vec(1, 2);
    td_trace *t = begin();
    td_val *a = td_trace_argument(t, x, &err);
    err = (td_err){0};
    assert_null(td_val_tensor(a, "item", &err));
    assert_string_equal(err.msg, "the tensor has no value while tide.compile traces 'f'");
    assert_string_equal(err.hint,
                        "return it, keep the decision outside, or use tide.where");
    drop(a);
    td_trace_free(&t);
    drop(x);
}

static void test_streams(void **state) {
    (void)state;
    td_trace *t = begin();
    td_val *r[2], *y;
    for (int i = 0; i < 2; i++) {
        uint64_t seed, stream;
        td_attrs a = {0};
        td_trace_draw(t, &seed, &stream);
        td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){4}, 1);
        td_attr_set_i(&a, 1, TD_ATTR_INT, (int64_t)seed);
        td_attr_set_i(&a, 2, TD_ATTR_INT, (int64_t)stream);
        assert_int_equal(td_apply_create(NULL, td_op_find("rand"), &a, &r[i], &err), 0);
    }
    y = apply("sub", r[0], r[1]);
    drop(r[0]), drop(r[1]);
    td_compiled *c = end(t, y, false);
    assert_int_equal(td_compiled_draws(c), 2);
    td_val *got = NULL, *want[2];
    assert_int_equal(td_compiled_bind(c, NULL, NULL, &err), TD_COMPILED_READY);
    assert_int_equal(td_compiled_run(c, NULL, 77, 5, &got, &err), 0);
    for (int i = 0; i < 2; i++) {
        td_attrs a = {0};
        td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){4}, 1);
        td_attr_set_i(&a, 1, TD_ATTR_INT, 77);
        td_attr_set_i(&a, 2, TD_ATTR_INT, 5 + i);
        assert_int_equal(td_apply_create(NULL, td_op_find("rand"), &a, &want[i], &err),
                         0);
    }
    for (int i = 0; i < 4; i++)
        assert_true(at(got, i) ==
                    (double)((float)at(want[0], i) - (float)at(want[1], i)));
    drop(got), drop(want[0]), drop(want[1]);
    td_compiled_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capture_by_reference),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_no_value),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
