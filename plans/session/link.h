/* A link: letters in order, each exactly once, over frames that may be lost, doubled, late or out of order.
 *
 * Both ends of a session hold one. A letter is a kind, a head and bulk bytes; it travels in numbered frames
 * of at most TD_PIECE bytes. The sender keeps frames until they are acknowledged, has at most TD_WINDOW
 * of them under way (the credit), and begins again at what the peer asks for: after a gap, a reconnect or
 * a silence. A pure state machine: no socket, no clock (now_ms is given), no thread of its own.
 *
 * A frame is one message: a MessagePack map and behind it, at a multiple of 8 bytes, the piece's bytes
 * (docs/wire.md). */
#ifndef TD_LINK_H
#define TD_LINK_H

#include "runtime/err.h"
#include "vm/codec.h"

#define TD_WIRE_VERSION 1
#define TD_PIECE (1u << 20) /* payload bytes of a frame */
#define TD_FRAME_MAX                                                                     \
    (TD_PIECE + 4096u)      /* a frame, map included: anything larger is refused */
#define TD_WINDOW 32        /* unacknowledged data frames under way */
#define TD_SESSION_BYTES 16 /* a session's name, chosen at random by the client */

typedef enum td_frame_type {
    /* client: the host that it knows, next number wanted; opens or resumes */
    TD_FRAME_HELLO = 1,
    TD_FRAME_WELCOME, /* worker: this host, next number wanted, its name and largest letter */
    TD_FRAME_DATA, /* a piece of a letter */
    TD_FRAME_ACK,  /* numbers below `ack` have arrived; resend: a gap was seen */
    TD_FRAME_PING, /* answered by whoever holds the socket */
    TD_FRAME_PONG,
    TD_FRAME_BYE,  /* client: the session is over, its objects may go */
    TD_FRAME_ERROR /* worker: a refusal, or the session's end; code and message */
} td_frame_type;

/* A frame taken apart. Pointers go into the frame's bytes. */
typedef struct td_frame {
    td_frame_type type;
    unsigned char session[TD_SESSION_BYTES];
    uint64_t n; /* DATA: number. PING, PONG: the pinger's own mark */
    /* The mark of the host that is meant, or speaks, drawn at random when it begins: in HELLO (0: none is
     * known), WELCOME, DATA, ACK. */
    uint64_t host;
    uint64_t ack; /* next number wanted of the peer; HELLO, WELCOME, DATA, ACK */
    bool resend;  /* ACK: send again from there */
    bool fresh;   /* WELCOME: HELLO named another host, so nothing was resumed */
    int kind;     /* DATA, first piece: the letter's kind */
    /* DATA, first piece: head and bulk of the whole letter. WELCOME: the largest
     * letter that is taken */
    uint64_t size;
    uint64_t head; /* DATA, first piece: bytes of the head */
    bool first;
    char name[64]; /* WELCOME: the worker's name */
    td_err err;    /* ERROR */
    const unsigned char *payload;
    size_t payload_bytes;
} td_frame;

/* Checks everything: version, types, ranges, lengths; PROTOCOL errors say what is wrong. */
int td_frame_parse(const void *bytes, size_t n, td_frame *f, td_err *err);
/* Appends the frame's bytes to w. */
void td_frame_write(const td_frame *f, td_writer *w);

typedef struct td_letter {
    int kind;
    unsigned char *bytes; /* head, then bulk; owned, td_free */
    size_t head_bytes, size;
} td_letter;

typedef struct td_link td_link;

/* max_letter: largest letter taken, in bytes. */
td_link *td_link_new(const unsigned char session[TD_SESSION_BYTES], size_t max_letter,
                     td_err *err);
void td_link_free(td_link **l);

/* Smaller pieces than TD_PIECE, at both ends alike, before anything is sent: for tests. */
void td_link_set_piece(td_link *l, size_t bytes);

/* Queues a letter; takes over its bytes. LIMIT when too much is queued already. */
int td_link_send(td_link *l, td_letter *letter, td_err *err);
/* Takes in a DATA, ACK, HELLO or WELCOME frame (the resume part of the latter two). */
int td_link_frame(td_link *l, const td_frame *f, int64_t now_ms, td_err *err);
/* The next complete letter, oldest first; false when there is none. The caller frees its bytes. */
bool td_link_letter(td_link *l, td_letter *out);
/* Writes the next frame to be sent into w (emptied first); false when there is nothing to send now. */
bool td_link_next(td_link *l, int64_t now_ms, td_writer *w);
/* The connection is new: the peer tells (HELLO, WELCOME) what it wants next; nothing is sent till then. */
void td_link_reset(td_link *l);
/* Forgets everything: numbers start anew (the peer knows nothing of the session). */
void td_link_restart(td_link *l);
/* Number wanted next of the peer, for HELLO and WELCOME. */
uint64_t td_link_wanted(const td_link *l);
/* Whom it speaks to, or for: the host's mark, borne by each frame. Frames of or for another host are
 * passed over; 0, before it is known, meets any. */
void td_link_set_host(td_link *l, uint64_t mark);
/* Bytes queued or under way; 0: all is acknowledged. */
size_t td_link_backlog(const td_link *l);
/* Does it wait for an acknowledgement (so that a silence should be looked into)? */
bool td_link_is_waiting(const td_link *l);

#endif
