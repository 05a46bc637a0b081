/* A subcommand of the program: `tide worker FILE`, `tide keys new NAME`. Each is a function in a file of
 * net/, with a row in main.c's table. */
#ifndef TD_NET_COMMAND_H
#define TD_NET_COMMAND_H

/* What a command returns when its arguments make no sense: main prints the usage and exits with 2. */
#define TD_CALLED_WRONGLY (-2)

typedef struct td_command {
    const char *name;
    const char *arguments; /* as the usage shows them: "FILE.lua" */
    const char *doc;       /* a few words */
    const char *help;      /* what `tide help NAME` tells besides; "": nothing */
    /* argv are the words behind the command's name. Returns the exit status. */
    int (*run)(int argc, char **argv);
} td_command;

int td_command_worker(int argc, char **argv);
int td_command_keys(int argc, char **argv);
extern const char td_worker_help[], td_keys_help[];

#endif
