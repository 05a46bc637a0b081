/* Programs as bytes: random ones come back as they were, under the same hash, and run the same; golden ones,
 * which another encoder made from docs/wire.md; every way to be wrong, with what is said about it; and cut
 * and damaged ones, which must be refused or be programs. */
#include "tests/vm/programs.h"
#include "vm/passes.h"
#include "vm/program_codec.h"

static td_err err;

static td_program *decode(const td_writer *w) {
    td_program_limits limits = td_program_limits_preset();
    unsigned char *own = td_new_bytes(w->size + 1); /* a sanitizer sees a step too far */
    memcpy(own, w->data, w->size);
    td_program *p = td_program_decode(own, w->size, &limits, &err);
    td_free(own);
    return p;
}

/* ---- round trips ---- */

static void test_round_trip(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        td_program *p = chance_make(seed, 14);
        td_writer w = {0}, again = {0};
        td_put_program(&w, p);
        td_program *q = decode(&w);
        if (q == NULL) fail_msg("seed %d: %s: %s", (int)seed, err.call, err.msg);
        assert_true(td_program_equal(p, q));
        td_put_program(&again, q);
        assert_int_equal(w.size, again.size);
        assert_memory_equal(w.data, again.data, w.size);
        unsigned char a[TD_PROGRAM_HASH], b[TD_PROGRAM_HASH];
        assert_int_equal(td_program_hash(p, a, &err), 0);
        td_program_hash_bytes(again.data, again.size, b);
        assert_memory_equal(a, b, sizeof a);
        assert_same_runs(p, q, seed);
        td_program *better = NULL, *back;
        assert_int_equal(td_passes_run(p, &better, &err), 0);
        w.size = 0;
        td_put_program(&w, better);
        back = decode(&w);
        assert_true(back && td_program_equal(better, back));
        td_program_unref(&back);
        td_program_unref(&better);
        td_program_unref(&p);
        td_program_unref(&q);
        td_writer_free(&w);
        td_writer_free(&again);
    }
}

/* Programs that differ in anything have other names; lines of scripts are not looked at. */
static void test_hash(void **state) {
    (void)state;
    unsigned char hash[7][TD_PROGRAM_HASH];
    for (int k = 0; k < 7; k++) {
        td_builder *b = td_builder_new(&err);
        td_meta m = {.dtype = k == 1 ? TD_F64 : TD_F32, .shape = {1, {k == 2 ? 3 : 2}}};
        uint32_t x = td_build_input(b, &m);
        td_attrs a = {0};
        td_attr_set_f(&a, 0, k == 3 ? 0.5 : 0.25);
        uint32_t y = td_build_op(b, td_op_find(k == 4 ? "relu" : "leaky_relu"), &x, 1,
                                 k == 4 ? NULL : &a, k == 6 ? "a.lua:1" : "b.lua:2");
        td_build_output(b, k == 5 ? x : y);
        td_program *p = td_builder_seal(&b, &err);
        assert_int_equal(td_program_hash(p, hash[k], &err), 0);
        td_program_unref(&p);
    }
    for (int k = 1; k < 7; k++)
        assert_int_equal(memcmp(hash[0], hash[k], TD_PROGRAM_HASH) == 0, k == 6);
}

/* ---- golden ones ---- */

static int hex(int c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; }

/* The octets of a golden file, and the hash in its comment. */
static void golden(const char *name, td_writer *w, unsigned char want[TD_PROGRAM_HASH]) {
    char path[100], line[400];
    snprintf(path, sizeof path, "tests/wire/program-%s.hex", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *digits = line[0] == '#' ? strstr(line, "BLAKE2b-256 ") : line;
        if (line[0] == '#') {
            assert_non_null(digits);
            digits += strlen("BLAKE2b-256 ");
            for (int i = 0; i < TD_PROGRAM_HASH; i++, digits += 2)
                want[i] = (unsigned char)(16 * hex(digits[0]) + hex(digits[1]));
            continue;
        }
        for (; digits[0] > ' '; digits += 2)
            td_put_byte(w, (unsigned)(16 * hex(digits[0]) + hex(digits[1])));
    }
    fclose(f);
}

/* Read, written again, and named as the other encoder has it. */
static td_program *read_golden(const char *name) {
    td_writer w = {0}, again = {0};
    unsigned char want[TD_PROGRAM_HASH], have[TD_PROGRAM_HASH];
    golden(name, &w, want);
    td_program *p = decode(&w);
    if (p == NULL) fail_msg("%s: %s: %s", name, err.call, err.msg);
    td_put_program(&again, p);
    assert_int_equal(w.size, again.size);
    assert_memory_equal(w.data, again.data, w.size);
    assert_int_equal(td_program_hash(p, have, &err), 0);
    assert_memory_equal(have, want, sizeof have);
    td_writer_free(&w);
    td_writer_free(&again);
    return p;
}

static void test_golden(void **state) {
    (void)state;
    td_program *p = read_golden("step");
    char *text = td_program_text(p);
    assert_string_equal(
        text,
        "program: 2 inputs, 2 constants, 10 operations, 5 outputs, 3 random streams\n"
        "  %0 = input                                        f32  2x3\n"
        "  %1 = input, assigned                              f32  4x3\n"
        "  %2 = {7, -1}                                      i64  2\n"
        "  %3 = 0.5                                          f32  scalar\n"
        "  %4 = transpose(%1, dim1=1, dim2=2)                f32  3x4\n"
        "  %5 = matmul(%0, %4)                               f32  2x4\n"
        "  %6 = leaky_relu(%5, slope=0.25)                   f32  2x4\n"
        "  %7, %8 = max_dim(%6, dim=2)                       f32  2, i64  2\n"
        "  %9 = cat(%8, %2)                                  i64  4\n"
        "  %10 = randn(sizes={4, 3})                         f32  4x3\n"
        "  %11 = mul(%10, %3)                                f32  4x3\n"
        "  assign(%1, %11)\n"
        "  %12 = sum(%6, dims={1}, keepdim=true)             f32  1x4\n"
        "  %13 = mul(%12, %12)                               f32  1x4\n"
        "  return %7, %9, %12, %13, %2\n");
    td_free(text);
    td_program_unref(&p);
    p = read_golden("fixed");
    assert_true(p->fixed_seeds && p->instr[0].attrs->v[1].i == -5);
    td_program_unref(&p);
    p = read_golden("nothing");
    assert_int_equal(p->output_count, 3);
    assert_int_equal(p->value[0].meta.shape.dim[0], 0);
    td_program_unref(&p);
}

/* ---- what is refused ---- */

static td_writer bad;
static td_program_limits limits;

static void head(int version, int fixed, uint64_t draws) {
    td_writer_free(&bad);
    limits = td_program_limits_preset();
    td_put_bytes(&bad, "TDPR", 4);
    td_put_byte(&bad, (unsigned)version);
    td_put_byte(&bad, (unsigned)fixed);
    td_put_uint(&bad, draws);
}

static void meta(td_dtype t, int ndim, int64_t a, int64_t b) {
    td_shape s = {.ndim = ndim, .dim = {a, b}};
    td_put_byte(&bad, (unsigned)t);
    td_put_shape(&bad, &s);
}

/* A header, one f32 2x3 input, no constant, and the count of operations. */
static void up_to_instrs(uint64_t draws, unsigned count) {
    head(1, 0, draws);
    td_put_uint(&bad, 1);
    meta(TD_F32, 2, 2, 3);
    td_put_uint(&bad, 0);
    td_put_uint(&bad, count);
}

static void named(const char *op) {
    td_put_uint(&bad, 0);
    td_put_text(&bad, op);
}
static void uints(int n, const uint64_t *v) {
    for (int i = 0; i < n; i++) td_put_uint(&bad, v[i]);
}
#define UINTS(...) uints(sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

static void refused(int code, const char *call, const char *msg) {
    unsigned char *own = td_new_bytes(bad.size + 1);
    memcpy(own, bad.data, bad.size);
    td_program *p = td_program_decode(own, bad.size, &limits, &err);
    td_free(own);
    if (p) fail_msg("taken, wanted: %s", msg);
    assert_string_equal(err.msg, msg);
    assert_string_equal(err.call, call);
    assert_int_equal(err.code, code);
    assert_null(td_program_decode(bad.data, bad.size, &limits, NULL));
}
#define PROTOCOL(msg) refused(TD_E_PROTOCOL, "program", msg)

static void test_bad_header(void **state) {
    (void)state;
    td_writer_free(&bad);
    td_put_bytes(&bad, "TDPX\1", 5);
    PROTOCOL("this is no program");
    head(2, 0, 0);
    PROTOCOL("it is of version 2, not 1");
    head(1, 2, 0);
    PROTOCOL("flags of 2 mean nothing");
    head(1, 0, (uint64_t)1 << 32);
    refused(TD_E_LIMIT, "program", "more than 2^32 random streams");
    head(1, 0, 0);
    PROTOCOL("it is cut short");
    td_put_uint(&bad, 1u << 30); /* inputs, of which there cannot be so many */
    PROTOCOL("it is cut short");
}

static void test_bad_values(void **state) {
    (void)state;
    head(1, 0, 0);
    UINTS(1, 9, 0, 0);
    PROTOCOL("value 0 has no dtype or sizes that there are");
    head(1, 0, 0);
    UINTS(1, TD_F32, 9, 0, 0, 0, 0, 0);
    PROTOCOL("value 0 has no dtype or sizes that there are");
    head(1, 0, 0);
    td_put_uint(&bad, 1);
    meta(TD_F32, 2, (int64_t)1 << 40, (int64_t)1 << 40);
    refused(TD_E_LIMIT, "", "a f32 tensor of 1099511627776x1099511627776 is too large");
    head(1, 0, 0);
    UINTS(0, 1);
    meta(TD_F32, 1, 3, 0);
    td_put_bytes(&bad, "12345678901", 11); /* one byte is missing */
    PROTOCOL("it is cut short");
    head(1, 0, 0);
    UINTS(0, 2);
    for (int i = 0; i < 2; i++) {
        meta(TD_U8, 0, 0, 0);
        td_put_byte(&bad, 7);
    }
    PROTOCOL("constants 0 and 1 are the same");
    up_to_instrs(0, 0);
    UINTS(1, 1);
    PROTOCOL("output 1, there are 1 values");
    up_to_instrs(0, 0);
    UINTS(1, 0, 0);
    PROTOCOL("1 bytes behind its end");
}

static void test_bad_operations(void **state) {
    (void)state;
    up_to_instrs(0, 1);
    named("conjure");
    UINTS(0, 0);
    refused(TD_E_PROTOCOL, "", "operation 0: there is no operation 'conjure' here");
    up_to_instrs(0, 1);
    UINTS(1, 0);
    refused(TD_E_PROTOCOL, "", "operation 0: an operation's number is out of range");
    up_to_instrs(0, 1);
    named("neg");
    UINTS(1, 0);
    refused(TD_E_PROTOCOL, "neg", "operation 0: value 1, 1 are made before");
    up_to_instrs(0, 1);
    named("matmul");
    UINTS(0, 0, 0);
    refused(TD_E_SHAPE, "matmul", "operation 0: 2x3 does not multiply 2x3");
    up_to_instrs(0, 2);
    named("neg");
    UINTS(0);
    named("cat");
    UINTS(300);
    refused(TD_E_PROTOCOL, "cat", "operation 1: 300 tensors");
    up_to_instrs(0, 1);
    named("cat");
    UINTS(0, 0);
    refused(TD_E_ARGUMENT, "cat", "operation 0: takes 1 to 256 tensors, got 0");
    up_to_instrs(0, 1);
    named("transpose");
    UINTS(0, 0, 4); /* dimensions 0 and 2 */
    refused(TD_E_INDEX, "transpose", "operation 0: dim2 3 of a tensor with 2 dimensions");
    up_to_instrs(0, 1);
    named("cast");
    UINTS(0, 200);
    refused(TD_E_DTYPE, "cast", "operation 0: there is no dtype number 100");
    up_to_instrs(0, 1);
    named("sum");
    UINTS(0, 9, 0);
    PROTOCOL("operation 0: it is cut short");
    head(1, 0, 0);
    UINTS(0, 1);
    meta(TD_U8, 0, 0, 0);
    td_put_byte(&bad, 7);
    td_put_uint(&bad, 1);
    named("assign");
    UINTS(0, 0, 0);
    refused(TD_E_STATE, "assign", "operation 0: a constant cannot be changed");
}

static void random_number(uint64_t size, int seed, uint64_t stream) {
    named("rand");
    td_put_byte(&bad, 1);
    td_put_int(&bad, (int64_t)size);
    td_put_int(&bad, seed);
    td_put_int(&bad, (int64_t)stream);
    td_put_int(&bad, TD_F32);
}

static void test_bad_seeds(void **state) {
    (void)state;
    up_to_instrs(1, 1);
    random_number(2, 5, 0);
    refused(TD_E_PROTOCOL, "rand", "operation 0: a seed of its own");
    up_to_instrs(1, 1);
    random_number(2, 0, 1);
    refused(TD_E_PROTOCOL, "rand",
            "operation 0: random stream 1, wanted one from 0 to below 1");
    up_to_instrs(2, 2);
    random_number(2, 0, 1);
    random_number(2, 0, 1);
    refused(TD_E_PROTOCOL, "rand",
            "operation 1: random stream 1, wanted one from 2 to below 2");
}

/* What says the same in another way is refused: one program, one name. */
static void test_other_forms(void **state) {
    (void)state;
    static const char *const what = "it is not in the one form it has";
    up_to_instrs(0, 0);
    td_put_bytes(&bad, "\x81\x00\x00", 3); /* one output, said at length */
    PROTOCOL(what);
    up_to_instrs(0, 2);
    named("neg");
    UINTS(0);
    named("neg"); /* by its name once more */
    UINTS(0, 1, 1);
    PROTOCOL(what);
    up_to_instrs(0, 1);
    named("reshape");
    UINTS(0, 1, 1, 1, 1); /* sizes {-1} */
    PROTOCOL(what);
    head(1, 0, 0); /* a constant that nothing uses */
    UINTS(0, 1);
    meta(TD_U8, 0, 0, 0);
    UINTS(7, 0, 0);
    PROTOCOL(what);
    head(1, 0, 0); /* constants in another order than that of their use */
    UINTS(0, 2);
    meta(TD_U8, 0, 0, 0);
    td_put_byte(&bad, 7);
    meta(TD_U8, 0, 0, 0);
    td_put_byte(&bad, 8);
    UINTS(0, 2, 1, 0);
    PROTOCOL(what);
}

static void test_limits(void **state) {
    (void)state;
    up_to_instrs(0, 2);
    limits.instrs = 1;
    named("neg");
    UINTS(0, 1, 1, 1, 2);
    refused(TD_E_LIMIT, "program", "operation 1: more than 1 operations");
    limits.instrs = 2;
    limits.values = 2;
    refused(TD_E_LIMIT, "program", "operation 1: more than 2 values");
    limits.values = 3;
    limits.bytes = 71; /* three times 24 */
    refused(TD_E_LIMIT, "program", "operation 1: values of 72 bytes, at most 71 go");
    limits.bytes = 72;
    limits.work = 11;
    refused(TD_E_LIMIT, "program",
            "operation 1: 12 additions and multiplications, at most 11 go");
    limits.work = 12;
    td_program *p = td_program_decode(bad.data, bad.size, &limits, &err);
    assert_non_null(p);
    td_program_size size;
    assert_int_equal(td_program_sized(p, &limits, &size, &err), 0);
    assert_true(size.values == 3 && size.instrs == 2 && size.bytes == 72 &&
                size.const_bytes == 0 && size.work == 12);
    limits.work = 11;
    assert_int_equal(td_program_sized(p, &limits, &size, &err), TD_E_LIMIT);
    td_program_unref(&p);
    head(1, 0, 0);
    limits.const_bytes = 11;
    UINTS(0, 1);
    meta(TD_F32, 1, 3, 0);
    refused(TD_E_LIMIT, "program", "constants of 12 bytes, at most 11 go");
    head(1, 0, 0); /* results may be far larger than what is read */
    UINTS(0, 0, 1);
    named("full");
    td_put_byte(&bad, 2);
    td_put_int(&bad, 1 << 20);
    td_put_int(&bad, 1 << 20);
    td_put_f64(&bad, 1);
    td_put_int(&bad, TD_F32);
    UINTS(1, 0);
    refused(TD_E_LIMIT, "program",
            "operation 0: values of 4398046511104 bytes, at most 68719476736 go");
    td_writer_free(&bad);
}

/* Work of the operations that count products. */
static void test_work(void **state) {
    (void)state;
    td_meta a = {.dtype = TD_F32, .shape = {3, {5, 2, 3}}},
            b = {.dtype = TD_F32, .shape = {2, {3, 4}}}, out[TD_OP_MAX_OUT];
    td_attrs none = {0};
    const td_op *op = td_op_find("matmul");
    assert_int_equal(td_op_infer(op, (td_meta[]){a, b}, 2, &none, out, &err), 0);
    assert_true(td_op_work(op, (td_meta[]){a, b}, 2, &none, out) == 2.0 * 5 * 2 * 4 * 3);
    td_meta x = {.dtype = TD_F32, .shape = {4, {2, 3, 8, 9}}},
            w = {.dtype = TD_F32, .shape = {4, {5, 3, 3, 2}}};
    td_attrs window = {0};
    op = td_op_find("conv2d");
    assert_int_equal(td_op_infer(op, (td_meta[]){x, w}, 2, &window, out, &err), 0);
    double want = 2.0 * 2 * 5 * 6 * 8 * 3 * 3 * 2;
    assert_true(td_op_work(op, (td_meta[]){x, w}, 2, &window, out) == want);
    td_meta y = out[0];
    static const char *const adjoint[] = {"conv2d_input", "conv2d_weight"};
    for (int k = 0; k < 2; k++) {
        td_attrs at = {0};
        td_attr_set_sizes(&at, 0, k ? &w.shape : &x.shape);
        td_meta in[2] = {y, k ? x : w};
        op = td_op_find(adjoint[k]);
        assert_int_equal(td_op_infer(op, in, 2, &at, out, &err), 0);
        assert_true(td_op_work(op, in, 2, &at, out) == want);
    }
    op = td_op_find("transpose");
    td_attrs turn = {0};
    td_attr_set_i(&turn, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&turn, 1, TD_ATTR_DIM, 1);
    assert_int_equal(td_op_infer(op, &b, 1, &turn, out, &err), 0);
    assert_true(td_op_work(op, &b, 1, &turn, out) == 0);
    op = td_op_find("sum");
    none = (td_attrs){0};
    assert_int_equal(td_op_infer(op, &b, 1, &none, out, &err), 0);
    assert_true(td_op_work(op, &b, 1, &none, out) == 12);
    enum { STEPS = 7, BATCH = 2, FEATURES = 3, HIDDEN = 5 };
    static const struct {
        const char *op;
        int gates, states;
    } cell[] = {{"rnn", 1, 1}, {"gru", 3, 1}, {"lstm", 4, 2}};
    for (int k = 0; k < 3; k++) {
        td_meta in[8], state_of = {.dtype = TD_F32, .shape = {2, {BATCH, HIDDEN}}};
        int n = 0, rows = cell[k].gates * HIDDEN;
        in[n++] = (td_meta){.dtype = TD_F32, .shape = {3, {STEPS, BATCH, FEATURES}}};
        for (int s = 0; s < cell[k].states; s++) in[n++] = state_of;
        in[n++] = (td_meta){.dtype = TD_F32, .shape = {2, {rows, FEATURES}}};
        in[n++] = (td_meta){.dtype = TD_F32, .shape = {2, {rows, HIDDEN}}};
        for (int s = 0; s < 2; s++)
            in[n++] = (td_meta){.dtype = TD_F32, .shape = {1, {rows}}};
        op = td_op_find(cell[k].op);
        none = (td_attrs){0};
        if (td_op_infer(op, in, n, &none, out, &err)) fail_msg("%s", err.msg);
        assert_true(td_op_work(op, in, n, &none, out) ==
                    2.0 * STEPS * BATCH * rows * (FEATURES + HIDDEN));
    }
}

/* ---- damage ---- */

/* Cut anywhere, or with bytes changed: refused, or a program that keeps to its limits and has this form. */
static void test_damage(void **state) {
    (void)state;
    unsigned taken = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        td_program *p = chance_make(seed, 6);
        td_writer w = {0};
        td_put_program(&w, p);
        size_t size = w.size;
        for (w.size = 0; w.size < size && w.size < 300; w.size++) assert_null(decode(&w));
        w.size = size;
        uint64_t x = seed;
        for (int k = 0; k < 200; k++) {
            size_t at = chance(&x, size);
            unsigned char old = w.data[at];
            w.data[at] = (unsigned char)chance(&x, 256);
            td_program *q = decode(&w);
            if (q) {
                td_writer again = {0};
                td_put_program(&again, q);
                assert_true(again.size == size && memcmp(again.data, w.data, size) == 0);
                td_writer_free(&again);
                taken++;
            }
            td_program_unref(&q);
            w.data[at] = old;
        }
        td_writer_free(&w);
        td_program_unref(&p);
    }
    assert_true(taken > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_hash),
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_bad_header),
        cmocka_unit_test(test_bad_values), cmocka_unit_test(test_bad_operations),
        cmocka_unit_test(test_bad_seeds),  cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_work),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests_name("programs as bytes", tests, NULL, NULL);
}
