/* Products of the shapes that training meets, beside OpenBLAS: share of the multiply-add peak that this
 * processor shows in the same run. One thread; the fastest of many short runs, taken in turn. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/kernels/product.h"
#include "runtime/pool.h"

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* GFLOP/s of independent chains in registers, which is all that a processor can do. */
#if defined(__x86_64__)
#define LINK(w, x, y, to) "vfmadd231ps %%" w #x ", %%" w #y ", %%" w #to "\n\t"
#define FOUR(w, x, y, a, b, c, d)                                                        \
    LINK(w, x, y, a) LINK(w, x, y, b) LINK(w, x, y, c) LINK(w, x, y, d)
__attribute__((target("avx512f"))) static void chains_avx512(int n) {
    for (int i = 0; i < n; i++)
        __asm__ volatile(
            FOUR("zmm", 30, 31, 16, 17, 18, 19) FOUR("zmm", 30, 31, 20, 21, 22, 23)
                FOUR("zmm", 30, 31, 24, 25, 26, 27)::
                    : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
                      "xmm23", "xmm24", "xmm25", "xmm26", "xmm27");
}
__attribute__((target("avx2,fma"))) static void chains_avx2(int n) {
    for (int i = 0; i < n; i++)
        __asm__ volatile(FOUR("ymm", 14, 15, 0, 1, 2, 3) FOUR("ymm", 14, 15, 4, 5, 6, 7)
                             FOUR("ymm", 14, 15, 8, 9, 10, 11)::
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                                   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
}
/* The best of a few short bursts. */
static double peak(void) {
    bool wide = __builtin_cpu_supports("avx512f");
    if (!__builtin_cpu_supports("fma")) return 0;
    double best = 1e30;
    for (int i = 0; i < 3; i++) {
        double t = now_us();
        (wide ? chains_avx512 : chains_avx2)(40000);
        t = now_us() - t;
        if (t < best) best = t;
    }
    return 40000. * 12 * (wide ? 32 : 16) / best / 1e3;
}
#else
static double peak(void) { return 0; }
#endif

enum { ROWS, TURNED }; /* how an operand lies */

typedef struct shape {
    const char *name;
    int64_t m, n, k, segments;
    int a, b;
    int64_t a_row; /* of windows that overlap; 0: plain */
    bool add, relu;
} shape;

/* Each shape begins anew. */
static _Alignas(64) float room[3 * 2048 * 2048 + 65536];
static int64_t taken;

static float *numbers(int64_t n) {
    float *x = room + taken;
    taken += (n + 31) / 16 * 16;
    if (taken > (int64_t)(sizeof room / sizeof *room)) abort();
    for (int64_t i = 0; i < n; i++) x[i] = (float)((i * 7919) % 1009) / 1009 - 0.5f;
    return x;
}

static void run_blas(const td_product *p) {
    int m = (int)p->m, n = (int)p->n, k = (int)p->k;
    cblas_sgemm(CblasRowMajor, p->a_col == 1 ? CblasNoTrans : CblasTrans,
                p->b_col == 1 ? CblasNoTrans : CblasTrans, m, n, k, 1, p->a,
                (int)(p->a_col == 1 ? p->a_row : p->a_col), p->b,
                (int)(p->b_col == 1 ? p->b_row : p->b_col), p->add ? 1 : 0, p->c,
                (int)p->c_row);
}

static void measure(const shape *s) {
    taken = 0;
    int64_t links = s->m * s->n * s->k * s->segments;
    int64_t as = s->a_row ? s->m * s->a_row + s->k : s->m * s->k;
    float *a = numbers(as * s->segments + s->k), *b = numbers(s->k * s->n * s->segments),
          *c = numbers(s->m * s->n), *bias = numbers(s->n);
    td_product p = {.t = TD_F32,
                    .m = s->m,
                    .n = s->n,
                    .k = s->k,
                    .segments = s->segments,
                    .a = a,
                    .b = b,
                    .c = c,
                    .c_row = s->n,
                    .c_col = 1,
                    .add = s->add,
                    .relu = s->relu,
                    .bias = s->relu ? bias : NULL};
    p.a_row = s->a_row ? s->a_row : s->a == ROWS ? s->k : 1;
    p.a_col = s->a == ROWS ? 1 : s->m;
    p.b_row = s->b == ROWS ? s->n : 1;
    p.b_col = s->b == ROWS ? 1 : s->k;
    p.a_seg = as, p.b_seg = s->k * s->n;
    int64_t each = links > 2000000 ? 1 : 2000000 / (links + 5000);
    int turns = links > 100000000 ? 8 : links > 10000000 ? 40 : 150;
    double best = 1e30, blas = 1e30, top = 0;
    for (int i = 0; i < turns; i++) {
        double now = peak(), t = now_us();
        if (now > top) top = now;
        for (int64_t r = 0; r < each; r++) td_product_run(&p, NULL);
        t = (now_us() - t) / (double)each;
        if (t < best) best = t;
        if (s->segments > 1 || s->a_row) continue;
        t = now_us();
        for (int64_t r = 0; r < each; r++) run_blas(&p);
        t = (now_us() - t) / (double)each;
        if (t < blas) blas = t;
    }
    printf("product\t%s\t%.3g\tus\n", s->name, best);
    if (top > 0)
        printf("product\t%s-share\t%.1f\t%% of peak\n", s->name,
               2e-1 * (double)links / best / top);
    if (blas < 1e30) printf("product\t%s-openblas\t%.3g\tus\n", s->name, blas);
}

/* product [word]: those shapes with that word in their names. */
int main(int argc, char **argv) {
    static const shape shapes[] = {
        {"nn-64x128x784", 64, 128, 784, 1, ROWS, ROWS, 0, false, true},
        {"nn-32x128x784", 32, 128, 784, 1, ROWS, ROWS, 0, false, true},
        {"nn-64x10x128", 64, 10, 128, 1, ROWS, ROWS, 0, false, false},
        {"nn-10x512x3136", 10, 512, 3136, 1, ROWS, ROWS, 0, false, true},
        {"nn-10x1024x256", 10, 1024, 256, 1, ROWS, ROWS, 0, true, false},
        {"nn-64x500x800", 64, 500, 800, 1, ROWS, ROWS, 0, false, true},
        {"nn-800x1024x256", 800, 1024, 256, 1, ROWS, ROWS, 0, false, false},
        {"nn-1024", 1024, 1024, 1024, 1, ROWS, ROWS, 0, false, false},
        {"nn-2048", 2048, 2048, 2048, 1, ROWS, ROWS, 0, false, false},
        {"nn-1000", 1000, 1000, 1000, 1, ROWS, ROWS, 0, false, false},
        {"nt-64x128x784", 64, 128, 784, 1, ROWS, TURNED, 0, false, false},
        {"nt-10x512x3136", 10, 512, 3136, 1, ROWS, TURNED, 0, false, false},
        {"nt-10x1024x256", 10, 1024, 256, 1, ROWS, TURNED, 0, false, false},
        {"nt-64x784x128", 64, 784, 128, 1, ROWS, TURNED, 0, false, false},
        {"nt-64x512x512", 64, 512, 512, 1, ROWS, TURNED, 0, false, false},
        {"nt-64x10x128", 64, 10, 128, 1, ROWS, TURNED, 0, false, false},
        {"nt-1000", 1000, 1000, 1000, 1, ROWS, TURNED, 0, false, false},
        {"nt-4096x50x500", 4096, 50, 500, 1, ROWS, TURNED, 0, false, false},
        {"tn-784x128x64", 784, 128, 64, 1, TURNED, ROWS, 0, false, false},
        {"tn-784x128x64-add", 784, 128, 64, 1, TURNED, ROWS, 0, true, false},
        {"tn-800x500x64-add", 800, 500, 64, 1, TURNED, ROWS, 0, true, false},
        {"tn-256x1024x800", 256, 1024, 800, 1, TURNED, ROWS, 0, false, false},
        {"tn-3136x512x10", 3136, 512, 10, 1, TURNED, ROWS, 0, false, false},
        {"tn-128x10x64", 128, 10, 64, 1, TURNED, ROWS, 0, false, false},
        {"tn-1000", 1000, 1000, 1000, 1, TURNED, ROWS, 0, false, false},
        {"logreg-32x1x30", 32, 1, 30, 1, ROWS, ROWS, 0, false, false},
        {"logreg-30x1x32", 30, 1, 32, 1, TURNED, ROWS, 0, false, false},
        {"logreg-32x2x30", 32, 2, 30, 1, ROWS, TURNED, 0, false, false},
        {"row-1x1000x1000", 1, 1000, 1000, 1, ROWS, ROWS, 0, false, false},
        {"column-1000x1x1000", 1000, 1, 1000, 1, ROWS, ROWS, 0, false, false},
        {"conv-24x20x5x5", 24, 20, 5, 5, ROWS, ROWS, 1, false, true},
        {"conv-28x32x5x5", 28, 32, 5, 5, ROWS, ROWS, 1, false, true},
        {"conv-8x50x100x5", 8, 50, 100, 5, ROWS, ROWS, 20, false, true},
        {"conv-14x64x160x5", 14, 64, 160, 5, ROWS, ROWS, 32, false, true},
        {"conv-15x64x96x3", 15, 64, 96, 3, ROWS, ROWS, 32, false, true},
        {"conv-32x64x192x3", 32, 64, 192, 3, ROWS, ROWS, 64, false, true},
    };
    td_pool_set_threads(1);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (argc < 2 || strstr(shapes[i].name, argv[1])) measure(&shapes[i]);
    return 0;
}
