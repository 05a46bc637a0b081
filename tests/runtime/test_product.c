/* Products against chains of multiply-adds written as loops: the same bits on each level, for any shape,
 * stride and alignment, on one thread and on several. Operands end at a page that may not be touched. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/cpu.h"
#include "runtime/kernels/product.h"
#include "runtime/kernels/product_loops.h"
#include "runtime/pool.h"

TD_LEVEL_DECLARE(td_product_level, td_product_level);

/* ---- random numbers, and memory with a wall behind it ---- */

static uint64_t state = 88172645463325252u;
static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static int64_t upto(int64_t n) { return (int64_t)(draw() % (uint64_t)(n + 1)); }

enum { ROOM = 1 << 25 };
typedef struct wall {
    char *map;
    char *end; /* the first byte that may not be touched */
} wall;

static wall build_wall(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + ROOM, page, PROT_NONE), 0);
    return (wall){map, map + ROOM};
}

static wall walls[5]; /* a, b, c, what c should be, bias */

static int set_up(void **unused) {
    (void)unused;
    for (int i = 0; i < 5; i++) walls[i] = build_wall();
    return 0;
}

static double number(bool odd) {
    double x = (double)(int64_t)(draw() >> 11) / (double)(1 << 30) / (1 << 22) - 1;
    if (!odd) return x;
    switch (draw() % 40) {
    case 0: return NAN;
    case 1: return INFINITY;
    case 2: return -INFINITY;
    case 3: return -0.0;
    case 4: return 0;
    case 5: return x * 1e30;
    case 6: return x * 1e-40;
    default: return x;
    }
}

static void put(td_dtype t, void *p, int64_t i, double x) {
    if (t == TD_F32)
        ((float *)p)[i] = (float)x;
    else
        ((double *)p)[i] = x;
}

/* ---- a product at random ---- */

typedef struct matrix {
    int64_t row, col, seg, span; /* span: elements from the first to the last, and one */
} matrix;

/* Strides of rows x cols x segs elements. */
static matrix lay(int64_t rows, int64_t cols, int64_t segs, bool overlaps) {
    matrix x;
    int64_t pad = draw() % 2 ? upto(9) : 0;
    switch (draw() % (overlaps ? 6 : 4)) {
    case 0:
    case 1: x.row = cols + pad, x.col = 1; break;
    case 2: x.row = 1, x.col = rows + pad; break;
    case 3: x.row = 2 * cols + pad, x.col = 2; break;
    case 4: x.row = 1 + upto(cols), x.col = 1; break; /* windows of an image */
    default: x.row = draw() % 2, x.col = draw() % 2;
    }
    x.seg = overlaps && draw() % 2 ? upto(7) : rows * x.row + cols * x.col;
    x.span = 1 + (rows > 0 ? (rows - 1) * x.row : 0) +
             (cols > 0 ? (cols - 1) * x.col : 0) + (segs > 0 ? (segs - 1) * x.seg : 0);
    return x;
}

static void *place(int wall_index, int64_t elements, td_dtype t, bool odd) {
    int64_t each = (int64_t)td_dtype_bytes(t);
    assert_true(elements * each < ROOM);
    char *p = walls[wall_index].end - elements * each;
    for (int64_t i = 0; i < elements; i++) put(t, p, i, number(odd));
    return p;
}

static td_product some_product(td_dtype t, int64_t m, int64_t n, int64_t k, int64_t segs,
                               int64_t *c_span) {
    bool odd = draw() % 4 == 0;
    matrix a = lay(m, k, segs, true), b = lay(k, n, segs, true), c = lay(m, n, 1, false);
    td_product p = {.t = t,
                    .m = m,
                    .n = n,
                    .k = k,
                    .segments = segs,
                    .a_row = a.row,
                    .a_col = a.col,
                    .a_seg = a.seg,
                    .b_row = b.row,
                    .b_col = b.col,
                    .b_seg = b.seg,
                    .c_row = c.row,
                    .c_col = c.col};
    p.add = draw() % 2;
    p.relu = draw() % 2;
    p.a = place(0, a.span, t, odd);
    p.b = place(1, b.span, t, odd);
    p.c = place(2, c.span, t, odd);
    if (draw() % 2 && n > 0) p.bias = place(4, n, t, odd);
    *c_span = c.span;
    return p;
}

/* ---- what it should be ---- */

static float chain_f32(bool fused, float a, float b, float c) {
    return fused ? fmaf(a, b, c) : c + a * b;
}
static double chain_f64(bool fused, double a, double b, double c) {
    return fused ? fma(a, b, c) : c + a * b;
}

#define ORACLE(S, T)                                                                     \
    static void oracle_##S(const td_product *p, bool fused, T *c) {                      \
        const T *a = p->a, *b = p->b, *bias = p->bias;                                   \
        for (int64_t i = 0; i < p->m; i++)                                               \
            for (int64_t j = 0; j < p->n; j++) {                                         \
                T *to = c + i * p->c_row + j * p->c_col, sum = p->add ? *to : 0;         \
                for (int64_t s = 0; s < p->segments; s++)                                \
                    for (int64_t q = 0; q < p->k; q++)                                   \
                        sum = chain_##S(                                                 \
                            fused, a[i * p->a_row + s * p->a_seg + q * p->a_col],        \
                            b[s * p->b_seg + q * p->b_row + j * p->b_col], sum);         \
                if (bias) sum += bias[j];                                                \
                *to = p->relu && sum <= 0 ? 0 : sum;                                     \
            }                                                                            \
    }                                                                                    \
    static bool same_##S(const T *x, const T *y, int64_t n, int64_t *where) {            \
        for (int64_t i = 0; i < n; i++)                                                  \
            if (memcmp(x + i, y + i, sizeof *x) != 0 &&                                  \
                !(x[i] != x[i] && y[i] != y[i])) {                                       \
                *where = i;                                                              \
                return false;                                                            \
            }                                                                            \
        return true;                                                                     \
    }
ORACLE(f32, float)
ORACLE(f64, double)

static const td_product_level *level_at(td_cpu cpu) {
    static const td_product_level *const all[] = {
        &td_product_level_baseline,
#if defined(__x86_64__)
        &td_product_level_avx2,
        &td_product_level_avx512,
#endif
    };
    return all[cpu];
}

/* Runs p and its oracle; all of c is compared, also what lies between its elements. */
static void check(const td_product *p, td_cpu cpu, int64_t c_span) {
    size_t bytes = (size_t)c_span * td_dtype_bytes(p->t);
    char *want = walls[3].end - bytes;
    memcpy(want, p->c, bytes);
    bool fused = cpu != TD_CPU_BASELINE;
    td_product copy = *p;
    int64_t where = 0;
    td_err err;
    assert_int_equal(td_product_run_at(level_at(cpu), &copy, &err), 0);
    bool same;
    if (p->t == TD_F32) {
        oracle_f32(p, fused, (float *)(void *)want);
        same = same_f32(p->c, (float *)(void *)want, c_span, &where);
    } else {
        oracle_f64(p, fused, (double *)(void *)want);
        same = same_f64(p->c, (double *)(void *)want, c_span, &where);
    }
    if (!same)
        fail_msg("%s %s %d x %d x %d in %d segments: a %d %d %d b %d %d %d c %d %d add "
                 "%d bias "
                 "%d relu %d: element %d differs",
                 td_cpu_name(cpu), td_dtype_name(p->t), (int)p->m, (int)p->n, (int)p->k,
                 (int)p->segments, (int)p->a_row, (int)p->a_col, (int)p->a_seg,
                 (int)p->b_row, (int)p->b_col, (int)p->b_seg, (int)p->c_row,
                 (int)p->c_col, p->add, p->bias != NULL, p->relu, (int)where);
}

static void check_levels(td_dtype t, int64_t m, int64_t n, int64_t k, int64_t segs) {
    uint64_t seed = state;
    for (int cpu = 0; cpu <= (int)td_cpu_level(); cpu++) {
        int64_t span;
        state = seed;
        td_product p = some_product(t, m, n, k, segs, &span);
        check(&p, (td_cpu)cpu, span);
    }
}

/* ---- tests ---- */

static void small_shapes(void **unused) {
    (void)unused;
    for (int i = 0; i < 6000; i++)
        check_levels(draw() % 3 ? TD_F32 : TD_F64, upto(20), upto(70), upto(12),
                     draw() % 2 ? 1 : upto(4));
}

static void longer_chains(void **unused) {
    (void)unused;
    for (int i = 0; i < 300; i++)
        check_levels(draw() % 3 ? TD_F32 : TD_F64, 1 + upto(40), 1 + upto(100),
                     1 + upto(draw() % 8 ? 90 : 1200), draw() % 2 ? 1 : 1 + upto(5));
}

static void one_side_is_one(void **unused) {
    (void)unused;
    for (int i = 0; i < 600; i++) {
        int64_t side[3] = {1 + upto(90), 1 + upto(90), 1 + upto(90)};
        side[draw() % 3] = 1;
        if (draw() % 2) side[draw() % 3] = 1;
        check_levels(draw() % 2 ? TD_F32 : TD_F64, side[0], side[1], side[2],
                     1 + upto(2));
    }
}

static void threads_change_no_bit(void **unused) {
    (void)unused;
    int before = td_pool_threads();
    static const int64_t shapes[][3] = {
        {64, 257, 300}, {1500, 20, 90}, {10, 1000, 300}, {129, 130, 131}, {3, 2100, 333}};
    for (size_t i = 0; i < 4 * sizeof shapes / sizeof shapes[0]; i++) {
        const int64_t *s = shapes[i / 4];
        for (int threads = 1; threads <= 3; threads++) {
            uint64_t seed = state;
            td_pool_set_threads(threads);
            check_levels(i % 4 ? TD_F32 : TD_F64, s[0], s[1], s[2], 1);
            if (threads < 3) state = seed;
        }
    }
    td_pool_set_threads(before);
}

/* Sizes for which both operands are packed in blocks: rows or links of a lie half a page apart. */
static void large_ones_in_blocks(void **unused) {
    (void)unused;
    enum { M = 512, N = 530, K = 512 };
    for (int i = 0; i < 4; i++)
        for (int cpu = 0; cpu <= (int)td_cpu_level(); cpu++) {
            td_dtype t = i == 3 ? TD_F64 : TD_F32;
            int64_t m = i == 2 ? M : 130;
            td_product p = {.t = t,
                            .m = m,
                            .n = N,
                            .k = K,
                            .segments = 1,
                            .a_row = K,
                            .a_col = 1,
                            .b_row = N,
                            .b_col = 1,
                            .c_row = N + 3,
                            .c_col = 1,
                            .add = i == 1,
                            .relu = true};
            if (i == 1)
                p.k = K / 4, p.segments = 4, p.a_seg = K / 4, p.b_seg = K / 4 * N + 1;
            if (i == 2) p.a_row = 1, p.a_col = M;
            p.a = place(0, M * K, t, false);
            p.b = place(1, K * N + 9, t, false);
            p.c = place(2, M * (N + 3), t, false);
            p.bias = place(4, N, t, false);
            check(&p, (td_cpu)cpu, m * (N + 3) - 3);
        }
}

/* Without FMA each link is rounded twice: the sum of n links is off by n epsilons of the sum of sizes. */
static void near_the_true_sum(void **unused) {
    (void)unused;
    enum { M = 13, N = 37, K = 333 };
    static float a[M * K], b[K * N], c[M * N];
    for (int i = 0; i < M * K; i++) a[i] = (float)number(false);
    for (int i = 0; i < K * N; i++) b[i] = (float)number(false);
    for (int cpu = 0; cpu <= (int)td_cpu_level(); cpu++) {
        td_product p = {.t = TD_F32,
                        .m = M,
                        .n = N,
                        .k = K,
                        .segments = 1,
                        .a = a,
                        .a_row = K,
                        .a_col = 1,
                        .b = b,
                        .b_row = N,
                        .b_col = 1,
                        .c = c,
                        .c_row = N,
                        .c_col = 1};
        td_err err;
        assert_int_equal(td_product_run_at(level_at((td_cpu)cpu), &p, &err), 0);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                double sum = 0, size = 0;
                for (int q = 0; q < K; q++) {
                    double link = (double)a[i * K + q] * (double)b[q * N + j];
                    sum += link;
                    size += fabs(link);
                }
                assert_true(fabs((double)c[i * N + j] - sum) <= K * 0x1p-24 * size);
            }
    }
}

/* Integers wrap, and what lies between the elements of c stays. */
static void integers(void **unused) {
    (void)unused;
    static const td_dtype types[] = {TD_I64, TD_I32, TD_U8};
    for (int i = 0; i < 600; i++) {
        td_dtype t = types[i % 3];
        int64_t each = (int64_t)td_dtype_bytes(t), segs = 1 + upto(2);
        int64_t m = upto(9), n = upto(20), k = upto(9);
        matrix a = lay(m, k, segs, true), b = lay(k, n, segs, true),
               c = lay(m, n, 1, false);
        const matrix *of[3] = {&a, &b, &c};
        char *at[4];
        for (int w = 0; w < 3; w++) {
            at[w] = walls[w].end - of[w]->span * each;
            for (char *p = at[w]; p < walls[w].end; p++) *p = (char)draw();
        }
        at[3] = walls[3].end - c.span * each;
        memcpy(at[3], at[2], (size_t)(c.span * each));
        td_product p = {.t = t,
                        .m = m,
                        .n = n,
                        .k = k,
                        .segments = segs,
                        .a = at[0],
                        .a_row = a.row,
                        .a_col = a.col,
                        .a_seg = a.seg,
                        .b = at[1],
                        .b_row = b.row,
                        .b_col = b.col,
                        .b_seg = b.seg,
                        .c = at[2],
                        .c_row = c.row,
                        .c_col = c.col,
                        .add = draw() % 2};
        for (int64_t r = 0; r < m; r++)
            for (int64_t j = 0; j < n; j++) {
                char *to = at[3] + (r * c.row + j * c.col) * each;
                uint64_t sum = p.add ? (uint64_t)td_load_i64(t, to) : 0;
                for (int64_t s = 0; s < segs; s++)
                    for (int64_t q = 0; q < k; q++)
                        sum +=
                            (uint64_t)td_load_i64(
                                t, at[0] + (r * a.row + s * a.seg + q * a.col) * each) *
                            (uint64_t)td_load_i64(
                                t, at[1] + (s * b.seg + q * b.row + j * b.col) * each);
                memcpy(to, &sum, (size_t)each);
            }
        td_err err;
        assert_int_equal(td_product_run(&p, &err), 0);
        assert_memory_equal(at[2], at[3], (size_t)(c.span * each));
    }
}

static void transposition(void **unused) {
    (void)unused;
    for (int i = 0; i < 800; i++) {
        size_t each = draw() % 2 ? 4 : 8;
        int64_t rows = upto(70), cols = upto(70);
        int64_t from_row = cols + upto(5), to_row = rows + upto(5);
        td_dtype t = each == 4 ? TD_F32 : TD_F64;
        int64_t from_span = rows ? (rows - 1) * from_row + cols : 0;
        int64_t to_span = cols ? (cols - 1) * to_row + rows : 0;
        const char *from = place(0, from_span, t, false);
        char *to = place(2, to_span, t, false);
        char *want = walls[3].end - to_span * (int64_t)each;
        memcpy(want, to, (size_t)to_span * each);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++)
                memcpy(want + (c * to_row + r) * (int64_t)each,
                       from + (r * from_row + c) * (int64_t)each, each);
        td_transpose(each, rows, cols, from, from_row, to, to_row);
        assert_memory_equal(want, to, (size_t)to_span * each);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_shapes),
        cmocka_unit_test(longer_chains),
        cmocka_unit_test(one_side_is_one),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(large_ones_in_blocks),
        cmocka_unit_test(near_the_true_sum),
        cmocka_unit_test(integers),
        cmocka_unit_test(transposition),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
