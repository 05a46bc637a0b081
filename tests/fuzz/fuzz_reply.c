/* Fuzzes a client's reading of replies. A session has sent one batch with two gets and a question; the input is a row
 * of letters for it, each behind the lengths of its head and bulk (two bytes each, little-endian). In a head, octets
 * 0xF0 to 0xF2 stand for the keys of what was asked, which are not known beforehand, and 0xF3 for the batch's number.
 * Whatever comes, every wait ends, and all memory comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plans/session/client.h"
#include "runtime/mem.h"
#include "runtime/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct worker {
    const uint8_t *data;
    size_t size;
    uint64_t first_id, number;
    unsigned char session[TD_SESSION_BYTES];
    bool up, greeted;
} worker;

static int worker_send(void *ctx, const void *frame, size_t n, td_err *err) {
    worker *w = ctx;
    td_frame f;
    if (td_frame_parse(frame, n, &f, err)) abort();
    memcpy(w->session, f.session, TD_SESSION_BYTES);
    return 0;
}

static td_event give(worker *w, td_frame *f, void **frame, size_t *n) {
    td_writer out = {0};
    memcpy(f->session, w->session, TD_SESSION_BYTES);
    td_frame_write(f, &out);
    if (out.failed) abort();
    *frame = out.data;
    *n = out.size;
    return TD_EV_FRAME;
}

static size_t take_length(worker *w) {
    size_t n = (size_t)w->data[0] | (size_t)w->data[1] << 8;
    w->data += 2, w->size -= 2;
    return n;
}

static td_event next_letter(worker *w, void **frame, size_t *n) {
    size_t head = take_length(w), bulk = take_length(w);
    if (head > w->size) head = w->size;
    if (bulk > w->size - head) bulk = w->size - head;
    td_writer letter = {0};
    for (size_t i = 0; i < head; i++) {
        unsigned c = w->data[i];
        if (c >= 0xf0 && c <= 0xf2)
            td_put_uint(&letter,
                        w->first_id + 2 + (c - 0xf0)); /* after the tensor's own id */
        else
            td_put_byte(&letter, c == 0xf3 ? 1 : c);
    }
    td_frame f = {.type = TD_FRAME_DATA,
                  .n = ++w->number,
                  .ack = 1,
                  .first = true,
                  .kind = TD_LETTER_REPLY};
    f.head = letter.size;
    td_put_bytes(&letter, w->data + head, bulk);
    w->data += head + bulk, w->size -= head + bulk;
    f.size = f.payload_bytes = letter.size;
    f.payload = letter.data;
    td_event e = give(w, &f, frame, n);
    td_writer_free(&letter);
    return e;
}

static td_event worker_recv(void *ctx, int wait_ms, void **frame, size_t *n,
                            td_err *err) {
    worker *w = ctx;
    (void)wait_ms;
    if (!w->up) {
        w->up = true;
        return TD_EV_UP;
    }
    if (!w->greeted) {
        td_frame f = {.type = TD_FRAME_WELCOME,
                      .host = 1,
                      .ack = 1,
                      .fresh = true,
                      .size = 1 << 20};
        snprintf(f.name, sizeof f.name, "bob");
        w->greeted = true;
        return give(w, &f, frame, n);
    }
    if (w->size >= 4) return next_letter(w, frame, n);
    td_fail(err, TD_E_GONE, "", "bob is gone");
    return TD_EV_DOWN;
}

static void worker_close(void *ctx) { (void)ctx; }

static void look_at(td_coming **c) {
    if ((*c)->done && ((*c)->t == NULL) != ((*c)->err.code != 0)) abort();
    unsigned sum = 0;
    for (size_t i = 0; (*c)->t && i < (*c)->t->storage->bytes; i++)
        sum += (unsigned char)(*c)->t->storage->data[i];
    volatile unsigned keep = sum;
    (void)keep;
    td_coming_unref(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    const td_shape shape = {2, {2, 3}};
    td_err err = {0};
    worker w = {.data = data, .size = size};
    td_transport t = {.ctx = &w,
                      .send = worker_send,
                      .recv = worker_recv,
                      .close = worker_close,
                      .reconnect = worker_close};
    td_data_set_limit(8 << 20);
    td_session *s = td_session_new("bob", &t, NULL, &err);
    td_tensor *x = td_tensor_new(TD_F32, &shape, &err);
    memcpy(td_tensor_data(x), values, sizeof values);
    td_obj *p = NULL;
    td_coming *a = NULL, *b = NULL;
    td_about *list = NULL;
    int count = 0;
    w.first_id = td_obj_fresh_id();
    if (td_session_open(s, 1000, &err) || td_session_send(s, x, 0, NULL, &p, &err) ||
        td_session_get(s, p, false, &a, &err) || td_session_get(s, p, true, &b, &err))
        abort();
    if (td_session_objects(s, &list, &count, &err) == 0 && count > 0 && list == NULL)
        abort();
    td_free(list);
    td_session_wait(s, &err);
    look_at(&a);
    look_at(&b);
    td_obj_unref(&p);
    td_tensor_unref(&x);
    td_place *place = td_session_place(s);
    td_session_end(s);
    td_place_unref(&place);
    td_scratch_trim();
    if (td_data_live_bytes() != 0) abort();
    return 0;
}
