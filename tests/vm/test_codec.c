/* Bytes out and in: numbers at the edges of their forms, texts, shapes, errors; and operations of the whole table with
 * random inputs and attributes, which must read as they were written, and be refused wherever they are cut. A failing
 * seed is run again with TIDE_SEED=n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/mem.h"
#include "vm/codec.h"

static td_reader over(const td_writer *w) {
    return (td_reader){.data = w->data, .size = w->size};
}

/* ---- numbers ---- */

static void test_uint(void **state) {
    (void)state;
    static const struct {
        uint64_t v;
        const char *bytes;
        size_t n;
    } row[] = {
        {0, "\x00", 1},
        {127, "\x7f", 1},
        {128, "\x80\x01", 2},
        {300, "\xac\x02", 2},
        {16383, "\xff\x7f", 2},
        {16384, "\x80\x80\x01", 3},
        {UINT64_MAX >> 1, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9},
        {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        td_writer w = {0};
        td_put_uint(&w, row[i].v);
        assert_int_equal(w.size, row[i].n);
        assert_memory_equal(w.data, row[i].bytes, row[i].n);
        td_reader r = over(&w);
        assert_true(td_take_uint(&r) == row[i].v && !r.failed && r.at == r.size);
        for (size_t cut = 0; cut < w.size; cut++) {
            r = (td_reader){.data = w.data, .size = cut};
            assert_int_equal(td_take_uint(&r), 0);
            assert_true(r.failed);
        }
        td_writer_free(&w);
    }
}

static void test_uint_too_long(void **state) {
    (void)state;
    static const char *const bad[] = {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                                      "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"};
    for (int i = 0; i < 2; i++) {
        td_reader r = {.data = (const unsigned char *)bad[i], .size = 10};
        assert_int_equal(td_take_uint(&r), 0);
        assert_true(r.failed);
        assert_int_equal(td_take_byte(&r), 0); /* and so does all that follows */
    }
    td_reader r = {.data = (const unsigned char *)"\x81\x80\x00",
                   .size = 3}; /* longer than it need be */
    assert_int_equal(td_take_uint(&r), 1);
    assert_false(r.failed);
}

static void test_int(void **state) {
    (void)state;
    static const int64_t v[] = {0,   -1, 1,         -2,        63,
                                -64, 64, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    static const size_t bytes[] = {1, 1, 1, 1, 1, 1, 2, 10, 10, 10};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        td_writer w = {0};
        td_put_int(&w, v[i]);
        assert_int_equal(w.size, bytes[i]);
        td_reader r = over(&w);
        assert_true(td_take_int(&r) == v[i] && !r.failed);
        td_writer_free(&w);
    }
}

static void test_f64(void **state) {
    (void)state;
    static const double v[] = {0,
                               -0.0,
                               1.5,
                               5e-324,
                               1.7976931348623157e308,
                               __builtin_nan(""),
                               -__builtin_inf()};
    td_writer w = {0};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) td_put_f64(&w, v[i]);
    assert_memory_equal(w.data + 16, "\0\0\0\0\0\0\xf8\x3f", 8);
    td_reader r = over(&w);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        double back = td_take_f64(&r);
        assert_memory_equal(&back, &v[i], 8);
    }
    td_take_f64(&r);
    assert_true(r.failed);
    td_writer_free(&w);
}

/* ---- texts, shapes, errors ---- */

static void test_text(void **state) {
    (void)state;
    char text[8];
    td_writer w = {0};
    td_put_text(&w, "");
    td_put_text(&w, "1234567");
    td_put_text(&w, "12345678"); /* one more than fits */
    td_reader r = over(&w);
    td_take_text(&r, text, sizeof text);
    assert_string_equal(text, "");
    td_take_text(&r, text, sizeof text);
    assert_string_equal(text, "1234567");
    assert_false(r.failed);
    td_take_text(&r, text, sizeof text);
    assert_true(r.failed);
    assert_string_equal(text, "");
    r = (td_reader){.data = (const unsigned char *)"\x03"
                                                   "a\0b",
                    .size = 4};
    td_take_text(&r, text, sizeof text);
    assert_true(r.failed);
    td_writer_free(&w);
}

static void test_shape(void **state) {
    (void)state;
    td_shape s = {TD_MAX_DIM, {0, 1, 2, 300, (int64_t)1 << 61, 5, 6, 7}}, back;
    td_writer w = {0};
    td_put_shape(&w, &s);
    td_reader r = over(&w);
    td_take_shape(&r, &back);
    assert_true(!r.failed && td_shape_equal(&s, &back));
    for (size_t cut = 0; cut < w.size; cut++) {
        r = (td_reader){.data = w.data, .size = cut};
        td_take_shape(&r, &back);
        assert_true(r.failed);
        for (int i = 0; i < back.ndim; i++) assert_true(back.dim[i] >= 0);
    }
    w.size = 0;
    td_put_byte(&w, 1);
    td_put_uint(&w, UINT64_MAX); /* would be -1 */
    r = over(&w);
    td_take_shape(&r, &back);
    assert_true(r.failed && back.dim[0] == 0);
    w.size = 0;
    td_put_byte(&w, TD_MAX_DIM + 1);
    r = over(&w);
    td_take_shape(&r, &back);
    assert_true(r.failed && back.ndim == 0);
    td_writer_free(&w);
}

static void test_error(void **state) {
    (void)state;
    td_err e, back;
    td_fail(&e, TD_E_SHAPE, "matmul", "2x3 does not multiply %s", "4x5");
    td_hint(&e, "transpose it");
    td_writer w = {0};
    td_put_err(&w, &e);
    td_reader r = over(&w);
    td_take_err(&r, &back);
    assert_false(r.failed);
    assert_int_equal(back.code, TD_E_SHAPE);
    assert_string_equal(back.call, "matmul");
    assert_string_equal(back.msg, "2x3 does not multiply 4x5");
    assert_string_equal(back.hint, "transpose it");
    w.data[0] = 200; /* a code of a later version */
    r = over(&w);
    td_take_err(&r, &back);
    assert_int_equal(back.code, TD_E_INTERNAL);
    td_writer_free(&w);
}

/* ---- operations ---- */

static uint64_t draw(uint64_t *x, uint64_t below) { /* splitmix64 */
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static int64_t draw_int(uint64_t *x) {
    static const int64_t edge[] = {INT64_MAX, INT64_MIN, 0, -1};
    uint64_t k = draw(x, 8);
    return k < 4 ? edge[k] : (int64_t)draw(x, UINT64_MAX) >> draw(x, 64);
}

static double draw_f64(uint64_t *x) { return (double)draw_int(x) / 1024; }

static void draw_attr(uint64_t *x, const td_attr_spec *spec, td_attr *a) {
    a->kind = (uint8_t)spec->kind;
    switch (spec->kind) {
    case TD_ATTR_FLOAT: a->f = draw_f64(x); break;
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES:
    case TD_ATTR_INTS:
        a->n = (uint8_t)draw(x, TD_ATTR_MAX_LIST + 1);
        for (int i = 0; i < a->n; i++) a->list[i] = draw_int(x);
        break;
    default: a->i = draw_int(x);
    }
}

typedef struct written {
    const td_op *op;
    int nin;
    td_obj obj[TD_OP_MAX_IN];
    td_arg in[TD_OP_MAX_IN];
    td_attrs attrs;
    uint64_t out;
} written;

static void draw_op(uint64_t *x, written *o) {
    memset(o, 0, sizeof *o);
    o->op = td_op_at((int)draw(x, (uint64_t)td_op_count()));
    o->nin = o->op->nin >= 0 ? o->op->nin
             : draw(x, 10)   ? 1 + (int)draw(x, 4)
                             : TD_OP_MAX_IN;
    for (int i = 0; i < o->nin; i++) {
        if (draw(x, 4)) {
            o->obj[i].id = 1 + draw(x, UINT64_MAX - 1) / (1 + draw(x, 1000000));
            o->in[i].obj = &o->obj[i];
            continue;
        }
        td_dtype t = (td_dtype)(1 + draw(x, TD_DTYPE_COUNT - 1));
        o->in[i].meta = (td_meta){.dtype = t, .weak = true};
        if (td_dtype_is_float(t))
            o->in[i].f = draw_f64(x);
        else
            o->in[i].i = draw_int(x);
    }
    for (int k = 0; k < td_op_attr_count(o->op); k++)
        draw_attr(x, &o->op->attr[k], &o->attrs.v[k]);
    o->out = 1 + draw(x, UINT64_MAX >> 1);
}

static void assert_same(const written *o, const td_op_record *rec) {
    assert_ptr_equal(rec->op, o->op);
    assert_int_equal(rec->nin, o->nin);
    for (int i = 0; i < o->nin; i++) {
        const td_op_arg *a = &rec->in[i];
        assert_true(a->id == (o->in[i].obj ? o->obj[i].id : 0));
        if (a->id) continue;
        assert_int_equal(a->dtype, o->in[i].meta.dtype);
        assert_true(td_dtype_is_float(a->dtype) ? a->f == o->in[i].f
                                                : a->i == o->in[i].i);
    }
    for (int k = 0; k < td_op_attr_count(o->op); k++) {
        const td_attr *a = &rec->attrs.v[k], *b = &o->attrs.v[k];
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->n, b->n);
        if (o->op->attr[k].kind == TD_ATTR_FLOAT)
            assert_true(a->f == b->f);
        else
            assert_memory_equal(a->list, b->list, 8 * (size_t)(a->n ? a->n : 1));
    }
    if (o->op->nout > 0) assert_true(rec->out == o->out);
}

/* Streams of operations; from the second of a kind on, an op is its number. */
static void run_stream(uint64_t seed) {
    enum { OPS = 6 };
    static written ops[OPS];
    static td_op_record rec;
    uint64_t x = seed;
    td_writer w = {0};
    td_op_names out = {0}, in = {0};
    size_t end[OPS];
    td_err err = {0};
    for (int i = 0; i < OPS; i++) {
        draw_op(&x, &ops[i]);
        if (i == OPS - 1) ops[i] = ops[0]; /* named already */
        for (int k = 0; k < ops[i].nin; k++)
            if (ops[i].in[k].obj) ops[i].in[k].obj = &ops[i].obj[k];
        td_put_op(&w, &out, ops[i].op, ops[i].in, ops[i].nin, &ops[i].attrs, ops[i].out);
        end[i] = w.size;
    }
    td_reader r = over(&w);
    for (int i = 0; i < OPS; i++) {
        if (td_take_op(&r, &in, &rec, &err))
            fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
        assert_int_equal(r.at, end[i]);
        assert_same(&ops[i], &rec);
    }
    assert_true(in.count == out.count && in.count < OPS);
    for (size_t cut = 0; cut < end[0] && end[0] < 400; cut++) {
        unsigned char *part =
            td_new_bytes(cut); /* of its own, so that a sanitizer sees a step too far */
        memcpy(part, w.data, cut);
        r = (td_reader){.data = part, .size = cut};
        in.count = 0;
        assert_int_equal(td_take_op(&r, &in, &rec, &err), TD_E_PROTOCOL);
        td_free(part);
    }
    td_op_names_free(&in);
    td_op_names_free(&out);
    td_writer_free(&w);
}

static void test_operations(void **state) {
    (void)state;
    const char *one = getenv("TIDE_SEED");
    if (one) {
        run_stream(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 2000; seed++) run_stream(seed);
}

/* What the other end says may be shown at a terminal, and must not steer it. */
static void words_from_afar_are_plain(void **state) {
    (void)state;
    td_err err, back;
    td_fail(&err, TD_E_GONE, "get", "a\x1b[2Jb\nc\x7f \xc3\xa9");
    td_hint(&err, "\a");
    td_writer w = {0};
    td_put_err(&w, &err);
    td_reader r = {.data = w.data, .size = w.size};
    td_take_err(&r, &back);
    assert_false(r.failed);
    assert_string_equal(back.msg, "a?[2Jb?c? \xc3\xa9");
    assert_string_equal(back.hint, "?");
    td_writer_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_from_afar_are_plain),
        cmocka_unit_test(test_uint),
        cmocka_unit_test(test_uint_too_long),
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
