/* Questions to a worker: what is there, what bears these tags, a data set's tensors. */
#include <string.h>

#include "plans/session/session.h"
#include "runtime/mem.h"

/* Begins a record that is a question; its key is written, more may follow. */
static int begin(td_session *s, td_record kind, td_question *q, td_err *err) {
    *q = (td_question){.key = td_obj_fresh_id()};
    int rc = td_record_begin(s, kind, err);
    if (rc == 0) td_text_new_id(&s->text, q->key, NULL);
    return rc ? rc : td_await(s, q->key, NULL, q, err);
}

static int give(td_question *q, int rc, td_about **list, int *count) {
    *list = rc ? NULL : q->list;
    *count = rc ? 0 : q->count;
    return rc;
}

int td_session_objects(td_session *s, td_about **list, int *count, td_err *err) {
    td_question q;
    td_place *held = td_place_ref(&s->place); /* it may be closed meanwhile */
    td_session_lock(s);
    int rc = begin(s, TD_REC_OBJECTS, &q, err);
    if (rc == 0) rc = td_session_ask(s, &q, err);
    td_session_unlock(s);
    td_place_unref(&held);
    return give(&q, rc, list, count);
}

int td_session_search(td_session *s, const td_tags *tags, td_about **list, int *count,
                      td_err *err) {
    td_question q;
    td_place *held = td_place_ref(&s->place); /* it may be closed meanwhile */
    td_session_lock(s);
    int rc = begin(s, TD_REC_SEARCH, &q, err);
    if (rc == 0) td_put_tags(&s->text.text, tags);
    if (rc == 0) rc = td_session_ask(s, &q, err);
    td_session_unlock(s);
    td_place_unref(&held);
    return give(&q, rc, list, count);
}

int td_session_dataset(td_session *s, const char *name, td_obj **x, td_about *about_x,
                       td_obj **y, td_about *about_y, td_err *err) {
    td_question q;
    uint64_t id_x = td_obj_fresh_id(), id_y = td_obj_fresh_id();
    *x = *y = NULL;
    td_place *held = td_place_ref(&s->place); /* it may be closed meanwhile */
    td_session_lock(s);
    int rc = begin(s, TD_REC_DATASET, &q, err);
    if (rc == 0) {
        td_put_text(&s->text.text, name);
        td_text_new_id(&s->text, id_x, NULL);
        td_text_new_id(&s->text, id_y, NULL);
        rc = td_session_ask(s, &q, err);
    }
    td_session_unlock(s);
    if (rc) {
        td_place_unref(&held);
        return rc;
    }
    if (q.count < 1)
        rc = td_fail(err, TD_E_PROTOCOL, "dataset", "the answer names no tensor");
    for (int i = 0; rc == 0 && i < q.count && i < 2; i++) {
        /* freed like any other object when its pointer dies; the rows themselves stay */
        td_about *about = i ? about_y : about_x;
        *about = q.list[i];
        about->id = i ? id_y : id_x;
        td_obj *o = td_session_adopt(s, about);
        if (o == NULL) rc = td_fail(err, TD_E_MEMORY, "dataset", "out of memory");
        if (o) o->keep = false;
        *(i ? y : x) = o;
    }
    td_free(q.list);
    td_place_unref(&held);
    return rc;
}
