/* Looking at addresses before ZeroMQ does, which takes some that can never work. */
#include "net/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 256

/* Takes tcp://host:port apart; the port points into address. False when it is none. */
static bool split_tcp(const char *address, char host[HOST_MAX], const char **port) {
    if (strncmp(address, "tcp://", 6) != 0) return false;
    const char *colon = strrchr(address + 6, ':');
    size_t n = colon ? (size_t)(colon - address - 6) : 0;
    if (n == 0 || n >= HOST_MAX) return false;
    memcpy(host, address + 6, n);
    host[n] = 0;
    *port = colon + 1;
    return true;
}

static bool is_ipc(const char *address) {
    return strncmp(address, "ipc://", 6) == 0 && address[6] != 0;
}

/* -1 when it is none. */
static long port_number(const char *text) {
    size_t n = strlen(text);
    if (n == 0 || n > 5 || text[strspn(text, "0123456789")] != 0) return -1;
    long v = strtol(text, NULL, 10);
    return v <= 65535 ? v : -1;
}

bool td_address_can_listen(const char *address) {
    char host[HOST_MAX];
    const char *port;
    if (is_ipc(address)) return true;
    return split_tcp(address, host, &port) &&
           (strcmp(port, "*") == 0 || port_number(port) >= 0);
}

bool td_address_can_connect(const char *address) {
    char host[HOST_MAX];
    const char *port;
    if (is_ipc(address)) return true;
    return split_tcp(address, host, &port) && strchr(host, '*') == NULL &&
           port_number(port) > 0;
}

bool td_address_is_local(const char *address) {
    char host[HOST_MAX];
    const char *port;
    struct in_addr v4;
    if (is_ipc(address)) return true;
    if (!split_tcp(address, host, &port)) return false;
    if (inet_pton(AF_INET, host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}
