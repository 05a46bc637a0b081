/* Asks the processor what it can do. Called by whoever picks a kernel. */
#include "runtime/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"baseline", "avx2", "avx512"};
_Static_assert(sizeof names / sizeof names[0] == TD_CPU_COUNT, "a name for each level");

static td_cpu chosen;         /* written once, under the once flag */
static atomic_int known = -1; /* the same, for those who come later */
static pthread_once_t once = PTHREAD_ONCE_INIT;

const char *td_cpu_name(td_cpu level) { return names[level]; }

static td_cpu best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 =
        avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx512 ? TD_CPU_AVX512 : avx2 ? TD_CPU_AVX2 : TD_CPU_BASELINE;
#else
    return TD_CPU_BASELINE;
#endif
}

static void choose(void) {
    td_cpu top = best();
    chosen = top;
    const char *want = getenv("TIDE_CPU");
    if (want == NULL || *want == 0) return;
    for (int level = 0; level < TD_CPU_COUNT; level++) {
        if (strcmp(want, names[level]) != 0) continue;
        if ((td_cpu)level <= top) {
            chosen = (td_cpu)level;
            return;
        }
        fprintf(stderr, "tide: TIDE_CPU=%s: this processor has no more than %s\n", want,
                names[top]);
        return;
    }
    fprintf(stderr, "tide: TIDE_CPU=%s: there are baseline, avx2 and avx512; taking %s\n",
            want, names[top]);
}

td_cpu td_cpu_level(void) { /* asked by every operation: the second time it is one load */
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level >= 0) return (td_cpu)level;
    pthread_once(&once, choose);
    atomic_store_explicit(&known, (int)chosen, memory_order_relaxed);
    return chosen;
}
