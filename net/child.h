/* A session's process: it holds the session's objects and runs its batches, and has nothing else: no
 * sockets, no keys, no files. Knows nothing of ZeroMQ. */
#ifndef TD_NET_CHILD_H
#define TD_NET_CHILD_H

#include "plans/session/host.h"

/* How a session's process ends by itself; anything else is a signal or our own fault. */
typedef enum td_child_exit {
    TD_CHILD_DONE = 0,       /* the supervisor closed the pipe */
    TD_CHILD_NO_MEMORY = 10, /* not even for the session's own books */
    TD_CHILD_NOT_LOCKED,     /* td_child_enter failed */
    TD_CHILD_NO_PIPE         /* the pipe broke, or what came over it was no frame */
} td_child_exit;

#define TD_CHILD_FD 3
/* On the pipe, in place of a frame's length: this bit, and how many frames have been dealt with until now. */
#define TD_CHILD_PROGRESS ((uint32_t)1 << 31)

typedef struct td_child_plan {
    const td_host_config *host;
    uint64_t memory_bytes; /* of tensors, beyond those of the data sets */
    int threads;           /* that it computes on */
} td_child_plan;

/* The one place where a fresh process gives up what it does not need: the pipe becomes TD_CHILD_FD, standard
 * input and output are nothing, standard error stays, every other descriptor is closed; it dies with its
 * parent, leaves no core dump, and gains no privileges; its private memory has a roof, some way above that of
 * its tensors. False when any of it is refused. */
bool td_child_enter(int pipe, const td_child_plan *plan);

/* Serves the session over TD_CHILD_FD until the other end closes. */
td_child_exit td_child_serve(const td_child_plan *plan,
                             const unsigned char session[TD_SESSION_BYTES]);

#endif
