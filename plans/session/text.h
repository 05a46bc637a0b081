/* A batch cut in two: its text, which is the same whenever a script does the same, and what the text is bound
 * to: the ids and numbers of this time, and the objects freed meanwhile. A text that the worker has seen
 * is sent as its name. The grammar is in docs/wire.md. */
#ifndef TD_TEXT_H
#define TD_TEXT_H

#include "plans/session/batch.h"

/* ---- writing, at the client: records go straight into this form ---- */

#define TD_TEXT_RECENT 32

typedef struct td_text {
    td_writer text, ids, numbers, frees;
    td_op_names names;
    uint64_t batch;  /* its number: objects that bear it have a place */
    uint64_t places; /* given to ids so far */
    uint64_t first, count,
        last; /* the run of ids that grows; the first id of the one before */
    struct {
        bool is_float;
        uint64_t bits;
    } recent[TD_TEXT_RECENT]; /* numbers that may be named again, by place */
    uint64_t number_places;
    uint64_t records;     /* since the last free */
    td_writer run;        /* frees that stand together, */
    uint64_t freed;       /* how many, */
    uint64_t freed_after; /* and behind how many records */
    uint64_t last_freed;
} td_text;

/* Begins a batch of that number (not 0); what was there is forgotten, its memory kept. */
void td_text_begin(td_text *t, uint64_t batch);
void td_text_free(td_text *t);
/* Begins a record; not FREE. What the record's grammar wants follows: literals go to t->text. */
void td_text_record(td_text *t, td_record kind);
/* A new id, or a key: it stands nowhere in the text. obj: what bears it, or NULL. */
void td_text_new_id(td_text *t, uint64_t id, td_obj *obj);
/* An object that is named, made in this batch or before it. */
void td_text_name(td_text *t, td_obj *obj);
/* An operation, its results excepted: td_text_new_id for each of them, in order. */
void td_text_op(td_text *t, const td_op *op, const td_arg *in, int nin,
                const td_attrs *attrs);
/* A whole record FREE. */
void td_text_drop(td_text *t, uint64_t id);
/* No record follows: the bindings become whole. */
void td_text_close(td_text *t);
bool td_text_failed(const td_text *t); /* memory was out */
/* Appends the bindings, as they stand in a letter. */
void td_text_put_bindings(const td_text *t, td_writer *w);

/* ---- reading ---- */

/* Appends the plain records that the text (of `bytes` bytes) means with the bindings that r goes on with, to
 * its end. PROTOCOL errors for what is not in the grammar; what the records say is not judged. */
int td_text_expand(const unsigned char *text, size_t bytes, td_reader *r, td_writer *out,
                   td_err *err);

#endif
