/* What it costs to hand work to the pool: calls one after another, as a training step makes them, and
 * calls after a pause in which the threads fell asleep. Minimum and median of rounds, wall time. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/pool.h"

#define ROUNDS 101
#define CALLS 200

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void nothing(void *ctx, int64_t i) {
    (void)ctx;
    (void)i;
}

/* About a microsecond of work. */
static void little(void *ctx, int64_t i) {
    volatile double *sum = ctx;
    for (int k = 0; k < 250; k++) sum[i * 8] += 1;
}

static void report(const char *what, int threads, double *ns, int count) {
    qsort(ns, (size_t)count, sizeof *ns, by_size);
    printf("pool\t%s-%d-min\t%.0f\tns\n", what, threads, ns[0]);
    printf("pool\t%s-%d-median\t%.0f\tns\n", what, threads, ns[count / 2]);
}

static void measure(const char *what, int threads, void (*piece)(void *, int64_t),
                    int64_t pieces, unsigned pause_us) {
    static double sum[8 * 64], ns[ROUNDS];
    td_pool_set_threads(threads);
    int calls = pause_us ? 1 : CALLS;
    for (int r = 0; r < ROUNDS; r++) {
        if (pause_us) usleep(pause_us);
        int64_t start = td_clock_ns();
        for (int i = 0; i < calls; i++) td_pool_run(piece, sum, pieces);
        ns[r] = (double)(td_clock_ns() - start) / calls;
    }
    report(what, threads, ns, ROUNDS);
}

int main(void) {
    for (int threads = 1; threads <= 2; threads++) {
        measure("empty", threads, nothing, 2, 0);
        measure("little-16", threads, little, 16, 0);
        measure("asleep", threads, nothing, 2, 500);
    }
    return 0;
}
