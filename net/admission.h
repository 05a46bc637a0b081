/* Admission: the ZAP handler (RFC 27 of ZeroMQ) that says who may come in. CURVE alone encrypts and admits
 * anybody; this admits the listed keys, under the names that the configuration gives them, and nobody by
 * NULL or PLAIN. It is served from the poll loop of whoever owns the worker's socket. */
#ifndef TD_NET_ADMISSION_H
#define TD_NET_ADMISSION_H

#include <stdint.h>

#include "net/keys.h"

#define TD_ZAP_DOMAIN "tide"
#define TD_USER_NAME 64

typedef struct td_user {
    char name[TD_USER_NAME];
    char role[16];
    char public_key[TD_KEY_TEXT];
} td_user;

typedef struct td_admission {
    void *socket; /* ZMQ_REP: poll it, and call td_admission_serve when it is readable */
    const td_user *user; /* lent */
    int user_count;
    uint64_t admitted, refused;
} td_admission;

/* Must come before any socket of this context binds. Errors: IO. */
int td_admission_open(td_admission *a, void *context, const td_user *user, int user_count,
                      td_err *err);
/* Answers the requests that wait; never blocks. */
void td_admission_serve(td_admission *a);
void td_admission_close(td_admission *a);

#endif
