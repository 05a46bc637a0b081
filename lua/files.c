/* Data files for the Lua library: reads any known format into tensors, writes safetensors and NPY. The
 * Lua side (lua/store.lua, lua/data.lua) makes data sets and dictionaries of them. */
#include <string.h>

#include "lua/embedded.h"
#include "lua/host.h"
#include "runtime/formats/file.h"
#include "runtime/formats/save.h"
#include "runtime/mem.h"

#define TABLE_NAME "tide.files.table"

/* A td_table as userdata, so that it is cleared whatever raises. [-0, +1, m] */
static td_table *push_table(lua_State *L) {
    td_table *t = lua_newuserdatauv(L, sizeof *t, 0);
    memset(t, 0, sizeof *t);
    luaL_setmetatable(L, TABLE_NAME);
    return t;
}

static int table_gc(lua_State *L) { /* [-0, +0, -] */
    td_table_clear(luaL_checkudata(L, 1, TABLE_NAME));
    return 0;
}

/* ---- reading ---- */

static void push_categories(lua_State *L, const td_entry *e) { /* [-0, +1, m] */
    lua_createtable(L, (int)e->categories, 0);
    for (size_t i = 0; i < e->categories; i++) {
        lua_pushstring(L, e->category[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_entry(lua_State *L, const td_entry *e) { /* [-0, +1, e] */
    td_err err = {0};
    lua_createtable(L, 0, 3);
    lua_pushstring(L, e->name);
    lua_setfield(L, -2, "name");
    tdl_push_val(L, td_val_new(td_tensor_ref(e->tensor), &err), &err);
    lua_setfield(L, -2, "tensor");
    if (e->category == NULL) return;
    push_categories(L, e);
    lua_setfield(L, -2, "categories");
}

/* {format =, meta = {key = value}, {name =, tensor =, categories =}, ...} [-0, +1, e] */
static int push_contents(lua_State *L, const td_table *t) {
    luaL_checkstack(L, 8, "load");
    lua_createtable(L, (int)t->count, 2);
    lua_pushstring(L, t->format);
    lua_setfield(L, -2, "format");
    lua_createtable(L, 0, (int)t->metas);
    for (size_t i = 0; i < t->metas; i++) {
        lua_pushstring(L, t->meta[i].value);
        lua_setfield(L, -2, t->meta[i].key);
    }
    lua_setfield(L, -2, "meta");
    for (size_t i = 0; i < t->count; i++) {
        push_entry(L, &t->entry[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    tdl_collect(L, false);
    return 1;
}

static int fail_option(lua_State *L, const char *name,
                       const char *wanted) { /* [-0, +0, e] */
    char what[TDL_WHAT_TEXT];
    return tdl_fail(L, TD_E_ARGUMENT, "load", "option '%s' is %s, not %s", name,
                    tdl_what(L, -1, what), wanted);
}

/* The columns that are text: an array of pointers into the strings of the Lua list, which stays where it
 * is. Leaves the array's userdata on the stack. [-0, +1, e] */
static const char *const *read_names(lua_State *L, int list, size_t *count) {
    size_t n = lua_rawlen(L, list);
    const char **names = lua_newuserdatauv(L, (n + 1) * sizeof *names, 0);
    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, list, (lua_Integer)i + 1) != LUA_TSTRING)
            fail_option(L, "text", "a list of column names");
        names[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    *count = n;
    return names;
}

/* Options from the table at idx, which was checked for unknown keys. What they point at lies on the
 * stack, at and above where the top was. [-0, +?, e] */
static void read_options(lua_State *L, int idx, td_file_options *o) {
    luaL_checkstack(L, 8, "load");
    if (tdl_push_option(L, idx, "format") != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING)
            fail_option(L, "format", "a name like \"csv\"");
        o->format = lua_tostring(L, -1);
    }
    if (tdl_push_option(L, idx, "header") != LUA_TNIL) {
        if (!lua_isboolean(L, -1)) fail_option(L, "header", "true or false");
        o->csv_header = lua_toboolean(L, -1) ? TD_CSV_HEADER_YES : TD_CSV_HEADER_NO;
    }
    if (tdl_push_option(L, idx, "separator") != LUA_TNIL) {
        size_t length = 0;
        const char *text =
            lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : "";
        if (length != 1) fail_option(L, "separator", "one character");
        o->csv_separator = text[0];
    }
    if (tdl_push_option(L, idx, "skip_lines") != LUA_TNIL) {
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0)
            fail_option(L, "skip_lines", "a whole number of at least 0");
        o->csv_skip_lines = (size_t)lua_tointeger(L, -1);
    }
    if (tdl_push_option(L, idx, "dtype") != LUA_TNIL) {
        o->csv_float = lua_type(L, -1) == LUA_TSTRING
                           ? td_dtype_parse(lua_tostring(L, -1))
                           : TD_NONE;
        if (o->csv_float != TD_F32 && o->csv_float != TD_F64)
            fail_option(L, "dtype", "\"f32\" or \"f64\"");
    }
    if (tdl_push_option(L, idx, "text") != LUA_TNIL) {
        if (!lua_istable(L, -1)) fail_option(L, "text", "a list of column names");
        o->csv_text = read_names(L, lua_gettop(L), &o->csv_texts);
    }
}

/* load_file(path, options): the contents of a data file, in the form of push_contents. */
static int core_load_file(lua_State *L) { /* [-2, +1, e] */
    const char *path = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    td_file_options o = {0};
    td_table *t = push_table(L);
    read_options(L, lua_isnil(L, 2) ? 0 : 2, &o);
    td_err err = {0};
    if (td_file_load(path, &o, t, &err)) return tdl_raise(L, &err);
    push_contents(L, t);
    td_table_clear(t);
    return 1;
}

/* load_embedded(name, options): the same for a file inside the program. */
static int core_load_embedded(lua_State *L) { /* [-2, +1, e] */
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    const struct td_embedded *f = td_embedded_files;
    while (f->name && strcmp(f->name, name) != 0) f++;
    if (f->name == NULL)
        return tdl_fail(L, TD_E_NOT_FOUND, "load", "no file '%s' in the program", name);
    td_file_options o = {0};
    td_table *t = push_table(L);
    read_options(L, lua_isnil(L, 2) ? 0 : 2, &o);
    td_err err = {0};
    if (td_bytes_load(f->data, f->size, &o, t, &err)) return tdl_raise(L, &err);
    push_contents(L, t);
    td_table_clear(t);
    return 1;
}

/* ---- writing ---- */

/* The tensor of the value at the top of the stack, another reference. [-0, +0, e] */
static td_tensor *tensor_at_top(lua_State *L, const char *name) {
    td_val *v = tdl_test_val(L, -1);
    char what[TDL_WHAT_TEXT];
    if (v == NULL)
        tdl_fail(L, TD_E_ARGUMENT, "save", "'%s' is %s, not a tensor", name,
                 tdl_what(L, -1, what));
    td_err err = {0};
    td_tensor *t = td_val_tensor(v, "save", &err);
    if (t == NULL) tdl_raise(L, &err);
    return td_tensor_ref(t);
}

static void add_tensors(lua_State *L, int names, int tensors,
                        td_table *t) { /* [-0, +0, e] */
    td_err err = {0};
    for (lua_Integer i = 1; lua_rawgeti(L, names, i) == LUA_TSTRING; i++) {
        const char *name = lua_tostring(L, -1);
        lua_rawgeti(L, tensors, i);
        td_tensor *x = tensor_at_top(L, name);
        if (td_table_add(t, name, &x, &err)) tdl_raise(L, &err);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

static void add_notes(lua_State *L, int notes, td_table *t) { /* [-0, +0, e] */
    td_err err = {0};
    for (lua_pushnil(L); lua_next(L, notes); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            tdl_fail(L, TD_E_ARGUMENT, "save", "meta holds texts by name");
        if (td_table_add_meta(t, lua_tostring(L, -2), lua_tostring(L, -1), &err))
            tdl_raise(L, &err);
    }
}

/* save_safetensors(path, names, tensors, meta): lists of equal length; meta a table of texts or nil. */
static int core_save_safetensors(lua_State *L) { /* [-4, +0, e] */
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 4);
    td_table *t = push_table(L);
    add_tensors(L, 2, 3, t);
    if (lua_istable(L, 4)) add_notes(L, 4, t);
    td_err err = {0};
    if (td_safetensors_save(path, t, &err)) return tdl_raise(L, &err);
    td_table_clear(t);
    return 0;
}

/* save_npy(path, tensor) */
static int core_save_npy(lua_State *L) { /* [-2, +0, e] */
    const char *path = luaL_checkstring(L, 1);
    td_val *v = tdl_check_val(L, 2, "save");
    td_err err = {0};
    td_tensor *x = td_val_tensor(v, "save", &err);
    if (x == NULL || td_npy_save(path, x, &err)) return tdl_raise(L, &err);
    return 0;
}

void tdl_open_files(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {{"load_file", core_load_file},
                                         {"load_embedded", core_load_embedded},
                                         {"save_safetensors", core_save_safetensors},
                                         {"save_npy", core_save_npy},
                                         {NULL, NULL}};
    luaL_newmetatable(L, TABLE_NAME);
    lua_pushcfunction(L, table_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
