/* The supervisor's end of a session's pipe: whole frames in and out over a stream socket that never blocks.
 * On the pipe a frame is its length, 4 bytes little-endian, and its bytes. A length with its highest bit set
 * comes from the child alone, and no bytes follow: the other bits say how many frames it is done with. Frames stay in ZeroMQ's messages
 * all the way, so that a megabyte is copied by the kernel alone. */
#ifndef TD_NET_CONDUIT_H
#define TD_NET_CONDUIT_H

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#include "net/child.h"
#include "plans/session/link.h"

/* Frames that wait for a child that computes. A client has no more than TD_WINDOW data frames under way;
 * what does not fit is dropped, and the link sends it again. */
#define TD_CONDUIT_ROOM (TD_WINDOW + 8)

typedef struct td_conduit {
    int fd; /* owned; -1 when closed */
    zmq_msg_t queue[TD_CONDUIT_ROOM];
    int first, count;
    size_t written; /* of the first frame, its length included */
    unsigned char head[4];
    size_t head_have;
    zmq_msg_t frame; /* being read, when head_have is 4 */
    size_t frame_have;
    uint64_t dropped;
    uint32_t given,
        done; /* frames: queued for the child, and done with by it; they wrap */
} td_conduit;

typedef enum td_conduit_state {
    TD_CONDUIT_FRAME,
    TD_CONDUIT_PROGRESS, /* the child is done with more frames than before */
    TD_CONDUIT_LATER,
    TD_CONDUIT_CLOSED
} td_conduit_state;

void td_conduit_open(td_conduit *c, int fd);
void td_conduit_close(td_conduit *c);
/* Queues the frame (it is moved out of *msg, or dropped when there is no room) and writes what goes. False
 * when the other end has closed. */
bool td_conduit_send(td_conduit *c, zmq_msg_t *msg);
/* Writes what goes; false when the other end has closed. */
bool td_conduit_flush(td_conduit *c);
static inline bool td_conduit_wants_out(const td_conduit *c) { return c->count > 0; }
/* Does the child still owe something for what it was given? */
static inline bool td_conduit_is_busy(const td_conduit *c) { return c->given != c->done; }
/* The next whole frame into *msg, which must be initialised; CLOSED also when the frame's length is none. */
td_conduit_state td_conduit_recv(td_conduit *c, zmq_msg_t *msg);

#endif
