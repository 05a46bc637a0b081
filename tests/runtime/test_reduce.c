/* Reductions on raw tensors: sizes across lanes, blocks and groups of results against plain loops, the
 * same bits for any strides, accuracy on ten million elements. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/reduce.h"
#include "runtime/pool.h"
#include "runtime/random.h"

static td_err err;

static td_tensor *random_tensor(td_dtype t, int ndim, const int64_t *dim) {
    td_shape s = {.ndim = ndim};
    for (int d = 0; d < ndim; d++) s.dim[d] = dim[d];
    td_tensor *x = td_tensor_new(t, &s, &err);
    int64_t n = td_tensor_numel(x);
    double *u = malloc((size_t)(n + 1) * sizeof *u);
    td_random_normal_f64(1, (uint64_t)n, n, u);
    for (int64_t i = 0; i < n; i++)
        td_store_f64(t, x->storage->data + i * (int64_t)td_dtype_bytes(t),
                     td_dtype_is_float(t) ? u[i] : floor(u[i] * 50));
    free(u);
    return x;
}

/* The same values with another order of dimensions in memory. */
static td_tensor *laid_out(const td_tensor *x, const int *order) {
    td_shape s = {.ndim = x->shape.ndim};
    int64_t stride[TD_MAX_DIM];
    for (int i = 0; i < s.ndim; i++) s.dim[i] = x->shape.dim[order[i]];
    td_tensor *base = td_tensor_new(x->dtype, &s, &err);
    for (int i = 0; i < s.ndim; i++) stride[order[i]] = base->stride[i];
    td_tensor *y = td_tensor_view(base, &x->shape, stride, 0, &err);
    td_tensor_unref(&base);
    td_tensor_copy(y, x);
    return y;
}

/* The reduction in long double, or in integers that wrap, one element after another. */
static void plain(td_reduce_kind kind, const td_tensor *x, unsigned dims, long double *f,
                  int64_t *n) {
    int64_t index[TD_MAX_DIM] = {0}, total = td_tensor_numel(x);
    bool first[20000];
    memset(first, 1, sizeof first);
    for (int64_t i = 0; i < total; i++) {
        int64_t r = 0;
        for (int d = 0; d < x->shape.ndim; d++)
            if (!((dims >> d) & 1)) r = r * x->shape.dim[d] + index[d];
        assert_true(r < 20000);
        long double v = td_load_f64(x->dtype, td_tensor_at(x, index));
        int64_t w = td_load_i64(x->dtype, td_tensor_at(x, index));
        if (kind == TD_REDUCE_SUM) {
            f[r] = first[r] ? v : f[r] + v;
            n[r] = first[r] ? w : (int64_t)((uint64_t)n[r] + (uint64_t)w);
        } else if (kind == TD_REDUCE_PROD) {
            f[r] = first[r] ? v : f[r] * v;
            n[r] = first[r] ? w : (int64_t)((uint64_t)n[r] * (uint64_t)w);
        } else {
            bool better = kind == TD_REDUCE_MAX ? v > f[r] : v < f[r];
            if (first[r] || better) f[r] = v, n[r] = w;
        }
        first[r] = false;
        for (int d = x->shape.ndim - 1; d >= 0 && ++index[d] == x->shape.dim[d]; d--)
            index[d] = 0;
    }
}

static void compare(const td_tensor *x, unsigned dims, const td_tensor *other) {
    int64_t results = 1;
    for (int d = 0; d < x->shape.ndim; d++)
        if (!((dims >> d) & 1)) results *= x->shape.dim[d];
    size_t bytes = (size_t)results * 8;
    long double *f = calloc((size_t)results, sizeof *f);
    int64_t *n = calloc((size_t)results, sizeof *n);
    void *got = malloc(bytes), *again = malloc(bytes);
    for (int kind = 0; kind < TD_REDUCE_KINDS; kind++) {
        plain((td_reduce_kind)kind, x, dims, f, n);
        assert_int_equal(td_reduce((td_reduce_kind)kind, TD_MAP_NONE, (td_tensor *)x,
                                   dims, NULL, got, &err),
                         0);
        for (int64_t r = 0; r < results; r++) {
            if (td_dtype_is_float(x->dtype)) {
                double v = ((double *)got)[r];
                long double scale = kind == TD_REDUCE_SUM ? 100 : fabsl(f[r]);
                assert_true(fabsl((long double)v - f[r]) <=
                            1e-12L * scale + 1e-300L); /* products get subnormal */
            } else {
                assert_int_equal(((int64_t *)got)[r], n[r]);
            }
        }
        assert_int_equal(td_reduce((td_reduce_kind)kind, TD_MAP_NONE, (td_tensor *)other,
                                   dims, NULL, again, &err),
                         0);
        assert_memory_equal(got, again, bytes);
    }
    free(f), free(n), free(got), free(again);
}

/* Each size with every set of dimensions, and with two orders in memory. */
static void test_against_plain_loops(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {
        {1, 1, 1},   {3, 5, 7},   {2, 17, 65},  {1, 1, 2500},  {2500, 3, 1}, {3, 1030, 5},
        {70, 2, 33}, {5, 130, 9}, {2, 3, 1024}, {1, 1025, 16}, {4, 15, 128}, {64, 8, 8}};
    static const td_dtype dtypes[] = {TD_F64, TD_F32, TD_I64, TD_I32, TD_U8, TD_BOOL};
    static const int orders[][3] = {{2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t t = 0; t < sizeof dtypes / sizeof *dtypes; t++) {
            td_tensor *x = random_tensor(dtypes[t], 3, sizes[i]);
            for (unsigned dims = 0; dims < 8; dims++) {
                td_tensor *y = laid_out(x, orders[(i + t + dims) % 3]);
                compare(x, dims, y);
                td_tensor_unref(&y);
            }
            td_tensor_unref(&x);
        }
}

static void test_maps(void **state) {
    (void)state;
    td_tensor *x = random_tensor(TD_F32, 2, (int64_t[]){70, 1100});
    for (unsigned dims = 1; dims <= 2; dims++) {
        int64_t results = dims == 1 ? 1100 : 70, n = dims == 1 ? 70 : 1100;
        double *shift = malloc((size_t)results * 8),
               *square = malloc((size_t)results * 8);
        double *exps = malloc((size_t)results * 8);
        for (int64_t r = 0; r < results; r++) shift[r] = (double)(r % 5) - 2;
        td_reduce(TD_REDUCE_SUM, TD_MAP_SQUARE, x, dims, shift, square, &err);
        td_reduce(TD_REDUCE_SUM, TD_MAP_EXP, x, dims, shift, exps, &err);
        for (int64_t r = 0; r < results; r++) {
            long double s = 0, e = 0;
            for (int64_t i = 0; i < n; i++) {
                int64_t at[2] = {dims == 1 ? i : r, dims == 1 ? r : i};
                long double v = *(float *)td_tensor_at(x, at) - shift[r];
                s += v * v;
                e += expl(v);
            }
            assert_true(fabsl(square[r] - s) <= 1e-13L * s &&
                        fabsl(exps[r] - e) <= 1e-13L * e);
        }
        free(shift), free(square), free(exps);
    }
    int64_t truth;
    td_tensor *none = random_tensor(TD_F32, 1, (int64_t[]){0});
    td_reduce(TD_REDUCE_MAX, TD_MAP_NONZERO, none, 1, NULL, &truth, &err);
    assert_int_equal(truth, 0);
    td_reduce(TD_REDUCE_MIN, TD_MAP_NONZERO, none, 1, NULL, &truth, &err);
    assert_int_equal(truth, 1);
    td_tensor_unref(&none);
    td_tensor_unref(&x);
}

/* Ten million numbers around 1: adding them one by one in f32 is off by a percent. */
static void test_accuracy(void **state) {
    (void)state;
    const int64_t n = 10000000;
    td_tensor *x = td_tensor_new(TD_F32, &(td_shape){1, {n}}, &err);
    float *v = td_tensor_data(x);
    td_random_uniform_f32(3, 3, n, v);
    long double want = 0;
    for (int64_t i = 0; i < n; i++) {
        v[i] += 0.5f;
        want += v[i];
    }
    double got;
    td_reduce(TD_REDUCE_SUM, TD_MAP_NONE, x, 1, NULL, &got, &err);
    assert_true(fabsl(got - want) <= 1e-13L * want);
    td_tensor_unref(&x);
}

/* Cut over threads by results, or by blocks where results are few: the same bits. */
static void test_threads(void **state) {
    (void)state;
    static const int64_t sizes[][4] = {
        {3, 40, 30, 31}, {1, 1, 1, 300000}, {6, 64, 33, 32}, {1, 5000, 1, 70}};
    static const int orders[][4] = {{0, 1, 2, 3}, {0, 2, 3, 1}, {3, 2, 1, 0}};
    static double one[400000], three[400000];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int o = 0; o < 3; o++) {
            td_tensor *x = random_tensor(TD_F32, 4, sizes[i]);
            td_tensor *y = laid_out(x, orders[o]);
            for (unsigned dims = 1; dims < 16; dims++) {
                size_t results = 1;
                for (int d = 0; d < 4; d++)
                    if (!((dims >> d) & 1)) results *= (size_t)sizes[i][d];
                td_pool_set_threads(1);
                td_reduce(TD_REDUCE_SUM, TD_MAP_NONE, x, dims, NULL, one, &err);
                td_pool_set_threads(3);
                td_reduce(TD_REDUCE_SUM, TD_MAP_NONE, y, dims, NULL, three, &err);
                assert_memory_equal(one, three, results * sizeof *one);
            }
            td_tensor_unref(&x);
            td_tensor_unref(&y);
        }
    td_pool_set_threads(1);
}

/* A NaN anywhere is found, whichever lane or block it falls into. */
static void test_nan_wins(void **state) {
    (void)state;
    td_tensor *x = random_tensor(TD_F32, 1, (int64_t[]){2100});
    float *v = td_tensor_data(x);
    for (int64_t i = 0; i < 2100; i += 7) {
        float old = v[i];
        double most, least;
        int64_t at;
        v[i] = NAN;
        td_reduce(TD_REDUCE_MAX, TD_MAP_NONE, x, 1, NULL, &most, &err);
        td_reduce(TD_REDUCE_MIN, TD_MAP_NONE, x, 1, NULL, &least, &err);
        td_arg_extreme(true, x, 0, &at);
        assert_true(isnan(most) && isnan(least));
        assert_int_equal(at, i);
        v[i] = old;
    }
    td_tensor_unref(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain_loops),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_nan_wins),
    };
    return cmocka_run_group_tests_name("reduce", tests, NULL, NULL);
}
