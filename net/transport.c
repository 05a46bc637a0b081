/* A socket in a thread of its own. The thread alone touches ZeroMQ; callers put frames into one queue and
 * take events from another. Frames that find no connection are dropped: the link sends them again. */
#include "net/transport.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "net/address.h"
#include "net/contact.h"
#include "net/socket.h"
#include "runtime/clock.h"
#include "runtime/mem.h"

#define TICK_MS 250
#define FAREWELL_MS 250 /* for the last frames to leave */
#define FRAMES_A_TURN 64
/* Bytes that may wait for the session: twice what an honest worker sends ahead. Beyond that the socket is left
 * alone until some have been taken. */
#define WAITING_MAX ((size_t)2 * TD_WINDOW * TD_PIECE)
#define WAITING_EACH 256      /* what an entry counts for besides its frame */
#define OWN_MARK (1ull << 63) /* of pings that are sent in silence */

typedef struct outgoing {
    struct outgoing *next;
    zmq_msg_t msg;
} outgoing;

typedef struct incoming {
    struct incoming *next;
    td_event event;
    void *frame;
    size_t size;
} incoming;

typedef struct wire {
    /* shared, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    outgoing *out, **out_tail;
    incoming *in, **in_tail;
    size_t in_bytes;
    bool is_down;
    td_err why; /* it is down */
    bool closing, renew;
    td_session *session;
    /* from the HELLO that went by; for pings */
    unsigned char session_id[TD_SESSION_BYTES];
    bool has_session;

    int wake_fd;
    pthread_t thread;

    /* the thread's own */
    void *context, *socket, *monitor;
    int monitors; /* made so far: each has an address of its own */
    td_keypair key;
    char server_key[TD_KEY_TEXT];
    td_contact contact;
    int64_t heard_ms, said_ms, ticked_ms, pinged_ms;
    uint64_t pings;
    td_writer frame;
} wire;

/* ---- queues ---- */

static void wake(wire *w) {
    uint64_t one = 1;
    while (write(w->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static void drop_out(outgoing *list) {
    while (list) {
        outgoing *o = list;
        list = o->next;
        zmq_msg_close(&o->msg);
        td_free(o);
    }
}

static outgoing *take_out(wire *w) {
    outgoing *list = w->out;
    w->out = NULL;
    w->out_tail = &w->out;
    return list;
}

/* Puts an event at the end; takes frame over. An event that finds no memory is lost, as a frame might be. */
static void put_in(wire *w, td_event event, void *frame, size_t size) {
    incoming *i = td_new(incoming);
    if (i == NULL) {
        td_free(frame);
        return;
    }
    *i = (incoming){.event = event, .frame = frame, .size = size};
    pthread_mutex_lock(&w->lock);
    *w->in_tail = i;
    w->in_tail = &i->next;
    w->in_bytes += size + WAITING_EACH;
    if (event == TD_EV_UP) w->is_down = false;
    pthread_cond_signal(&w->arrived);
    pthread_mutex_unlock(&w->lock);
}

static void say_down(wire *w) {
    pthread_mutex_lock(&w->lock);
    w->is_down = true;
    w->why = w->contact.err;
    pthread_cond_signal(&w->arrived);
    pthread_mutex_unlock(&w->lock);
}

/* ---- the socket ---- */

static void close_socket(wire *w, int linger_ms) {
    if (w->socket) {
        zmq_socket_monitor(w->socket, NULL, 0);
        zmq_setsockopt(w->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(w->socket);
    }
    if (w->monitor) zmq_close(w->monitor);
    w->socket = w->monitor = NULL;
}

static int open_socket(wire *w, td_err *err) {
    char address[64];
    int linger = 0;
    w->heard_ms = w->said_ms = td_clock_ms();
    td_contact_begin(&w->contact, w->heard_ms);
    snprintf(address, sizeof address, "inproc://tide.monitor.%d", ++w->monitors);
    w->socket = zmq_socket(w->context, ZMQ_DEALER);
    w->monitor = zmq_socket(w->context, ZMQ_PAIR);
    if (w->socket == NULL || w->monitor == NULL ||
        zmq_setsockopt(w->monitor, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_socket_monitor(w->socket, address, ZMQ_EVENT_ALL) != 0 ||
        zmq_connect(w->monitor, address) != 0)
        return td_fail(err, TD_E_IO, "", "no socket: %s", zmq_strerror(zmq_errno()));
    int rc = td_socket_client(w->socket, &w->key, w->server_key, err);
    if (rc) return rc;
    if (zmq_connect(w->socket, w->contact.url) != 0)
        return td_fail(err, TD_E_ARGUMENT, "", "%s is no address to connect to: %s",
                       w->contact.url, zmq_strerror(zmq_errno()));
    return 0;
}

static void renew(wire *w) {
    close_socket(w, 0);
    if (open_socket(w, &w->contact.err)) {
        close_socket(w, 0);
        say_down(w);
    }
}

static void act(wire *w, td_contact_act what) {
    switch (what) {
    case TD_CONTACT_NOTHING: return;
    case TD_CONTACT_SAY_UP:
        w->heard_ms = w->said_ms = td_clock_ms();
        put_in(w, TD_EV_UP, NULL, 0);
        return;
    case TD_CONTACT_GIVE_UP: zmq_disconnect(w->socket, w->contact.url); /* fall through */
    case TD_CONTACT_SAY_DOWN: say_down(w); return;
    }
}

/* ---- what the thread does ---- */

static void take_monitor(wire *w) {
    unsigned char event[6], address[256];
    while (zmq_recv(w->monitor, event, sizeof event, ZMQ_DONTWAIT) == (int)sizeof event) {
        uint16_t kind;
        uint32_t value;
        zmq_recv(w->monitor, address, sizeof address, ZMQ_DONTWAIT);
        memcpy(&kind, event, sizeof kind);
        memcpy(&value, event + 2, sizeof value);
        act(w, td_contact_event(&w->contact, kind, value, td_clock_ms()));
    }
}

/* A frame for the session; answers to our own pings stay here. Copies it. */
static void take_frame(wire *w, zmq_msg_t *msg) {
    td_frame f;
    size_t size = zmq_msg_size(msg);
    if (size < 512 && td_frame_parse(zmq_msg_data(msg), size, &f, NULL) == 0) {
        if (f.type == TD_FRAME_PONG && (f.n & OWN_MARK)) return;
        if (f.type == TD_FRAME_WELCOME)
            snprintf(w->contact.name, sizeof w->contact.name, "%s", f.name);
    }
    void *copy = td_grow_bytes(NULL, size);
    if (copy == NULL) return;
    memcpy(copy, zmq_msg_data(msg), size);
    put_in(w, TD_EV_FRAME, copy, size);
}

static void take_frames(wire *w) {
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        zmq_msg_t msg;
        bool in_parts = false, more = true, some = false;
        /* one part, as workers send; several are none of ours, and thrown away */
        while (more) {
            zmq_msg_init(&msg);
            if (zmq_msg_recv(&msg, w->socket, ZMQ_DONTWAIT) < 0) {
                zmq_msg_close(&msg);
                return;
            }
            more = zmq_msg_more(&msg);
            if (!more && !in_parts) take_frame(w, &msg);
            in_parts = in_parts || more;
            some = true;
            zmq_msg_close(&msg);
        }
        if (some) w->heard_ms = td_clock_ms();
    }
}

/* Sends what is queued. What ZeroMQ does not take now goes back to the head; true when there is such. */
static bool send_queued(wire *w) {
    pthread_mutex_lock(&w->lock);
    outgoing *list = take_out(w);
    pthread_mutex_unlock(&w->lock);
    if (list == NULL) return false;
    if (w->contact.state != TD_CONTACT_UP) {
        drop_out(list);
        return false;
    }
    while (list) {
        outgoing *o = list;
        if (zmq_msg_send(&o->msg, w->socket, ZMQ_DONTWAIT) < 0) {
            if (zmq_errno() == EAGAIN) break;
            zmq_msg_close(&o->msg);
        }
        list = o->next;
        td_free(o);
        w->said_ms = td_clock_ms();
    }
    if (list == NULL) return false;
    outgoing **last = &list;
    while (*last) last = &(*last)->next;
    pthread_mutex_lock(&w->lock);
    *last = w->out;
    if (w->out == NULL) w->out_tail = last;
    w->out = list;
    pthread_mutex_unlock(&w->lock);
    return true;
}

static void ping(wire *w, const unsigned char *session) {
    td_frame f = {.type = TD_FRAME_PING, .n = OWN_MARK | ++w->pings};
    memcpy(f.session, session, sizeof f.session);
    w->frame.size = 0;
    td_frame_write(&f, &w->frame);
    if (!w->frame.failed) zmq_send(w->socket, w->frame.data, w->frame.size, ZMQ_DONTWAIT);
    w->said_ms = w->pinged_ms = td_clock_ms();
}

/* Pings in silence: they keep the session's lease, and find a worker that hangs. */
static void watch_silence(wire *w, int64_t now, const unsigned char *session) {
    if (w->contact.state != TD_CONTACT_UP) return;
    if (now - w->heard_ms > TD_PATIENCE_MS) {
        td_contact_act what = td_contact_mute(&w->contact, now);
        td_err why = w->contact.err;
        act(w, what);
        close_socket(w, 0);
        if (open_socket(w, &why))
            close_socket(w, 0); /* half a pair of sockets must not be polled */
        else
            w->contact.down = true; /* it has been said */
    } else if (now - w->said_ms > TD_SILENCE_MS || (now - w->heard_ms > TD_SILENCE_MS &&
                                                    now - w->pinged_ms > TD_SILENCE_MS)) {
        ping(w, session);
    }
}

static void tick(wire *w) {
    int64_t now = td_clock_ms();
    act(w, td_contact_tick(&w->contact, now));
    if (now - w->ticked_ms < TICK_MS) return;
    w->ticked_ms = now;
    unsigned char id[TD_SESSION_BYTES];
    pthread_mutex_lock(&w->lock);
    td_session *session = w->session;
    bool known = w->has_session;
    memcpy(id, w->session_id, sizeof id);
    pthread_mutex_unlock(&w->lock);
    if (known) watch_silence(w, now, id);
    if (session) td_session_tick(session, now);
}

static void *run(void *arg) {
    wire *w = arg;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        bool closing = w->closing, again = w->renew, full = w->in_bytes > WAITING_MAX;
        w->renew = false;
        pthread_mutex_unlock(&w->lock);
        if (again) renew(w);
        bool waiting = send_queued(w);
        if (closing) break;
        zmq_pollitem_t item[3] = {
            {.fd = w->wake_fd, .events = ZMQ_POLLIN},
            {.socket = w->monitor, .events = ZMQ_POLLIN},
            {.socket = w->socket,
             .events = (short)((full ? 0 : ZMQ_POLLIN) | (waiting ? ZMQ_POLLOUT : 0))}};
        bool unsettled = !w->contact.down && w->contact.state != TD_CONTACT_UP;
        zmq_poll(item, w->socket ? 3 : 1, unsettled ? 50 : TICK_MS);
        uint64_t count;
        if (item[0].revents && read(w->wake_fd, &count, sizeof count) < 0) count = 0;
        if (w->socket) take_monitor(w);
        if (w->socket && !full) take_frames(w);
        if (full) w->heard_ms = td_clock_ms(); /* it is we who do not listen */
        tick(w);
    }
    close_socket(w, w->contact.state == TD_CONTACT_UP ? FAREWELL_MS : 0);
    zmq_ctx_term(w->context);
    w->context = NULL;
    return NULL;
}

/* ---- what the session calls ---- */

static int wire_send(void *ctx, const void *frame, size_t n, td_err *err) {
    wire *w = ctx;
    outgoing *o = td_new(outgoing);
    if (o == NULL || zmq_msg_init_size(&o->msg, n) != 0) {
        td_free(o);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    memcpy(zmq_msg_data(&o->msg), frame, n);
    pthread_mutex_lock(&w->lock);
    td_frame f;
    if (!w->has_session && td_frame_parse(frame, n, &f, NULL) == 0) {
        memcpy(w->session_id, f.session, sizeof w->session_id);
        w->has_session = true;
    }
    bool first = w->out == NULL;
    *w->out_tail = o;
    w->out_tail = &o->next;
    pthread_mutex_unlock(&w->lock);
    if (first) wake(w);
    return 0;
}

static td_event wire_recv(void *ctx, int wait_ms, void **frame, size_t *n, td_err *err) {
    wire *w = ctx;
    td_event event = TD_EV_TIMEOUT;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += wait_ms / 1000;
    end.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&w->lock);
    while (w->in == NULL && !w->is_down && wait_ms > 0 &&
           pthread_cond_timedwait(&w->arrived, &w->lock, &end) == 0) {
    }
    incoming *i = w->in;
    if (i) {
        w->in = i->next;
        if (w->in == NULL) w->in_tail = &w->in;
        w->in_bytes -= i->size + WAITING_EACH;
        event = i->event;
        *frame = i->frame;
        *n = i->size;
    } else if (w->is_down) {
        event = TD_EV_DOWN;
        if (err) *err = w->why;
    }
    pthread_mutex_unlock(&w->lock);
    td_free(i);
    return event;
}

static void wire_reconnect(void *ctx) {
    wire *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->renew = true;
    w->is_down = false;
    pthread_mutex_unlock(&w->lock);
    wake(w);
}

static void wire_free(wire *w) {
    if (w->context) {
        close_socket(w, 0);
        zmq_ctx_term(w->context);
    }
    drop_out(w->out);
    while (w->in) {
        incoming *i = w->in;
        w->in = i->next;
        td_free(i->frame);
        td_free(i);
    }
    if (w->wake_fd >= 0) close(w->wake_fd);
    td_keypair_clear(&w->key);
    td_writer_free(&w->frame);
    pthread_cond_destroy(&w->arrived);
    pthread_mutex_destroy(&w->lock);
    td_free(w);
}

static void wire_close(void *ctx) {
    wire *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    w->session = NULL;
    pthread_mutex_unlock(&w->lock);
    wake(w);
    pthread_join(w->thread, NULL);
    wire_free(w);
}

/* ---- opening ---- */

static wire *wire_new(const td_remote *to) {
    wire *w = td_new(wire);
    if (w == NULL) return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->arrived, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&w->lock, NULL);
    w->out_tail = &w->out;
    w->in_tail = &w->in;
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->contact.timeout_ms = to->timeout_ms;
    snprintf(w->contact.name, sizeof w->contact.name, "%s", to->name);
    snprintf(w->contact.url, sizeof w->contact.url, "%s", to->url);
    snprintf(w->contact.server_key, sizeof w->contact.server_key, "%s", to->server_path);
    snprintf(w->server_key, sizeof w->server_key, "%s", to->server_key);
    return w;
}

static int start_thread(wire *w) {
    sigset_t all, before;
    sigfillset(&all);
    /* signals are for the thread that runs Lua */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int td_transport_open(const td_remote *to, td_transport *out, td_err *err) {
    if (!td_address_can_connect(to->url) ||
        strlen(to->url) >= sizeof((td_contact *)0)->url)
        return td_fail(err, TD_E_ARGUMENT, "",
                       "'%.100s' is no address such as tcp://127.0.0.1:7700", to->url);
    wire *w = wire_new(to);
    if (w == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    int rc = td_keypair_copy(&w->key, to->key, err);
    if (rc == 0 && (w->wake_fd < 0 || (w->context = zmq_ctx_new()) == NULL))
        rc = td_fail(err, TD_E_IO, "", "no socket: %s", strerror(errno));
    if (rc == 0) rc = open_socket(w, err);
    if (rc == 0) {
        int why = start_thread(w);
        if (why)
            rc = td_fail(err, TD_E_IO, "", "no thread for the connection: %s",
                         strerror(why));
    }
    if (rc) {
        wire_free(w);
        return rc;
    }
    *out = (td_transport){.ctx = w,
                          .send = wire_send,
                          .recv = wire_recv,
                          .close = wire_close,
                          .reconnect = wire_reconnect};
    return 0;
}

void td_transport_tick(const td_transport *t, td_session *session) {
    wire *w = t->ctx;
    pthread_mutex_lock(&w->lock);
    w->session = session;
    pthread_mutex_unlock(&w->lock);
}
