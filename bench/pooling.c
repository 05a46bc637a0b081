/* Pooling as networks use it, in both memory orders: each kernel alone on one thread, the least of many runs,
 * in processor time so that other programs disturb less; and how fast that reads and writes memory. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/kernels/pooling.h"
#include "runtime/mem.h"
#include "runtime/pool.h"

#define RUNS 60

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void *room(int64_t bytes) {
    void *p = td_data_new((size_t)bytes, NULL);
    if (p == NULL) abort();
    return p;
}

static void report(const char *name, const char *what, double us, int64_t bytes) {
    printf("pooling\t%s-%s\t%.1f\tus\n", name, what, us);
    printf("pooling\t%s-%s-rate\t%.1f\tGB/s\n", name, what, (double)bytes / us / 1e3);
}

static void bench(const char *name, td_pooling p) {
    p.oh = (p.h + 2 * p.ph - p.kh) / p.sh + 1;
    p.ow = (p.w + 2 * p.pw - p.kw) / p.sw + 1;
    int64_t planes = p.images * p.channels, nx = planes * p.h * p.w,
            ny = planes * p.oh * p.ow;
    float *x = room(nx * 4), *y = room(ny * 4), *dx = room(nx * 4);
    int64_t *index = room(ny * 8);
    for (int64_t i = 0; i < nx; i++) x[i] = (float)((i * 7919) % 1009) / 1009 - 0.5f;
    double least[4] = {1e9, 1e9, 1e9, 1e9};
    for (int r = 0; r < RUNS; r++) {
        double t[5] = {now_us()};
        td_max_pool(&p, TD_F32, x, y, index);
        t[1] = now_us();
        td_max_pool_back(&p, TD_F32, y, index, dx);
        t[2] = now_us();
        td_avg_pool(&p, TD_F32, x, y);
        t[3] = now_us();
        td_avg_pool_back(&p, TD_F32, y, dx);
        t[4] = now_us();
        for (int k = 0; k < 4; k++)
            if (t[k + 1] - t[k] < least[k]) least[k] = t[k + 1] - t[k];
    }
    report(name, "max", least[0], nx * 4 + ny * 12);
    report(name, "max-gradient", least[1], nx * 4 + ny * 12);
    report(name, "avg", least[2], nx * 4 + ny * 4);
    report(name, "avg-gradient", least[3], nx * 4 + ny * 4);
    td_data_free(x, (size_t)nx * 4);
    td_data_free(y, (size_t)ny * 4);
    td_data_free(dx, (size_t)nx * 4);
    td_data_free(index, (size_t)ny * 8);
}

int main(void) {
    td_pool_set_threads(1);
    const td_pooling two = {.kh = 2, .kw = 2, .sh = 2, .sw = 2};
    const td_pooling three = {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .ph = 1, .pw = 1};
    for (int last = 0; last < 2; last++) {
        td_pooling p = two;
        p.channels_last = last;
        p.images = 64, p.channels = 20, p.h = p.w = 24;
        bench(last ? "2x2-20x24x24-b64-channels" : "2x2-20x24x24-b64-rows", p);
        p.images = 10, p.channels = 32, p.h = p.w = 28;
        bench(last ? "2x2-32x28x28-b10-channels" : "2x2-32x28x28-b10-rows", p);
        p = three;
        p.channels_last = last;
        p.images = 16, p.channels = 64, p.h = p.w = 32;
        bench(last ? "3x3-64x32x32-b16-channels" : "3x3-64x32x32-b16-rows", p);
    }
    return 0;
}
