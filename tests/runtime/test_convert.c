/* Conversions between all pairs of dtypes, flat and strided, against those of single elements. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/convert.h"

static const double values[] = {
    0,    -0.0,   1,      -1,   0.5,      -1.5,      2.5,         127.9,
    255,  256,    -129,   1e4,  65504,    65520,     1e5,         -3e9,
    3e9,  1e18,   -1e19,  1e19, 1e38,     1e39,      1e300,       1e-40,
    6e-8, 1e-300, 0x1p53, NAN,  INFINITY, -INFINITY, 0x1.ffep-15, 3.14159265358979,
    -7};
enum { N = sizeof values / sizeof *values };

static void test_all_pairs(void **state) {
    (void)state;
    for (td_dtype from = TD_F64; from < TD_DTYPE_COUNT; from++)
        for (td_dtype to = TD_F64; to < TD_DTYPE_COUNT; to++) {
            int64_t in_step = (int64_t)td_dtype_bytes(from),
                    out_step = (int64_t)td_dtype_bytes(to);
            for (int spread = 1; spread <= 3; spread += 2) {
                _Alignas(8) char in[N * 24], out[N * 24], want[8];
                memset(out, 0x55, sizeof out);
                for (int i = 0; i < N; i++)
                    td_store_f64(from, in + i * in_step * spread, values[i]);
                td_convert_inner(to, from)(
                    N, (char *const[]){out, in},
                    (int64_t[]){out_step * spread, in_step * spread}, NULL);
                for (int i = 0; i < N; i++) {
                    const char *x = in + i * in_step * spread;
                    if (td_dtype_is_float(from))
                        td_store_f64(to, want, td_load_f64(from, x));
                    else
                        td_store_i64(to, want, td_load_i64(from, x));
                    if (memcmp(want, out + i * out_step * spread, (size_t)out_step) != 0)
                        fail_msg("%g as %s to %s differs", values[i], td_dtype_name(from),
                                 td_dtype_name(to));
                }
                if (spread == 3)
                    assert_int_equal(out[out_step], 0x55); /* what lies between stays */
            }
        }
}

/* An integer beyond 2^53 is rounded once on its way to f32: through a double it would be twice. */
static void test_large_integers(void **state) {
    (void)state;
    int64_t x = ((int64_t)1 << 60) + ((int64_t)1 << 36) + 1;
    float y;
    td_convert_inner(TD_F32, TD_I64)(1, (char *const[]){(char *)&y, (char *)&x},
                                     (int64_t[]){4, 8}, NULL);
    assert_true(y == 0x1.000002p60f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pairs),
        cmocka_unit_test(test_large_integers),
    };
    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
