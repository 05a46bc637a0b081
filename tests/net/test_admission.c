/* Who comes in: the listed keys alone, under the names of the configuration. */
#include "tests/net/rig.h"

static int start(void **state) {
    int rc = rig_make(state);
    if (rc == 0) rig_start(*state);
    return rc;
}

static void listed_key(void **state) {
    raw_peer p;
    raw_open(&p, *state, &((rig *)*state)->carol);
    assert_true(raw_ping(&p, 1, 3000));
    raw_close(&p);
}

static void unlisted_key(void **state) {
    raw_peer p;
    raw_open(&p, *state, &((rig *)*state)->eve);
    assert_false(raw_ping(&p, 1, 700));
    raw_close(&p);
}

/* Eve shows carol's public key, and has not the secret one. */
static void stolen_public_key(void **state) {
    const rig *r = *state;
    td_keypair mixed = {.secret_key = r->eve.secret_key};
    memcpy(mixed.public_key, r->carol.public_key, TD_KEY_TEXT);
    raw_peer p;
    raw_open(&p, r, &mixed);
    assert_false(raw_ping(&p, 1, 700));
    raw_close(&p);
}

static void no_mechanism(void **state) {
    raw_peer p;
    raw_open(&p, *state, NULL);
    assert_false(raw_ping(&p, 1, 700));
    raw_close(&p);
}

static void plain_mechanism(void **state) {
    const rig *r = *state;
    raw_peer p = {.context = zmq_ctx_new()};
    int zero = 0;
    p.socket = zmq_socket(p.context, ZMQ_DEALER);
    zmq_setsockopt(p.socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(p.socket, ZMQ_PLAIN_USERNAME, "carol", 5);
    zmq_setsockopt(p.socket, ZMQ_PLAIN_PASSWORD, "carol", 5);
    zmq_connect(p.socket, r->url);
    assert_false(raw_ping(&p, 1, 700));
    raw_close(&p);
}

static void ask(void *socket, const char *domain, const char *mechanism, const void *key,
                size_t key_bytes) {
    const char *const texts[] = {"1.0", "7", domain, "127.0.0.1", "", mechanism};
    for (int i = 0; i < 6; i++) zmq_send(socket, texts[i], strlen(texts[i]), ZMQ_SNDMORE);
    zmq_send(socket, key, key_bytes, 0);
}

/* The handler alone, asked in every wrong way: it answers with 400 and no name. */
static void requests_of_all_kinds(void **state) {
    const rig *r = *state;
    td_admission a;
    td_err err;
    unsigned char key[32], other[32];
    void *context = zmq_ctx_new(), *asker = zmq_socket(context, ZMQ_REQ);
    assert_int_equal(td_admission_open(&a, context, r->user, 2, &err), 0);
    assert_int_equal(zmq_connect(asker, "inproc://zeromq.zap.01"), 0);
    zmq_z85_decode(key, r->dave.public_key);
    zmq_z85_decode(other, r->eve.public_key);
    const struct {
        const char *domain, *mechanism;
        const void *key;
        size_t key_bytes;
        const char *status, *user;
    } cases[] = {
        {TD_ZAP_DOMAIN, "CURVE", key, 32, "200", "dave"},
        {TD_ZAP_DOMAIN, "CURVE", other, 32, "400", ""},
        {"", "CURVE", key, 32, "400", ""},
        {"other", "CURVE", key, 32, "400", ""},
        {TD_ZAP_DOMAIN, "NULL", key, 32, "400", ""},
        {TD_ZAP_DOMAIN, "PLAIN", "dave", 4, "400", ""},
        {TD_ZAP_DOMAIN, "CURVE", key, 31, "400", ""},
        {TD_ZAP_DOMAIN, "CURVE", "", 0, "400", ""},
        {TD_ZAP_DOMAIN, "CURVE", r->dave.public_key, 40, "400", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(asker, cases[i].domain, cases[i].mechanism, cases[i].key, cases[i].key_bytes);
        zmq_pollitem_t item = {.socket = a.socket, .events = ZMQ_POLLIN};
        assert_int_equal(zmq_poll(&item, 1, 1000), 1);
        td_admission_serve(&a);
        char part[6][64];
        memset(part, 0, sizeof part);
        for (int k = 0; k < 6; k++) assert_true(zmq_recv(asker, part[k], 63, 0) >= 0);
        assert_string_equal(part[0], "1.0");
        assert_string_equal(part[1], "7");
        assert_string_equal(part[2], cases[i].status);
        assert_string_equal(part[4], cases[i].user);
    }
    assert_int_equal(a.admitted, 1);
    assert_int_equal(a.refused, 8);
    td_admission_close(&a);
    zmq_close(asker);
    zmq_ctx_term(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_key),        cmocka_unit_test(unlisted_key),
        cmocka_unit_test(stolen_public_key), cmocka_unit_test(no_mechanism),
        cmocka_unit_test(plain_mechanism),   cmocka_unit_test(requests_of_all_kinds),
    };
    return cmocka_run_group_tests(tests, start, rig_free);
}
