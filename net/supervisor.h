/* The supervisor: the one thread that holds the worker's sockets and keys. It admits, relays frames between
 * clients and the processes of their sessions, answers pings, ends what has to end, and never computes.
 *
 *     client ── CURVE ──▶ ROUTER │ supervisor │ pipe ──▶ child: td_host
 *                          ZAP   │            │ template
 *
 * What a message may do follows from the key that was admitted ("User-Id" of ZeroMQ's message), and from
 * nothing that the message says of itself. */
#ifndef TD_NET_SUPERVISOR_H
#define TD_NET_SUPERVISOR_H

#include "net/config.h"
#include "net/template.h"

typedef struct td_supervisor td_supervisor;

/* Opens the sockets and listens. key's secret is not needed afterwards. template is used, not owned.
 * Errors: IO ("tcp://127.0.0.1:7700 is in use already"), MEMORY. */
td_supervisor *td_supervisor_open(const td_worker_config *config, const td_keypair *key,
                                  td_template *template, td_err *err);
/* Where it listens, with the real port in it. */
const char *td_supervisor_endpoint(const td_supervisor *s);
/* Serves until stop_fd (a signalfd) becomes readable; an error when the template is gone. */
int td_supervisor_run(td_supervisor *s, int stop_fd, td_err *err);
void td_supervisor_close(td_supervisor **s);

#endif
