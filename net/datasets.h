/* The data owner's sets: read once, when the worker starts, into sealed memory, which nothing can write to
 * afterwards, whatever a session's process is made to do. Processes forked from here share it. */
#ifndef TD_NET_DATASETS_H
#define TD_NET_DATASETS_H

#include "net/config.h"
#include "plans/session/host.h"

typedef struct td_datasets {
    td_shared_set *set;
    int count;
} td_datasets;

/* Loads all sets of the configuration. Errors name the data set and the file. */
int td_datasets_load(const td_worker_config *config, td_datasets *out, td_err *err);
void td_datasets_clear(td_datasets *d);

/* A copy of x, contiguous, in sealed memory; its storage is read-only. */
td_tensor *td_tensor_sealed(td_tensor *x, td_err *err);

#endif
