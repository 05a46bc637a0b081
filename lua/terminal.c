/* What Lua code needs to know of the terminal: is there one, how wide it is, and whether it shows colours. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lua/host.h"

static int stream_fd(lua_State *L, int idx) { /* [-0, +0, e] */
    static const char *const names[] = {"stdin", "stdout", "stderr", NULL};
    return luaL_checkoption(L, idx, "stdout", names);
}

/* isatty("stdin" | "stdout" | "stderr"), stdout when not given. */
static int core_isatty(lua_State *L) { /* [-n, +1, e] */
    lua_pushboolean(L, isatty(stream_fd(L, 1)));
    return 1;
}

/* columns(stream): the terminal's width; $COLUMNS or 80 when there is none. */
static int core_columns(lua_State *L) { /* [-n, +1, e] */
    struct winsize size;
    int fd = stream_fd(L, 1);
    const char *env = getenv("COLUMNS");
    int columns = env ? atoi(env) : 0;
    if (columns <= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
    lua_pushinteger(L, columns > 0 ? columns : 80);
    return 1;
}

/* has_color(stream): may what goes there be coloured? */
static int core_has_color(lua_State *L) { /* [-n, +1, e] */
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool dumb = term == NULL || strcmp(term, "dumb") == 0;
    lua_pushboolean(L, isatty(stream_fd(L, 1)) && !(no && no[0]) && !dumb);
    return 1;
}

void tdl_open_terminal(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {{"isatty", core_isatty},
                                         {"columns", core_columns},
                                         {"has_color", core_has_color},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
