/* Running what a user wrote: a script, a session at the terminal, a page of help. For main. */
#ifndef TDL_RUN_H
#define TDL_RUN_H

#include "lua/tdl.h"

/* Runs a script ("-": standard input); argv are the words behind its name, which it gets as `...` and in the
 * table `arg`. Exit status: 0, or 1 after an error, which has been written to stderr: one line, a line
 * with the hint, the trace. */
int tdl_run_script(lua_State *L, const char *file, int argc, char **argv);

/* A session: at a terminal with editing, history and completion, otherwise line by line from standard
 * input, without prompts. Exit status: 0; 1 when something failed and nobody sat at a terminal. */
int tdl_repl(lua_State *L);

/* Prints the help for a word (NULL: the topics). Exit status 1 when there is none. */
int tdl_print_help(lua_State *L, const char *word);
/* Tells help of a command of the program. [-0, +0, -] */
void tdl_add_command(lua_State *L, const char *name, const char *arguments,
                     const char *doc, const char *help);

/* lua_pcall with every error made an error object that holds its trace. While it runs Ctrl-C raises
 * INTERRUPTED in it. [-(nargs + 1), +(nresults | 1), -] */
int tdl_call_guarded(lua_State *L, int nargs, int nresults);

/* Writes the error object at the top to stderr. [-1, +0, -] */
void tdl_report(lua_State *L, bool with_trace);

#endif
