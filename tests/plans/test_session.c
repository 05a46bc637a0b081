/* A client's session at its edges: questions that are given up, batches that are too large, words that come twice. */
#include "runtime/scratch.h"
#include "tests/plans/host_rig.h"

#include "plans/session/virtual.h"

static bool impatient;
static bool is_interrupted(void) { return impatient; }

static td_val *put(td_session *s, int n, td_err *err) {
    const td_shape shape = {1, {n}};
    td_tensor *t = td_tensor_new(TD_F32, &shape, err);
    for (int i = 0; i < n; i++) ((float *)td_tensor_data(t))[i] = (float)i;
    td_obj *obj = NULL;
    int rc = td_session_send(s, t, 0, NULL, &obj, err);
    td_tensor_unref(&t);
    return rc ? NULL : td_val_away(obj, &(td_meta){.dtype = TD_F32, .shape = shape}, err);
}

static void end(td_session *s) {
    td_place *place = td_session_place(s);
    td_session_end(s);
    td_place_unref(&place);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

/* Ctrl-C ends the wait for an answer. When it comes after all it is thrown away, and what came with it is not. */
static void question_given_up(void **state) {
    (void)state;
    td_err err = {0};
    td_transport t;
    td_session_hooks hooks = {.interrupted = is_interrupted};
    assert_int_equal(td_virtual_new("bob", &t, &err), 0);
    td_session *s = td_session_new("bob", &t, &hooks, &err);
    td_val *p = put(s, 3, &err);
    td_about *list;
    td_coming *c = NULL;
    int count;
    assert_int_equal(td_session_get(s, p->obj, false, &c, &err), 0);
    impatient =
        true; /* nobody has said hello yet, so the answer cannot be there at once */
    assert_int_equal(td_session_objects(s, &list, &count, &err), TD_E_INTERRUPTED);
    assert_string_equal(err.msg, "interrupted while waiting for bob");
    assert_null(list);
    impatient = false;
    assert_int_equal(td_session_wait(s, &err), 0);
    assert_true(c->done && c->t);
    assert_true(((float *)td_tensor_data(c->t))[2] == 2);
    assert_int_equal(td_session_objects(s, &list, &count, &err), 0);
    assert_int_equal(count, 1);
    td_free(list);
    td_coming_unref(&c);
    td_val_unref(&p);
    end(s);
}

/* A worker that says what it is told to, and notes what comes. */
typedef struct puppet {
    td_frame say[4];
    int count, said, heard[TD_FRAME_ERROR + 1];
    unsigned char session[TD_SESSION_BYTES];
} puppet;

static int puppet_send(void *ctx, const void *frame, size_t n, td_err *err) {
    puppet *p = ctx;
    td_frame f;
    assert_int_equal(td_frame_parse(frame, n, &f, err), 0);
    memcpy(p->session, f.session, TD_SESSION_BYTES);
    p->heard[f.type]++;
    return 0;
}

static td_event puppet_recv(void *ctx, int wait_ms, void **frame, size_t *n,
                            td_err *err) {
    puppet *p = ctx;
    (void)wait_ms;
    if (p->said == 0) {
        p->said = 1;
        return TD_EV_UP;
    }
    if (p->said > p->count) {
        td_fail(err, TD_E_TIMEOUT, "", "the puppet says no more");
        return TD_EV_DOWN;
    }
    td_writer w = {0};
    td_frame f = p->say[p->said++ - 1];
    memcpy(f.session, p->session, TD_SESSION_BYTES);
    td_frame_write(&f, &w);
    *frame = w.data;
    *n = w.size;
    return TD_EV_FRAME;
}

static void puppet_close(void *ctx) { (void)ctx; }

static td_session *speak_to(puppet *p) {
    td_err err;
    td_transport t = {p, puppet_send, puppet_recv, puppet_close, puppet_close};
    td_session *s = td_session_new("bob", &t, NULL, &err);
    assert_non_null(s);
    return s;
}

static td_frame welcome(uint64_t mark, uint64_t largest) {
    td_frame f = {.type = TD_FRAME_WELCOME, .host = mark, .ack = 1, .size = largest};
    snprintf(f.name, sizeof f.name, "bob");
    return f;
}

/* It is refused here, before it is sent: the link never gets stuck with a letter that nobody takes. */
static void batch_too_large(void **state) {
    (void)state;
    td_err err = {0};
    puppet p = {.say = {welcome(5, 1000)}, .count = 1};
    td_session *s = speak_to(&p);
    td_coming *c = NULL;
    assert_int_equal(td_session_open(s, 1000, &err), 0);
    td_val *big = put(s, 1000, &err);
    assert_int_equal(td_session_get(s, big->obj, false, &c, &err), 0);
    assert_int_equal(td_session_flush(s, &err), TD_E_LIMIT);
    assert_non_null(strstr(err.msg, "a batch of 40"));
    assert_non_null(strstr(err.msg, " bytes, bob takes at most 1000"));
    assert_true(c->done &&
                c->err.code == TD_E_LIMIT); /* nobody waits for what was not sent */
    assert_int_equal(p.heard[TD_FRAME_DATA], 0);
    td_val *small = put(s, 3, &err);
    assert_int_equal(td_session_flush(s, &err), 0);
    assert_int_equal(p.heard[TD_FRAME_DATA], 1);
    td_coming_unref(&c);
    td_val_unref(&big);
    td_val_unref(&small);
    end(s);
}

/* A second welcome of the same host changes nothing; one of another host means that all is gone. */
static void welcome_twice(void **state) {
    (void)state;
    td_err err = {0};
    puppet p = {.say = {welcome(5, 0), welcome(5, 0), welcome(6, 0)}, .count = 3};
    td_session *s = speak_to(&p);
    td_coming *c = NULL;
    assert_int_equal(td_session_open(s, 1000, &err), 0);
    td_val *x = put(s, 3, &err);
    assert_int_equal(td_session_get(s, x->obj, false, &c, &err), 0);
    assert_int_equal(td_session_wait(s, &err), TD_E_GONE);
    assert_string_equal(err.msg, "bob has begun anew; what was there is gone");
    assert_int_equal(p.said, 4); /* the second welcome was no reason */
    assert_true(c->done && c->err.code == TD_E_GONE);
    assert_int_equal(p.heard[TD_FRAME_DATA], 1);
    td_coming_unref(&c);
    td_val_unref(&x);
    end(s);
}

static void welcome_without_mark(void **state) {
    (void)state;
    td_err err = {0};
    puppet p = {.say = {welcome(0, 0)}, .count = 1};
    td_session *s = speak_to(&p);
    assert_int_equal(td_session_open(s, 1000, &err), TD_E_PROTOCOL);
    assert_string_equal(err.msg, "a worker's welcome bears no mark");
    end(s);
}

/* What waits when the worker refuses something fails; its reply, should it come, is passed over. */
static void reply_to_a_batch_given_up(void **state) {
    (void)state;
    static const unsigned char nothing[] = {
        1, 0, 0, 0}; /* batch 1: no refusal, no failures, no answers */
    td_err err = {0};
    puppet p = {.say = {welcome(5, 0),
                        {.type = TD_FRAME_ERROR},
                        {.type = TD_FRAME_DATA, .n = 1, .ack = 2}},
                .count = 3};
    td_fail(&p.say[1].err, TD_E_LIMIT, "", "too much of it");
    p.say[2].first = true;
    p.say[2].kind = TD_LETTER_REPLY;
    p.say[2].size = p.say[2].head = p.say[2].payload_bytes = sizeof nothing;
    p.say[2].payload = nothing;
    td_session *s = speak_to(&p);
    assert_int_equal(td_session_open(s, 1000, &err), 0);
    td_val *x = put(s, 3, &err);
    assert_int_equal(td_session_wait(s, &err), TD_E_LIMIT);
    td_val *y = put(s, 3, &err);
    assert_int_equal(td_session_wait(s, &err),
                     TD_E_TIMEOUT); /* the puppet's, and no PROTOCOL before it */
    td_val_unref(&x);
    td_val_unref(&y);
    end(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(question_given_up),
        cmocka_unit_test(batch_too_large),
        cmocka_unit_test(welcome_twice),
        cmocka_unit_test(welcome_without_mark),
        cmocka_unit_test(reply_to_a_batch_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
