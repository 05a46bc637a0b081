/* tide.compile's objects: a function and the programs that its traces gave. A call finds the program for
 * its arguments, or traces the function once more, and runs it. lua/compile.lua keeps what the library
 * tells while it is traced: guards, and what happens before each run. */
#include <limits.h>
#include <string.h>

#include "lua/compile.h"
#include "runtime/mem.h"

#define META "compiled function"

/* Lists in the table that compile.lua makes for each trace. */
enum {
    GUARDS = 1, /* table, key, value: checked at each call */
    FIELDS,     /* the same for fields of modules: checked when one has been set */
    BEFORE,     /* kind, a, b: what is done before each run */
    VALUES,     /* plain values among the results */
    KEPT,       /* objects among the arguments: their addresses stand in the key */
    DROPPED     /* the entry, when it was dropped during a run */
};

/* A program and what it holds for. */
typedef struct entry {
    struct entry *next; /* used less lately */
    int id;             /* of its table, in the object's table of them */
    td_compiled *program;
    char *key;
    size_t key_size;
    tdl_piece *piece;
    int results, outputs;
    int runs; /* under way; not taken back when a hook of one raises */
    double *scalar;
    uint64_t edits; /* of modules, when its fields were found unchanged */
} entry;

typedef struct compiled {
    entry *first;
    int count, limit, last_id;
    bool keep_grads;
    char name[64];
    uint64_t calls, traces, plain; /* plain: calls that ran the function itself */
} compiled;

/* Their address stands for nil in lists. */
static const char none_key = 0;

static void push_none(lua_State *L) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)&none_key);
}

/* ---- guards ---- */

/* Are all of the list's fields what they were? [-0, +0, -] */
static bool list_holds(lua_State *L, int lists, int which) {
    bool holds = true;
    lua_rawgeti(L, lists, which);
    int list = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; holds && i <= n; i += 3) {
        lua_rawgeti(L, list, i);
        lua_rawgeti(L, list, i + 1);
        lua_rawget(L, -2);
        lua_rawgeti(L, list, i + 2);
        if (lua_isnil(L, -2))
            holds = lua_touserdata(L, -1) == &none_key;
        else
            holds = lua_rawequal(L, -1, -2);
        lua_settop(L, list);
    }
    lua_settop(L, list - 1);
    return holds;
}

static bool guards_hold(lua_State *L, entry *e, int tables) { /* [-0, +0, -] */
    uint64_t edits = tdl_host_of(L)->module_edits;
    lua_rawgeti(L, tables, e->id);
    int lists = lua_gettop(L);
    bool holds = list_holds(L, lists, GUARDS);
    if (holds && e->edits != edits) {
        holds = list_holds(L, lists, FIELDS);
        if (holds) e->edits = edits;
    }
    lua_settop(L, lists - 1);
    return holds;
}

/* ---- entries ---- */

static void entry_free(entry *e) {
    td_compiled_free(&e->program);
    td_free(e->key);
    td_free(e->piece);
    td_free(e->scalar);
    td_free(e);
}

static entry *find(lua_State *L, compiled *c, const tdl_args *args,
                   int tables) { /* [-0, +0, -] */
    for (entry **at = &c->first; *at; at = &(*at)->next) {
        entry *e = *at;
        if (e->key_size != args->size || memcmp(e->key, args->key, args->size) != 0 ||
            !guards_hold(L, e, tables) || !td_compiled_fits(e->program, args->tensor))
            continue;
        *at = e->next;
        e->next = c->first;
        c->first = e;
        return e;
    }
    return NULL;
}

static int dropped_gc(lua_State *L) { /* [-0, +0, -] */
    entry **e = lua_touserdata(L, 1);
    if (*e) entry_free(*e);
    *e = NULL;
    return 0;
}

/* A run has the lists on its stack: the entry goes with them. [-0, +0, m] */
static void leave_to_lists(lua_State *L, entry *e, int tables) {
    lua_rawgeti(L, tables, e->id);
    entry **left = lua_newuserdatauv(L, sizeof *left, 0);
    *left = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, dropped_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, DROPPED);
    *left = e;
    lua_pop(L, 2);
}

/* Finalizers may call the function while one of its programs is about to run. */
static void drop_last(lua_State *L, compiled *c, int tables) { /* [-0, +0, m] */
    entry **at = &c->first;
    while ((*at)->next) at = &(*at)->next;
    entry *e = *at;
    *at = NULL;
    c->count--;
    if (e->runs) leave_to_lists(L, e, tables);
    lua_pushnil(L);
    lua_rawseti(L, tables, e->id);
    if (!e->runs) entry_free(e);
}

/* ---- tracing ---- */

/* A trace under way; it lives in C while Lua may raise. */
typedef struct job {
    compiled *c;
    const tdl_args *args;
    td_trace *trace;
    tdl_results results;
    entry *made;
} job;

static void line_of_user(char *text, size_t size) {
    lua_State *L = tdl_current();
    if (L) tdl_user_line(L, text, size);
}

static void make_entry(lua_State *L, job *j, int results) { /* [-0, +0, e] */
    td_err err = {0};
    td_traced *traced = td_trace_finish(j->trace, j->results.output, j->results.outputs,
                                        j->c->keep_grads, &err);
    if (traced == NULL) tdl_raise(L, &err);
    entry *e = td_new(entry);
    if (e) {
        e->scalar = td_new_array((size_t)traced->scalars + 1, sizeof *e->scalar);
        e->key = td_new_array(j->args->size, 1);
    }
    if (e == NULL || !e->scalar || !e->key) {
        td_traced_free(&traced);
        if (e) entry_free(e);
        tdl_fail(L, TD_E_MEMORY, "compile", "out of memory");
    }
    j->made = e;
    memcpy(e->key, j->args->key, j->args->size);
    e->key_size = j->args->size;
    e->edits = tdl_host_of(L)->module_edits;
    e->results = results;
    e->outputs = j->results.outputs;
    e->piece = j->results.piece;
    j->results.piece = NULL;
    e->program = td_compiled_new(&traced, &err);
    if (e->program == NULL) tdl_raise(L, &err);
}

/* trace(job, f, tables, arguments ...): traces, and enters what came of it. [-n, +0, e] */
static int trace_body(lua_State *L) {
    job *j = lua_touserdata(L, 1);
    const int last = lua_gettop(L), lists = last + 1, values = last + 2, kept = last + 3,
              stand_ins = last + 4;
    luaL_checkstack(L, last + 16, "compile");
    tdl_push_hook(L, "trace_begin");
    lua_call(L, 0, 1);
    lua_newtable(L);
    lua_newtable(L);
    lua_newtable(L);
    td_trace_set_current(j->trace);
    lua_pushvalue(L, 2);
    for (int i = 4; i <= last; i++) tdl_args_stand_in(L, i, j->trace, stand_ins, kept);
    lua_call(L, last - 3, LUA_MULTRET);
    const int top = lua_gettop(L);
    luaL_checkstack(L, 8, "compile");
    for (int i = stand_ins + 1; i <= top; i++)
        tdl_results_take(L, i, values, j->trace, &j->results);
    tdl_push_hook(L, "trace_check");
    lua_call(L, 0, 0);
    td_trace_set_current(NULL);
    make_entry(L, j, top - stand_ins);
    lua_pushvalue(L, values);
    lua_rawseti(L, lists, VALUES);
    lua_pushvalue(L, kept);
    lua_rawseti(L, lists, KEPT);
    j->made->id = ++j->c->last_id;
    lua_pushvalue(L, lists);
    lua_rawseti(L, 3, j->made->id);
    return 0;
}

/* Runs f once as a trace; raises what it raises. Arguments are at 2 .. last. [-0, +0, e] */
static entry *trace(lua_State *L, compiled *c, const tdl_args *args, int last,
                    int tables) {
    td_err err = {0};
    job j = {.c = c, .args = args};
    luaL_checkstack(L, last + 8, "compile");
    lua_pushcfunction(L, trace_body);
    lua_pushlightuserdata(L, &j);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, tables);
    for (int i = 2; i <= last; i++) lua_pushvalue(L, i);
    j.trace = td_trace_new(c->name, &err);
    if (j.trace == NULL) tdl_raise(L, &err);
    td_trace_set_line(j.trace, line_of_user);
    bool tape_was_off = td_tape_is_off();
    lua_State *before = tdl_current();
    int rc = lua_pcall(L, last + 2, 0, 0);
    tdl_leave(before);
    td_tape_set_off(tape_was_off);
    td_trace_set_current(NULL);
    td_trace_free(&j.trace);
    td_free(j.results.piece);
    if (rc != LUA_OK && j.made) entry_free(j.made);
    tdl_push_hook(L, "trace_end");
    lua_call(L, 0, 0);
    if (rc != LUA_OK) lua_error(L);
    c->traces++;
    j.made->next = c->first;
    c->first = j.made;
    if (++c->count > c->limit) drop_last(L, c, tables);
    return j.made;
}

/* ---- running ---- */

enum { COUNT = 1, CALL, FIELD };

static void add_to_field(lua_State *L, int table, int key, int by) { /* [-0, +0, e] */
    lua_pushvalue(L, key);
    lua_pushvalue(L, key);
    lua_rawget(L, table);
    lua_pushinteger(L, lua_tointeger(L, -1) + by);
    lua_remove(L, -2);
    lua_rawset(L, table);
}

/* Counts steps and works out this run's numbers, in the order of the function; by = -1 takes the counts back
 * and does no more. [-0, +0, e] */
static void before_run(lua_State *L, entry *e, int lists, int by) {
    lua_rawgeti(L, lists, BEFORE);
    int list = lua_gettop(L), scalars = 0;
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; i <= n; i += 3) {
        lua_rawgeti(L, list, i);
        lua_Integer kind = lua_tointeger(L, -1);
        lua_rawgeti(L, list, i + 1);
        lua_rawgeti(L, list, i + 2);
        if (kind == COUNT) {
            add_to_field(L, list + 2, list + 3, by);
        } else if (by > 0) {
            if (kind == CALL) {
                lua_pop(L, 1);
                lua_call(L, 0, 1);
            } else {
                lua_gettable(L, -2);
            }
            int isnum;
            e->scalar[scalars++] = lua_tonumberx(L, -1, &isnum);
            if (!isnum)
                tdl_fail(L, TD_E_ARGUMENT, "compile", "a setting is %s, not a number",
                         luaL_typename(L, -1));
        }
        lua_settop(L, list);
    }
    lua_settop(L, list - 1);
}

/* Calls the function itself; the object is at 1, the arguments behind it up to last. [-n, +?, e] */
static int call_plain(lua_State *L, int last) {
    lua_settop(L, last);
    lua_getiuservalue(L, 1, 1);
    lua_replace(L, 1);
    lua_call(L, last - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static void take_streams(lua_State *L, uint32_t count, uint64_t *seed,
                         uint64_t *stream) { /* [-0, +0, e] */
    tdl_push_hook(L, "random_streams");
    lua_pushinteger(L, (lua_Integer)count);
    lua_call(L, 1, 2);
    *seed = (uint64_t)lua_tointeger(L, -2);
    *stream = (uint64_t)lua_tointeger(L, -1);
    lua_pop(L, 2);
}

static int run(lua_State *L, compiled *c, entry *e, const tdl_args *args, int last,
               int tables) { /* [-0, +?, e] */
    td_err err = {0};
    uint64_t seed = 0, stream = 0;
    td_val *out[TDL_TENSORS_MAX];
    lua_rawgeti(L, tables, e->id);
    const int lists = lua_gettop(L);
    e->runs++;
    luaL_checkstack(L, e->outputs + e->results + 16, "compile");
    for (int k = 0; k < e->outputs; k++) tdl_push_slot(L);
    before_run(L, e, lists, 1);
    switch (td_compiled_bind(e->program, args->tensor, e->scalar, &err)) {
    case TD_COMPILED_OVERLAPS:
        before_run(L, e, lists, -1);
        e->runs--;
        c->plain++;
        return call_plain(L, last);
    case TD_COMPILED_FAILED:
        before_run(L, e, lists, -1);
        e->runs--;
        return tdl_raise(L, &err);
    case TD_COMPILED_READY: break;
    }
    int rc = 0;
    uint32_t draws = td_compiled_draws(e->program);
    if (draws) { /* again: a finalizer may have bound it to its own */
        take_streams(L, draws, &seed, &stream);
        if (td_compiled_bind(e->program, args->tensor, e->scalar, &err) ==
            TD_COMPILED_FAILED)
            rc = err.code;
    }
    lua_State *before = tdl_enter(L);
    if (rc == 0) rc = td_compiled_run(e->program, args->tensor, seed, stream, out, &err);
    tdl_leave(before);
    if (rc) {
        before_run(L, e, lists, -1);
        e->runs--;
        return tdl_raise(L, &err);
    }
    for (int k = 0; k < e->outputs; k++)
        *(td_val **)lua_touserdata(L, lists + 1 + k) = out[k];
    lua_rawgeti(L, lists, VALUES);
    const int values = lua_gettop(L);
    for (int i = 0, at = 0; i < e->results; i++)
        tdl_results_push(L, e->piece, &at, values, lists + 1, args->tensor);
    tdl_collect(L, false);
    e->runs--;
    return e->results;
}

/* A function may take tensors out of the tables that it was given, while the run still needs them. */
static void hold(lua_State *L, const tdl_args *args) { /* [-0, +n, e] */
    luaL_checkstack(L, args->count + 8, "compile");
    for (int i = 0; i < args->count; i++) *tdl_push_slot(L) = td_val_ref(args->tensor[i]);
}

static int compiled_call(lua_State *L) { /* [-n, +?, e] */
    compiled *c = lua_touserdata(L, 1);
    const int last = lua_gettop(L);
    if (td_trace_current()) return call_plain(L, last);
    if (tdl_is_interrupted()) tdl_check_interrupt(L);
    c->calls++;
    luaL_checkstack(L, 16, "compile");
    tdl_args args;
    tdl_args_read(L, 2, last, c->name, &args);
    if (args.away) {
        c->plain++;
        return call_plain(L, last);
    }
    lua_getiuservalue(L, 1, 2);
    const int tables = last + 1;
    entry *e = find(L, c, &args, tables);
    if (e == NULL) {
        hold(L, &args);
        e = trace(L, c, &args, last, tables);
    }
    return run(L, c, e, &args, last, tables);
}

/* ---- the object ---- */

static int compiled_gc(lua_State *L) { /* [-0, +0, -] */
    compiled *c = lua_touserdata(L, 1);
    while (c->first) {
        entry *e = c->first;
        c->first = e->next;
        entry_free(e);
    }
    return 0;
}

/* compiled(f, name, cache, keep_grads): the object; its arguments were checked. */
static int core_compiled(lua_State *L) { /* [-4, +1, m] */
    size_t size;
    const char *name = luaL_checklstring(L, 2, &size);
    compiled *c = lua_newuserdatauv(L, sizeof *c, 2);
    lua_Integer limit = luaL_checkinteger(L, 3);
    *c = (compiled){.limit = limit < INT_MAX ? (int)limit : INT_MAX,
                    .keep_grads = lua_toboolean(L, 4)};
    if (size >= sizeof c->name) size = sizeof c->name - 1;
    memcpy(c->name, name, size);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 2);
    luaL_setmetatable(L, META);
    return 1;
}

/* compiled_info(step): {name, programs, calls, traces, plain}; nil for anything else. */
static int core_compiled_info(lua_State *L) { /* [-1, +1, m] */
    const compiled *c = luaL_testudata(L, 1, META);
    if (c == NULL) return 0;
    lua_createtable(L, 0, 5);
    lua_pushstring(L, c->name);
    lua_setfield(L, -2, "name");
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"programs", (uint64_t)c->count},
                   {"calls", c->calls},
                   {"traces", c->traces},
                   {"plain", c->plain}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        lua_pushinteger(L, (lua_Integer)numbers[i].value);
        lua_setfield(L, -2, numbers[i].name);
    }
    return 1;
}

td_compiled *tdl_compiled_at(lua_State *L, int idx, int which) { /* [-0, +0, -] */
    compiled *c = luaL_testudata(L, idx, META);
    entry *e = c ? c->first : NULL;
    for (; e && which > 0; which--) e = e->next;
    return e ? e->program : NULL;
}

/* ---- what the library asks while it is traced ---- */

/* tracing(): the name of the function that is traced, or nil. */
static int core_tracing(lua_State *L) { /* [-0, +1, -] */
    td_trace *t = td_trace_current();
    if (t == NULL) return 0;
    lua_pushstring(L, td_trace_name(t));
    return 1;
}

/* trace_pause(): operations run as usual until trace_resume(what it gave). */
static int core_trace_pause(lua_State *L) { /* [-0, +1, -] */
    lua_pushlightuserdata(L, td_trace_set_current(NULL));
    return 1;
}

static int core_trace_resume(lua_State *L) { /* [-1, +0, -] */
    td_trace_set_current(lua_touserdata(L, 1));
    return 0;
}

/* trace_scalar(): a number that each run is given anew. */
static int core_trace_scalar(lua_State *L) { /* [-0, +1, e] */
    td_err err = {0};
    td_val **slot = tdl_push_slot(L);
    *slot = td_trace_scalar(td_trace_current(), &err);
    if (*slot == NULL) tdl_raise(L, &err);
    return 1;
}

/* trace_draw(): seed and stream of the next random operation; nothing when nothing is traced. */
static int core_trace_draw(lua_State *L) { /* [-0, +2, -] */
    uint64_t seed, stream;
    td_trace *t = td_trace_current();
    if (t == NULL) return 0;
    td_trace_draw(t, &seed, &stream);
    lua_pushinteger(L, (lua_Integer)seed);
    lua_pushinteger(L, (lua_Integer)stream);
    return 2;
}

/* module_edited(): a field of a module was set. */
static int core_module_edited(lua_State *L) { /* [-0, +0, -] */
    tdl_host_of(L)->module_edits++;
    return 0;
}

void tdl_open_compile(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {{"compiled", core_compiled},
                                         {"compiled_info", core_compiled_info},
                                         {"tracing", core_tracing},
                                         {"trace_pause", core_trace_pause},
                                         {"trace_resume", core_trace_resume},
                                         {"trace_scalar", core_trace_scalar},
                                         {"trace_draw", core_trace_draw},
                                         {"module_edited", core_module_edited},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    tdl_open_inspect(L);
    push_none(L);
    lua_setfield(L, -2, "none");
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, compiled_call);
    lua_setfield(L, -2, "__call");
    lua_pushcfunction(L, compiled_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushliteral(L, META);
    lua_setfield(L, -2, "__metatable");
    lua_setfield(L, -2,
                 "compiled_meta"); /* compile.lua puts methods and the text there */
}
