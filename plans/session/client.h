/* A session at the client: the place that pointers live at. Operations are written into the outgoing batch;
 * the batch goes out when somebody looks at a value, when it has grown large, or, if only frees are in it,
 * when a timer says so. One batch comes back as one reply.
 *
 * Calls come from the thread of the Lua state; td_session_tick may come from another one (a mutex guards
 * all). Waiting goes through a transport: a virtual worker's is a direct call, a remote one's a socket. */
#ifndef TD_SESSION_H
#define TD_SESSION_H

#include "plans/session/batch.h"
#include "plans/session/link.h"

typedef enum td_event {
    TD_EV_FRAME,   /* *frame, *n: allocated with td_new_bytes, the caller frees it */
    TD_EV_UP,      /* a connection is there (first, or again): say hello */
    TD_EV_TIMEOUT, /* nothing within the time given */
    /* the connection has been lost for longer than the grace time; said by every call until it is UP again */
    TD_EV_DOWN
} td_event;

typedef struct td_transport {
    void *ctx;
    /* Queues one frame; copies it. Never blocks. */
    int (*send)(void *ctx, const void *frame, size_t n, td_err *err);
    /* Waits up to wait_ms (0: only looks) for the next event. TD_EV_DOWN fills in err (GONE, TIMEOUT or
     * DENIED: "alice refused this key"). */
    td_event (*recv)(void *ctx, int wait_ms, void **frame, size_t *n, td_err *err);
    void (*close)(void *ctx);
    /* Drops the connection; a new one is made at once, TD_EV_UP tells of it. */
    void (*reconnect)(void *ctx);
} td_transport;

typedef struct td_session td_session; /* a td_place: cast with td_session_place */

typedef struct td_session_stats {
    uint64_t batches, waits, ops; /* sent, waited for, recorded */
    uint64_t named;               /* batches whose text the worker knew already */
    uint64_t frames_out, frames_in, bytes_out, bytes_in;
} td_session_stats;

/* where: called when an operation is recorded, to note the script's line; may be NULL. idle: called just
 * before a wait (a good time for the collector); may be NULL. */
typedef struct td_session_hooks {
    void (*where)(char *text, size_t size);
    void (*idle)(void *ctx);
    bool (*interrupted)(void); /* asked during a wait: true ends it with INTERRUPTED */
    /* the clock; NULL: the system's monotonic one. For simulators */
    int64_t (*now_ms)(void *ctx);
    void *ctx;
} td_session_hooks;

/* Takes over the transport (closes it at the end, and on failure). Nothing is sent yet. */
td_session *td_session_new(const char *name, const td_transport *transport,
                           const td_session_hooks *hooks, td_err *err);
/* Waits until the worker has answered, at most wait_ms; the place then bears the worker's own name. */
int td_session_open(td_session *s, int wait_ms, td_err *err);
td_place *td_session_place(td_session *s);
td_session *td_session_of(td_place *p); /* NULL when the place is no session (a tracer) */
td_session_stats td_session_get_stats(td_session *s);

/* x, which is here, goes there too. id 0: a fresh one. *out: a pointer (new reference). tags may be NULL. */
int td_session_send(td_session *s, td_tensor *x, uint64_t id, const td_tags *tags,
                    td_obj **out, td_err *err);
/* The value of obj will come here; drop: it is gone from there then. Does not wait. */
int td_session_get(td_session *s, td_obj *obj, bool drop, td_coming **out, td_err *err);
/* obj is freed there, whatever still points at it. */
int td_session_free(td_session *s, td_obj *obj, td_err *err);
int td_session_tag(td_session *s, td_obj *obj, const td_tags *tags, td_err *err);
int td_session_clear(td_session *s, td_err *err);

/* Sends what is recorded, without waiting. */
int td_session_flush(td_session *s, td_err *err);
/* Has something been recorded or sent, other than frees, that nobody has waited for? */
bool td_session_is_owed(td_session *s);
/* Sends and waits for everything; raises the first error there was since the last wait. */
int td_session_wait(td_session *s, td_err *err);

/* Questions; each flushes and waits. *list: count entries, td_free. */
int td_session_objects(td_session *s, td_about **list, int *count, td_err *err);
int td_session_search(td_session *s, const td_tags *tags, td_about **list, int *count,
                      td_err *err);
/* Pointers to a data set's tensors (y may come out NULL), of data that the session does not own. */
int td_session_dataset(td_session *s, const char *name, td_obj **x, td_about *about_x,
                       td_obj **y, td_about *about_y, td_err *err);
/* A pointer to an object that is known to be there (from a search); does not own it. */
td_obj *td_session_adopt(td_session *s, const td_about *about);
/* Round trip to whoever holds the worker's socket, in ms; nothing recorded is sent. */
int td_session_ping(td_session *s, double *ms, td_err *err);

/* From a timer, at most every 100 ms: sends frees that have waited long enough. */
void td_session_tick(td_session *s, int64_t now_ms);
/* Drops the connection; the next wait makes it anew. Objects stay there meanwhile. */
int td_session_disconnect(td_session *s, td_err *err);
/* Says goodbye: the worker may free everything. What still waits fails; the place itself lives on until its
 * last reference goes. */
void td_session_end(td_session *s);

#endif
