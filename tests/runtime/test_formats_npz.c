/* NPZ: files that Python's zipfile wrote, then with single fields changed. */
#include <zlib.h>

#include "tests/runtime/formats_test.h"

static void reads_stored_and_deflated(void **state) {
    (void)state;
    static const char *const paths[] = {DATA "stored.npz", DATA "deflated.npz"};
    for (size_t i = 0; i < 2; i++) {
        td_table t;
        assert_file_loads(paths[i], &t);
        assert_text(t.format, "npz");
        assert_int_equal(t.count, 2);
        assert_text(t.entry[0].name, "x");
        assert_int_equal(td_tensor_numel(t.entry[0].tensor), 24);
        /* a name is a name; nothing is written anywhere */
        assert_entry(&t, 1, "../../y", "i64 2: -9223372036854775808 9223372036854775807");
        assert_ptr_equal(td_table_find(&t, "../../y"), &t.entry[1]);
        assert_null(td_table_find(&t, "z"));
        td_table_clear(&t);
    }
    td_table none;
    assert_file_loads("tests/fuzz/corpus/npz/none", &none);
    assert_int_equal(none.count, 0);
    td_table_clear(&none);
}

static void bounds_what_members_unpack_to(void **state) {
    (void)state;
    td_table t;
    assert_file_loads(DATA "zeros.npz", &t); /* 1,000,128 bytes from 1.2 KB */
    assert_int_equal(t.bytes, 1000000);
    td_table_clear(&t);
    td_file_options o = {.max_unpacked_bytes = 1000127};
    assert_file_fails(DATA "zeros.npz", &o, TD_E_LIMIT,
                      "'tests/data/zeros.npz': npz: 'zeros.npy': unpacks to 1000128 "
                      "bytes more after 0, "
                      "and 1000127 are allowed in all");
    td_file_options small = {.max_bytes = 999999};
    assert_file_fails(DATA "zeros.npz", &small, TD_E_LIMIT,
                      "'tests/data/zeros.npz': npz: 'zeros.npy': npy: 250000 of f32 "
                      "takes 1000000 bytes "
                      "more after 0, and 999999 are allowed in all");
    td_file_options one = {.max_entries = 1};
    assert_file_fails(DATA "stored.npz", &one, TD_E_LIMIT,
                      "'tests/data/stored.npz': npz: 2 members, 1 are allowed");
}

static void refuses_other_members(void **state) {
    (void)state;
    assert_file_fails(DATA "stranger.npz", NULL, TD_E_FORMAT,
                      "'tests/data/stranger.npz': npz: 'readme.txt': is no array: wanted "
                      "names that end "
                      "in .npy");
    assert_file_fails(
        DATA "bzip2.npz", NULL, TD_E_FORMAT,
        "'tests/data/bzip2.npz': npz: zip: 'x.npy' is packed by method 12, wanted 0 "
        "(stored) or 8 (deflated)");
}

/* ---- a zip by hand, one member a time --------------------------------------------------------- */

typedef struct zip {
    uint8_t at[4000];
    size_t count, directory_count, members;
    uint8_t directory[2000];
} zip;

static void put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static void put32(uint8_t *p, size_t v) {
    put16(p, v & 0xffff);
    put16(p + 2, v >> 16 & 0xffff);
}

static void add(zip *z, const char *name, const void *data, size_t count) {
    size_t n = strlen(name), at = z->count;
    uint8_t *p = z->at + at, *d = z->directory + z->directory_count;
    uint32_t crc = (uint32_t)crc32(0, data, (uInt)count);
    memcpy(p, "PK\3\4\x14", 5);
    put32(p + 14, crc);
    put32(p + 18, count);
    put32(p + 22, count);
    put16(p + 26, (unsigned)n);
    memcpy(p + 30, name, n);
    memcpy(p + 30 + n, data, count);
    z->count += 30 + n + count;
    memcpy(d, "PK\1\2\x14\0\x14", 7);
    memcpy(d + 16, p + 14, 14);
    put32(d + 42, at);
    memcpy(d + 46, name, n);
    z->directory_count += 46 + n;
    z->members++;
}

/* The end record, behind the directory; returns where it begins. */
static size_t finish(zip *z) {
    size_t at = z->count;
    memcpy(z->at + at, z->directory, z->directory_count);
    uint8_t *p = z->at + at + z->directory_count;
    memcpy(p, "PK\5\6", 4);
    put16(p + 8, (unsigned)z->members);
    put16(p + 10, (unsigned)z->members);
    put32(p + 12, z->directory_count);
    put32(p + 16, at);
    z->count += z->directory_count + 22;
    return z->count - 22;
}

static const char one_u8[] =
    "\x93NUMPY\1\0\x38\0{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}"
    " 7";

static void names_must_differ(void **state) {
    (void)state;
    zip z = {0};
    _Static_assert(sizeof one_u8 - 1 == 10 + 0x38 + 1, "header length");
    add(&z, "a.npy", one_u8, sizeof one_u8 - 1);
    add(&z, "b.npy", one_u8, sizeof one_u8 - 1);
    add(&z, "a.npy", one_u8, sizeof one_u8 - 1);
    finish(&z);
    assert_fails(z.at, z.count, NULL, TD_E_FORMAT,
                 "npz: members 1 and 3 are both called 'a'");
}

static void reads_zip64_and_comments(void **state) {
    (void)state;
    zip z = {0};
    add(&z, "a.npy", one_u8, sizeof one_u8 - 1);
    size_t end = finish(&z), directory = z.count - 22 - z.directory_count;
    uint8_t *d = z.at + directory;
    /* sizes and place move to a zip64 extra field, the directory's to a zip64 end record */
    static uint8_t f[4000];
    memset(f, 0, sizeof f);
    memcpy(f, z.at, end);
    d = f + directory;
    put32(d + 20, 0xffffffff);
    put32(d + 24, 0xffffffff);
    put32(d + 42, 0xffffffff);
    put16(d + 30, 6 + 28);
    uint8_t *p = f + end;
    memcpy(p, "xx\2\0..\1\0\x18\0", 10); /* another extra field, then ours */
    put32(p + 10, sizeof one_u8 - 1);
    put32(p + 18, sizeof one_u8 - 1);
    p += 6 + 28;
    size_t end64 = (size_t)(p - f);
    memcpy(p, "PK\6\6\x2c", 5);
    p[24] = p[32] = 1;
    put32(p + 40, z.directory_count + 34);
    put32(p + 48, directory);
    p += 56;
    memcpy(p, "PK\6\7", 4);
    put32(p + 8, end64);
    p[16] = 1;
    p += 20;
    memcpy(p, "PK\5\6\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\5\0hello",
           27);
    p += 27;
    td_table t;
    assert_loads(f, (size_t)(p - f), NULL, &t);
    assert_entry(&t, 0, "a", "u8 1: 55");
    td_table_clear(&t);
    assert_refuses_cuts(f, (size_t)(p - f), "npz");
    survives_flips(f, (size_t)(p - f), "npz");

    put32(f + end + 10, 0xfffffff0); /* a lie about the size, in 64 bits */
    assert_fails(f, (size_t)(p - f), NULL, TD_E_FORMAT,
                 "npz: zip: 'a.npy' cannot unpack to 4294967280 bytes from 67");
    put16(f + directory + 30, 33);
    assert_fails(f, (size_t)(p - f), NULL, TD_E_FORMAT,
                 "npz: zip: 'a.npy' lacks its zip64 sizes");
}

/* One change to a good file of one member. */
static void assert_change(size_t offset, size_t width, size_t value, bool from_end,
                          const char *text) {
    zip z = {0};
    add(&z, "a.npy", one_u8, sizeof one_u8 - 1);
    size_t end = finish(&z), directory = end - z.directory_count;
    uint8_t *p = z.at + (from_end ? end : directory) + offset;
    if (width == 2)
        put16(p, (unsigned)value);
    else
        put32(p, value);
    assert_fails(z.at, z.count, NULL, TD_E_FORMAT, text);
}

static void refuses_lying_directories(void **state) {
    (void)state;
    assert_change(16, 4, 1, false,
                  "npz: 'a.npy': checksum 73afe904, the directory says 00000001");
    assert_change(8, 2, 1, false, "npz: zip: 'a.npy' is encrypted");
    assert_change(20, 4, 999, false,
                  "npz: zip: 'a.npy' needs 999 bytes from byte 35 on, the file has 175");
    assert_change(24, 4, 999, false,
                  "npz: zip: 'a.npy' cannot unpack to 999 bytes from 67");
    assert_change(42, 4, 5, false,
                  "npz: zip: 'a.npy' should begin at byte 5, and does not");
    assert_change(42, 4, 0xfffffff0, false,
                  "npz: zip: 'a.npy' should begin at byte 4294967280, and does not");
    assert_change(46, 2, 'b', false,
                  "npz: zip: 'b\\x00npy' is called otherwise at byte 0");
    assert_change(28, 2, 999, false,
                  "npz: zip: the directory entry at byte 102 is cut off");
    assert_change(0, 2, 0, false, "npz: zip: no directory entry at byte 102");
    assert_change(4, 2, 1, true, "npz: zip: is one part of several");
    assert_change(16, 4, 200, true,
                  "npz: zip: a directory of 1 members in 51 bytes at byte 200 does not "
                  "fit in 175 bytes");
    assert_change(12, 4, 45, true,
                  "npz: zip: a directory of 1 members in 45 bytes at byte 102 does not "
                  "fit in 175 bytes");
    assert_change(20, 2, 1, true,
                  "npz: zip: no directory at the end of the file's 175 bytes; cut off?");

    /* Two members, and the directory says one. */
    zip z = {0};
    add(&z, "a.npy", one_u8, sizeof one_u8 - 1);
    add(&z, "b.npy", one_u8, sizeof one_u8 - 1);
    size_t end = finish(&z);
    put16(z.at + end + 8, 1);
    put16(z.at + end + 10, 1);
    assert_fails(z.at, z.count, NULL, TD_E_FORMAT,
                 "npz: zip: 51 bytes of the directory belong to no member");
}

static void refuses_overlapping_members(void **state) {
    (void)state;
    zip z = {0};
    add(&z, "a.npy", one_u8, sizeof one_u8 - 1);
    /* The same data again and again: each entry is fine, all together cannot be. */
    uint8_t entry[51];
    memcpy(entry, z.directory, 51);
    for (int i = 0; i < 30; i++, z.members++, z.directory_count += 51)
        memcpy(z.directory + z.directory_count, entry, 51);
    finish(&z);
    assert_fails(z.at, z.count, NULL, TD_E_FORMAT,
                 "npz: zip: members overlap, at 'a.npy'");
}

static void survives_damage(void **state) {
    (void)state;
    static const char *const paths[] = {DATA "stored.npz", DATA "deflated.npz"};
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        uint8_t *bytes = slurp(paths[i], &n);
        assert_refuses_cuts(bytes, n, "npz");
        survives_flips(bytes, n, "npz");
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_stored_and_deflated),
        cmocka_unit_test(bounds_what_members_unpack_to),
        cmocka_unit_test(refuses_other_members),
        cmocka_unit_test(names_must_differ),
        cmocka_unit_test(reads_zip64_and_comments),
        cmocka_unit_test(refuses_lying_directories),
        cmocka_unit_test(refuses_overlapping_members),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
