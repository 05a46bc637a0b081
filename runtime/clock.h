/* The clock of timers and waits, of whichever layer: it never runs backwards. */
#ifndef TD_CLOCK_H
#define TD_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t td_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t td_clock_ms(void) { return td_clock_ns() / 1000000; }

#endif
