/* The golden messages of tests/wire/, which another encoder made from docs/wire.md: each must be read as what it
 * is, and what is written must be the same octets. */
#include "tests/plans/host_rig.h"

static void no_plan(td_frame *f) { (void)f; }
static void hello_new(td_frame *f) { f->ack = 1; }
static void hello_resume(td_frame *f) {
    f->host = 0x1122334455667788;
    f->ack = 300;
}
static void welcome_new(td_frame *f) {
    f->host = 0x1122334455667788;
    f->ack = 1;
    f->fresh = true;
    f->size = (uint64_t)2 << 30;
    snprintf(f->name, sizeof f->name, "bob");
}
static void welcome_resumed(td_frame *f) {
    f->host = 77;
    f->ack = 129;
    f->size = 1 << 20;
    snprintf(f->name, sizeof f->name, "bob");
}
static void payload(td_frame *f, const char *text) {
    f->payload = (const unsigned char *)text;
    f->payload_bytes = strlen(text);
}
static void data_first(td_frame *f) {
    f->n = 5;
    f->ack = 9;
    f->first = true;
    f->kind = TD_LETTER_BATCH;
    f->size = 20;
    f->head = 11;
    payload(f, "abcdefgh");
}
static void data_next(td_frame *f) {
    f->host = 77;
    f->n = 6;
    f->ack = 9;
    payload(f, "ijk");
}
static void data_empty(td_frame *f) {
    f->n = 70000;
    f->ack = 128;
    f->first = true;
    f->kind = TD_LETTER_REPLY;
}
static void ack(td_frame *f) {
    f->host = 77;
    f->ack = 127;
}
static void ack_resend(td_frame *f) {
    f->ack = (uint64_t)1 << 40;
    f->resend = true;
}
static void ping(td_frame *f) { f->n = 42; }
static void error_gone(td_frame *f) {
    f->err.code = TD_E_GONE;
    snprintf(f->err.msg, sizeof f->err.msg,
             "the session's process was killed by signal 9");
}
static void error_long(td_frame *f) {
    f->err.code = TD_E_INDEX;
    snprintf(f->err.call, sizeof f->err.call, "select");
    memset(f->err.msg, 'm', 300);
    memset(f->err.hint, 'h', 40);
}

static const struct {
    const char *name;
    td_frame_type type;
    void (*fill)(td_frame *f);
} frames[] = {
    {"hello-new", TD_FRAME_HELLO, hello_new},
    {"hello-resume", TD_FRAME_HELLO, hello_resume},
    {"welcome-new", TD_FRAME_WELCOME, welcome_new},
    {"welcome-resumed", TD_FRAME_WELCOME, welcome_resumed},
    {"data-first", TD_FRAME_DATA, data_first},
    {"data-next", TD_FRAME_DATA, data_next},
    {"data-empty", TD_FRAME_DATA, data_empty},
    {"ack", TD_FRAME_ACK, ack},
    {"ack-resend", TD_FRAME_ACK, ack_resend},
    {"ping", TD_FRAME_PING, ping},
    {"pong", TD_FRAME_PONG, ping},
    {"bye", TD_FRAME_BYE, no_plan},
    {"error-gone", TD_FRAME_ERROR, error_gone},
    {"error-long", TD_FRAME_ERROR, error_long},
};
_Static_assert(TD_FRAME_ERROR == 8, "a new type of frame wants its golden message");

static void assert_frame(const char *name, const td_frame *f, const td_frame *want) {
    print_message("  %s\n", name);
    assert_int_equal(f->type, want->type);
    assert_memory_equal(f->session, want->session, TD_SESSION_BYTES);
    assert_true(f->n == want->n && f->ack == want->ack);
    assert_true(f->resend == want->resend && f->fresh == want->fresh &&
                f->first == want->first);
    assert_int_equal(f->kind, want->kind);
    assert_true(f->size == want->size && f->head == want->head);
    assert_string_equal(f->name, want->name);
    assert_int_equal(f->err.code, want->err.code);
    assert_string_equal(f->err.call, want->err.call);
    assert_string_equal(f->err.msg, want->err.msg);
    assert_string_equal(f->err.hint, want->err.hint);
    assert_int_equal(f->payload_bytes, want->payload_bytes);
    if (f->payload_bytes)
        assert_memory_equal(f->payload, want->payload, f->payload_bytes);
}

static void golden_frames(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        td_frame want = {.type = frames[i].type}, f;
        td_err err = {0};
        td_writer w = {0};
        size_t n;
        memcpy(want.session, rig_session, TD_SESSION_BYTES);
        frames[i].fill(&want);
        unsigned char *bytes = golden(frames[i].name, &n);
        if (td_frame_parse(bytes, n, &f, &err))
            fail_msg("%s: %s", frames[i].name, err.msg);
        assert_frame(frames[i].name, &f, &want);
        td_frame_write(&want, &w);
        assert_same_bytes(frames[i].name, w.data, w.size, bytes, n);
        td_writer_free(&w);
        td_free(bytes);
    }
}

static void greet(td_host *h) {
    td_err err = {0};
    td_frame hello = {.type = TD_FRAME_HELLO};
    td_writer w = {0};
    memcpy(hello.session, rig_session, TD_SESSION_BYTES);
    td_frame_write(&hello, &w);
    assert_int_equal(td_host_frame(h, w.data, w.size, 0, &err), 0);
    assert_true(td_host_next(h, 0, &w)); /* its welcome */
    td_writer_free(&w);
}

/* A batch from the file goes to a host; what the host answers is the reply in the other file. */
static void golden_exchanges(void **state) {
    (void)state;
    static const char *const names[] = {"values", "failures", "refused", "lists"};
    for (size_t i = 0; i < 4; i++) {
        char name[40];
        size_t n, wanted;
        td_err err = {0};
        td_writer w = {0};
        host_rig r;
        rig_open(&r);
        snprintf(name, sizeof name, "%s-batch", names[i]);
        unsigned char *batch = golden(name, &n);
        snprintf(name, sizeof name, "%s-reply", names[i]);
        unsigned char *reply = golden(name, &wanted);
        greet(r.host);
        if (td_host_frame(r.host, batch, n, 0, &err))
            fail_msg("%s: %s", names[i], err.msg);
        assert_true(td_host_next(r.host, 0, &w));
        assert_same_bytes(name, w.data, w.size, reply, wanted);
        assert_false(td_host_next(r.host, 0, &w));
        td_free(batch);
        td_free(reply);
        td_writer_free(&w);
        rig_close(&r);
    }
}

/* A text that is brought, and then named with other bindings. */
static void golden_texts(void **state) {
    (void)state;
    host_rig r;
    td_writer w = {0};
    rig_open(&r);
    greet(r.host);
    for (int i = 0; i < 3; i++) {
        char name[40];
        size_t n;
        td_err err = {0};
        snprintf(name, sizeof name, "values-as-text-%d-batch", i);
        unsigned char *bytes = golden(name, &n);
        if (td_host_frame(r.host, bytes, n, 0, &err)) fail_msg("%s: %s", name, err.msg);
        td_free(bytes);
        assert_true(td_host_next(r.host, 0, &w));
        if (i == 0) continue;
        snprintf(name, sizeof name, "values-as-text-%d-reply", i);
        bytes = golden(name, &n);
        assert_same_bytes(name, w.data, w.size, bytes, n);
        td_free(bytes);
    }
    td_writer_free(&w);
    rig_close(&r);
}

/* The batch of the file, written by what a client writes with. */
static void golden_batch_written(void **state) {
    (void)state;
    static const float values[] = {1, 2, 3, 4, 5};
    const td_shape two = {1, {2}}, three = {1, {3}};
    td_writer head = {0}, bulk = {0}, w = {0};
    td_op_names names = {0};
    td_obj a = {.id = 10}, b = {.id = 11};
    td_arg in[2] = {{.obj = &a}, {.obj = &b}};
    td_attrs attrs = {0};
    size_t n;
    td_put_uint(&head, 3);
    put_f32(&head, &bulk, 10, &two, values);
    put_f32(&head, &bulk, 11, &three, values + 2);
    td_put_byte(&head, TD_REC_GET);
    td_put_uint(&head, 1);
    td_put_uint(&head, 10);
    td_put_byte(&head, 0);
    td_put_byte(&head, TD_REC_OP);
    td_put_op(&head, &names, td_op_find("add"), in, 2, &attrs, 12);
    td_frame f = {
        .type = TD_FRAME_DATA, .n = 1, .ack = 1, .first = true, .kind = TD_LETTER_BATCH};
    memcpy(f.session, rig_session, TD_SESSION_BYTES);
    f.head = head.size;
    td_put_bytes(&head, bulk.data, bulk.size);
    f.size = f.payload_bytes = head.size;
    f.payload = head.data;
    td_frame_write(&f, &w);
    unsigned char *bytes = golden("refused-batch", &n);
    assert_same_bytes("refused-batch", w.data, w.size, bytes, n);
    td_free(bytes);
    td_op_names_free(&names);
    td_writer_free(&head);
    td_writer_free(&bulk);
    td_writer_free(&w);
}

/* ---- what is refused ---- */

static unsigned char map_frame[4096];
static size_t map_bytes;

/* A frame by hand: v, t and s, then `more` entries of which `rest` has the octets. */
static void by_hand(int version, int type, unsigned more, const void *rest, size_t n) {
    static const unsigned char v[] = {0xa1, 'v'}, t[] = {0xa1, 't'},
                               s[] = {0xa1, 's', 0xc4, 16};
    td_writer w = {0};
    td_put_byte(&w, 0xde);
    td_put_byte(&w, 0);
    td_put_byte(&w, 3 + more);
    td_put_bytes(&w, v, 2);
    td_put_byte(&w, (unsigned)version);
    td_put_bytes(&w, t, 2);
    td_put_byte(&w, (unsigned)type);
    td_put_bytes(&w, s, 4);
    td_put_bytes(&w, rig_session, 16);
    td_put_bytes(&w, rest, n);
    while (w.size % 8) td_put_byte(&w, 0xc0);
    memcpy(map_frame, w.data, w.size);
    map_bytes = w.size;
    td_writer_free(&w);
}

static void refused(const char *text) {
    td_frame f;
    td_err err = {0};
    assert_int_equal(td_frame_parse(map_frame, map_bytes, &f, &err), TD_E_PROTOCOL);
    assert_string_equal(err.msg, text);
}

static void refused_frames(void **state) {
    (void)state;
    td_frame f;
    td_err err = {0};
    by_hand(1, TD_FRAME_ACK, 0, "", 0);
    assert_int_equal(td_frame_parse(map_frame, map_bytes, &f, &err), 0);
    by_hand(1, TD_FRAME_ACK, 1,
            "\xa1"
            "a\xcd\x01\x00",
            5); /* a number longer than it need be is read */
    assert_int_equal(td_frame_parse(map_frame, map_bytes, &f, &err), 0);
    assert_int_equal(f.ack, 256);
    /* a key that its type does not have is passed over */
    by_hand(1, TD_FRAME_WELCOME, 2, "\xa1k\x01\xa1z\x05", 6);
    assert_int_equal(td_frame_parse(map_frame, map_bytes, &f, &err), 0);
    assert_false(f.first);
    assert_int_equal(f.size, 5);
    by_hand(1, TD_FRAME_ERROR, 1,
            "\xa1"
            "e\x7f",
            3); /* a code of a later version */
    assert_int_equal(td_frame_parse(map_frame, map_bytes, &f, &err), 0);
    assert_int_equal(f.err.code, TD_E_INTERNAL);

    by_hand(2, TD_FRAME_ACK, 0, "", 0);
    refused("version 2 of the protocol, this is version 1");
    by_hand(1, 9, 0, "", 0);
    refused("there is no frame of type 9");
    by_hand(1, 0, 0, "", 0);
    refused("there is no frame of type 0");
    by_hand(1, TD_FRAME_ACK, 1,
            "\xa1"
            "q\x01",
            3);
    refused("a frame has no key 'q'");
    by_hand(1, TD_FRAME_ACK, 1,
            "\xa1"
            "v\x01",
            3);
    refused("the key 'v' stands twice");
    by_hand(1, TD_FRAME_ACK, 1,
            "\xa2"
            "ab\x01",
            4);
    refused("a frame's key is not one small letter");
    by_hand(1, TD_FRAME_ACK, 1,
            "\xa1"
            "a\xd3",
            3);
    refused("the value of 'a' is malformed");
    by_hand(1, TD_FRAME_ACK, 1,
            "\xa1"
            "r\x01",
            3);
    refused("the value of 'r' is malformed");
    by_hand(1, TD_FRAME_WELCOME, 1,
            "\xa1"
            "w\xa3"
            "b\0b",
            6);
    refused("the value of 'w' is malformed");
    by_hand(1, TD_FRAME_DATA, 1,
            "\xa1"
            "k\x01",
            3);
    refused("a letter's beginning is malformed");
    by_hand(1, TD_FRAME_DATA, 3,
            "\xa1"
            "k\x01\xa1"
            "z\x01\xa1"
            "h\x02",
            9);
    refused("a letter's beginning is malformed");
    by_hand(1, TD_FRAME_DATA, 1,
            "\xa1"
            "b\x08",
            3);
    refused("a payload of 8 bytes was said, 0 are there");
    by_hand(1, TD_FRAME_ACK, 1,
            "\xa1"
            "b\x08",
            3);
    refused("a payload of 8 bytes");
    by_hand(1, TD_FRAME_DATA, 1,
            "\xa1"
            "b\xce\x00\x10\x00\x01",
            7);
    refused("a payload of 1048577 bytes");
    map_frame[0] = 0x93;
    refused("a frame does not begin with a map");
    map_frame[0] = 0x80;
    refused("version 0 of the protocol, this is version 1");
    assert_int_equal(td_frame_parse(map_frame, TD_FRAME_MAX + 1, &f, &err), TD_E_LIMIT);
    assert_string_equal(err.msg, "a frame of 1052673 bytes, at most 1052672 go");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_frames),  cmocka_unit_test(golden_exchanges),
        cmocka_unit_test(golden_texts),   cmocka_unit_test(golden_batch_written),
        cmocka_unit_test(refused_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
