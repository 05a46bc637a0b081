/* IDX: bytes written from the format's description. */
#include "tests/runtime/formats_test.h"

static const char u8_2x3[] = "\0\0\x08\2\0\0\0\2\0\0\0\3\1\2\3\4\5\xff";

static void reads_each_type(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
        const char *text;
    } cases[] = {
        {LITERAL(u8_2x3), "u8 2x3: 1 2 3 4 5 255"},
        {LITERAL("\0\0\x09\1\0\0\0\3\x80\0\x7f"), "i32 3: -128 0 127"},
        {LITERAL("\0\0\x0b\1\0\0\0\2\xff\xfe\1\2"), "i32 2: -2 258"},
        {LITERAL("\0\0\x0c\1\0\0\0\2\xff\xff\xff\xfe\1\2\3\4"), "i32 2: -2 16909060"},
        {LITERAL("\0\0\x0d\1\0\0\0\2\x3f\xc0\0\0\xff\x80\0\0"), "f32 2: 1.5 -inf"},
        {LITERAL("\0\0\x0e\1\0\0\0\1\xc0\x04\0\0\0\0\0\0"), "f64 1: -2.5"},
        {LITERAL("\0\0\x08\3\0\0\0\0\0\0\0\3\0\0\0\4"), "u8 0x3x4:"},
        {LITERAL("\0\0\x08\x08\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0"
                 "\0\0\2ab"),
         "u8 1x1x1x1x1x1x1x2: 97 98"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_table t;
        assert_loads(cases[i].bytes, cases[i].count, NULL, &t);
        assert_text(t.format, "idx");
        assert_int_equal(t.count, 1);
        assert_entry(&t, 0, "", cases[i].text);
        td_table_clear(&t);
    }
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    td_file_options idx = {.format = "idx"};
    char mnist[1000] = "\0\0\x08\3\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c";
    assert_fails(mnist, sizeof mnist, NULL, TD_E_FORMAT,
                 "idx: 60000x28x28 u8 needs 47040016 bytes, the file has 1000");
    assert_fails(LITERAL("\0\0\x08\1\0\0\0\1ab"), NULL, TD_E_FORMAT,
                 "idx: 1 u8 needs 9 bytes, the file has 10");
    assert_fails(LITERAL("\0\0\x08"), &idx, TD_E_FORMAT,
                 "idx: a header needs 4 bytes, the file has 3");
    assert_fails(LITERAL("\0\1\x08\1"), &idx, TD_E_FORMAT,
                 "idx: begins with bytes 00 01, not 00 00");
    assert_fails(LITERAL("\0\0\x0a\1\0\0\0\0"), &idx, TD_E_FORMAT,
                 "idx: type 0x0a at byte 2 is none of 08, 09, 0b, 0c, 0d, 0e");
    assert_fails(LITERAL("\0\0\x08\0"), &idx, TD_E_FORMAT,
                 "idx: has 0 dimensions, wanted 1 to 8");
    assert_fails(LITERAL("\0\0\x08\x09"), &idx, TD_E_FORMAT,
                 "idx: has 9 dimensions, wanted 1 to 8");
    assert_fails(LITERAL("\0\0\x08\2\0\0\0\1"), NULL, TD_E_FORMAT,
                 "idx: the header of 2 dimensions needs 12 bytes, the file has 8");
    /* Sizes whose product does not fit 64 bits; a zero among them must not hide that. */
    assert_fails(LITERAL("\0\0\x0e\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
                 NULL, TD_E_LIMIT,
                 "idx: a f64 tensor of 4294967295x4294967295x4294967295 is too large");
    assert_fails(LITERAL("\0\0\x08\3\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"), NULL,
                 TD_E_LIMIT, "idx: a u8 tensor of 4294967295x4294967295x0 is too large");
}

static void refuses_what_is_beyond_the_bounds(void **state) {
    (void)state;
    td_file_options small = {.max_bytes = 17};
    assert_fails(LITERAL(u8_2x3), &small, TD_E_LIMIT, "has 18 bytes, 17 are allowed");
    td_file_options wide = {.max_bytes = 20};
    /* Four bytes a value in memory, one in the file. */
    assert_fails(LITERAL("\0\0\x09\1\0\0\0\x06"
                         "abcdef"),
                 &wide, TD_E_LIMIT,
                 "idx: 6 of i32 takes 24 bytes more after 0, and 20 are allowed in all");
}

static void survives_damage(void **state) {
    (void)state;
    assert_refuses_cuts((const uint8_t *)u8_2x3, sizeof u8_2x3 - 1, "idx");
    survives_flips((const uint8_t *)u8_2x3, sizeof u8_2x3 - 1, "idx");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_type),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(refuses_what_is_beyond_the_bounds),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
