/* What this processor can do at most: fused multiply-adds of f32 in registers alone, of the widest kind
 * that tide uses, on one thread and on two at a time. Each thread's own processor time, so that other programs disturb little; of many short runs
 * the one that nine tenths are slower than, since such clocks are at times off. Other benchmarks state
 * their speed as a share of this figure.
 *
 *   build/release/bench/fma [SECONDS]       for how long each count is measured, 0.2 when not said */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/clock.h"
#include "runtime/cpu.h"

#define TURNS 20000
#define RUNS 10000
/* Sums that do not wait for each other: two units with a latency of four or five want ten at least. */
#define SUMS 12

static volatile float sink;

#if defined(__x86_64__)
#define VECTOR_REGISTER "x"
#else
#define VECTOR_REGISTER "w"
#endif

/* TURNS times SUMS vectors of `width` floats, each multiplied and added to. */
#define SPIN(name, target, vector, width, set, fma)                                      \
    target static void name(void) {                                                      \
        vector sum[SUMS], x = set(0.999f), y = set(1e-3f);                               \
        for (int k = 0; k < SUMS; k++) sum[k] = set((float)k);                           \
        for (int i = 0; i < TURNS; i++) {                                                \
            _Pragma("GCC unroll 12") for (int k = 0; k < SUMS; k++) sum[k] =             \
                fma(sum[k], x, y);                                                       \
            __asm__ volatile("" : "+" VECTOR_REGISTER(x));                               \
        }                                                                                \
        float all[width], total = 0;                                                     \
        for (int k = 0; k < SUMS; k++) {                                                 \
            __builtin_memcpy(all, &sum[k], sizeof all);                                  \
            for (int i = 0; i < width; i++) total += all[i];                             \
        }                                                                                \
        sink = total;                                                                    \
    }

#if defined(__x86_64__)
#include <immintrin.h>

#define MULTIPLY_ADD(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
SPIN(spin_baseline, , __m128, 4, _mm_set1_ps, MULTIPLY_ADD)
SPIN(spin_avx2, __attribute__((target("avx2,fma"))), __m256, 8, _mm256_set1_ps,
     _mm256_fmadd_ps)
SPIN(spin_avx512, __attribute__((target("avx512f"))), __m512, 16, _mm512_set1_ps,
     _mm512_fmadd_ps)
static void (*const spins[])(void) = {spin_baseline, spin_avx2, spin_avx512};
static const int widths[] = {4, 8, 16};
#else
#include <arm_neon.h>

#define MULTIPLY_ADD(a, b, c) vfmaq_f32(c, a, b)
SPIN(spin_baseline, , float32x4_t, 4, vdupq_n_f32, MULTIPLY_ADD)
static void (*const spins[])(void) = {spin_baseline};
static const int widths[] = {4};
#endif

static double cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* FLOP a nanosecond of one thread, in *out; before the call the seconds it may take. */
static void *measure_thread(void *out) {
    double *rate = out, ns[RUNS];
    int count = 0;
    int64_t stop = td_clock_ns() + (int64_t)(*rate * 1e9);
    do {
        double began = cpu_ns();
        spins[td_cpu_level()]();
        ns[count++] = cpu_ns() - began;
    } while (count < RUNS && td_clock_ns() < stop);
    qsort(ns, (size_t)count, sizeof *ns, by_size);
    *rate = 2.0 * TURNS * SUMS * widths[td_cpu_level()] / ns[count / 10];
    return NULL;
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 0.2;
    for (int threads = 1; threads <= 2; threads++) {
        double rate[2] = {seconds, seconds};
        pthread_t second;
        if (threads == 2 && pthread_create(&second, NULL, measure_thread, &rate[1]) != 0)
            return 1;
        measure_thread(&rate[0]);
        if (threads == 2) {
            pthread_join(second, NULL);
            rate[0] += rate[1];
        }
        printf("fma\tpeak-f32-%d\t%.1f\tGFLOP/s\n", threads, rate[0]);
    }
    return 0;
}
