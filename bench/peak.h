/* The most that one core can do: floating-point operations a second of fused multiply-adds on f32, on the
 * widest registers it has, measured once a run; and the clock of the benchmarks in C. */
#ifndef TD_BENCH_PEAK_H
#define TD_BENCH_PEAK_H

#include <time.h>

#include "runtime/cpu.h"

/* Of the world, and of this thread alone: what else the machine does disturbs the second less. */
static inline double bench_now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
static inline double bench_own_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

#if defined(__x86_64__)
/* Twelve chains hide each other's latency. */
#define BENCH_LINK(wide, r) "vfmadd231ps %%" wide "13, %%" wide "12, %%" wide #r "\n\t"
#define BENCH_CHAINS(wide)                                                               \
    __asm__ volatile(                                                                    \
        BENCH_LINK(wide, 0) BENCH_LINK(wide, 1) BENCH_LINK(wide, 2) BENCH_LINK(wide, 3)  \
            BENCH_LINK(wide, 4) BENCH_LINK(wide, 5) BENCH_LINK(wide, 6)                  \
                BENCH_LINK(wide, 7) BENCH_LINK(wide, 8) BENCH_LINK(wide, 9)              \
                    BENCH_LINK(wide, 10) BENCH_LINK(wide, 11)::                          \
                        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",        \
                          "xmm7", "xmm8", "xmm9", "xmm10", "xmm11")
__attribute__((target("avx512f"))) static inline void bench_chains_512(int n) {
    for (int i = 0; i < n; i++) BENCH_CHAINS("zmm");
}
__attribute__((target("avx2,fma"))) static inline void bench_chains_256(int n) {
    for (int i = 0; i < n; i++) BENCH_CHAINS("ymm");
}
#endif

/* GFLOP/s of one core; 0 where there is no such measurement (no FMA, or another architecture). */
static inline double bench_peak_gflops(void) {
    static double peak = -1;
    if (peak >= 0) return peak;
    peak = 0;
#if defined(__x86_64__)
    enum { STEPS = 10000 };
    td_cpu level = td_cpu_level();
    for (int i = 0; i < 400 && level != TD_CPU_BASELINE; i++) {
        double begin = bench_own_us();
        if (level == TD_CPU_AVX512)
            bench_chains_512(STEPS);
        else
            bench_chains_256(STEPS);
        double lanes = level == TD_CPU_AVX512 ? 16 : 8;
        double gflops = 12 * 2 * lanes * STEPS / (bench_own_us() - begin) / 1e3;
        if (gflops > peak) peak = gflops;
    }
#endif
    return peak;
}

#endif
