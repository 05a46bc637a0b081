/* Replies: failures find the script's line that caused them, answers find who waits for them. */
#include <stdio.h>
#include <string.h>

#include "plans/session/session.h"
#include "runtime/mem.h"

int td_await(td_session *s, uint64_t key, td_coming *coming, td_question *question,
             td_err *err) {
    td_awaited *a = td_new(td_awaited);
    if (a == NULL || !td_idmap_set(&s->awaited, key, a)) {
        td_free(a);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    a->kind = coming ? TD_AWAIT_TENSOR : TD_AWAIT_QUESTION;
    a->coming = coming ? td_coming_ref(coming) : NULL;
    a->question = question;
    a->batch = s->open->number;
    return 0;
}

void td_unawait(td_session *s, uint64_t key) {
    td_awaited *a = td_idmap_get(&s->awaited, key);
    if (a) a->question = NULL;
}

static void settle(td_awaited *a, td_tensor *t, const td_err *err) {
    if (a->kind == TD_AWAIT_TENSOR) {
        a->coming->done = true;
        a->coming->t = t;
        if (err) a->coming->err = *err;
        td_coming_unref(&a->coming);
    } else if (a->question) {
        a->question->done = true;
        if (err) a->question->err = *err;
    }
    td_free(a);
}

/* ---- failures ---- */

static void find_line(const td_session *s, const td_batch *b, td_failure *f) {
    if (b == NULL || b->number != f->batch || f->record >= b->count) return;
    uint32_t line = b->line[f->record];
    if (line) snprintf(f->err.where, sizeof f->err.where, "%s", s->lines[line - 1]);
}

static void keep_failure(td_session *s, const td_failure *f) {
    if (s->failures == NULL)
        s->failures = td_new_array(TD_FAILURES_KEPT, sizeof *s->failures);
    if (s->failures == NULL) return;
    s->failures[s->failure_count++ % TD_FAILURES_KEPT] = *f;
}

/* A failure of an earlier batch that an answer names again: its line is remembered. */
static void recall_line(const td_session *s, td_failure *f) {
    size_t n = s->failure_count < TD_FAILURES_KEPT ? s->failure_count : TD_FAILURES_KEPT;
    for (size_t i = 0; i < n; i++) {
        const td_failure *k = &s->failures[i];
        if (k->batch != f->batch || k->record != f->record) continue;
        memcpy(f->err.where, k->err.where, sizeof f->err.where);
        return;
    }
}

static void take_failures(td_session *s, const td_batch *b, td_reader *r) {
    uint64_t n = td_take_uint(r);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        td_failure f;
        td_take_failure(r, &f);
        if (r->failed) return;
        find_line(s, b, &f);
        keep_failure(s, &f);
        if (s->first_error.code == 0) s->first_error = f.err;
    }
}

/* ---- answers ---- */

typedef struct bulk_view {
    const unsigned char *data;
    size_t size, at;
} bulk_view;

static td_tensor *take_tensor(td_reader *r, bulk_view *bulk, td_err *err) {
    td_dtype dtype = td_take_dtype(r);
    td_shape shape;
    size_t bytes;
    td_take_shape(r, &shape);
    if (r->failed || td_shape_bytes(&shape, dtype, &bytes, err) != 0) {
        r->failed = true;
        return NULL;
    }
    if (bytes > bulk->size - bulk->at) {
        r->failed = true;
        return NULL;
    }
    const unsigned char *from = bulk->data + bulk->at;
    bulk->at += bytes;
    td_tensor *t = td_tensor_new(dtype, &shape, err);
    if (t == NULL) return NULL;
    if (bytes) memcpy(t->storage->data, from, bytes);
    if (dtype == TD_BOOL)
        for (size_t i = 0; i < bytes; i++) t->storage->data[i] = t->storage->data[i] != 0;
    return t;
}

#define ABOUT_LEAST 6 /* bytes of the shortest entry */

/* Room grows with the entries that come: one here is two hundred times the shortest there. */
static td_about *take_list(td_reader *r, int *count, td_err *err) {
    uint64_t n = td_take_uint(r);
    *count = 0;
    if (r->failed || n > (r->size - r->at) / ABOUT_LEAST) {
        r->failed = true;
        return NULL;
    }
    td_about *list = NULL;
    size_t room = 0;
    for (uint64_t i = 0; i <= n && !r->failed;
         i++) { /* one more, so that none is no error */
        if (i >= room) {
            room = room ? 2 * room : 16;
            td_about *bigger = td_grow_bytes(list, sizeof *list * room);
            if (bigger == NULL) {
                td_fail(err, TD_E_MEMORY, "", "out of memory");
                r->failed = true;
                break;
            }
            list = bigger;
        }
        if (i < n) td_take_about(r, &list[i]);
    }
    *count = r->failed ? 0 : (int)n;
    return list;
}

static void take_answer(td_session *s, const td_batch *b, td_reader *r, bulk_view *bulk) {
    uint64_t key = td_take_uint(r);
    bool well = td_take_byte(r) == 1;
    td_awaited *a = r->failed ? NULL : td_idmap_remove(&s->awaited, key);
    if (a == NULL) { /* an answer nobody asked for: what follows cannot be told */
        r->failed = true;
        return;
    }
    td_err err = {0};
    td_tensor *t = NULL;
    if (!well) {
        td_failure f;
        td_take_failure(r, &f);
        find_line(s, b, &f);
        if (f.err.where[0] == 0) recall_line(s, &f);
        err = f.err;
    } else if (a->kind == TD_AWAIT_TENSOR) {
        t = take_tensor(r, bulk, &err);
    } else {
        td_question nobody = {0}, *q = a->question ? a->question : &nobody;
        q->list = take_list(r, &q->count, &err);
        td_free(nobody.list);
    }
    if (r->failed && err.code == 0)
        td_fail(&err, TD_E_PROTOCOL, "", "%s's reply is malformed", s->place.name);
    settle(a, t, err.code ? &err : NULL);
}

/* Whatever was asked in that batch and not answered. */
static void fail_unanswered(td_session *s, uint64_t batch, const td_err *err) {
    uint64_t id;
    void *value;
    for (size_t at = 0; td_idmap_next(&s->awaited, &at, &id, &value);) {
        td_awaited *a = value;
        if (batch && a->batch != batch) continue;
        td_idmap_remove(&s->awaited, id);
        settle(a, NULL, err);
        at--; /* removal moves a later entry here */
    }
}

static void batch_free(td_batch *b) {
    if (b == NULL) return;
    td_free(b->line);
    td_free(b);
}

int td_session_take_reply(td_session *s, const td_letter *letter, td_err *err) {
    td_reader r = {.data = letter->bytes, .size = letter->head_bytes};
    bulk_view bulk = {letter->bytes + letter->head_bytes,
                      letter->size - letter->head_bytes, 0};
    uint64_t number = td_take_uint(&r);
    bool refused = td_take_byte(&r) != 0;
    td_batch *b = s->sent;
    bool old = number < (b ? b->number : s->open ? s->open->number : s->last_number + 1);
    if (!r.failed && letter->kind == TD_LETTER_REPLY && old && number > 0)
        return 0; /* to a batch that was given up when the worker refused something */
    if (r.failed || letter->kind != TD_LETTER_REPLY || b == NULL || b->number != number)
        return td_fail(err, TD_E_PROTOCOL, "", "%s sent a reply to nothing",
                       s->place.name);
    td_err why = {0};
    if (refused) {
        td_take_err(&r, &why);
        td_known_clear(&s->known); /* it may be that the worker had no room for a text */
        if (s->first_error.code == 0) s->first_error = why;
    }
    take_failures(s, b, &r);
    uint64_t n = td_take_uint(&r);
    for (uint64_t i = 0; i < n && !r.failed; i++) take_answer(s, b, &r, &bulk);
    int rc = 0;
    if (r.failed)
        rc = td_fail(err, TD_E_PROTOCOL, "", "%s's reply is malformed", s->place.name);
    if (why.code == 0)
        td_fail(&why, TD_E_PROTOCOL, "", "%s's reply leaves this out", s->place.name);
    fail_unanswered(s, number, &why);
    s->sent = b->next;
    if (s->sent == NULL) s->sent_tail = &s->sent;
    batch_free(b);
    return rc;
}

void td_session_fail_batch(td_session *s, td_batch *b, const td_err *err) {
    fail_unanswered(s, b->number, err);
    batch_free(b);
}

void td_session_fail_all(td_session *s, const td_err *err) {
    fail_unanswered(s, 0, err);
    while (s->sent) {
        td_batch *b = s->sent;
        s->sent = b->next;
        batch_free(b);
    }
    s->sent_tail = &s->sent;
    batch_free(s->refused);
    s->refused = NULL;
    batch_free(s->open);
    s->open = NULL;
    s->bulk.size = 0;
    td_known_clear(&s->known);
    s->worth_sending = false;
    s->dead_since_ms = 0;
}
