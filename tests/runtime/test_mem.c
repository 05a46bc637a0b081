/* The heap: alignment at every size, contents that stay apart, reuse of freed blocks, the account and the
 * budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "runtime/bigblock.h"
#include "runtime/mem.h"

static const size_t sizes[] = {0,
                               1,
                               4,
                               24,
                               25,
                               63,
                               64,
                               65,
                               500,
                               1000,
                               1024,
                               1025,
                               4096,
                               100000,
                               TD_BIG_BYTES - 1,
                               TD_BIG_BYTES,
                               TD_BIG_BYTES + 1,
                               3000000};
#define SIZES (int)(sizeof sizes / sizeof sizes[0])

static void test_data_blocks(void **state) {
    (void)state;
    for (int round = 0; round < 3;
         round++) { /* later rounds get what earlier ones freed */
        char *block[SIZES];
        size_t before = td_data_live_bytes();
        for (int i = 0; i < SIZES; i++) {
            td_err err = {0};
            block[i] = td_data_new(sizes[i], &err);
            assert_non_null(block[i]);
            assert_int_equal((uintptr_t)block[i] % 64, 0);
            memset(block[i], i + round, sizes[i]);
        }
        for (int i = 0; i < SIZES; i++)
            for (size_t k = 0; k < sizes[i]; k += sizes[i] / 7 + 1)
                assert_int_equal((unsigned char)block[i][k], i + round);
        size_t sum = 0;
        for (int i = 0; i < SIZES; i++) sum += sizes[i];
        assert_int_equal(td_data_live_bytes(), before + sum);
        for (int i = 0; i < SIZES; i++) td_data_free(block[i], sizes[i]);
        assert_int_equal(td_data_live_bytes(), before);
    }
    td_data_free(NULL, 100);
}

static void test_structs_are_zeroed(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (size_t bytes = 1; bytes < 1200; bytes += 7) {
            unsigned char *p[3];
            for (int k = 0; k < 3; k++) {
                p[k] = td_new_bytes(bytes);
                assert_non_null(p[k]);
                for (size_t i = 0; i < bytes; i++) assert_int_equal(p[k][i], 0);
                memset(p[k], 255, bytes);
            }
            for (int k = 0; k < 3; k++) td_free(p[k]);
        }
    }
    char *grown = td_new_bytes(10);
    memcpy(grown, "kept", 5);
    grown = td_grow_bytes(grown, 5000);
    assert_string_equal(grown, "kept");
    td_free(grown);
    td_free(NULL);
    assert_null(td_new_array(SIZE_MAX / 2, 3));
}

static void test_budget(void **state) {
    (void)state;
    td_err err = {0};
    td_data_set_limit(td_data_live_bytes() + 1000);
    void *p = td_data_new(600, &err);
    assert_non_null(p);
    assert_null(td_data_new(600, &err));
    assert_int_equal(err.code, TD_E_MEMORY);
    assert_non_null(strstr(err.msg, "600 bytes more do not fit"));
    td_data_set_limit(0);
    td_data_free(p, 600);
    assert_null(td_data_new(SIZE_MAX - 10, &err));
    assert_int_equal(err.code, TD_E_MEMORY);
}

static void test_big_blocks_come_back(void **state) {
    (void)state;
    td_big_trim();
    char *a = td_big_new(4000000);
    assert_non_null(a);
    a[0] = a[3999999] = 1;
    td_big_free(a, 4000000);
    char *b = td_big_new(4000100); /* nearly the same size: the same block */
    assert_ptr_equal(a, b);
    char *c = td_big_new(4000000);
    assert_ptr_not_equal(b, c);
    td_big_free(b, 4000100);
    td_big_free(c, 4000000);
    for (int i = 0; i < 300; i++) { /* more than are kept */
        size_t bytes = TD_BIG_BYTES + (size_t)i * 100000;
        char *p = td_big_new(bytes);
        assert_non_null(p);
        p[bytes - 1] = 1;
        td_big_free(p, bytes);
    }
    assert_null(td_big_new(SIZE_MAX - 1));
    td_big_trim();
}

/* Blocks made in one thread and freed in another, whose lists end with it. */
static void *free_there(void *blocks) {
    char **p = blocks;
    for (int i = 0; i < SIZES; i++) td_data_free(p[i], sizes[i]);
    for (int i = 0; i < 100; i++) td_free(td_new_bytes((size_t)i * 11));
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        char *block[SIZES];
        for (int i = 0; i < SIZES; i++) {
            block[i] = td_data_new(sizes[i], NULL);
            assert_non_null(block[i]);
        }
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, free_there, block), 0);
        pthread_join(thread, NULL);
    }
}

/* What an allocator of Lua's is asked for: any size to any other, the contents stay. */
static void test_resize(void **state) {
    (void)state;
    static const size_t steps[] = {1,    24,  25,   40,   1000, 1016, 1017, 5000,
                                   9000, 800, 1016, 3000, 56,   41,   40,   16};
    enum { STEPS = sizeof steps / sizeof *steps };
    unsigned char *p = NULL, *beside[STEPS];
    size_t old = 0;
    for (int i = 0; i < STEPS; i++) {
        p = td_resize_bytes(p, old, steps[i]);
        assert_non_null(p);
        for (size_t k = 0; k < old && k < steps[i]; k++)
            assert_int_equal(p[k], (unsigned char)(k * 31 + 7));
        for (size_t k = 0; k < steps[i]; k++) p[k] = (unsigned char)(k * 31 + 7);
        beside[i] = td_resize_bytes(NULL, 0, steps[i]);
        assert_non_null(beside[i]);
        memset(beside[i], 0xaa, steps[i]);
        old = steps[i];
    }
    assert_null(td_resize_bytes(p, old, 0));
    for (int i = 0; i < STEPS; i++) {
        for (size_t k = 0; k < steps[i]; k++) assert_int_equal(beside[i][k], 0xaa);
        assert_null(td_resize_bytes(beside[i], steps[i], 0));
    }
    assert_null(td_resize_bytes(NULL, 0, 0));
    /* a zeroed struct may get what was such a block */
    for (int i = 0; i < STEPS; i++) {
        unsigned char *z = td_new_bytes(steps[i]);
        for (size_t k = 0; k < steps[i]; k++) assert_int_equal(z[k], 0);
        td_free_bytes(z, steps[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_blocks), cmocka_unit_test(test_structs_are_zeroed),
        cmocka_unit_test(test_budget),      cmocka_unit_test(test_big_blocks_come_back),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
