/* The table of sessions. */
#include "net/sessions.h"

#include <string.h>

#include "runtime/mem.h"

td_seat *td_sessions_find(const td_sessions *s, const td_user *user,
                          const unsigned char *id) {
    for (int i = 0; i < s->count; i++)
        if (s->seat[i]->user == user && memcmp(s->seat[i]->id, id, TD_SESSION_BYTES) == 0)
            return s->seat[i];
    return NULL;
}

td_seat *td_sessions_serial(const td_sessions *s, uint64_t serial) {
    for (int i = 0; i < s->count; i++)
        if (s->seat[i]->serial == serial) return s->seat[i];
    return NULL;
}

/* How many the user has, and which of them has been silent for longest. */
static int count_of(const td_sessions *s, const td_user *user, td_seat **silent) {
    int n = 0;
    *silent = NULL;
    for (int i = 0; i < s->count; i++) {
        if (s->seat[i]->user != user) continue;
        n++;
        if (*silent == NULL || s->seat[i]->heard_ms < (*silent)->heard_ms)
            *silent = s->seat[i];
    }
    return n;
}

static int no_place(const td_sessions *s, const td_user *user, int own, td_err *err) {
    if (own >= s->config->user_sessions)
        return td_fail(err, TD_E_LIMIT, "",
                       "%s has %d sessions at %s already, at most %lld go", user->name,
                       own, s->config->name, (long long)s->config->user_sessions);
    if (s->count >= s->config->sessions)
        return td_fail(err, TD_E_LIMIT, "", "%s has %d sessions already, at most %lld go",
                       s->config->name, s->count, (long long)s->config->sessions);
    return 0;
}

static bool reserve(td_sessions *s) {
    if (s->count < s->room) return true;
    int room = s->room ? s->room * 2 : 8;
    td_seat **more = td_grow_bytes(s->seat, (size_t)room * sizeof(td_seat *));
    if (more == NULL) return false;
    s->seat = more;
    s->room = room;
    return true;
}

td_seat *td_sessions_add(td_sessions *s, const td_user *user, const unsigned char *id,
                         int64_t now_ms, td_seat **instead, td_err *err) {
    td_seat *silent;
    int own = count_of(s, user, &silent);
    *instead = NULL;
    if (no_place(s, user, own, err)) {
        if (silent && now_ms - silent->heard_ms > TD_SILENT_MS) *instead = silent;
        return NULL;
    }
    td_seat *seat = reserve(s) ? td_new(td_seat) : NULL;
    if (seat == NULL) {
        td_fail(err, TD_E_MEMORY, "", "%s is out of memory", s->config->name);
        return NULL;
    }
    seat->user = user;
    memcpy(seat->id, id, TD_SESSION_BYTES);
    seat->serial = ++s->last_serial;
    seat->heard_ms = now_ms;
    seat->pipe.fd = -1;
    s->seat[s->count++] = seat;
    return seat;
}

void td_sessions_remove(td_sessions *s, td_seat *seat) {
    for (int i = 0; i < s->count; i++)
        if (s->seat[i] == seat) {
            s->seat[i] = s->seat[--s->count];
            break;
        }
    td_conduit_close(&seat->pipe);
    td_free(seat);
}

void td_sessions_clear(td_sessions *s) {
    while (s->count) td_sessions_remove(s, s->seat[s->count - 1]);
    td_free(s->seat);
    s->seat = NULL;
    s->room = 0;
}
