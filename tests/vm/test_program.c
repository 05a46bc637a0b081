/* Programs: numbering, sharing of constants, roots and assignments, errors of the builder, the text, and
 * what a program run operation by operation gives. */
#include "tests/vm/programs.h"

static td_err err;

static td_meta f32s(int ndim, int64_t a, int64_t b) {
    return (td_meta){.dtype = TD_F32, .shape = {.ndim = ndim, .dim = {a, b}}};
}

static uint32_t op1(td_builder *b, const char *name, uint32_t x, const td_attrs *a) {
    return td_build_op(b, td_op_find(name), &x, 1, a, NULL);
}
static uint32_t op2(td_builder *b, const char *name, uint32_t x, uint32_t y) {
    return td_build_op(b, td_op_find(name), (uint32_t[]){x, y}, 2, NULL, "net.lua:12");
}
static td_attrs dims(int64_t a, int64_t b) {
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_DIM, a);
    td_attr_set_i(&at, 1, TD_ATTR_DIM, b);
    return at;
}

static td_program *seal(td_builder *b) {
    td_program *p = td_builder_seal(&b, &err);
    if (p == NULL) fail_msg("%s: %s", err.call, err.msg);
    assert_null(b);
    return p;
}

/* Inputs and constants are made late, and numbered first; a constant that nothing uses goes. */
static void test_numbers(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    td_meta m = f32s(2, 2, 3);
    uint32_t unused = td_build_number(b, TD_F32, 9, 0);
    uint32_t x = td_build_input(b, &m), y = op1(b, "relu", x, NULL);
    uint32_t half = td_build_number(b, TD_F32, 0.5, 0), z = op2(b, "mul", y, half);
    uint32_t w = td_build_input(b, &m), s = op2(b, "add", z, w);
    td_build_output(b, s);
    td_build_output(b, x);
    assert_int_equal(unused, 0);
    td_program *p = seal(b);
    assert_int_equal(p->input_count, 2);
    assert_int_equal(p->const_count, 1);
    assert_int_equal(p->value_count, 6);
    assert_int_equal(p->instr_count, 3);
    assert_int_equal(p->value[2].kind, TD_VALUE_CONST);
    assert_true(*(float *)td_tensor_data(p->value[2].data) == 0.5f);
    assert_int_equal(p->instr[0].in[0], 0);
    assert_int_equal(p->instr[1].in[0], 3);
    assert_int_equal(p->instr[1].in[1], 2);
    assert_int_equal(p->instr[2].in[1], 1);
    assert_int_equal(p->instr[2].out, 5);
    assert_int_equal(p->value[5].maker, 2);
    assert_int_equal(p->output[0], 5);
    assert_int_equal(p->output[1], 0);
    assert_null(p->instr[0].where);
    assert_string_equal(p->instr[1].where, "net.lua:12");
    td_program *again = td_program_ref(p);
    td_program_unref(&p);
    assert_null(p);
    assert_int_equal(again->value_count, 6);
    td_program_unref(&again);
    td_program_unref(&again); /* of nothing: nothing */
}

/* Alike in dtype, shape and bits: one; 0 and -0 are two; large ones are not looked at. */
static void test_shared_constants(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    uint32_t one = td_build_number(b, TD_F32, 1, 0);
    assert_int_equal(td_build_number(b, TD_F32, 1, 0), one);
    assert_int_not_equal(td_build_number(b, TD_F64, 1, 0), one);
    assert_int_not_equal(td_build_number(b, TD_F32, 0.0, 0),
                         td_build_number(b, TD_F32, -0.0, 0));
    td_shape flat = {1, {1}};
    td_tensor *t = td_tensor_new(TD_F32, &flat, &err);
    *(float *)td_tensor_data(t) = 1;
    uint32_t line = td_build_const(b, t);
    assert_int_not_equal(line, one);
    *(float *)td_tensor_data(t) = 2; /* it was copied */
    assert_int_not_equal(td_build_const(b, t), line);
    td_tensor_unref(&t);
    uint32_t number[200];
    for (int i = 0; i < 200; i++) number[i] = td_build_number(b, TD_I64, 0, i);
    for (int i = 0; i < 200; i++)
        assert_int_equal(td_build_number(b, TD_I64, 0, i), number[i]);
    td_shape large = {1, {17}};
    t = td_tensor_new(TD_F32, &large, &err);
    memset(td_tensor_data(t), 0, 68);
    uint32_t first = td_build_const(b, t), second = td_build_const(b, t);
    assert_int_not_equal(first, second);
    td_build_output(b, first);
    td_program *p = seal(b);
    assert_ptr_equal(p->value[0].data, t);
    td_tensor_unref(&t);
    td_program_unref(&p);
}

static void test_transposed_constant(void **state) {
    (void)state;
    td_shape s = {2, {2, 3}}, st = {2, {3, 2}};
    td_tensor *t = td_tensor_new(TD_I64, &s, &err);
    for (int i = 0; i < 6; i++) ((int64_t *)td_tensor_data(t))[i] = i;
    td_tensor *turned = td_tensor_view(t, &st, (int64_t[]){1, 3}, 0, &err);
    td_builder *b = td_builder_new(&err);
    td_build_output(b, td_build_const(b, turned));
    td_program *p = seal(b);
    static const int64_t want[] = {0, 3, 1, 4, 2, 5};
    assert_true(td_tensor_is_contiguous(p->value[0].data));
    assert_memory_equal(td_tensor_data(p->value[0].data), want, sizeof want);
    td_program_unref(&p);
    td_tensor_unref(&turned);
    td_tensor_unref(&t);
}

static void test_roots(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    td_meta m = f32s(2, 2, 3);
    uint32_t x = td_build_input(b, &m), y = td_build_input(b, &m);
    td_attrs turn = dims(0, 1);
    uint32_t t = op1(b, "transpose", x, &turn), tt = op1(b, "transpose", t, &turn);
    uint32_t r = op1(b, "relu", tt, NULL), rt = op1(b, "transpose", r, &turn);
    assert_int_equal(op2(b, "assign", tt, r), 0);
    td_build_output(b, rt);
    td_program *p = seal(b);
    assert_int_equal(td_program_root(p, t), x);
    assert_int_equal(td_program_root(p, tt), x);
    assert_int_equal(td_program_root(p, r), r);
    assert_int_equal(td_program_root(p, rt), r);
    assert_true(td_program_assigns(p, x));
    assert_false(td_program_assigns(p, y));
    assert_true(p->value[r].given && !p->value[x].given);
    assert_int_equal(p->instr[4].out, TD_NO_VALUE);
    td_program_unref(&p);
}

/* ---- errors ---- */

static void expect(td_builder *b, int code, const char *call, const char *msg) {
    td_meta m = f32s(1, 1, 0);
    assert_int_equal(td_build_input(b, &m), TD_NO_VALUE); /* nothing goes on after it */
    assert_int_equal(td_build_number(b, TD_F32, 1, 0), TD_NO_VALUE);
    td_build_output(b, TD_NO_VALUE);
    assert_null(td_builder_seal(&b, &err));
    assert_int_equal(err.code, code);
    assert_string_equal(err.call, call);
    assert_string_equal(err.msg, msg);
}

static void test_errors(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    td_meta m = f32s(2, 2, 3);
    uint32_t x = td_build_input(b, &m);
    assert_null(td_build_error(b));
    assert_int_equal(op2(b, "matmul", x, x), TD_NO_VALUE);
    assert_int_equal(op1(b, "relu", TD_NO_VALUE, NULL), TD_NO_VALUE);
    assert_int_equal(td_build_error(b)->code, TD_E_SHAPE);
    expect(b, TD_E_SHAPE, "matmul", "2x3 does not multiply 2x3");
    assert_string_equal(err.where, "net.lua:12");

    b = td_builder_new(&err);
    uint32_t one = td_build_number(b, TD_F32, 1, 0);
    op2(b, "assign", one, one);
    expect(b, TD_E_STATE, "assign", "a constant cannot be changed");

    b = td_builder_new(&err);
    op1(b, "relu", 5, NULL);
    expect(b, TD_E_INTERNAL, "relu", "there is no value 5");

    b = td_builder_new(&err);
    x = td_build_input(b, &m);
    td_build_op(b, td_op_find("add"), &x, 1, NULL, NULL);
    expect(b, TD_E_ARGUMENT, "add", "takes 2 tensors, got 1");

    b = td_builder_new(&err);
    uint32_t many[TD_OP_MAX_IN + 1] = {0};
    x = td_build_input(b, &m);
    td_build_op(b, td_op_find("cat"), many, TD_OP_MAX_IN + 1, NULL, NULL);
    expect(b, TD_E_ARGUMENT, "cat", "takes 256 tensors, got 257");

    b = td_builder_new(&err);
    td_meta whole = {.dtype = TD_I64};
    x = td_build_input(b, &m);
    op2(b, "add", x, td_build_input(b, &whole)); /* casts are operations of their own */
    expect(b, TD_E_DTYPE, "add", "i64 does not go with f32");
}

/* ---- the text ---- */

static void test_text(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    td_meta image = f32s(2, 64, 784), weight = f32s(2, 10, 784);
    uint32_t x = td_build_input(b, &image), w = td_build_input(b, &weight);
    td_attrs turn = dims(0, 1), mean = {0};
    uint32_t wt = td_build_op(b, td_op_find("transpose"), &w, 1, &turn, "net.lua:3");
    uint32_t y = op2(b, "matmul", x, wt);
    td_attrs sizes = {0};
    td_attr_set_list(&sizes, 0, TD_ATTR_SIZES, (int64_t[]){64, 10}, 2);
    td_attr_set_i(&sizes, 1, TD_ATTR_INT, 0);
    td_attr_set_i(&sizes, 2, TD_ATTR_INT, td_build_draw(b));
    uint32_t noise = td_build_op(b, td_op_find("randn"), NULL, 0, &sizes, NULL);
    uint32_t z = op2(b, "add", y, noise);
    td_attr_set_list(&mean, 0, TD_ATTR_DIMS, (int64_t[]){1}, 1);
    td_attr_set_i(&mean, 1, TD_ATTR_BOOL, 1);
    uint32_t s = op1(b, "mean", z, &mean);
    op2(b, "assign", w, td_build_number(b, TD_F32, -0.1, 0));
    td_build_output(b, s);
    td_shape four = {1, {5}};
    td_tensor *t = td_tensor_new(TD_I64, &four, &err);
    for (int i = 0; i < 5; i++) ((int64_t *)td_tensor_data(t))[i] = i;
    td_build_output(b, td_build_const(b, t));
    td_tensor_unref(&t);
    td_program *p = seal(b);
    char *text = td_program_text(p);
    assert_string_equal(
        text, "program: 2 inputs, 2 constants, 6 operations, 2 outputs, 1 random stream\n"
              "  %0 = input                                        f32  64x784\n"
              "  %1 = input, assigned                              f32  10x784\n"
              "  %2 = -0.1                                         f32  scalar\n"
              "  %3 = {0, 1, 2, ... 5 numbers}                     i64  5\n"
              "  %4 = transpose(%1, dim1=1, dim2=2)                f32  784x10     -- "
              "net.lua:3\n"
              "  %5 = matmul(%0, %4)                               f32  64x10      -- "
              "net.lua:12\n"
              "  %6 = randn(sizes={64, 10})                        f32  64x10\n"
              "  %7 = add(%5, %6)                                  f32  64x10      -- "
              "net.lua:12\n"
              "  %8 = mean(%7, dims={2}, keepdim=true)             f32  64x1\n"
              "  assign(%1, %2)                                                    -- "
              "net.lua:12\n"
              "  return %8, %3\n");
    td_free(text);
    td_program_unref(&p);
}

/* ---- meaning ---- */

/* w <- w - 0.5 w; what was read before stays, what looks at w sees the change. */
static void test_assignment(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    td_meta m = f32s(1, 2, 0);
    uint32_t w = td_build_input(b, &m), half = td_build_number(b, TD_F32, 0.5, 0);
    uint32_t old = op2(b, "mul", w, half);
    op2(b, "assign", w, op2(b, "sub", w, old));
    uint32_t now = op2(b, "mul", w, half);
    td_build_output(b, old);
    td_build_output(b, now);
    td_build_output(b, w);
    td_program *p = seal(b);
    td_tensor *in = td_tensor_new(TD_F32, &m.shape, &err), *out[3];
    memcpy(td_tensor_data(in), (float[]){8, -4}, 8);
    assert_int_equal(plain_run(p, &in, 0, 0, out, &err), 0);
    assert_memory_equal(td_tensor_data(out[0]), ((float[]){4, -2}), 8);
    assert_memory_equal(td_tensor_data(out[1]), ((float[]){2, -1}), 8);
    assert_memory_equal(td_tensor_data(in), ((float[]){4, -2}), 8);
    assert_ptr_equal(out[2], in);
    for (int k = 0; k < 3; k++) td_tensor_unref(&out[k]);
    td_tensor_unref(&in);
    td_program_unref(&p);
}

/* Random programs are what the other tests of programs rely on: they come off, use much of the table, and
 * run for the most part. */
static void test_random_programs(void **state) {
    (void)state;
    int ran = 0, assigned = 0;
    bool used[400] = {false};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        td_program *p = chance_make(seed, 12);
        ran += assert_same_runs(p, p, seed) == 0;
        for (uint32_t i = 0; i < p->instr_count; i++)
            for (int k = 0; k < td_op_count(); k++)
                used[k] |= td_op_at(k) == p->instr[i].op;
        for (uint32_t i = 0; i < p->input_count; i++) assigned += p->value[i].assigned;
        td_program_unref(&p);
    }
    int kinds = 0;
    for (int k = 0; k < td_op_count(); k++) kinds += used[k];
    printf("%d of 400 ran, %d of %d ops, %d inputs assigned\n", ran, kinds, td_op_count(),
           assigned);
    assert_true(ran > 200 && assigned > 50);
    assert_true(kinds > td_op_count() * 3 / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_shared_constants),
        cmocka_unit_test(test_transposed_constant),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_assignment),
        cmocka_unit_test(test_random_programs),
    };
    return cmocka_run_group_tests_name("programs", tests, NULL, NULL);
}
