/* Arguments: words for what was got, options tables, and the nearest name for one that is not there. */
#include <stdio.h>
#include <string.h>

#include "lua/host.h"
#include "vm/trace.h"

const char *tdl_val_text(const td_val *v, char text[TDL_WHAT_TEXT]) {
    char shape[TD_SHAPE_TEXT];
    const td_place *place = td_val_place(v);
    if (place && td_place_is_trace(place)) place = NULL;
    snprintf(text, TDL_WHAT_TEXT, "%s %s%s%.40s", td_shape_text(&v->meta.shape, shape),
             td_dtype_name(v->meta.dtype), place ? " at " : "", place ? place->name : "");
    return text;
}

const char *tdl_what(lua_State *L, int idx, char text[TDL_WHAT_TEXT]) {
    td_val *v = tdl_test_val(L, idx);
    if (v) {
        char inside[TDL_WHAT_TEXT];
        snprintf(text, TDL_WHAT_TEXT, "a tensor %.200s", tdl_val_text(v, inside));
        return text;
    }
    switch (lua_type(L, idx)) {
    case LUA_TNONE: return "missing";
    case LUA_TNIL: return "nil";
    case LUA_TBOOLEAN: return lua_toboolean(L, idx) ? "true" : "false";
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx))
            snprintf(text, TDL_WHAT_TEXT, LUA_INTEGER_FMT, lua_tointeger(L, idx));
        else
            snprintf(text, TDL_WHAT_TEXT, LUA_NUMBER_FMT, lua_tonumber(L, idx));
        return text;
    default: snprintf(text, TDL_WHAT_TEXT, "a %s", luaL_typename(L, idx)); return text;
    }
}

/* ---- the nearest name ---- */

#define WORD_MAX 40

/* Damerau-Levenshtein distance of optimal string alignment; far apart when a word is too long. */
static int distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX) return WORD_MAX;
    int rows[3][WORD_MAX + 1];
    int *above2 = rows[0], *above = rows[1], *here = rows[2];
    for (size_t j = 0; j <= m; j++) above[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        here[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (here[j - 1] + 1 < best) best = here[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            here[j] = best;
        }
        int *spare = above2;
        above2 = above;
        above = here;
        here = spare;
    }
    return above[m];
}

/* A third of the letters may be wrong, and at least one. */
static int reach(const char *word) {
    size_t n = strlen(word) / 3;
    return n < 1 ? 1 : n > 4 ? 4 : (int)n;
}

const char *tdl_nearest(const char *word, const char *const *names) {
    const char *best = NULL;
    int least = reach(word) + 1;
    for (; *names; names++) {
        int d = distance(word, *names);
        if (d < least) {
            least = d;
            best = *names;
        }
    }
    return best;
}

/* nearest(word, list): the nearest name of a list, or nil. */
static int core_nearest(lua_State *L) { /* [-2, +1, e] */
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    int least = reach(word) + 1;
    lua_pushnil(L);
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
        int d = distance(word, lua_tostring(L, -1));
        if (d < least) {
            least = d;
            lua_copy(L, -1, 3);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, 3);
    return 1;
}

/* ---- options ---- */

bool tdl_is_options(lua_State *L, int idx) {
    if (lua_type(L, idx) != LUA_TTABLE || lua_rawlen(L, idx) > 0) return false;
    idx = lua_absindex(L, idx);
    lua_pushnil(L);
    if (!lua_next(L, idx)) return false;
    bool word = lua_type(L, -2) == LUA_TSTRING;
    lua_pop(L, 2);
    return word;
}

static void refuse_option(lua_State *L, const char *call, const char *key,
                          const char *const *names) { /* [-0, +0, e] */
    const char *near = tdl_nearest(key, names);
    if (near)
        tdl_fail(L, TD_E_ARGUMENT, call, "unknown option '%s', did you mean '%s'?", key,
                 near);
    char list[300] = "";
    size_t used = 0;
    for (int i = 0; names[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 names[i]);
    if (names[0] == NULL)
        tdl_fail(L, TD_E_ARGUMENT, call, "unknown option '%s': it takes no options", key);
    tdl_fail(L, TD_E_ARGUMENT, call, "unknown option '%s', there are: %s", key, list);
}

void tdl_check_options(lua_State *L, int idx, const char *call,
                       const char *const *names) {
    char what[TDL_WHAT_TEXT]; /* [-0, +0, e] */
    if (lua_isnoneornil(L, idx)) return;
    idx = lua_absindex(L, idx);
    if (lua_type(L, idx) != LUA_TTABLE)
        tdl_fail(L, TD_E_ARGUMENT, call, "options come in a table, got %s",
                 tdl_what(L, idx, what));
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            tdl_fail(L, TD_E_ARGUMENT, call,
                     "options are named, got one under the key %s",
                     tdl_what(L, -2, what));
        const char *key = lua_tostring(L, -2);
        int i = 0;
        while (names[i] && strcmp(names[i], key) != 0) i++;
        if (names[i] == NULL) refuse_option(L, call, key, names);
    }
}

int tdl_push_option(lua_State *L, int idx, const char *name) { /* [-0, +1, m] */
    if (idx == 0 || lua_type(L, idx) != LUA_TTABLE) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    idx = lua_absindex(L, idx);
    lua_pushstring(L, name);
    return lua_rawget(L, idx);
}

int tdl_check_dim(lua_State *L, int idx, int ndim, const char *call, const char *name) {
    int isnum; /* [-0, +0, e] */
    char what[TDL_WHAT_TEXT];
    lua_Integer d = lua_tointegerx(L, idx, &isnum);
    if (!isnum || lua_type(L, idx) != LUA_TNUMBER)
        tdl_fail(L, TD_E_ARGUMENT, call, "%s is a dimension (an integer), got %s", name,
                 tdl_what(L, idx, what));
    if (d == 0)
        tdl_fail(L, TD_E_INDEX, call,
                 "%s 0: dimensions count from 1, or from -1 backwards", name);
    if (d > ndim || d < -ndim)
        tdl_fail(L, TD_E_INDEX, call, "%s %lld of a tensor with %d dimension%s", name,
                 (long long)d, ndim, ndim == 1 ? "" : "s");
    return (int)(d > 0 ? d - 1 : ndim + d);
}

/* what(x): what an argument is, in words for an error: "nil", "3", "a tensor 2x3 f32". */
static int core_what(lua_State *L) { /* [-1, +1, m] */
    char text[TDL_WHAT_TEXT];
    lua_pushstring(L, tdl_what(L, 1, text));
    return 1;
}

/* shape_text(x): "2x3", the way errors show shapes. */
static int core_shape_text(lua_State *L) { /* [-1, +1, e] */
    char text[TD_SHAPE_TEXT];
    lua_pushstring(L,
                   td_shape_text(&tdl_check_val(L, 1, "shape_text")->meta.shape, text));
    return 1;
}

void tdl_open_options(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {{"nearest", core_nearest},
                                         {"what", core_what},
                                         {"shape_text", core_shape_text},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
