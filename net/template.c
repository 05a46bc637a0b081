/* The template process, and the supervisor's handle of it. Orders and reports are packets over a
 * SOCK_SEQPACKET pair; the end of a child's pipe rides on the order that starts it (SCM_RIGHTS). */
#include "net/template.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/mem.h"

typedef enum order_kind { ORDER_START = 1, ORDER_KILL } order_kind;

typedef struct order {
    order_kind kind;
    uint64_t serial;
    unsigned char session[TD_SESSION_BYTES];
} order;

typedef struct running {
    uint64_t serial;
    pid_t pid;
} running;

typedef struct template {
    const td_child_plan *plan;
    int fd, signals;
    running *child;
    size_t count, room;
}
template;

/* ---- in the template ---- */

/* Reports are few and small, and the supervisor reads them at once. */
static void report(template *t, uint64_t serial, pid_t pid, int status, int error) {
    td_report r = {.serial = serial, .pid = pid, .status = status, .error = error};
    while (send(t->fd, &r, sizeof r, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

static _Noreturn void become_child(const template *t, const order *o, int pipe,
                                   pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    /* Ctrl-C at the worker's terminal: the supervisor ends things in order */
    signal(SIGINT, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const td_child_plan *plan = t->plan;
    if (!td_child_enter(pipe, plan) || getppid() != parent) _exit(TD_CHILD_NOT_LOCKED);
    prctl(PR_SET_NAME, "tide-session");
    _exit((int)td_child_serve(plan, o->session));
}

static void start_child(template *t, const order *o, int pipe) {
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 16;
        running *more = td_grow_bytes(t->child, room * sizeof *more);
        if (more == NULL) {
            report(t, o->serial, 0, 0, ENOMEM);
            return;
        }
        t->child = more;
        t->room = room;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) become_child(t, o, pipe, parent);
    if (pid < 0)
        report(t, o->serial, 0, 0, errno);
    else
        t->child[t->count++] = (running){.serial = o->serial, .pid = pid};
}

static void kill_child(const template *t, uint64_t serial) {
    for (size_t i = 0; i < t->count; i++)
        if (t->child[i].serial == serial) kill(t->child[i].pid, SIGKILL);
}

static void reap(template *t) {
    struct signalfd_siginfo info;
    while (read(t->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    }
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < t->count; i++)
            if (t->child[i].pid == pid) {
                report(t, t->child[i].serial, pid, status, 0);
                t->child[i] = t->child[--t->count];
                break;
            }
}

/* Takes one order; false when the supervisor is gone. */
static bool take_order(template *t) {
    order o;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {&o, sizeof o};
    struct msghdr h = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(t->fd, &h, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) return true;
    if (n != (ssize_t)sizeof o) return false;
    int pipe = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    if (c && c->cmsg_type == SCM_RIGHTS) memcpy(&pipe, CMSG_DATA(c), sizeof pipe);
    if (o.kind == ORDER_START && pipe >= 0) start_child(t, &o, pipe);
    if (o.kind == ORDER_START && pipe < 0) report(t, o.serial, 0, 0, EMFILE);
    if (o.kind == ORDER_KILL) kill_child(t, o.serial);
    if (pipe >= 0) close(pipe);
    return true;
}

static _Noreturn void template_main(template *t) {
    sigset_t all, chld;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* it ends when its pipe closes */
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "tide-template");
    t->signals = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
    if (t->signals < 0) _exit(1);
    for (;;) {
        struct pollfd p[2] = {{.fd = t->fd, .events = POLLIN},
                              {.fd = t->signals, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR) break;
        if (p[1].revents) reap(t);
        if (p[0].revents && !take_order(t)) break;
    }
    for (size_t i = 0; i < t->count; i++) kill(t->child[i].pid, SIGKILL);
    while (wait(NULL) > 0) {
    }
    _exit(0);
}

/* ---- in the supervisor ---- */

int td_template_start(td_template *t, const td_child_plan *plan, td_err *err) {
    int pair[2];
    *t = (td_template){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return td_fail(err, TD_E_IO, "worker", "no pipe for the template: %s",
                       strerror(errno));
    fflush(NULL);
    t->pid = fork();
    if (t->pid == 0) {
        close(pair[0]);
        template self = {.plan = plan, .fd = pair[1]};
        template_main(&self);
    }
    close(pair[1]);
    if (t->pid < 0) {
        close(pair[0]);
        return td_fail(err, TD_E_IO, "worker", "the template does not start: %s",
                       strerror(errno));
    }
    t->fd = pair[0];
    return 0;
}

static bool give_order(const td_template *t, const order *what, int pipe) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    order o = *what;
    struct iovec part = {&o, sizeof o};
    struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
    if (pipe >= 0) {
        h.msg_control = control.bytes;
        h.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof pipe);
        memcpy(CMSG_DATA(c), &pipe, sizeof pipe);
    }
    return sendmsg(t->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof o;
}

static bool give_kill(const td_template *t, uint64_t serial) {
    order o = {.kind = ORDER_KILL, .serial = serial};
    return give_order(t, &o, -1);
}

bool td_template_spawn(td_template *t, uint64_t serial,
                       const unsigned char session[TD_SESSION_BYTES], int pipe) {
    order o = {.kind = ORDER_START, .serial = serial};
    memcpy(o.session, session, TD_SESSION_BYTES);
    if (t->running == t->doomed_room) {
        size_t room = t->doomed_room ? t->doomed_room * 2 : 16;
        uint64_t *more = td_grow_bytes(t->doomed, room * sizeof *more);
        if (more == NULL) return false;
        t->doomed = more;
        t->doomed_room = room;
    }
    if (!give_order(t, &o, pipe)) return false;
    t->running++;
    return true;
}

static size_t find_doomed(const td_template *t, uint64_t serial) {
    size_t i = 0;
    while (i < t->doomed_count && t->doomed[i] != serial) i++;
    return i;
}

void td_template_kill(td_template *t, uint64_t serial) {
    if (give_kill(t, serial)) return;
    size_t at = find_doomed(t, serial);
    if (at < t->doomed_room) t->doomed[at] = serial;
    if (at == t->doomed_count && at < t->doomed_room) t->doomed_count++;
}

void td_template_tick(td_template *t) {
    while (t->doomed_count > 0 && give_kill(t, t->doomed[t->doomed_count - 1]))
        t->doomed_count--;
}

int td_template_report(td_template *t, td_report *out) {
    ssize_t n;
    do n = recv(t->fd, out, sizeof *out, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof *out) {
        size_t at = find_doomed(t, out->serial);
        if (at < t->doomed_count) t->doomed[at] = t->doomed[--t->doomed_count];
        if (t->running > 0) t->running--;
        return 1;
    }
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
}

void td_template_stop(td_template *t) {
    if (t->fd >= 0) close(t->fd);
    while (t->pid > 0 && waitpid(t->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    td_free(t->doomed);
    *t = (td_template){.fd = -1};
}

const char *td_report_text(const td_report *r, char *text, size_t size) {
    if (r->error)
        snprintf(text, size, "could not be started: %s", strerror(r->error));
    else if (WIFSIGNALED(r->status))
        snprintf(text, size, "was killed (signal %d)", WTERMSIG(r->status));
    else if (WEXITSTATUS(r->status) == TD_CHILD_NO_MEMORY)
        snprintf(text, size, "ran out of memory");
    else
        snprintf(text, size, "ended with status %d", WEXITSTATUS(r->status));
    return text;
}
