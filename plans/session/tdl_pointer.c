/* What tensors get from workers: send, get, copy, move; the in-place forms send_ and get_ that modules are
 * moved with; tags and descriptions. */
#include "plans/session/tdl_pointer.h"

#include <stdio.h>
#include <string.h>

#include "plans/session/tdl_worker.h"
#include "runtime/mem.h"
#include "vm/rows.h"

/* ---- tags ---- */

static void add_tag(lua_State *L, int idx, td_tags *tags, const char *call) {
    size_t n;
    if (lua_type(L, idx) != LUA_TSTRING)
        tdl_fail(L, TD_E_ARGUMENT, call, "a tag is a text, got %s",
                 luaL_typename(L, idx));
    const char *tag = lua_tolstring(L, idx, &n);
    if (n == 0 || n >= TD_TAG_BYTES)
        tdl_fail(L, TD_E_ARGUMENT, call, "a tag has 1 to %d bytes, got %zu",
                 TD_TAG_BYTES - 1, n);
    if (strlen(tag) != n)
        tdl_fail(L, TD_E_ARGUMENT, call, "the tag has a zero byte in it");
    for (int i = 0; i < tags->count; i++)
        if (strcmp(tags->tag[i], tag) == 0) return;
    if (tags->count == TD_TAGS_MAX)
        tdl_fail(L, TD_E_LIMIT, call, "more than %d tags", TD_TAGS_MAX);
    snprintf(tags->tag[tags->count++], TD_TAG_BYTES, "%s", tag);
}

void tdl_take_tags(lua_State *L, int idx, td_tags *tags, const char *call) {
    int top = lua_gettop(L);
    for (int i = idx; i <= top; i++) {
        if (lua_type(L, i) != LUA_TTABLE) {
            add_tag(L, i, tags, call);
            continue;
        }
        for (lua_Integer k = 1, n = luaL_len(L, i); k <= n; k++) {
            lua_rawgeti(L, i, k);
            add_tag(L, -1, tags, call);
            lua_pop(L, 1);
        }
    }
}

void tdl_set_val_tags(td_val *v, const td_tags *tags) {
    if (tags->count == 0 && tags->description[0] == 0) return;
    if (v->tag == NULL) v->tag = td_new(td_tags);
    if (v->tag) *(td_tags *)v->tag = *tags;
}

static td_tags tags_of(const td_val *v) {
    static const td_tags none;
    return v->tag ? *(const td_tags *)v->tag : none;
}

/* Tags of a pointer are told to its worker, those of a tensor here travel with send. */
static int retag(lua_State *L, td_val *v, const td_tags *tags) {
    td_err err = {0};
    if (v->tag == NULL) v->tag = td_new(td_tags);
    if (v->tag == NULL) return tdl_fail(L, TD_E_MEMORY, "tag", "out of memory");
    *(td_tags *)v->tag = *tags;
    td_session *s = td_session_of(td_val_place(v));
    lua_State *before = tdl_enter(L);
    int rc = s ? td_session_tag(s, v->obj, tags, &err) : 0;
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int tensor_tag(lua_State *L) {
    td_val *v = tdl_check_val(L, 1, "tag");
    td_tags tags = tags_of(v);
    tdl_take_tags(L, 2, &tags, "tag");
    return retag(L, v, &tags);
}

static void take_description(lua_State *L, int idx, td_tags *tags, const char *call) {
    if (lua_type(L, idx) != LUA_TSTRING)
        tdl_fail(L, TD_E_ARGUMENT, call, "a description is a text, got %s",
                 luaL_typename(L, idx));
    size_t n;
    const char *text = lua_tolstring(L, idx, &n);
    if (n >= TD_DESCRIPTION_BYTES)
        tdl_fail(L, TD_E_ARGUMENT, call, "a description of %zu bytes, at most %d go", n,
                 TD_DESCRIPTION_BYTES - 1);
    if (strlen(text) != n)
        tdl_fail(L, TD_E_ARGUMENT, call, "the description has a zero byte in it");
    snprintf(tags->description, sizeof tags->description, "%s", text);
}

static int tensor_describe(lua_State *L) {
    td_val *v = tdl_check_val(L, 1, "describe");
    td_tags tags = tags_of(v);
    take_description(L, 2, &tags, "describe");
    return retag(L, v, &tags);
}

static int field_tags(lua_State *L) {
    td_tags tags = tags_of(tdl_check_val(L, 1, "tags"));
    lua_createtable(L, tags.count, 0);
    for (int i = 0; i < tags.count; i++) {
        lua_pushstring(L, tags.tag[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int field_description(lua_State *L) {
    td_tags tags = tags_of(tdl_check_val(L, 1, "description"));
    lua_pushstring(L, tags.description);
    return 1;
}

/* ---- sending ---- */

static td_session *session_of(lua_State *L, const td_val *v, const char *call) {
    td_session *s = td_session_of(td_val_place(v));
    if (s == NULL) {
        td_err err;
        td_fail(&err, TD_E_LOCATION, call, "the tensor is here already");
        tdl_raise(L, &err);
    }
    return s;
}

/* The object at s for a value that is here (or on its way); for a pointer, a note that names it. */
static int send_obj(td_session *s, td_val *v, const td_tags *tags, td_obj **out,
                    td_err *err) {
    if (v->obj == NULL) {
        td_tensor *t = td_val_tensor(v, "send", err);
        if (t == NULL) return err->code;
        if (v->id == 0) v->id = td_obj_fresh_id();
        return td_session_send(s, t, v->id, tags, out, err);
    }
    td_tags note = *tags;
    snprintf(note.description, sizeof note.description, "pointer to object %llu at %s",
             (unsigned long long)v->obj->id, v->obj->place->name);
    td_tensor *t = td_tensor_from_i64(TD_I64, (int64_t)v->obj->id, err);
    if (t == NULL) return err->code;
    int rc = td_session_send(s, t, 0, &note, out, err);
    td_tensor_unref(&t);
    return rc;
}

static const char *const send_options[] = {"tags", "description", "gc", NULL};

/* tags: those of the tensor; the ones that are given go with this sending only. */
static void take_send_options(lua_State *L, int idx, td_tags *tags, bool *keep) {
    if (lua_isnoneornil(L, idx)) return;
    luaL_checktype(L, idx, LUA_TTABLE);
    tdl_check_options(L, idx, "send", send_options);
    if (lua_getfield(L, idx, "tags") != LUA_TNIL)
        tdl_take_tags(L, lua_gettop(L), tags, "send");
    if (lua_getfield(L, idx, "description") != LUA_TNIL)
        take_description(L, lua_gettop(L), tags, "send");
    int gc = lua_getfield(L, idx, "gc");
    if (gc != LUA_TNIL && gc != LUA_TBOOLEAN)
        tdl_fail(L, TD_E_ARGUMENT, "send", "gc is true or false, got %s",
                 lua_typename(L, gc));
    *keep = gc == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    lua_pop(L, 3);
}

/* x:send(bob): x stays here too; the result points at what is there. A leaf that wants a gradient has a
 * pointer that does. A pointer may be sent as well: get() on the result gives it back. */
static int tensor_send(lua_State *L) {
    td_val *v = tdl_check_val(L, 1, "send");
    td_session *s = tdl_check_worker(L, 2, "send");
    td_tags tags = tags_of(v);
    bool keep = false;
    take_send_options(L, 3, &tags, &keep);
    td_val **slot = tdl_push_slot(L);
    td_obj *obj = NULL;
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = send_obj(s, v, &tags, &obj, &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    obj->keep = keep;
    td_meta meta = v->meta;
    meta.weak = false;
    *slot = td_val_away(obj, &meta, &err);
    if (*slot == NULL) return tdl_raise(L, &err);
    tdl_set_val_tags(*slot, &tags);
    if (v->obj)
        (*slot)->inner = td_val_ref(v);
    else
        (*slot)->requires_grad = v->requires_grad && td_val_is_leaf(v);
    tdl_collect(L, false);
    return 1;
}

/* ---- fetching ---- */

static td_val *fetch(td_session *s, td_val *v, bool drop, td_err *err) {
    td_coming *c = NULL;
    if (td_session_get(s, v->obj, drop, &c, err)) return NULL;
    td_val *w = td_val_coming(c, &v->meta, err);
    if (w == NULL) return NULL;
    w->id = v->obj->id;
    w->requires_grad = v->requires_grad && td_val_is_leaf(v);
    td_tags tags = tags_of(v);
    tdl_set_val_tags(w, &tags);
    return w;
}

/* A pointer's gradient, when it lives at the same worker. */
static bool grad_is_there(const td_val *v) {
    return v->grad && v->grad->obj && v->grad->obj->place == v->obj->place;
}

static int fetch_tensor(lua_State *L, const char *call, bool drop) {
    td_val *v = tdl_check_val(L, 1, call);
    td_session *s = session_of(L, v, call);
    td_val **slot = tdl_push_slot(L);
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    td_val *w = fetch(s, v, drop, &err);
    if (w && v->grad && td_rows_make_whole(v->grad, &err)) td_val_unref(&w);
    if (w && grad_is_there(v)) {
        w->grad = fetch(s, v->grad, drop, &err);
        if (w->grad == NULL) td_val_unref(&w);
    }
    tdl_leave(before);
    if (w == NULL) return tdl_raise(L, &err);
    *slot = w;
    if (v->inner) { /* the note has done its work; what it named is the result */
        *slot = td_val_ref(v->inner);
        td_val_unref(&w);
    }
    return 1;
}

static int tensor_get(lua_State *L) { return fetch_tensor(L, "get", true); }
static int tensor_copy(lua_State *L) { return fetch_tensor(L, "copy", false); }

/* Under the same id at the other worker, through here. It is given up at the first only when the second has
 * it. *slot owns the value from the fetch on. */
static int move_val(td_session *from, td_session *to, td_val *v, td_val **slot,
                    td_err *err) {
    td_obj *obj = NULL;
    td_val *here = fetch(from, v, false, err);
    if (here == NULL) return err->code;
    *slot = here;
    td_tensor *t = td_val_tensor(here, "move", err);
    td_tags tags = tags_of(v);
    if (t == NULL || td_session_send(to, t, here->id, &tags, &obj, err)) return err->code;
    td_val_become_away(here, obj);
    int rc = td_session_wait(to, err);
    return rc ? rc : td_session_free(from, v->obj, err);
}

static int tensor_move(lua_State *L) {
    td_val *v = tdl_check_val(L, 1, "move");
    td_session *from = session_of(L, v, "move"), *to = tdl_check_worker(L, 2, "move");
    if (from == to) {
        lua_settop(L, 1);
        return 1;
    }
    if (v->inner)
        return tdl_fail(L, TD_E_LOCATION, "move",
                        "a pointer to a pointer; get() it first");
    td_val **slot = tdl_push_slot(L), **grad = tdl_push_slot(L);
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = move_val(from, to, v, slot, &err);
    if (rc == 0 && v->grad) rc = td_rows_make_whole(v->grad, &err);
    if (rc == 0 && grad_is_there(v)) {
        rc = move_val(from, to, v->grad, grad, &err);
        if (rc == 0) (*slot)->grad = td_val_ref(*grad);
    }
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    lua_pop(L, 1);
    return 1;
}

/* ---- in place: parameters keep their identity while they travel ---- */

static int send_in_place(td_session *s, td_val *v, td_err *err) {
    if (v->obj && v->obj->place == td_session_place(s) && !v->obj->gone) return 0;
    if (v->obj)
        return td_fail(err, TD_E_LOCATION, "send", "the tensor is at %s; get() it first",
                       v->obj->place->name);
    td_obj *obj = NULL;
    td_tags tags = tags_of(v);
    int rc = send_obj(s, v, &tags, &obj, err);
    if (rc == 0) td_val_become_away(v, obj);
    return rc;
}

static int tensor_send_in_place(lua_State *L) {
    td_val *v = tdl_check_val(L, 1, "send");
    td_session *s = tdl_check_worker(L, 2, "send");
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = send_in_place(s, v, &err);
    td_val *g = v->grad;
    td_coming *later = g && g->coming && g->coming->from ? g->coming : NULL;
    if (rc == 0 && later && later->from->place == td_session_place(s))
        td_val_become_away(g, td_obj_ref(later->from)); /* it never left */
    else if (rc == 0 && g && g->rows && td_val_place(g))
        ; /* rows stay where they are until somebody looks at them */
    else if (rc == 0 && g && !later && g->obj == NULL)
        rc = send_in_place(s, g, &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

/* Does not wait. The gradient is fetched when somebody looks at it: training loops never do, and it does not
 * travel with the next send either unless it has been looked at. */
static int tensor_get_in_place(lua_State *L) {
    td_val *v = tdl_check_val(L, 1, "get");
    if (v->obj == NULL) {
        lua_settop(L, 1);
        return 1;
    }
    td_session *s = session_of(L, v, "get");
    td_err err = {0};
    td_coming *c = NULL, *later = NULL;
    if (grad_is_there(v)) {
        later = td_coming_later(v->grad->obj);
        if (later == NULL) return tdl_fail(L, TD_E_MEMORY, "get", "out of memory");
        td_val_become_coming(v->grad, later);
    }
    lua_State *before = tdl_enter(L);
    int rc = td_session_get(s, v->obj, true, &c, &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    td_val_become_coming(v, c);
    lua_settop(L, 1);
    return 1;
}

/* ---- does the collector free it there? ---- */

static int field_gc(lua_State *L) {
    const td_val *v = tdl_check_val(L, 1, "gc");
    lua_pushboolean(L, v->obj == NULL || !v->obj->keep);
    return 1;
}

static int set_gc(lua_State *L) {
    td_val *v = tdl_check_val(L, 1, "gc");
    luaL_checktype(L, 2, LUA_TBOOLEAN);
    if (v->obj == NULL)
        return tdl_fail(L, TD_E_LOCATION, "gc", "the tensor is here, not at a worker");
    v->obj->keep = !lua_toboolean(L, 2);
    return 0;
}

static const luaL_Reg methods[] = {{"send", tensor_send},
                                   {"get", tensor_get},
                                   {"copy", tensor_copy},
                                   {"move", tensor_move},
                                   {"tag", tensor_tag},
                                   {"describe", tensor_describe},
                                   {"send_", tensor_send_in_place},
                                   {"get_", tensor_get_in_place},
                                   {NULL, NULL}};

void tdl_push_pointer_functions(lua_State *L) {
    luaL_newlib(L, methods);
    tdl_add_field(L, "tags", field_tags, NULL);
    tdl_add_field(L, "description", field_description, NULL);
    tdl_add_field(L, "gc", field_gc, set_gc);
}
