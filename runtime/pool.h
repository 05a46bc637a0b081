/* The pool: this process's only computing threads. Work is cut into pieces by its shape, never by the
 * number of threads, so that 1 and 2 threads give the same bits.
 *
 * Threads are started by the first call that has use for them, and not at all in a process that is
 * limited to one; a forked child begins with none of its parent's. */
#ifndef TD_POOL_H
#define TD_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* Runs piece(ctx, i) once for each i in [0, pieces), in any order and on any of the threads, the caller's
 * among them, and returns when all are done. Inside a piece (or while another thread of this process uses
 * the pool) everything runs on the calling thread. A piece must not fail: what may fail is done
 * before. */
void td_pool_run(void (*piece)(void *ctx, int64_t i), void *ctx, int64_t pieces);

/* How many threads work on a call, the caller's included. At first TIDE_THREADS, or else the number
 * of processors this process may run on. Set by tide.threads(n) and by a worker's configuration. */
int td_pool_threads(void);
void td_pool_set_threads(int count); /* 1 to 256 */

/* Is the calling thread inside a piece? */
bool td_pool_is_inside(void);

#endif
