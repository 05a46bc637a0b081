/* The timer that sends frees: it works beside the thread of the Lua state, and what goes wrong in it is not lost. */
#include "runtime/scratch.h"
#include "tests/plans/host_rig.h"

#include "plans/session/client.h"

/* A transport that calls a host which takes letters of up to a megabyte. */
typedef struct line {
    td_host_config config;
    td_host *host;
    bool up_said;
} line;

static int line_send(void *ctx, const void *frame, size_t n, td_err *err) {
    line *l = ctx;
    td_frame f;
    if (l->host == NULL && td_frame_parse(frame, n, &f, err) == 0)
        l->host = td_host_new(&l->config, f.session, err);
    return td_host_frame(l->host, frame, n, 0, err);
}

static td_event line_recv(void *ctx, int wait_ms, void **frame, size_t *n, td_err *err) {
    line *l = ctx;
    td_writer out = {0};
    (void)wait_ms, (void)err;
    if (!l->up_said) {
        l->up_said = true;
        return TD_EV_UP;
    }
    if (!td_host_next(l->host, 0, &out)) return TD_EV_TIMEOUT;
    *frame = out.data;
    *n = out.size;
    return TD_EV_FRAME;
}

static void line_close(void *ctx) { td_host_free(&((line *)ctx)->host); }
static void line_reconnect(void *ctx) { ((line *)ctx)->up_said = false; }

static line bob = {
    .config = {
        .name = "bob", .mark = 7, .max_letter_bytes = 1 << 20, .max_objects = 100}};

static td_session *connect_bob(void) {
    td_err err = {0};
    td_transport t = {.ctx = &bob,
                      .send = line_send,
                      .recv = line_recv,
                      .close = line_close,
                      .reconnect = line_reconnect};
    bob.up_said = false;
    td_session *s = td_session_new("bob", &t, NULL, &err);
    assert_non_null(s);
    assert_int_equal(td_session_open(s, 1000, &err), 0);
    return s;
}

static td_obj *send_floats(td_session *s, int64_t count) {
    td_err err = {0};
    td_obj *obj = NULL;
    td_tensor *x = td_tensor_new(TD_F32, &(td_shape){1, {count}}, &err);
    assert_int_equal(td_session_send(s, x, 0, NULL, &obj, &err), 0);
    td_tensor_unref(&x);
    return obj;
}

static void end(td_session *s) {
    td_place *p = td_session_place(s);
    td_place_unref(&p);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

static void sends_frees_after_a_while(void **state) {
    (void)state;
    td_err err = {0};
    td_session *s = connect_bob();
    td_obj *obj = send_floats(s, 4);
    assert_int_equal(td_session_wait(s, &err), 0);
    assert_int_equal(td_host_object_count(bob.host), 1);
    td_obj_unref(&obj);
    td_session_tick(s, 0);
    assert_int_equal(td_host_object_count(bob.host), 1);
    td_session_tick(s, INT64_MAX);
    assert_int_equal(td_host_object_count(bob.host), 0);
    end(s);
}

static void tells_what_it_could_not_send(void **state) {
    (void)state;
    td_err err = {0};
    td_session *s = connect_bob();
    td_obj *large = send_floats(s, 1 << 19), *small = send_floats(s, 4);
    td_coming *c = NULL;
    assert_int_equal(td_session_get(s, large, false, &c, &err), 0);
    td_obj_unref(&small);
    td_session_tick(s, INT64_MAX);
    assert_false(c->done); /* that is for the thread that looks at it */
    assert_int_equal(td_session_wait(s, &err), TD_E_LIMIT);
    assert_non_null(strstr(err.msg, "bob takes at most 1048576"));
    assert_true(c->done);
    assert_int_equal(c->err.code, TD_E_LIMIT);
    td_coming_unref(&c);
    large->gone = true; /* it never arrived */
    td_obj_unref(&large);
    assert_int_equal(td_session_wait(s, &err), 0); /* told once */
    end(s);
}

static void what_it_could_not_send_ends_with_the_session(void **state) {
    (void)state;
    td_session *s = connect_bob();
    td_obj *large = send_floats(s, 1 << 19), *small = send_floats(s, 4);
    td_obj_unref(&small);
    td_session_tick(s, INT64_MAX);
    td_obj_unref(&large);
    end(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_frees_after_a_while),
        cmocka_unit_test(tells_what_it_could_not_send),
        cmocka_unit_test(what_it_could_not_send_ends_with_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
