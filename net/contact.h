/* How a connection stands: from what ZeroMQ's monitor reports and the clock to "it is up", "it is lost", "this
 * key is refused". A state machine with no socket and no thread: transport.c feeds it. */
#ifndef TD_NET_CONTACT_H
#define TD_NET_CONTACT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

/* A lost or refused connection is mended within this, or it is said to be gone. */
#define TD_GRACE_MS 700
#define TD_SILENCE_MS 5000 /* after which a ping goes out */
/* Of silence in spite of pings: the connection is given up, and made anew. */
#define TD_PATIENCE_MS 15000

typedef enum td_contact_state {
    TD_CONTACT_CONNECTING, /* as yet nothing has answered */
    TD_CONTACT_UP,
    TD_CONTACT_LOST /* it was up */
} td_contact_state;

/* What the shell is to do. */
typedef enum td_contact_act {
    TD_CONTACT_NOTHING,
    TD_CONTACT_SAY_UP,   /* a connection is there */
    TD_CONTACT_SAY_DOWN, /* err says why; ZeroMQ goes on trying */
    TD_CONTACT_GIVE_UP   /* the same, and it should not go on trying: it was refused */
} td_contact_act;

typedef struct td_contact {
    td_contact_state state;
    bool down;          /* has been said */
    int64_t since_ms;   /* of the state */
    int64_t timeout_ms; /* for the first answer */
    bool refused;       /* nothing listens there */
    bool reached;       /* something took the connection, the handshake is not through */
    int broken_off;     /* handshakes that the other end broke off, in a row */
    char name[64];      /* the worker's, for messages */
    char url[256];
    char server_key[256]; /* the file with its public key, for messages */
    td_err err;           /* of SAY_DOWN and GIVE_UP */
} td_contact;

/* Begins anew. */
void td_contact_begin(td_contact *c, int64_t now_ms);
/* An event of the monitor (ZMQ_EVENT_...) and its value. */
td_contact_act td_contact_event(td_contact *c, int event, uint32_t value, int64_t now_ms);
/* From a timer. */
td_contact_act td_contact_tick(td_contact *c, int64_t now_ms);
/* Nothing was heard for TD_PATIENCE_MS. */
td_contact_act td_contact_mute(td_contact *c, int64_t now_ms);

#endif
