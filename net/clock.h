/* The clock of sockets and sessions: milliseconds that never run backwards. */
#ifndef TD_NET_CLOCK_H
#define TD_NET_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t td_clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
