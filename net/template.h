/* The template: a process with one thread, no keys and no sockets but one pipe, that has the data sets
 * mapped and forks a child for each session when the supervisor asks for one. It reaps its children and
 * tells how they ended. It must be started before any thread or key is there. */
#ifndef TD_NET_TEMPLATE_H
#define TD_NET_TEMPLATE_H

#include <sys/types.h>

#include "net/child.h"

typedef enum td_order_kind { TD_ORDER_START = 1, TD_ORDER_KILL } td_order_kind;

typedef struct td_order {
    td_order_kind kind;
    uint64_t serial; /* names the child, in this and in its report; never used twice */
    unsigned char session[TD_SESSION_BYTES];
} td_order;

/* A child has ended, or could not be started. */
typedef struct td_report {
    uint64_t serial;
    pid_t pid;
    int status; /* of waitpid */
    int error;  /* errno of fork; 0 when it was started */
} td_report;

typedef struct td_template {
    pid_t pid;
    int fd; /* never blocks; readable when a report waits, or the template is gone */
} td_template;

/* Forks the template. plan is used by it and its children. */
int td_template_start(td_template *t, const td_child_plan *plan, td_err *err);
/* Asks for a child, or for one to be killed; pipe goes to a child (-1: none), the caller closes its own.
 * False when the template does not take it. */
bool td_template_order(td_template *t, const td_order *order, int pipe);
/* 1: a report; 0: none waits; -1: the template is gone. */
int td_template_report(td_template *t, td_report *out);
/* Ends the template and with it all children, and waits for it. */
void td_template_stop(td_template *t);

/* In words: "was killed (signal 9)", "ran out of memory". */
const char *td_report_text(const td_report *r, char *text, size_t size);

#endif
