/* NPY: files that NumPy wrote (tools/make-fixtures.py), and headers that nobody should write. */
#include "tests/runtime/formats_test.h"

static void reads_what_numpy_writes(void **state) {
    (void)state;
    static const char quarters[] =
        "f32 2x3x4: 0 0.25 0.5 0.75 1 1.25 1.5 1.75 2 2.25 2.5 2.75 3 3.25 3.5 "
        "3.75 4 4.25 4.5 4.75 5 5.25 5.5 5.75";
    static const struct {
        const char *path, *text;
    } cases[] = {
        {DATA "f4.npy", quarters},
        {DATA "f4-big.npy", quarters},
        {DATA "v2.npy", quarters},
        {DATA "v3.npy", quarters},
        {DATA "f8-fortran.npy", "f64 2x3x4: 0 0.125 0.25 0.375 0.5 0.625 0.75 0.875 1 "
                                "1.125 1.25 1.375 1.5 1.625 1.75 1.875 2 "
                                "2.125 2.25 2.375 2.5 2.625 2.75 2.875"},
        {DATA "f2.npy", "f16 3: 0.5 -2 65504"},
        {DATA "i1.npy", "i32 3: -128 0 127"},
        {DATA "i2-big.npy", "i32 3: -32768 1 32767"},
        {DATA "u2.npy", "i32 3: 0 1 65535"},
        {DATA "u4.npy", "i64 2: 0 4294967295"},
        {DATA "u8.npy", "i64 2: 0 9223372036854775807"},
        {DATA "i8.npy", "i64 2: -9223372036854775808 9223372036854775807"},
        {DATA "bool.npy", "bool 2x2: 1 0 0 1"},
        {DATA "scalar.npy", "f64 scalar: 2.5"},
        {DATA "empty.npy", "f32 3x0x2:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_table t;
        assert_file_loads(cases[i].path, &t);
        assert_text(t.format, "npy");
        assert_entry(&t, 0, "", cases[i].text);
        td_table_clear(&t);
    }
    assert_int_equal(td_data_live_bytes(), 0);
}

static void refuses_types_that_tensors_do_not_have(void **state) {
    (void)state;
    assert_file_fails(
        DATA "object.npy", NULL, TD_E_DTYPE,
        "'tests/data/object.npy': npy: Python objects (dtype '|O') are not read");
    assert_file_fails(
        DATA "records.npy", NULL, TD_E_DTYPE,
        "'tests/data/records.npy': npy: records (structured dtypes) are not read");
    assert_file_fails(
        DATA "text.npy", NULL, TD_E_DTYPE,
        "'tests/data/text.npy': npy: dtype '<U2' is not read, only b1, u1 to u8, i1 to "
        "i8, f2, f4 and f8");
    assert_file_fails(DATA "complex.npy", NULL, TD_E_DTYPE,
                      "'tests/data/complex.npy': npy: dtype '<c8' is not read, only b1, "
                      "u1 to u8, i1 to "
                      "i8, f2, f4 and f8");
    assert_file_fails(DATA "u8-large.npy", NULL, TD_E_VALUE,
                      "'tests/data/u8-large.npy': npy: element 2 is 9223372036854775808, "
                      "which does not "
                      "fit i64");
}

/* Version 1 with this header and these data. */
static size_t make(uint8_t *out, const char *header, const char *data) {
    size_t n = strlen(header), m = strlen(data);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (uint8_t)(n & 0xff);
    out[9] = (uint8_t)(n >> 8);
    memcpy(out + 10, header, n);
    memcpy(out + 10 + n, data, m);
    return 10 + n + m;
}

static void takes_headers_as_python_may_write_them(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{'descr':'|u1','fortran_order':False,'shape':(2,)}",
        "{\"shape\": (1L, 2L), \"descr\": \"|u1\", \"fortran_order\": True}\n",
        " { 'fortran_order' : False , 'shape' : ( 2 , 1 , ) , 'descr' : '=u1' , }   \n",
        "{'descr': '>u1', 'fortran_order': False, 'shape': (1, 2, 1, 1, 1, 1, 1, 1), }",
    };
    uint8_t file[300];
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        td_table t;
        assert_loads(file, make(file, headers[i], "ab"), NULL, &t);
        assert_int_equal(td_tensor_numel(t.entry[0].tensor), 2);
        assert_memory_equal(td_tensor_data(t.entry[0].tensor), "ab", 2);
        td_table_clear(&t);
    }
}

static void refuses_lying_headers(void **state) {
    (void)state;
#define WANTED "npy: header at byte "
    static const struct {
        const char *header;
        int code;
        const char *text;
    } cases[] = {
        {"", TD_E_FORMAT, WANTED "10: wanted '{', got its end"},
        {"[1]", TD_E_FORMAT, WANTED "10: wanted '{', got '[1]'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", TD_E_FORMAT,
         "npy: 2x3 f32 needs 91 bytes, the file has 69"},
        {"{'descr': '<f4', 'fortran_order': False}", TD_E_FORMAT,
         "npy: header has no 'shape'"},
        {"{'descr': '<f4', 'descr': '<f4'}", TD_E_FORMAT,
         "npy: header has the key 'descr' twice"},
        {"{'desc': '<f4'}", TD_E_FORMAT,
         "npy: header has the key 'desc'; wanted descr, fortran_order, shape"},
        {"{'descr': '<f4' 'shape': ()}", TD_E_FORMAT,
         WANTED "26: wanted ',' or '}', got ''shape': ()}'"},
        {"{'descr': '<f4', 'fortran_order': 0}", TD_E_FORMAT,
         WANTED "44: wanted True or False, got '0}'"},
        {"{'shape': (3)}", TD_E_FORMAT,
         WANTED "22: wanted ',' behind the size, got ')}'"},
        {"{'shape': (-3,)}", TD_E_FORMAT, WANTED "21: wanted a size, got '-3,)}'"},
        {"{'shape': (2 3,)}", TD_E_FORMAT,
         WANTED "23: wanted ',' behind the size, got '3,)}'"},
        {"{'shape': (99999999999999999999,)}", TD_E_LIMIT,
         WANTED "21: a size is too large"},
        {"{'shape': (1,1,1,1,1,1,1,1,1)}", TD_E_LIMIT, "npy: more than 8 dimensions"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         TD_E_LIMIT, "npy: a f64 tensor of 4294967296x4294967296 is too large"},
        {"{'descr': '<f\\x34'}", TD_E_FORMAT,
         WANTED "20: wanted a plain string, got ''<f\\x34'}'"},
        {"{'descr': '<f4", TD_E_FORMAT, WANTED "20: wanted a plain string, got ''<f4'"},
        {"{'descr': '|f4'}", TD_E_DTYPE,
         "npy: dtype '|f4' is not read, only b1, u1 to u8, i1 to i8, f2, f4 and f8"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2,)} x", TD_E_FORMAT,
         WANTED "66: wanted its end, got 'x'"},
    };
    uint8_t file[300];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = make(file, cases[i].header, "ab");
        assert_fails(file, n, NULL, cases[i].code,
                     cases[i].text); /* not past the header's end */
    }
    td_file_options npy = {.format = "npy"};
    assert_fails(LITERAL("\x93NUMPY\1"), &npy, TD_E_FORMAT,
                 "npy: a header needs 10 bytes, the file has 7");
    assert_fails(LITERAL("\x93NUMPX\1\0\0\0"), &npy, TD_E_FORMAT,
                 "npy: does not begin with \\x93NUMPY");
    assert_fails(LITERAL("\x93NUMPY\4\0\0\0"), &npy, TD_E_FORMAT,
                 "npy: version 4.0, wanted 1.0, 2.0 or 3.0");
    assert_fails(LITERAL("\x93NUMPY\2\0\xff\xff\xff\xff"), &npy, TD_E_LIMIT,
                 "npy: a header of 4294967295 bytes, 65536 are allowed");
    assert_fails(LITERAL("\x93NUMPY\1\0\xff\xff"), &npy, TD_E_FORMAT,
                 "npy: the header needs 65545 bytes, the file has 10");
}

static void survives_damage(void **state) {
    (void)state;
    static const char *const paths[] = {DATA "f4.npy", DATA "v2.npy",
                                        DATA "f8-fortran.npy"};
    for (size_t i = 0; i < 3; i++) {
        size_t n;
        uint8_t *bytes = slurp(paths[i], &n);
        assert_refuses_cuts(bytes, n, "npy");
        survives_flips(bytes, n, "npy");
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_writes),
        cmocka_unit_test(refuses_types_that_tensors_do_not_have),
        cmocka_unit_test(takes_headers_as_python_may_write_them),
        cmocka_unit_test(refuses_lying_headers),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
