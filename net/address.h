/* Addresses as ZeroMQ writes them: tcp://host:port and ipc://path. */
#ifndef TD_NET_ADDRESS_H
#define TD_NET_ADDRESS_H

#include <stdbool.h>

/* Can one listen on it? The port may be * or 0 (any that is free), the host *. */
bool td_address_can_listen(const char *address);
/* Can one connect to it? */
bool td_address_can_connect(const char *address);
/* Is it one that only this machine reaches? */
bool td_address_is_local(const char *address);

#endif
