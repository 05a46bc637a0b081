/* The table of embedded files: sorted, ended, and each file as it is in the tree (tests run in the top
 * folder). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lua/embedded.h"

static void the_table_is_sorted(void **state) {
    (void)state;
    assert_non_null(td_embedded_files[0].name);
    for (const struct td_embedded *e = td_embedded_files; e[1].name != NULL; e++)
        assert_true(strcmp(e[0].name, e[1].name) < 0);
}

static void files_are_as_in_the_tree(void **state) {
    (void)state;
    for (const struct td_embedded *e = td_embedded_files; e->name != NULL; e++) {
        FILE *f = fopen(e->name, "rb");
        if (f == NULL) fail_msg("%s is not in the tree", e->name);
        for (size_t i = 0; i < e->size; i++)
            if (getc(f) != e->data[i]) fail_msg("%s differs at byte %zu", e->name, i);
        assert_int_equal(getc(f), EOF);
        assert_int_equal(e->data[e->size], 0);
        fclose(f);
    }
}

static void the_digits_are_there(void **state) {
    (void)state;
    for (const struct td_embedded *e = td_embedded_files; e->name != NULL; e++)
        if (strcmp(e->name, "lua/data/digits.csv.gz") == 0) {
            assert_int_equal(e->size, 57512);
            return;
        }
    fail_msg("no digits");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted),
        cmocka_unit_test(files_are_as_in_the_tree),
        cmocka_unit_test(the_digits_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
