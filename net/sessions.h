/* The sessions of a worker: who opened them, where their client is now, the pipe to their process. A session
 * is known by the admitted user and the 16 bytes that his client chose: another user's 16 bytes are another
 * session. Decides who gets a place; moves no frames. */
#ifndef TD_NET_SESSIONS_H
#define TD_NET_SESSIONS_H

#include "net/conduit.h"
#include "net/config.h"

#define TD_ROUTE_BYTES 64

/* How ZeroMQ addresses a connection. */
typedef struct td_route {
    unsigned char bytes[TD_ROUTE_BYTES];
    size_t size;
} td_route;

typedef struct td_seat {
    const td_user *user;
    unsigned char id[TD_SESSION_BYTES];
    uint64_t serial;  /* of its process */
    td_route route;   /* where its client said hello last */
    int64_t heard_ms; /* from the client */
    int64_t asked_ms; /* since when the process owes an answer; 0: it does not */
    /* what the supervisor has against it, when it is being ended: for the client */
    char why[80];
    td_conduit pipe; /* closed: the process has ended, its report is to come */
} td_seat;

typedef struct td_sessions {
    const td_worker_config *config;
    td_seat **seat;
    int count, room;
    uint64_t last_serial;
} td_sessions;

td_seat *td_sessions_find(const td_sessions *s, const td_user *user,
                          const unsigned char *id);
td_seat *td_sessions_serial(const td_sessions *s, uint64_t serial);

/* A new seat, its pipe closed as yet. LIMIT when the worker, or the user, has as many as go. A session of the
 * user's own that has been silent for TD_SILENT_MS, as no living client is, makes room: it is then in
 * *instead, and to be ended by the caller, who tries again. */
#define TD_SILENT_MS 15000
td_seat *td_sessions_add(td_sessions *s, const td_user *user, const unsigned char *id,
                         int64_t now_ms, td_seat **instead, td_err *err);
/* Closes its pipe, too. */
void td_sessions_remove(td_sessions *s, td_seat *seat);
void td_sessions_clear(td_sessions *s);

#endif
