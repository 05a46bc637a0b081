/* Elementwise loops: the same bits on each processor level, for any length, alignment and stride; and the
 * choice of a level by TIDE_CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cpu.h"
#include "runtime/kernels/elementwise.h"
#include "runtime/kernels/reduce.h"
#include "runtime/random.h"

enum { N = 131, ROOM = 4 * N }; /* elements, and room for strides */

static uint64_t hash(uint64_t h, const void *p, size_t n) {
    for (const unsigned char *c = p; n > 0; n--, c++) h = (h ^ *c) * 0x100000001b3;
    return h;
}

/* Inputs: mostly moderate, some at the ends of the range. */
static void fill(td_dtype t, uint64_t stream, void *to) {
    double u[ROOM];
    td_random_normal_f64(1, stream, ROOM, u);
    for (int i = 0; i < ROOM; i++) {
        double v = u[i] * (i % 7 == 0 ? 60 : 2);
        if (t == TD_I64 || t == TD_I32)
            v = i % 5 == 0 ? u[i] * 1e9 : v * 3 + (v < 0 ? -1 : 1);
        if (t == TD_U8) v = 1 + (double)((int)(v < 0 ? -v * 9 : v * 9) % 255);
        if (t == TD_BOOL) v = v > 0;
        td_store_f64(t, (char *)to + i * (int)td_dtype_bytes(t), v);
    }
}

/* Runs an inner loop over inputs of dtype t, flat from several alignments, and with strides; all ways must
 * give the bits of the first. Adds them to the hash. */
static uint64_t try_loop(uint64_t h, const char *name, td_inner *inner, td_dtype t,
                         size_t out_bytes, int nin) {
    static _Alignas(64) char in[2][ROOM * 8], flat[ROOM * 8 + 64], other[ROOM * 8];
    const td_unary_args args = {
        .low = -1.5, .high = 1.5, .slope = 0.1, .int_low = -1, .int_high = 7};
    int64_t each = (int64_t)td_dtype_bytes(t), out = (int64_t)out_bytes;
    for (int k = 0; k < nin; k++) fill(t, (uint64_t)k + 1, in[k]);
    for (int way = 0; way < 4; way++) {
        int64_t from = way, n = N - 3 * (way == 3); /* flat from an odd element on */
        char *ptr[3] = {flat + (way == 2 ? out : 0), in[0] + from * each,
                        in[1] + from * each};
        int64_t step[3] = {out, each, each};
        memset(flat, 0, sizeof flat);
        inner(n, ptr, step, &args);
        for (int64_t i = 0; i < n;
             i++) { /* the same, an element at a time, as strided code */
            char *one[3] = {other, in[0] + (from + i) * each, in[1] + (from + i) * each};
            inner(1, one, (int64_t[]){3 * out, 2 * each, 2 * each}, &args);
            if (memcmp(other, ptr[0] + i * out, out_bytes) != 0)
                fail_msg("%s of %s: element %d differs with its place", name,
                         td_dtype_name(t), (int)i);
        }
        h = hash(h, ptr[0], (size_t)(n * out));
        for (int fixed = 1; nin == 2 && fixed <= 2;
             fixed++) { /* one side a single number */
            int64_t scalar[3] = {out, fixed == 1 ? 0 : each, fixed == 2 ? 0 : each};
            inner(n, ptr, scalar, &args);
            for (int64_t i = 0; i < n; i++) {
                char *one[3] = {other, ptr[1] + i * scalar[1], ptr[2] + i * scalar[2]};
                inner(1, one, (int64_t[]){3 * out, 2 * each, 2 * each}, &args);
                if (memcmp(other, ptr[0] + i * out, out_bytes) != 0)
                    fail_msg("%s of %s with a number differs", name, td_dtype_name(t));
            }
            h = hash(h, ptr[0], (size_t)(n * out));
        }
    }
    return h;
}

/* The bits of all loops of this level. */
static uint64_t all_bits(void) {
    static const char *const unary_name[] = {
#define TD_X(name) #name,
        TD_UNARIES(TD_X)};
    static const char *const binary_name[] = {TD_BINARIES(TD_X)};
#undef TD_X
    uint64_t h = 0xcbf29ce484222325;
    for (td_dtype t = TD_F64; t < TD_DTYPE_COUNT; t++) {
        for (int op = 0; op < TD_UNARY_COUNT; op++) {
            td_inner *inner = td_unary_inner((td_unary)op, t);
            bool asks = op == TD_UNARY_ISNAN || op == TD_UNARY_ISFINITE ||
                        op == TD_UNARY_LOGICAL_NOT;
            if (inner)
                h = try_loop(h, unary_name[op], inner, t, asks ? 1 : td_dtype_bytes(t),
                             1);
        }
        for (int op = 0; op < TD_BINARY_COUNT; op++) {
            td_inner *inner = td_binary_inner((td_binary)op, t);
            size_t bytes = op >= TD_BINARY_EQ ? 1 : td_dtype_bytes(t);
            if (inner) h = try_loop(h, binary_name[op], inner, t, bytes, 2);
        }
    }
    td_err err = {0};
    td_tensor *x = td_tensor_new(TD_F32, &(td_shape){2, {70, 1100}}, &err);
    td_random_normal_f32(1, 9, 77000, td_tensor_data(x));
    static double shift[1100], result[1100];
    for (unsigned dims = 1; dims <= 3; dims++)
        for (int map = 0; map < TD_MAP_NONZERO; map++)
            for (int kind = 0; kind < TD_REDUCE_KINDS; kind++) {
                td_reduce((td_reduce_kind)kind, (td_reduce_map)map, x, dims, shift,
                          result, &err);
                h = hash(h, result, dims == 1 ? 1100 * 8 : dims == 2 ? 70 * 8 : 8);
            }
    td_tensor_unref(&x);
    return h;
}

static void test_places(void **state) {
    (void)state;
    all_bits();
}

/* What this program says of itself under a value of TIDE_CPU: level, bits, and complaints. */
static void ask(const char *level, char *text, size_t size) {
    char command[5000], self[4000];
    FILE *f = fopen("/proc/self/cmdline", "r");
    assert_non_null(f);
    size_t n = fread(self, 1, sizeof self - 1, f);
    self[n] = 0;
    fclose(f);
    snprintf(command, sizeof command, "TIDE_CPU=%s '%s' bits 2>&1", level, self);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    n = fread(text, 1, size - 1, p);
    text[n] = 0;
    assert_int_equal(pclose(p), 0);
}

static void test_levels_agree(void **state) {
    (void)state;
    char base[300], want[400], text[300];
    ask("baseline", base, sizeof base);
    assert_non_null(strstr(base, "baseline "));
    for (int level = TD_CPU_AVX2; level <= (int)td_cpu_level(); level++) {
        ask(td_cpu_name((td_cpu)level), text, sizeof text);
        snprintf(want, sizeof want, "%s %s", td_cpu_name((td_cpu)level),
                 base + strlen("baseline "));
        assert_string_equal(text, want);
    }
}

static void test_unknown_level(void **state) {
    (void)state;
    char text[300], want[200];
    ask("sse9", text, sizeof text);
    snprintf(want, sizeof want,
             "tide: TIDE_CPU=sse9: there are baseline, avx2 and avx512; taking %s\n",
             td_cpu_name(td_cpu_level()));
    assert_memory_equal(text, want, strlen(want));
    assert_null(strstr(text + 1, "tide: ")); /* said once */
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "bits") == 0) {
        uint64_t h = all_bits();
        printf("%s %016llx\n", td_cpu_name(td_cpu_level()), (unsigned long long)h);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_levels_agree),
        cmocka_unit_test(test_unknown_level),
    };
    return cmocka_run_group_tests_name("levels", tests, NULL, NULL);
}
