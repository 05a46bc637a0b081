/* The objects of one session at the worker. An entry holds a tensor, or the failure that it depends on. */
#ifndef TD_STORE_H
#define TD_STORE_H

#include "plans/session/batch.h"
#include "plans/session/idmap.h"

/* A failure that several objects hang on. */
typedef struct td_poison {
    int refs;
    td_failure failure;
} td_poison;

typedef struct td_object {
    td_tensor *t;      /* NULL: poisoned */
    td_poison *poison; /* counted */
    td_tags *tags;     /* NULL: none */
    int set; /* it stands for a tensor of data set number set - 1; 0: the session's own */
} td_object;

typedef struct td_store {
    td_idmap map;
    size_t max_objects;
} td_store;

td_object *td_store_get(const td_store *s, uint64_t id);
/* Takes over t. STATE when the id is in use, LIMIT, MEMORY; t is dropped then. *out may be NULL. */
int td_store_put(td_store *s, uint64_t id, td_tensor *t, td_object **out, td_err *err);
/* An entry that fails whoever looks at it. Errors are swallowed: the object is missing then. */
void td_store_poison(td_store *s, uint64_t id, td_poison *poison);
void td_store_remove(td_store *s, uint64_t id);
void td_store_clear(td_store *s);
/* Fills in what is to be told of an object. */
void td_store_about(uint64_t id, const td_object *o, td_about *a);

#endif
