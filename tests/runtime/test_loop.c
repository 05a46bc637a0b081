/* Walks that are cut over the pool: every element once, whatever the sizes, strides and threads; and none
 * that is small is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/loop.h"
#include "runtime/pool.h"

static atomic_int runs;

/* to += from + 1, as int32. */
static void add_one(int64_t n, char *const *ptr, const int64_t *stride, const void *ctx) {
    (void)ctx;
    atomic_fetch_add(&runs, 1);
    for (int64_t i = 0; i < n; i++)
        *(int32_t *)(void *)(ptr[0] + i * stride[0]) +=
            *(const int32_t *)(const void *)(ptr[1] + i * stride[1]) + 1;
}

static td_tensor *filled(const td_shape *s, td_order order, int32_t salt) {
    td_err err = {0};
    td_tensor *x = td_tensor_new_in(TD_I32, s, order, &err);
    assert_non_null(x);
    int32_t *v = td_tensor_data(x);
    for (int64_t i = 0; i < td_tensor_numel(x); i++) v[i] = (int32_t)(i % 1013) + salt;
    return x;
}

static void check(td_shape to_shape, td_order to_order, td_shape from_shape,
                  td_order from_order) {
    td_tensor *from = filled(&from_shape, from_order, 5);
    for (int threads = 1; threads <= 2; threads++) {
        td_pool_set_threads(threads);
        td_tensor *a = filled(&to_shape, to_order, 0),
                  *b = filled(&to_shape, to_order, 0);
        td_loop la, lb;
        td_loop_init(&la, &to_shape, (td_tensor *const[]){a, from}, 2);
        td_loop_init(&lb, &to_shape, (td_tensor *const[]){b, from}, 2);
        td_loop_run(&la, add_one, NULL);
        td_loop_run_cut(&lb, add_one, NULL);
        assert_memory_equal(td_tensor_data(a), td_tensor_data(b),
                            (size_t)td_tensor_numel(a) * 4);
        td_tensor_unref(&a);
        td_tensor_unref(&b);
    }
    td_tensor_unref(&from);
}

static void test_cut(void **state) {
    (void)state;
    const td_shape flat = {1, {100003}}, one = {1, {1}}, wide = {2, {3, 50001}},
                   row = {1, {50001}}, tall = {2, {70001, 2}}, column = {2, {70001, 1}},
                   images = {4, {6, 5, 40, 41}}, channels = {4, {1, 5, 1, 1}},
                   none = {2, {0, 50000}};
    check(flat, TD_ORDER_ROWS, flat, TD_ORDER_ROWS);
    check(flat, TD_ORDER_ROWS, one, TD_ORDER_ROWS);
    check(wide, TD_ORDER_ROWS, row, TD_ORDER_ROWS);
    check(tall, TD_ORDER_ROWS, column, TD_ORDER_ROWS);
    check(images, TD_ORDER_ROWS, images, TD_ORDER_CHANNELS);
    check(images, TD_ORDER_CHANNELS, images, TD_ORDER_ROWS);
    check(images, TD_ORDER_CHANNELS, channels, TD_ORDER_ROWS);
    check(none, TD_ORDER_ROWS, none, TD_ORDER_ROWS);
}

/* Pieces depend on sizes alone. */
static void test_pieces(void **state) {
    (void)state;
    static const struct {
        int64_t size;
        int pieces;
    } cases[] = {{1, 1}, {32767, 1}, {32768, 2}, {100003, 6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int threads = 1; threads <= 2; threads++) {
            td_pool_set_threads(threads);
            td_shape s = {1, {cases[i].size}};
            td_tensor *a = filled(&s, TD_ORDER_ROWS, 0),
                      *b = filled(&s, TD_ORDER_ROWS, 0);
            td_loop l;
            td_loop_init(&l, &s, (td_tensor *const[]){a, b}, 2);
            atomic_store(&runs, 0);
            td_loop_run_cut(&l, add_one, NULL);
            assert_int_equal(atomic_load(&runs), cases[i].pieces);
            td_tensor_unref(&a);
            td_tensor_unref(&b);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
