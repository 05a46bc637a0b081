/* Open addressing with linear probing; removal shifts back, so there are no tombstones. */
#include "plans/session/idmap.h"

#include "runtime/mem.h"

static size_t home(const td_idmap *m, uint64_t id) {
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (m->room - 1);
}

static size_t find(const td_idmap *m, uint64_t id) {
    size_t at = home(m, id);
    while (m->slot[at].id != 0 && m->slot[at].id != id) at = (at + 1) & (m->room - 1);
    return at;
}

void *td_idmap_get(const td_idmap *m, uint64_t id) {
    if (m->count == 0 || id == 0) return NULL;
    return m->slot[find(m, id)].value;
}

static bool grow(td_idmap *m) {
    td_idmap bigger = {.room = m->room ? 2 * m->room : 64};
    bigger.slot = td_new_array(bigger.room, sizeof *bigger.slot);
    if (bigger.slot == NULL) return false;
    for (size_t i = 0; i < m->room; i++)
        if (m->slot[i].id) bigger.slot[find(&bigger, m->slot[i].id)] = m->slot[i];
    bigger.count = m->count;
    td_free(m->slot);
    *m = bigger;
    return true;
}

bool td_idmap_set(td_idmap *m, uint64_t id, void *value) {
    if (4 * (m->count + 1) > 3 * m->room && !grow(m)) return false;
    size_t at = find(m, id);
    if (m->slot[at].id == 0) m->count++;
    m->slot[at].id = id;
    m->slot[at].value = value;
    return true;
}

void *td_idmap_remove(td_idmap *m, uint64_t id) {
    if (m->count == 0 || id == 0) return NULL;
    size_t at = find(m, id), mask = m->room - 1;
    if (m->slot[at].id == 0) return NULL;
    void *value = m->slot[at].value;
    m->count--;
    for (size_t next = (at + 1) & mask; m->slot[next].id; next = (next + 1) & mask) {
        size_t want = home(m, m->slot[next].id);
        if (((next - want) & mask) < ((next - at) & mask)) continue; /* it may stay */
        m->slot[at] = m->slot[next];
        at = next;
    }
    m->slot[at].id = 0;
    m->slot[at].value = NULL;
    return value;
}

bool td_idmap_next(const td_idmap *m, size_t *at, uint64_t *id, void **value) {
    for (; *at < m->room; (*at)++) {
        if (m->slot[*at].id == 0) continue;
        *id = m->slot[*at].id;
        *value = m->slot[*at].value;
        (*at)++;
        return true;
    }
    return false;
}

void td_idmap_free(td_idmap *m) {
    td_free(m->slot);
    *m = (td_idmap){0};
}
