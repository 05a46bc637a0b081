/* Convolution and pooling as the tutorial's network uses them: each kernel alone, median of 15 runs, in
 * processor time so that other programs disturb less. The line "limit" of a case is what its
 * multiplications take at 117 GFLOP/s. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/kernels/conv.h"
#include "runtime/kernels/pool.h"
#include "runtime/mem.h"

#define RUNS 15

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, const char *what, double *us) {
    qsort(us, RUNS, sizeof *us, by_size);
    printf("conv\t%s-%s\t%.0f\tus\n", name, what, us[RUNS / 2]);
}

static float *numbers(int64_t n) {
    float *x = td_data_new((size_t)n * sizeof *x, NULL);
    if (x == NULL) abort();
    for (int64_t i = 0; i < n; i++) x[i] = (float)((i * 7919) % 1009) / 1009 - 0.5f;
    return x;
}

static void bench_conv(const char *name, td_conv v) {
    v.oh = v.h + 2 * v.ph - v.kh + 1;
    v.ow = v.w + 2 * v.pw - v.kw + 1;
    int64_t nx = v.n * v.c * v.h * v.w, nw = v.o * v.c * v.kh * v.kw,
            ny = v.n * v.o * v.oh * v.ow;
    float *x = numbers(nx), *w = numbers(nw), *y = numbers(ny);
    float *dx = numbers(nx), *dw = numbers(nw);
    double us[3][RUNS];
    for (int r = -1; r < RUNS; r++) { /* the first run warms up */
        int at = r < 0 ? 0 : r;
        double t0 = now_us();
        td_conv_forward(&v, TD_F32, x, w, y, NULL);
        double t1 = now_us();
        td_conv_input(&v, TD_F32, y, w, dx, NULL);
        double t2 = now_us();
        td_conv_weight(&v, TD_F32, y, x, dw, NULL);
        us[0][at] = t1 - t0;
        us[1][at] = t2 - t1;
        us[2][at] = now_us() - t2;
    }
    printf("conv\t%s-limit\t%.0f\tus\n", name,
           2.0 * (double)(ny * v.c * v.kh * v.kw) / 117e3);
    report(name, "forward", us[0]);
    report(name, "input-gradient", us[1]);
    report(name, "weight-gradient", us[2]);
    td_data_free(x, (size_t)nx * sizeof *x);
    td_data_free(w, (size_t)nw * sizeof *w);
    td_data_free(y, (size_t)ny * sizeof *y);
    td_data_free(dx, (size_t)nx * sizeof *dx);
    td_data_free(dw, (size_t)nw * sizeof *dw);
}

static void bench_pool(const char *name, int64_t planes, int64_t side) {
    td_pool p = {
        .planes = planes, .h = side, .w = side, .kh = 2, .kw = 2, .sh = 2, .sw = 2};
    p.oh = p.ow = side / 2;
    int64_t nx = planes * side * side, ny = planes * p.oh * p.ow;
    float *x = numbers(nx), *y = numbers(ny);
    int64_t *index = td_data_new((size_t)ny * sizeof *index, NULL);
    if (index == NULL) abort();
    double us[2][RUNS];
    for (int r = 0; r < RUNS; r++) {
        double t0 = now_us();
        td_max_pool(&p, TD_F32, x, y, index);
        double t1 = now_us();
        td_max_pool_back(&p, TD_F32, y, index, x);
        us[0][r] = t1 - t0;
        us[1][r] = now_us() - t1;
    }
    report(name, "forward", us[0]);
    report(name, "gradient", us[1]);
    td_data_free(x, (size_t)nx * sizeof *x);
    td_data_free(y, (size_t)ny * sizeof *y);
    td_data_free(index, (size_t)ny * sizeof *index);
}

int main(void) {
    const td_conv plain = {
        .groups = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .kh = 5, .kw = 5};
    td_conv v = plain;
    v.n = 64, v.c = 1, v.h = v.w = 28, v.o = 20;
    bench_conv("tutorial-1-20-k5-b64", v);
    v.c = 20, v.h = v.w = 12, v.o = 50;
    bench_conv("tutorial-20-50-k5-b64", v);
    v = plain;
    v.n = 10, v.c = 32, v.h = v.w = 14, v.o = 64, v.ph = v.pw = 2;
    bench_conv("fedavg-32-64-k5-b10", v);
    bench_pool("pool-20x24x24-b64", (int64_t)64 * 20, 24);
    bench_pool("pool-50x8x8-b64", (int64_t)64 * 50, 8);
    return 0;
}
