/* What a row of the op tests cannot say: integers that wrap, NaN and infinity, ties, powers with zeros,
 * assignments that overlap, numbers beside tensors, bool arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vm/grad.h"

static td_err err;

static td_val *vec(td_dtype t, int n, const double *v) {
    td_tensor *x = td_tensor_new(t, &(td_shape){1, {n}}, &err);
    for (int i = 0; i < n; i++)
        td_store_f64(t, x->storage->data + (size_t)i * td_dtype_bytes(t), v[i]);
    return td_val_new(x, &err);
}
#define VEC(t, ...)                                                                      \
    vec(t, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                      \
        (double[]){__VA_ARGS__})

static td_val *ints(int n, const int64_t *v) {
    td_tensor *x = td_tensor_new(TD_I64, &(td_shape){1, {n}}, &err);
    memcpy(x->storage->data, v, (size_t)n * sizeof *v);
    return td_val_new(x, &err);
}
#define INTS(...)                                                                        \
    ints((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                      \
         (int64_t[]){__VA_ARGS__})

static td_val *apply(const char *name, int nin, td_val **in, const td_attrs *a) {
    td_val *out[TD_OP_MAX_OUT] = {NULL};
    err = (td_err){0};
    if (td_apply(td_op_find(name), in, nin, a, out, &err))
        fail_msg("%s: %s", err.call, err.msg);
    for (int k = 1; k < TD_OP_MAX_OUT; k++) td_val_unref(&out[k]);
    return out[0];
}
static td_val *f1(const char *name, td_val *a) { return apply(name, 1, &a, NULL); }
static td_val *f2(const char *name, td_val *a, td_val *b) {
    return apply(name, 2, (td_val *[]){a, b}, NULL);
}
static void drop(td_val *v) { td_val_unref(&v); }
static double at(const td_val *v, int64_t i) {
    return td_load_f64(v->t->dtype, td_tensor_at(v->t, &i));
}
static int64_t int_at(const td_val *v, int64_t i) {
    return td_load_i64(v->t->dtype, td_tensor_at(v->t, &i));
}

/* Consumes v. */
static void is(td_val *v, td_dtype t, int n, const double *want) {
    assert_int_equal(v->meta.dtype, t);
    assert_int_equal(td_shape_numel(&v->meta.shape), n);
    for (int i = 0; i < n; i++)
        if (!(at(v, i) == want[i] || (isnan(at(v, i)) && isnan(want[i]))))
            fail_msg("element %d is %g, wanted %g", i, at(v, i), want[i]);
    drop(v);
}
#define IS(v, t, ...)                                                                    \
    is(v, t, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                    \
       (double[]){__VA_ARGS__})

static void is_int(td_val *v, td_dtype t, int64_t want) {
    assert_int_equal(v->meta.dtype, t);
    assert_int_equal(int_at(v, 0), want);
    drop(v);
}

/* ---- integers ---- */

static void test_integers_wrap(void **state) {
    (void)state;
    td_val *most = INTS(INT64_MAX), *least = INTS(INT64_MIN), *one = INTS(1),
           *minus = INTS(-1);
    td_val *big = INTS((int64_t)1 << 62 | 12345), *three = INTS(3);
    is_int(f2("add", most, one), TD_I64, INT64_MIN);
    is_int(f2("sub", least, one), TD_I64, INT64_MAX);
    is_int(f2("mul", big, three), TD_I64,
           (int64_t)((uint64_t)((int64_t)1 << 62 | 12345) * 3));
    is_int(f1("neg", least), TD_I64, INT64_MIN);
    is_int(f1("abs", least), TD_I64, INT64_MIN);
    is_int(f2("floor_divide", least, minus), TD_I64, INT64_MIN);
    is_int(f2("remainder", least, minus), TD_I64, 0);
    td_val *e = INTS(65);
    is_int(f2("pow", three, e), TD_I64, (int64_t)7752514261426648835u);
    td_val *two[2] = {most, one},
           *joined = apply("cat", 2, two, &(td_attrs){{{.kind = TD_ATTR_DIM}}});
    is_int(f1("sum", joined), TD_I64, INT64_MIN);
    drop(joined), drop(e), drop(three), drop(big), drop(minus), drop(one), drop(least),
        drop(most);
}

static void test_narrow_integers_wrap(void **state) {
    (void)state;
    td_val *a = VEC(TD_U8, 200, 5), *b = VEC(TD_U8, 100, 7),
           *c = VEC(TD_I32, INT32_MAX, 65536);
    IS(f2("add", a, b), TD_U8, 44, 12);
    IS(f2("sub", b, a), TD_U8, 156, 2);
    IS(f2("mul", a, b), TD_U8, 20000 % 256, 35);
    IS(f1("neg", a), TD_U8, 56, 251);
    IS(f1("square", c), TD_I32, 1, 0);
    IS(f2("mul", c, c), TD_I32, 1, 0);
    IS(f1("sum", a), TD_I64, 205);
    drop(a), drop(b), drop(c);
}

/* Exact beyond 2^53, where doubles are not. */
static void test_large_integers_are_exact(void **state) {
    (void)state;
    const int64_t v = ((int64_t)1 << 60) + 1;
    td_val *x = INTS(v, v - 1), *y = INTS(v - 1, v), *n = td_val_integer(v, &err);
    td_attrs a = {0};
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    is_int(f1("amax", x), TD_I64, v);
    is_int(apply("argmax", 1, &y, &a), TD_I64, 2);
    td_val *eq = f2("eq", x, y), *same = f2("eq", x, n);
    IS(eq, TD_BOOL, 0, 0);
    IS(same, TD_BOOL, 1, 0);
    is_int(f2("sub", x, y), TD_I64, 1);
    is_int(apply("cumsum", 1, &x, &a), TD_I64, v);
    drop(n), drop(y), drop(x);
}

/* ---- numbers beside tensors ---- */

static void test_dtypes_of_numbers(void **state) {
    (void)state;
    td_val *half = td_val_number(0.5, &err), *two = td_val_integer(2, &err);
    td_val *big = td_val_integer(300, &err);
    td_val *i = VEC(TD_I64, 3), *u = VEC(TD_U8, 3), *f = VEC(TD_F32, 3),
           *b = VEC(TD_BOOL, 1);
    td_val *d0 = td_val_new(td_tensor_from_f64(TD_F64, 4, &err), &err);
    IS(f2("mul", i, half), TD_F32, 1.5);
    IS(f2("mul", i, two), TD_I64, 6);
    IS(f2("mul", u, two), TD_U8, 6);
    IS(f2("mul", f, two), TD_F32, 6);
    IS(f2("mul", b, two), TD_I64, 2);
    IS(f2("mul", b, half), TD_F32, 0.5);
    IS(f2("mul", f, d0), TD_F32,
       12); /* a 0-d tensor does not widen one with dimensions */
    IS(f2("mul", i, d0), TD_F64, 12); /* unless it is of a higher kind */
    IS(f2("div", i, two), TD_F32, 1.5);
    td_val *out;
    assert_int_equal(
        td_apply(td_op_find("add"), (td_val *[]){u, big}, 2, NULL, &out, &err),
        TD_E_VALUE);
    assert_string_equal(err.msg, "300 does not fit u8");
    assert_string_equal(err.call, "add");
    drop(half), drop(two), drop(big), drop(i), drop(u), drop(f), drop(b), drop(d0);
}

static void test_bool_arithmetic(void **state) {
    (void)state;
    td_val *a = VEC(TD_BOOL, 0, 0, 1, 1), *b = VEC(TD_BOOL, 0, 1, 0, 1), *out;
    IS(f2("add", a, b), TD_BOOL, 0, 1, 1, 1);
    IS(f2("mul", a, b), TD_BOOL, 0, 0, 0, 1);
    IS(f2("maximum", a, b), TD_BOOL, 0, 1, 1, 1);
    IS(f2("minimum", a, b), TD_BOOL, 0, 0, 0, 1);
    static const char *const refused[] = {"sub", "pow", "remainder", "floor_divide"};
    for (int k = 0; k < 4; k++) {
        assert_int_equal(
            td_apply(td_op_find(refused[k]), (td_val *[]){a, b}, 2, NULL, &out, &err),
            TD_E_DTYPE);
        assert_string_equal(err.call, refused[k]);
        assert_string_equal(err.msg, "wants numbers, got bool");
        assert_string_equal(err.hint, "convert it first: x:to(\"i64\") or x:to(\"f32\")");
    }
    drop(a), drop(b);
}

/* ---- NaN and infinity ---- */

static void test_nan_and_infinity(void **state) {
    (void)state;
    const double inf = INFINITY, nan_ = NAN;
    for (int k = 0; k < 2; k++) {
        td_dtype t = k ? TD_F32 : TD_F64;
        td_val *x = VEC(t, nan_, inf, -inf, 0, -0.0, 1), *zero = VEC(t, 0),
               *nans = VEC(t, nan_);
        td_val *edge = VEC(t, nan_, inf, -inf, 0, -0.0), *five = VEC(t, 5, -5),
               *far = VEC(t, inf);
        IS(f1("relu", x), t, nan_, inf, 0, 0, 0, 1);
        IS(f1("sign", x), t, nan_, 1, -1, 0, 0, 1);
        IS(f1("exp", edge), t, nan_, inf, 0, 1, 1);
        IS(f2("maximum", x, zero), t, nan_, inf, 0, 0, 0, 1);
        IS(f2("minimum", zero, x), t, nan_, 0, -inf, 0, 0, 0);
        IS(f2("maximum", zero, nans), t, nan_);
        IS(f2("eq", x, x), TD_BOOL, 0, 1, 1, 1, 1, 1);
        IS(f2("ne", x, x), TD_BOOL, 1, 0, 0, 0, 0, 0);
        IS(f1("logical_not", x), TD_BOOL, 0, 0, 0, 1, 1, 0);
        IS(f2("remainder", five, far), t, 5, inf);
        td_attrs bounds = {0};
        td_attr_set_f(&bounds, 0, -1), td_attr_set_f(&bounds, 1, 0.5);
        IS(apply("clamp", 1, &x, &bounds), t, nan_, 0.5, -1, 0, 0, 0.5);
        IS(f1("sum", x), t, nan_);
        drop(x), drop(zero), drop(nans), drop(edge), drop(five), drop(far);
    }
}

/* Subnormal and huge values survive a cast to each float dtype and back. */
static void test_casts_at_the_edges(void **state) {
    (void)state;
    td_val *x = VEC(TD_F64, 1e300, -1e300, 65504, 65520, 0x1p-24, 0x1p-26, 3e9, -1.9);
    td_attrs to = {0};
    td_attr_set_i(&to, 0, TD_ATTR_DTYPE, TD_F16);
    IS(apply("cast", 1, &x, &to), TD_F16, INFINITY, -INFINITY, 65504, INFINITY, 0x1p-24,
       0, INFINITY, -1.900390625);
    td_attr_set_i(&to, 0, TD_ATTR_DTYPE, TD_I64);
    IS(apply("cast", 1, &x, &to), TD_I64, -0x1p63, -0x1p63, 65504, 65520, 0, 0, 3e9, -1);
    td_attr_set_i(&to, 0, TD_ATTR_DTYPE, TD_I32);
    IS(apply("cast", 1, &x, &to), TD_I32, 0, 0, 65504, 65520, 0, 0, 3e9 - 0x1p32, -1);
    td_attr_set_i(&to, 0, TD_ATTR_DTYPE, TD_BOOL);
    IS(apply("cast", 1, &x, &to), TD_BOOL, 1, 1, 1, 1, 1, 1, 1, 1);
    drop(x);
}

/* ---- gradients on kinks and ties ---- */

static td_val *grad_of(const char *name, int nin, td_val **in, const td_attrs *a,
                       int which) {
    for (int i = 0; i < nin; i++) td_val_require_grad(in[i], true, &err);
    td_val *y = apply(name, nin, in, a), *s = f1("sum", y), *g = NULL;
    if (td_grad_of(s, NULL, &in[which], 1, false, false, &g, &err))
        fail_msg("%s", err.msg);
    drop(s), drop(y);
    return g;
}

static void test_ties_share(void **state) {
    (void)state;
    td_val *x = VEC(TD_F64, 3, 1, 3, 3),
           *in[2] = {VEC(TD_F64, 1, 2, 3), VEC(TD_F64, 1, 3, 2)};
    IS(grad_of("amax", 1, &x, NULL, 0), TD_F64, 1.0 / 3, 0, 1.0 / 3, 1.0 / 3);
    td_attrs a = {0};
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    IS(grad_of("max_dim", 1, &x, &a, 0), TD_F64, 1, 0, 0, 0);
    IS(grad_of("maximum", 2, in, NULL, 0), TD_F64, 0.5, 0, 1);
    IS(grad_of("maximum", 2, in, NULL, 1), TD_F64, 0.5, 1, 0);
    IS(grad_of("minimum", 2, in, NULL, 1), TD_F64, 0.5, 0, 1);
    drop(x), drop(in[0]), drop(in[1]);
}

static void test_gradients_at_zero(void **state) {
    (void)state;
    td_val *x = VEC(TD_F64, 0, -0.0, 2),
           *p[2] = {VEC(TD_F64, 0, 0, 2, -2), VEC(TD_F64, 0, 2, 3, 2)};
    IS(grad_of("relu", 1, &x, NULL, 0), TD_F64, 0, 0, 1);
    IS(grad_of("abs", 1, &x, NULL, 0), TD_F64, 0, 0, 1);
    IS(grad_of("pow", 2, p, NULL, 0), TD_F64, 0, 0, 12, -4);
    IS(grad_of("pow", 2, p, NULL, 1), TD_F64, 0, 0, 8 * log(2), NAN);
    td_attrs bounds = {0};
    td_attr_set_f(&bounds, 0, 0), td_attr_set_f(&bounds, 1, 1);
    IS(grad_of("clamp", 1, &x, &bounds, 0), TD_F64, 1, 1, 0);
    td_val *none = VEC(TD_F64, 2, 3, 4), *one = VEC(TD_F64, 2, 0, 4),
           *two = VEC(TD_F64, 0, 0, 4);
    IS(grad_of("prod", 1, &none, NULL, 0), TD_F64, 12, 8, 6);
    IS(grad_of("prod", 1, &one, NULL, 0), TD_F64, 0, 8, 0);
    IS(grad_of("prod", 1, &two, NULL, 0), TD_F64, 0, 0, 0);
    drop(x), drop(p[0]), drop(p[1]), drop(none), drop(one), drop(two);
}

/* ---- assign ---- */

static td_val *view(td_val *base, int64_t n, int64_t stride, int64_t offset) {
    return td_val_new(td_tensor_view(base->t, &(td_shape){1, {n}}, &stride, offset, &err),
                      &err);
}

static int assign(td_val *dst, td_val *src) {
    err = (td_err){0};
    return td_apply(td_op_find("assign"), (td_val *[]){dst, src}, 2, NULL, NULL, &err);
}

static void test_assign_overlaps(void **state) {
    (void)state;
    td_val *x = VEC(TD_F32, 1, 2, 3, 4, 5), *up = view(x, 4, 1, 1),
           *low = view(x, 4, 1, 0);
    uint32_t version = x->t->storage->version;
    assert_int_equal(assign(up, low), 0);
    assert_int_equal(x->t->storage->version, version + 1);
    IS(td_val_ref(x), TD_F32, 1, 1, 2, 3, 4);
    assert_int_equal(assign(low, up), 0);
    IS(td_val_ref(x), TD_F32, 1, 2, 3, 4, 4);
    td_val *back = view(x, 5, -1, 4); /* turned round onto itself */
    assert_int_equal(assign(x, back), 0);
    IS(td_val_ref(x), TD_F32, 4, 4, 3, 2, 1);
    drop(back), drop(up), drop(low), drop(x);
}

static void test_assign_elsewhere(void **state) {
    (void)state;
    td_val *x = VEC(TD_I64, 0, 0, 0, 0, 0, 0), *every_other = view(x, 3, 2, 1),
           *n = VEC(TD_F32, 1.9, -2.9, 3);
    assert_int_equal(assign(every_other, n),
                     0); /* keeps its dtype, and what lies between */
    IS(td_val_ref(x), TD_I64, 0, 1, 0, -2, 0, 3);
    td_val *many = view(x, 4, 0, 0);
    assert_int_equal(assign(many, n), TD_E_SHAPE);
    assert_string_equal(err.msg, "3 does not broadcast to 4");
    td_val *one = td_val_number(1, &err);
    assert_int_equal(assign(many, one), TD_E_VALUE);
    assert_string_equal(err.call, "assign");
    assert_string_equal(err.msg, "elements share memory; clone() it first");
    IS(td_val_ref(x), TD_I64, 0, 1, 0, -2, 0, 3);
    drop(one), drop(many), drop(n), drop(every_other), drop(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_wrap),
        cmocka_unit_test(test_narrow_integers_wrap),
        cmocka_unit_test(test_large_integers_are_exact),
        cmocka_unit_test(test_dtypes_of_numbers),
        cmocka_unit_test(test_bool_arithmetic),
        cmocka_unit_test(test_nan_and_infinity),
        cmocka_unit_test(test_casts_at_the_edges),
        cmocka_unit_test(test_ties_share),
        cmocka_unit_test(test_gradients_at_zero),
        cmocka_unit_test(test_assign_overlaps),
        cmocka_unit_test(test_assign_elsewhere),
    };
    return cmocka_run_group_tests_name("special cases of ops", tests, NULL, NULL);
}
