/* A batch: what a client asks of a worker in one letter, and the reply to it. Records of a batch are run in
 * order; ids are the client's. The grammar is in docs/wire.md.
 *
 * head of a batch:  its number, records.                      bulk: the elements of PUT tensors.
 * head of a reply:  the batch's number, failures, answers.    bulk: likewise, of fetched tensors. */
#ifndef TD_BATCH_H
#define TD_BATCH_H

#include "vm/codec.h"

enum { TD_LETTER_BATCH = 1, TD_LETTER_REPLY = 2, TD_LETTER_TEXT = 3 /* text.h */ };

/*     name     number  */
#define TD_RECORDS(X)                                                                    \
    X(OP, 1)      /* an operation (vm/codec.h) */                                        \
    X(PUT, 2)     /* id, dtype, shape, tags, description; elements in the bulk */        \
    X(FREE, 3)    /* id */                                                               \
    X(GET, 4)     /* key, id, drop: answered with the tensor */                          \
    X(TAG, 5)     /* id, tags, description */                                            \
    X(CLEAR, 6)   /* all objects of the session go */                                    \
    X(OBJECTS, 7) /* key: answered with what there is */                                 \
    X(SEARCH, 8)  /* key, tags: answered with objects and data sets that have all */     \
    X(DATASET, 9) /* key, name, id of x, id of y: binds a data set's tensors to ids */

typedef enum td_record {
#define TD_X(name, number) TD_REC_##name = number,
    TD_RECORDS(TD_X)
#undef TD_X
        TD_REC_END
} td_record;

#define TD_TAGS_MAX 16
#define TD_TAG_BYTES 64
#define TD_DESCRIPTION_BYTES 256
#define TD_NAME_BYTES 64

typedef struct td_tags {
    int count;
    char tag[TD_TAGS_MAX][TD_TAG_BYTES];
    char description[TD_DESCRIPTION_BYTES];
} td_tags;

void td_put_tags(td_writer *w, const td_tags *t);
void td_take_tags(td_reader *r, td_tags *t);

/* What OBJECTS and SEARCH tell of one object; a data set's tensors have a name ("mnist-train.x"). */
typedef struct td_about {
    uint64_t id;
    td_meta meta;
    td_tags tags;
    char dataset[TD_NAME_BYTES]; /* "" for an object of the session */
} td_about;

void td_put_about(td_writer *w, const td_about *a);
void td_take_about(td_reader *r, td_about *a);

/* What went wrong with one record; where it stands is known to the client. */
typedef struct td_failure {
    uint64_t batch, record;
    td_err err;
} td_failure;

void td_put_failure(td_writer *w, const td_failure *f);
void td_take_failure(td_reader *r, td_failure *f);

#endif
