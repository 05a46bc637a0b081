/* Safetensors, read: bytes by hand, and headers that lie. Writing is tested in test_formats_save.c. */
#include "tests/runtime/formats_test.h"

static uint8_t file[5000];

/* A file of this header and `data` bytes 0, 1, 2, ... */
static size_t make(const char *header, size_t data) {
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)n >> 8 * i & 0xff);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < data; i++) file[8 + n + i] = (uint8_t)i;
    return 8 + n + data;
}

static void reads_what_others_write(void **state) {
    (void)state;
    td_table t;
    assert_file_loads(DATA "model.safetensors", &t);
    assert_text(t.format, "safetensors");
    assert_int_equal(t.count, 5);
    assert_entry(&t, 0, "fc.weight", "f32 2x2: 1 2 3 4");
    assert_entry(&t, 1, "fc.bias", "bf16 2: 1 -2");
    assert_entry(&t, 2, "step", "i64 scalar: 77");
    assert_entry(&t, 3, "small", "i32 3: -1 0 5");
    assert_entry(&t, 4, "none", "u8 0x5:");
    assert_int_equal(t.metas, 2);
    assert_text(t.meta[0].key, "format");
    assert_text(t.meta[0].value, "pt");
    assert_text(t.meta[1].value,
                "gr\u00fc\u00df \u2713 \U0001f600"); /* JSON had escapes */
    td_table_clear(&t);

    assert_loads(file, make("{}", 0), NULL, &t);
    assert_int_equal(t.count, 0);
    td_table_clear(&t);
}

static void reads_every_dtype(void **state) {
    (void)state;
    static const char *const words[] = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16",
                                        "I8",  "U64", "U32", "U16",  "U8",  "BOOL"};
    static const int bytes[] = {8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1};
    static const td_dtype want[] = {TD_F64, TD_F32, TD_F16, TD_BF16, TD_I64,
                                    TD_I32, TD_I32, TD_I32, TD_I64,  TD_I64,
                                    TD_I32, TD_U8,  TD_BOOL};
    for (int i = 0; i < 13; i++) {
        char header[200];
        snprintf(header, sizeof header,
                 "\t{ \"\\u0041\\\"\\/\" : {\"shape\":[ 1 ] "
                 ",\"data_offsets\":[0,%d],\"dtype\":\"%s\"}}\n",
                 bytes[i], words[i]);
        td_table t;
        td_file_options o = {.format = "safetensors"};
        assert_loads(file, make(header, (size_t)bytes[i]), &o, &t);
        assert_text(t.entry[0].name, "A\"/");
        assert_int_equal(t.entry[0].tensor->dtype, want[i]);
        td_table_clear(&t);
    }
}

#define X8(name, from, to)                                                               \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[" #from "," #to "]}"

static void data_lie_without_gap_or_overlap(void **state) {
    (void)state;
    td_table t;
    assert_loads(file, make("{" X8("b", 2, 4) "," X8("a", 0, 2) "}", 4), NULL, &t);
    assert_entry(&t, 0, "b", "u8 2: 2 3"); /* the header's order, not the data's */
    assert_entry(&t, 1, "a", "u8 2: 0 1");
    td_table_clear(&t);
    static const struct {
        const char *header;
        size_t data;
        const char *text;
    } cases[] = {
        {"{" X8("a", 0, 2) "," X8("b", 1, 3) "}", 3,
         "'b' begins at 1 of the data, the one before it ends at 2: an overlap"},
        {"{" X8("a", 0, 2) "," X8("b", 0, 2) "}", 2,
         "'b' begins at 0 of the data, the one before it ends at 2: an overlap"},
        {"{" X8("a", 0, 2) "," X8("b", 3, 5) "}", 5,
         "'b' begins at 3 of the data, the one before it ends at 2: a hole"},
        {"{" X8("a", 1, 3) "}", 3,
         "'a' begins at 1 of the data, the one before it ends at 0: a hole"},
        {"{" X8("a", 0, 2) "}", 3, "the tensors need 2 bytes of data, the file has 3"},
        {"{" X8("a", 0, 2) "}", 1, "'a' lies at 0 to 2, the data have 1 bytes"},
        {"{" X8("a", 9223372036854775805, 9223372036854775807) "}", 4,
         "'a' lies at 9223372036854775805 to 9223372036854775807, the data have 4 bytes"},
        {"{" X8("a", 2, 0) "}", 4, "'a' lies at 2 to 0, the data have 4 bytes"},
        {"{" X8("a", 0, 3) "}", 3, "'a', 2 u8, needs 2 bytes, its offsets give it 3"},
        {"{" X8("a", 0, 2) "," X8("a", 2, 4) "}", 4, "'a' stands twice in the header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "safetensors: %s", cases[i].text);
        assert_fails(file, make(cases[i].header, cases[i].data), NULL, TD_E_FORMAT, text);
    }
}

static void refuses_lying_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        int code;
        const char *text;
    } cases[] = {
        {"{\"a\":1}", TD_E_FORMAT, "header at byte 13: wanted '{', got '1}'"},
        {"{\"a\":{}}", TD_E_FORMAT, "'a' has no 'dtype'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", TD_E_FORMAT,
         "'a' has no 'data_offsets'"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", TD_E_FORMAT,
         "'a' has twice the key 'dtype'"},
        {"{\"a\":{\"typ\":\"F32\"}}", TD_E_FORMAT, "'a' has the unknown key 'typ'"},
        {"{\"a\":{\"dtype\":\"F8_E4M3\"}}", TD_E_DTYPE,
         "'a' has a dtype that is not read: 'F8_E4M3'"},
        {"{\"a\":{\"shape\":[1,1,1,1,1,1,1,1,1]}}", TD_E_LIMIT,
         "'a' has more than 8 dimensions"},
        {"{\"a\":{\"shape\":[1.5]}}", TD_E_FORMAT,
         "header at byte 23: wanted an integer of 0 or more, got '1.5]}}'"},
        {"{\"a\":{\"shape\":[-1]}}", TD_E_FORMAT,
         "header at byte 23: wanted an integer of 0 or more, got '-1]}}'"},
        {"{\"a\":{\"shape\":[01]}}", TD_E_FORMAT,
         "header at byte 23: wanted an integer of 0 or more, got '01]}}'"},
        {"{\"a\":{\"shape\":[9223372036854775808]}}", TD_E_FORMAT,
         "header at byte 23: wanted an integer below 2^63, got '922337203685'"},
        {"{\"a\":{\"dtype\":\"F64\",\"data_offsets\":[0,0],\"shape\":[4294967296,"
         "4294967296]}}",
         TD_E_LIMIT, "'a': a f64 tensor of 4294967296x4294967296 is too large"},
        {"{\"a\":{\"data_offsets\":[1]}}", TD_E_FORMAT,
         "header at byte 32: wanted two offsets, got '}}'"},
        {"{\"a\":{\"data_offsets\":[1,2,3]}}", TD_E_FORMAT,
         "header at byte 34: wanted two offsets, got '3]}}'"},
        {"{\"a\\u0000\":{}}", TD_E_FORMAT,
         "header at byte 11: wanted a character of a string, got '\\u0000\":{}}'"},
        {"{\"\\ud800\":{}}", TD_E_FORMAT,
         "header at byte 10: wanted a character of a string, got '\\ud800\":{}}'"},
        {"{\"\\x\":{}}", TD_E_FORMAT,
         "header at byte 10: wanted a character of a string, got '\\x\":{}}'"},
        {"{\"\xc3(\":{}}", TD_E_FORMAT,
         "header at byte 10: wanted a character of a string, got '\\xc3(\":{}}'"},
        {"{\"a", TD_E_FORMAT, "header at byte 10: wanted a string with an end, got 'a'"},
        {"{\"a\\\"", TD_E_FORMAT,
         "header at byte 10: wanted a string with an end, got 'a\\\"'"},
        {"{} x", TD_E_FORMAT, "header at byte 11: wanted its end, got 'x'"},
        {"{,}", TD_E_FORMAT, "header at byte 9: wanted a string, got ',}'"},
        {"{\"__metadata__\":{\"a\":1}}", TD_E_FORMAT,
         "header at byte 29: wanted a string, got '1}}'"},
        {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", TD_E_FORMAT,
         "'a' stands twice in the header"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", TD_E_FORMAT,
         "there are two __metadata__"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "safetensors: %s", cases[i].text);
        assert_fails(file, make(cases[i].header, 0), NULL, cases[i].code, text);
    }
    td_file_options o = {.format = "safetensors"};
    assert_fails("1234567", 7, &o, TD_E_FORMAT,
                 "safetensors: the header's length needs 8 bytes, the file has 7");
    assert_fails(LITERAL("\1\xe1\xf5\5\0\0\0\0{}"), &o, TD_E_LIMIT,
                 "safetensors: a header of 100000001 bytes, 100000000 are allowed");
    assert_fails(LITERAL("\3\0\0\0\0\0\0\0{}"), NULL, TD_E_FORMAT,
                 "safetensors: the header needs 11 bytes, the file has 10");
    td_file_options one = {.max_entries = 1};
    assert_fails(file, make("{" X8("a", 0, 2) "," X8("b", 2, 4) "}", 4), &one, TD_E_LIMIT,
                 "safetensors: more than 1 tensors");
    assert_fails(file, make("{\"__metadata__\":{\"a\":\"\",\"b\":\"\"}}", 0), &one,
                 TD_E_LIMIT, "safetensors: more than 1 keys in __metadata__");
}

static void survives_damage(void **state) {
    (void)state;
    size_t n;
    uint8_t *bytes = slurp(DATA "model.safetensors", &n);
    assert_refuses_cuts(bytes, n, "safetensors");
    survives_flips(bytes, n, "safetensors");
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_others_write),
        cmocka_unit_test(reads_every_dtype),
        cmocka_unit_test(data_lie_without_gap_or_overlap),
        cmocka_unit_test(refuses_lying_headers),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
