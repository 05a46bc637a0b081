/* Lines of a session: from a terminal with editing, history and completion, or from a pipe. */
#ifndef TDL_LINE_H
#define TDL_LINE_H

#include <lua.h>
#include <stdbool.h>

typedef struct tdl_lines tdl_lines;

enum tdl_line { TDL_LINE_TEXT, TDL_LINE_CANCELLED /* Ctrl-C */, TDL_LINE_END };

/* The state is asked what Tab offers. NULL when memory is out. */
tdl_lines *tdl_lines_open(lua_State *L, bool terminal);
enum tdl_line tdl_lines_read(tdl_lines *lines, const char *prompt);
/* The line that was read, without its end. Valid until the next read. */
const char *tdl_lines_text(const tdl_lines *lines);
void tdl_lines_close(tdl_lines **lines);

#endif
