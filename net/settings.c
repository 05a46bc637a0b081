/* Settings files: run in a bare, bounded Lua state, read field by field. */
#include "net/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/tdl.h"
#include "runtime/mem.h"

#define STEPS_MAX 10000000
#define HEAP_MAX ((size_t)16 << 20)
#define TEXT_MAX ((size_t)1 << 20)

/* ---- the state ---- */

typedef struct heap {
    size_t used, most;
} heap;

static void *bounded(void *ud, void *old, size_t old_bytes, size_t bytes) {
    heap *h = ud;
    size_t before = old ? old_bytes : 0;
    if (bytes == 0) {
        td_free(old);
        h->used -= before;
        return NULL;
    }
    if (bytes > before && bytes - before > h->most - h->used) return NULL;
    void *p = td_grow_bytes(old, bytes);
    if (p) h->used += bytes - before;
    return p;
}

static void out_of_steps(lua_State *L, lua_Debug *ar) { /* [-0, +0, e] */
    (void)ar;
    luaL_where(L, 0); /* a hook is no level of its own */
    lua_pushfstring(L, "it ran for %d million steps: a configuration only makes a table",
                    STEPS_MAX / 1000000);
    lua_concat(L, 2);
    lua_error(L);
}

/* What a global name gives: nothing is there, and the message says so. */
static int no_global(lua_State *L) { /* [-2, +0, e] */
    return luaL_error(L, "there is no '%s' here: a configuration can only make a table",
                      luaL_tolstring(L, 2, NULL));
}

static int close_globals(lua_State *L) { /* [-0, +0, m] */
    lua_pushglobaltable(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, no_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 0;
}

static char *read_text(const char *path, size_t *size, td_err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        td_fail(err, errno == ENOENT ? TD_E_NOT_FOUND : TD_E_IO, "worker",
                "%s cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    char *text = NULL;
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        td_fail(err, TD_E_IO, "worker", "%s is not a file", path);
    } else if ((size_t)st.st_size > TEXT_MAX) {
        td_fail(err, TD_E_LIMIT, "worker",
                "%s has %lld bytes, a configuration has at most %zu", path,
                (long long)st.st_size, TEXT_MAX);
    } else if ((text = td_new_bytes((size_t)st.st_size + 1)) == NULL) {
        td_fail(err, TD_E_MEMORY, "worker", "out of memory");
    } else {
        ssize_t n = read(fd, text, (size_t)st.st_size);
        *size = n < 0 ? 0 : (size_t)n;
        if (n < 0) {
            td_fail(err, TD_E_IO, "worker", "%s cannot be read: %s", path,
                    strerror(errno));
            td_free(text);
            text = NULL;
        }
    }
    close(fd);
    return text;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Runs the text; the table is left on the stack. */
static int run_text(lua_State *L, const char *path, const char *text, size_t size,
                    td_err *err) {
    char chunk[200];
    snprintf(chunk, sizeof chunk, "@%.190s", base_name(path));
    lua_pushcfunction(L, close_globals);
    int status = lua_pcall(L, 0, 0, 0);
    if (status == LUA_OK) status = luaL_loadbufferx(L, text, size, chunk, "t");
    lua_sethook(L, out_of_steps, LUA_MASKCOUNT, STEPS_MAX);
    if (status == LUA_OK) status = lua_pcall(L, 0, 1, 0);
    lua_sethook(L, NULL, 0, 0);
    if (status == LUA_ERRMEM)
        return td_fail(err, TD_E_LIMIT, "worker", "%s makes more than %zu MiB",
                       base_name(path), HEAP_MAX >> 20);
    if (status != LUA_OK) {
        const char *msg = lua_tostring(L, -1);
        return td_fail(err, TD_E_SCRIPT, "worker", "%s",
                       msg ? msg : "the configuration raised an error");
    }
    if (lua_type(L, -1) != LUA_TTABLE)
        return td_fail(err, TD_E_SCRIPT, "worker",
                       "%s returns %s%s, a configuration returns a table",
                       base_name(path), lua_isnil(L, -1) ? "" : "a ",
                       lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
    return 0;
}

lua_State *td_settings_open(const char *path, td_err *err) {
    size_t size = 0;
    heap *h = td_new(heap);
    char *text = h ? read_text(path, &size, err) : NULL;
    if (h) h->most = HEAP_MAX;
    lua_State *L = text ? lua_newstate(bounded, h) : NULL;
    if (h == NULL || (text && L == NULL))
        td_fail(err, TD_E_MEMORY, "worker", "out of memory");
    if (L == NULL) {
        td_free(text);
        td_free(h);
        return NULL;
    }
    int rc = run_text(L, path, text, size, err);
    td_free(text);
    /* the fields are read under no pcall: that must not run into the bound */
    h->most = SIZE_MAX;
    if (rc) td_settings_close(&L);
    return L;
}

void td_settings_close(lua_State **L) {
    if (*L == NULL) return;
    void *h;
    lua_getallocf(*L, &h);
    lua_close(*L);
    td_free(h);
    *L = NULL;
}

int td_settings_path(const char *file, const char *path, char *out, size_t room,
                     td_err *err) {
    const char *slash = strrchr(file, '/');
    int folder = path[0] == '/' || slash == NULL ? 0 : (int)(slash - file + 1);
    int n = snprintf(out, room, "%.*s%s", folder, file, path);
    if (n < 0 || (size_t)n >= room)
        return td_fail(err, TD_E_LIMIT, "worker", "the path %.100s is too long", path);
    return 0;
}

/* ---- fields ---- */

void td_section_fail(td_section *s, const char *name, const char *fmt, ...) {
    if (s->failed) return;
    s->failed = true;
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (name)
        td_fail(s->err, TD_E_ARGUMENT, "worker", "%s: %s%s: %s", s->file, s->prefix, name,
                text);
    else
        td_fail(s->err, TD_E_ARGUMENT, "worker", "%s: %s", s->file, text);
}

void td_section_check(td_section *s, const char *const *names) { /* [-0, +0, -] */
    for (lua_pushnil(s->L); !s->failed && lua_next(s->L, -2); lua_pop(s->L, 1)) {
        const char *key =
            lua_type(s->L, -2) == LUA_TSTRING ? lua_tostring(s->L, -2) : NULL;
        int i = 0;
        while (key && names[i] && strcmp(names[i], key) != 0) i++;
        if (key && names[i]) continue;
        const char *near = key ? tdl_nearest(key, names) : NULL;
        if (key == NULL)
            td_section_fail(s, NULL, "fields of '%.*s' have names, one has a %s",
                            s->prefix[0] ? (int)strlen(s->prefix) - 1 : 17,
                            s->prefix[0] ? s->prefix : "the configuration",
                            luaL_typename(s->L, -2));
        else if (near)
            td_section_fail(s, NULL, "unknown field '%s%.40s', did you mean '%s'?",
                            s->prefix, key, near);
        else
            td_section_fail(s, NULL, "unknown field '%s%.40s'", s->prefix, key);
        lua_pop(s->L, 2);
        return;
    }
}

/* Pushes the field; nil counts as missing. False with nothing pushed when it is not there. */
static bool push_field(td_section *s, const char *name,
                       bool wanted) { /* [-0, +(0|1), -] */
    if (s->failed) return false;
    lua_pushstring(s->L, name);
    if (lua_rawget(s->L, -2) != LUA_TNIL) return true;
    lua_pop(s->L, 1);
    if (wanted) td_section_fail(s, name, "is missing");
    return false;
}

void td_section_text(td_section *s, const char *name, bool wanted, char *text,
                     size_t room) {
    if (!push_field(s, name, wanted)) return; /* [-0, +0, m] */
    size_t n = 0;
    const char *v =
        lua_type(s->L, -1) == LUA_TSTRING ? lua_tolstring(s->L, -1, &n) : NULL;
    if (v == NULL)
        td_section_fail(s, name, "a text is wanted, got a %s", luaL_typename(s->L, -1));
    else if (n == 0 || strlen(v) != n)
        td_section_fail(s, name, n ? "it has a zero byte in it" : "the text is empty");
    else if (n >= room)
        td_section_fail(s, name, "%zu characters, at most %zu go", n, room - 1);
    else
        memcpy(text, v, n + 1);
    lua_pop(s->L, 1);
}

void td_section_count(td_section *s, const char *name, int64_t least, int64_t most,
                      int64_t *value) {
    if (!push_field(s, name, false)) return; /* [-0, +0, -] */
    int is_integer;
    lua_Integer v = lua_type(s->L, -1) == LUA_TNUMBER
                        ? lua_tointegerx(s->L, -1, &is_integer)
                        : (is_integer = 0);
    if (!is_integer)
        td_section_fail(s, name, "a whole number is wanted, got a %s",
                        luaL_typename(s->L, -1));
    else if (v < least || v > most)
        td_section_fail(s, name, "%lld is not from %lld to %lld", (long long)v,
                        (long long)least, (long long)most);
    else
        *value = v;
    lua_pop(s->L, 1);
}

/* -1 when it is no size. */
static double parse_bytes(const char *text) {
    char *end;
    if (text[0] < '0' || text[0] > '9') return -1;
    double v = strtod(text, &end);
    static const char units[] = "KMGT";
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (*end == 0) return v;
    if (unit == NULL || end[1] != 0) return -1;
    for (const char *u = units; u <= unit; u++) v *= 1024;
    return v;
}

void td_section_bytes(td_section *s, const char *name, uint64_t least, uint64_t most,
                      uint64_t *value) {
    if (!push_field(s, name, false)) return; /* [-0, +0, m] */
    double v = -1;
    if (lua_type(s->L, -1) == LUA_TNUMBER) v = lua_tonumber(s->L, -1);
    if (lua_type(s->L, -1) == LUA_TSTRING) v = parse_bytes(lua_tostring(s->L, -1));
    if (!(v >= 0))
        td_section_fail(s, name, "a size such as \"200M\" is wanted, got %s",
                        lua_type(s->L, -1) == LUA_TSTRING ? lua_tostring(s->L, -1)
                                                          : luaL_typename(s->L, -1));
    else if (v < (double)least || v > (double)most)
        td_section_fail(s, name, "%.0f bytes are not from %llu to %llu", v,
                        (unsigned long long)least, (unsigned long long)most);
    else
        *value = (uint64_t)v;
    lua_pop(s->L, 1);
}

bool td_section_enter(td_section *s, const char *name,
                      bool wanted) { /* [-0, +(0|1), -] */
    if (!push_field(s, name, wanted)) return false;
    if (lua_istable(s->L, -1)) return true;
    td_section_fail(s, name, "a table is wanted, got a %s", luaL_typename(s->L, -1));
    lua_pop(s->L, 1);
    return false;
}
