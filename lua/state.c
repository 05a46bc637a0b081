/* The host: a Lua state with tide's language in it. Library files come out of the program itself and are
 * marked as the library's in their chunk names ("=tide/nn.lua"), which is how errors find the user's line. */
#include <stdio.h>
#include <string.h>

#include <lualib.h>

#include "lua/embedded.h"
#include "lua/host.h"
#include "runtime/clock.h"
#include "runtime/mem.h"
#include "runtime/pool.h"

static const char hooks_key = 0;

/* ---- embedded files ---- */

static const struct td_embedded *find_file(const char *name) {
    for (const struct td_embedded *f = td_embedded_files; f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

/* "tide.nn.linear" is lua/nn/linear.lua; "tide.plans.local_sgd" is plans/local_sgd.lua when there is no
 * lua/plans/local_sgd.lua. */
static const struct td_embedded *find_module(const char *module) {
    char path[200];
    if (strncmp(module, "tide.", 5) != 0) return NULL;
    for (int k = 0; k < 2; k++) {
        int n = snprintf(path, sizeof path, "%s%s", k == 0 ? "lua/" : "", module + 5);
        if (n < 0 || (size_t)n + 5 > sizeof path) return NULL;
        for (char *p = path; *p; p++)
            if (*p == '.') *p = '/';
        snprintf(path + n, sizeof path - (size_t)n, ".lua");
        const struct td_embedded *f = find_file(path);
        if (f) return f;
    }
    return NULL;
}

/* Loads a file as a function; its chunk name says that it is the library's. [-0, +1, e] */
static void load_file(lua_State *L, const struct td_embedded *f) {
    char chunk[200];
    const char *name = strncmp(f->name, "lua/", 4) == 0 ? f->name + 4 : f->name;
    snprintf(chunk, sizeof chunk, "=tide/%s", name);
    if (luaL_loadbufferx(L, (const char *)f->data, f->size, chunk, "t") != LUA_OK)
        lua_error(L);
}

/* The searcher of embedded modules, second after package.preload. */
static int search_embedded(lua_State *L) { /* [-1, +1, e] */
    const char *module = luaL_checkstring(L, 1);
    const struct td_embedded *f = find_module(module);
    if (f == NULL) {
        lua_pushfstring(L, "no embedded file for '%s'", module);
        return 1;
    }
    load_file(L, f); /* and no loader data, so that require has one result */
    return 1;
}

static void add_searcher(lua_State *L) { /* [-0, +0, m] */
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = n; i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, search_embedded);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

void tdl_require(lua_State *L, const char *name) { /* [-0, +1, e] */
    char module[200];
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".lua") == 0) {
        if (strncmp(name, "lua/", 4) == 0) name += 4;
        snprintf(module, sizeof module, "tide.%.*s", (int)(strlen(name) - 4), name);
        for (char *p = module; *p; p++)
            if (*p == '/') *p = '.';
        name = module;
    }
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
}

/* clock(): seconds of a clock that only goes forward. */
static int core_clock(lua_State *L) { /* [-0, +1, -] */
    lua_pushnumber(L, (double)td_clock_ns() * 1e-9);
    return 1;
}

/* embedded(name): the contents of an embedded file, or nil. */
static int core_embedded(lua_State *L) { /* [-1, +1, e] */
    const struct td_embedded *f = find_file(luaL_checkstring(L, 1));
    if (f)
        lua_pushlstring(L, (const char *)f->data, f->size);
    else
        lua_pushnil(L);
    return 1;
}

/* embedded_names(): a list of all their names. */
static int core_embedded_names(lua_State *L) { /* [-0, +1, m] */
    lua_newtable(L);
    lua_Integer i = 0;
    for (const struct td_embedded *f = td_embedded_files; f->name; f++) {
        lua_pushstring(L, f->name);
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

/* ---- hooks ---- */

/* hook(name, f): f becomes what C calls under that name. */
static int core_hook(lua_State *L) { /* [-2, +0, e] */
    luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
    lua_insert(L, 1);
    lua_settable(L, 1);
    return 0;
}

void tdl_push_hook(lua_State *L, const char *name) { /* [-0, +1, e] */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
    if (lua_getfield(L, -1, name) != LUA_TFUNCTION)
        luaL_error(L, "the library has not set %s", name);
    lua_remove(L, -2);
}

int tdl_tostring(lua_State *L) { /* [-1, +1, e] */
    tdl_check_val(L, 1, "tostring");
    lua_settop(L, 1);
    tdl_push_hook(L, "tostring");
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* help(...) and complete(before) call the hooks of those names, for Lua code: upvalue 1 is the name. */
static int core_call_hook(lua_State *L) { /* [-n, +?, e] */
    tdl_push_hook(L, lua_tostring(L, lua_upvalueindex(1)));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static void set_hook_caller(lua_State *L, const char *name) { /* [-0, +0, m] */
    lua_pushstring(L, name);
    lua_pushcclosure(L, core_call_hook, 1);
    lua_setfield(L, -2, name);
}

/* threads(n): how many threads the pool works on; n, 1 to 256, sets it, nil does not. */
static int core_threads(lua_State *L) { /* [-0, +1, -] */
    if (lua_isinteger(L, 1)) td_pool_set_threads((int)lua_tointeger(L, 1));
    lua_pushinteger(L, td_pool_threads());
    return 1;
}

/* data_bytes(): bytes of tensor data alive here, the most there were, objects alive at places, and bytes ever
 * handed out. */
static int core_data_bytes(lua_State *L) { /* [-0, +4, -] */
    lua_pushinteger(L, (lua_Integer)td_data_live_bytes());
    lua_pushinteger(L, (lua_Integer)td_data_peak_bytes());
    lua_pushinteger(L, (lua_Integer)td_away().live_objects);
    lua_pushinteger(L, (lua_Integer)td_data_total_bytes());
    return 4;
}

/* ---- the state ---- */

/* The core table, module "tide.core". [-0, +1, m] */
static void push_core(lua_State *L) {
    static void (*const openers[])(lua_State *) = {
        tdl_open_errors,  tdl_open_options,  tdl_open_tensor, tdl_open_index,
        tdl_open_convert, tdl_open_autograd, tdl_open_ops,    tdl_open_terminal,
        tdl_open_files,   tdl_open_compile,
    };
    static const luaL_Reg functions[] = {{"clock", core_clock},
                                         {"embedded", core_embedded},
                                         {"embedded_names", core_embedded_names},
                                         {"hook", core_hook},
                                         {"data_bytes", core_data_bytes},
                                         {"threads", core_threads},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    set_hook_caller(L, "help");
    set_hook_caller(L, "complete");
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) openers[i](L);
}

/* Everything that may raise while a state is made. [-0, +0, e] */
static int open_all(lua_State *L) {
    luaL_openlibs(L);
    add_searcher(L);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &hooks_key);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    push_core(L);
    lua_setfield(L, -2, "tide.core");
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setglobal(L, "tide");
    lua_setfield(L, -2,
                 "tide"); /* there from the start: the parts of the library fill it */
    tdl_require(L, "tide.tide");
    lua_pushnil(L); /* one name for it, "tide", in traces and for require */
    lua_setfield(L, -3, "tide.tide");
    return 0;
}

/* Lua's memory comes from the same lists as tensors' headers: a userdata and what hangs on it are made and
 * freed together by the thousands. */
static void *resize(void *ctx, void *p, size_t old_bytes, size_t bytes) {
    (void)ctx; /* of a new block, old_bytes tells Lua's type and no size */
    return td_resize_bytes(p, p ? old_bytes : 0, bytes);
}

/* An error outside of any protected call is our own bug. */
static int panic(lua_State *L) {
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "tide: unprotected error in Lua: %s\n", text ? text : "no text");
    return 0; /* to abort */
}

lua_State *tdl_state_new(td_err *err) {
    lua_State *L = lua_newstate(resize, NULL);
    tdl_host *host = td_new(tdl_host);
    if (L == NULL || host == NULL) {
        if (L) lua_close(L);
        td_free(host);
        td_fail(err, TD_E_MEMORY, "", "no memory for a Lua state");
        return NULL;
    }
    lua_atpanic(L, panic);
    lua_gc(L, LUA_GCGEN, 0, 0); /* memory.c says why */
    *(tdl_host **)lua_getextraspace(L) = host;
    host->seen_bytes = td_data_total_bytes();
    lua_pushcfunction(L, open_all);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        td_fail(err, TD_E_INTERNAL, "", "the library does not load: %s",
                luaL_tolstring(L, -1, NULL));
        tdl_state_free(&L);
    }
    return L;
}

void tdl_state_free(lua_State **Lp) {
    lua_State *L = *Lp;
    *Lp = NULL;
    if (L == NULL) return;
    tdl_host *host = tdl_host_of(L);
    lua_close(L);
    td_free(host);
}
