/* The random ops: what the attributes mean, and that the same attributes give the same bits. The numbers
 * themselves are looked at in tests/runtime/test_random.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/random.h"
#include "vm/apply.h"

static td_err err;

static td_val *make(const char *op, const td_attrs *a) {
    td_val *v = NULL;
    if (td_apply_create(NULL, td_op_find(op), a, &v, &err) != 0)
        fail_msg("%s: %s", err.call, err.msg);
    return v;
}

static void set_size(td_attrs *a, int at, int64_t n) {
    td_attr_set_list(a, at, TD_ATTR_SIZES, &n, 1);
}
static void set_int(td_attrs *a, int at, int64_t v) {
    td_attr_set_i(a, at, TD_ATTR_INT, v);
}
static void set_dtype(td_attrs *a, int at, td_dtype t) {
    td_attr_set_i(a, at, TD_ATTR_DTYPE, t);
}

static void test_rand(void **state) {
    (void)state;
    td_attrs a = {0};
    set_size(&a, 0, 1001), set_int(&a, 1, -5), set_int(&a, 2, 9);
    float want[1001];
    td_random_uniform_f32((uint64_t)-5, 9, 1001, want);
    td_val *x = make("rand", &a);
    assert_int_equal(x->meta.dtype, TD_F32);
    assert_memory_equal(td_tensor_data(x->t), want, sizeof want);
    td_val_unref(&x);
    set_dtype(&a, 3, TD_F16); /* rounded to nearest: may reach 1 */
    x = make("rand", &a);
    for (int i = 0; i < 1001; i++)
        assert_int_equal(((uint16_t *)td_tensor_data(x->t))[i], td_f32_to_f16(want[i]));
    td_val_unref(&x);
}

static void test_randn(void **state) {
    (void)state;
    td_attrs a = {0};
    set_size(&a, 0, 99), set_int(&a, 1, 1), set_int(&a, 2, 2), set_dtype(&a, 3, TD_F64);
    double want[99];
    td_random_normal_f64(1, 2, 99, want);
    td_val *x = make("randn", &a);
    assert_memory_equal(td_tensor_data(x->t), want, sizeof want);
    td_val_unref(&x);
}

static void test_randint(void **state) {
    (void)state;
    td_attrs a = {0};
    set_int(&a, 0, -3), set_int(&a, 1, 4), set_size(&a, 2, 4000), set_int(&a, 3, 1),
        set_int(&a, 4, 2);
    td_val *x = make("randint", &a);
    const int64_t *v = td_tensor_data(x->t);
    int seen[8] = {0};
    for (int i = 0; i < 4000; i++) {
        assert_true(v[i] >= -3 && v[i] <= 4);
        seen[v[i] + 3]++;
    }
    for (int i = 0; i < 8; i++) assert_in_range(seen[i], 420, 580); /* 500 +- 3.8 sigma */
    td_val_unref(&x);
    set_int(&a, 0, INT64_MIN), set_int(&a, 1, INT64_MAX);
    x = make("randint", &a);
    int negative = 0;
    for (int i = 0; i < 4000; i++) negative += ((int64_t *)td_tensor_data(x->t))[i] < 0;
    assert_in_range(negative, 1880, 2120);
    td_val_unref(&x);
    set_int(&a, 0, 0), set_int(&a, 1, 255), set_dtype(&a, 5, TD_U8);
    x = make("randint", &a);
    int high = 0;
    for (int i = 0; i < 4000; i++) high += ((uint8_t *)td_tensor_data(x->t))[i] >= 128;
    assert_in_range(high, 1880, 2120);
    td_val_unref(&x);
}

static void test_randperm(void **state) {
    (void)state;
    td_attrs a = {0};
    set_int(&a, 0, 50), set_int(&a, 1, 1), set_int(&a, 2, 2);
    int64_t want[50];
    td_random_permutation(1, 2, 50, want);
    td_val *x = make("randperm", &a);
    assert_memory_equal(td_tensor_data(x->t), want, sizeof want);
    td_val_unref(&x);
}

static void test_bernoulli(void **state) {
    (void)state;
    td_attrs a = {0};
    set_size(&a, 0, 10000), td_attr_set_f(&a, 1, 0.3), set_int(&a, 2, 1),
        set_int(&a, 3, 2);
    float u[10000], ones = 0;
    td_random_uniform_f32(1, 2, 10000, u);
    td_val *x = make("bernoulli", &a);
    const float *v = td_tensor_data(x->t);
    for (int i = 0; i < 10000; i++) {
        assert_true(v[i] == (u[i] < 0.3 ? 1.0f : 0.0f));
        ones += v[i];
    }
    assert_true(fabsf(ones - 3000) < 180); /* 3.9 sigma */
    td_val *edge[2];
    for (int p = 0; p < 2; p++) {
        td_attr_set_f(&a, 1, p);
        edge[p] = make("bernoulli", &a);
        for (int i = 0; i < 10000; i++)
            assert_true(((float *)td_tensor_data(edge[p]->t))[i] == (float)p);
        td_val_unref(&edge[p]);
    }
    td_val_unref(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rand),      cmocka_unit_test(test_randn),
        cmocka_unit_test(test_randint),   cmocka_unit_test(test_randperm),
        cmocka_unit_test(test_bernoulli),
    };
    return cmocka_run_group_tests_name("random ops", tests, NULL, NULL);
}
