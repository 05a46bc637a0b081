/* The owner's data sets: sealed, shared by all sessions, fetched only where the policy is open. */
#include "runtime/scratch.h"
#include "tests/net/rig.h"

#include <errno.h>
#include <sys/mman.h>

#include "net/datasets.h"

static void sealed_memory_stays_as_it_is(void **state) {
    (void)state;
    td_err err = {0};
    td_shape shape = {.ndim = 2, .dim = {300, 7}};
    td_tensor *x = td_tensor_new(TD_F32, &shape, &err);
    float *p = td_tensor_data(x);
    for (int i = 0; i < 2100; i++) p[i] = (float)i;
    td_tensor *s = td_tensor_sealed(x, &err);
    assert_non_null(s);
    assert_true(s->storage->readonly);
    assert_memory_equal(td_tensor_data(s), p, 2100 * sizeof(float));
    void *page = td_tensor_data(s);
    assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE),
                     -1); /* not even on purpose */
    assert_int_equal(errno, EACCES);
    td_tensor_unref(&x);
    td_tensor_unref(&s);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

static void views_and_empty_ones(void **state) {
    (void)state;
    td_err err = {0};
    td_shape shape = {.ndim = 2, .dim = {2, 3}}, turned = {.ndim = 2, .dim = {3, 2}},
             none = {.ndim = 1};
    td_tensor *x = td_tensor_new(TD_I64, &shape, &err);
    for (int i = 0; i < 6; i++) ((int64_t *)td_tensor_data(x))[i] = i;
    td_tensor *t = td_tensor_view(x, &turned, (const int64_t[]){1, 3}, 0, &err);
    td_tensor *s = td_tensor_sealed(t, &err), *e = td_tensor_new(TD_F32, &none, &err);
    const int64_t want[] = {0, 3, 1, 4, 2, 5};
    assert_memory_equal(td_tensor_data(s), want, sizeof want);
    td_tensor *empty = td_tensor_sealed(e, &err);
    assert_non_null(empty);
    td_tensor_unref(&x);
    td_tensor_unref(&t);
    td_tensor_unref(&s);
    td_tensor_unref(&e);
    td_tensor_unref(&empty);
}

/* Two sets over one file: one open, one that waits for plans. */
static void name_sets(rig *r, td_set_config *set) {
    char path[128];
    snprintf(path, sizeof path, "%s/ward.csv", r->folder);
    FILE *f = fopen(path, "w");
    fputs("age,outcome\n50,1\n60,0\n70,1\n", f);
    fclose(f);
    for (int i = 0; i < 2; i++) {
        set[i] = (td_set_config){.policy = i ? TD_POLICY_PLANS : TD_POLICY_OPEN};
        snprintf(set[i].name, sizeof set[i].name, i ? "shut" : "open");
        snprintf(set[i].path, sizeof set[i].path, "%s", path);
        snprintf(set[i].target, sizeof set[i].target, "outcome");
        set[i].tags.count = 1;
        snprintf(set[i].tags.tag[0], TD_TAG_BYTES, "#ward");
    }
    r->config.set = set;
    r->config.set_count = 2;
}

static void rows_of_open_sets_alone(void **state) {
    rig *r = *state;
    td_set_config set[2];
    td_err err;
    td_obj *x = NULL, *y = NULL;
    td_about about_x, about_y;
    name_sets(r, set);
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    assert_non_null(s);
    assert_int_equal(td_session_dataset(s, "open", &x, &about_x, &y, &about_y, &err), 0);
    assert_int_equal(about_x.meta.shape.dim[0], 3);
    td_val *v = td_val_away(x, &about_x.meta, &err);
    assert_true(fetch(s, v, &err) == 50);
    td_val *sum = apply2("add", v, v, &err);
    assert_true(fetch(s, sum, &err) == 100);
    td_val_unref(&v);
    td_val_unref(&sum);
    td_obj_unref(&y);
    assert_int_equal(td_session_dataset(s, "none", &x, &about_x, &y, &about_y, &err),
                     TD_E_NOT_FOUND);
    x = y = NULL;
    int rc = td_session_dataset(s, "shut", &x, &about_x, &y, &about_y, &err);
    if (rc == 0) { /* it may be named; its rows may not be touched */
        v = td_val_away(x, &about_x.meta, &err);
        fetch(s, v, &err);
        td_val_unref(&v);
        td_obj_unref(&y);
    }
    assert_int_equal(err.code, TD_E_DENIED);
    session_close(s);
}

static void files_that_cannot_be_read(void **state) {
    rig *r = *state;
    td_set_config set[2];
    td_datasets data;
    td_err err = {0};
    char want[PATH_MAX + 100];
    name_sets(r, set);
    snprintf(set[1].path, sizeof set[1].path, "%s/none.csv", r->folder);
    assert_int_equal(td_datasets_load(&r->config, &data, &err), TD_E_IO);
    snprintf(want, sizeof want,
             "data set shut: '%s/none.csv': cannot open: No such file or directory",
             r->folder);
    assert_string_equal(err.msg, want);
    assert_string_equal(err.call, "worker");
    snprintf(set[1].path, sizeof set[1].path, "%s", set[0].path);
    snprintf(set[1].target, sizeof set[1].target, "result");
    assert_int_equal(td_datasets_load(&r->config, &data, &err), TD_E_NOT_FOUND);
    snprintf(want, sizeof want, "data set shut: %s has no 'result', it has: age, outcome",
             set[0].path);
    assert_string_equal(err.msg, want);
    assert_int_equal(data.count, 0);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_memory_stays_as_it_is),
        cmocka_unit_test(views_and_empty_ones),
        TEST(rows_of_open_sets_alone),
        TEST(files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
