/* Error objects: how a failure in C or in the library becomes something that a script can catch, read
 * and print, with the user's own line in it. */
#include <stdio.h>
#include <string.h>

#include "lua/host.h"

static const char error_key = 0; /* its address names the metatable in the registry */

/* ---- where ---- */

static bool is_users(lua_State *L, lua_Debug *ar) {
    lua_getinfo(L, "S", ar);
    if (*ar->what == 'C') return false;
    return strncmp(ar->source, "=tide/", 6) != 0;
}

void tdl_user_line(lua_State *L, char *text, size_t size) {
    lua_Debug ar;
    text[0] = 0;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        if (!is_users(L, &ar)) continue;
        lua_getinfo(L, "l", &ar);
        if (ar.currentline > 0)
            snprintf(text, size, "%s:%d", ar.short_src, ar.currentline);
        else
            snprintf(text, size, "%s", ar.short_src);
        return;
    }
}

static _Thread_local lua_State *current;

lua_State *tdl_current(void) { return current; }

lua_State *tdl_enter(lua_State *L) {
    lua_State *before = current;
    current = L;
    return before;
}

void tdl_leave(lua_State *before) { current = before; }

/* ---- making and raising ---- */

static void set_text(lua_State *L, const char *name, const char *text) { /* [-0, +0, m] */
    if (text == NULL || text[0] == 0) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

void tdl_push_error(lua_State *L, int code, const char *call, const char *msg,
                    const char *hint, const char *where) { /* [-0, +1, m] */
    char line[LUA_IDSIZE + 32];
    if (where == NULL || where[0] == 0) {
        tdl_user_line(L, line, sizeof line);
        where = line;
    }
    luaL_checkstack(L, 4, "error");
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, code);
    lua_setfield(L, -2, "code");
    set_text(L, "kind", td_code_word(code));
    lua_pushstring(L, msg);
    lua_setfield(L, -2, "message");
    set_text(L, "call", call);
    set_text(L, "hint", hint);
    set_text(L, "where", where);
    luaL_traceback(L, L, NULL, 0);
    lua_setfield(L, -2, "trace");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
    lua_setmetatable(L, -2);
}

int tdl_raise(lua_State *L, const td_err *err) { /* [-0, +0, e] */
    if (err->code == TD_E_INTERRUPTED) tdl_forget_interrupt(L);
    tdl_push_error(L, err->code, err->call, err->msg, err->hint, err->where);
    return lua_error(L);
}

int tdl_fail(lua_State *L, td_code code, const char *call, const char *fmt,
             ...) { /* [-0, +0, e] */
    td_err err;
    va_list ap;
    va_start(ap, fmt);
    char msg[sizeof err.msg];
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    td_fail(&err, code, call, "%s", msg);
    return tdl_raise(L, &err);
}

/* ---- the object's behaviour ---- */

static const char *field(lua_State *L, int idx, const char *name) { /* [-0, +1, -] */
    lua_pushstring(L, name);
    lua_rawget(L, idx);
    return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

/* "file:line: in module 3 (nn.ReLU): call: message" */
static int error_tostring(lua_State *L) { /* [-0, +1, m] */
    luaL_checktype(L, 1, LUA_TTABLE);
    static const char *const parts[] = {"where", "context", "call", "message"};
    luaL_Buffer b;
    lua_settop(L, 1);
    for (int i = 0; i < 4; i++) field(L, 1, parts[i]);
    luaL_buffinit(L, &b);
    for (int i = 0; i < 4; i++) {
        const char *text = lua_tostring(L, i + 2);
        if (text == NULL) continue;
        if (i > 0 && luaL_bufflen(&b) > 0) luaL_addstring(&b, ": ");
        luaL_addstring(&b, text);
    }
    luaL_pushresult(&b);
    return 1;
}

static int error_concat(lua_State *L) { /* [-2, +1, e] */
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int error_len(lua_State *L) { /* [-0, +1, e] */
    size_t n;
    luaL_tolstring(L, 1, &n);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* err:find(...): the string function in the upvalue, on the error's text. */
static int error_string_method(lua_State *L) { /* [-n, +?, e] */
    luaL_tolstring(L, 1, NULL);
    lua_replace(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static void push_string_methods(lua_State *L) { /* [-0, +1, m] */
    lua_newtable(L);
    lua_getglobal(L, "string");
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_pushcclosure(L, error_string_method, 1);
        lua_settable(L, -5); /* methods[name] = closure; the key stays for lua_next */
    }
    lua_pop(L, 1);
}

/* ---- for the library ---- */

static int code_of(lua_State *L, const char *word) {
    static const struct {
        const char *word;
        int code;
    } codes[] = {
#define TD_X(name, number, text) {text, number},
        TD_ERRORS(TD_X)
#undef TD_X
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].word, word) == 0) return codes[i].code;
    return luaL_error(L, "there is no kind of error '%s'", word);
}

/* Formats the arguments from `first` on with string.format. [-0, +1, e] */
static const char *format_args(lua_State *L, int first) {
    int n = lua_gettop(L) - first + 1;
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "string");
    lua_getfield(L, -1, "format");
    for (int i = 0; i < n; i++) lua_pushvalue(L, first + i);
    lua_call(L, n, 1);
    return lua_tostring(L, -1);
}

/* fail(kind, call, fmt, ...) */
static int core_fail(lua_State *L) { /* [-n, +0, e] */
    int code = code_of(L, luaL_checkstring(L, 1));
    const char *call = luaL_optstring(L, 2, "");
    tdl_push_error(L, code, call, format_args(L, 3), NULL, NULL);
    return lua_error(L);
}

/* fail_hint(kind, call, hint, fmt, ...) */
static int core_fail_hint(lua_State *L) { /* [-n, +0, e] */
    int code = code_of(L, luaL_checkstring(L, 1));
    const char *call = luaL_optstring(L, 2, ""), *hint = luaL_optstring(L, 3, "");
    tdl_push_error(L, code, call, format_args(L, 4), hint, NULL);
    return lua_error(L);
}

static bool is_error(lua_State *L, int idx) {
    if (!lua_getmetatable(L, idx)) return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* A text "file:line: text" becomes an error object of kind "script". */
void tdl_wrap_error(lua_State *L, int idx) { /* [-0, +0, m] replaces idx */
    if (is_error(L, idx)) return;
    idx = lua_absindex(L, idx);
    int top = lua_gettop(L);
    const char *text = luaL_tolstring(L, idx, NULL);
    const char *end = strstr(text, ": ");
    const char *colon = end;
    while (colon && colon > text && colon[-1] >= '0' && colon[-1] <= '9') colon--;
    if (end && colon < end && colon > text && colon[-1] == ':') {
        lua_pushlstring(L, text, (size_t)(end - text));
        tdl_push_error(L, TD_E_SCRIPT, NULL, end + 2, NULL, lua_tostring(L, -1));
    } else {
        tdl_push_error(L, TD_E_SCRIPT, NULL, text, NULL, NULL);
    }
    lua_replace(L, idx);
    lua_settop(L, top);
}

/* rethrow_with(err, prefix): for containers, which say in which of their parts it happened. */
static int core_rethrow_with(lua_State *L) { /* [-2, +0, e] */
    luaL_checkstring(L, 2);
    tdl_wrap_error(L, 1);
    lua_pushvalue(L, 2);
    if (field(L, 1, "context")[0]) {
        lua_pushfstring(L, "%s: %s", lua_tostring(L, 2), lua_tostring(L, -1));
        lua_replace(L, -3);
    }
    lua_pop(L, 1);
    lua_setfield(L, 1, "context");
    lua_settop(L, 1);
    return lua_error(L);
}

void tdl_open_errors(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg meta[] = {{"__tostring", error_tostring},
                                    {"__concat", error_concat},
                                    {"__len", error_len},
                                    {NULL, NULL}};
    static const luaL_Reg functions[] = {{"fail", core_fail},
                                         {"fail_hint", core_fail_hint},
                                         {"rethrow_with", core_rethrow_with},
                                         {NULL, NULL}};
    luaL_newlib(L, meta);
    push_string_methods(L);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "error");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
    luaL_setfuncs(L, functions, 0);
    lua_newtable(L);
#define TD_X(name, number, word)                                                         \
    lua_pushinteger(L, number);                                                          \
    lua_setfield(L, -2, word);
    TD_ERRORS(TD_X)
#undef TD_X
    lua_setfield(L, -2, "errors");
}
