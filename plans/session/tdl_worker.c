/* Workers as Lua sees them: the userdata of a session and its methods. What tensors get from it is in
 * tdl_pointer.c. */
#include "plans/session/tdl_worker.h"

#include <stdio.h>
#include <string.h>

#include "plans/session/tdl_pointer.h"
#include "plans/session/virtual.h"
#include "runtime/mem.h"

#define WORKER "tide.worker"
/* Registry table that keeps workers until they are closed: pointers stand for nothing without them. */
#define OPEN_WORKERS "tide.open_workers"

static td_session *test_worker(lua_State *L, int idx) {
    td_session **slot = luaL_testudata(L, idx, WORKER);
    return slot ? *slot : NULL;
}

td_session *tdl_check_worker(lua_State *L, int idx, const char *call) {
    td_session *s = test_worker(L, idx);
    if (s) return s;
    if (luaL_testudata(L, idx, WORKER))
        tdl_fail(L, TD_E_STATE, call, "the worker's session has been closed");
    tdl_fail(L, TD_E_ARGUMENT, call, "wants a worker, got %s", luaL_typename(L, idx));
    return NULL;
}

/* ---- hooks of the session ---- */

static void hook_where(char *text, size_t size) {
    lua_State *L = tdl_current();
    text[0] = 0;
    if (L) tdl_user_line(L, text, size);
}

static void hook_idle(void *ctx) {
    (void)ctx;
    lua_State *L = tdl_current();
    if (L) tdl_collect(L, true);
}

/* ---- methods ---- */

static void push_tags(lua_State *L, const td_tags *tags) {
    lua_createtable(L, tags->count, 0);
    for (int i = 0; i < tags->count; i++) {
        lua_pushstring(L, tags->tag[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_about(lua_State *L, const td_about *a) {
    size_t bytes = 0;
    td_shape_bytes(&a->meta.shape, a->meta.dtype, &bytes, NULL);
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, (lua_Integer)a->id);
    lua_setfield(L, -2, "id");
    lua_pushstring(L, td_dtype_name(a->meta.dtype));
    lua_setfield(L, -2, "dtype");
    lua_createtable(L, a->meta.shape.ndim, 0);
    for (int i = 0; i < a->meta.shape.ndim; i++) {
        lua_pushinteger(L, a->meta.shape.dim[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, (lua_Integer)bytes);
    lua_setfield(L, -2, "bytes");
    push_tags(L, &a->tags);
    lua_setfield(L, -2, "tags");
    lua_pushstring(L, a->tags.description);
    lua_setfield(L, -2, "description");
}

/* A list in a userdata of its own, so that an error half way through does not lose it. [-0, +1, m] */
typedef struct about_list {
    td_about *item;
    int count;
} about_list;

static int about_gc(lua_State *L) {
    about_list *l = lua_touserdata(L, 1);
    td_free(l->item);
    l->item = NULL;
    return 0;
}

static about_list *push_list(lua_State *L) {
    about_list *l = lua_newuserdatauv(L, sizeof *l, 0);
    *l = (about_list){0};
    if (luaL_newmetatable(L, "tide.about")) {
        lua_pushcfunction(L, about_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return l;
}

static int worker_objects(lua_State *L) {
    td_session *s = tdl_check_worker(L, 1, "objects");
    td_err err = {0};
    about_list *l = push_list(L);
    lua_State *before = tdl_enter(L);
    int rc = td_session_objects(s, &l->item, &l->count, &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    lua_createtable(L, l->count, 0);
    for (int i = 0; i < l->count; i++) {
        push_about(L, &l->item[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* A hit is a pointer; one on a data set is bob:dataset(name), made by the library's hook. */
static void push_hit(lua_State *L, td_session *s, const td_about *a) {
    if (a->dataset[0]) {
        lua_getfield(L, 1, "dataset");
        lua_pushvalue(L, 1);
        lua_pushstring(L, a->dataset);
        lua_call(L, 2, 1);
        return;
    }
    td_err err = {0};
    td_val **slot = tdl_push_slot(L);
    *slot = td_val_away(td_session_adopt(s, a), &a->meta, &err);
    if (*slot == NULL) {
        if (err.code == 0) td_fail(&err, TD_E_MEMORY, "search", "out of memory");
        tdl_raise(L, &err);
    }
    tdl_set_val_tags(*slot, &a->tags);
}

/* bob:search("#a", "#b") or bob:search{"#a", "#b"}: what bears all of them. */
static int worker_search(lua_State *L) {
    td_session *s = tdl_check_worker(L, 1, "search");
    td_tags tags = {0};
    tdl_take_tags(L, 2, &tags, "search");
    td_err err = {0};
    about_list *l = push_list(L);
    lua_State *before = tdl_enter(L);
    int rc = td_session_search(s, &tags, &l->item, &l->count, &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    s = tdl_check_worker(L, 1, "search"); /* it may have been closed while we waited */
    lua_createtable(L, l->count, 0);
    for (int i = 0; i < l->count; i++) {
        push_hit(L, s, &l->item[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* Tensors of a data set: x, y (or nil), tags. bob:dataset makes an object of them. */
static int worker_rows(lua_State *L) {
    td_session *s = tdl_check_worker(L, 1, "dataset");
    const char *name = luaL_checkstring(L, 2);
    if (strlen(name) >= TD_NAME_BYTES)
        return tdl_fail(L, TD_E_ARGUMENT, "dataset", "a name of %d bytes, at most %d go",
                        (int)strlen(name), TD_NAME_BYTES - 1);
    td_val **x = tdl_push_slot(L), **y = tdl_push_slot(L);
    td_about about[2];
    td_obj *ox, *oy;
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = td_session_dataset(s, name, &ox, &about[0], &oy, &about[1], &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    *x = td_val_away(ox, &about[0].meta, &err);
    if (oy) *y = td_val_away(oy, &about[1].meta, &err);
    if (*x == NULL || (oy && *y == NULL)) return tdl_raise(L, &err);
    if (oy == NULL) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    push_tags(L, &about[0].tags);
    return 3;
}

static int worker_ping(lua_State *L) {
    td_session *s = tdl_check_worker(L, 1, "ping");
    td_err err = {0};
    double ms = 0;
    if (td_session_ping(s, &ms, &err)) return tdl_raise(L, &err);
    lua_pushnumber(L, ms);
    return 1;
}

/* The collector runs before a wait, and with it any finaliser: one may close this very worker. */
static int wait_for_all(td_session *s, bool clear, td_err *err) {
    td_place *held = td_place_ref(td_session_place(s));
    int rc = clear ? td_session_clear(s, err) : 0;
    if (rc == 0) rc = td_session_wait(s, err);
    td_place_unref(&held);
    return rc;
}

static int worker_clear(lua_State *L) {
    td_session *s = tdl_check_worker(L, 1, "clear");
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = wait_for_all(s, true, &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int worker_flush(lua_State *L) {
    td_err err = {0};
    if (td_session_flush(tdl_check_worker(L, 1, "flush"), &err))
        return tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int worker_wait(lua_State *L) {
    td_session *s = tdl_check_worker(L, 1, "wait");
    td_err err = {0};
    lua_State *before = tdl_enter(L);
    int rc = wait_for_all(s, false, &err);
    tdl_leave(before);
    if (rc) return tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int worker_stats(lua_State *L) {
    td_session_stats st = td_session_get_stats(tdl_check_worker(L, 1, "stats"));
    const struct {
        const char *name;
        uint64_t value;
    } field[] = {{"batches", st.batches},
                 {"batches_by_name", st.named},
                 {"waits", st.waits},
                 {"operations", st.ops},
                 {"messages_out", st.frames_out},
                 {"messages_in", st.frames_in},
                 {"bytes_out", st.bytes_out},
                 {"bytes_in", st.bytes_in}};
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        lua_pushinteger(L, (lua_Integer)field[i].value);
        lua_setfield(L, -2, field[i].name);
    }
    return 1;
}

static int worker_disconnect(lua_State *L) {
    td_err err = {0};
    if (td_session_disconnect(tdl_check_worker(L, 1, "disconnect"), &err))
        return tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int worker_connect(lua_State *L) {
    td_err err = {0};
    if (td_session_open(tdl_check_worker(L, 1, "connect"), 3000, &err))
        return tdl_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int worker_close(lua_State *L) {
    td_session **slot = luaL_checkudata(L, 1, WORKER);
    if (*slot) {
        td_place *p = td_session_place(*slot);
        td_session_end(*slot);
        td_place_unref(&p);
        *slot = NULL;
        luaL_getsubtable(L, LUA_REGISTRYINDEX, OPEN_WORKERS);
        lua_pushvalue(L, 1);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    return 0;
}

static int is_worker(lua_State *L) { /* [-0, +1, -] */
    lua_pushboolean(L, luaL_testudata(L, 1, WORKER) != NULL);
    return 1;
}

static int worker_tostring(lua_State *L) {
    td_session *s = test_worker(L, 1);
    lua_pushfstring(L, "<worker %s>", s ? td_session_place(s)->name : "closed");
    return 1;
}

/* Methods from the table at upvalue 1; `name` is a field. Looks at nothing remote. */
static int worker_index(lua_State *L) {
    const char *key = lua_tostring(L, 2);
    if (key && strcmp(key, "name") == 0) {
        td_session *s = test_worker(L, 1);
        lua_pushstring(L, s ? td_session_place(s)->name : "closed");
        return 1;
    }
    lua_pushvalue(L, 2);
    lua_gettable(L, lua_upvalueindex(1));
    return 1;
}

static const luaL_Reg methods[] = {{"objects", worker_objects},
                                   {"search", worker_search},
                                   {"ping", worker_ping},
                                   {"clear", worker_clear},
                                   {"flush", worker_flush},
                                   {"wait", worker_wait},
                                   {"stats", worker_stats},
                                   {"close", worker_close},
                                   {"disconnect", worker_disconnect},
                                   {"connect", worker_connect},
                                   {"rows", worker_rows},
                                   {NULL, NULL}};

void tdl_push_worker(lua_State *L) {
    td_session **slot = lua_newuserdatauv(L, sizeof *slot, 1);
    *slot = NULL;
    luaL_setmetatable(L, WORKER);
}

void tdl_begin_session(lua_State *L, const char *name, const td_transport *transport) {
    td_session_hooks hooks = {
        .where = hook_where, .idle = hook_idle, .interrupted = tdl_is_interrupted};
    td_session **slot = lua_touserdata(L, -1);
    td_err err = {0};
    *slot = td_session_new(name, transport, &hooks, &err);
    if (*slot == NULL) tdl_raise(L, &err);
    tdl_set_place(L, td_session_place(*slot), lua_gettop(L));
    luaL_getsubtable(L, LUA_REGISTRYINDEX, OPEN_WORKERS);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* tide.VirtualWorker("bob"): one of the same name is the same worker. */
static int virtual_worker(lua_State *L) {
    size_t n;
    const char *name = luaL_checklstring(L, 1, &n);
    if (n == 0 || n >= TD_NAME_BYTES)
        return tdl_fail(L, TD_E_ARGUMENT, "VirtualWorker",
                        "a name has 1 to %d bytes, got %zu", TD_NAME_BYTES - 1, n);
    if (strlen(name) != n)
        return tdl_fail(L, TD_E_ARGUMENT, "VirtualWorker",
                        "the name has a zero byte in it");
    lua_pushvalue(L, 1);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TUSERDATA && test_worker(L, -1))
        return 1;
    lua_pop(L, 1);
    td_transport transport;
    td_err err = {0};
    tdl_push_worker(L);
    if (td_virtual_new(name, &transport, &err)) return tdl_raise(L, &err);
    tdl_begin_session(L, name, &transport);
    if (td_session_open(tdl_check_worker(L, -1, "VirtualWorker"), 1000, &err))
        return tdl_raise(L, &err);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    return 1;
}

void tdl_wait_workers(lua_State *L) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, OPEN_WORKERS);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        td_session *s = test_worker(L, -2);
        td_err err = {0};
        if (s && td_session_is_owed(s) && td_session_wait(s, &err)) tdl_raise(L, &err);
    }
    lua_pop(L, 1);
}

/* The library's Lua files give these their public names and documentation: core.pointers.tensor, .worker and
 * .VirtualWorker. */
void tdl_open_workers(lua_State *L) {
    int top = lua_gettop(L);
    luaL_newmetatable(L, WORKER);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, worker_index, 1);
    lua_setfield(L, top + 1, "__index");
    lua_pushcfunction(L, worker_close);
    lua_setfield(L, top + 1, "__gc");
    lua_pushcfunction(L, worker_tostring);
    lua_setfield(L, top + 1, "__tostring");
    tdl_require(L, "tide.core");
    lua_newtable(L);
    lua_pushvalue(L, top + 2);
    lua_setfield(L, -2, "worker");
    lua_newtable(L); /* virtual workers by name */
    lua_pushcclosure(L, virtual_worker, 1);
    lua_setfield(L, -2, "VirtualWorker");
    lua_pushcfunction(L, is_worker);
    lua_setfield(L, -2, "is_worker");
    tdl_push_pointer_functions(L);
    lua_setfield(L, -2, "tensor");
    lua_setfield(L, -2, "pointers");
    tdl_require(L, "plans/session/pointers.lua");
    tdl_require(L, "plans/session/federated.lua");
    lua_settop(L, top);
}
