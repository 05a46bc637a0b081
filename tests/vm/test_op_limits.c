/* Operations as they may come over the wire: sizes and windows that are absurd, and no memory left. Each
 * must end in an error that says so, and leave nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/mem.h"
#include "runtime/scratch.h"
#include "vm/grad.h"
#include "vm/ops/nonzero.h"

static td_val *zeros(int ndim, const int64_t *dim) {
    td_err err = {0};
    td_shape s = {.ndim = ndim};
    for (int i = 0; i < ndim; i++) s.dim[i] = dim[i];
    td_tensor *t = td_tensor_new(TD_F32, &s, &err);
    assert_non_null(t);
    memset(td_tensor_data(t), 0, (size_t)td_tensor_numel(t) * sizeof(float));
    td_val *v = td_val_new(t, &err);
    assert_non_null(v);
    return v;
}

#define ZEROS(...)                                                                       \
    zeros((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                     \
          (const int64_t[]){__VA_ARGS__})

/* The op must fail with this code; takes over the references of x and y (which may be NULL). */
static td_err refused(const char *op, td_val *x, td_val *y, const td_attrs *a,
                      td_code code) {
    td_err err = {0};
    td_val *in[2] = {x, y}, *out[TD_OP_MAX_OUT];
    size_t live = td_data_live_bytes();
    int rc = td_apply(td_op_find(op), in, y ? 2 : 1, a, out, &err);
    if (rc != (int)code) fail_msg("%s: %s, code %d", op, err.msg, rc);
    assert_string_equal(err.call, op);
    assert_int_equal(td_data_live_bytes(), live);
    td_val_unref(&x);
    td_val_unref(&y);
    return err;
}

static const int64_t huge = INT32_MAX;

static void test_absurd_windows(void **state) {
    (void)state;
    td_attrs a = {0};
    td_attr_set_list(&a, 1, TD_ATTR_INTS, (int64_t[]){huge, huge}, 2); /* padding */
    refused("conv2d", ZEROS(1, 1, 3, 3), ZEROS(1, 1, 2, 2), &a, TD_E_LIMIT);
    a = (td_attrs){0};
    td_attr_set_list(&a, 2, TD_ATTR_INTS, (int64_t[]){huge, huge}, 2); /* dilation */
    refused("conv2d", ZEROS(1, 1, 3, 3), ZEROS(1, 1, 2, 2), &a, TD_E_SHAPE);
    a = (td_attrs){0};
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){1, huge, huge, huge}, 4);
    refused("conv2d_input", ZEROS(1, 1, 2, 2), ZEROS(1, 1, 2, 2), &a, TD_E_LIMIT);
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){1, 1, 2}, 3);
    refused("conv2d_input", ZEROS(1, 1, 2, 2), ZEROS(1, 1, 2, 2), &a, TD_E_SHAPE);
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){1, 1, -2, 2}, 4);
    refused("conv2d_weight", ZEROS(1, 1, 2, 2), ZEROS(1, 1, 3, 3), &a, TD_E_SHAPE);
    a = (td_attrs){0};
    td_attr_set_list(&a, 0, TD_ATTR_INTS, (int64_t[]){INT64_MAX, 1}, 2);
    refused("max_pool2d", ZEROS(1, 1, 3, 3), NULL, &a, TD_E_VALUE);
    td_attr_set_list(&a, 0, TD_ATTR_INTS, (int64_t[]){1, 1}, 2);
    td_attr_set_list(&a, 2, TD_ATTR_INTS, (int64_t[]){INT64_MAX, 1}, 2);
    refused("avg_pool2d", ZEROS(1, 1, 3, 3), NULL, &a, TD_E_VALUE);
}

/* A stride beyond the image is allowed and costs nothing. */
static void test_wide_strides(void **state) {
    (void)state;
    td_err err = {0};
    td_attrs a = {0};
    td_attr_set_list(&a, 0, TD_ATTR_INTS, (int64_t[]){huge, huge}, 2);
    td_val *in[2] = {ZEROS(1, 30, 3, 3), ZEROS(2, 30, 2, 2)}, *y = NULL;
    assert_int_equal(td_apply(td_op_find("conv2d"), in, 2, &a, &y, &err), 0);
    assert_int_equal(td_shape_numel(&y->meta.shape), 2);
    td_val_unref(&y);
    td_val_unref(&in[0]);
    td_val_unref(&in[1]);
}

static void test_absurd_sizes(void **state) {
    (void)state;
    td_attrs a = {0};
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){huge, huge, huge}, 3);
    refused("expand", ZEROS(1), NULL, &a, TD_E_LIMIT);
    td_attr_set_list(&a, 0, TD_ATTR_INTS, (int64_t[]){INT64_MAX}, 1);
    td_attr_set_list(&a, 1, TD_ATTR_INTS, (int64_t[]){INT64_MAX}, 1);
    refused("pad", ZEROS(1), NULL, &a, TD_E_LIMIT);
    a = (td_attrs){0};
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&a, 1, TD_ATTR_POS, INT64_MIN);
    refused("select", ZEROS(3), NULL, &a, TD_E_INDEX);
    td_attr_set_i(&a, 1, TD_ATTR_POS, 1);
    td_attr_set_i(&a, 2, TD_ATTR_INT, INT64_MAX);
    refused("narrow", ZEROS(3), NULL, &a, TD_E_INDEX);
    a = (td_attrs){0};
    td_attr_set_i(&a, 0, TD_ATTR_INT, INT64_MAX);
    refused("topk", ZEROS(3), NULL, &a, TD_E_VALUE);
}

/* The largest tensor of a budget fits, what an operation needs beside it does not. */
static void test_no_memory(void **state) {
    (void)state;
    td_attrs none = {0}, dim = {0}, pool = {0};
    td_attr_set_i(&dim, 0, TD_ATTR_DIM, 0);
    td_attr_set_list(&pool, 0, TD_ATTR_INTS, (int64_t[]){2, 2}, 2);
    struct {
        const char *op;
        td_val *x, *y;
        const td_attrs *a;
    } cases[] = {
        {"conv2d", ZEROS(4, 3, 16, 16), ZEROS(2, 3, 3, 3), &none},
        {"matmul", ZEROS(64, 64), ZEROS(64, 64), &none},
        {"sort", ZEROS(4096), NULL, &none},
        {"max_pool2d", ZEROS(1, 1, 64, 64), NULL, &pool},
        {"softmax", ZEROS(4096), NULL, &dim},
        {"flip", ZEROS(4096), NULL, &none},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* Every budget from nothing to just enough: each allocation is refused once. */
        td_scratch_trim();
        size_t live = td_data_live_bytes();
        for (size_t more = 0;; more += 512) {
            td_err err = {0};
            td_val *in[2] = {cases[i].x, cases[i].y}, *out[TD_OP_MAX_OUT] = {NULL};
            td_data_set_limit(live + more);
            int rc = td_apply(td_op_find(cases[i].op), in, cases[i].y ? 2 : 1, cases[i].a,
                              out, &err);
            td_data_set_limit(0);
            for (int k = 0; k < TD_OP_MAX_OUT; k++) td_val_unref(&out[k]);
            td_scratch_trim();
            assert_int_equal(td_data_live_bytes(), live);
            if (rc == 0) break;
            assert_int_equal(rc, TD_E_MEMORY);
            assert_string_equal(err.call, cases[i].op);
        }
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        td_val_unref(&cases[i].x);
        td_val_unref(&cases[i].y);
    }
}

static void test_nonzero(void **state) {
    (void)state;
    td_err err = {0};
    td_shape s = {.ndim = 2, .dim = {2, 3}};
    td_tensor *mask = td_tensor_new(TD_BOOL, &s, &err);
    memcpy(td_tensor_data(mask), (uint8_t[]){0, 1, 0, 1, 0, 1}, 6);
    td_tensor *at = td_nonzero(mask, &err);
    assert_int_equal(at->dtype, TD_I64);
    assert_int_equal(at->shape.dim[0], 3);
    assert_memory_equal(td_tensor_data(at), ((int64_t[]){2, 4, 6}), 24);
    td_tensor_unref(&at);
    td_shape turned = {.ndim = 2, .dim = {3, 2}};
    td_tensor *t = td_tensor_view(mask, &turned, (int64_t[]){1, 3}, 0, &err);
    at = td_nonzero(t, &err); /* read in the order of its own dimensions */
    assert_memory_equal(td_tensor_data(at), ((int64_t[]){2, 3, 6}), 24);
    td_tensor_unref(&at);
    td_tensor_unref(&t);
    td_tensor_unref(&mask);
    td_tensor *number = td_tensor_from_f64(TD_F32, 1, &err);
    assert_null(td_nonzero(number, &err));
    assert_int_equal(err.code, TD_E_DTYPE);
    assert_string_equal(err.msg, "a mask is bool, got f32");
    td_tensor_unref(&number);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absurd_windows), cmocka_unit_test(test_wide_strides),
        cmocka_unit_test(test_absurd_sizes),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_nonzero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
