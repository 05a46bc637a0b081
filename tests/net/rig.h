/* What the tests of the wire share: a worker process with keys and users of its own, clients with sessions,
 * and raw peers that send whatever they like. Everything stays on 127.0.0.1. */
#ifndef TD_TESTS_NET_RIG_H
#define TD_TESTS_NET_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "net/transport.h"
#include "net/worker.h"
#include "runtime/clock.h"
#include "runtime/mem.h"
#include "vm/apply.h"

/* ZeroMQ is not built for the thread sanitizer, which takes its locks for none. */
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "called_from_lib:libzmq.so\ncalled_from_lib:libsodium.so\nrace:libzmq.so\n";
}
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "die_after_fork=0"; }
#endif

typedef struct rig {
    char folder[64], url[128];
    td_worker_config config;          /* change it before rig_start */
    td_user user[2];                  /* carol and dave */
    td_keypair bob, carol, dave, eve; /* eve is not listed */
    pid_t pid;                        /* of the worker; 0: none runs */
} rig;

static inline void rig_key(const rig *r, const char *name, td_keypair *k) {
    char path[128];
    td_err err = {0};
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    td_keys_new(path, &err);
    snprintf(path, sizeof path, "%s/%s.key", r->folder, name);
    assert_int_equal(td_keys_load_secret(path, k, &err), 0);
}

static inline int rig_make(void **state) {
    rig *r = td_new(rig);
    snprintf(r->folder, sizeof r->folder, "/tmp/tide-rig.XXXXXX");
    if (mkdtemp(r->folder) == NULL) return -1;
    rig_key(r, "bob", &r->bob);
    rig_key(r, "carol", &r->carol);
    rig_key(r, "dave", &r->dave);
    rig_key(r, "eve", &r->eve);
    snprintf(r->user[0].name, sizeof r->user[0].name, "carol");
    snprintf(r->user[1].name, sizeof r->user[1].name, "dave");
    memcpy(r->user[0].public_key, r->carol.public_key, TD_KEY_TEXT);
    memcpy(r->user[1].public_key, r->dave.public_key, TD_KEY_TEXT);
    r->config = (td_worker_config){.user = r->user,
                                   .user_count = 2,
                                   .memory_bytes = 1 << 30,
                                   .letter_bytes = 1 << 30,
                                   .seconds = 60,
                                   .sessions = 8,
                                   .user_sessions = 7,
                                   .lease_ms = 60000};
    snprintf(r->config.name, sizeof r->config.name, "bob");
    snprintf(r->config.listen, sizeof r->config.listen, "tcp://127.0.0.1:*");
    snprintf(r->config.key_path, sizeof r->config.key_path, "%s/bob.key", r->folder);
    *state = r;
    return 0;
}

/* Starts the worker in delay_ms; the descriptor gives the line that says it is ready. */
static inline int rig_fork(rig *r, int delay_ms) {
    int out[2];
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    r->pid = fork();
    if (r->pid == 0) {
        td_err err = {0};
        close(out[0]);
        usleep((useconds_t)delay_ms * 1000);
        FILE *ready = fdopen(out[1], "w");
        int rc = td_worker_run(&r->config, ready, &err);
        if (rc) fprintf(stderr, "worker: %s\n", err.msg);
        fclose(ready);
        exit(rc ? 1 : 0); /* and not _exit: so that a leak is found */
    }
    close(out[1]);
    return out[0];
}

/* Starts the worker and waits until it says that it is ready. */
static inline void rig_start(rig *r) {
    char line[300] = "";
    FILE *in = fdopen(rig_fork(r, 0), "r");
    assert_non_null(fgets(line, sizeof line, in));
    fclose(in);
    const char *url = strstr(line, "tcp://");
    assert_non_null(url);
    snprintf(r->url, sizeof r->url, "%.*s", (int)strcspn(url, "\n"), url);
}

/* Ends the worker; its exit status, or -signal. */
static inline int rig_stop(rig *r, int sig) {
    int status = 0;
    if (r->pid == 0) return 0;
    kill(r->pid, sig);
    waitpid(r->pid, &status, 0);
    r->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int rig_free(void **state) {
    rig *r = *state;
    char command[128];
    rig_stop(r, SIGKILL);
    td_keypair_clear(&r->bob);
    td_keypair_clear(&r->carol);
    td_keypair_clear(&r->dave);
    td_keypair_clear(&r->eve);
    snprintf(command, sizeof command, "rm -rf %s", r->folder);
    int rc = system(command);
    td_free(r);
    return rc;
}

/* ---- processes ---- */

/* The children of a process, up to most of them. */
static inline int children_of(pid_t parent, pid_t *out, int most) {
    int n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; (e = readdir(d));) {
        char path[300], line[400] = "";
        snprintf(path, sizeof path, "/proc/%.20s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (f == NULL) continue;
        const char *text = fgets(line, sizeof line, f);
        const char *tail = text ? strrchr(text, ')') : NULL;
        char kind = 0;
        int up = 0;
        if (tail && sscanf(tail + 1, " %c %d", &kind, &up) == 2 && up == parent &&
            kind != 'Z' && n < most)
            out[n++] = (pid_t)atoi(e->d_name);
        fclose(f);
    }
    closedir(d);
    return n;
}

/* Does the process run? A dead one that nobody has waited for does not. */
static inline bool is_running(pid_t pid) {
    char path[64], line[400] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return false;
    const char *tail = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    fclose(f);
    return tail && tail[1] == ' ' && tail[2] != 'Z' && tail[2] != 'X';
}

/* The processes of the worker's sessions: its grandchildren. */
static inline int sessions_of(const rig *r, pid_t *out, int most) {
    pid_t template = 0;
    return children_of(r->pid, &template, 1) == 1 ? children_of(template, out, most) : 0;
}

/* Waits until there are that many. */
static inline bool wait_for_sessions(const rig *r, int want, int ms) {
    pid_t pid[32] = {0};
    for (int64_t end = td_clock_ms() + ms; td_clock_ms() < end; usleep(5000))
        if (sessions_of(r, pid, 32) == want) return true;
    return false;
}

/* Sanitizers keep freed memory for a while, and shadows of all of it: figures mean nothing then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RIG_MEASURES_MEMORY 0
#elif defined(__has_feature)
#define RIG_MEASURES_MEMORY                                                              \
    (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define RIG_MEASURES_MEMORY 1
#endif

/* A figure of /proc/PID/status in bytes: "VmRSS", "VmHWM". */
static inline size_t memory_of(pid_t pid, const char *what) {
    char path[64], line[200];
    size_t kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, what, strlen(what)) == 0)
            kb = (size_t)atol(line + strlen(what) + 1);
    fclose(f);
    return kb * 1024;
}

/* ---- clients with a session ---- */

static inline td_session *session_connect(const rig *r, const td_keypair *key,
                                          td_err *err) {
    td_remote to = {.url = r->url,
                    .name = "bob",
                    .server_path = "bob.pub",
                    .server_key = r->bob.public_key,
                    .key = key,
                    .timeout_ms = 3000};
    td_transport t;
    memset(err, 0, sizeof *err);
    if (td_transport_open(&to, &t, err)) return NULL;
    td_session *s = td_session_new("bob", &t, NULL, err);
    if (s == NULL) return NULL;
    td_transport_tick(&t, s);
    if (td_session_open(s, 4000, err) == 0) return s;
    td_place *p = td_session_place(s);
    td_session_end(s);
    td_place_unref(&p);
    return NULL;
}

static inline void session_close(td_session *s) {
    td_place *p = td_session_place(s);
    td_session_end(s);
    td_place_unref(&p);
}

/* A tensor n x n, all of value v, at the worker. */
static inline td_val *put_square(td_session *s, int64_t n, double v, td_err *err) {
    td_shape shape = {.ndim = 2, .dim = {n, n}};
    td_tensor *x = td_tensor_new(TD_F32, &shape, err);
    td_obj *obj = NULL;
    for (int64_t i = 0; i < n * n; i++) ((float *)td_tensor_data(x))[i] = (float)v;
    int rc = td_session_send(s, x, 0, NULL, &obj, err);
    td_meta meta = {.dtype = TD_F32, .shape = shape};
    td_tensor_unref(&x);
    return rc ? NULL : td_val_away(obj, &meta, err);
}

static inline td_val *apply2(const char *name, td_val *a, td_val *b, td_err *err) {
    td_val *in[2] = {a, b}, *out = NULL;
    return td_apply(td_op_find(name), in, 2, NULL, &out, err) ? NULL : out;
}

/* The first element of the value, fetched. Fails the test on an error unless err is looked at: gives NaN. */
static inline double fetch(td_session *s, td_val *v, td_err *err) {
    td_coming *c = NULL;
    double x = 0.0 / 0.0;
    memset(err, 0, sizeof *err);
    if (td_session_get(s, v->obj, false, &c, err)) return x;
    if (td_session_place(s)->ops->wait(td_session_place(s), c, err) == 0) {
        if (c->err.code)
            *err = c->err;
        else
            x = td_load_f64(c->t->dtype, td_tensor_data(c->t));
    }
    td_coming_unref(&c);
    return x;
}

/* ---- raw peers ---- */

typedef struct raw_peer {
    void *context, *socket;
    unsigned char bytes[8192];
    td_frame frame; /* the last one received; points into bytes */
} raw_peer;

static inline void raw_open(raw_peer *p, const rig *r, const td_keypair *key) {
    int zero = 0;
    p->context = zmq_ctx_new();
    p->socket = zmq_socket(p->context, ZMQ_DEALER);
    zmq_setsockopt(p->socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(p->socket, ZMQ_SNDHWM, &zero, sizeof zero);
    if (key) {
        zmq_setsockopt(p->socket, ZMQ_CURVE_SERVERKEY, r->bob.public_key, TD_KEY_TEXT);
        zmq_setsockopt(p->socket, ZMQ_CURVE_PUBLICKEY, key->public_key, TD_KEY_TEXT);
        zmq_setsockopt(p->socket, ZMQ_CURVE_SECRETKEY, key->secret_key, TD_KEY_TEXT);
    }
    assert_int_equal(zmq_connect(p->socket, r->url), 0);
}

static inline void raw_close(raw_peer *p) {
    zmq_close(p->socket);
    zmq_ctx_term(p->context);
}

static inline td_frame raw_frame(td_frame_type type, unsigned char session) {
    td_frame f = {.type = type};
    memset(f.session, session, sizeof f.session);
    if (type == TD_FRAME_HELLO) f.ack = 1;
    return f;
}

static inline void raw_send(raw_peer *p, const td_frame *f) {
    td_writer w = {0};
    td_frame_write(f, &w);
    assert_true(zmq_send(p->socket, w.data, w.size, 0) >= 0);
    td_writer_free(&w);
}

/* Waits for a frame; 0 when none comes in time. */
static inline int raw_recv(raw_peer *p, int ms) {
    td_err err;
    zmq_pollitem_t item = {.socket = p->socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, ms) <= 0) return 0;
    int n = zmq_recv(p->socket, p->bytes, sizeof p->bytes, 0);
    if (n <= 0 || n > (int)sizeof p->bytes ||
        td_frame_parse(p->bytes, (size_t)n, &p->frame, &err))
        return 0;
    return (int)p->frame.type;
}

static inline void raw_hello(raw_peer *p, unsigned char session) {
    td_frame f = raw_frame(TD_FRAME_HELLO, session);
    raw_send(p, &f);
    assert_int_equal(raw_recv(p, 3000), TD_FRAME_WELCOME);
}

/* Does the worker still answer him? */
static inline bool raw_ping(raw_peer *p, unsigned char session, int ms) {
    td_frame f = raw_frame(TD_FRAME_PING, session);
    f.n = 77;
    raw_send(p, &f);
    int64_t end = td_clock_ms() + ms;
    while (td_clock_ms() < end)
        if (raw_recv(p, (int)(end - td_clock_ms()) + 1) == TD_FRAME_PONG &&
            p->frame.n == 77)
            return true;
    return false;
}

#endif
