/* tide worker FILE.lua: serves the data that the file names. */
#include <stdio.h>

#include "net/command.h"
#include "net/worker.h"

const char td_worker_help[] =
    "\n"
    "The file returns a table; it can do nothing else. Paths are as seen from its "
    "folder.\n"
    "\n"
    "  return {\n"
    "    name = \"bob\",\n"
    "    listen = \"tcp://127.0.0.1:7700\",        -- or tcp://127.0.0.1:*, any free "
    "port\n"
    "    key = \"bob.key\",                       -- made by tide keys new bob\n"
    "    users = {                              -- nobody else is let in\n"
    "      carol = {key = \"carol.pub\", role = \"scientist\"},\n"
    "    },\n"
    "    datasets = {\n"
    "      [\"patients\"] = {path = \"patients.csv\", target = \"outcome\", policy = "
    "\"open\",\n"
    "                      tags = {\"#patients\"}, description = \"visits of 2025\"},\n"
    "    },\n"
    "    limits = {memory = \"2G\", seconds = 600, sessions = 16, lease = 60, threads = "
    "1},\n"
    "  }\n"
    "\n"
    "datasets: .csv .npy .npz .safetensors or IDX files, read at the start; target names "
    "the column\n"
    "that becomes y. policy \"open\": users may work on the rows and fetch them. "
    "\"derived\", \"plans\"\n"
    "and \"private\" are for approved programs, which this version does not run: their "
    "rows are\n"
    "refused to everybody.\n"
    "limits: memory of one session's tensors; seconds that one batch of operations may "
    "take;\n"
    "sessions at a time; lease: seconds of silence after which a session's objects are "
    "freed;\n"
    "threads: processors that one session computes on.\n"
    "At this stage a worker listens on loopback alone.";

int td_command_worker(int argc, char **argv) {
    if (argc != 1 || argv[0][0] == '-') return TD_CALLED_WRONGLY;
    td_worker_config config;
    td_err err = {0};
    int rc = td_worker_config_load(argv[0], &config, &err);
    if (rc == 0 && config.wants_gateway)
        fprintf(stderr, "%s: a gateway is named, which this version does not serve yet\n",
                config.name);
    for (int i = 0; rc == 0 && i < config.set_count; i++)
        if (config.set[i].policy != TD_POLICY_OPEN)
            fprintf(
                stderr,
                "%s: data set '%s' is for approved programs, which this version does not "
                "run: its rows are refused to everybody\n",
                config.name, config.set[i].name);
    if (rc == 0) rc = td_worker_run(&config, stdout, &err);
    td_worker_config_clear(&config);
    if (rc == 0) return 0;
    char text[600];
    td_err_text(&err, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    if (err.hint[0]) fprintf(stderr, "%s\n", err.hint);
    return 1;
}
