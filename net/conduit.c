/* Frames between the supervisor and a child. */
#include "net/conduit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void td_conduit_open(td_conduit *c, int fd) {
    memset(c, 0, sizeof *c);
    c->fd = fd;
}

void td_conduit_close(td_conduit *c) {
    if (c->fd < 0) return;
    close(c->fd);
    c->fd = -1;
    while (c->count > 0) {
        zmq_msg_close(&c->queue[c->first]);
        c->first = (c->first + 1) % TD_CONDUIT_ROOM;
        c->count--;
    }
    if (c->head_have == 4) zmq_msg_close(&c->frame);
    c->head_have = 0;
}

/* ---- out ---- */

/* Writes on with the first frame. True when it is through; errno says why not. */
static bool write_first(td_conduit *c) {
    zmq_msg_t *m = &c->queue[c->first];
    size_t size = zmq_msg_size(m);
    unsigned char head[4] = {(unsigned char)size, (unsigned char)(size >> 8),
                             (unsigned char)(size >> 16), (unsigned char)(size >> 24)};
    while (c->written < 4 + size) {
        size_t done = c->written < 4 ? c->written : 4, body = c->written - done;
        struct iovec part[2] = {{head + done, 4 - done},
                                {(unsigned char *)zmq_msg_data(m) + body, size - body}};
        struct msghdr h = {.msg_iov = part, .msg_iovlen = 2};
        ssize_t n = sendmsg(c->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        c->written += (size_t)n;
    }
    return true;
}

bool td_conduit_flush(td_conduit *c) {
    while (c->fd >= 0 && c->count > 0) {
        if (!write_first(c)) return errno == EAGAIN || errno == EWOULDBLOCK;
        zmq_msg_close(&c->queue[c->first]);
        c->first = (c->first + 1) % TD_CONDUIT_ROOM;
        c->count--;
        c->written = 0;
    }
    return true;
}

bool td_conduit_send(td_conduit *c, zmq_msg_t *msg) {
    if (c->count == TD_CONDUIT_ROOM) {
        c->dropped++;
        return true;
    }
    zmq_msg_t *slot = &c->queue[(c->first + c->count) % TD_CONDUIT_ROOM];
    zmq_msg_init(slot);
    zmq_msg_move(slot, msg);
    c->count++;
    c->given = (c->given + 1) % TD_CHILD_PROGRESS;
    return c->count > 1 || td_conduit_flush(c);
}

/* ---- in ---- */

/* Reads up to *have == size; FRAME when it is all there. */
static td_conduit_state read_to(td_conduit *c, void *bytes, size_t size, size_t *have) {
    while (*have < size) {
        ssize_t n =
            recv(c->fd, (unsigned char *)bytes + *have, size - *have, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? TD_CONDUIT_LATER
                                                           : TD_CONDUIT_CLOSED;
        if (n == 0) return TD_CONDUIT_CLOSED;
        *have += (size_t)n;
    }
    return TD_CONDUIT_FRAME;
}

td_conduit_state td_conduit_recv(td_conduit *c, zmq_msg_t *msg) {
    if (c->head_have < 4) {
        td_conduit_state s = read_to(c, c->head, 4, &c->head_have);
        if (s != TD_CONDUIT_FRAME) return s;
        uint32_t size = (uint32_t)c->head[0] | (uint32_t)c->head[1] << 8 |
                        (uint32_t)c->head[2] << 16 | (uint32_t)c->head[3] << 24;
        if (size & TD_CHILD_PROGRESS) {
            c->head_have = 0;
            c->done = size % TD_CHILD_PROGRESS;
            return TD_CONDUIT_PROGRESS;
        }
        if (size == 0 || size > TD_FRAME_MAX || zmq_msg_init_size(&c->frame, size) != 0) {
            c->head_have = 0;
            return TD_CONDUIT_CLOSED;
        }
        c->frame_have = 0;
    }
    td_conduit_state s =
        read_to(c, zmq_msg_data(&c->frame), zmq_msg_size(&c->frame), &c->frame_have);
    if (s != TD_CONDUIT_FRAME) return s;
    zmq_msg_move(msg, &c->frame);
    zmq_msg_close(&c->frame);
    c->head_have = 0;
    return TD_CONDUIT_FRAME;
}
