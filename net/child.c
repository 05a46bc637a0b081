/* The process of one session: td_host between two ends of a pipe. */
#include "net/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/mem.h"
#include "runtime/pool.h"

/* How often the link is asked for what its clock makes due: shortly after traffic, */
#define BUSY_MS 100
#define IDLE_MS 1000 /* and when there has been none for a while */
#define CALM_AFTER_MS 3000
#define BOOKS_BYTES ((uint64_t)256 << 20)

/* Bytes of private memory that this process has now; 0 when that cannot be told. */
static uint64_t private_bytes(void) {
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) return 0;
    if (fscanf(f, "%*u %*u %*u %*u %*u %llu", &pages) != 1) pages = 0;
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Tensors are counted one by one. What is kept about them, a batch and its reply are not: a batch of nothing but
 * ids takes forty times its size to judge. So the whole process has a roof, which leaves room for the tensors, a
 * batch and a reply as large, and the books. */
static bool set_roof(uint64_t tensors) {
    uint64_t now = private_bytes(), room = 3 * tensors + BOOKS_BYTES;
    struct rlimit roof = {now + room, now + room};
    return now == 0 || setrlimit(RLIMIT_DATA, &roof) == 0;
}

bool td_child_enter(int pipe, const td_child_plan *plan) {
    struct rlimit none = {0, 0};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool well = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                setrlimit(RLIMIT_CORE, &none) == 0 && null >= 0 && dup2(null, 0) == 0 &&
                dup2(null, 1) == 1 &&
                (pipe == TD_CHILD_FD || dup2(pipe, TD_CHILD_FD) == TD_CHILD_FD) &&
                close_range(TD_CHILD_FD + 1, ~0u, 0) == 0 && set_roof(plan->memory_bytes);
    size_t limit;
    if (!td_add_size(td_data_live_bytes(), plan->memory_bytes, &limit)) limit = SIZE_MAX;
    td_data_set_limit(limit);
    td_pool_set_threads(plan->threads);
    return well;
}

/* ---- frames over the pipe; this end may block, the supervisor's never does ---- */

static bool read_all(void *bytes, size_t size) {
    for (size_t have = 0; have < size;) {
        ssize_t n = read(TD_CHILD_FD, (unsigned char *)bytes + have, size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        have += (size_t)n;
    }
    return true;
}

static bool write_frame(const td_writer *w) {
    unsigned char head[4] = {(unsigned char)w->size, (unsigned char)(w->size >> 8),
                             (unsigned char)(w->size >> 16),
                             (unsigned char)(w->size >> 24)};
    for (size_t done = 0; done < 4 + w->size;) {
        size_t of_head = done < 4 ? done : 4, body = done - of_head;
        struct iovec part[2] = {{head + of_head, 4 - of_head},
                                {w->data + body, w->size - body}};
        struct msghdr h = {.msg_iov = part, .msg_iovlen = 2};
        ssize_t n = sendmsg(TD_CHILD_FD, &h, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        done += (size_t)n;
    }
    return true;
}

/* Tells the supervisor how many frames have been dealt with: it ends what is busy with one for too long. */
static bool write_done(uint32_t frames) {
    uint32_t n = frames % TD_CHILD_PROGRESS | TD_CHILD_PROGRESS;
    unsigned char head[4] = {(unsigned char)n, (unsigned char)(n >> 8),
                             (unsigned char)(n >> 16), (unsigned char)(n >> 24)};
    ssize_t w;
    do w = send(TD_CHILD_FD, head, sizeof head, MSG_NOSIGNAL);
    while (w < 0 && errno == EINTR);
    return w == (ssize_t)sizeof head;
}

typedef struct child {
    td_host *host;
    unsigned char session[TD_SESSION_BYTES];
    unsigned char *frame; /* TD_FRAME_MAX bytes */
    td_writer out;
} child;

static td_child_exit send_due(child *c) {
    while (td_host_next(c->host, td_clock_ms(), &c->out)) {
        if (c->out.failed) return TD_CHILD_NO_MEMORY;
        if (!write_frame(&c->out)) return TD_CHILD_NO_PIPE;
    }
    return TD_CHILD_DONE;
}

/* A frame that the host refused: the client is told. */
static td_child_exit send_refusal(child *c, const td_err *err) {
    td_frame f = {.type = TD_FRAME_ERROR, .err = *err};
    memcpy(f.session, c->session, sizeof f.session);
    c->out.size = 0;
    td_frame_write(&f, &c->out);
    if (c->out.failed) return TD_CHILD_NO_MEMORY;
    return write_frame(&c->out) ? TD_CHILD_DONE : TD_CHILD_NO_PIPE;
}

/* Takes in one frame; false: *how says why the process ends. */
static bool take_frame(child *c, td_child_exit *how) {
    unsigned char head[4];
    td_err err = {0};
    *how = TD_CHILD_DONE;
    if (!read_all(head, 4)) return false;
    size_t size = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 |
                  (size_t)head[3] << 24;
    if (size == 0 || size > TD_FRAME_MAX) {
        *how = TD_CHILD_NO_PIPE;
        return false;
    }
    if (!read_all(c->frame, size)) return false;
    if (td_host_frame(c->host, c->frame, size, td_clock_ms(), &err))
        *how = send_refusal(c, &err);
    if (*how == TD_CHILD_DONE) *how = send_due(c);
    return *how == TD_CHILD_DONE;
}

td_child_exit td_child_serve(const td_child_plan *plan,
                             const unsigned char session[TD_SESSION_BYTES]) {
    td_err err = {0};
    child c = {.host = td_host_new(plan->host, session, &err),
               .frame = td_new_bytes(TD_FRAME_MAX)};
    td_child_exit how = c.host && c.frame ? TD_CHILD_DONE : TD_CHILD_NO_MEMORY;
    memcpy(c.session, session, TD_SESSION_BYTES);
    int64_t heard = td_clock_ms();
    uint32_t frames = 0;
    while (how == TD_CHILD_DONE) {
        struct pollfd p = {.fd = TD_CHILD_FD, .events = POLLIN};
        int n = poll(&p, 1, td_clock_ms() - heard < CALM_AFTER_MS ? BUSY_MS : IDLE_MS);
        if (n < 0 && errno != EINTR) how = TD_CHILD_NO_PIPE;
        if (n > 0) {
            if (!take_frame(&c, &how)) break;
            if (!write_done(++frames)) how = TD_CHILD_NO_PIPE;
            heard = td_clock_ms();
        } else if (how == TD_CHILD_DONE) {
            how = send_due(&c);
        }
    }
    td_host_free(&c.host);
    td_writer_free(&c.out);
    td_free(c.frame);
    return how;
}
