/* td_gemm against three loops: every dtype, layouts that BLAS reads and such that it does not, both betas,
 * rows of c that are longer than its columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/blas.h"

enum { ROOM = 8192 };

/* Small whole numbers: sums are exact in every dtype, so results must be equal. */
static void fill(td_dtype t, void *data, int salt) {
    for (int i = 0; i < ROOM; i++)
        td_store_i64(t, (char *)data + (size_t)i * td_dtype_bytes(t),
                     (i * 31 + salt) % 7);
}

static int64_t load(td_dtype t, const void *data, int64_t at) {
    return td_load_i64(t, (const char *)data + at * (int64_t)td_dtype_bytes(t));
}

static void try(td_dtype t, int64_t m, int64_t n, int64_t k, const int64_t stride[4],
                int beta, int64_t ldc) {
    static char a[ROOM * 8], b[ROOM * 8], c[ROOM * 8], old[ROOM * 8];
    fill(t, a, 3);
    fill(t, b, 5);
    fill(t, c, 1);
    if (beta == 0 && td_dtype_is_float(t))
        memset(c, 0xff, sizeof c); /* NaN must not stay */
    memcpy(old, c, sizeof old);
    td_gemm(t, m, n, k, (td_matrix){a, stride[0], stride[1]},
            (td_matrix){b, stride[2], stride[3]}, beta, c, ldc);
    size_t bytes = td_dtype_bytes(t);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < ldc && (i + 1 < m || j < n); j++) {
            char *got = c + (size_t)(i * ldc + j) * bytes;
            if (j >= n) { /* between the rows nothing is touched */
                assert_memory_equal(got, old + (got - c), bytes);
                continue;
            }
            int64_t want = beta ? load(t, old, i * ldc + j) : 0;
            for (int64_t p = 0; p < k; p++)
                want += load(t, a, i * stride[0] + p * stride[1]) *
                        load(t, b, p * stride[2] + j * stride[3]);
            if (t == TD_U8) want &= 255;
            if (load(t, got, 0) != want)
                fail_msg("%s %dx%dx%d strides %d,%d %d,%d beta %d ldc %d: (%d, %d) is "
                         "%d, not %d",
                         td_dtype_name(t), (int)m, (int)n, (int)k, (int)stride[0],
                         (int)stride[1], (int)stride[2], (int)stride[3], beta, (int)ldc,
                         (int)i, (int)j, (int)load(t, got, 0), (int)want);
        }
}

static void test_products(void **state) {
    (void)state;
    static const td_dtype dtypes[] = {TD_F64, TD_F32, TD_I64, TD_I32, TD_U8};
    static const int64_t size[][3] = {{1, 1, 1}, {3, 4, 5}, {1, 7, 9}, {7, 1, 9},
                                      {7, 9, 1}, {1, 1, 9}, {1, 9, 1}, {17, 33, 12},
                                      {4, 5, 0}, {0, 3, 2}, {3, 0, 2}, {20, 8, 50}};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
        for (size_t s = 0; s < sizeof size / sizeof *size; s++) {
            int64_t m = size[s][0], n = size[s][1], k = size[s][2];
            /* by rows, by columns, rows further apart, every second element, one row again and again */
            const int64_t of_a[][2] = {{k, 1}, {1, m}, {k + 3, 1}, {2 * k, 2}, {0, 1}};
            const int64_t of_b[][2] = {{n, 1}, {1, k}, {n + 2, 1}, {2 * n, 2}, {0, 1}};
            for (int i = 0; i < 5; i++)
                for (int j = 0; j < 5; j++)
                    for (int beta = 0; beta < 2; beta++) {
                        int64_t stride[4] = {of_a[i][0], of_a[i][1], of_b[j][0],
                                             of_b[j][1]};
                        try(dtypes[d], m, n, k, stride, beta, n > 0 ? n : 1);
                        try(dtypes[d], m, n, k, stride, beta, n + 5);
                    }
        }
}

/* Shares of secrets are sums modulo 2^64. */
static void test_wrapping(void **state) {
    (void)state;
    int64_t a[2] = {INT64_MAX, INT64_MIN}, b[2] = {3, 5}, c;
    td_gemm(TD_I64, 1, 1, 2, (td_matrix){a, 2, 1}, (td_matrix){b, 1, 1}, 0, &c, 1);
    assert_true(c == (int64_t)((uint64_t)INT64_MAX * 3 + (uint64_t)INT64_MIN * 5));
    int32_t p[2] = {INT32_MAX, -7}, q[2] = {INT32_MAX, INT32_MIN}, r;
    td_gemm(TD_I32, 1, 1, 2, (td_matrix){p, 2, 1}, (td_matrix){q, 1, 1}, 0, &r, 1);
    assert_true(r == (int32_t)((uint32_t)INT32_MAX * (uint32_t)INT32_MAX +
                               (uint32_t)-7 * (uint32_t)INT32_MIN));
}

/* What BLAS can be handed as it lies. */
static void test_layouts(void **state) {
    (void)state;
    static const struct {
        int64_t row, col, rows, cols;
        bool reads;
    } cases[] = {{5, 1, 3, 5, true},  {7, 1, 3, 5, true},
                 {1, 3, 3, 5, true},  {4, 1, 3, 5, false},
                 {0, 1, 3, 5, false}, {10, 2, 3, 5, false},
                 {9, 9, 1, 1, true},  {0, 1, 1, 5, true},
                 {2, 9, 4, 1, true},  {(int64_t)1 << 31, 1, 2, 5, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        td_matrix m = {NULL, cases[i].row, cases[i].col};
        if (td_gemm_reads(&m, cases[i].rows, cases[i].cols) != cases[i].reads)
            fail_msg("case %d", (int)i + 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
