/* Which instructions the kernels may use: asked of the processor once, lowered by TIDE_CPU. */
#ifndef TD_CPU_H
#define TD_CPU_H

/* Kernel files named *_simd.c are compiled once for each; results are the same bits within a level. */
typedef enum td_cpu {
    TD_CPU_BASELINE, /* what every processor of the kind has: SSE2 on x86-64, NEON on arm64 */
    TD_CPU_AVX2,     /* with FMA and F16C */
    TD_CPU_AVX512, /* F, BW, DQ, VL */
    TD_CPU_COUNT
} td_cpu;

/* The level in use: the best that processor and system offer, or the lower one that the environment
 * variable TIDE_CPU names. A name that is unknown or too high is complained about once, on stderr, and
 * the best level is taken. Thread-safe. */
td_cpu td_cpu_level(void);
const char *td_cpu_name(td_cpu level); /* "avx2" */

/* In a *_simd.c file: the name of a public symbol with the level behind it, and the loop that follows
 * may be vectorised: operands are either the very same or do not overlap. */
#ifndef TD_LEVEL
#define TD_LEVEL baseline
#endif
#define TD_PASTE2(a, b) a##_##b
#define TD_PASTE(a, b) TD_PASTE2(a, b)
#define TD_LEVELED(name) TD_PASTE(name, TD_LEVEL)
#if defined(__clang__)
#pragma clang diagnostic ignored                                                         \
    "-Wpass-failed" /* libm's calls stay scalar: known and fine */
#define TD_VECTOR _Pragma("clang loop vectorize(assume_safety)")
#else
#define TD_VECTOR _Pragma("GCC ivdep")
#endif

/* Declares a table of each level, and gives the address of the one in use. */
#if defined(__x86_64__)
#define TD_LEVEL_DECLARE(type, name)                                                     \
    extern const type name##_baseline, name##_avx2, name##_avx512
#define TD_LEVEL_PICK(name)                                                              \
    (td_cpu_level() == TD_CPU_AVX512 ? &name##_avx512                                    \
     : td_cpu_level() == TD_CPU_AVX2 ? &name##_avx2                                      \
                                     : &name##_baseline)
#else
#define TD_LEVEL_DECLARE(type, name) extern const type name##_baseline
#define TD_LEVEL_PICK(name) (&name##_baseline)
#endif

#endif
