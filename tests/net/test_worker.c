/* A worker's processes under all that clients and the world do to them: each test has a worker of its own. */
#include "tests/net/rig.h"

static void assert_near(double x, double want) {
    assert_true(x > want - 1e-6 && x < want + 1e-6);
}

static void computes(void **state) {
    rig *r = *state;
    td_err err;
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    assert_non_null(s);
    td_val *p = put_square(s, 4, 1.5, &err), *q = apply2("add", p, p, &err);
    assert_near(fetch(s, q, &err), 3.0);
    td_val_unref(&p);
    td_val_unref(&q);
    session_close(s);
    assert_true(wait_for_sessions(r, 0, 2000)); /* the farewell has ended its process */
}

static void ends_in_order(void **state) {
    rig *r = *state;
    td_err err;
    pid_t pid[4] = {0};
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    assert_non_null(s);
    assert_int_equal(sessions_of(r, pid, 4), 1);
    int64_t before = td_clock_ms();
    assert_int_equal(rig_stop(r, SIGTERM), 0);
    assert_true(td_clock_ms() - before < 1000);
    assert_false(is_running(pid[0]));
    session_close(s);
}

static void two_clients(void **state) {
    rig *r = *state;
    td_err err;
    td_about *list = NULL;
    int count = -1;
    rig_start(r);
    td_session *a = session_connect(r, &r->carol, &err),
               *b = session_connect(r, &r->dave, &err);
    assert_non_null(a);
    assert_non_null(b);
    assert_true(wait_for_sessions(r, 2, 1000)); /* a process each */
    td_val *p = put_square(a, 3, 1, &err), *q = put_square(b, 3, 2, &err),
           *sum = apply2("add", q, q, &err);
    assert_int_equal(td_session_objects(a, &list, &count, &err), 0);
    assert_int_equal(count, 1);
    td_free(list);
    assert_int_equal(td_session_objects(b, &list, &count, &err), 0);
    assert_int_equal(count, 2);
    td_free(list);
    assert_near(fetch(b, sum, &err), 4);
    assert_near(fetch(a, p, &err), 1);
    td_val_unref(&p);
    td_val_unref(&q);
    td_val_unref(&sum);
    session_close(a);
    session_close(b);
}

/* The same 16 bytes of two users are two sessions. */
static void session_names_are_the_users(void **state) {
    rig *r = *state;
    raw_peer carol, dave;
    rig_start(r);
    raw_open(&carol, r, &r->carol);
    raw_open(&dave, r, &r->dave);
    td_frame f = raw_frame(TD_FRAME_DATA, 9);
    raw_hello(&carol, 9);
    assert_true(carol.frame.fresh);
    raw_send(&dave, &f); /* to carol's session, which is not there for him */
    assert_int_equal(raw_recv(&dave, 2000), TD_FRAME_ERROR);
    assert_int_equal(dave.frame.err.code, TD_E_GONE);
    assert_string_equal(dave.frame.err.msg,
                        "the session has ended here, and its objects are gone");
    f = raw_frame(TD_FRAME_BYE, 9);
    raw_send(&dave, &f);
    raw_hello(&dave, 9);
    assert_true(dave.frame.fresh);
    assert_true(wait_for_sessions(r, 2, 1000));
    raw_close(&carol);
    raw_close(&dave);
}

static void killed_child(void **state) {
    rig *r = *state;
    td_err err;
    pid_t pid[4] = {0};
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err),
               *other = session_connect(r, &r->dave, &err);
    td_val *q = put_square(other, 2, 5, &err);
    assert_near(fetch(other, q, &err), 5);
    session_close(other);
    assert_true(wait_for_sessions(r, 1, 2000));
    td_val *p = put_square(s, 2, 1, &err);
    assert_near(fetch(s, p, &err), 1);
    assert_int_equal(sessions_of(r, pid, 4), 1);
    kill(pid[0], SIGKILL);
    int64_t before = td_clock_ms();
    fetch(s, p, &err);
    assert_int_equal(err.code, TD_E_GONE);
    assert_string_equal(err.msg, "bob: the session's process was killed (signal 9)");
    assert_true(td_clock_ms() - before < 1000);
    td_val_unref(&p);
    td_val_unref(&q);
    p = put_square(s, 2, 7, &err); /* and the session begins anew by itself */
    assert_near(fetch(s, p, &err), 7);
    td_val_unref(&p);
    session_close(s);
}

static void killed_worker(void **state) {
    rig *r = *state;
    td_err err;
    pid_t pid[4], template = 0;
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    td_val *p = put_square(s, 2, 1, &err);
    assert_near(fetch(s, p, &err), 1);
    assert_int_equal(sessions_of(r, pid, 4), 1);
    assert_int_equal(children_of(r->pid, &template, 1), 1);
    rig_stop(r, SIGKILL);
    int64_t before = td_clock_ms();
    fetch(s, p, &err);
    assert_int_equal(err.code, TD_E_GONE);
    assert_string_equal(err.msg, "bob is gone (connection lost)");
    assert_true(td_clock_ms() - before < 1000);
    fetch(s, p, &err); /* and again, at once */
    assert_int_equal(err.code, TD_E_GONE);
    for (int i = 0; i < 200 && (is_running(pid[0]) || is_running(template)); i++)
        usleep(5000);
    assert_false(is_running(pid[0])); /* nothing outlives the supervisor */
    assert_false(is_running(template));
    td_val_unref(&p);
    session_close(s);
}

static void stopped_and_started_again(void **state) {
    rig *r = *state;
    td_err err;
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    td_val *p = put_square(s, 2, 1, &err);
    assert_near(fetch(s, p, &err), 1);
    snprintf(r->config.listen, sizeof r->config.listen, "%s", r->url);
    assert_int_equal(rig_stop(r, SIGTERM), 0);
    rig_start(r);
    for (int i = 0; i < 100;
         i++) { /* the connection comes back by itself, and says that all is new */
        fetch(s, p, &err);
        if (strstr(err.msg, "begun anew")) break;
        usleep(20000);
    }
    assert_string_equal(err.msg, "bob has begun anew; what was there is gone");
    td_val_unref(&p);
    p = put_square(s, 2, 3, &err);
    assert_near(fetch(s, p, &err), 3);
    td_val_unref(&p);
    session_close(s);
}

static void reconnect_keeps_objects(void **state) {
    rig *r = *state;
    td_err err;
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    td_val *p = put_square(s, 2, 4, &err);
    assert_near(fetch(s, p, &err), 4);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(td_session_disconnect(s, &err), 0);
        td_val *q = apply2("add", p, p, &err);
        assert_near(fetch(s, q, &err), 8);
        td_val_unref(&q);
    }
    assert_true(wait_for_sessions(r, 1, 100));
    td_val_unref(&p);
    session_close(s);
}

/* Something long, and pings meanwhile. */
static void ping_while_computing(void **state) {
    rig *r = *state;
    td_err err;
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    td_val *p = put_square(s, 1200, 1e-3, &err);
    for (int i = 0; i < 12; i++) {
        td_val *q = apply2("matmul", p, p, &err);
        assert_non_null(q);
        td_val_unref(&p);
        p = q;
    }
    td_coming *c = NULL;
    assert_int_equal(td_session_get(s, p->obj, false, &c, &err), 0);
    assert_int_equal(td_session_flush(s, &err), 0);
    double least = 1e9, ms;
    int pings = 0;
    while (!c->done && pings < 20) {
        assert_int_equal(td_session_ping(s, &ms, &err), 0);
        if (!c->done) pings++;
        if (ms < least) least = ms;
    }
    assert_true(pings >= 3);
    assert_true(least < 5);
    td_coming_unref(&c);
    td_val_unref(&p);
    session_close(s);
}

static void too_long_a_computation(void **state) {
    rig *r = *state;
    td_err err;
    r->config.seconds = 1;
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    td_val *p = put_square(s, 1000, 1e-3, &err);
    for (int i = 0; i < 400; i++) {
        td_val *q = apply2("matmul", p, p, &err);
        td_val_unref(&p);
        p = q;
    }
    int64_t before = td_clock_ms();
    fetch(s, p, &err);
    assert_string_equal(
        err.msg, "bob: the session's process was ended: it computed for longer than 1 s");
    assert_true(td_clock_ms() - before < 10000);
    td_val_unref(&p);
    session_close(s);
}

/* ---- what a raw peer asks ---- */

static void put_op(td_writer *w, const char *name, uint64_t input) {
    td_put_byte(w, TD_REC_OP);
    td_put_uint(w, 0);
    td_put_text(w, name);
    if (input) td_put_uint(w, input);
}

static void put_sizes(td_writer *w, int64_t size) {
    td_put_byte(w, 1);
    td_put_int(w, size);
}

/* The sum of so many elements, which are one. Takes three ids. */
static void put_sum(td_writer *w, uint64_t id, int64_t elements) {
    put_op(w, "full", 0);
    put_sizes(w, 1);
    td_put_f64(w, 1);
    td_put_int(w, TD_F32);
    td_put_uint(w, id);
    put_op(w, "expand", id);
    put_sizes(w, elements);
    td_put_uint(w, id + 1);
    put_op(w, "sum", id + 1);
    td_put_byte(w, 0);
    td_put_int(w, 0);
    td_put_uint(w, id + 2);
}

#define ENDLESS ((int64_t)1 << 40)
#define SHORT ((int64_t)1 << 27) /* a good part of a second at most */

/* A batch as a letter of one frame, with nothing but that sum. */
static void raw_batch(raw_peer *p, unsigned char session, uint64_t number,
                      int64_t elements) {
    td_writer w = {0};
    td_put_uint(&w, number);
    put_sum(&w, 3 * number, elements);
    td_frame f = raw_frame(TD_FRAME_DATA, session);
    f.n = number;
    f.ack = 1;
    f.first = true;
    f.kind = TD_LETTER_BATCH;
    f.size = f.head = f.payload_bytes = w.size;
    f.payload = w.data;
    raw_send(p, &f);
    td_writer_free(&w);
}

/* The answer to a quick batch does not stop the clock of the one that is behind it. */
static void too_long_behind_a_quick_one(void **state) {
    rig *r = *state;
    raw_peer p;
    r->config.seconds = 1;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_hello(&p, 1);
    raw_batch(&p, 1, 1, SHORT);
    raw_batch(&p, 1, 2, ENDLESS);
    assert_true(wait_for_sessions(r, 0, 5000));
    raw_close(&p);
}

/* However fast sessions come and go: a process that computes ends with its session. */
static void farewells_in_a_flood(void **state) {
    rig *r = *state;
    raw_peer p;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_hello(&p, 1);
    raw_batch(&p, 1, 1, ENDLESS);
    usleep(100000);
    for (int i = 0; i < 2000; i++) {
        td_frame hello = raw_frame(TD_FRAME_HELLO, 2), bye = raw_frame(TD_FRAME_BYE, 2);
        raw_send(&p, &hello);
        raw_send(&p, &bye);
        td_frame last = raw_frame(TD_FRAME_BYE, 1);
        if (i == 1000) raw_send(&p, &last);
    }
    assert_true(wait_for_sessions(r, 0, 30000));
    raw_close(&p);
}

#if RIG_MEASURES_MEMORY
/* Ids cost nothing to send, and a lot to keep: a session's process has a roof for all that it holds. */
static void batch_of_ids(void **state) {
    rig *r = *state;
    raw_peer p;
    pid_t pid = 0;
    td_writer w = {0};
    r->config.memory_bytes = 16 << 20;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_hello(&p, 1);
    assert_int_equal(sessions_of(r, &pid, 1), 1);
    td_put_uint(&w, 1);
    for (uint64_t id = 1 << 21; w.size < (size_t)15 << 20; id++) {
        td_put_byte(&w, TD_REC_FREE);
        td_put_uint(&w, id);
    }
    td_frame f = raw_frame(TD_FRAME_DATA, 1);
    for (size_t at = 0; at < w.size; at += TD_PIECE) {
        f.n++;
        f.ack = 1;
        f.first = at == 0;
        f.kind = TD_LETTER_BATCH;
        f.size = f.head = w.size;
        f.payload = w.data + at;
        f.payload_bytes = w.size - at < TD_PIECE ? w.size - at : TD_PIECE;
        raw_send(&p, &f);
    }
    td_writer_free(&w);
    int type;
    do type = raw_recv(&p, 20000);
    while (type == TD_FRAME_ACK);
    assert_int_equal(type, TD_FRAME_DATA);
    td_reader reply = {.data = p.frame.payload, .size = p.frame.payload_bytes};
    td_err refusal;
    assert_int_equal(td_take_uint(&reply), 1);
    assert_int_equal(td_take_byte(&reply), 1);
    td_take_err(&reply, &refusal);
    assert_int_equal(refusal.code, TD_E_MEMORY);
    assert_true(memory_of(pid, "VmHWM:") < (size_t)400 << 20);
    raw_close(&p);
}
#endif

static void out_of_memory(void **state) {
    rig *r = *state;
    td_err err;
    r->config.memory_bytes = 16 << 20;
    r->config.letter_bytes = 16 << 20;
    rig_start(r);
    td_session *s = session_connect(r, &r->carol, &err);
    td_val *p = put_square(s, 1000, 1, &err), *sum[8];
    for (int i = 0; i < 8; i++) sum[i] = apply2("add", p, p, &err);
    fetch(s, sum[7], &err);
    assert_int_equal(err.code, TD_E_MEMORY);
    for (int i = 0; i < 8; i++) td_val_unref(&sum[i]);
    td_err first;
    td_session_wait(s, &first);
    assert_near(fetch(s, p, &err), 1); /* it is still there */
    td_val_unref(&p);
    session_close(s);
}

static void lease(void **state) {
    rig *r = *state;
    raw_peer p;
    r->config.lease_ms = 500;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_hello(&p, 3);
    for (int i = 0; i < 8; i++) { /* pings keep it */
        usleep(100000);
        assert_true(raw_ping(&p, 3, 1000));
    }
    assert_true(wait_for_sessions(r, 1, 100));
    assert_true(wait_for_sessions(r, 0, 2000));
    assert_int_equal(raw_recv(&p, 1000), TD_FRAME_ERROR);
    assert_int_equal(p.frame.err.code, TD_E_GONE);
    assert_string_equal(p.frame.err.msg,
                        "the session has ended: nothing was heard of it for 0.5 s");
    raw_hello(&p, 3);
    assert_true(p.frame.fresh);
    raw_close(&p);
}

static void limits_of_sessions(void **state) {
    rig *r = *state;
    raw_peer carol, dave;
    r->config.sessions = 3;
    r->config.user_sessions = 2;
    rig_start(r);
    raw_open(&carol, r, &r->carol);
    raw_open(&dave, r, &r->dave);
    raw_hello(&carol, 1);
    raw_hello(&carol, 2);
    td_frame f = raw_frame(TD_FRAME_HELLO, 3);
    raw_send(&carol, &f);
    assert_int_equal(raw_recv(&carol, 1000), TD_FRAME_ERROR);
    assert_int_equal(carol.frame.err.code, TD_E_LIMIT);
    assert_string_equal(carol.frame.err.msg,
                        "carol has 2 sessions at bob already, at most 2 go");
    raw_hello(&dave, 3);
    f = raw_frame(TD_FRAME_HELLO, 4);
    raw_send(&dave, &f);
    assert_int_equal(raw_recv(&dave, 1000), TD_FRAME_ERROR);
    assert_string_equal(dave.frame.err.msg, "bob has 3 sessions already, at most 3 go");
    f = raw_frame(TD_FRAME_BYE, 1);
    raw_send(&carol, &f);
    assert_true(wait_for_sessions(r, 2, 1000));
    raw_hello(&dave, 4);
    raw_close(&carol);
    raw_close(&dave);
}

/* A child that reads nothing: the supervisor holds a window of frames for it and no more. */
static void backpressure(void **state) {
    rig *r = *state;
    raw_peer p, other;
    pid_t child = 0;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_open(&other, r, &r->dave);
    raw_hello(&p, 1);
    assert_int_equal(sessions_of(r, &child, 1), 1);
    kill(child, SIGSTOP);
    size_t before = memory_of(r->pid, "VmRSS:");
    unsigned char *piece = td_new_bytes(TD_PIECE);
    memset(piece, 1, TD_PIECE);
    for (int i = 0; i < 200; i++) {
        td_frame f = raw_frame(TD_FRAME_DATA, 1);
        f.n = (uint64_t)i + 1;
        f.ack = 1;
        f.payload = piece;
        f.payload_bytes = TD_PIECE;
        raw_send(&p, &f);
    }
    assert_true(raw_ping(&p, 1, 10000)); /* behind all of them */
    assert_true(raw_ping(&other, 1, 1000));
    if (RIG_MEASURES_MEMORY)
        assert_true(memory_of(r->pid, "VmRSS:") - before < (size_t)(TD_WINDOW + 40)
                                                               << 20);
    kill(child, SIGCONT);
    td_free(piece);
    raw_close(&p);
    raw_close(&other);
}

static void template_killed(void **state) {
    rig *r = *state;
    pid_t template = 0;
    int status;
    rig_start(r);
    assert_int_equal(children_of(r->pid, &template, 1), 1);
    fprintf(stderr, "(a line from the worker follows)\n");
    kill(template, SIGKILL);
    waitpid(r->pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    r->pid = 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(computes),
        TEST(ends_in_order),
        TEST(two_clients),
        TEST(session_names_are_the_users),
        TEST(killed_child),
        TEST(killed_worker),
        TEST(stopped_and_started_again),
        TEST(reconnect_keeps_objects),
        TEST(ping_while_computing),
        TEST(too_long_a_computation),
        TEST(too_long_behind_a_quick_one),
        TEST(farewells_in_a_flood),
#if RIG_MEASURES_MEMORY
        TEST(batch_of_ids),
#endif
        TEST(out_of_memory),
        TEST(lease),
        TEST(limits_of_sessions),
        TEST(backpressure),
        TEST(template_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
