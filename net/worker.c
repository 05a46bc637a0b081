/* Putting a worker together. */
#include "net/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "net/datasets.h"
#include "net/supervisor.h"
#include "net/template.h"

#define OBJECTS_MAX ((size_t)1 << 20) /* of one session */

static void say_ready(const td_worker_config *c, const td_supervisor *s, FILE *ready) {
    fprintf(ready, "%s: %d data set%s, %d user%s, listening on %s\n", c->name,
            c->set_count, c->set_count == 1 ? "" : "s", c->user_count,
            c->user_count == 1 ? "" : "s", td_supervisor_endpoint(s));
    fflush(ready);
}

/* A descriptor that becomes readable when the worker is to stop. */
static int stop_signals(td_err *err) {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    int fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        td_fail(err, TD_E_IO, "worker", "signals cannot be waited for: %s",
                strerror(errno));
    return fd;
}

/* With the template running: nothing that it, or a child, knows may be secret before this. */
static int serve(const td_worker_config *config, td_template *template, FILE *ready,
                 td_err *err) {
    td_keypair key = {0};
    struct rlimit none = {0, 0};
    int stop_fd = -1;
    td_supervisor *s = NULL;
    setrlimit(RLIMIT_CORE, &none); /* there will be a key in here */
    int rc = td_keys_load_secret(config->key_path, &key, err);
    if (rc == 0 && (stop_fd = stop_signals(err)) < 0) rc = TD_E_IO;
    if (rc == 0 && (s = td_supervisor_open(config, &key, template, err)) == NULL)
        rc = TD_E_IO;
    td_keypair_clear(&key);
    if (rc == 0) {
        say_ready(config, s, ready);
        rc = td_supervisor_run(s, stop_fd, err);
    }
    td_supervisor_close(&s);
    if (stop_fd >= 0) close(stop_fd);
    return rc;
}

int td_worker_run(const td_worker_config *config, FILE *ready, td_err *err) {
    td_datasets data;
    td_template template;
    int rc = td_datasets_load(config, &data, err);
    if (rc) return rc;
    td_host_config host = {.max_letter_bytes = (size_t)config->letter_bytes,
                           .max_objects = OBJECTS_MAX,
                           .sets = data.set,
                           .set_count = data.count};
    snprintf(host.name, sizeof host.name, "%s", config->name);
    td_child_plan plan = {.host = &host,
                          .memory_bytes = config->memory_bytes,
                          .threads = (int)config->threads};
    rc = td_template_start(&template, &plan, err);
    td_datasets_clear(&data); /* the template has them */
    if (rc) return rc;
    rc = serve(config, &template, ready, err);
    td_template_stop(&template);
    return rc;
}
