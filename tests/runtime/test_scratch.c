/* The thread's stack of scratch memory: pieces apart and aligned, one block once it is known what is
 * needed, nothing allocated from then on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/mem.h"
#include "runtime/scratch.h"

static td_err err;

/* Pieces of the given sizes, one inside the other, each filled and found as it was. */
static void nest(const size_t *bytes, int count) {
    unsigned char *piece[8];
    for (int i = 0; i < count; i++) {
        piece[i] = td_scratch_take(bytes[i], &err);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 64, 0);
        memset(piece[i], i + 1, bytes[i]);
    }
    for (int i = count - 1; i >= 0; i--) {
        for (size_t k = 0; k < bytes[i]; k += 97) assert_int_equal(piece[i][k], i + 1);
        td_scratch_give(piece[i]);
    }
}

static void work(void) {
    nest((size_t[]){10, 100000, 3, 0, 70000}, 5);
    nest((size_t[]){400000}, 1);
    nest((size_t[]){5000, 200000, 300000, 1}, 4);
    td_scratch_give(NULL);
}

static void test_settles(void **state) {
    (void)state;
    td_scratch_trim();
    size_t before = td_data_live_bytes();
    work();
    uint64_t made = td_data_total_bytes();
    size_t live = td_data_live_bytes() - before;
    for (int i = 0; i < 10; i++) work();
    assert_int_equal(td_data_total_bytes(), made);
    assert_int_equal(td_data_live_bytes() - before, live);
    assert_in_range(live, 505001,
                    505001 + 8 * 128 + 4096); /* no more than was in use at once */
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), before);
}

static void test_trim_keeps_what_is_used(void **state) {
    (void)state;
    char *p = td_scratch_take(1000, &err);
    p[999] = 5;
    td_scratch_trim();
    assert_int_equal(p[999], 5);
    td_scratch_give(p);
    td_scratch_trim();
}

static void test_refusals(void **state) {
    (void)state;
    td_data_set_limit(td_data_live_bytes() + 20000);
    char *p = td_scratch_take(10000, &err);
    assert_non_null(p);
    err = (td_err){0};
    assert_null(td_scratch_take(100000, &err));
    assert_int_equal(err.code, TD_E_MEMORY);
    assert_null(td_scratch_take(SIZE_MAX - 5, &err));
    assert_int_equal(err.code, TD_E_LIMIT);
    td_scratch_give(p);
    td_data_set_limit(0);
    work();
    td_scratch_trim();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settles),
        cmocka_unit_test(test_trim_keeps_what_is_used),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("scratch", tests, NULL, NULL);
}
