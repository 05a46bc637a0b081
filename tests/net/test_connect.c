/* What a client is told when a connection cannot be: the error, and how soon. */
#include "tests/net/rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

static int start(void **state) {
    int rc = rig_make(state);
    if (rc == 0) rig_start(*state);
    return rc;
}

/* Connecting must fail, within ms. */
static void connect_in_vain(const td_remote *to, int ms, td_err *err) {
    td_transport t;
    int64_t before = td_clock_ms();
    memset(err, 0, sizeof *err);
    if (td_transport_open(to, &t, err) == 0) {
        void *frame;
        size_t n;
        assert_int_equal(t.recv(t.ctx, to->timeout_ms + 2000, &frame, &n, err),
                         TD_EV_DOWN);
        assert_int_equal(t.recv(t.ctx, 1000, &frame, &n, err),
                         TD_EV_DOWN); /* and again, at once */
        t.close(t.ctx);
    }
    assert_true(td_clock_ms() - before < ms);
}

static void assert_fails(const td_remote *to, int code, const char *message, int ms) {
    td_err err;
    connect_in_vain(to, ms, &err);
    assert_string_equal(err.msg, message);
    assert_int_equal(err.code, code);
}

static td_remote to_bob(const rig *r) {
    return (td_remote){.url = r->url,
                       .name = "bob",
                       .server_path = "bob.pub",
                       .server_key = r->bob.public_key,
                       .key = &r->carol,
                       .timeout_ms = 3000};
}

static void key_that_is_refused(void **state) {
    rig *r = *state;
    td_remote to = to_bob(r);
    to.key = &r->eve;
    assert_fails(&to, TD_E_DENIED, "bob refused this key", 1000);
}

static void key_of_another_worker(void **state) {
    rig *r = *state;
    td_remote to = to_bob(r);
    to.server_key = r->dave.public_key;
    assert_fails(&to, TD_E_DENIED, "bob's key is not that of bob.pub", 1000);
}

static void bad_addresses(void **state) {
    rig *r = *state;
    static const char *const urls[] = {"",
                                       "bob",
                                       "tcp://127.0.0.1",
                                       "tcp://*:7700",
                                       "http://127.0.0.1:80",
                                       "tcp://127.0.0.1:99999"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char want[200];
        td_remote to = to_bob(r);
        to.url = urls[i];
        snprintf(want, sizeof want, "'%s' is no address such as tcp://127.0.0.1:7700",
                 urls[i]);
        assert_fails(&to, TD_E_ARGUMENT, want, 500);
    }
}

/* ---- what else may listen there ---- */

typedef struct listener {
    int fd;
    const char *says; /* to whoever connects; NULL: nothing */
    pthread_t thread;
    char url[64];
} listener;

static void *answer(void *arg) {
    listener *l = arg;
    int kept[64], n = 0;
    for (int fd; n < 64 && (fd = accept(l->fd, NULL, NULL)) >= 0;) {
        kept[n++] = fd;
        if (l->says && send(fd, l->says, strlen(l->says), MSG_NOSIGNAL) < 0) break;
    }
    while (n > 0) close(kept[--n]);
    return NULL;
}

static void listen_there(listener *l, const char *says) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    l->says = says;
    assert_int_equal(bind(l->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(l->fd, (struct sockaddr *)&a, &size), 0);
    snprintf(l->url, sizeof l->url, "tcp://127.0.0.1:%d", ntohs(a.sin_port));
    if (says == NULL || says[0]) {
        assert_int_equal(listen(l->fd, 16), 0);
        assert_int_equal(pthread_create(&l->thread, NULL, answer, l), 0);
    }
}

static void stop_listening(listener *l) {
    shutdown(l->fd, SHUT_RDWR);
    if (l->says == NULL || l->says[0]) pthread_join(l->thread, NULL);
    close(l->fd);
}

static void nobody_listens(void **state) {
    td_remote to = to_bob(*state);
    listener l;
    char want[200];
    listen_there(&l,
                 ""); /* bound, so that nobody else takes the port, and not listening */
    to.url = l.url;
    snprintf(want, sizeof want, "nothing answers at %s (connection refused)", l.url);
    assert_fails(&to, TD_E_GONE, want, 1000);
    stop_listening(&l);
}

static void one_who_says_nothing(void **state) {
    td_remote to = to_bob(*state);
    listener l;
    char want[200];
    listen_there(&l, NULL);
    to.url = l.url;
    to.timeout_ms = 600;
    snprintf(want, sizeof want,
             "what is at %s takes connections, and does not answer in 0.6 s", l.url);
    assert_fails(&to, TD_E_TIMEOUT, want, 1500);
    stop_listening(&l);
}

static void a_web_server(void **state) {
    td_remote to = to_bob(*state);
    listener l;
    char want[200];
    listen_there(
        &l, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            "<html><body>this is no worker, and it has a lot to say</body></html>");
    to.url = l.url;
    snprintf(want, sizeof want,
             "what answers at %s is no worker: it does not speak CURVE", l.url);
    assert_fails(&to, TD_E_DENIED, want, 3500);
    stop_listening(&l);
}

/* Who hangs up first is chance: the other end may be gone before its greeting is read. */
static void a_socket_without_keys(void **state) {
    td_remote to = to_bob(*state);
    td_err err;
    void *context = zmq_ctx_new(), *router = zmq_socket(context, ZMQ_ROUTER);
    char url[64], want[200];
    size_t size = sizeof url;
    assert_int_equal(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, url, &size);
    to.url = url;
    snprintf(want, sizeof want,
             "what answers at %s is no worker: it does not speak CURVE", url);
    connect_in_vain(&to, 1000, &err);
    assert_int_equal(err.code, TD_E_DENIED);
    if (strcmp(err.msg, want) != 0)
        assert_string_equal(err.msg, "bob's key is not that of bob.pub");
    zmq_close(router);
    zmq_ctx_term(context);
}

static void a_worker_that_starts_late(void **state) {
    rig *r = *state;
    td_err err;
    snprintf(r->config.listen, sizeof r->config.listen, "%s", r->url);
    rig_stop(r, SIGTERM);
    int ready = rig_fork(r, 200); /* within the grace time */
    td_session *s = session_connect(r, &r->carol, &err);
    assert_string_equal(err.msg, "");
    assert_non_null(s);
    session_close(s);
    close(ready);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_that_is_refused),
        cmocka_unit_test(key_of_another_worker),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(one_who_says_nothing),
        cmocka_unit_test(a_web_server),
        cmocka_unit_test(a_socket_without_keys),
        cmocka_unit_test(a_worker_that_starts_late),
    };
    return cmocka_run_group_tests(tests, start, rig_free);
}
