/* The list of known texts. A few hundred at most: they are looked through one by one. */
#include "plans/session/known.h"

#include <sodium.h>
#include <string.h>

#include "runtime/mem.h"

void td_text_hash(const unsigned char *text, size_t bytes,
                  unsigned char hash[TD_TEXT_HASH]) {
    crypto_generichash(hash, TD_TEXT_HASH, text, bytes, NULL, 0);
}

static int place_of(const td_known *k, const unsigned char *hash) {
    for (int i = 0; i < k->count; i++)
        if (memcmp(k->entry[i].hash, hash, TD_TEXT_HASH) == 0) return i;
    return -1;
}

const td_known_text *td_known_find(const td_known *k,
                                   const unsigned char hash[TD_TEXT_HASH]) {
    int i = place_of(k, hash);
    return i < 0 ? NULL : &k->entry[i];
}

static void drop_last(td_known *k) {
    td_known_text *last = &k->entry[--k->count];
    k->bytes -= last->bytes;
    td_free(last->text);
}

static bool make_room(td_known *k) {
    if (k->entry == NULL) k->entry = td_new_array(TD_KNOWN_MOST, sizeof *k->entry);
    return k->entry != NULL;
}

static bool add(td_known *k, const unsigned char *hash, const unsigned char *text,
                size_t bytes) {
    unsigned char *copy = text ? td_new_bytes(bytes) : NULL;
    if (!make_room(k) || (text && copy == NULL)) {
        td_free(copy);
        return false;
    }
    if (text) memcpy(copy, text, bytes);
    while (k->count == TD_KNOWN_MOST || k->bytes + bytes > TD_KNOWN_BYTES) drop_last(k);
    td_known_text *last = &k->entry[k->count++];
    *last = (td_known_text){.bytes = bytes, .text = copy};
    memcpy(last->hash, hash, TD_TEXT_HASH);
    k->bytes += bytes;
    return true;
}

bool td_known_use(td_known *k, const unsigned char hash[TD_TEXT_HASH],
                  const unsigned char *text, size_t bytes) {
    int i = place_of(k, hash);
    if (i < 0) {
        if (!add(k, hash, text, bytes)) return false;
        i = k->count - 1;
    }
    td_known_text used = k->entry[i];
    memmove(&k->entry[1], &k->entry[0], (size_t)i * sizeof used);
    k->entry[0] = used;
    return true;
}

void td_known_clear(td_known *k) {
    while (k->count > 0) drop_last(k);
    td_free(k->entry);
    *k = (td_known){0};
}
