/* An admitted peer that sends what no client would: he is told, he is dropped when he goes on, and nobody else
 * notices. */
#include "tests/net/rig.h"

static uint64_t draw(uint64_t *x) { /* splitmix64 */
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Waits for an error frame; its text, or "" when none comes. */
static const char *next_error(raw_peer *p, int ms) {
    for (int64_t end = td_clock_ms() + ms; td_clock_ms() < end;)
        if (raw_recv(p, 50) == TD_FRAME_ERROR) return p->frame.err.msg;
    return "";
}

static void frames_that_are_none(void **state) {
    rig *r = *state;
    raw_peer p;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_hello(&p, 1);
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        {"", 0, "a frame does not begin with a map"},
        {"\xff", 1, "a frame does not begin with a map"},
        {"\x80", 1, "version 0 of the protocol, this is version 1"},
        {"\x81\xa1v\x09", 4, "version 9 of the protocol, this is version 1"},
        {"\x82\xa1v\x01\xa1t\x05", 7, "a frame names no session"},
        {"\x83\xa1v\x01", 4, "a frame's key is not one small letter"},
        {"\xdf\xff\xff\xff\xff", 5, "a frame does not begin with a map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zmq_send(p.socket, cases[i].bytes, cases[i].n, 0);
        assert_string_equal(next_error(&p, 2000), cases[i].message);
        assert_int_equal(p.frame.err.code, TD_E_PROTOCOL);
    }
    td_frame f = raw_frame(TD_FRAME_WELCOME, 1);
    raw_send(&p, &f);
    assert_string_equal(next_error(&p, 2000), "a frame of type 2 is not for a worker");
    assert_true(raw_ping(&p, 1, 1000)); /* the connection and the session live on */
    assert_true(wait_for_sessions(r, 1, 100));
    raw_close(&p);
}

static void one_who_goes_on_is_dropped(void **state) {
    rig *r = *state;
    raw_peer p, other;
    uint64_t seed = 1;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_open(&other, r, &r->dave);
    raw_hello(&p, 1);
    raw_hello(&other, 2);
    for (int i = 0; i < 2000; i++) {
        unsigned char noise[200];
        size_t n = draw(&seed) % sizeof noise;
        for (size_t k = 0; k < n; k++) noise[k] = (unsigned char)draw(&seed);
        zmq_send(p.socket, noise, n, ZMQ_DONTWAIT);
    }
    assert_true(wait_for_sessions(r, 1, 3000)); /* carol's is gone */
    assert_true(raw_ping(&other, 2, 1000));
    raw_close(&p);
    raw_close(&other);
}

/* Frames that parse, and are wrong for a link: the child refuses them, and lives. */
static void frames_that_break_the_link(void **state) {
    rig *r = *state;
    raw_peer p;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_hello(&p, 1);
    td_frame f = raw_frame(TD_FRAME_ACK, 1);
    f.ack = 1000;
    raw_send(&p, &f);
    assert_string_equal(next_error(&p, 2000), "frame 999 is acknowledged, 0 were sent");
    f = raw_frame(TD_FRAME_DATA, 1);
    f.n = 1;
    f.ack = 1;
    f.first = true;
    f.kind = 1;
    f.size = (uint64_t)1 << 60;
    f.head = 1;
    raw_send(&p, &f);
    assert_non_null(
        strstr(next_error(&p, 2000), "a letter of 1152921504606846976 bytes, at most"));
    assert_int_equal(p.frame.err.code, TD_E_LIMIT);
    assert_true(wait_for_sessions(r, 1, 100));
    raw_close(&p);
}

static void truncated_and_flipped_frames(void **state) {
    rig *r = *state;
    raw_peer p, other;
    uint64_t seed = 7;
    td_writer w = {0};
    rig_start(r);
    raw_open(&other, r, &r->dave);
    raw_hello(&other, 2);
    td_frame f = raw_frame(TD_FRAME_DATA, 1);
    unsigned char piece[64] = {0};
    f.n = f.ack = f.size = f.head = 1;
    f.first = true;
    f.kind = 1;
    f.payload = piece;
    f.payload_bytes = 1;
    td_frame_write(&f, &w);
    for (int round = 0; round < 12;
         round++) { /* he comes back each time that he is dropped */
        raw_open(&p, r, &r->carol);
        raw_hello(&p, 1);
        for (int i = 0; i < 100; i++) {
            unsigned char copy[512];
            memcpy(copy, w.data, w.size);
            size_t n = i % 2 ? draw(&seed) % w.size : w.size;
            for (uint64_t flips = draw(&seed) % 4; flips > 0; flips--)
                copy[draw(&seed) % w.size] ^= (unsigned char)(1u << (draw(&seed) % 8));
            zmq_send(p.socket, copy, n, ZMQ_DONTWAIT);
        }
        usleep(30000);
        raw_close(&p);
    }
    assert_true(raw_ping(&other, 2, 2000));
    td_writer_free(&w);
    raw_close(&other);
}

static void several_parts(void **state) {
    rig *r = *state;
    raw_peer p, other;
    td_writer w = {0};
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_open(&other, r, &r->dave);
    raw_hello(&p, 1);
    raw_hello(&other, 2);
    td_frame f = raw_frame(TD_FRAME_PING, 1);
    td_frame_write(&f, &w);
    for (int i = 0; i < 2; i++) {
        zmq_send(p.socket, w.data, w.size, ZMQ_SNDMORE);
        for (int k = 0; k < 1000; k++) zmq_send(p.socket, "x", 1, ZMQ_SNDMORE);
        zmq_send(p.socket, "x", 1, 0);
        assert_string_equal(next_error(&p, 2000),
                            "a message of several parts: one frame is a message");
        assert_true(raw_ping(&p, 1, 2000)); /* once may be a mistake */
    }
    for (int i = 0; i < 6; i++) {
        zmq_send(p.socket, w.data, w.size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
        zmq_send(p.socket, "x", 1, ZMQ_DONTWAIT);
    }
    assert_true(
        wait_for_sessions(r, 1, 2000)); /* he has gone on: his session is dropped */
    assert_true(raw_ping(&other, 2, 1000));
    td_writer_free(&w);
    raw_close(&p);
    raw_close(&other);
}

static void keep(void *data, void *hint) { (void)data, (void)hint; }

/* A message of 512 parts of 1 MiB: ZeroMQ would give it to the program only when all of it is there. */
static void bomb_of_parts(void **state) {
    rig *r = *state;
    raw_peer p, other;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_open(&other, r, &r->dave);
    raw_hello(&p, 1);
    raw_hello(&other, 2);
    unsigned char *part = td_new_bytes(TD_PIECE);
    for (int i = 0; i < 512; i++) {
        zmq_msg_t m;
        zmq_msg_init_data(&m, part, TD_PIECE, keep, NULL);
        zmq_msg_send(&m, p.socket, i < 511 ? ZMQ_SNDMORE : 0);
    }
    for (int i = 0; i < 40; i++) {
        assert_true(raw_ping(&other, 2, 2000));
        usleep(100000);
    }
    if (RIG_MEASURES_MEMORY) assert_true(memory_of(r->pid, "VmHWM:") < (size_t)128 << 20);
    raw_close(&p);
    raw_close(&other);
    td_free(part);
}

static void frame_that_is_too_large(void **state) {
    rig *r = *state;
    raw_peer p, other;
    rig_start(r);
    raw_open(&p, r, &r->carol);
    raw_open(&other, r, &r->dave);
    raw_hello(&p, 1);
    size_t n = TD_FRAME_MAX + 1;
    unsigned char *big = td_new_bytes(n);
    zmq_send(p.socket, big, n, 0);
    td_free(big);
    assert_true(raw_ping(&other, 2, 2000));
    raw_close(&p);
    raw_close(&other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(frames_that_are_none),
        TEST(one_who_goes_on_is_dropped),
        TEST(frames_that_break_the_link),
        TEST(truncated_and_flipped_frames),
        TEST(several_parts),
        TEST(bomb_of_parts),
        TEST(frame_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
