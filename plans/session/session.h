/* A client session's inside, shared by recording (record.c), waiting (client.c) and replies (reply.c). */
#ifndef TD_SESSION_INSIDE_H
#define TD_SESSION_INSIDE_H

#include <pthread.h>

#include "plans/session/client.h"
#include "plans/session/idmap.h"
#include "plans/session/known.h"
#include "plans/session/text.h"

/* A batch that has been written, or is being: which line of the script recorded each of its records. */
typedef struct td_batch {
    struct td_batch *next;
    uint64_t number;
    uint32_t *line; /* per record: index + 1 into the session's lines; 0: none */
    size_t count, room;
} td_batch;

/* A question whose answer somebody waits for. Lives on that caller's stack. */
typedef struct td_question {
    uint64_t key;
    bool done;
    td_err err;
    td_about *list; /* the answer */
    int count;
} td_question;

typedef enum td_awaited_kind { TD_AWAIT_TENSOR, TD_AWAIT_QUESTION } td_awaited_kind;
typedef struct td_awaited {
    td_awaited_kind kind;
    td_coming *coming; /* counted */
    td_question *question;
    uint64_t batch; /* in which it was asked */
} td_awaited;

struct td_session {
    td_place place; /* first: a session is a place */
    pthread_mutex_t lock;
    td_transport transport;
    td_session_hooks hooks;
    unsigned char id[TD_SESSION_BYTES];
    td_link *link;
    bool welcomed; /* the worker has answered HELLO on this connection */
    bool ended;    /* goodbye has been said */
    /* mark of the host that knows us; 0: none. Another one in a WELCOME knows nothing */
    uint64_t host;
    size_t max_letter;      /* the largest letter that it takes; 0: not known */
    bool greeting, pinging; /* HELLO, PING are out and not answered */
    int64_t asked_ms;       /* when something was heard or asked last */
    int64_t patience_ms;    /* how long a silence may be */
    td_writer frame;

    /* the batch that is being written */
    td_text text;
    td_writer bulk;
    td_batch *open;
    td_known known;        /* names of the texts that the worker has */
    bool worth_sending;    /* something else than frees is in it */
    int64_t dead_since_ms; /* when the first free was written, 0: none */

    td_batch *sent, **sent_tail; /* waiting for their replies, oldest first */
    td_batch *refused;           /* the link did not take it when the timer sent it */
    td_err refused_why;
    uint64_t last_number;
    td_idmap awaited; /* key -> td_awaited */
    /* ids that were asked for, while the object (the value) lives that would free them */
    td_idmap explicit_ids;

    char **lines; /* every line of a script that recorded something, once */
    size_t line_count, line_room;
    /* told by replies, with err.where filled in; the newest few hundred */
    td_failure *failures;
    size_t failure_count;
    td_err first_error; /* since the last wait */
    uint64_t ping;      /* mark of the last one that went out */
    bool ponged;        /* it has come back */
    td_session_stats stats;
};

#define TD_FAILURES_KEPT 256

int64_t td_session_now_ms(const td_session *s);
void td_session_lock(td_session *s);
void td_session_unlock(td_session *s);
/* Begins a record in the open batch: its kind, and the script's line. Of FREE it is the line alone. */
int td_record_begin(td_session *s, td_record kind, td_err *err);
/* After a record: memory errors, and sending early when a lot has gathered. */
int td_record_end(td_session *s, td_err *err);
int td_await(td_session *s, uint64_t key, td_coming *coming, td_question *question,
             td_err *err);
/* Nobody waits for key any more; its answer will be read and thrown away. */
void td_unawait(td_session *s, uint64_t key);
/* Takes a reply apart. */
int td_session_take_reply(td_session *s, const td_letter *letter, td_err *err);
/* What is awaited of a batch that was not sent fails; the batch is freed. */
void td_session_fail_batch(td_session *s, td_batch *b, const td_err *err);
/* Everything that is awaited fails with err, and so do batches under way. */
void td_session_fail_all(td_session *s, const td_err *err);
/* Flushes and waits for one question, at most wait_ms (0: for ever). */
int td_session_ask(td_session *s, td_question *q, td_err *err);

/* What a place needs of client.c. */
int td_session_wait_for(td_session *s, td_coming *c, td_err *err);
void td_session_destroy(td_session *s);
extern const td_place_ops td_session_place_ops;

#endif
