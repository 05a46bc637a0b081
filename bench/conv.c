/* Convolutions of well-known networks: the convolution itself (with bias and relu), its input gradient and
 * its weight gradient, on one thread, and on two. Figures are the least of many runs, in microseconds (of the thread; with two of the world), and
 * the share of the processor's FMA peak (of this run) that the plain count of multiplications is: padded
 * taps count, so that it can be more than 100 %. Called by make bench. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peak.h"
#include "runtime/kernels/conv.h"
#include "runtime/mem.h"
#include "runtime/pool.h"

typedef struct numbers {
    float *x;
    size_t bytes;
} numbers;

static numbers numbers_new(int64_t n) {
    numbers a = {.bytes = (size_t)n * sizeof(float)};
    a.x = td_data_new(a.bytes, NULL);
    if (a.x == NULL) abort();
    for (int64_t i = 0; i < n; i++) a.x[i] = (float)((i * 7919) % 1009) / 1009 - 0.5f;
    return a;
}

static void numbers_free(numbers *a) { td_data_free(a->x, a->bytes); }

typedef struct job {
    td_conv v;
    numbers x, y, w, dx, dw, bias, forward, input;
} job;

static void run(const job *j, int which) {
    const td_conv *v = &j->v;
    int rc = which == 0 ? td_conv_forward(v, TD_F32, j->x.x, j->forward.x, j->bias.x,
                                          true, j->y.x, 0, v->n, NULL)
             : which == 1
                 ? td_conv_input(v, TD_F32, j->y.x, j->input.x, j->dx.x, 0, v->n, NULL)
                 : td_conv_weight(v, TD_F32, j->y.x, j->x.x, j->dw.x, NULL);
    if (rc) abort();
}

static numbers filters_new(const job *j, td_conv_way way) {
    size_t bytes;
    if (td_conv_filters_bytes(&j->v, TD_F32, way, &bytes, NULL)) abort();
    numbers a = numbers_new((int64_t)(bytes / sizeof(float)));
    td_conv_filters(&j->v, TD_F32, way, j->w.x, a.x);
    return a;
}

static void bench(const char *name, td_conv v) {
    static const char *const what[] = {"forward", "input", "weight"};
    v.oh = (v.h + 2 * v.ph - v.kh) / v.sh + 1;
    v.ow = (v.w + 2 * v.pw - v.kw) / v.sw + 1;
    int64_t x = v.n * v.groups * v.c * v.h * v.w, w = v.groups * v.o * v.c * v.kh * v.kw,
            y = v.n * v.groups * v.o * v.oh * v.ow;
    job j = {.v = v,
             .x = numbers_new(x),
             .y = numbers_new(y),
             .w = numbers_new(w),
             .dx = numbers_new(x),
             .dw = numbers_new(w),
             .bias = numbers_new(v.groups * v.o)};
    j.forward = filters_new(&j, TD_CONV_FORWARD);
    j.input = filters_new(&j, TD_CONV_INPUT);
    double flops = 2.0 * (double)y * (double)(v.c * v.kh * v.kw);
    for (int which = 0; which < 3; which++) {
        double best[2] = {1e30, 1e30};
        for (int threads = 1; threads <= 2; threads++) {
            td_pool_set_threads(threads);
            run(&j, which); /* warms up */
            double spent = 0;
            for (int i = 0; i < 200 && spent < 0.2e6; i++) {
                double begin = threads == 1 ? bench_own_us() : bench_now_us();
                run(&j, which);
                double us = (threads == 1 ? bench_own_us() : bench_now_us()) - begin;
                spent += us;
                if (us < best[threads - 1]) best[threads - 1] = us;
            }
        }
        printf("conv\t%s %s\t%.1f\tus\n", name, what[which], best[0]);
        printf("conv\t%s %s\t%.1f\t%% of peak\n", name, what[which],
               flops / best[0] / 1e3 * 100 / bench_peak_gflops());
        printf("conv\t%s %s 2 threads\t%.1f\tus\n", name, what[which], best[1]);
        fflush(stdout);
    }
    numbers *all[] = {&j.x, &j.y, &j.w, &j.dx, &j.dw, &j.bias, &j.forward, &j.input};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) numbers_free(all[i]);
}

static td_conv layer(int64_t n, int64_t c, int64_t o, int64_t k, int64_t side,
                     int64_t p) {
    return (td_conv){.n = n,
                     .groups = 1,
                     .c = c,
                     .h = side,
                     .w = side,
                     .o = o,
                     .kh = k,
                     .kw = k,
                     .sh = 1,
                     .sw = 1,
                     .ph = p,
                     .pw = p,
                     .dh = 1,
                     .dw = 1};
}

static td_conv with(td_conv v, int64_t stride, int64_t groups) {
    v.sh = v.sw = stride;
    v.groups = groups;
    return v;
}

int main(int argc, char **argv) {
    const struct {
        const char *name;
        td_conv v;
    } all[] = {
        {"1-20 k5 28 b64", layer(64, 1, 20, 5, 28, 0)},
        {"20-50 k5 12 b64", layer(64, 20, 50, 5, 12, 0)},
        {"1-32 k5p2 28 b10", layer(10, 1, 32, 5, 28, 2)},
        {"32-64 k5p2 14 b10", layer(10, 32, 64, 5, 14, 2)},
        {"3-32 k3 32 b32", layer(32, 3, 32, 3, 32, 0)},
        {"32-64 k3 15 b32", layer(32, 32, 64, 3, 15, 0)},
        {"64-64 k3 6 b32", layer(32, 64, 64, 3, 6, 0)},
        {"3-64 k3p1 32 b32", layer(32, 3, 64, 3, 32, 1)},
        {"64-64 k3p1 32 b32", layer(32, 64, 64, 3, 32, 1)},
        {"128-128 k3p1 16 b16", layer(16, 128, 128, 3, 16, 1)},
        {"64-128 k3p1s2 32 b16", with(layer(16, 64, 128, 3, 32, 1), 2, 1)},
        {"256-256 k1 14 b16", layer(16, 256, 256, 1, 14, 0)},
        {"3-64 k7p3s2 112 b4", with(layer(4, 3, 64, 7, 112, 3), 2, 1)},
        {"depthwise 96 k3p1 28 b16", with(layer(16, 1, 1, 3, 28, 1), 1, 96)},
        {"grouped 32x4-4 k3p1 14 b8", with(layer(8, 4, 4, 3, 14, 1), 1, 32)},
    };
    printf("conv\tFMA peak\t%.1f\tGFLOP/s\n", bench_peak_gflops());
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (argc < 2 || strstr(all[i].name, argv[1])) bench(all[i].name, all[i].v);
    return 0;
}
