/* Options of sockets. Heartbeats of ZeroMQ's own stay off: they go out in the midst of traffic, and tell the
 * program nothing; clients ping in silence instead (transport.c). */
#include "net/socket.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zmq.h>

#include "net/admission.h"
#include "plans/session/link.h"

/* Which zmq.h of 4.3 names in draft builds alone; the library takes it. */
#define ZAP_ENFORCE_DOMAIN 93
#define QUEUED_FRAMES (2 * TD_WINDOW) /* a connection's, each way */
#define HANDSHAKE_MS 3000
#define RECONNECT_MS 50
#define RECONNECT_MAX_MS 1000

static bool set_int(void *socket, int option, int value) {
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_text(void *socket, int option, const char *text) {
    return zmq_setsockopt(socket, option, text, strlen(text)) == 0;
}

static bool set_common(void *socket, const td_keypair *key) {
    int64_t most = TD_FRAME_MAX;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0 &&
           set_int(socket, ZMQ_SNDHWM, QUEUED_FRAMES) &&
           set_int(socket, ZMQ_RCVHWM, QUEUED_FRAMES) &&
           set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
           set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_IMMEDIATE, 1) &&
           set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, key->secret_key, TD_KEY_TEXT) == 0;
}

static int refused(td_err *err) {
    return td_fail(err, TD_E_IO, "", "a socket does not take its options: %s",
                   zmq_strerror(zmq_errno()));
}

int td_socket_server(void *socket, const td_keypair *key, td_err *err) {
    bool well = set_int(socket, ZMQ_CURVE_SERVER, 1) && set_common(socket, key) &&
                set_text(socket, ZMQ_ZAP_DOMAIN, TD_ZAP_DOMAIN) &&
                set_int(socket, ZAP_ENFORCE_DOMAIN, 1) &&
                set_int(socket, ZMQ_ROUTER_MANDATORY, 1) &&
                set_int(socket, ZMQ_ROUTER_HANDOVER, 0) &&
                set_int(socket, ZMQ_BACKLOG, 100);
    return well ? 0 : refused(err);
}

int td_socket_client(void *socket, const td_keypair *key, const char *server_key,
                     td_err *err) {
    bool well =
        set_common(socket, key) &&
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, key->public_key, TD_KEY_TEXT) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, TD_KEY_TEXT) == 0 &&
        set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
        set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    return well ? 0 : refused(err);
}
