/* A client's session: sending batches, waiting for replies, connections that come and go. */
#include "plans/session/client.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "plans/session/session.h"
#include "runtime/clock.h"
#include "runtime/mem.h"

/* Of a reply: what the scientist asked for himself. */
#define LETTER_MAX ((size_t)8 << 30)
#define LOOK_MS 100 /* how often a wait looks for an interrupt */
#define FREE_AFTER_MS 500
/* Of silence, before what has no answer is asked again; then after twice as long, ... */
#define ASK_AGAIN_MS 1000
#define ASK_AGAIN_MAX_MS 30000

int64_t td_session_now_ms(const td_session *s) {
    if (s->hooks.now_ms) return s->hooks.now_ms(s->hooks.ctx);
    return td_clock_ms();
}

void td_session_lock(td_session *s) { pthread_mutex_lock(&s->lock); }
void td_session_unlock(td_session *s) { pthread_mutex_unlock(&s->lock); }

td_session *td_session_new(const char *name, const td_transport *transport,
                           const td_session_hooks *hooks, td_err *err) {
    td_session *s = sodium_init() >= 0 ? td_new(td_session) : NULL;
    if (s) {
        randombytes_buf(s->id, sizeof s->id);
        s->link = td_link_new(s->id, LETTER_MAX, err);
    }
    if (s == NULL || s->link == NULL) {
        td_free(s);
        transport->close(transport->ctx);
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&s->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    s->place.ops = &td_session_place_ops;
    s->place.refs = 1;
    snprintf(s->place.name, sizeof s->place.name, "%s", name);
    s->transport = *transport;
    if (hooks) s->hooks = *hooks;
    s->sent_tail = &s->sent;
    td_link_reset(s->link); /* silent until the worker has said hello */
    return s;
}

td_place *td_session_place(td_session *s) { return &s->place; }

td_session *td_session_of(td_place *p) {
    return p && p->ops == &td_session_place_ops ? (td_session *)p : NULL;
}

td_session_stats td_session_get_stats(td_session *s) {
    td_session_lock(s);
    td_session_stats stats = s->stats;
    td_session_unlock(s);
    return stats;
}

/* ---- frames ---- */

static int send_frame(td_session *s, td_err *err) {
    if (s->frame.failed) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    s->stats.frames_out++;
    s->stats.bytes_out += s->frame.size;
    return s->transport.send(s->transport.ctx, s->frame.data, s->frame.size, err);
}

static int send_simple(td_session *s, td_frame_type type, uint64_t mark, td_err *err) {
    td_frame f = {.type = type, .n = mark};
    memcpy(f.session, s->id, sizeof f.session);
    if (type == TD_FRAME_HELLO || type == TD_FRAME_ACK) {
        f.host = s->host;
        f.ack = td_link_wanted(s->link);
    }
    s->frame.size = 0;
    td_frame_write(&f, &s->frame);
    return send_frame(s, err);
}

/* Sends a HELLO, PING or ACK, and notes when to lose patience. */
static int ask(td_session *s, td_frame_type type, td_err *err) {
    s->asked_ms = td_session_now_ms(s);
    return send_simple(s, type, type == TD_FRAME_PING ? s->ping : 0, err);
}

/* Nothing but HELLO may be sent on a connection before its WELCOME. */
static void await_welcome(td_session *s, bool greeting) {
    s->welcomed = false;
    s->greeting = greeting;
    s->patience_ms = ASK_AGAIN_MS;
    td_link_reset(s->link);
}

static int greet(td_session *s, td_err *err) {
    await_welcome(s, true);
    return ask(s, TD_FRAME_HELLO, err);
}

/* What to say into a silence. While a reply is awaited that is where we are: a worker
 * whose session has ended, and whose word of it was lost, says so again. */
static int ask_again(td_session *s, td_err *err) {
    td_frame_type type = s->greeting  ? TD_FRAME_HELLO
                         : s->pinging ? TD_FRAME_PING
                                      : TD_FRAME_ACK;
    if (type == TD_FRAME_ACK && (!s->welcomed || s->sent == NULL)) return 0;
    if (td_session_now_ms(s) - s->asked_ms < s->patience_ms) return 0;
    if (s->patience_ms < ASK_AGAIN_MAX_MS) s->patience_ms *= 2;
    return ask(s, type, err);
}

static void end_silence(td_session *s) {
    s->asked_ms = td_session_now_ms(s);
    s->patience_ms = ASK_AGAIN_MS;
}

/* Gives the transport whatever is due. */
static int pump_out(td_session *s, td_err *err) {
    int rc = ask_again(s, err);
    while (rc == 0 && s->welcomed &&
           td_link_next(s->link, td_session_now_ms(s), &s->frame))
        rc = send_frame(s, err);
    return rc;
}

/* A text that is no longer than its name, or too long to be kept, is sent as the records that it means. */
static bool has_name(const td_session *s) {
    size_t n = s->text.text.size;
    return n > TD_TEXT_HASH && n <= TD_KNOWN_BYTES;
}

/* The open batch's head: its number and its text, or that text's name, and what it is bound to. */
static void write_head(td_session *s, const unsigned char *name, td_writer *w) {
    const td_writer *text = &s->text.text;
    td_put_uint(w, s->open->number);
    if (name && td_known_find(&s->known, name)) {
        td_put_byte(w, 1);
        td_put_bytes(w, name, TD_TEXT_HASH);
        s->stats.named++;
    } else if (name) {
        td_put_byte(w, 0);
        td_put_uint(w, text->size);
        td_put_bytes(w, text->data, text->size);
    }
    td_writer bindings = {0};
    td_text_put_bindings(&s->text, name ? w : &bindings);
    td_reader r = {.data = bindings.data, .size = bindings.size};
    if (name == NULL && td_text_expand(text->data, text->size, &r, w, NULL) != 0)
        w->failed = true;
    w->failed |= bindings.failed;
    td_writer_free(&bindings);
}

/* The open batch becomes a letter. */
static int queue_batch(td_session *s, td_err *err) {
    unsigned char hash[TD_TEXT_HASH], *name = has_name(s) ? hash : NULL;
    td_writer w = {0};
    td_text_close(&s->text);
    if (name) td_text_hash(s->text.text.data, s->text.text.size, hash);
    if (!td_text_failed(&s->text)) write_head(s, name, &w);
    td_letter letter = {.kind = name ? TD_LETTER_TEXT : TD_LETTER_BATCH,
                        .head_bytes = w.size};
    td_put_bytes(&w, s->bulk.data, s->bulk.size);
    letter.bytes = w.data;
    letter.size = w.size;
    if (w.failed || td_text_failed(&s->text)) {
        td_writer_free(&w);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    if (s->max_letter && letter.size > s->max_letter) {
        td_writer_free(&w);
        return td_fail(err, TD_E_LIMIT, "", "a batch of %zu bytes, %s takes at most %zu",
                       letter.size, s->place.name, s->max_letter);
    }
    int rc = td_link_send(s->link, &letter, err);
    /* only what goes out is known there; without memory for the whole list there must be none of it */
    if (rc == 0 && name && !td_known_use(&s->known, hash, NULL, s->text.text.size))
        td_known_clear(&s->known);
    return rc;
}

/* Hands the open batch to the link. One that it does not take becomes *refused, for the caller to fail. */
static int close_batch(td_session *s, td_batch **refused, td_err *err) {
    td_batch *b = s->open;
    if (b == NULL) return 0;
    int rc = queue_batch(s, err);
    s->worth_sending = false;
    s->dead_since_ms = 0;
    if (s->bulk.room > ((size_t)8 << 20)) td_writer_free(&s->bulk);
    s->bulk.size = 0;
    s->open = NULL;
    if (rc) {
        *refused = b;
        return rc;
    }
    if (s->sent == NULL) end_silence(s);
    *s->sent_tail = b;
    s->sent_tail = &b->next;
    s->stats.batches++;
    return 0;
}

int td_session_flush(td_session *s, td_err *err) {
    td_err own;
    if (err == NULL) err = &own;
    td_session_lock(s);
    if (s->refused) td_session_fail_batch(s, s->refused, &s->refused_why);
    s->refused = NULL;
    td_batch *refused = NULL;
    int rc = close_batch(s, &refused, err);
    if (rc) td_session_fail_batch(s, refused, err);
    if (rc == 0) rc = pump_out(s, err);
    td_session_unlock(s);
    return rc;
}

/* The worker knows nothing of what was: everything that waits for it fails. */
static void lose(td_session *s, const td_err *why) {
    td_session_fail_all(s, why);
    td_link_restart(s->link);
}

static int take_welcome(td_session *s, const td_frame *f, td_err *err) {
    if (f->host == 0)
        return td_fail(err, TD_E_PROTOCOL, "", "a worker's welcome bears no mark");
    td_frame link_frame = *f;
    if (s->welcomed && f->host == s->host)
        link_frame.type = TD_FRAME_ACK; /* a HELLO was answered twice */
    snprintf(s->place.name, sizeof s->place.name, "%s", f->name);
    int rc = 0;
    if (s->host && f->host != s->host) {
        rc = td_fail(err, TD_E_GONE, "", "%s has begun anew; what was there is gone",
                     f->name);
        lose(s, err);
    }
    s->host = f->host;
    td_link_set_host(s->link, s->host);
    s->max_letter = (size_t)f->size;
    s->welcomed = true;
    s->greeting = false;
    td_err ignored;
    int linked =
        td_link_frame(s->link, &link_frame, td_session_now_ms(s), rc ? &ignored : err);
    return rc ? rc : linked;
}

static int take_error(td_session *s, const td_frame *f, td_err *err) {
    *err = f->err;
    if (f->err.code == TD_E_GONE) {
        /* the session's process: a new one comes with the next HELLO */
        td_fail(err, TD_E_GONE, "", "%s: %s", s->place.name, f->err.msg);
        lose(s, err);
        s->host = 0;
        td_err ignored;
        greet(s, &ignored);
    } else {
        td_session_fail_all(s, err);
    }
    return f->err.code;
}

static int take_frame(td_session *s, const void *bytes, size_t n, td_err *err) {
    td_frame f;
    s->stats.frames_in++;
    s->stats.bytes_in += n;
    int rc = td_frame_parse(bytes, n, &f, err);
    if (rc) return rc;
    if (memcmp(f.session, s->id, sizeof s->id) != 0)
        return 0; /* of a session that was before */
    end_silence(s);
    switch (f.type) {
    case TD_FRAME_WELCOME: return take_welcome(s, &f, err);
    case TD_FRAME_PONG: s->ponged |= f.n == s->ping; return 0;
    case TD_FRAME_ERROR: return take_error(s, &f, err);
    case TD_FRAME_DATA:
    case TD_FRAME_ACK:
        if (s->host == 0) return 0; /* of one that has ended; there is none now */
        rc = td_link_frame(s->link, &f, td_session_now_ms(s), err);
        break;
    default:
        return td_fail(err, TD_E_PROTOCOL, "", "%s sent a frame of type %d",
                       s->place.name, f.type);
    }
    td_letter letter;
    while (rc == 0 && td_link_letter(s->link, &letter)) {
        rc = td_session_take_reply(s, &letter, err);
        td_free(letter.bytes);
    }
    return rc;
}

/* One event. The lock is held once by the caller and let go while the transport waits. */
static int turn(td_session *s, int wait_ms, td_err *err) {
    void *frame = NULL;
    size_t n = 0;
    td_session_unlock(s);
    td_event e = s->transport.recv(s->transport.ctx, wait_ms, &frame, &n, err);
    td_session_lock(s);
    int rc = 0;
    switch (e) {
    case TD_EV_FRAME:
        rc = take_frame(s, frame, n, err);
        td_free(frame);
        break;
    case TD_EV_UP: rc = greet(s, err); break;
    case TD_EV_DOWN: /* nothing is forgotten: should the worker come back, all goes on from here */
        await_welcome(s, false);
        rc = err->code;
        break;
    case TD_EV_TIMEOUT: break;
    }
    return rc ? rc : pump_out(s, err);
}

/* Turns until *done, with interrupts and a time limit (0: none). Errors of the connection end it. */
static int turn_until(td_session *s, const bool *done, int wait_ms, const char *call,
                      td_err *err) {
    int64_t end = wait_ms > 0 ? td_session_now_ms(s) + wait_ms : 0;
    while (!*done) {
        int64_t left = end ? end - td_session_now_ms(s) : LOOK_MS;
        if (left <= 0) {
            td_fail(err, TD_E_TIMEOUT, call, "%s has not answered within %d ms",
                    s->place.name, wait_ms);
            return TD_E_TIMEOUT;
        }
        int rc = turn(s, left < LOOK_MS ? (int)left : LOOK_MS, err);
        if (rc) return rc;
        if (!*done && s->hooks.interrupted && s->hooks.interrupted())
            return td_fail(err, TD_E_INTERRUPTED, call,
                           "interrupted while waiting for %s", s->place.name);
    }
    return 0;
}

/* The first error since the last wait, told once. */
static int first_error(td_session *s, td_err *err) {
    if (s->first_error.code == 0) return 0;
    *err = s->first_error;
    s->first_error.code = 0;
    return err->code;
}

static void before_waiting(td_session *s) {
    s->stats.waits++;
    if (s->hooks.idle) s->hooks.idle(s->hooks.ctx);
}

int td_session_wait_for(td_session *s, td_coming *c, td_err *err) {
    td_session_lock(s);
    td_coming_ref(c);
    int rc = td_session_flush(s, err);
    if (rc == 0) before_waiting(s);
    if (rc == 0) rc = turn_until(s, &c->done, 0, "", err);
    if (rc == 0) rc = first_error(s, err);
    td_coming_unref(&c);
    td_session_unlock(s);
    return rc;
}

bool td_session_is_owed(td_session *s) {
    td_session_lock(s);
    bool owed = !s->ended && (s->worth_sending || s->sent || s->first_error.code);
    td_session_unlock(s);
    return owed;
}

int td_session_wait(td_session *s, td_err *err) {
    td_session_lock(s);
    int rc = td_session_flush(s, err);
    bool none = s->sent == NULL;
    if (rc == 0 && !none) before_waiting(s);
    while (rc == 0 && s->sent) {
        const td_batch *b = s->sent;
        rc = turn(s, LOOK_MS, err);
        if (rc == 0 && s->sent == b && s->hooks.interrupted && s->hooks.interrupted())
            rc = td_fail(err, TD_E_INTERRUPTED, "", "interrupted while waiting for %s",
                         s->place.name);
    }
    if (rc == 0) rc = first_error(s, err);
    td_session_unlock(s);
    return rc;
}

/* A question is on the caller's stack: when the wait is given up, its answer must find nobody there. */
int td_session_ask(td_session *s, td_question *q, td_err *err) {
    int rc = td_record_end(s, err);
    if (rc == 0) rc = td_session_flush(s, err);
    if (rc == 0) before_waiting(s);
    if (rc == 0) rc = turn_until(s, &q->done, 0, "", err);
    if (!q->done) td_unawait(s, q->key);
    if (rc == 0) rc = first_error(s, err);
    if (rc == 0 && q->err.code) {
        *err = q->err;
        rc = err->code;
    }
    if (rc) td_free(q->list);
    return rc;
}

/* ---- connections ---- */

int td_session_open(td_session *s, int wait_ms, td_err *err) {
    td_session_lock(s);
    int rc = turn_until(s, &s->welcomed, wait_ms, "connect", err);
    td_session_unlock(s);
    return rc;
}

int td_session_ping(td_session *s, double *ms, td_err *err) {
    td_session_lock(s);
    int rc = turn_until(s, &s->welcomed, 0, "ping", err);
    s->ping++;
    s->ponged = false;
    s->pinging = true;
    end_silence(s);
    int64_t began = td_clock_ns();
    if (rc == 0) rc = ask(s, TD_FRAME_PING, err);
    if (rc == 0) rc = turn_until(s, &s->ponged, 0, "ping", err);
    s->pinging = false;
    *ms = (double)(td_clock_ns() - began) * 1e-6;
    td_session_unlock(s);
    return rc;
}

/* Not the thread of the Lua state: values that are awaited are not this one's to touch. What fails here is left for
 * the next flush and told by the next wait. */
void td_session_tick(td_session *s, int64_t now_ms) {
    td_err ignored;
    if (pthread_mutex_trylock(&s->lock) != 0) return;
    bool is_due = s->dead_since_ms && now_ms - s->dead_since_ms >= FREE_AFTER_MS;
    if (is_due && s->refused == NULL && close_batch(s, &s->refused, &s->refused_why) &&
        s->first_error.code == 0)
        s->first_error = s->refused_why;
    pump_out(s, &ignored);
    td_session_unlock(s);
}

int td_session_disconnect(td_session *s, td_err *err) {
    td_session_lock(s);
    int rc = td_session_flush(s, err);
    await_welcome(s, false);
    td_session_unlock(s);
    s->transport.reconnect(s->transport.ctx);
    return rc;
}

void td_session_end(td_session *s) {
    td_err ended, ignored;
    td_fail(&ended, TD_E_STATE, "", "the session with %s has ended", s->place.name);
    td_session_lock(s);
    if (!s->ended) send_simple(s, TD_FRAME_BYE, 0, &ignored);
    s->ended = true;
    /* sending more would begin a new session there */
    s->welcomed = s->greeting = s->pinging = false;
    td_session_fail_all(s, &ended);
    td_session_unlock(s);
}

void td_session_destroy(td_session *s) {
    s->place.refs = 1; /* what is awaited holds references of the place */
    td_session_end(s);
    /* joins the thread that may call td_session_tick */
    s->transport.close(s->transport.ctx);
    td_link_free(&s->link);
    td_writer_free(&s->frame);
    td_text_free(&s->text);
    td_known_clear(&s->known);
    td_writer_free(&s->bulk);
    td_idmap_free(&s->awaited);
    td_idmap_free(&s->explicit_ids);
    for (size_t i = 0; i < s->line_count; i++) td_free(s->lines[i]);
    td_free(s->lines);
    td_free(s->failures);
    pthread_mutex_destroy(&s->lock);
    td_free(s);
}
