/* The worker's configuration: which fields there are, and what they may say. */
#include "net/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/tdl.h"
#include "net/address.h"
#include "net/settings.h"
#include "runtime/mem.h"

#define USERS_MAX 10000
#define SETS_MAX 1000
#define IN_SO_MANY_WORDS "I know that nothing jails a session yet"

void td_worker_config_clear(td_worker_config *c) {
    td_free(c->user);
    td_free(c->set);
    *c = (td_worker_config){0};
}

/* ---- addresses ---- */

static void check_listen(td_section *s, const td_worker_config *c, bool beyond) {
    if (s->failed) return;
    if (!td_address_can_listen(c->listen))
        td_section_fail(s, "listen", "'%.80s' is no address such as tcp://127.0.0.1:7700",
                        c->listen);
    else if (!beyond && !td_address_is_local(c->listen))
        td_section_fail(
            s, "listen",
            "%.80s is reached from other machines, and nothing jails a session yet: "
            "listen on "
            "tcp://127.0.0.1%.10s, or say listen_beyond_loopback = \"" IN_SO_MANY_WORDS
            "\"",
            c->listen, strrchr(c->listen, ':'));
}

static bool take_beyond(td_section *s) {
    char text[sizeof IN_SO_MANY_WORDS + 100] = "";
    td_section_text(s, "listen_beyond_loopback", false, text, sizeof text);
    if (s->failed || text[0] == 0) return false;
    if (strcmp(text, IN_SO_MANY_WORDS) != 0)
        td_section_fail(s, "listen_beyond_loopback",
                        "it says \"" IN_SO_MANY_WORDS "\", or is left out");
    return true;
}

/* ---- parts ---- */

/* Names go into messages, object lists and file names: plain characters only. */
static void check_name(td_section *s, const char *field, const char *name) {
    if (s->failed) return;
    if (name[0] == '.' || name[0] == '-' ||
        name[strspn(
            name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] !=
            0)
        td_section_fail(
            s, field, "'%.60s' is no name: letters, digits, '-', '_' and '.' are", name);
}

/* 0 when the word is none of the list (NULL ends it); its position from 1 on otherwise. */
static int take_word(td_section *s, const char *field, bool wanted,
                     const char *const *words) {
    char word[40] = "", list[200] = "";
    td_section_text(s, field, wanted, word, sizeof word);
    if (s->failed || word[0] == 0) return 0;
    size_t used = 0;
    for (int i = 0; words[i]; i++) {
        if (strcmp(word, words[i]) == 0) return i + 1;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 words[i]);
    }
    const char *near = tdl_nearest(word, words);
    if (near)
        td_section_fail(s, field, "there is no '%s', did you mean '%s'?", word, near);
    else
        td_section_fail(s, field, "there is no '%s', there are: %s", word, list);
    return 0;
}

static void take_path(td_section *s, const char *file, const char *field, bool wanted,
                      char *out) {
    char text[PATH_MAX] = "";
    td_section_text(s, field, wanted, text, sizeof text);
    if (!s->failed && text[0] && td_settings_path(file, text, out, PATH_MAX, s->err))
        s->failed = true;
}

static void take_tags(td_section *s, td_tags *t) { /* [-0, +0, m] */
    td_section_text(s, "description", false, t->description, sizeof t->description);
    if (!td_section_enter(s, "tags", false)) return;
    lua_State *L = s->L;
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    if (count > TD_TAGS_MAX)
        td_section_fail(s, "tags", "%lld tags, at most %d go", count, TD_TAGS_MAX);
    for (lua_Integer i = 1; i <= count && !s->failed; i++) {
        const char *tag =
            lua_rawgeti(L, -1, i) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (tag == NULL)
            td_section_fail(s, "tags", "tag %lld is a %s, a text is wanted", i,
                            luaL_typename(L, -1));
        else if (tag[0] == 0 || strlen(tag) >= TD_TAG_BYTES)
            td_section_fail(s, "tags", "tag %lld has %zu characters, from 1 to %d go", i,
                            strlen(tag), TD_TAG_BYTES - 1);
        else
            snprintf(t->tag[t->count++], TD_TAG_BYTES, "%s", tag);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void take_set(td_section *s, const char *file, td_set_config *out) {
    static const char *const fields[] = {"path",   "tags", "description", "policy",
                                         "target", "mock", NULL};
    static const char *const policies[] = {"open", "derived", "plans", "private", NULL};
    /* rows of made-up data for plans to be written with: read, and not served yet */
    int64_t mock = 0;
    td_section_check(s, fields);
    take_path(s, file, "path", true, out->path);
    out->policy = (td_policy)take_word(s, "policy", true, policies);
    td_section_text(s, "target", false, out->target, sizeof out->target);
    td_section_count(s, "mock", 0, INT32_MAX, &mock);
    take_tags(s, &out->tags);
}

static void take_user(td_section *s, const char *file, td_user *out) {
    static const char *const fields[] = {"key", "role", NULL};
    static const char *const roles[] = {"scientist", "owner",  "aggregator",
                                        "gateway",   "dealer", NULL};
    char path[PATH_MAX] = "";
    td_section_check(s, fields);
    take_path(s, file, "key", true, path);
    int role = take_word(s, "role", false, roles);
    snprintf(out->role, sizeof out->role, "%s", roles[role ? role - 1 : 0]);
    if (!s->failed && td_keys_load_public(path, out->public_key, s->err))
        s->failed = true;
}

static void check_users(td_section *s, const td_worker_config *c) {
    for (int i = 0; i < c->user_count && !s->failed; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(c->user[i].public_key, c->user[j].public_key) == 0)
                td_section_fail(s, "users", "%s and %s have the same key",
                                c->user[j].name, c->user[i].name);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* A table of named tables: each goes into an element of an array. */
typedef void take_fn(td_section *s, const char *file, void *element);

static int take_named(td_section *s, const char *file, const char *field, int most,
                      size_t each, take_fn *take, void **array) { /* [-0, +0, m] */
    *array = NULL;
    if (!td_section_enter(s, field, false)) return 0;
    lua_State *L = s->L;
    int count = 0, at = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) count++;
    if (count > most) td_section_fail(s, field, "%d of them, at most %d go", count, most);
    char *element = s->failed ? NULL : td_new_array((size_t)count, each);
    if (element == NULL) td_section_fail(s, field, "out of memory");
    for (lua_pushnil(L); !s->failed && lua_next(L, -2); lua_pop(L, 1)) {
        char prefix[160];
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (name[0] == 0 || strlen(name) >= TD_NAME_BYTES) {
            td_section_fail(s, field, "each has a name, of 1 to %d characters",
                            TD_NAME_BYTES - 1);
        } else {
            check_name(s, field, name);
            snprintf(prefix, sizeof prefix, "%s.%s.", field, name);
            td_section inner = {.L = L,
                                .file = s->file,
                                .prefix = prefix,
                                .err = s->err,
                                .failed = s->failed};
            char *here = element + each * (size_t)at++;
            if (!lua_istable(L, -1)) {
                prefix[strlen(prefix) - 1] = 0;
                inner.prefix = "";
                td_section_fail(&inner, prefix, "a table is wanted, got a %s",
                                luaL_typename(L, -1));
            } else {
                snprintf(here, TD_NAME_BYTES, "%s",
                         name); /* the name is the first field of both structs */
                take(&inner, file, here);
            }
            s->failed = inner.failed;
        }
        if (s->failed) {
            lua_pop(L, 2);
            break;
        }
    }
    lua_pop(L, 1);
    *array = element;
    if (element) qsort(element, (size_t)at, each, by_name);
    return at;
}
_Static_assert(TD_USER_NAME == TD_NAME_BYTES && offsetof(td_user, name) == 0 &&
                   offsetof(td_set_config, name) == 0,
               "take_named writes names at the beginning");

static void take_set_any(td_section *s, const char *file, void *out) {
    take_set(s, file, out);
}
static void take_user_any(td_section *s, const char *file, void *out) {
    take_user(s, file, out);
}

static void take_limits(td_section *s, td_worker_config *c) {
    static const char *const fields[] = {
        "memory",        "seconds", "result",  "sessions",
        "user_sessions", "lease",   "threads", NULL};
    int64_t lease = 60;
    uint64_t result = (uint64_t)200
                      << 20; /* of a plan's result: read, plans do not run yet */
    c->memory_bytes = (uint64_t)2 << 30;
    c->seconds = 600;
    c->sessions = 16;
    c->threads = 1;
    if (td_section_enter(s, "limits", false)) {
        td_section inner = {
            .L = s->L, .file = s->file, .prefix = "limits.", .err = s->err};
        td_section_check(&inner, fields);
        td_section_bytes(&inner, "memory", 1 << 20, (uint64_t)1 << 46, &c->memory_bytes);
        td_section_bytes(&inner, "result", 0, (uint64_t)1 << 46, &result);
        td_section_count(&inner, "seconds", 1, 30 * 86400, &c->seconds);
        td_section_count(&inner, "sessions", 1, 1000, &c->sessions);
        td_section_count(&inner, "user_sessions", 1, 1000, &c->user_sessions);
        td_section_count(&inner, "lease", 20, 30 * 86400, &lease);
        td_section_count(&inner, "threads", 1, 256, &c->threads);
        s->failed = inner.failed;
        lua_pop(s->L, 1);
    }
    c->lease_ms = lease * 1000;
    c->letter_bytes = c->memory_bytes;
    if (c->user_sessions == 0) { /* leave a place for each of the others */
        c->user_sessions = c->sessions - (c->user_count > 0 ? c->user_count - 1 : 0);
        if (c->user_sessions < 1) c->user_sessions = 1;
    }
}

static void take_all(td_section *s, const char *file, td_worker_config *c) {
    static const char *const fields[] = {"name",  "listen",   "key",
                                         "users", "datasets", "limits",
                                         "state", "gateway",  "listen_beyond_loopback",
                                         NULL};
    char gateway[256] = "";
    void *array;
    td_section_check(s, fields);
    td_section_text(s, "name", true, c->name, sizeof c->name);
    check_name(s, "name", c->name);
    td_section_text(s, "listen", true, c->listen, sizeof c->listen);
    check_listen(s, c, take_beyond(s));
    take_path(s, file, "key", true, c->key_path);
    take_path(s, file, "state", false, c->state);
    td_section_text(s, "gateway", false, gateway, sizeof gateway);
    c->wants_gateway = gateway[0] != 0;
    c->user_count =
        take_named(s, file, "users", USERS_MAX, sizeof *c->user, take_user_any, &array);
    c->user = array;
    check_users(s, c);
    c->set_count =
        take_named(s, file, "datasets", SETS_MAX, sizeof *c->set, take_set_any, &array);
    c->set = array;
    take_limits(s, c);
}

int td_worker_config_load(const char *path, td_worker_config *out, td_err *err) {
    td_err unwanted;
    if (err == NULL) err = &unwanted;
    *out = (td_worker_config){0};
    lua_State *L = td_settings_open(path, err);
    if (L == NULL) return err->code;
    const char *slash = strrchr(path, '/');
    td_section s = {.L = L, .file = slash ? slash + 1 : path, .prefix = "", .err = err};
    take_all(&s, path, out);
    td_settings_close(&L);
    return s.failed ? err->code : 0;
}
