/* The wire under a client's session: a DEALER socket with CURVE, in a thread of its own, which also ticks the
 * session and pings a worker in silence. */
#ifndef TD_NET_TRANSPORT_H
#define TD_NET_TRANSPORT_H

#include "net/keys.h"
#include "plans/session/client.h"

typedef struct td_remote {
    const char *url;         /* tcp://127.0.0.1:7700 */
    const char *name;        /* how to call the worker until it says its name */
    const char *server_path; /* for messages: the file that server_key is from */
    const char *server_key;  /* Z85 */
    const td_keypair *key;   /* our own; not needed after the call */
    int timeout_ms;          /* for the first answer */
} td_remote;

/* Starts connecting, and returns at once. Errors: ARGUMENT (the url), IO, MEMORY. */
int td_transport_open(const td_remote *to, td_transport *out, td_err *err);
/* The session that out belongs to, for its timer. Close is called by the session, and ends the ticks. */
void td_transport_tick(const td_transport *t, td_session *session);

#endif
