/* The subcommands of this folder; rows of main.c's table. */
#ifndef TD_NET_COMMANDS_H
#define TD_NET_COMMANDS_H

int td_command_worker(int argc, char **argv);
int td_command_keys(int argc, char **argv);

#endif
