/* The state of a connection, driven by made-up events and a made-up clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <zmq.h>

#include "net/contact.h"

static td_contact fresh(void) {
    td_contact c = {.timeout_ms = 3000,
                    .name = "alice",
                    .url = "tcp://h:1",
                    .server_key = "alice.pub"};
    td_contact_begin(&c, 1000);
    return c;
}

static void assert_says(const td_contact *c, int code, const char *text) {
    assert_int_equal(c->err.code, code);
    assert_string_equal(c->err.msg, text);
}

static void comes_up_and_is_lost(void **state) {
    (void)state;
    td_contact c = fresh();
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_CONNECTED, 5, 1001),
                     TD_CONTACT_NOTHING);
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, 1002),
                     TD_CONTACT_SAY_UP);
    assert_int_equal(td_contact_tick(&c, 999999), TD_CONTACT_NOTHING);
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_DISCONNECTED, 5, 5000),
                     TD_CONTACT_NOTHING);
    assert_int_equal(td_contact_tick(&c, 5000 + TD_GRACE_MS - 1), TD_CONTACT_NOTHING);
    assert_int_equal(td_contact_tick(&c, 5000 + TD_GRACE_MS), TD_CONTACT_SAY_DOWN);
    assert_says(&c, TD_E_GONE, "alice is gone (connection lost)");
    assert_int_equal(td_contact_tick(&c, 9000), TD_CONTACT_NOTHING); /* said once */
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, 9500),
                     TD_CONTACT_SAY_UP);
    assert_false(c.down);
}

static void short_losses_are_mended(void **state) {
    (void)state;
    td_contact c = fresh();
    td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, 1002);
    td_contact_event(&c, ZMQ_EVENT_DISCONNECTED, 5, 2000);
    assert_int_equal(td_contact_tick(&c, 2300), TD_CONTACT_NOTHING);
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, 2400),
                     TD_CONTACT_SAY_UP);
    assert_int_equal(td_contact_tick(&c, 9000), TD_CONTACT_NOTHING);
}

static void refused_connections(void **state) {
    (void)state;
    td_contact c = fresh();
    td_contact_event(&c, ZMQ_EVENT_CONNECT_DELAYED, 115, 1001);
    td_contact_event(&c, ZMQ_EVENT_CLOSED, 5, 1001);
    td_contact_event(&c, ZMQ_EVENT_CONNECT_RETRIED, 50, 1001);
    assert_int_equal(td_contact_tick(&c, 1500),
                     TD_CONTACT_NOTHING); /* it may be starting */
    assert_int_equal(td_contact_tick(&c, 1700), TD_CONTACT_SAY_DOWN);
    assert_says(&c, TD_E_GONE, "nothing answers at tcp://h:1 (connection refused)");
}

static void silence_at_the_address(void **state) {
    (void)state;
    td_contact c = fresh();
    assert_int_equal(td_contact_tick(&c, 3999), TD_CONTACT_NOTHING);
    assert_int_equal(td_contact_tick(&c, 4000), TD_CONTACT_SAY_DOWN);
    assert_says(&c, TD_E_GONE, "nothing answers at tcp://h:1 in 3 s");
    c = fresh();
    td_contact_event(&c, ZMQ_EVENT_CONNECTED, 5, 1001);
    assert_int_equal(td_contact_tick(&c, 4000), TD_CONTACT_SAY_DOWN);
    assert_says(&c, TD_E_TIMEOUT,
                "what is at tcp://h:1 takes connections, and does not answer in 3 s");
}

static void keys_that_do_not_fit(void **state) {
    (void)state;
    td_contact c = fresh();
    td_contact_event(&c, ZMQ_EVENT_CONNECTED, 5, 1001);
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 400, 1002),
                     TD_CONTACT_GIVE_UP);
    assert_says(&c, TD_E_DENIED, "alice refused this key");
    c = fresh(); /* one hang-up may be a worker that ends; two are none */
    td_contact_event(&c, ZMQ_EVENT_CONNECTED, 5, 1001);
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0, 1002),
                     TD_CONTACT_NOTHING);
    td_contact_event(&c, ZMQ_EVENT_CONNECT_RETRIED, 50, 1003);
    assert_int_equal(td_contact_tick(&c, 1900),
                     TD_CONTACT_NOTHING); /* it is not said to be refused */
    td_contact_event(&c, ZMQ_EVENT_CONNECTED, 5, 1060);
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0, 1061),
                     TD_CONTACT_GIVE_UP);
    assert_says(&c, TD_E_DENIED, "alice's key is not that of alice.pub");
    c = fresh();
    assert_int_equal(td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                                      ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, 1002),
                     TD_CONTACT_GIVE_UP);
    assert_says(&c, TD_E_DENIED,
                "what answers at tcp://h:1 is no worker: it does not speak CURVE");
}

/* A worker that died in the middle of a handshake and then is not there is refused in time. */
static void hung_up_then_refused(void **state) {
    (void)state;
    td_contact c = fresh();
    td_contact_event(&c, ZMQ_EVENT_CONNECTED, 5, 1001);
    td_contact_event(&c, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0, 1002);
    assert_int_equal(td_contact_tick(&c, 4000), TD_CONTACT_SAY_DOWN);
    assert_int_equal(c.err.code, TD_E_GONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_up_and_is_lost), cmocka_unit_test(short_losses_are_mended),
        cmocka_unit_test(refused_connections),  cmocka_unit_test(silence_at_the_address),
        cmocka_unit_test(keys_that_do_not_fit), cmocka_unit_test(hung_up_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
