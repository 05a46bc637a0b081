/* Socket options that both ends of a connection have in common: bounds on sizes and queues, CURVE, times.
 * ZeroMQ's defaults are no bound at all, and half a minute for a handshake. */
#ifndef TD_NET_SOCKET_H
#define TD_NET_SOCKET_H

#include "net/keys.h"

/* A ROUTER that has key's secret, asks admission about everybody and takes frames of TD_FRAME_MAX. */
int td_socket_server(void *socket, const td_keypair *key, td_err *err);
/* A DEALER that will talk to the holder of server_key alone. */
int td_socket_client(void *socket, const td_keypair *key, const char *server_key,
                     td_err *err);

#endif
