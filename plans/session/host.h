/* A session at the worker: its link, its objects, and the execution of its batches. The same code runs in
 * a worker's child process and behind a virtual worker. Knows no sockets; never waits. */
#ifndef TD_HOST_H
#define TD_HOST_H

#include "plans/session/batch.h"
#include "plans/session/link.h"

/* A data set of the data owner's, shared by all sessions, never written to. */
typedef struct td_shared_set {
    char name[TD_NAME_BYTES];
    td_tensor *x, *y; /* y may be NULL; counted */
    td_tags tags;
    /* rows may be fetched and computed on; otherwise approved plans only: refused here */
    bool open;
} td_shared_set;

typedef struct td_host_config {
    char name[TD_NAME_BYTES]; /* the worker's */
    /* of the host; 0: one is drawn at random, as it should be but in tests */
    uint64_t mark;
    size_t max_letter_bytes; /* a batch with what it brings */
    size_t max_objects;
    const td_shared_set *sets;
    int set_count;
} td_host_config;

typedef struct td_host td_host;

/* config must outlive the host. */
td_host *td_host_new(const td_host_config *config,
                     const unsigned char session[TD_SESSION_BYTES], td_err *err);
void td_host_free(td_host **h);

/* Takes in one frame; runs whatever batch it completes, to the end. PROTOCOL and LIMIT errors mean that the
 * peer breaks the grammar: the frame is refused and the session goes on. */
int td_host_frame(td_host *h, const void *bytes, size_t n, int64_t now_ms, td_err *err);
/* The next frame to send, into w (emptied first); false when there is none now. */
bool td_host_next(td_host *h, int64_t now_ms, td_writer *w);
int td_host_object_count(const td_host *h);

/* Verifies and runs one batch (head, bulk), makes the reply. */
int td_host_batch(td_host *h, uint64_t number, const unsigned char *head,
                  size_t head_bytes, const unsigned char *bulk, size_t bulk_bytes,
                  td_letter *reply, td_err *err);
/* The same for a batch that comes as text, or its name, and bindings (text.h). */
int td_host_text_batch(td_host *h, const unsigned char *head, size_t head_bytes,
                       const unsigned char *bulk, size_t bulk_bytes, td_letter *reply,
                       td_err *err);

#endif
