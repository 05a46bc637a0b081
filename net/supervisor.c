/* The supervisor's poll loop and what it does with each frame; see the header. */
#include "net/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/peers.h"
#include "net/sessions.h"
#include "net/socket.h"
#include "runtime/clock.h"
#include "runtime/mem.h"

#define TICK_MS 100
/* Of clients, and frames of one child, before the others have their turn. */
#define MESSAGES_A_TURN 64
#define PARTS_A_TURN 256
#define DEAD_KEPT 32
#define DEAD_FOR_MS 2000

/* A session that is not there: its client has been told, and frames of his that were under way then need
 * no further answer. */
typedef struct dead {
    const td_user *user;
    unsigned char id[TD_SESSION_BYTES];
    int64_t told_ms;
} dead;

struct td_supervisor {
    const td_worker_config *config;
    void *context, *router;
    td_admission admission;
    td_peers peers;
    td_template *template;
    td_sessions sessions;
    td_writer out;
    char endpoint[300];
    dead dead[DEAD_KEPT];
    int next_dead;
    /* parts of a multi-part message that have been thrown away so far; 0: none */
    size_t draining;
    int draining_fd;
    int64_t ticked_ms;
    zmq_pollitem_t *item; /* FIXED_ITEMS, then one for each seat */
    uint64_t *item_serial;
    int item_room;
};

enum { ITEM_ROUTER, ITEM_ADMISSION, ITEM_PEERS, ITEM_TEMPLATE, ITEM_STOP, FIXED_ITEMS };

/* ---- to clients ---- */

/* Moves msg out. A client that is gone, or takes nothing, loses it: the link sends again. */
static void send_message(td_supervisor *s, const td_route *route, zmq_msg_t *msg) {
    if (route->size &&
        zmq_send(s->router, route->bytes, route->size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
        zmq_msg_send(msg, s->router, ZMQ_DONTWAIT);
}

static void send_frame(td_supervisor *s, const td_route *route, const td_frame *f) {
    zmq_msg_t msg;
    s->out.size = 0;
    td_frame_write(f, &s->out);
    if (s->out.failed || zmq_msg_init_size(&msg, s->out.size) != 0) return;
    memcpy(zmq_msg_data(&msg), s->out.data, s->out.size);
    send_message(s, route, &msg);
    zmq_msg_close(&msg);
}

static void send_error(td_supervisor *s, const td_route *route, const unsigned char *id,
                       const td_err *err) {
    td_frame f = {.type = TD_FRAME_ERROR, .err = *err};
    memcpy(f.session, id, sizeof f.session);
    send_frame(s, route, &f);
}

/* ---- sessions that end ---- */

static dead *find_dead(td_supervisor *s, const td_user *user, const unsigned char *id) {
    for (int i = 0; i < DEAD_KEPT; i++)
        if (s->dead[i].user == user && memcmp(s->dead[i].id, id, TD_SESSION_BYTES) == 0)
            return &s->dead[i];
    return NULL;
}

/* Tells the client, once in a while, that there is no such session. */
static void tell_gone(td_supervisor *s, const td_user *user, const unsigned char *id,
                      const td_route *route, const char *why) {
    int64_t now = td_clock_ms();
    dead *d = find_dead(s, user, id);
    if (d && now - d->told_ms < DEAD_FOR_MS) return;
    if (d == NULL) {
        d = &s->dead[s->next_dead];
        s->next_dead = (s->next_dead + 1) % DEAD_KEPT;
    }
    d->user = user;
    memcpy(d->id, id, TD_SESSION_BYTES);
    d->told_ms = now;
    td_err err;
    td_fail(&err, TD_E_GONE, "", "%s", why);
    send_error(s, route, id, &err);
}

/* Ends the session now. why is for the client; NULL when he knows. */
static void end_seat(td_supervisor *s, td_seat *seat, const char *why) {
    td_template_kill(s->template, seat->serial);
    if (why) tell_gone(s, seat->user, seat->id, &seat->route, why);
    td_sessions_remove(&s->sessions, seat);
}

/* ---- from children ---- */

/* Relays what the child has to say; how it stands with the pipe afterwards. */
static td_conduit_state relay(td_supervisor *s, td_seat *seat, int most) {
    td_conduit_state state = TD_CONDUIT_LATER;
    while (most-- > 0 && seat->pipe.fd >= 0) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        state = td_conduit_recv(&seat->pipe, &msg);
        if (state == TD_CONDUIT_FRAME) send_message(s, &seat->route, &msg);
        if (state == TD_CONDUIT_PROGRESS)
            seat->asked_ms = td_conduit_is_busy(&seat->pipe) ? td_clock_ms() : 0;
        zmq_msg_close(&msg);
        if (state != TD_CONDUIT_FRAME && state != TD_CONDUIT_PROGRESS) break;
    }
    return state;
}

/* The process has let go of its pipe: it is ending. Its report says how. */
static void pipe_closed(td_supervisor *s, td_seat *seat) {
    td_template_kill(s->template, seat->serial);
    td_conduit_close(&seat->pipe);
}

static void serve_pipe(td_supervisor *s, td_seat *seat, short revents) {
    bool open = true;
    if (revents & ZMQ_POLLOUT) open = td_conduit_flush(&seat->pipe);
    if (relay(s, seat, MESSAGES_A_TURN) == TD_CONDUIT_CLOSED) open = false;
    if (!open) pipe_closed(s, seat);
}

/* False when the template is gone. */
static bool serve_reports(td_supervisor *s) {
    td_report r;
    int n;
    while ((n = td_template_report(s->template, &r)) > 0) {
        td_seat *seat = td_sessions_serial(&s->sessions, r.serial);
        if (seat == NULL) continue;
        char how[100], why[200];
        td_conduit_state state;
        do state = relay(s, seat, MESSAGES_A_TURN);
        while (state == TD_CONDUIT_FRAME || state == TD_CONDUIT_PROGRESS);
        snprintf(why, sizeof why, "the session's process %s",
                 seat->why[0] ? seat->why : td_report_text(&r, how, sizeof how));
        tell_gone(s, seat->user, seat->id, &seat->route, why);
        td_sessions_remove(&s->sessions, seat);
    }
    return n == 0;
}

/* ---- from clients ---- */

static int start_process(td_supervisor *s, td_seat *seat, td_err *err) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return td_fail(err, TD_E_IO, "", "%s has no pipe for a session: %s",
                       s->config->name, strerror(errno));
    td_conduit_open(&seat->pipe, pair[0]);
    bool taken = td_template_spawn(s->template, seat->serial, seat->id, pair[1]);
    close(pair[1]);
    return taken ? 0
                 : td_fail(err, TD_E_IO, "", "%s cannot start a session now",
                           s->config->name);
}

static td_seat *open_seat(td_supervisor *s, const td_user *user, const unsigned char *id,
                          td_err *err) {
    td_seat *silent;
    int64_t now = td_clock_ms();
    td_seat *seat = td_sessions_add(&s->sessions, user, id, now, &silent, err);
    if (seat == NULL && silent) {
        end_seat(s, silent,
                 "the session made room for a newer one: nothing had been heard of it");
        seat = td_sessions_add(&s->sessions, user, id, now, &silent, err);
    }
    if (seat && start_process(s, seat, err)) {
        td_sessions_remove(&s->sessions, seat);
        return NULL;
    }
    dead *d = find_dead(s, user, id);
    if (d) d->user = NULL;
    return seat;
}

/* Passes a client's frame on; takes msg over. */
static void forward(td_supervisor *s, td_seat *seat, zmq_msg_t *msg) {
    if (seat->pipe.fd < 0) return; /* its report is to come */
    if (seat->asked_ms == 0) seat->asked_ms = td_clock_ms();
    if (!td_conduit_send(&seat->pipe, msg)) pipe_closed(s, seat);
}

static void take_frame(td_supervisor *s, const td_user *user, const td_route *route,
                       const td_frame *f, zmq_msg_t *msg) {
    td_seat *seat = td_sessions_find(&s->sessions, user, f->session);
    if (seat) seat->heard_ms = td_clock_ms();
    td_err err;
    switch (f->type) {
    case TD_FRAME_PING: {
        td_frame pong = {.type = TD_FRAME_PONG, .n = f->n};
        memcpy(pong.session, f->session, sizeof pong.session);
        send_frame(s, route, &pong);
        return;
    }
    case TD_FRAME_HELLO:
        if (seat == NULL) seat = open_seat(s, user, f->session, &err);
        if (seat == NULL) {
            send_error(s, route, f->session, &err);
            return;
        }
        seat->route = *route;
        forward(s, seat, msg);
        return;
    case TD_FRAME_DATA:
    case TD_FRAME_ACK:
        if (seat)
            forward(s, seat, msg);
        else
            tell_gone(s, user, f->session, route,
                      "the session has ended here, and its objects are gone");
        return;
    case TD_FRAME_BYE:
        if (seat) end_seat(s, seat, NULL);
        return;
    default:
        td_fail(&err, TD_E_PROTOCOL, "", "a frame of type %d is not for a worker",
                (int)f->type);
        send_error(s, route, f->session, &err);
    }
}

/* The peer broke the grammar: he is told; if he goes on, his connection is shut down and his sessions that
 * came over it end. */
static void refuse(td_supervisor *s, const td_route *route, int fd,
                   const unsigned char *id, const td_err *err, bool multipart) {
    send_error(s, route, id, err);
    if (!td_peers_strike(&s->peers, fd, multipart)) return;
    for (int i = s->sessions.count - 1; i >= 0; i--) {
        td_seat *seat = s->sessions.seat[i];
        if (seat->route.size == route->size &&
            memcmp(seat->route.bytes, route->bytes, route->size) == 0)
            end_seat(s, seat, NULL);
    }
}

static const td_user *user_of(const td_supervisor *s, zmq_msg_t *msg) {
    const char *name = zmq_msg_gets(msg, "User-Id");
    for (int i = 0; name && i < s->config->user_count; i++)
        if (strcmp(s->config->user[i].name, name) == 0) return &s->config->user[i];
    return NULL;
}

static int fd_of(zmq_msg_t *msg) {
    const char *text = zmq_msg_gets(msg, "__fd");
    return text ? atoi(text) : -1;
}

/* Throws away parts of a multi-part message; true when there are none left. */
static bool drain(td_supervisor *s) {
    zmq_msg_t part;
    for (int i = 0; i < PARTS_A_TURN; i++) {
        zmq_msg_init(&part);
        int n = zmq_msg_recv(&part, s->router, ZMQ_DONTWAIT),
            more = n >= 0 && zmq_msg_more(&part);
        zmq_msg_close(&part);
        if (n >= 0 && more && ++s->draining % 4096 == 0) /* rather many: not by mistake */
            for (int k = 0; k < TD_PEER_MULTIPART_STRIKES; k++)
                td_peers_strike(&s->peers, s->draining_fd, true);
        if (!more) {
            s->draining = 0;
            return true;
        }
    }
    return false;
}

static void take_body(td_supervisor *s, const td_route *route, zmq_msg_t *msg) {
    td_frame f;
    td_err err;
    int fd = fd_of(msg);
    const td_user *user = user_of(s, msg);
    td_peers_delivered(&s->peers, fd);
    if (user == NULL) return; /* admission lets nobody in without a name */
    int rc = td_frame_parse(zmq_msg_data(msg), zmq_msg_size(msg), &f, &err);
    if (zmq_msg_more(msg)) {
        td_fail(&err, TD_E_PROTOCOL, "",
                "a message of several parts: one frame is a message");
        refuse(s, route, fd, f.session, &err, true);
        s->draining = 1;
        s->draining_fd = fd;
    } else if (rc) {
        refuse(s, route, fd, f.session, &err, false);
    } else {
        take_frame(s, user, route, &f, msg);
    }
}

/* Takes one message; false when none waits, or a long one is being thrown away. */
static bool take_message(td_supervisor *s) {
    td_route route;
    zmq_msg_t msg;
    if (s->draining) return drain(s);
    int n = zmq_recv(s->router, route.bytes, sizeof route.bytes, ZMQ_DONTWAIT);
    if (n < 0) return false;
    route.size = (size_t)n > sizeof route.bytes ? 0 : (size_t)n;
    zmq_msg_init(&msg);
    if (zmq_msg_recv(&msg, s->router, ZMQ_DONTWAIT) >= 0) take_body(s, &route, &msg);
    zmq_msg_close(&msg);
    return true;
}

/* ---- time ---- */

static void tick(td_supervisor *s, int64_t now) {
    char why[100];
    if (now - s->ticked_ms < TICK_MS) return;
    s->ticked_ms = now;
    td_template_tick(s->template);
    for (int i = s->sessions.count - 1; i >= 0; i--) {
        td_seat *seat = s->sessions.seat[i];
        if (now - seat->heard_ms > s->config->lease_ms) {
            snprintf(why, sizeof why,
                     "the session has ended: nothing was heard of it for %.3g s",
                     (double)s->config->lease_ms / 1000);
            end_seat(s, seat, why);
        } else if (seat->asked_ms && !seat->why[0] &&
                   now - seat->asked_ms > s->config->seconds * 1000) {
            snprintf(seat->why, sizeof seat->why,
                     "was ended: it computed for longer than %lld s",
                     (long long)s->config->seconds);
            td_template_kill(s->template, seat->serial);
        }
    }
    td_peers_look(&s->peers);
}

/* ---- the loop ---- */

static bool reserve_items(td_supervisor *s) {
    int want = FIXED_ITEMS + s->sessions.count;
    if (want <= s->item_room) return true;
    zmq_pollitem_t *item = td_grow_bytes(s->item, (size_t)want * 2 * sizeof *item);
    if (item) s->item = item;
    uint64_t *serial =
        item ? td_grow_bytes(s->item_serial, (size_t)want * 2 * sizeof *serial) : NULL;
    if (serial == NULL) return false;
    s->item_serial = serial;
    s->item_room = want * 2;
    return true;
}

static int fill_items(td_supervisor *s, int stop_fd) {
    int n = FIXED_ITEMS;
    s->item[ITEM_ROUTER] = (zmq_pollitem_t){.socket = s->router, .events = ZMQ_POLLIN};
    s->item[ITEM_ADMISSION] =
        (zmq_pollitem_t){.socket = s->admission.socket, .events = ZMQ_POLLIN};
    s->item[ITEM_PEERS] =
        (zmq_pollitem_t){.socket = s->peers.monitor, .events = ZMQ_POLLIN};
    s->item[ITEM_TEMPLATE] =
        (zmq_pollitem_t){.fd = s->template->fd, .events = ZMQ_POLLIN};
    s->item[ITEM_STOP] = (zmq_pollitem_t){.fd = stop_fd, .events = ZMQ_POLLIN};
    for (int i = 0; i < s->sessions.count; i++) {
        td_seat *seat = s->sessions.seat[i];
        if (seat->pipe.fd < 0) continue;
        short events = ZMQ_POLLIN | (td_conduit_wants_out(&seat->pipe) ? ZMQ_POLLOUT : 0);
        s->item[n] = (zmq_pollitem_t){.fd = seat->pipe.fd, .events = events};
        s->item_serial[n++] = seat->serial;
    }
    return n;
}

int td_supervisor_run(td_supervisor *s, int stop_fd, td_err *err) {
    for (;;) {
        if (!reserve_items(s))
            return td_fail(err, TD_E_MEMORY, "worker", "out of memory");
        int n = fill_items(s, stop_fd);
        bool idle = s->peers.count == 0 && s->sessions.count == 0;
        if (zmq_poll(s->item, n, idle ? 60000 : TICK_MS) < 0 && errno != EINTR)
            return td_fail(err, TD_E_IO, "worker", "polling failed: %s",
                           zmq_strerror(errno));
        if (s->item[ITEM_STOP].revents) return 0;
        if (s->item[ITEM_ADMISSION].revents) td_admission_serve(&s->admission);
        if (s->item[ITEM_PEERS].revents) td_peers_events(&s->peers);
        for (int i = FIXED_ITEMS; i < n; i++) {
            td_seat *seat = s->item[i].revents
                                ? td_sessions_serial(&s->sessions, s->item_serial[i])
                                : NULL;
            if (seat && seat->pipe.fd >= 0) serve_pipe(s, seat, s->item[i].revents);
        }
        for (int i = 0; i < MESSAGES_A_TURN && take_message(s); i++) {
        }
        if (s->item[ITEM_TEMPLATE].revents && !serve_reports(s))
            return td_fail(err, TD_E_GONE, "worker",
                           "the process that starts sessions has ended");
        tick(s, td_clock_ms());
    }
}

/* ---- opening and closing ---- */

static int open_sockets(td_supervisor *s, const td_keypair *key, td_err *err) {
    s->context = zmq_ctx_new();
    s->router = s->context ? zmq_socket(s->context, ZMQ_ROUTER) : NULL;
    if (s->router == NULL)
        return td_fail(err, TD_E_IO, "worker", "ZeroMQ does not start: %s",
                       zmq_strerror(zmq_errno()));
    int rc = td_admission_open(&s->admission, s->context, s->config->user,
                               s->config->user_count, err);
    if (rc == 0) rc = td_peers_open(&s->peers, s->context, s->router, err);
    if (rc == 0) rc = td_socket_server(s->router, key, err);
    if (rc) return rc;
    if (zmq_bind(s->router, s->config->listen) != 0) {
        int why = zmq_errno();
        return td_fail(err, TD_E_IO, "worker",
                       why == EADDRINUSE ? "%s is in use already%s"
                                         : "%s cannot be listened on: %s",
                       s->config->listen, why == EADDRINUSE ? "" : zmq_strerror(why));
    }
    size_t size = sizeof s->endpoint;
    if (zmq_getsockopt(s->router, ZMQ_LAST_ENDPOINT, s->endpoint, &size) != 0)
        snprintf(s->endpoint, sizeof s->endpoint, "%s", s->config->listen);
    return 0;
}

td_supervisor *td_supervisor_open(const td_worker_config *config, const td_keypair *key,
                                  td_template *template, td_err *err) {
    td_supervisor *s = td_new(td_supervisor);
    if (s == NULL) {
        td_fail(err, TD_E_MEMORY, "worker", "out of memory");
        return NULL;
    }
    s->config = s->sessions.config = config;
    s->template = template;
    if (open_sockets(s, key, err)) td_supervisor_close(&s);
    return s;
}

const char *td_supervisor_endpoint(const td_supervisor *s) { return s->endpoint; }

void td_supervisor_close(td_supervisor **sp) {
    td_supervisor *s = *sp;
    *sp = NULL;
    if (s == NULL) return;
    td_sessions_clear(&s->sessions);
    if (s->router) {
        zmq_socket_monitor(s->router, NULL, 0);
        zmq_close(s->router);
    }
    td_peers_close(&s->peers);
    td_admission_close(&s->admission);
    if (s->context) zmq_ctx_term(s->context);
    td_writer_free(&s->out);
    td_free(s->item);
    td_free(s->item_serial);
    td_free(s);
}
