/* The link under bad weather: frames are lost, doubled, held back and put out of order, connections break and
 * come back; every letter must arrive once, in order and whole. A schedule is a function of its seed, so a
 * failing one is run again with TIDE_SEED=n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plans/session/link.h"
#include "runtime/mem.h"

#define SCHEDULES 3000
#define LETTERS 12
#define AIR_MAX 400
#define PIECE ((size_t)64)

static const unsigned char session[TD_SESSION_BYTES] = "a session's name";

typedef struct random_state {
    uint64_t x;
} random_state;

static uint64_t draw(random_state *r, uint64_t below) { /* splitmix64 */
    uint64_t z = r->x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

/* Frames in the air, each with the time at which it lands. */
typedef struct air {
    struct {
        unsigned char *bytes;
        size_t n;
        int64_t lands;
        int to;
    } frame[AIR_MAX];
    int count;
} air;

typedef struct world {
    random_state rnd;
    td_link *end[2];
    air air;
    int64_t now;
    int loss, doubling, delay; /* per cent, per cent, ms at most */
    int sent[2], arrived[2];
} world;

static void launch(world *w, int to, const td_writer *f) {
    int copies = (int)draw(&w->rnd, 100) < w->loss       ? 0
                 : (int)draw(&w->rnd, 100) < w->doubling ? 2
                                                         : 1;
    for (; copies > 0 && w->air.count < AIR_MAX; copies--) {
        int i = w->air.count++;
        w->air.frame[i].bytes = td_new_bytes(f->size);
        memcpy(w->air.frame[i].bytes, f->data, f->size);
        w->air.frame[i].n = f->size;
        w->air.frame[i].lands = w->now + 1 + (int64_t)draw(&w->rnd, (uint64_t)w->delay);
        w->air.frame[i].to = to;
    }
}

static void greet(world *w, int from, td_frame_type type) {
    td_frame f = {.type = type, .ack = td_link_wanted(w->end[from])};
    memcpy(f.session, session, sizeof session);
    td_writer out = {0};
    td_frame_write(&f, &out);
    td_frame back;
    td_err err = {0};
    assert_int_equal(td_frame_parse(out.data, out.size, &back, &err), 0);
    assert_int_equal(td_link_frame(w->end[1 - from], &back, w->now, &err), 0);
    td_writer_free(&out);
}

/* The connection breaks: what is in the air is gone, and both ends say where they are. */
static void reconnect(world *w) {
    while (w->air.count > 0) td_free(w->air.frame[--w->air.count].bytes);
    td_link_reset(w->end[0]);
    td_link_reset(w->end[1]);
    greet(w, 0, TD_FRAME_HELLO);
    greet(w, 1, TD_FRAME_WELCOME);
}

/* Letter k of an end: its length and contents follow from the two numbers. */
static size_t letter_size(int end, int k) {
    static const size_t sizes[] = {0,     1,         100,           PIECE - 1,
                                   PIECE, PIECE + 1, 3 * PIECE + 17};
    return sizes[(size_t)(end * 3 + k) % (k % 4 == 0 ? 7 : 3)];
}

static unsigned char letter_byte(int end, int k, size_t i) {
    return (unsigned char)((size_t)end * 91 + (size_t)k * 31 + i * 7);
}

static void send_letter(world *w, int end) {
    int k = w->sent[end]++;
    td_letter l = {.kind = k + 1, .size = letter_size(end, k)};
    l.head_bytes = l.size / 2;
    l.bytes = td_new_bytes(l.size);
    for (size_t i = 0; i < l.size; i += 11) l.bytes[i] = letter_byte(end, k, i);
    td_err err = {0};
    assert_int_equal(td_link_send(w->end[end], &l, &err), 0);
}

static void take_letters(world *w, int end) {
    td_letter l;
    while (td_link_letter(w->end[end], &l)) {
        int from = 1 - end, k = w->arrived[end]++;
        assert_int_equal(l.kind, k + 1);
        assert_int_equal(l.size, letter_size(from, k));
        assert_int_equal(l.head_bytes, l.size / 2);
        for (size_t i = 0; i < l.size; i += 11)
            assert_int_equal(l.bytes[i], letter_byte(from, k, i));
        td_free(l.bytes);
    }
}

static void land(world *w, int i) {
    td_frame f;
    td_err err = {0};
    int to = w->air.frame[i].to;
    assert_int_equal(td_frame_parse(w->air.frame[i].bytes, w->air.frame[i].n, &f, &err),
                     0);
    int rc = td_link_frame(w->end[to], &f, w->now, &err);
    if (rc) fail_msg("%s", err.msg);
    td_free(w->air.frame[i].bytes);
    w->air.frame[i] = w->air.frame[--w->air.count];
    take_letters(w, to);
}

static void tick(world *w) {
    td_writer f = {0};
    for (int i = w->air.count - 1; i >= 0; i--)
        if (i < w->air.count && w->air.frame[i].lands <= w->now) land(w, i);
    for (int end = 0; end < 2; end++)
        while (td_link_next(w->end[end], w->now, &f)) launch(w, 1 - end, &f);
    td_writer_free(&f);
}

static bool is_over(const world *w) {
    return w->arrived[0] == LETTERS && w->arrived[1] == LETTERS &&
           !td_link_is_waiting(w->end[0]) && !td_link_is_waiting(w->end[1]);
}

static void run_schedule(uint64_t seed) {
    td_err err = {0};
    world w = {.rnd = {seed}};
    w.loss = (int)draw(&w.rnd, 30);
    w.doubling = (int)draw(&w.rnd, 30);
    w.delay = 1 + (int)draw(&w.rnd, 60);
    int breaks = (int)draw(&w.rnd, 4);
    for (int i = 0; i < 2; i++) {
        w.end[i] = td_link_new(session, (size_t)8 << 20, &err);
        td_link_set_piece(w.end[i], PIECE);
    }
    for (w.now = 0; !is_over(&w); w.now += 1 + (int64_t)draw(&w.rnd, 20)) {
        if (w.now > 3600 * 1000)
            fail_msg("seed %llu: %d and %d letters after an hour",
                     (unsigned long long)seed, w.arrived[0], w.arrived[1]);
        for (int end = 0; end < 2; end++)
            if (w.sent[end] < LETTERS && draw(&w.rnd, 4) == 0) send_letter(&w, end);
        if (breaks > 0 && draw(&w.rnd, 50) == 0) {
            breaks--;
            reconnect(&w);
        }
        tick(&w);
    }
    while (w.air.count > 0) td_free(w.air.frame[--w.air.count].bytes);
    for (int i = 0; i < 2; i++) td_link_free(&w.end[i]);
}

static void test_schedules(void **state) {
    (void)state;
    const char *one = getenv("TIDE_SEED");
    if (one) {
        run_schedule(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) run_schedule(seed);
}

/* On a good connection a letter of one piece is one frame, and the answer acknowledges it. */
static void test_frames_are_few(void **state) {
    (void)state;
    td_err err = {0};
    td_link *a = td_link_new(session, 1 << 20, &err),
            *b = td_link_new(session, 1 << 20, &err);
    td_writer f = {0};
    td_frame parsed;
    for (int round = 0; round < 100; round++) {
        for (int end = 0; end < 2; end++) {
            td_link *from = end ? b : a, *to = end ? a : b;
            td_letter l = {.kind = 1,
                           .size = 5,
                           .head_bytes = 5,
                           .bytes = td_new_bytes(5)},
                      got;
            assert_int_equal(td_link_send(from, &l, &err), 0);
            assert_true(td_link_next(from, round, &f));
            assert_int_equal(td_frame_parse(f.data, f.size, &parsed, &err), 0);
            assert_int_equal(parsed.type, TD_FRAME_DATA);
            assert_int_equal(td_link_frame(to, &parsed, round, &err), 0);
            assert_true(td_link_letter(to, &got));
            td_free(got.bytes);
            assert_false(td_link_next(from, round, &f));
        }
    }
    assert_int_equal(td_link_backlog(a), 0);
    td_writer_free(&f);
    td_link_free(&a);
    td_link_free(&b);
}

static td_frame piece(uint64_t n, uint64_t size, size_t payload) {
    static const unsigned char zeros[TD_PIECE];
    td_frame f = {.type = TD_FRAME_DATA, .n = n, .first = true, .kind = 1, .size = size};
    memcpy(f.session, session, sizeof session);
    f.payload = zeros;
    f.payload_bytes = payload;
    return f;
}

static void refused(td_frame f, const char *text) {
    td_err err = {0};
    td_link *l = td_link_new(session, 1000, &err);
    assert_int_not_equal(td_link_frame(l, &f, 0, &err), 0);
    assert_string_equal(err.msg, text);
    td_link_free(&l);
}

static void test_refusals(void **state) {
    (void)state;
    refused(piece(1, 5000, 5000), "a letter of 5000 bytes, at most 1000 go");
    refused(piece(1, 10, 9), "a piece of 9 bytes where 10 are due");
    refused(piece(0, 10, 10), "a piece has no number");
    td_frame f = piece(1, 10, 10);
    f.first = false;
    refused(f, "a letter without a beginning");
    f = piece(1, 10, 10);
    f.ack = 7;
    refused(f, "frame 6 is acknowledged, 0 were sent");
    f.session[0] = 'b';
    refused(f, "a frame of another session");
    f = piece(1, 0, 0);
    f.type = TD_FRAME_BYE;
    refused(f, "a frame of type 7 is not for a link");
}

/* Parsing: every cut of a frame is refused, and no byte changed makes it run out of bounds. */
static void test_hostile_frames(void **state) {
    (void)state;
    td_frame f = piece(3, 20, 20), back;
    snprintf(f.name, sizeof f.name, "bob");
    td_fail(&f.err, TD_E_GONE, "get", "gone");
    td_writer w = {0};
    td_err err;
    td_frame_write(&f, &w);
    assert_int_equal(td_frame_parse(w.data, w.size, &back, &err), 0);
    assert_int_equal(back.n, 3);
    assert_string_equal(back.name, "bob");
    assert_string_equal(back.err.msg, "gone");
    assert_int_equal(back.payload_bytes, 20);
    for (size_t n = 0; n < w.size; n++) {
        /* of its own, so that a sanitizer sees a step too far */
        unsigned char *cut = td_new_bytes(n);
        memcpy(cut, w.data, n);
        assert_int_not_equal(td_frame_parse(cut, n, &back, &err), 0);
        td_free(cut);
    }
    for (size_t at = 0; at < w.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            w.data[at] ^= (unsigned char)(1 << bit);
            td_frame_parse(w.data, w.size, &back, &err);
            w.data[at] ^= (unsigned char)(1 << bit);
        }
    }
    w.data[5] = 2; /* the version's value */
    assert_int_equal(td_frame_parse(w.data, w.size, &back, &err), TD_E_PROTOCOL);
    assert_string_equal(err.msg, "version 2 of the protocol, this is version 1");
    td_writer_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_frames_are_few),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hostile_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
