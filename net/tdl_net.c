/* tide.connect(url, {key =, server =, timeout =}). Its documentation stands in plans/session/connect.lua. */
#include "net/tdl_net.h"

#include <stdio.h>
#include <string.h>

#include "net/transport.h"
#include "plans/session/tdl_worker.h"

#define TIMEOUT_S 3.0
#define TIMEOUT_MAX_S 3600.0

/* [-0, +1, e] */
static const char *take_path(lua_State *L, const char *name, const char *what) {
    lua_pushstring(L, name);
    int type = lua_istable(L, 2) ? lua_rawget(L, 2) : LUA_TNIL;
    if (type == LUA_TNIL)
        tdl_fail(L, TD_E_ARGUMENT, "connect", "the option '%s' is missing: %s", name,
                 what);
    if (type != LUA_TSTRING)
        tdl_fail(L, TD_E_ARGUMENT, "connect", "the option '%s' is a path, got a %s", name,
                 lua_typename(L, type));
    return lua_tostring(L, -1);
}

static int take_timeout(lua_State *L) { /* [-0, +0, e] */
    lua_pushstring(L, "timeout");
    int type = lua_rawget(L, 2);
    double s = type == LUA_TNIL ? TIMEOUT_S : lua_tonumber(L, -1);
    if (type != LUA_TNIL && (type != LUA_TNUMBER || !(s > 0 && s <= TIMEOUT_MAX_S)))
        tdl_fail(L, TD_E_ARGUMENT, "connect",
                 "the option 'timeout' is a number of seconds up to %g, got %s",
                 TIMEOUT_MAX_S, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    return (int)(s * 1000) + 1;
}

/* "keys/alice.pub" is alice, until the worker says its own name. */
static void name_of(const char *path, char *name, size_t room) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    if (n > 4 && strcmp(base + n - 4, ".pub") == 0) n -= 4;
    snprintf(name, room, "%.*s", (int)(n < room ? n : room - 1), base);
}

static int raise_as_connect(lua_State *L, td_err *err) { /* [-0, +0, e] */
    snprintf(err->call, sizeof err->call, "connect");
    return tdl_raise(L, err);
}

static int connect_worker(lua_State *L) { /* [-2, +1, e] */
    static const char *const options[] = {"key", "server", "timeout", NULL};
    char name[64], server_key[TD_KEY_TEXT];
    if (lua_type(L, 1) != LUA_TSTRING)
        return tdl_fail(L, TD_E_ARGUMENT, "connect",
                        "an address such as tcp://127.0.0.1:7700 is wanted, got a %s",
                        luaL_typename(L, 1));
    lua_settop(L, 2);
    tdl_check_options(L, 2, "connect", options);
    const char *server_path =
        take_path(L, "server", "the file with the worker's public key, alice.pub");
    const char *key_path = take_path(L, "key", "the file with your secret key, me.key");
    int timeout_ms = take_timeout(L);
    name_of(server_path, name, sizeof name);
    td_remote to = {.url = lua_tostring(L, 1),
                    .name = name,
                    .server_path = server_path,
                    .server_key = server_key,
                    .timeout_ms = timeout_ms};
    td_err err = {0};
    td_keypair key = {0};
    td_transport transport;
    tdl_push_worker(L);
    int rc = td_keys_load_public(server_path, server_key, &err);
    if (rc == 0) rc = td_keys_load_secret(key_path, &key, &err);
    to.key = &key;
    if (rc == 0) rc = td_transport_open(&to, &transport, &err);
    td_keypair_clear(&key);
    if (rc) return raise_as_connect(L, &err);
    tdl_begin_session(L, name, &transport);
    td_session *session = tdl_check_worker(L, -1, "connect");
    td_transport_tick(&transport, session);
    if (td_session_open(session, timeout_ms + 1000, &err)) {
        /* the thread goes now, not when the collector comes by */
        lua_getfield(L, -1, "close");
        lua_pushvalue(L, -2);
        lua_call(L, 1, 0);
        return raise_as_connect(L, &err);
    }
    return 1;
}

void tdl_open_net(lua_State *L) { /* [-0, +0, e] */
    int top = lua_gettop(L);
    tdl_require(L, "tide.core");
    lua_pushcfunction(L, connect_worker);
    lua_setfield(L, -2, "connect");
    tdl_require(L, "plans/session/connect.lua");
    lua_settop(L, top);
}
