/* A virtual worker: a whole host in this process behind a transport that is a direct call. Frames are the
 * same bytes as on the wire. */
#ifndef TD_VIRTUAL_H
#define TD_VIRTUAL_H

#include "plans/session/client.h"
#include "plans/session/host.h"

/* Fills in *transport; its close frees the host. */
int td_virtual_new(const char *name, td_transport *transport, td_err *err);

#endif
