/* A worker's whole life: data, template, key, sockets, in that order, so that no process of a session ever
 * saw a key; then serving until SIGTERM or SIGINT. */
#ifndef TD_NET_WORKER_H
#define TD_NET_WORKER_H

#include <stdio.h>

#include "net/config.h"

/* Says in one line to `ready` when it serves: "bob: 2 data sets, 1 user, listening on tcp://127.0.0.1:7700".
 * Returns 0 after a signal. Must be called while the process has one thread; blocks SIGTERM and SIGINT. */
int td_worker_run(const td_worker_config *config, FILE *ready, td_err *err);

#endif
