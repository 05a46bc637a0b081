/* A map from ids (64 bits, never 0) to pointers: open addressing, for object stores and tables of what is
 * awaited. Owns nothing that it points at. */
#ifndef TD_IDMAP_H
#define TD_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct td_idmap {
    struct td_idmap_slot {
        uint64_t id; /* 0: empty */
        void *value;
    } * slot;
    size_t room, count;
} td_idmap;

void *td_idmap_get(const td_idmap *m, uint64_t id); /* NULL when absent */
/* Adds or replaces; false when memory is out. value is not NULL. */
bool td_idmap_set(td_idmap *m, uint64_t id, void *value);
void *td_idmap_remove(td_idmap *m, uint64_t id); /* what was there, or NULL */
/* Walks: for (size_t at = 0; td_idmap_next(m, &at, &id, &value);) — nothing may be added meanwhile. */
bool td_idmap_next(const td_idmap *m, size_t *at, uint64_t *id, void **value);
void td_idmap_free(td_idmap *m);

#endif
