/* The front of the file readers: where bytes come from, gzip, detection, bounds, and memory that runs out. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/failing_heap.h"
#include "tests/runtime/formats_test.h"

/* A path in the test's own folder. */
static const char *temp(const char *name) {
    static char path[500];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/tide-%ld-%s", folder ? folder : "/tmp",
             (long)getpid(), name);
    return path;
}

/* The message behind the path, which differs from run to run. */
static void assert_path_fails(const char *path, int code, const char *text) {
    td_table t = {0};
    td_err err = {0};
    assert_int_equal(td_file_load(path, NULL, &t, &err), code);
    const char *behind = strstr(err.msg, "': ");
    assert_non_null(behind);
    assert_text(behind + 3, text);
    assert_int_equal(td_data_live_bytes(), 0);
}

static void reads_regular_files_only(void **state) {
    (void)state;
    assert_file_fails("no/such/file", NULL, TD_E_IO,
                      "'no/such/file': cannot open: No such file or directory");
    assert_file_fails("tests", NULL, TD_E_IO,
                      "'tests': is a directory; only regular files are read");
    assert_file_fails("/dev/zero", NULL, TD_E_IO,
                      "'/dev/zero': is a device; only regular files are read");
    char fifo[500];
    snprintf(fifo, sizeof fifo, "%s", temp("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_path_fails(fifo, TD_E_IO, "is a FIFO; only regular files are read");
    unlink(fifo);
    /* says 0 bytes, and has some */
    assert_file_fails(
        "/proc/self/status", NULL, TD_E_IO,
        "'/proc/self/status': changed while it was read: had 0 bytes, then more");
    td_file_options o = {.max_bytes = 57};
    assert_file_fails(DATA "people.csv", &o, TD_E_LIMIT,
                      "'tests/data/people.csv': has 58 bytes, 57 are allowed");
}

static void write_file(const char *path, const void *bytes, size_t count) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    fclose(f);
}

static void says_the_end_of_long_paths(void **state) {
    (void)state;
    assert_file_fails(
        "a/very/long/path/that/goes/on/and/on/and/on/until/at/last/there/is/no.file",
        NULL, TD_E_IO,
        "...'es/on/and/on/and/on/until/at/last/there/is/no.file': cannot open: No "
        "such "
        "file or directory");
}

static void knows_formats_by_content(void **state) {
    (void)state;
    static const struct {
        const char *path, *format;
    } cases[] = {
        {DATA "people.csv", "csv"},          {DATA "f4.npy", "npy"},
        {DATA "stored.npz", "npz"},          {DATA "model.safetensors", "safetensors"},
        {"tests/fuzz/corpus/idx/u8", "idx"}, {"tests/fuzz/corpus/idx/gzipped", "idx"}};
    char path[500];
    snprintf(path, sizeof path, "%s", temp("misnamed.npy"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n;
        uint8_t *bytes = slurp(cases[i].path, &n);
        write_file(path, bytes, n);
        td_table t;
        assert_file_loads(path, &t);
        assert_text(t.format, cases[i].format);
        td_table_clear(&t);
        free(bytes);
    }
    unlink(path);
}

static void says_what_it_does_not_read(void **state) {
    (void)state;
    assert_fails("", 0, NULL, TD_E_FORMAT, "is empty");
    assert_fails(NULL, 0, NULL, TD_E_FORMAT, "is empty");
    assert_fails(LITERAL("PAR1\x15\0"), NULL, TD_E_FORMAT,
                 "is a Parquet file; wanted IDX, NPY, NPZ, CSV or safetensors");
    assert_fails(LITERAL("\xff\xfe"
                         "a\0,\0"),
                 NULL, TD_E_FORMAT,
                 "is UTF-16 text; wanted IDX, NPY, NPZ, CSV or safetensors");
    assert_fails(LITERAL("\0\0\x07\1zz"), NULL, TD_E_FORMAT,
                 "is of an unknown kind: begins with '\\x00\\x00\\x07\\x01zz'; wanted "
                 "IDX, NPY, NPZ, CSV "
                 "or safetensors");
    td_file_options o = {.format = "tsv"};
    assert_fails(LITERAL("a"), &o, TD_E_ARGUMENT,
                 "format 'tsv' is none of idx, npy, npz, csv, safetensors");
    o = (td_file_options){.csv_float = TD_I64};
    assert_fails(LITERAL("a"), &o, TD_E_ARGUMENT,
                 "option csv_float is neither f32 nor f64");
    o = (td_file_options){.csv_separator = '"'};
    assert_fails(LITERAL("a"), &o, TD_E_ARGUMENT,
                 "option csv_separator cannot be that character");
}

/* ---- gzip ------------------------------------------------------------------------------------- */

static size_t pack(uint8_t *out, size_t room, const void *bytes, size_t count) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)count;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static void unpacks_gzip(void **state) {
    (void)state;
    static const char first[] = "x\n1\n", second[] = "2\n";
    uint8_t gz[300];
    size_t a = pack(gz, sizeof gz, first, 4),
           n = a + pack(gz + a, sizeof gz - a, second, 2);
    td_table t;
    assert_loads(gz, n, NULL, &t); /* members one behind the other are one file */
    assert_entry(&t, 0, "x", "i64 2: 1 2");
    td_table_clear(&t);
    for (size_t cut = 0; cut < n; cut++)
        if (cut != a && load_exact(gz, cut, NULL) == 0)
            fail_msg("loads when cut to %zu", cut);
    survives_flips(gz, n, NULL);

    char text[100];
    gz[n] = 'x';
    snprintf(text, sizeof text,
             "gzip: bad compressed data at byte %zu: incorrect header check", n + 2);
    gz[n + 1] = 'y';
    assert_fails(gz, n + 2, NULL, TD_E_FORMAT, text);
    assert_fails(gz, a - 1, NULL, TD_E_FORMAT,
                 "gzip: the compressed data end early, at byte 23");
    gz[a - 8] ^= 1;
    assert_fails(gz, n, NULL, TD_E_FORMAT,
                 "gzip: bad compressed data at byte 20: incorrect data check");
}

static void refuses_gzip_bombs_before_memory_is_gone(void **state) {
    (void)state;
    td_file_options o = {.max_unpacked_bytes = 3999999};
    size_t before = (size_t)td_data_total_bytes(), n;
    uint8_t *bytes = slurp(DATA "bomb.gz", &n);
    assert_fails(bytes, n, &o, TD_E_LIMIT,
                 "gzip: unpacks to more than 3999999 bytes from 3910");
    assert_int_equal(td_data_total_bytes(), before);
    o.max_unpacked_bytes = 4000000;
    assert_fails(bytes, n, &o, TD_E_FORMAT,
                 "is of an unknown kind: begins with "
                 "'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'; wanted "
                 "IDX, NPY, NPZ, CSV or safetensors");
    free(bytes);
}

/* ---- memory ----------------------------------------------------------------------------------- */

static const char *const samples[] = {
    DATA "people.csv",        DATA "f8-fortran.npy",      DATA "deflated.npz",
    DATA "model.safetensors", DATA "stored.npz",          "tests/fuzz/corpus/idx/gzipped",
    DATA "f4-big.npy",        "tests/fuzz/corpus/csv/tab"};
#define SAMPLES (sizeof samples / sizeof samples[0])

/* Under every budget a load either works or says MEMORY, and gives everything back. */
static void keeps_to_any_budget(void **state) {
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        int code = TD_E_MEMORY;
        for (size_t limit = 1; code != 0; limit++) {
            td_table t = {0};
            td_err err = {0};
            td_data_set_limit(limit);
            code = td_file_load(samples[i], NULL, &t, &err);
            if (code != 0) {
                assert_int_equal(code, TD_E_MEMORY);
                assert_non_null(strstr(err.msg, "bytes more do not fit"));
                assert_int_equal(t.count, 0);
            }
            td_table_clear(&t);
            assert_int_equal(td_data_live_bytes(), 0);
            assert_true(limit < 100000);
        }
    }
    td_data_set_limit(0);
}

#if HEAP_CAN_FAIL
/* Every allocation fails once. */
static void survives_each_allocation_failing(void **state) {
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        long failures = 0;
        for (int code = 1; code != 0; failures++) {
            td_table t = {0};
            td_err err = {0};
            td_mem_give_back(); /* or a block that was kept would do, and no call be made */
            heap_calls_left = failures;
            code = td_file_load(samples[i], NULL, &t, &err);
            bool was_reached = heap_calls_left < 0;
            heap_calls_left = -1;
            if (code != 0) {
                assert_true(was_reached);
                assert_int_equal(code, TD_E_MEMORY);
                assert_int_equal(t.count, 0);
            }
            td_table_clear(&t);
            assert_int_equal(td_data_live_bytes(), 0);
        }
        assert_true(failures > 5);
    }
}
#else
static void survives_each_allocation_failing(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_regular_files_only),
        cmocka_unit_test(says_the_end_of_long_paths),
        cmocka_unit_test(knows_formats_by_content),
        cmocka_unit_test(says_what_it_does_not_read),
        cmocka_unit_test(unpacks_gzip),
        cmocka_unit_test(refuses_gzip_bombs_before_memory_is_gone),
        cmocka_unit_test(keeps_to_any_budget),
        cmocka_unit_test(survives_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
