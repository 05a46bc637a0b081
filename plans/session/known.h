/* The texts of batches that a session knows: the worker keeps them, the client their names, by the same rule
 * (docs/wire.md), so that both agree without asking. The newest first; those used longest ago go. */
#ifndef TD_KNOWN_H
#define TD_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

#define TD_TEXT_HASH 32
#define TD_KNOWN_MOST 256                /* texts */
#define TD_KNOWN_BYTES ((size_t)1 << 20) /* of all of them; so none is longer */

typedef struct td_known_text {
    unsigned char hash[TD_TEXT_HASH]; /* BLAKE2b of the text */
    size_t bytes;
    unsigned char *text; /* at the worker; NULL at the client */
} td_known_text;

typedef struct td_known {
    td_known_text *entry; /* TD_KNOWN_MOST of them, made when there is one */
    int count;
    size_t bytes;
} td_known;

void td_text_hash(const unsigned char *text, size_t bytes,
                  unsigned char hash[TD_TEXT_HASH]);
/* NULL when there is none of that name. Changes nothing. */
const td_known_text *td_known_find(const td_known *k,
                                   const unsigned char hash[TD_TEXT_HASH]);
/* The text has been used: it is the newest now, and is added if it was not there (a copy of text, unless that
 * is NULL). At most TD_KNOWN_BYTES long. False when memory is out: it is not there then. */
bool td_known_use(td_known *k, const unsigned char hash[TD_TEXT_HASH],
                  const unsigned char *text, size_t bytes);
void td_known_clear(td_known *k);

#endif
