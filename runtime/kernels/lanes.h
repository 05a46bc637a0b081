/* The order of sums, for loops that are compiled for each processor level: elements of a block are dealt to
 * 16 lanes, which are joined as a tree (runtime/kernels/reduce.h says why). A pair of vectors holds the lanes;
 * compilers make of them what the processor has. */
#ifndef TD_LANES_H
#define TD_LANES_H

#include <stdint.h>
#include <string.h>

#define TD_LANES 16
#define TD_LANE_BLOCK 1024

typedef double td_v8d __attribute__((vector_size(64)));
typedef float td_v8f __attribute__((vector_size(32)));

/* Lanes i to i + 7 of what lies at p, as doubles. */
#define TD_LOAD_V8_float(to, p)                                                          \
    do {                                                                                 \
        td_v8f load_;                                                                    \
        memcpy(&load_, (p), sizeof load_);                                               \
        (to) = __builtin_convertvector(load_, td_v8d);                                   \
    } while (0)
#define TD_LOAD_V8_double(to, p) memcpy(&(to), (p), sizeof(td_v8d))

/* The lanes' sum: lane i and i + 8, then i and i + 4, and so on. */
static inline double td_join_lanes(const double *lane) {
    double a[8];
    for (int i = 0; i < 8; i++) a[i] = lane[i] + lane[i + 8];
    for (int i = 0; i < 4; i++) a[i] += a[i + 4];
    a[0] += a[2];
    a[1] += a[3];
    return a[0] + a[1];
}

#endif
