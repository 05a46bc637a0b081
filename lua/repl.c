/* The session at the terminal: reads lines (libedit at a terminal, plain lines otherwise), puts unfinished
 * statements together, runs them, prints what they return. What is shown and what Tab offers is decided in
 * repl.lua. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lua/host.h"
#include "lua/line.h"
#include "lua/run.h"

static const char last_error_key = 0;

/* ---- statements ---- */

enum status { COMPLETE, UNFINISHED, WRONG };

static bool is_unfinished(lua_State *L) { /* [-0, +0, -] */
    static const char mark[] = "<eof>";
    size_t n;
    const char *msg = lua_tolstring(L, -1, &n);
    size_t m = sizeof mark - 1;
    return msg && n >= m && strcmp(msg + n - m, mark) == 0;
}

/* Compiles the text at the top: as an expression, or else as a statement. In its place comes the function or
 * the error's text. [-1, +1, m] */
static enum status compile(lua_State *L) {
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    const char *expression = lua_pushfstring(L, "return %s", text);
    if (luaL_loadbufferx(L, expression, strlen(expression), "=repl", "t") == LUA_OK) {
        lua_replace(L, -3);
        lua_pop(L, 1);
        return COMPLETE;
    }
    lua_pop(L, 2);
    int rc = luaL_loadbufferx(L, text, n, "=repl", "t");
    enum status status = rc == LUA_OK ? COMPLETE : is_unfinished(L) ? UNFINISHED : WRONG;
    lua_replace(L, -2);
    return status;
}

/* Runs the function at the top and shows its results. True when it went well. [-1, +0, -] */
static bool evaluate(lua_State *L) {
    int base = lua_gettop(L);
    int rc = tdl_call_guarded(L, 0, LUA_MULTRET);
    if (rc == LUA_OK && lua_gettop(L) >= base) {
        luaL_checkstack(L, LUA_MINSTACK, "too many results");
        lua_pushcfunction(L, tdl_show);
        lua_insert(L, base);
        rc = tdl_call_guarded(L, lua_gettop(L) - base, 0);
    }
    fflush(stdout);
    if (rc == LUA_OK) return true;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &last_error_key);
    tdl_report(L, false);
    return false;
}

int tdl_show(lua_State *L) { /* [-n, +0, e] */
    tdl_push_hook(L, "show");
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

/* trace(): where the last error came from. */
static int trace(lua_State *L) { /* [-0, +0, e] */
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &last_error_key) != LUA_TTABLE) {
        printf("no error so far\n");
        return 0;
    }
    printf("%s\n", luaL_tolstring(L, -1, NULL));
    lua_getfield(L, -2, "trace");
    if (lua_isstring(L, -1)) printf("%s\n", lua_tostring(L, -1));
    return 0;
}

/* ---- the loop ---- */

/* Adds the line at the top to the statement below it, if there is one. [-1 or -2, +1, m] */
static void join(lua_State *L, bool goes_on) {
    if (!goes_on) return;
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
}

static int run_session(lua_State *L, tdl_lines *lines) {
    int status = 0, base = lua_gettop(L);
    bool goes_on = false;
    for (;;) {
        enum tdl_line got = tdl_lines_read(lines, goes_on ? ">> " : "> ");
        if (got == TDL_LINE_END) break;
        if (got == TDL_LINE_CANCELLED) {
            lua_settop(L, base);
            goes_on = false;
            continue;
        }
        lua_pushstring(L, tdl_lines_text(lines));
        join(L, goes_on);
        lua_pushvalue(L, -1);
        enum status s = compile(L);
        goes_on = s == UNFINISHED;
        if (goes_on) {
            lua_pop(L, 1); /* the statement so far stays */
            continue;
        }
        lua_remove(L, -2);
        if (s == WRONG) {
            fprintf(stderr, "%s\n", lua_tostring(L, -1));
            status = 1;
        } else if (!evaluate(L)) {
            status = 1;
        }
        lua_settop(L, base);
        tdl_collect(L, false);
    }
    if (goes_on) { /* the end came within a statement: say so */
        compile(L);
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        status = 1;
    }
    lua_settop(L, base);
    return status;
}

/* Ctrl-C when nothing runs, say just after a computation came to its end, must not end the session. */
static void ignore_interrupt(int number) { (void)number; }

static int prepare(lua_State *L) { /* [-0, +0, e] */
    lua_pushcfunction(L, trace);
    lua_setglobal(L, "trace");
    tdl_require(L, "tide.repl");
    return 0;
}

int tdl_repl(lua_State *L) {
    lua_pushcfunction(L, prepare);
    if (tdl_call_guarded(L, 0, 0) != LUA_OK) {
        tdl_report(L, true);
        return 1;
    }
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    tdl_lines *lines = tdl_lines_open(L, terminal);
    if (lines == NULL) {
        fprintf(stderr, "tide: no memory for a session\n");
        return 1;
    }
    if (terminal) printf("tide, Lua 5.4. help() lists what there is; Ctrl-D ends.\n");
    struct sigaction ignore = {.sa_handler = ignore_interrupt}, before;
    sigemptyset(&ignore.sa_mask);
    if (terminal) sigaction(SIGINT, &ignore, &before);
    int status = run_session(L, lines);
    if (terminal) {
        sigaction(SIGINT, &before, NULL);
        printf("\n");
    }
    tdl_lines_close(&lines);
    return terminal ? 0 : status;
}
