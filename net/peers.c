/* Watching connections; see the header. Descriptors belong to ZeroMQ's thread and may be closed, and their
 * numbers used anew, at any time: the worst that a late shutdown does is to make a client reconnect. */
#include "net/peers.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#define ADDRESS "inproc://tide.peers"

int td_peers_open(td_peers *p, void *context, void *router, td_err *err) {
    int linger = 0;
    memset(p, 0, sizeof *p);
    p->monitor = zmq_socket(context, ZMQ_PAIR);
    if (p->monitor == NULL ||
        zmq_setsockopt(p->monitor, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_socket_monitor(router, ADDRESS,
                           ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED) != 0 ||
        zmq_connect(p->monitor, ADDRESS) != 0) {
        td_fail(err, TD_E_IO, "worker", "connections cannot be watched: %s",
                zmq_strerror(zmq_errno()));
        td_peers_close(p);
        return TD_E_IO;
    }
    return 0;
}

void td_peers_close(td_peers *p) {
    if (p->monitor) zmq_close(p->monitor);
    p->monitor = NULL;
    p->count = 0;
}

static td_peer *find(td_peers *p, int fd) {
    for (int i = 0; fd >= 0 && i < p->count; i++)
        if (p->peer[i].fd == fd) return &p->peer[i];
    return NULL;
}

static void forget(td_peers *p, int fd) {
    td_peer *peer = find(p, fd);
    if (peer) *peer = p->peer[--p->count];
}

static void shut(td_peers *p, int fd) {
    p->shut_down++;
    shutdown(fd, SHUT_RDWR);
}

static void add(td_peers *p, int fd) {
    forget(p, fd);
    if (p->count == TD_PEERS_MAX)
        shut(p, fd);
    else
        p->peer[p->count++] = (td_peer){.fd = fd};
}

void td_peers_events(td_peers *p) {
    unsigned char event[6], address[256];
    while (zmq_recv(p->monitor, event, sizeof event, ZMQ_DONTWAIT) == (int)sizeof event) {
        zmq_recv(p->monitor, address, sizeof address, ZMQ_DONTWAIT);
        uint16_t kind;
        int32_t fd;
        memcpy(&kind, event, sizeof kind);
        memcpy(&fd, event + 2, sizeof fd);
        if (kind == ZMQ_EVENT_ACCEPTED) add(p, fd);
        if (kind == ZMQ_EVENT_DISCONNECTED) forget(p, fd);
    }
}

void td_peers_delivered(td_peers *p, int fd) {
    td_peer *peer = find(p, fd);
    if (peer) peer->delivered++;
}

bool td_peers_strike(td_peers *p, int fd, bool multipart) {
    td_peer *peer = find(p, fd);
    if (peer == NULL) return false;
    if (multipart ? ++peer->multiparts < TD_PEER_MULTIPART_STRIKES
                  : ++peer->strikes < TD_PEER_STRIKES)
        return false;
    shut(p, fd);
    return true;
}

/* Bytes that the connection has received; 0 when it is none of TCP. */
static uint64_t received_bytes(int fd) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return info.tcpi_bytes_received;
}

void td_peers_look(td_peers *p) {
    for (int i = 0; i < p->count; i++) {
        td_peer *peer = &p->peer[i];
        uint64_t received = received_bytes(peer->fd);
        if (peer->delivered != peer->delivered_before ||
            received < peer->received_before) {
            peer->delivered_before = peer->delivered;
            peer->received_before = received;
        } else if (received - peer->received_before > TD_PEER_HELD_BYTES) {
            peer->received_before = received;
            shut(p, peer->fd);
        }
    }
}
