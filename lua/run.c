/* Scripts: guarded calls that Ctrl-C can end, errors on stderr, the arg table. */
#include "lua/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lua/host.h"

/* ---- Ctrl-C ---- */

/* A signal has no argument: which state to stop is kept here. Only the thread that runs scripts sets it. */
static lua_State *volatile running;
static volatile sig_atomic_t interrupted;

bool tdl_is_interrupted(void) { return interrupted != 0; }

static void stop(lua_State *L, lua_Debug *ar) { /* [-0, +0, e] */
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    tdl_check_interrupt(L);
}

void tdl_forget_interrupt(lua_State *L) {
    interrupted = 0;
    lua_sethook(L, NULL, 0, 0);
    if (running) lua_sethook(running, NULL, 0, 0);
}

void tdl_check_interrupt(lua_State *L) { /* [-0, +0, e] */
    if (!interrupted) return;
    tdl_forget_interrupt(L);
    tdl_fail(L, TD_E_INTERRUPTED, "", "interrupted");
}

/* Setting a hook is what lua_sethook may be called for from a signal. */
static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
    if (running)
        lua_sethook(running, stop,
                    LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static int to_error_object(lua_State *L) { /* [-1, +1, m] */
    tdl_wrap_error(L, 1);
    return 1;
}

int tdl_call_guarded(lua_State *L, int nargs, int nresults) {
    int base = lua_gettop(L) - nargs;
    lua_pushcfunction(L, to_error_object);
    lua_insert(L, base);
    struct sigaction act = {.sa_handler = on_interrupt}, before;
    sigemptyset(&act.sa_mask); /* no SA_RESTART: waits end */
    lua_State *outer = running;
    interrupted = 0;
    running = L;
    sigaction(SIGINT, &act, &before);
    int rc = lua_pcall(L, nargs, nresults, base);
    sigaction(SIGINT, &before, NULL);
    running = outer;
    interrupted = 0;
    lua_sethook(L, NULL, 0, 0);
    lua_remove(L, base);
    return rc;
}

/* ---- errors on stderr ---- */

static void print_field(lua_State *L, const char *name,
                        const char *before) { /* [-0, +0, -] */
    lua_pushstring(L, name);
    if (lua_istable(L, -2) && lua_rawget(L, -2) == LUA_TSTRING)
        fprintf(stderr, "%s%s\n", before, lua_tostring(L, -1));
    lua_pop(L, 1);
}

void tdl_report(lua_State *L, bool with_trace) {
    fflush(stdout);
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    print_field(L, "hint", "hint: ");
    if (with_trace) print_field(L, "trace", "");
    lua_pop(L, 1);
}

/* ---- scripts ---- */

static void set_arg(lua_State *L, const char *file, int argc,
                    char **argv) { /* [-0, +argc, m] */
    /* arg[-1]: this program, so that a script can start another one of it */
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    lua_createtable(L, argc, 2);
    lua_pushlstring(L, n > 0 ? self : "tide", n > 0 ? (size_t)n : 4);
    lua_rawseti(L, -2, -1);
    lua_pushstring(L, file);
    lua_rawseti(L, -2, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
    luaL_checkstack(L, argc + 4, "too many arguments");
    for (int i = 0; i < argc; i++) lua_pushstring(L, argv[i]);
}

int tdl_run_script(lua_State *L, const char *file, int argc, char **argv) {
    bool is_stdin = strcmp(file, "-") == 0;
    if (luaL_loadfilex(L, is_stdin ? NULL : file, "t") != LUA_OK) {
        tdl_report(L, false);
        return 1;
    }
    set_arg(L, file, argc, argv);
    if (tdl_call_guarded(L, argc, 0) == LUA_OK) return fflush(stdout) == 0 ? 0 : 1;
    tdl_report(L, true);
    return 1;
}

/* The hook "help", with the word if there is one. [-n, +1, e] */
static int call_help(lua_State *L) {
    tdl_push_hook(L, "help");
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

int tdl_print_help(lua_State *L, const char *word) {
    lua_pushcfunction(L, call_help);
    if (word) lua_pushstring(L, word);
    if (tdl_call_guarded(L, word ? 1 : 0, 1) != LUA_OK) {
        tdl_report(L, false);
        return 1;
    }
    bool found = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return found ? 0 : 1;
}

/* Arguments: name, arguments, doc. [-0, +0, e] */
static int add_command(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "tide.core");
    lua_getfield(L, -1, "commands");
    lua_createtable(L, 4, 0);
    for (int i = 1; i <= 4; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i);
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

void tdl_add_command(lua_State *L, const char *name, const char *arguments,
                     const char *doc, const char *help) {
    lua_pushcfunction(L, add_command);
    lua_pushstring(L, name);
    lua_pushstring(L, arguments);
    lua_pushstring(L, doc);
    lua_pushstring(L, help);
    if (lua_pcall(L, 4, 0, 0) != LUA_OK)
        lua_pop(L, 1); /* out of memory: help lacks a line */
}
