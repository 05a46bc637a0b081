/* The program `tide`: one table of subcommands, and what happens when none is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/run.h"
#include "net/command.h"
#include "net/tdl_net.h"
#include "plans/session/tdl_worker.h"
#include "runtime/mem.h"

#define TIDE_VERSION "0.1"

/* What the layers above the language add to it. */
static int open_layers(lua_State *L) { /* [-0, +0, e] */
    tdl_open_workers(L);
    tdl_open_net(L);
    return 0;
}

static int with_state(int (*run)(lua_State *L, int argc, char **argv), int argc,
                      char **argv) {
    td_err err;
    lua_State *L = tdl_state_new(&err);
    if (L == NULL) {
        char text[600];
        td_err_text(&err, text, sizeof text);
        fprintf(stderr, "tide: %s\n", text);
        return 1;
    }
    lua_pushcfunction(L, open_layers);
    int status = tdl_call_guarded(L, 0, 0);
    if (status == LUA_OK)
        status = run(L, argc, argv);
    else
        tdl_report(L, true);
    tdl_state_free(&L);
    return status;
}

static int wait_workers(lua_State *L) { /* [-0, +0, e] */
    tdl_wait_workers(L);
    return 0;
}

/* What a script asked of a worker and never looked at may have failed: that is said, too. */
static int run_script(lua_State *L, int argc, char **argv) {
    int status = tdl_run_script(L, argv[0], argc - 1, argv + 1);
    if (status) return status;
    lua_pushcfunction(L, wait_workers);
    if (tdl_call_guarded(L, 0, 0) == LUA_OK) return 0;
    tdl_report(L, false);
    return 1;
}

static void add_commands(lua_State *L);

static int run_repl(lua_State *L, int argc, char **argv) {
    (void)argc, (void)argv;
    add_commands(L);
    return tdl_repl(L);
}

static int run_help(lua_State *L, int argc, char **argv) {
    add_commands(L);
    return tdl_print_help(L, argc > 0 ? argv[0] : NULL);
}

static int command_help(int argc, char **argv) {
    return argc > 1 ? TD_CALLED_WRONGLY : with_state(run_help, argc, argv);
}

static int command_version(int argc, char **argv) {
    (void)argv;
    if (argc > 0) return TD_CALLED_WRONGLY;
    printf("tide %s\n", TIDE_VERSION);
    return 0;
}

static const td_command commands[] = {
    {"worker", "FILE.lua", "serve local data", td_worker_help, td_command_worker},
    {"keys", "new NAME", "make NAME.pub and NAME.key", td_keys_help, td_command_keys},
    {"help", "[WORD]", "every function and command", "", command_help},
    {"--version", "", "the program's version", "", command_version},
};

static void add_commands(lua_State *L) {
    tdl_add_command(L, "FILE.lua", "[ARG ...]", "run a script (-: standard input)", "");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        tdl_add_command(L, commands[i].name, commands[i].arguments, commands[i].doc,
                        commands[i].help);
}

static const td_command *find_command(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

/* The first line says what is wrong, the usage follows. */
static int usage(const char *what, const char *word) {
    fprintf(stderr, "tide: %s%s\n", what, word);
    fprintf(stderr,
            "usage: tide                        a session at the terminal\n"
            "       tide FILE.lua [ARG ...]     run a script (-: standard input)\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const td_command *c = &commands[i];
        int n = fprintf(stderr, "       tide %s %s", c->name, c->arguments);
        fprintf(stderr, "%*s %s\n", n < 34 ? 34 - n : 0, "", c->doc);
    }
    return 2;
}

/* Commands that the contract names and this version lacks: they are no scripts. */
static bool is_of_later(const char *name) {
    static const char *const later[] = {"gateway", "edge", "inspect", "requests",
                                        "approve", "deny", "log"};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (strcmp(later[i], name) == 0) return true;
    return false;
}

int main(int argc, char **argv) {
    td_mem_setup();
    if (argc < 2) return with_state(run_repl, 0, NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) argv[1] = "help";
    const td_command *command = find_command(argv[1]);
    int status;
    if (command)
        status = command->run(argc - 2, argv + 2);
    else if (argv[1][0] == '-' && argv[1][1])
        return usage("there is no option ", argv[1]);
    else if (is_of_later(argv[1]))
        return usage("this version has no command ", argv[1]);
    else
        status = with_state(run_script, argc - 1, argv + 1);
    return status == TD_CALLED_WRONGLY ? usage("called wrongly: ", argv[1]) : status;
}
