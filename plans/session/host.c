/* A session at the worker: frames in, batches run, frames out. */
#include "plans/session/host.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "plans/session/known.h"
#include "plans/session/run.h"
#include "plans/session/store.h"
#include "plans/session/text.h"
#include "runtime/mem.h"

struct td_host {
    const td_host_config *config;
    unsigned char session[TD_SESSION_BYTES];
    td_link *link;
    td_store store;
    td_known known; /* texts of batches that came */
    uint64_t mark;  /* tells this host from those before it under the session's name */
    bool welcome;   /* a HELLO waits for its answer */
    bool resumed;   /* it named this host */
    uint64_t pong;  /* mark of a PING that waits for its answer */
    bool pong_pending;
};

td_host *td_host_new(const td_host_config *config,
                     const unsigned char session[TD_SESSION_BYTES], td_err *err) {
    td_host *h = sodium_init() >= 0 ? td_new(td_host) : NULL;
    if (h == NULL) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    h->config = config;
    memcpy(h->session, session, TD_SESSION_BYTES);
    h->mark = config->mark;
    while (h->mark == 0) randombytes_buf(&h->mark, sizeof h->mark);
    h->store.max_objects = config->max_objects;
    h->link = td_link_new(session, config->max_letter_bytes, err);
    if (h->link) td_link_set_host(h->link, h->mark);
    if (h->link == NULL) td_host_free(&h);
    return h;
}

void td_host_free(td_host **hp) {
    td_host *h = *hp;
    *hp = NULL;
    if (h == NULL) return;
    td_store_clear(&h->store);
    td_known_clear(&h->known);
    td_link_free(&h->link);
    td_free(h);
}

int td_host_object_count(const td_host *h) { return (int)h->store.map.count; }

int td_host_batch(td_host *h, uint64_t number, const unsigned char *head,
                  size_t head_bytes, const unsigned char *bulk, size_t bulk_bytes,
                  td_letter *reply, td_err *err) {
    td_run run = {.config = h->config,
                  .store = &h->store,
                  .number = number,
                  .head = head,
                  .bulk = bulk,
                  .head_bytes = head_bytes,
                  .bulk_bytes = bulk_bytes};
    td_err refused = {0};
    if (td_verify(&run, &refused) == 0) td_run_records(&run);
    int rc = td_run_reply(&run, refused.code ? &refused : NULL, reply, err);
    td_run_free(&run);
    return rc;
}

/* The text of the batch, kept or brought; what is brought is kept, whatever becomes of the batch. */
static int take_text(td_host *h, td_reader *r, const unsigned char **text, size_t *bytes,
                     td_err *err) {
    unsigned char hash[TD_TEXT_HASH];
    unsigned form = td_take_byte(r);
    const unsigned char *p;
    if (form == 1) {
        p = td_take_bytes(r, TD_TEXT_HASH);
        const td_known_text *known = p ? td_known_find(&h->known, p) : NULL;
        if (p && known == NULL)
            return td_fail(err, TD_E_NOT_FOUND, "",
                           "%s does not keep the batch's text any more", h->config->name);
        if (p) memcpy(hash, p, TD_TEXT_HASH);
        *bytes = known ? known->bytes : 0;
    } else {
        uint64_t n = td_take_uint(r);
        if (form > 1 || n > r->size - r->at) r->failed = true;
        if (!r->failed && n > TD_KNOWN_BYTES)
            return td_fail(err, TD_E_LIMIT, "", "a text of %llu bytes, at most %zu go",
                           (unsigned long long)n, TD_KNOWN_BYTES);
        p = td_take_bytes(r, r->failed ? 0 : (size_t)n);
        *bytes = (size_t)n;
        if (!r->failed) td_text_hash(p, *bytes, hash);
    }
    if (r->failed) return td_fail(err, TD_E_PROTOCOL, "", "a batch's text is cut short");
    if (!td_known_use(&h->known, hash, p, *bytes))
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    *text = td_known_find(&h->known, hash)->text;
    return 0;
}

int td_host_text_batch(td_host *h, const unsigned char *head, size_t head_bytes,
                       const unsigned char *bulk, size_t bulk_bytes, td_letter *reply,
                       td_err *err) {
    td_reader r = {.data = head, .size = head_bytes};
    td_writer plain = {0};
    td_err why = {0};
    const unsigned char *text = NULL;
    size_t bytes = 0;
    uint64_t number = td_take_uint(&r);
    td_put_uint(&plain, number);
    int rc = r.failed ? td_fail(&why, TD_E_PROTOCOL, "", "a batch has no number")
                      : take_text(h, &r, &text, &bytes, &why);
    if (rc == 0) rc = td_text_expand(text, bytes, &r, &plain, &why);
    if (rc) {
        td_run run = {.number = number};
        rc = td_run_reply(&run, &why, reply, err);
    } else {
        rc = td_host_batch(h, number, plain.data, plain.size, bulk, bulk_bytes, reply,
                           err);
    }
    td_writer_free(&plain);
    return rc;
}

/* A reply that says no more than why there is none. */
static int send_refusal(td_host *h, const td_letter *batch, const td_err *why,
                        td_err *err) {
    td_reader r = {.data = batch->bytes, .size = batch->head_bytes};
    td_run run = {.number = td_take_uint(&r)};
    td_letter reply;
    int rc = td_run_reply(&run, why, &reply, err);
    return rc ? rc : td_link_send(h->link, &reply, err);
}

/* Every batch has its reply, or the client would wait for ever: one that is too long to be queued, or for which
 * there is no memory, is replaced by a short one. */
static int run_batch(td_host *h, const td_letter *batch, td_err *err) {
    td_err why = {0};
    td_letter reply;
    const unsigned char *head = batch->bytes, *bulk = head + batch->head_bytes;
    size_t bulk_bytes = batch->size - batch->head_bytes;
    int rc = batch->kind == TD_LETTER_TEXT
                 ? td_host_text_batch(h, head, batch->head_bytes, bulk, bulk_bytes,
                                      &reply, &why)
                 : td_host_batch(h, 0, head, batch->head_bytes, bulk, bulk_bytes, &reply,
                                 &why);
    if (rc == 0) rc = td_link_send(h->link, &reply, &why);
    return rc ? send_refusal(h, batch, &why, err) : 0;
}

static int run_letters(td_host *h, td_err *err) {
    td_letter in;
    int rc = 0;
    while (rc == 0 && td_link_letter(h->link, &in)) {
        if (in.kind == TD_LETTER_BATCH || in.kind == TD_LETTER_TEXT)
            rc = run_batch(h, &in, err);
        else
            rc = td_fail(err, TD_E_PROTOCOL, "", "a letter of kind %d", in.kind);
        td_free(in.bytes);
    }
    return rc;
}

/* A client that knows this host goes on where both were. One that does not is told that it begins anew, unless
 * letters have come already: then it is a late double of a greeting that was answered long ago. */
static int take_hello(td_host *h, const td_frame *f, int64_t now_ms, td_err *err) {
    bool knows = f->host == h->mark;
    if (!knows && td_link_wanted(h->link) > 1) return 0;
    h->welcome = true;
    h->resumed = knows;
    return knows ? td_link_frame(h->link, f, now_ms, err) : 0;
}

int td_host_frame(td_host *h, const void *bytes, size_t n, int64_t now_ms, td_err *err) {
    td_frame f;
    int rc = td_frame_parse(bytes, n, &f, err);
    if (rc) return rc;
    switch (f.type) {
    case TD_FRAME_HELLO: return take_hello(h, &f, now_ms, err);
    case TD_FRAME_PING:
        h->pong = f.n;
        h->pong_pending = true;
        return 0;
    case TD_FRAME_BYE: return 0;
    case TD_FRAME_DATA:
    case TD_FRAME_ACK:
        rc = td_link_frame(h->link, &f, now_ms, err);
        return rc ? rc : run_letters(h, err);
    default:
        return td_fail(err, TD_E_PROTOCOL, "", "a frame of type %d from a client",
                       f.type);
    }
}

bool td_host_next(td_host *h, int64_t now_ms, td_writer *w) {
    td_frame f = {0};
    memcpy(f.session, h->session, TD_SESSION_BYTES);
    w->size = 0;
    if (h->pong_pending) {
        h->pong_pending = false;
        f.type = TD_FRAME_PONG;
        f.n = h->pong;
        td_frame_write(&f, w);
        return true;
    }
    if (h->welcome) {
        f.type = TD_FRAME_WELCOME;
        f.host = h->mark;
        f.fresh = !h->resumed;
        f.size = h->config->max_letter_bytes;
        f.ack = td_link_wanted(h->link);
        snprintf(f.name, sizeof f.name, "%s", h->config->name);
        h->welcome = false;
        td_frame_write(&f, w);
        return true;
    }
    return td_link_next(h->link, now_ms, w);
}
