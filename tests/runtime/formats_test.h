/* What the tests of file formats share: loading from memory, asserting an error's text, and damaging a file
 * in every place. Included by one test program at a time. */
#ifndef TESTS_RUNTIME_FORMATS_TEST_H
#define TESTS_RUNTIME_FORMATS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/formats/file.h"
#include "runtime/mem.h"

#define DATA "tests/data/"
/* The bytes of a string literal, zeros inside included. */
#define LITERAL(s) (s), sizeof(s) - 1

static inline void assert_text(const char *got, const char *want) {
    if (strcmp(got, want) != 0) print_error("got:    %s\nwanted: %s\n", got, want);
    assert_string_equal(got, want);
}

/* A failed load: this code, this text, an empty table and no memory kept. */
static inline void assert_fails(const void *bytes, size_t count, const td_file_options *o,
                                int code, const char *text) {
    td_table t = {0};
    td_err err = {0};
    int got = td_bytes_load(bytes, count, o, &t, &err);
    assert_text(err.msg, text);
    assert_int_equal(got, code);
    assert_int_equal(err.code, code);
    assert_int_equal(t.count, 0);
    assert_int_equal(td_data_live_bytes(), 0);
}

static inline void assert_file_fails(const char *path, const td_file_options *o, int code,
                                     const char *text) {
    td_table t = {0};
    td_err err = {0};
    int got = td_file_load(path, o, &t, &err);
    assert_text(err.msg, text);
    assert_int_equal(got, code);
    assert_int_equal(t.count, 0);
    assert_int_equal(td_data_live_bytes(), 0);
}

static inline void assert_loads(const void *bytes, size_t count, const td_file_options *o,
                                td_table *t) {
    td_err err = {0};
    *t = (td_table){0};
    int code = td_bytes_load(bytes, count, o, t, &err);
    if (code != 0) print_error("%s\n", err.msg);
    assert_int_equal(code, 0);
}

static inline void assert_file_loads(const char *path, td_table *t) {
    td_err err = {0};
    *t = (td_table){0};
    int code = td_file_load(path, NULL, t, &err);
    if (code != 0) print_error("%s\n", err.msg);
    assert_int_equal(code, 0);
}

/* "f32 2x3: 1 2 3 4 5 6", for short tensors. */
static inline const char *tensor_text(const td_tensor *x) {
    static char text[2000];
    char shape[TD_SHAPE_TEXT];
    int at = snprintf(text, sizeof text, "%s %s:", td_dtype_name(x->dtype),
                      td_shape_text(&x->shape, shape));
    const char *p = td_tensor_data(x);
    for (int64_t i = 0; i < td_tensor_numel(x) && at < 1900;
         i++, p += td_dtype_bytes(x->dtype))
        at += td_dtype_is_float(x->dtype)
                  ? snprintf(text + at, sizeof text - (size_t)at, " %.9g",
                             td_load_f64(x->dtype, p))
                  : snprintf(text + at, sizeof text - (size_t)at, " %lld",
                             (long long)td_load_i64(x->dtype, p));
    return text;
}

static inline void assert_entry(const td_table *t, size_t i, const char *name,
                                const char *text) {
    assert_true(i < t->count);
    assert_text(t->entry[i].name, name);
    assert_text(tensor_text(t->entry[i].tensor), text);
    assert_true(td_tensor_is_contiguous(t->entry[i].tensor));
    assert_int_equal((uintptr_t)td_tensor_data(t->entry[i].tensor) % 64, 0);
}

/* The whole of a file of tests/data; free() it. */
static inline uint8_t *slurp(const char *path, size_t *count) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) fail_msg("no file %s: run the tests in the top folder", path);
    uint8_t *bytes = malloc(1 << 20);
    *count = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

/* Loads a copy that ends where its memory ends, so that a sanitizer sees a read past it. Returns the code;
 * whatever it is, nothing may be left over. */
static inline int load_exact(const uint8_t *bytes, size_t count,
                             const td_file_options *o) {
    uint8_t *copy = malloc(count ? count : 1);
    memcpy(copy, bytes, count);
    td_table t = {0};
    td_err err = {0};
    int code = td_bytes_load(copy, count, o, &t, &err);
    if (code != 0) assert_true(err.msg[0] != 0 && t.count == 0);
    td_table_clear(&t);
    free(copy);
    assert_int_equal(td_data_live_bytes(), 0);
    return code;
}

/* Cut off anywhere, or with a byte too many, the file is refused. */
static inline void assert_refuses_cuts(const uint8_t *bytes, size_t count,
                                       const char *format) {
    td_file_options o = {.format = format};
    for (size_t n = 0; n < count; n++)
        if (load_exact(bytes, n, &o) == 0)
            fail_msg("%s: loads when cut to %zu bytes", format, n);
    assert_int_equal(load_exact(bytes, count, &o), 0);
    uint8_t *longer = malloc(count + 1);
    memcpy(longer, bytes, count);
    longer[count] = 0;
    assert_int_not_equal(load_exact(longer, count + 1, &o), 0);
    free(longer);
}

/* Each bit turned over in turn: any result will do, a crash, a leak or a large allocation will not. */
static inline void survives_flips(const uint8_t *bytes, size_t count,
                                  const char *format) {
    td_file_options o = {
        .format = format, .max_bytes = 1 << 20, .max_unpacked_bytes = 1 << 20};
    uint8_t *copy = malloc(count);
    memcpy(copy, bytes, count);
    td_data_set_limit(4 << 20);
    for (size_t bit = 0; bit < 8 * count; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        load_exact(copy, count, &o);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    td_data_set_limit(0);
    free(copy);
}

#endif
