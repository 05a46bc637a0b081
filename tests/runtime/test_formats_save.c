/* Writing: what is written reads back, and an old file outlives every failure. */
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/formats/save.h"
#include "tests/runtime/formats_test.h"

static char folder[300], path[400];

static int make_folder(void **state) {
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tide-save-%ld", parent ? parent : "/tmp",
             (long)getpid());
    snprintf(path, sizeof path, "%s/out", folder);
    return mkdir(folder, 0700);
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(
        folder); /* fails, and the test with it, when a temporary file was left */
}

static td_tensor *counting(td_dtype d, int ndim, const int64_t *dim) {
    td_shape s = {.ndim = ndim};
    for (int i = 0; i < ndim; i++) s.dim[i] = dim[i];
    td_tensor *x = td_tensor_new(d, &s, NULL);
    for (int64_t i = 0; i < td_tensor_numel(x); i++)
        td_store_f64(d, (char *)td_tensor_data(x) + (size_t)i * td_dtype_bytes(d),
                     (double)i);
    return x;
}

static void add(td_table *t, const char *name, td_tensor *x) {
    assert_int_equal(td_table_add(t, name, &x, NULL), 0);
    assert_null(x);
}

static void assert_saves(const td_table *t) {
    td_err err = {0};
    int code = td_safetensors_save(path, t, &err);
    if (code) print_error("%s\n", err.msg);
    assert_int_equal(code, 0);
}

static void safetensors_come_back(void **state) {
    (void)state;
    td_table t = {0}, back;
    for (int d = 1; d < TD_DTYPE_COUNT; d++) {
        char name[40];
        snprintf(name, sizeof name, "x.%s \"\\\n\u2713", td_dtype_name((td_dtype)d));
        add(&t, name, counting((td_dtype)d, 2, (int64_t[]){1, 3}));
    }
    add(&t, "scalar", counting(TD_F64, 0, NULL));
    add(&t, "", counting(TD_F32, 3, (int64_t[]){2, 0, 5}));
    /* not contiguous: a transposed view */
    td_tensor *x = counting(TD_F32, 2, (int64_t[]){2, 3});
    td_shape turned = {2, {3, 2}};
    add(&t, "turned", td_tensor_view(x, &turned, (int64_t[]){1, 3}, 0, NULL));
    td_tensor_unref(&x);
    assert_int_equal(td_table_add_meta(&t, "format", "pt", NULL), 0);
    assert_int_equal(td_table_add_meta(&t, "note\t", "\x7f\x01", NULL), 0);
    assert_saves(&t);
    assert_file_loads(path, &back);
    assert_int_equal(back.count, t.count);
    for (size_t i = 0; i < 10; i++) {
        char text[2000];
        snprintf(text, sizeof text, "%s", tensor_text(t.entry[i].tensor));
        assert_entry(&back, i, t.entry[i].name, text);
    }
    assert_entry(&back, 10, "turned", "f32 3x2: 0 3 1 4 2 5");
    assert_int_equal(back.metas, 2);
    assert_text(back.meta[0].value, "pt");
    assert_text(back.meta[1].key, "note\t");
    assert_text(back.meta[1].value, "\x7f\x01");
    td_table_clear(&back);
    td_table_clear(&t);

    assert_saves(&t); /* an empty table, over the old file */
    assert_file_loads(path, &back);
    assert_int_equal(back.count, 0);
    assert_int_equal(td_table_add_meta(&t, "k", "v", NULL), 0);
    assert_saves(&t);
    td_table_clear(&t);
    assert_file_loads(path, &back);
    assert_int_equal(back.metas, 1);
    td_table_clear(&back);
}

/* The very bytes, so that other readers can rely on them: aligned data, padded header, falling sizes. */
static void safetensors_bytes(void **state) {
    (void)state;
    td_table t = {0};
    add(&t, "b", counting(TD_U8, 1, (int64_t[]){3}));
    add(&t, "a", counting(TD_I32, 1, (int64_t[]){1}));
    assert_saves(&t);
    td_table_clear(&t);
    static const char want[] = "\x70\0\0\0\0\0\0\0{\"b\":{\"dtype\":\"U8\",\"shape\":[3],"
                               "\"data_offsets\":[4,7]},"
                               "\"a\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":["
                               "0,4]}}      \0\0\0\0\0\1\2";
    size_t n;
    uint8_t *bytes = slurp(path, &n);
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(bytes, want, n);
    free(bytes);
}

static void npy_comes_back(void **state) {
    (void)state;
    td_err err = {0};
    td_table back;
    for (int d = 1; d < TD_DTYPE_COUNT; d++)
        for (int ndim = 0; ndim <= 8; ndim++) {
            td_tensor *x =
                counting((td_dtype)d, ndim, (int64_t[]){2, 1, 1, 1, 1, 2, 1, 1});
            int code = td_npy_save(path, x, &err);
            if (d == TD_BF16) {
                assert_int_equal(code, TD_E_UNSUPPORTED);
                assert_text(err.msg, "npy: the format has no bf16");
            } else {
                assert_int_equal(code, 0);
                assert_file_loads(path, &back);
                char text[2000];
                snprintf(text, sizeof text, "%s", tensor_text(x));
                assert_entry(&back, 0, "", text);
                td_table_clear(&back);
                /* the data begin at a multiple of 64, as the format wants it */
                struct stat st;
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal((size_t)(st.st_size - (off_t)x->storage->bytes) % 64, 0);
            }
            td_tensor_unref(&x);
        }
    assert_int_equal(td_data_live_bytes(), 0);
}

static void npy_bytes_are_numpys(void **state) {
    (void)state;
    td_table t;
    size_t n, m;
    assert_file_loads(DATA "f4.npy", &t);
    assert_int_equal(td_npy_save(path, t.entry[0].tensor, NULL), 0);
    td_table_clear(&t);
    uint8_t *want = slurp(DATA "f4.npy", &n), *got = slurp(path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(got, want, n);
    free(want);
    free(got);
}

static void assert_save_fails(const char *to, const td_table *t, int code,
                              const char *text) {
    td_err err = {0};
    assert_int_equal(td_safetensors_save(to, t, &err), code);
    const char *behind = strstr(err.msg, "': ");
    assert_text(code == TD_E_IO && behind ? behind + 3 : err.msg, text);
}

static void refuses_names_that_do_not_come_back(void **state) {
    (void)state;
    td_table t = {0};
    add(&t, "a", counting(TD_U8, 0, NULL));
    add(&t, "b", counting(TD_U8, 0, NULL));
    add(&t, "a", counting(TD_U8, 0, NULL));
    assert_save_fails(path, &t, TD_E_ARGUMENT, "safetensors: two entries are called 'a'");
    td_table_clear(&t);
    add(&t, "__metadata__", counting(TD_U8, 0, NULL));
    assert_save_fails(path, &t, TD_E_ARGUMENT,
                      "safetensors: a tensor cannot be called '__metadata__'");
    td_table_clear(&t);
    add(&t, "\xff", counting(TD_U8, 0, NULL));
    assert_save_fails(path, &t, TD_E_ARGUMENT,
                      "safetensors: the name '\\xff' is not UTF-8");
    td_table_clear(&t);
}

static int files_in_folder(void) {
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

static void the_old_file_outlives_failures(void **state) {
    (void)state;
    td_table t = {0}, back;
    add(&t, "x", counting(TD_F32, 1, (int64_t[]){100000}));
    td_table small = {0};
    add(&small, "old", counting(TD_F32, 1, (int64_t[]){2}));
    assert_saves(&small);

    struct rlimit old, tight;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 65536; /* the disk is full after that */
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_save_fails(path, &t, TD_E_IO, "cannot write: File too large");
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(files_in_folder(), 1);
    assert_file_loads(path, &back);
    assert_entry(&back, 0, "old", "f32 2: 0 1");
    td_table_clear(&back);

    /* a tensor that cannot be made contiguous for want of memory, in the middle of writing */
    td_shape wide = {2, {2, 100000}};
    td_tensor *turned =
        td_tensor_view(t.entry[0].tensor, &wide, (int64_t[]){0, 1}, 0, NULL);
    td_table broad = {0};
    add(&broad, "x", turned);
    td_data_set_limit(td_data_live_bytes() + 1000);
    td_err err = {0};
    assert_int_equal(td_safetensors_save(path, &broad, &err), TD_E_MEMORY);
    td_data_set_limit(0);
    assert_int_equal(files_in_folder(), 1);

    td_writer w;
    assert_int_equal(td_writer_open(&w, path, &err), 0);
    assert_int_equal(td_writer_put(&w, "half", 4, &err), 0);
    td_writer_abort(&w);
    td_writer_abort(&w);
    assert_int_equal(files_in_folder(), 1);

    assert_save_fails("/nowhere/x", &t, TD_E_IO,
                      "cannot make a file beside it: No such file or directory");
    assert_save_fails(folder, &t, TD_E_IO, "is there, and is not a regular file");
    assert_save_fails("/dev/full", &t, TD_E_IO, "is there, and is not a regular file");
    td_table_clear(&broad);
    td_table_clear(&t);
    td_table_clear(&small);
}

static void keeps_permissions_and_links(void **state) {
    (void)state;
    td_table t = {0};
    struct stat st;
    char link[420];
    assert_saves(&t);
    assert_int_equal(chmod(path, 0640), 0);
    snprintf(link, sizeof link, "%s.link", path);
    assert_int_equal(symlink("out", link), 0);
    td_err err = {0};
    assert_int_equal(td_safetensors_save(link, &t, &err), 0);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    unlink(link);

    unlink(path);
    mode_t mask = umask(027);
    assert_saves(&t);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors_come_back),
        cmocka_unit_test(safetensors_bytes),
        cmocka_unit_test(npy_comes_back),
        cmocka_unit_test(npy_bytes_are_numpys),
        cmocka_unit_test(refuses_names_that_do_not_come_back),
        cmocka_unit_test(the_old_file_outlives_failures),
        cmocka_unit_test(keeps_permissions_and_links),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
