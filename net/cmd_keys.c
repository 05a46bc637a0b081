/* tide keys new NAME: makes NAME.pub and NAME.key. */
#include <stdio.h>
#include <string.h>

#include "net/command.h"
#include "net/keys.h"

const char td_keys_help[] = "\n"
                            "Makes a CURVE key pair in two files: NAME.pub, to give to "
                            "those who shall know you, and\n"
                            "NAME.key, to keep (mode 0600; a worker or tide.connect "
                            "refuses it when others may read it).\n"
                            "Existing files are never overwritten.";

int td_command_keys(int argc, char **argv) {
    if (argc != 2 || strcmp(argv[0], "new") != 0) return TD_CALLED_WRONGLY;
    td_err err = {0};
    if (td_keys_new(argv[1], &err) == 0) {
        printf("%s.pub: to give to others\n%s.key: to keep\n", argv[1], argv[1]);
        return 0;
    }
    char text[600];
    td_err_text(&err, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return 1;
}
