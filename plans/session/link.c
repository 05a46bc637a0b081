/* The link's state machine: go-back-N over frames. */
#include "plans/session/link.h"

#include <string.h>

#include "runtime/mem.h"

#define QUEUE_BYTES_MAX ((size_t)4 << 30) /* letters that wait to be sent */
#define ACK_EVERY 8 /* frames received before an acknowledgement goes alone */
#define ACK_AFTER_MS 200
/* Of silence while something is unacknowledged: a peer may be computing. */
#define PATIENCE_MS 2000
#define PATIENCE_MAX_MS 30000
#define GROW_FIRST ((size_t)4 << 20)

/* A letter on its way out. Its frames have the numbers first .. first + frames - 1. */
typedef struct outgoing {
    struct outgoing *next;
    td_letter letter;
    uint64_t first, frames;
} outgoing;

typedef struct incoming {
    struct incoming *next;
    td_letter letter;
} incoming;

struct td_link {
    unsigned char session[TD_SESSION_BYTES];
    uint64_t host;
    size_t max_letter, piece;
    /* out */
    outgoing *head, **tail;
    uint64_t next_number; /* of the next letter's first frame */
    uint64_t acked;       /* all below have arrived */
    uint64_t cursor;      /* the next frame to send */
    size_t backlog;
    int64_t last_progress_ms;
    /* silence after which one frame is sent again; doubles each time */
    int64_t patience_ms;
    bool probing; /* that one frame is out, no other until something comes back */
    bool silent;  /* until the peer says where to go on */
    /* in */
    uint64_t wanted; /* next number */
    td_letter partial;
    size_t partial_at, partial_room;
    incoming *ready, **ready_tail;
    unsigned unacked; /* frames taken in since the last acknowledgement left */
    int64_t first_unacked_ms;
    bool ask_again;     /* a gap was seen: say so once */
    uint64_t asked_for; /* the gap that has been asked for */
};

td_link *td_link_new(const unsigned char session[TD_SESSION_BYTES], size_t max_letter,
                     td_err *err) {
    td_link *l = td_new(td_link);
    if (l == NULL) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    memcpy(l->session, session, TD_SESSION_BYTES);
    l->max_letter = max_letter;
    l->piece = TD_PIECE;
    l->tail = &l->head;
    l->ready_tail = &l->ready;
    l->next_number = l->acked = l->cursor = l->wanted = 1;
    l->patience_ms = PATIENCE_MS;
    return l;
}

static void drop_outgoing(td_link *l) {
    outgoing *o = l->head;
    l->head = o->next;
    if (l->head == NULL) l->tail = &l->head;
    l->backlog -= o->letter.size;
    td_free(o->letter.bytes);
    td_free(o);
}

static void drop_partial(td_link *l) {
    td_free(l->partial.bytes);
    l->partial = (td_letter){0};
    l->partial_at = l->partial_room = 0;
}

void td_link_restart(td_link *l) {
    while (l->head) drop_outgoing(l);
    drop_partial(l);
    td_letter letter;
    while (td_link_letter(l, &letter)) td_free(letter.bytes);
    l->next_number = l->acked = l->cursor = l->wanted = 1;
    l->unacked = 0;
    l->ask_again = l->silent = l->probing = false;
    l->patience_ms = PATIENCE_MS;
    l->asked_for = 0;
}

void td_link_free(td_link **lp) {
    td_link *l = *lp;
    *lp = NULL;
    if (l == NULL) return;
    td_link_restart(l);
    td_free(l);
}

int td_link_send(td_link *l, td_letter *letter, td_err *err) {
    outgoing *o = NULL;
    if (letter->size > QUEUE_BYTES_MAX - l->backlog)
        td_fail(err, TD_E_LIMIT, "", "%zu bytes wait to be sent already", l->backlog);
    else if ((o = td_new(outgoing)) == NULL)
        td_fail(err, TD_E_MEMORY, "", "out of memory");
    if (o == NULL) {
        td_free(letter->bytes);
        letter->bytes = NULL;
        return err ? err->code : TD_E_MEMORY;
    }
    o->letter = *letter;
    letter->bytes = NULL;
    o->first = l->next_number;
    o->frames =
        o->letter.size <= l->piece ? 1 : (o->letter.size + l->piece - 1) / l->piece;
    l->next_number += o->frames;
    l->backlog += o->letter.size;
    *l->tail = o;
    l->tail = &o->next;
    return 0;
}

/* ---- taking in ---- */

static int take_ack(td_link *l, uint64_t ack, int64_t now, td_err *err) {
    if (ack > l->next_number)
        return td_fail(
            err, TD_E_PROTOCOL, "", "frame %llu is acknowledged, %llu were sent",
            (unsigned long long)ack - 1, (unsigned long long)l->next_number - 1);
    l->probing = false;
    l->last_progress_ms = now;
    if (ack <= l->acked) return 0;
    l->acked = ack;
    l->patience_ms = PATIENCE_MS;
    if (l->cursor < ack) l->cursor = ack;
    while (l->head && l->head->first + l->head->frames <= ack) drop_outgoing(l);
    return 0;
}

static int begin_letter(td_link *l, const td_frame *f, td_err *err) {
    if (!f->first) return td_fail(err, TD_E_PROTOCOL, "", "a letter without a beginning");
    if (f->size > l->max_letter)
        return td_fail(err, TD_E_LIMIT, "", "a letter of %llu bytes, at most %zu go",
                       (unsigned long long)f->size, l->max_letter);
    l->partial = (td_letter){
        .kind = f->kind, .head_bytes = (size_t)f->head, .size = (size_t)f->size};
    l->partial_at = 0;
    l->partial_room = l->partial.size < GROW_FIRST ? l->partial.size : GROW_FIRST;
    l->partial.bytes = td_new_bytes(l->partial_room);
    return l->partial.bytes ? 0 : td_fail(err, TD_E_MEMORY, "", "out of memory");
}

/* Room grows with what has come, not with what was claimed. */
static int partial_reserve(td_link *l, size_t end, td_err *err) {
    if (end <= l->partial_room) return 0;
    size_t room = l->partial_room * 2 > end ? l->partial_room * 2 : end;
    if (room > l->partial.size) room = l->partial.size;
    unsigned char *bigger = td_grow_bytes(l->partial.bytes, room);
    if (bigger == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    l->partial.bytes = bigger;
    l->partial_room = room;
    return 0;
}

static int take_piece(td_link *l, const td_frame *f, td_err *err) {
    int rc = 0;
    if (l->partial.bytes == NULL)
        rc = begin_letter(l, f, err);
    else if (f->first)
        rc = td_fail(err, TD_E_PROTOCOL, "", "a letter begins inside another");
    if (rc) return rc;
    size_t left = l->partial.size - l->partial_at;
    size_t due = left < l->piece ? left : l->piece;
    incoming *in = NULL;
    if (f->payload_bytes != due)
        rc = td_fail(err, TD_E_PROTOCOL, "", "a piece of %zu bytes where %zu are due",
                     f->payload_bytes, due);
    else if (due == left && (in = td_new(incoming)) == NULL)
        rc = td_fail(err, TD_E_MEMORY, "", "out of memory");
    else
        rc = partial_reserve(l, l->partial_at + due, err);
    if (rc) {
        td_free(in);
        if (l->partial_at == 0) drop_partial(l); /* it may begin again */
        return rc;
    }
    if (due) memcpy(l->partial.bytes + l->partial_at, f->payload, due);
    l->partial_at += due;
    if (in == NULL) return 0;
    in->letter = l->partial;
    l->partial = (td_letter){0};
    *l->ready_tail = in;
    l->ready_tail = &in->next;
    return 0;
}

static int take_data(td_link *l, const td_frame *f, int64_t now, td_err *err) {
    if (f->n == 0) return td_fail(err, TD_E_PROTOCOL, "", "a piece has no number");
    if (f->n > l->wanted) { /* a gap: ask once for what is missing */
        if (l->asked_for != l->wanted) {
            l->ask_again = true;
            l->asked_for = l->wanted;
        }
        return 0;
    }
    if (f->n == l->wanted) {
        int rc = take_piece(l, f, err);
        if (rc) return rc;
        l->wanted++;
    }
    if (l->unacked++ == 0)
        l->first_unacked_ms = now; /* a double is acknowledged anew, too */
    return 0;
}

int td_link_frame(td_link *l, const td_frame *f, int64_t now, td_err *err) {
    if (memcmp(f->session, l->session, TD_SESSION_BYTES) != 0)
        return td_fail(err, TD_E_PROTOCOL, "", "a frame of another session");
    if (f->host && l->host && f->host != l->host)
        return 0; /* of a host that was before */
    int rc = take_ack(l, f->ack, now, err);
    if (rc) return rc;
    switch (f->type) {
    case TD_FRAME_HELLO:
    case TD_FRAME_WELCOME:
        l->silent = false;
        l->cursor = l->acked;
        l->asked_for = 0;
        l->last_progress_ms = now;
        return 0;
    case TD_FRAME_ACK:
        if (f->resend && f->ack == l->acked) l->cursor = l->acked;
        return 0;
    case TD_FRAME_DATA: return take_data(l, f, now, err);
    default:
        return td_fail(err, TD_E_PROTOCOL, "", "a frame of type %d is not for a link",
                       f->type);
    }
}

bool td_link_letter(td_link *l, td_letter *out) {
    incoming *in = l->ready;
    if (in == NULL) return false;
    *out = in->letter;
    l->ready = in->next;
    if (l->ready == NULL) l->ready_tail = &l->ready;
    td_free(in);
    return true;
}

/* ---- giving out ---- */

static td_frame blank(const td_link *l, td_frame_type type) {
    td_frame f = {.type = type, .host = l->host, .ack = l->wanted};
    memcpy(f.session, l->session, TD_SESSION_BYTES);
    return f;
}

static void write_piece(td_link *l, const outgoing *o, td_writer *w) {
    td_frame f = blank(l, TD_FRAME_DATA);
    size_t at = (size_t)(l->cursor - o->first) * l->piece, left = o->letter.size - at;
    f.n = l->cursor;
    f.first = at == 0;
    f.kind = o->letter.kind;
    f.size = o->letter.size;
    f.head = o->letter.head_bytes;
    f.payload = o->letter.bytes + at;
    f.payload_bytes = left < l->piece ? left : l->piece;
    td_frame_write(&f, w);
}

static void acknowledged(td_link *l) {
    l->unacked = 0;
    l->ask_again = false;
}

bool td_link_next(td_link *l, int64_t now, td_writer *w) {
    w->size = 0;
    if (l->silent) return false;
    if (l->cursor > l->acked && now - l->last_progress_ms > l->patience_ms) {
        /* begin again, with one frame, to learn where the peer is */
        l->cursor = l->acked;
        l->probing = true;
        l->last_progress_ms = now;
        if (l->patience_ms < PATIENCE_MAX_MS) l->patience_ms *= 2;
    }
    if (l->ask_again) {
        td_frame f = blank(l, TD_FRAME_ACK);
        f.resend = true;
        td_frame_write(&f, w);
        acknowledged(l);
        return true;
    }
    if (l->cursor < l->next_number &&
        l->cursor < l->acked + (l->probing ? 1 : TD_WINDOW)) {
        const outgoing *o = l->head;
        while (l->cursor >= o->first + o->frames) o = o->next;
        if (l->cursor == l->acked) l->last_progress_ms = now;
        write_piece(l, o, w);
        l->cursor++;
        acknowledged(l);
        return true;
    }
    if (l->unacked >= ACK_EVERY ||
        (l->unacked && now - l->first_unacked_ms >= ACK_AFTER_MS)) {
        td_frame f = blank(l, TD_FRAME_ACK);
        td_frame_write(&f, w);
        acknowledged(l);
        return true;
    }
    return false;
}

void td_link_set_piece(td_link *l, size_t bytes) { l->piece = bytes; }
void td_link_set_host(td_link *l, uint64_t mark) { l->host = mark; }
void td_link_reset(td_link *l) { l->silent = true; }
uint64_t td_link_wanted(const td_link *l) { return l->wanted; }
size_t td_link_backlog(const td_link *l) { return l->backlog; }
bool td_link_is_waiting(const td_link *l) { return l->acked < l->next_number; }
