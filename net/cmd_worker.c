/* tide worker FILE.lua: serves the data that the file names. */
#include <stdio.h>

#include "net/command.h"
#include "net/worker.h"

int td_command_worker(int argc, char **argv) {
    if (argc != 1 || argv[0][0] == '-') return TD_CALLED_WRONGLY;
    td_worker_config config;
    td_err err = {0};
    int rc = td_worker_config_load(argv[0], &config, &err);
    if (rc == 0 && config.wants_gateway)
        fprintf(stderr, "%s: a gateway is named, which this version does not serve yet\n",
                config.name);
    if (rc == 0) rc = td_worker_run(&config, stdout, &err);
    td_worker_config_clear(&config);
    if (rc == 0) return 0;
    char text[600];
    td_err_text(&err, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    if (err.hint[0]) fprintf(stderr, "%s\n", err.hint);
    return 1;
}
