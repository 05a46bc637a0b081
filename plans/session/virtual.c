/* The transport of a virtual worker: sending runs the host, receiving takes what it left. */
#include "plans/session/virtual.h"

#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"

#define MAX_LETTER_BYTES ((size_t)4 << 30)
#define MAX_OBJECTS ((size_t)10 << 20)

typedef struct waiting {
    struct waiting *next;
    unsigned char *bytes;
    size_t n;
} waiting;

typedef struct virtual_worker {
    td_host_config config;
    td_host *host; /* made by the first frame, which bears the session's name */
    bool up_said;
    waiting *first, **last;
} virtual_worker;

/* Everything the host has to say goes into the queue. */
static int collect(virtual_worker *v, td_err *err) {
    td_writer w = {0};
    while (td_host_next(v->host, 0, &w)) {
        waiting *q = w.failed ? NULL : td_new(waiting);
        if (q == NULL) {
            td_writer_free(&w);
            return td_fail(err, TD_E_MEMORY, "", "out of memory");
        }
        q->bytes = w.data;
        q->n = w.size;
        w = (td_writer){0};
        *v->last = q;
        v->last = &q->next;
    }
    td_writer_free(&w);
    return 0;
}

static int virtual_send(void *ctx, const void *frame, size_t n, td_err *err) {
    virtual_worker *v = ctx;
    if (v->host == NULL) {
        td_frame f;
        int rc = td_frame_parse(frame, n, &f, err);
        if (rc) return rc;
        v->host = td_host_new(&v->config, f.session, err);
        if (v->host == NULL) return err ? err->code : TD_E_MEMORY;
    }
    int rc = td_host_frame(v->host, frame, n, 0, err);
    return rc ? rc : collect(v, err);
}

static td_event virtual_recv(void *ctx, int wait_ms, void **frame, size_t *n,
                             td_err *err) {
    virtual_worker *v = ctx;
    (void)wait_ms, (void)err;
    if (!v->up_said) {
        v->up_said = true;
        return TD_EV_UP;
    }
    waiting *q = v->first;
    if (q == NULL) return TD_EV_TIMEOUT;
    *frame = q->bytes;
    *n = q->n;
    v->first = q->next;
    if (v->first == NULL) v->last = &v->first;
    td_free(q);
    return TD_EV_FRAME;
}

static void virtual_close(void *ctx) {
    virtual_worker *v = ctx;
    while (v->first) {
        waiting *q = v->first;
        v->first = q->next;
        td_free(q->bytes);
        td_free(q);
    }
    td_host_free(&v->host);
    td_free(v);
}

static void virtual_reconnect(void *ctx) { ((virtual_worker *)ctx)->up_said = false; }

int td_virtual_new(const char *name, td_transport *transport, td_err *err) {
    virtual_worker *v = td_new(virtual_worker);
    if (v == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    snprintf(v->config.name, sizeof v->config.name, "%s", name);
    v->config.max_letter_bytes = MAX_LETTER_BYTES;
    v->config.max_objects = MAX_OBJECTS;
    v->last = &v->first;
    *transport = (td_transport){.ctx = v,
                                .send = virtual_send,
                                .recv = virtual_recv,
                                .close = virtual_close,
                                .reconnect = virtual_reconnect};
    return 0;
}
