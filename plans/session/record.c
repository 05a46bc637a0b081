/* Recording: what a client writes into its outgoing batch. Nothing here waits. */
#include <stdlib.h>
#include <string.h>

#include "plans/session/session.h"
#include "runtime/mem.h"

/* A batch that has grown so large goes out before anybody waits, so that the worker can begin. */
#define SEND_EARLY_TEXT ((size_t)2 << 20)
#define SEND_EARLY_BULK ((size_t)32 << 20)

static int out_of_memory(td_err *err) {
    return td_fail(err, TD_E_MEMORY, "", "out of memory");
}

/* Index + 1 of the script's line. A loop records the same few lines again and again: the newest are
 * looked at first. */
static uint32_t line_index(td_session *s) {
    char text[160];
    text[0] = 0;
    if (s->hooks.where) s->hooks.where(text, sizeof text);
    if (text[0] == 0) return 0;
    for (size_t i = s->line_count; i-- > 0;)
        if (strcmp(s->lines[i], text) == 0) return (uint32_t)i + 1;
    if (s->line_count == s->line_room) {
        size_t room = s->line_room ? 2 * s->line_room : 32;
        char **bigger = td_grow_bytes(s->lines, sizeof *bigger * room);
        if (bigger == NULL) return 0;
        s->lines = bigger;
        s->line_room = room;
    }
    char *copy = td_strdup(text);
    if (copy == NULL) return 0;
    s->lines[s->line_count++] = copy;
    return (uint32_t)s->line_count;
}

static int open_batch(td_session *s, td_err *err) {
    s->open = td_new(td_batch);
    if (s->open == NULL) return out_of_memory(err);
    s->open->number = ++s->last_number;
    s->bulk.size = 0;
    td_text_begin(&s->text, s->open->number);
    return 0;
}

int td_record_begin(td_session *s, td_record kind, td_err *err) {
    if (s->ended)
        return td_fail(err, TD_E_STATE, "", "the session with %s has ended",
                       s->place.name);
    if (s->open == NULL && open_batch(s, err) != 0) return TD_E_MEMORY;
    td_batch *b = s->open;
    if (b->count == b->room) {
        size_t room = b->room ? 2 * b->room : 64;
        uint32_t *bigger = td_grow_bytes(b->line, sizeof *bigger * room);
        if (bigger == NULL) return out_of_memory(err);
        b->line = bigger;
        b->room = room;
    }
    b->line[b->count++] = kind == TD_REC_FREE ? 0 : line_index(s);
    if (kind == TD_REC_FREE) return 0;
    s->worth_sending = true;
    td_text_record(&s->text, kind);
    return 0;
}

int td_record_end(td_session *s, td_err *err) {
    if (td_text_failed(&s->text) || s->bulk.failed) return out_of_memory(err);
    if (s->text.text.size < SEND_EARLY_TEXT && s->bulk.size < SEND_EARLY_BULK) return 0;
    return td_session_flush(s, err);
}

/* ---- a place's functions ---- */

static int record_op(td_place *p, const td_op *op, const td_arg *in, int nin,
                     const td_attrs *attrs, const td_meta *out_meta, td_obj **out,
                     td_err *err) {
    td_session *s = (td_session *)p;
    td_session_lock(s);
    const td_obj *base = (op->flags & TD_OP_VIEW) ? in[0].obj : NULL;
    int rc = 0;
    for (int k = 0; rc == 0 && k < op->nout; k++) {
        size_t bytes = 0;
        uint64_t id = td_obj_fresh_id();
        if (base == NULL)
            td_shape_bytes(&out_meta[k].shape, out_meta[k].dtype, &bytes, NULL);
        out[k] = td_obj_new(p, id, bytes, base);
        if (out[k] == NULL) rc = out_of_memory(err);
    }
    if (rc == 0) rc = td_record_begin(s, TD_REC_OP, err);
    if (rc == 0) {
        td_text_op(&s->text, op, in, nin, attrs);
        for (int k = 0; k < op->nout; k++) td_text_new_id(&s->text, out[k]->id, out[k]);
        s->stats.ops++;
        rc = td_record_end(s, err);
    }
    for (int k = 0; rc && k < op->nout; k++) {
        if (out[k]) out[k]->gone = true; /* never was there */
        td_obj_unref(&out[k]);
    }
    td_session_unlock(s);
    return rc;
}

/* An id that was asked for may be asked for again once nothing here would free what bears it: neither
 * clear() nor a new worker process ends the life of the pointers that were before. */
static void forget_id(td_session *s, const td_obj *obj) {
    if (td_idmap_get(&s->explicit_ids, obj->id) == obj)
        td_idmap_remove(&s->explicit_ids, obj->id);
}

static void record_drop(td_place *p, td_obj *obj) {
    td_session *s = (td_session *)p;
    td_session_lock(s);
    forget_id(s, obj);
    if (td_record_begin(s, TD_REC_FREE, NULL) == 0) {
        td_text_drop(&s->text, obj->id);
        if (s->dead_since_ms == 0) s->dead_since_ms = td_session_now_ms(s);
    }
    td_session_unlock(s);
}

/* ---- session calls that record ---- */

int td_session_send(td_session *s, td_tensor *x, uint64_t id, const td_tags *tags,
                    td_obj **out, td_err *err) {
    static const td_tags none;
    td_tensor *flat = td_tensor_contiguous(x, err);
    if (flat == NULL) return err ? err->code : TD_E_MEMORY;
    size_t bytes = (size_t)td_tensor_numel(x) * td_dtype_bytes(x->dtype);
    td_session_lock(s);
    if (id == 0 || td_idmap_get(&s->explicit_ids, id)) id = td_obj_fresh_id();
    *out = td_obj_new(&s->place, id, bytes, NULL);
    int rc = *out && td_idmap_set(&s->explicit_ids, id, *out) ? 0 : out_of_memory(err);
    if (rc == 0) rc = td_record_begin(s, TD_REC_PUT, err);
    if (rc == 0) {
        td_text_new_id(&s->text, id, *out);
        td_put_byte(&s->text.text, (unsigned)x->dtype);
        td_put_shape(&s->text.text, &x->shape);
        td_put_tags(&s->text.text, tags ? tags : &none);
        if (bytes > s->bulk.size) td_writer_reserve(&s->bulk, bytes);
        td_put_bytes(&s->bulk, td_tensor_data(flat), bytes);
        rc = td_record_end(s, err);
    }
    if (rc && *out) {
        forget_id(s, *out);
        (*out)->gone = true;
        td_obj_unref(out);
    }
    td_session_unlock(s);
    td_tensor_unref(&flat);
    return rc;
}

static int check_there(const td_obj *obj, const char *call, td_err *err) {
    if (!obj->gone) return 0;
    td_fail(err, TD_E_NOT_FOUND, call, "object %llu is no longer at %s",
            (unsigned long long)obj->id, obj->place->name);
    td_hint(err, "get() and move() take it away from there; copy() leaves it");
    return TD_E_NOT_FOUND;
}

static int ask_for(td_session *s, td_obj *obj, bool drop, td_coming *c, td_err *err) {
    int rc = check_there(obj, drop ? "get" : "copy", err);
    if (rc) return rc;
    c->id = td_obj_fresh_id();
    td_session_lock(s);
    rc = td_record_begin(s, TD_REC_GET, err);
    if (rc == 0) {
        td_text_new_id(&s->text, c->id, NULL);
        td_text_name(&s->text, obj);
        td_put_byte(&s->text.text, drop);
        rc = td_await(s, c->id, c, NULL, err);
    }
    if (rc == 0 && drop) {
        obj->gone = true;
        forget_id(s, obj);
    }
    if (rc == 0) rc = td_record_end(s, err);
    td_session_unlock(s);
    return rc;
}

int td_session_get(td_session *s, td_obj *obj, bool drop, td_coming **out, td_err *err) {
    *out = td_coming_new(&s->place, 0);
    if (*out == NULL) return out_of_memory(err);
    int rc = ask_for(s, obj, drop, *out, err);
    if (rc) td_coming_unref(out);
    return rc;
}

int td_session_free(td_session *s, td_obj *obj, td_err *err) {
    int rc = check_there(obj, "free", err);
    if (rc) return rc;
    obj->gone = true;
    record_drop(&s->place, obj);
    return 0;
}

int td_session_tag(td_session *s, td_obj *obj, const td_tags *tags, td_err *err) {
    int rc = check_there(obj, "tag", err);
    if (rc) return rc;
    td_session_lock(s);
    rc = td_record_begin(s, TD_REC_TAG, err);
    if (rc == 0) {
        td_text_name(&s->text, obj);
        td_put_tags(&s->text.text, tags);
        rc = td_record_end(s, err);
    }
    td_session_unlock(s);
    return rc;
}

int td_session_clear(td_session *s, td_err *err) {
    td_session_lock(s);
    int rc = td_record_begin(s, TD_REC_CLEAR, err);
    if (rc == 0) rc = td_record_end(s, err);
    td_session_unlock(s);
    return rc;
}

td_obj *td_session_adopt(td_session *s, const td_about *about) {
    size_t bytes = 0;
    td_shape_bytes(&about->meta.shape, about->meta.dtype, &bytes, NULL);
    td_obj *o = td_obj_new(&s->place, about->id, bytes, NULL);
    if (o) o->keep = true;
    return o;
}

static int place_wait(td_place *p, td_coming *c, td_err *err) {
    td_session *s = (td_session *)p;
    if (c->from) {
        int rc = ask_for(s, c->from, true, c, err);
        if (rc) return rc;
        td_obj_unref(&c->from);
    }
    return td_session_wait_for(s, c, err);
}

static void place_destroy(td_place *p) { td_session_destroy((td_session *)p); }

static int place_put(td_place *p, td_tensor *t, td_obj **out, td_err *err) {
    return td_session_send((td_session *)p, t, 0, NULL, out, err);
}

const td_place_ops td_session_place_ops = {.apply = record_op,
                                           .put = place_put,
                                           .drop = record_drop,
                                           .wait = place_wait,
                                           .destroy = place_destroy};
