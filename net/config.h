/* A worker's configuration, as its Lua file says it (docs: `tide help worker`). Reading it checks all that
 * can be checked without opening the data: names, addresses, keys of users, limits. */
#ifndef TD_NET_CONFIG_H
#define TD_NET_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/admission.h"
#include "plans/session/batch.h"

/* What may be done with a data set's rows. In this version only open sets are of use: the rows of all
 * others are refused, since the plans that they are for do not run yet. */
typedef enum td_policy {
    TD_POLICY_OPEN = 1,
    TD_POLICY_DERIVED,
    TD_POLICY_PLANS,
    TD_POLICY_PRIVATE
} td_policy;

typedef struct td_set_config {
    char name[TD_NAME_BYTES];
    char path[PATH_MAX];
    char target[TD_NAME_BYTES]; /* the column that is y; "" when not said */
    td_policy policy;
    td_tags tags;
} td_set_config;

typedef struct td_worker_config {
    char name[64];
    char listen[256]; /* tcp://127.0.0.1:7700, or ipc://path */
    char key_path[PATH_MAX];
    char state[PATH_MAX]; /* folder for what outlives the process; nothing is in it yet */
    bool wants_gateway;   /* one is named: it is accepted and not served yet */
    td_user *user;
    int user_count;
    td_set_config *set; /* sorted by name */
    int set_count;
    uint64_t memory_bytes;           /* tensors of one session */
    uint64_t letter_bytes;           /* one batch with what it brings */
    int64_t seconds;                 /* one batch may run so long */
    int64_t sessions, user_sessions; /* at a time: of all users, of each */
    int64_t threads;                 /* that one session computes on */
    /* a client that is silent for so long is gone, and so are its objects */
    int64_t lease_ms;
} td_worker_config;

/* Reads the file; paths in it are as seen from its folder. Errors name the file and the field. out is to be
 * cleared afterwards, also after a failure. */
int td_worker_config_load(const char *path, td_worker_config *out, td_err *err);
void td_worker_config_clear(td_worker_config *c);

#endif
