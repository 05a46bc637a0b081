/* The template: a process with one thread, no keys and no sockets but one pipe, that has the data sets
 * mapped and forks a child for each session when the supervisor asks for one. It reaps its children and
 * tells how they ended. It must be started before any thread or key is there. */
#ifndef TD_NET_TEMPLATE_H
#define TD_NET_TEMPLATE_H

#include <sys/types.h>

#include "net/child.h"

/* A child has ended, or could not be started. */
typedef struct td_report {
    uint64_t serial; /* names the child; never used twice */
    pid_t pid;
    int status; /* of waitpid */
    int error;  /* errno of fork; 0 when it was started */
} td_report;

typedef struct td_template {
    pid_t pid;
    int fd; /* never blocks; readable when a report waits, or the template is gone */
    uint64_t *doomed; /* children to be killed, whose order has found no room as yet */
    size_t doomed_count, doomed_room;
    size_t running; /* children without a report; room for as many is kept in doomed */
} td_template;

/* Forks the template. plan is used by it and its children. */
int td_template_start(td_template *t, const td_child_plan *plan, td_err *err);
/* Asks for a child; pipe goes to it, the caller closes its own. False when the template does not take it. */
bool td_template_spawn(td_template *t, uint64_t serial,
                       const unsigned char session[TD_SESSION_BYTES], int pipe);
/* Has the child killed, now or, when the template is behind with its orders, at one of the next ticks: a kill
 * is never lost. */
void td_template_kill(td_template *t, uint64_t serial);
/* From a timer, a few times a second. */
void td_template_tick(td_template *t);
/* 1: a report; 0: none waits; -1: the template is gone. */
int td_template_report(td_template *t, td_report *out);
/* Ends the template and with it all children, and waits for it. */
void td_template_stop(td_template *t);

/* In words: "was killed (signal 9)", "ran out of memory". */
const char *td_report_text(const td_report *r, char *text, size_t size);

#endif
