/* Random numbers: Philox against its authors' known answers, what is drawn with it against its
 * definition and its distribution. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/random.h"

/* From the distribution of Random123 (kat_vectors, philox4x32 10). */
static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } answers[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        uint32_t out[4];
        td_philox(answers[i].counter, answers[i].key, out);
        assert_memory_equal(out, answers[i].want, sizeof out);
    }
}

static void test_uniform_is_the_bits(void **state) {
    (void)state;
    const uint64_t seed = 0x0123456789abcdef, stream = 0xfedcba9876543210;
    float f[11];
    double d[5];
    td_random_uniform_f32(seed, stream, 11, f);
    td_random_uniform_f64(seed, stream, 5, d);
    for (uint32_t i = 0; i < 11; i++) {
        uint32_t out[4];
        td_philox((uint32_t[]){i / 4, 0, 0x76543210, 0xfedcba98},
                  (uint32_t[]){0x89abcdef, 0x01234567}, out);
        assert_true(f[i] == ldexpf((float)(out[i % 4] / 256), -24));
        if (i >= 5) continue;
        td_philox((uint32_t[]){i / 2, 0, 0x76543210, 0xfedcba98},
                  (uint32_t[]){0x89abcdef, 0x01234567}, out);
        uint64_t word = (uint64_t)out[2 * (i % 2) + 1] << 32 | out[2 * (i % 2)];
        assert_true(d[i] == ldexp((double)(word / 2048), -53));
    }
}

/* Fewer values are the beginning of more. */
static void test_prefixes(void **state) {
    (void)state;
    for (int64_t n = 0; n < 40; n++) {
        float a[40], b[40];
        double c[40], d[40];
        td_random_uniform_f32(1, 2, n, a), td_random_uniform_f32(1, 2, 40, b);
        assert_memory_equal(a, b, (size_t)n * sizeof *a);
        td_random_normal_f32(1, 2, n, a), td_random_normal_f32(1, 2, 40, b);
        assert_memory_equal(a, b, (size_t)n * sizeof *a);
        td_random_normal_f64(1, 2, n, c), td_random_normal_f64(1, 2, 40, d);
        assert_memory_equal(c, d, (size_t)n * sizeof *c);
    }
}

static void test_seeds_and_streams_differ(void **state) {
    (void)state;
    float a[8], b[8], c[8];
    td_random_uniform_f32(1, 1, 8, a), td_random_uniform_f32(1, 2, 8, b);
    td_random_uniform_f32(2, 1, 8, c);
    for (int i = 0; i < 8; i++) assert_true(a[i] != b[i] && b[i] != c[i] && a[i] != c[i]);
}

/* The transform, with libm's functions as the oracle. */
static void test_normal_is_box_muller(void **state) {
    (void)state;
    enum { N = 100000 };
    double *u = calloc(N, sizeof *u), *z = calloc(N, sizeof *z);
    float *f = calloc(N, sizeof *f);
    td_random_uniform_f64(7, 3, N, u);
    td_random_normal_f64(7, 3, N, z);
    td_random_normal_f32(7, 3, N, f);
    for (int i = 0; i < N; i += 2) {
        double r = sqrt(-2 * log1p(-u[i])), turn = 2 * acos(-1) * u[i + 1];
        assert_true(fabs(z[i] - r * cos(turn)) < 1e-14);
        assert_true(fabs(z[i + 1] - r * sin(turn)) < 1e-14);
        assert_true(f[i] == (float)z[i]);
    }
    free(u), free(z), free(f);
}

/* No libm is asked, so these bits hold on any machine. */
static void test_normal_bits(void **state) {
    (void)state;
    static const double want[4] = {-0x1.371e09f80c7dep-1, 0x1.e46d16bfae948p-1,
                                   -0x1.b510d5acb221dp-1, 0x1.020a3f1760d4bp-2};
    double z[4];
    td_random_normal_f64(42, 0, 4, z);
    assert_memory_equal(z, want, sizeof z);
}

/* Kolmogorov and Smirnov's distance to the normal law: beyond 1.95 / sqrt(n) once in 1000 seeds. */
static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_normal_distribution(void **state) {
    (void)state;
    enum { N = 200000 };
    double *z = calloc(N, sizeof *z), most = 0, sum = 0, square = 0, fourth = 0;
    td_random_normal_f64(5, 5, N, z);
    for (int i = 0; i < N; i++) {
        sum += z[i];
        square += z[i] * z[i];
        fourth += z[i] * z[i] * z[i] * z[i];
    }
    assert_true(fabs(sum / N) < 4 / sqrt(N));
    assert_true(fabs(square / N - 1) < 4 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) < 4 * sqrt(96.0 / N));
    qsort(z, N, sizeof *z, ascending);
    for (int i = 0; i < N; i++)
        most = fmax(most, fabs((i + 0.5) / N - 0.5 * erfc(-z[i] / sqrt(2))));
    assert_true(most < 1.95 / sqrt(N));
    free(z);
}

static void test_below(void **state) {
    (void)state;
    enum { N = 120000, RANGE = 12 };
    uint64_t *v = calloc(N, sizeof *v);
    int seen[RANGE] = {0};
    td_random_below(3, 1, RANGE, N, v);
    for (int i = 0; i < N; i++) {
        assert_in_range(v[i], 0, RANGE - 1);
        seen[v[i]]++;
    }
    double chi = 0;
    for (int i = 0; i < RANGE; i++)
        chi += (seen[i] - N / RANGE) * (seen[i] - N / RANGE) / (N / 12.0);
    assert_true(chi < 31.3);        /* 11 degrees of freedom: once in 1000 */
    td_random_below(3, 1, 0, 2, v); /* all of the 64 bits */
    td_random_block b = td_random_at(3, 1, 0);
    assert_true(v[0] == b.word[0] && v[1] == b.word[1]);
    td_random_below(3, 1, (uint64_t)1 << 63, 2,
                    v); /* the high half of the product: half the word */
    assert_true(v[0] == b.word[0] / 2 && v[1] == b.word[1] / 2);
    td_random_below(3, 1, 1, 2, v);
    assert_true(v[0] == 0 && v[1] == 0);
    free(v);
}

static void test_permutations(void **state) {
    (void)state;
    int64_t p[1000];
    char seen[1001] = {0};
    td_random_permutation(9, 9, 1000, p);
    int at_home = 0;
    for (int i = 0; i < 1000; i++) {
        assert_in_range(p[i], 1, 1000);
        assert_false(seen[p[i]]);
        seen[p[i]] = 1;
        at_home += p[i] == i + 1;
    }
    assert_in_range(at_home, 0, 8); /* 1 on average */
    int count[27] = {0};
    for (uint64_t seed = 0; seed < 6000; seed++) {
        td_random_permutation(seed, 0, 3, p);
        count[(p[0] - 1) * 9 + (p[1] - 1) * 3 + p[2] - 1]++;
    }
    int orders = 0;
    for (int i = 0; i < 27; i++) {
        if (count[i] == 0) continue;
        orders++;
        assert_in_range(count[i], 880, 1120);
    }
    assert_int_equal(orders, 6);
    td_random_permutation(9, 9, 0, p);
    td_random_permutation(9, 9, 1, p);
    assert_int_equal(p[0], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_uniform_is_the_bits),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_seeds_and_streams_differ),
        cmocka_unit_test(test_normal_is_box_muller),
        cmocka_unit_test(test_normal_bits),
        cmocka_unit_test(test_normal_distribution),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_permutations),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
