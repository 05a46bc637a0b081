/* The most that one core can do: floating-point operations a second of fused multiply-adds on f32, on the
 * widest registers it has, measured once a run; and the clock of the benchmarks in C. */
#ifndef TD_BENCH_PEAK_H
#define TD_BENCH_PEAK_H

#include <time.h>

#include "runtime/cpu.h"

static inline double bench_now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Sixteen chains hide the latency of each; the empty asm keeps them in registers and apart. */
#define BENCH_CHAINS(name, bytes, features)                                              \
    typedef float name##_vec __attribute__((vector_size(bytes)));                        \
    __attribute__((target(features))) static inline float name(long steps) {             \
        name##_vec a[12], b = {0}, c = {0};                                              \
        b += 0.999f, c += 0.001f;                                                        \
        for (int i = 0; i < 12; i++) a[i] = b * (float)i;                                \
        for (long k = 0; k < steps; k++) {                                               \
            _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) __asm__(               \
                "vfmadd213ps %2, %1, %0" : "+v"(a[i]) : "v"(b), "v"(c));                 \
        }                                                                                \
        float sum = 0;                                                                   \
        _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) sum += a[i][0];            \
        return sum;                                                                      \
    }

#if defined(__x86_64__)
BENCH_CHAINS(bench_chains_512, 64, "avx512f,avx512vl")
BENCH_CHAINS(bench_chains_256, 32, "avx2,fma")
#endif

/* GFLOP/s of one core; 0 where there is no such measurement (no FMA, or another architecture). */
static inline double bench_peak_gflops(void) {
    static double peak = -1;
    if (peak >= 0) return peak;
    peak = 0;
#if defined(__x86_64__)
    enum { STEPS = 100000 };
    volatile float sink;
    td_cpu level = td_cpu_level();
    for (int i = 0; i < 200 && level != TD_CPU_BASELINE; i++) {
        double begin = bench_now_us();
        sink = level == TD_CPU_AVX512 ? bench_chains_512(STEPS) : bench_chains_256(STEPS);
        double lanes = level == TD_CPU_AVX512 ? 16 : 8;
        double gflops = 12 * 2 * lanes * STEPS / (bench_now_us() - begin) / 1e3;
        if (gflops > peak) peak = gflops;
    }
    (void)sink;
#endif
    return peak;
}

#endif
