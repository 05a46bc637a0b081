/* Connections of a worker's socket, watched for peers that misbehave below the reach of messages. ZeroMQ
 * gives a multi-part message to the program only when its last part is there, and its size limit holds for
 * each part: an admitted peer could fill memory with parts that the program never sees. So what a
 * connection's socket has received is compared with what was delivered, and a connection that takes in a lot
 * and delivers nothing is shut down. So are those that keep sending what breaks the grammar. */
#ifndef TD_NET_PEERS_H
#define TD_NET_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

#define TD_PEERS_MAX 512   /* connections at a time */
#define TD_PEER_STRIKES 32 /* frames that break the grammar, until it is shut down */
#define TD_PEER_MULTIPART_STRIKES 4   /* multi-part messages, likewise */
#define TD_PEER_HELD_BYTES (16 << 20) /* received with nothing delivered */

typedef struct td_peer {
    int fd;                               /* ZeroMQ's; only asked and shut down here */
    uint64_t delivered, delivered_before; /* messages: until now, until the last look */
    uint64_t received_before;             /* bytes, when something was delivered last */
    int strikes, multiparts;
} td_peer;

typedef struct td_peers {
    void *monitor; /* ZMQ_PAIR: poll it, and call td_peers_events when it is readable */
    td_peer peer[TD_PEERS_MAX];
    int count;
    uint64_t shut_down;
} td_peers;

/* Watches router; must come before it binds. Errors: IO. */
int td_peers_open(td_peers *p, void *context, void *router, td_err *err);
void td_peers_close(td_peers *p);
/* Takes in what the monitor says. */
void td_peers_events(td_peers *p);
/* A message came over fd (ZeroMQ's "__fd" of the message; -1: unknown). */
void td_peers_delivered(td_peers *p, int fd);
/* It broke the grammar, or was in several parts. True: the connection has been shut down for it. */
bool td_peers_strike(td_peers *p, int fd, bool multipart);
/* From a timer, a few times a second. */
void td_peers_look(td_peers *p);

#endif
