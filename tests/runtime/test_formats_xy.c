/* Data files as examples and targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "runtime/formats/save.h"
#include "runtime/formats/xy.h"
#include "runtime/mem.h"

static char path[64];

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/tide-xy.XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

static void put(const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_values(const td_tensor *x, td_dtype d, int ndim, const double *want) {
    assert_int_equal(x->dtype, d);
    assert_int_equal(x->shape.ndim, ndim);
    const char *p = td_tensor_data(x);
    for (int64_t i = 0; i < td_tensor_numel(x); i++) {
        double v = td_load_f64(d, p + (size_t)i * td_dtype_bytes(d));
        assert_true(v > want[i] - 1e-6 && v < want[i] + 1e-6);
    }
}

static void csv_with_target(void **state) {
    (void)state;
    td_tensor *x, *y;
    td_err err = {0};
    put("age,outcome,ward\n50,1,b\n60.5,0,a\n70,1,b\n");
    assert_int_equal(td_file_load_xy(path, "outcome", &x, &y, &err), 0);
    assert_values(
        x, TD_F32, 2,
        (const double[]){50, 1, 60.5, 0, 70, 1}); /* wards by their order: a, b */
    assert_values(y, TD_I64, 1, (const double[]){1, 0, 1});
    td_tensor_unref(&x);
    td_tensor_unref(&y);
    assert_int_equal(td_file_load_xy(path, "age", &x, &y, &err), 0);
    assert_values(x, TD_F32, 2, (const double[]){1, 1, 0, 0, 1, 1});
    assert_values(y, TD_F32, 1, (const double[]){50, 60.5, 70});
    td_tensor_unref(&x);
    td_tensor_unref(&y);
}

static void csv_without_target(void **state) {
    (void)state;
    td_tensor *x, *y;
    td_err err = {0};
    put("a,b\n1,2\n3,4\n");
    assert_int_equal(td_file_load_xy(path, "", &x, &y, &err), 0);
    assert_values(x, TD_F32, 2, (const double[]){1, 2, 3, 4});
    assert_null(y);
    td_tensor_unref(&x);
}

static void csv_refusals(void **state) {
    (void)state;
    td_tensor *x, *y;
    td_err err = {0};
    char want[200];
    put("a,b\n1,2\n3,4\n");
    assert_int_equal(td_file_load_xy(path, "c", &x, &y, &err), TD_E_NOT_FOUND);
    snprintf(want, sizeof want, "%s has no 'c', it has: a, b", path);
    assert_string_equal(err.msg, want);
    put("a\n1\n3\n");
    assert_int_equal(td_file_load_xy(path, "a", &x, &y, &err), TD_E_SHAPE);
    snprintf(want, sizeof want, "%s has no column but 'a'", path);
    assert_string_equal(err.msg, want);
    assert_null(x);
    assert_null(y);
    assert_int_equal(td_data_live_bytes(), 0);
}

/* A safetensors file of named tensors of so many rows. */
static void save(const char *const *names, const int64_t *rows, int count) {
    td_table t = {0};
    td_err err = {0};
    for (int i = 0; i < count; i++) {
        td_shape s = {.ndim = 1, .dim = {rows[i]}};
        td_tensor *x = td_tensor_new(TD_F32, &s, &err);
        for (int64_t k = 0; k < rows[i]; k++)
            ((float *)td_tensor_data(x))[k] = (float)(10 * i + (int)k);
        assert_int_equal(td_table_add(&t, names[i], &x, &err), 0);
    }
    assert_int_equal(td_safetensors_save(path, &t, &err), 0);
    td_table_clear(&t);
}

static void named_arrays(void **state) {
    (void)state;
    td_tensor *x, *y;
    td_err err = {0};
    save((const char *const[]){"x", "y"}, (const int64_t[]){2, 2}, 2);
    assert_int_equal(td_file_load_xy(path, NULL, &x, &y, &err), 0);
    assert_values(x, TD_F32, 1, (const double[]){0, 1});
    assert_values(y, TD_F32, 1, (const double[]){10, 11});
    td_tensor_unref(&x);
    td_tensor_unref(&y);
    save((const char *const[]){"label", "image"}, (const int64_t[]){2, 2}, 2);
    assert_int_equal(td_file_load_xy(path, "label", &x, &y, &err),
                     0); /* x is the other one */
    assert_values(x, TD_F32, 1, (const double[]){10, 11});
    assert_values(y, TD_F32, 1, (const double[]){0, 1});
    td_tensor_unref(&x);
    td_tensor_unref(&y);
}

static void named_refusals(void **state) {
    (void)state;
    td_tensor *x, *y;
    td_err err = {0};
    char want[200];
    save((const char *const[]){"a", "b", "y"}, (const int64_t[]){2, 2, 2}, 3);
    assert_int_equal(td_file_load_xy(path, NULL, &x, &y, &err), TD_E_NOT_FOUND);
    snprintf(want, sizeof want, "%s has no 'x', it has: a, b, y", path);
    assert_string_equal(err.msg, want);
    save((const char *const[]){"x", "y"}, (const int64_t[]){3, 2}, 2);
    assert_int_equal(td_file_load_xy(path, NULL, &x, &y, &err), TD_E_SHAPE);
    snprintf(want, sizeof want, "%s: x is 3 and 'y' is 2: the rows differ in number",
             path);
    assert_string_equal(err.msg, want);
    assert_int_equal(td_file_load_xy("/nowhere/x.npz", NULL, &x, &y, &err), TD_E_IO);
    assert_int_equal(td_data_live_bytes(), 0);
}

static void one_array(void **state) {
    (void)state;
    td_tensor *x, *y;
    td_err err = {0};
    td_shape s = {.ndim = 1, .dim = {2}};
    td_tensor *a = td_tensor_new(TD_I64, &s, &err);
    ((int64_t *)td_tensor_data(a))[0] = 4;
    ((int64_t *)td_tensor_data(a))[1] = 5;
    assert_int_equal(td_npy_save(path, a, &err), 0);
    td_tensor_unref(&a);
    assert_int_equal(td_file_load_xy(path, NULL, &x, &y, &err), 0);
    assert_values(x, TD_I64, 1, (const double[]){4, 5});
    assert_null(y);
    td_tensor_unref(&x);
    char want[200];
    assert_int_equal(td_file_load_xy(path, "y", &x, &y, &err), TD_E_NOT_FOUND);
    snprintf(want, sizeof want, "%s has one array and no 'y'", path);
    assert_string_equal(err.msg, want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_with_target), cmocka_unit_test(csv_without_target),
        cmocka_unit_test(csv_refusals),    cmocka_unit_test(named_arrays),
        cmocka_unit_test(named_refusals),  cmocka_unit_test(one_array),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
