/* Running a batch: all of it is verified, then its records run in order, then the reply is made. */
#ifndef TD_RUN_H
#define TD_RUN_H

#include "plans/session/host.h"
#include "plans/session/store.h"

/* A batch under way. The records are read twice: by td_verify, which runs nothing, and by td_run. */
typedef struct td_run {
    const td_host_config *config;
    td_store *store;
    uint64_t number;
    const unsigned char *head, *bulk;
    size_t head_bytes, bulk_bytes;
    /* reply */
    td_writer failures, answers;
    uint64_t failure_count, answer_count;
    td_tensor **fetched; /* contiguous; counted */
    int fetched_count, fetched_room;
    size_t fetched_bytes;
} td_run;

/* Judges every record: grammar, ids, dtypes, shapes, bytes. PROTOCOL, SHAPE, ... errors refuse the whole
 * batch. An object that is missing is no error here: what hangs on it fails when it runs. */
int td_verify(td_run *r, td_err *err);
/* Runs what has been verified. Failures are entered, not returned. */
void td_run_records(td_run *r);
/* Makes the reply; refused: the error of td_verify, or NULL. */
int td_run_reply(td_run *r, const td_err *refused, td_letter *out, td_err *err);
void td_run_free(td_run *r);

#endif
