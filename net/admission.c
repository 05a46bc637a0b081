/* The ZAP handler. A request has six frames of fixed meaning and then credentials; whatever departs from
 * that, or asks for another mechanism or domain, is answered with a refusal. */
#include "net/admission.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <zmq.h>

#define PARTS_MAX 8
#define PART_BYTES 256

int td_admission_open(td_admission *a, void *context, const td_user *user, int user_count,
                      td_err *err) {
    *a = (td_admission){.user = user, .user_count = user_count};
    int linger = 0;
    a->socket = zmq_socket(context, ZMQ_REP);
    if (a->socket == NULL ||
        zmq_setsockopt(a->socket, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_bind(a->socket, "inproc://zeromq.zap.01") != 0) {
        td_fail(err, TD_E_IO, "worker", "admission does not start: %s",
                zmq_strerror(zmq_errno()));
        td_admission_close(a);
        return TD_E_IO;
    }
    return 0;
}

void td_admission_close(td_admission *a) {
    if (a->socket) zmq_close(a->socket);
    *a = (td_admission){0};
}

/* ---- a request ---- */

typedef struct part {
    unsigned char bytes[PART_BYTES];
    size_t size;
} part;

enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS };

static bool part_is(const part *p, const char *text) {
    return p->size == strlen(text) && memcmp(p->bytes, text, p->size) == 0;
}

/* How many parts there were; 0 when no request waits, -1 when one of them is too long. */
static int take_parts(void *socket, part *parts) {
    int count = 0, more = 1;
    bool too_long = false;
    while (more) {
        part rest, *p = count < PARTS_MAX ? &parts[count] : &rest;
        int n = zmq_recv(socket, p->bytes, PART_BYTES, ZMQ_DONTWAIT);
        if (n < 0) return 0;
        if (n > PART_BYTES) too_long = true;
        p->size = n > PART_BYTES ? PART_BYTES : (size_t)n;
        size_t room = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &room) != 0) return 0;
        count++;
    }
    return too_long ? -1 : count;
}

static const td_user *find_user(const td_admission *a, const unsigned char key[32]) {
    const td_user *found = NULL;
    for (int i = 0; i < a->user_count; i++) {
        unsigned char listed[32];
        if (zmq_z85_decode(listed, a->user[i].public_key) &&
            sodium_memcmp(listed, key, 32) == 0)
            found = &a->user[i];
    }
    return found;
}

static const td_user *judge(const td_admission *a, const part *parts, int count) {
    if (count != CREDENTIALS + 1 || !part_is(&parts[VERSION], "1.0")) return NULL;
    if (!part_is(&parts[DOMAIN], TD_ZAP_DOMAIN) || !part_is(&parts[MECHANISM], "CURVE"))
        return NULL;
    if (parts[CREDENTIALS].size != 32) return NULL;
    return find_user(a, parts[CREDENTIALS].bytes);
}

static void send_text(void *socket, const char *text, int flags) {
    zmq_send(socket, text, strlen(text), flags | ZMQ_DONTWAIT);
}

void td_admission_serve(td_admission *a) {
    part parts[PARTS_MAX];
    for (int count; (count = take_parts(a->socket, parts)) != 0;) {
        const td_user *user = judge(a, parts, count);
        if (user)
            a->admitted++;
        else
            a->refused++;
        send_text(a->socket, "1.0", ZMQ_SNDMORE);
        zmq_send(a->socket, parts[REQUEST_ID].bytes,
                 count > REQUEST_ID ? parts[REQUEST_ID].size : 0,
                 ZMQ_SNDMORE | ZMQ_DONTWAIT);
        send_text(a->socket, user ? "200" : "400", ZMQ_SNDMORE);
        send_text(a->socket, user ? "" : "not on the list", ZMQ_SNDMORE);
        send_text(a->socket, user ? user->name : "", ZMQ_SNDMORE);
        send_text(a->socket, "", 0);
    }
}
