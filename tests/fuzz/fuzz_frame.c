/* Fuzzes the reading of frames. What is accepted is written again, and must read as the same frame. */
#include <stdlib.h>
#include <string.h>

#include "plans/session/link.h"
#include "runtime/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const td_frame *a, const td_frame *b) {
    return a->type == b->type && memcmp(a->session, b->session, TD_SESSION_BYTES) == 0 &&
           a->n == b->n && a->ack == b->ack && a->resend == b->resend &&
           a->fresh == b->fresh && a->first == b->first &&
           (a->type != TD_FRAME_WELCOME || a->size == b->size) &&
           (!a->first ||
            (a->kind == b->kind && a->size == b->size && a->head == b->head)) &&
           strcmp(a->name, b->name) == 0 && a->err.code == b->err.code &&
           (a->err.code == 0 || (strcmp(a->err.call, b->err.call) == 0 &&
                                 strcmp(a->err.msg, b->err.msg) == 0 &&
                                 strcmp(a->err.hint, b->err.hint) == 0)) &&
           a->payload_bytes == b->payload_bytes &&
           memcmp(a->payload, b->payload, a->payload_bytes) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_frame f, again;
    td_err err = {0};
    int rc = td_frame_parse(data, size, &f, &err);
    if ((rc != 0) != (err.code != 0) || (rc != 0 && err.msg[0] == 0)) abort();
    if (rc) return 0;
    td_writer w = {0};
    td_frame_write(&f, &w);
    if (w.failed || td_frame_parse(w.data, w.size, &again, &err) || !is_same(&f, &again))
        abort();
    td_writer_free(&w);
    return 0;
}
