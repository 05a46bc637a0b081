/* The rule of memory orders, and that running follows it: where results lie, that values do not depend on
 * it, and that td_op_run_into fills tensors of any strides. And the op table's columns fit together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/apply.h"
#include "vm/order.h"

static td_tensor *image(td_dtype t, const int64_t dim[4], td_order order, int salt) {
    td_err err = {0};
    td_shape s = {.ndim = 4, .dim = {dim[0], dim[1], dim[2], dim[3]}};
    td_tensor *x = td_tensor_new_in(t, &s, order, &err);
    assert_non_null(x);
    int64_t at[4], i = 0;
    for (at[0] = 0; at[0] < dim[0]; at[0]++)
        for (at[1] = 0; at[1] < dim[1]; at[1]++)
            for (at[2] = 0; at[2] < dim[2]; at[2]++)
                for (at[3] = 0; at[3] < dim[3]; at[3]++, i++)
                    td_store_f64(t, td_tensor_at(x, at),
                                 (double)((i * 7 + salt) % 13) - 6);
    return x;
}

static const int64_t ordinary[4] = {2, 3, 4, 5}, gray[4] = {2, 1, 4, 5};

static td_tensor *run(const char *name, td_tensor *a, td_tensor *b,
                      const td_attrs *given) {
    td_err err = {0};
    const td_op *op = td_op_find(name);
    td_tensor *in[2] = {a, b}, *out[TD_OP_MAX_OUT];
    td_meta meta[2] = {{.dtype = a->dtype, .shape = a->shape}}, made[TD_OP_MAX_OUT];
    if (b) meta[1] = (td_meta){.dtype = b->dtype, .shape = b->shape};
    td_attrs attrs = {0};
    if (given) attrs = *given;
    assert_int_equal(td_op_infer(op, meta, op->nin, &attrs, made, &err), 0);
    assert_int_equal(td_op_run(op, in, op->nin, &attrs, made, out, &err), 0);
    for (int k = 1; k < op->nout; k++) {
        assert_int_equal(td_lies(out[k]), td_lies(out[0]));
        td_tensor_unref(&out[k]);
    }
    return out[0];
}

static void lies(td_tensor *x, unsigned want) {
    assert_int_equal(td_lies(x), want);
    td_tensor_unref(&x);
}

static void test_lies(void **state) {
    (void)state;
    lies(image(TD_F32, ordinary, TD_ORDER_ROWS, 0), TD_LIES_IN_ROWS);
    lies(image(TD_F32, ordinary, TD_ORDER_CHANNELS, 0), TD_LIES_IN_CHANNELS);
    lies(image(TD_F32, gray, TD_ORDER_ROWS, 0), TD_LIES_IN_ROWS | TD_LIES_IN_CHANNELS);
    td_err err = {0};
    td_tensor *x = image(TD_F32, ordinary, TD_ORDER_ROWS, 0);
    td_shape half = {.ndim = 4, .dim = {2, 3, 4, 2}};
    lies(td_tensor_view(x, &half, x->stride, 0, &err), 0);
    td_shape matrix = {.ndim = 2, .dim = {6, 20}};
    lies(td_tensor_view(x, &matrix, (int64_t[]){20, 1}, 0, &err), TD_LIES_IN_ROWS);
    td_tensor_unref(&x);
}

static void test_elementwise(void **state) {
    (void)state;
    td_err err = {0};
    td_tensor *rows = image(TD_F32, ordinary, TD_ORDER_ROWS, 0),
              *last = image(TD_F32, ordinary, TD_ORDER_CHANNELS, 1),
              *both = image(TD_F32, gray, TD_ORDER_ROWS, 2),
              *one = td_tensor_from_f64(TD_F32, 2, &err);
    lies(run("add", rows, rows, NULL), TD_LIES_IN_ROWS);
    lies(run("add", last, last, NULL), TD_LIES_IN_CHANNELS);
    lies(run("add", last, one, NULL), TD_LIES_IN_CHANNELS);
    lies(run("add", one, last, NULL), TD_LIES_IN_CHANNELS);
    lies(run("add", rows, last, NULL), TD_LIES_IN_CHANNELS);
    lies(run("gt", last, one, NULL), TD_LIES_IN_CHANNELS);
    lies(run("relu", last, NULL, NULL), TD_LIES_IN_CHANNELS);
    lies(run("clone", last, NULL, NULL), TD_LIES_IN_CHANNELS);
    lies(run("clone", both, NULL, NULL), TD_LIES_IN_ROWS | TD_LIES_IN_CHANNELS);
    /* one that is broadcast has no say */
    int64_t line[4] = {1, 3, 4, 5};
    td_tensor *small = image(TD_F32, line, TD_ORDER_CHANNELS, 3);
    lies(run("mul", rows, small, NULL), TD_LIES_IN_ROWS);
    td_tensor_unref(&small);
    td_tensor_unref(&rows);
    td_tensor_unref(&last);
    td_tensor_unref(&both);
    td_tensor_unref(&one);
}

static void test_pools(void **state) {
    (void)state;
    td_attrs two = {0};
    td_attr_set_list(&two, 0, TD_ATTR_INTS, (int64_t[]){2, 2}, 2);
    for (int order = 0; order < 2; order++) {
        td_tensor *x = image(TD_F32, ordinary, (td_order)order, 0);
        lies(run("max_pool2d", x, NULL, &two),
             order ? TD_LIES_IN_CHANNELS : TD_LIES_IN_ROWS);
        lies(run("avg_pool2d", x, NULL, &two),
             order ? TD_LIES_IN_CHANNELS : TD_LIES_IN_ROWS);
        lies(run("exp", x, NULL, NULL), order ? TD_LIES_IN_CHANNELS : TD_LIES_IN_ROWS);
        td_attrs all = {0};
        lies(run("cumsum", x, NULL, (td_attr_set_i(&all, 0, TD_ATTR_DIM, 1), &all)),
             TD_LIES_IN_ROWS); /* says nothing: rows */
        td_tensor_unref(&x);
    }
}

/* The gradient of a pool over whole images: its input lies both ways. */
static void test_either_way(void **state) {
    (void)state;
    int64_t dot[4] = {2, 3, 1, 1};
    td_tensor *g = image(TD_F32, dot, TD_ORDER_ROWS, 0);
    td_attrs a = {0};
    td_shape sizes = {.ndim = 4, .dim = {2, 3, 4, 5}};
    td_attr_set_sizes(&a, 0, &sizes);
    td_attr_set_list(&a, 1, TD_ATTR_INTS, (int64_t[]){4, 5}, 2);
    td_tensor *dx = run("avg_pool2d_grad", g, NULL, &a);
    assert_int_equal(td_lies(dx), TD_LIES_IN_CHANNELS);
    int64_t at[4];
    for (at[0] = 0; at[0] < 2; at[0]++)
        for (at[1] = 0; at[1] < 3; at[1]++)
            for (at[2] = 0; at[2] < 4; at[2]++)
                for (at[3] = 0; at[3] < 5; at[3]++) {
                    float share =
                        *(float *)td_tensor_at(g, (int64_t[]){at[0], at[1], 0, 0}) / 20;
                    assert_true(*(float *)td_tensor_at(dx, at) == share);
                }
    td_tensor_unref(&dx);
    td_tensor_unref(&g);
}

/* Elementwise ops write through any strides, and over an input. */
static void test_run_into(void **state) {
    (void)state;
    td_err err = {0};
    td_tensor *a = image(TD_F32, ordinary, TD_ORDER_ROWS, 0),
              *b = image(TD_F32, ordinary, TD_ORDER_CHANNELS, 5),
              *want = run("mul", a, b, NULL);
    int64_t wide[4] = {2, 3, 4, 10}, twice[4];
    td_tensor *room = image(TD_F32, wide, TD_ORDER_ROWS, 9);
    for (int d = 0; d < 4; d++) twice[d] = room->stride[d] * (d == 3 ? 2 : 1);
    td_tensor *out = td_tensor_view(room, &a->shape, twice, 1, &err);
    td_tensor *in[2] = {a, b};
    const td_op *mul = td_op_find("mul");
    assert_int_equal(td_op_run_into(mul, in, 2, NULL, &out, &err), 0);
    assert_int_equal(td_op_run_into(mul, in, 2, NULL, &a, &err), 0); /* in place */
    int64_t at[4], n = 0;
    for (at[0] = 0; at[0] < 2; at[0]++)
        for (at[1] = 0; at[1] < 3; at[1]++)
            for (at[2] = 0; at[2] < 4; at[2]++)
                for (at[3] = 0; at[3] < 5; at[3]++, n++) {
                    float v = *(float *)td_tensor_at(want, at);
                    assert_true(*(float *)td_tensor_at(out, at) == v);
                    assert_true(*(float *)td_tensor_at(a, at) == v);
                    int64_t beside[4] = {at[0], at[1], at[2], 2 * at[3]};
                    float old = (float)((2 * n * 7 + 9) % 13) - 6; /* stays */
                    assert_true(*(float *)td_tensor_at(room, beside) == old);
                }
    td_tensor_unref(&a);
    td_tensor_unref(&b);
    td_tensor_unref(&want);
    td_tensor_unref(&out);
    td_tensor_unref(&room);
}

static void test_errors(void **state) {
    (void)state;
    td_err err = {0};
    int64_t zero = 0, seven = 7;
    td_tensor *a = td_tensor_from_i64(TD_I64, seven, &err),
              *b = td_tensor_from_i64(TD_I64, zero, &err), *out = a, *in[2] = {a, b};
    assert_int_equal(td_op_run_into(td_op_find("remainder"), in, 2, NULL, &out, &err),
                     TD_E_VALUE);
    assert_string_equal(err.call, "remainder");
    assert_string_equal(err.msg, "an integer division by zero");
    td_meta meta = {.dtype = TD_BOOL}, made;
    td_attrs none = {0};
    err = (td_err){0};
    assert_int_equal(td_op_infer(td_op_find("neg"), &meta, 1, &none, &made, &err),
                     TD_E_DTYPE);
    assert_string_equal(err.call, "neg");
    assert_string_equal(err.msg, "wants numbers, got bool");
    td_tensor_unref(&a);
    td_tensor_unref(&b);
}

static void test_columns(void **state) {
    (void)state;
    for (int i = 0; i < td_op_count(); i++) {
        const td_op *op = td_op_at(i);
        bool inner = op->flags & TD_OP_ELEMENTWISE, view = op->flags & TD_OP_VIEW;
        if ((op->inner != NULL) != inner || (op->view != NULL) != view ||
            (op->kernel != NULL) != (!inner && !view))
            fail_msg("%s: one of inner, view and kernel, as its flags say", op->name);
        if (inner && (op->nout != 1 || op->nin < 0 || op->nin >= TD_LOOP_MAX))
            fail_msg("%s has too many tensors for an inner loop", op->name);
        if ((op->flags & TD_OP_FOLLOWS) && op->nin == 0)
            fail_msg("%s has nothing to follow", op->name);
        if (op->flags & TD_OP_RANDOM) {
            bool seed = false, stream = false;
            for (int k = 0; k < td_op_attr_count(op); k++) {
                seed |= strcmp(op->attr[k].name, "seed") == 0;
                stream |= strcmp(op->attr[k].name, "stream") == 0;
            }
            if (!seed || !stream) fail_msg("%s draws without a seed", op->name);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies),     cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_pools),    cmocka_unit_test(test_either_way),
        cmocka_unit_test(test_run_into), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
