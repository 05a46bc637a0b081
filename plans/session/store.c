/* The object store of a session. Knows nothing of messages. */
#include "plans/session/store.h"

#include "runtime/mem.h"

td_object *td_store_get(const td_store *s, uint64_t id) {
    return td_idmap_get(&s->map, id);
}

static void object_free(td_object *o) {
    td_tensor_unref(&o->t);
    if (o->poison && --o->poison->refs == 0) td_free(o->poison);
    td_free(o->tags);
    td_free(o);
}

static td_object *entry_new(td_store *s, uint64_t id, td_err *err) {
    if (td_store_get(s, id)) {
        td_fail(err, TD_E_STATE, "", "object %llu is there already",
                (unsigned long long)id);
        return NULL;
    }
    if (s->map.count >= s->max_objects) {
        td_fail(err, TD_E_LIMIT, "",
                "the session holds %zu objects, more are not allowed", s->map.count);
        return NULL;
    }
    td_object *o = td_new(td_object);
    if (o == NULL || !td_idmap_set(&s->map, id, o)) {
        td_free(o);
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    return o;
}

int td_store_put(td_store *s, uint64_t id, td_tensor *t, td_object **out, td_err *err) {
    td_object *o = entry_new(s, id, err);
    if (o == NULL) {
        td_tensor_unref(&t);
        return err ? err->code : TD_E_MEMORY;
    }
    o->t = t;
    if (out) *out = o;
    return 0;
}

void td_store_poison(td_store *s, uint64_t id, td_poison *poison) {
    td_object *o = entry_new(s, id, NULL);
    if (o == NULL) return;
    o->poison = poison;
    poison->refs++;
}

void td_store_remove(td_store *s, uint64_t id) {
    td_object *o = td_idmap_remove(&s->map, id);
    if (o) object_free(o);
}

void td_store_clear(td_store *s) {
    uint64_t id;
    void *o;
    for (size_t at = 0; td_idmap_next(&s->map, &at, &id, &o);) object_free(o);
    td_idmap_free(&s->map);
}

void td_store_about(uint64_t id, const td_object *o, td_about *a) {
    *a = (td_about){.id = id};
    if (o->tags) a->tags = *o->tags;
    a->meta.dtype = o->t ? o->t->dtype : TD_F32;
    if (o->t) a->meta.shape = o->t->shape;
}
