/* Frames: a flat MessagePack map and a payload behind it. The maps are so small and fixed in form (text
 * keys of one letter; integers, booleans, texts and binaries) that they are read here, strictly, rather
 * than by a general decoder that allocates what a header claims: see docs/decisions. Called by links, by
 * whoever holds a socket, and by the fuzzer. */
#include <string.h>

#include "plans/session/link.h"

#define MAP_MAX 1400 /* bytes of a frame's map; error texts are the longest in it */

/* ---- writing ---- */

static void put_head(td_writer *w, unsigned small, unsigned small_max, unsigned wide,
                     size_t n) {
    if (n <= small_max) {
        td_put_byte(w, small | (unsigned)n);
    } else { /* 8-bit form, or 16-bit one behind it */
        td_put_byte(w, n < 256 ? wide : wide + 1);
        if (n >= 256) td_put_byte(w, (unsigned)(n >> 8));
        td_put_byte(w, (unsigned)(n & 255));
    }
}

static void put_str(td_writer *w, const char *s) {
    size_t n = strlen(s);
    put_head(w, 0xa0, 31, 0xd9, n);
    td_put_bytes(w, s, n);
}

static void put_number(td_writer *w, uint64_t v) {
    if (v < 128) {
        td_put_byte(w, (unsigned)v);
        return;
    }
    td_put_byte(w, v <= UINT32_MAX ? 0xce : 0xcf);
    for (int i = v <= UINT32_MAX ? 24 : 56; i >= 0; i -= 8)
        td_put_byte(w, (unsigned)(v >> i) & 255);
}

typedef struct fields {
    td_writer *w;
    size_t count_at;
    unsigned count;
} fields;

static void key(fields *f, char c) {
    td_put_byte(f->w, 0xa1);
    td_put_byte(f->w, (unsigned char)c);
    f->count++;
}

static void field(fields *f, char c, uint64_t v) {
    key(f, c);
    put_number(f->w, v);
}

static void field_bool(fields *f, char c, bool v) {
    if (!v) return;
    key(f, c);
    td_put_byte(f->w, 0xc3);
}

static void field_str(fields *f, char c, const char *s) {
    if (s[0] == 0) return;
    key(f, c);
    put_str(f->w, s);
}

void td_frame_write(const td_frame *f, td_writer *w) {
    size_t begin = w->size;
    fields m = {.w = w, .count_at = w->size};
    td_put_byte(w, 0xde); /* map of up to 65535: the count is filled in at the end */
    td_put_byte(w, 0);
    td_put_byte(w, 0);
    field(&m, 'v', TD_WIRE_VERSION);
    field(&m, 't', (uint64_t)f->type);
    key(&m, 's');
    td_put_byte(w, 0xc4);
    td_put_byte(w, TD_SESSION_BYTES);
    td_put_bytes(w, f->session, TD_SESSION_BYTES);
    if (f->host) field(&m, 'o', f->host);
    if (f->n) field(&m, 'n', f->n);
    if (f->ack) field(&m, 'a', f->ack);
    field_bool(&m, 'r', f->resend);
    field_bool(&m, 'f', f->fresh);
    if (f->type == TD_FRAME_WELCOME && f->size) field(&m, 'z', f->size);
    if (f->first) {
        field(&m, 'k', (uint64_t)f->kind);
        field(&m, 'z', f->size);
        field(&m, 'h', f->head);
    }
    field_str(&m, 'w', f->name);
    if (f->err.code) {
        field(&m, 'e', (uint64_t)f->err.code);
        field_str(&m, 'c', f->err.call);
        field_str(&m, 'm', f->err.msg);
        field_str(&m, 'i', f->err.hint);
    }
    if (f->payload_bytes) field(&m, 'b', f->payload_bytes);
    if (w->failed) return;
    w->data[m.count_at + 2] = (unsigned char)m.count;
    while ((w->size - begin) % 8) td_put_byte(w, 0xc0);
    td_put_bytes(w, f->payload, f->payload_bytes);
}

/* ---- reading ---- */

static uint64_t take_big(td_reader *r, int bytes) {
    uint64_t v = 0;
    while (bytes-- > 0) v = v << 8 | td_take_byte(r);
    return v;
}

static uint64_t take_number(td_reader *r) {
    unsigned b = td_take_byte(r);
    if (b < 128) return b;
    if (b >= 0xcc && b <= 0xcf) return take_big(r, 1 << (b - 0xcc));
    r->failed = true;
    return 0;
}

static bool take_bool(td_reader *r) {
    unsigned b = td_take_byte(r);
    if (b != 0xc2 && b != 0xc3) r->failed = true;
    return b == 0xc3;
}

static void take_str(td_reader *r, char *text, size_t room) {
    unsigned b = td_take_byte(r);
    size_t n = 0;
    if ((b & 0xe0) == 0xa0)
        n = b & 31;
    else if (b == 0xd9 || b == 0xda)
        n = (size_t)take_big(r, b == 0xd9 ? 1 : 2);
    else
        r->failed = true;
    if (n >= room) r->failed = true;
    const unsigned char *p = r->failed ? NULL : td_take_bytes(r, n);
    if (p == NULL || memchr(p, 0, n)) {
        r->failed = true;
        return;
    }
    memcpy(text, p, n);
    text[n] = 0;
    td_text_clean(text);
}

static void take_session(td_reader *r, unsigned char *session) {
    const unsigned char *p = NULL;
    if (td_take_byte(r) == 0xc4 && td_take_byte(r) == TD_SESSION_BYTES)
        p = td_take_bytes(r, TD_SESSION_BYTES);
    if (p)
        memcpy(session, p, TD_SESSION_BYTES);
    else
        r->failed = true;
}

static unsigned take_count(td_reader *r) {
    unsigned b = td_take_byte(r);
    if ((b & 0xf0) == 0x80) return b & 15;
    if (b == 0xde) return (unsigned)take_big(r, 2);
    r->failed = true;
    return 0;
}

typedef struct seen {
    uint64_t version, type, payload;
    uint32_t keys; /* bit of each letter that was there */
} seen;

static bool has(const seen *s, char c) { return s->keys >> (c - 'a') & 1u; }

static int take_field(td_reader *r, td_frame *f, seen *s, td_err *err) {
    if (td_take_byte(r) != 0xa1) r->failed = true;
    char c = (char)td_take_byte(r);
    if (r->failed || c < 'a' || c > 'z')
        return td_fail(err, TD_E_PROTOCOL, "", "a frame's key is not one small letter");
    if (has(s, c)) return td_fail(err, TD_E_PROTOCOL, "", "the key '%c' stands twice", c);
    s->keys |= 1u << (c - 'a');
    switch (c) {
    case 'v': s->version = take_number(r); break;
    case 't': s->type = take_number(r); break;
    case 's': take_session(r, f->session); break;
    case 'o': f->host = take_number(r); break;
    case 'n': f->n = take_number(r); break;
    case 'a': f->ack = take_number(r); break;
    case 'r': f->resend = take_bool(r); break;
    case 'f': f->fresh = take_bool(r); break;
    case 'k': {
        uint64_t k = take_number(r);
        f->kind = k <= 255 ? (int)k : 0;
        break;
    }
    case 'z': f->size = take_number(r); break;
    case 'h': f->head = take_number(r); break;
    case 'w': take_str(r, f->name, sizeof f->name); break;
    case 'e': {
        uint64_t e = take_number(r);
        f->err.code = e > 0 && e < TD_E_COUNT ? (int)e : TD_E_INTERNAL;
        break;
    }
    case 'c': take_str(r, f->err.call, sizeof f->err.call); break;
    case 'm': take_str(r, f->err.msg, sizeof f->err.msg); break;
    case 'i': take_str(r, f->err.hint, sizeof f->err.hint); break;
    case 'b': s->payload = take_number(r); break;
    default: return td_fail(err, TD_E_PROTOCOL, "", "a frame has no key '%c'", c);
    }
    if (r->failed)
        return td_fail(err, TD_E_PROTOCOL, "", "the value of '%c' is malformed", c);
    return 0;
}

static int check_frame(td_frame *f, const seen *s, size_t map_bytes, size_t n,
                       td_err *err) {
    if (!has(s, 'v') || s->version != TD_WIRE_VERSION)
        return td_fail(err, TD_E_PROTOCOL, "",
                       "version %llu of the protocol, this is version %d",
                       (unsigned long long)s->version, TD_WIRE_VERSION);
    if (s->type < TD_FRAME_HELLO || s->type > TD_FRAME_ERROR)
        return td_fail(err, TD_E_PROTOCOL, "", "there is no frame of type %llu",
                       (unsigned long long)s->type);
    f->type = (td_frame_type)s->type;
    if (!has(s, 's')) return td_fail(err, TD_E_PROTOCOL, "", "a frame names no session");
    f->first = f->type == TD_FRAME_DATA && has(s, 'k');
    if (f->first && (f->kind == 0 || !has(s, 'z') || !has(s, 'h') || f->head > f->size))
        return td_fail(err, TD_E_PROTOCOL, "", "a letter's beginning is malformed");
    if (s->payload > TD_PIECE || (s->payload && f->type != TD_FRAME_DATA))
        return td_fail(err, TD_E_PROTOCOL, "", "a payload of %llu bytes",
                       (unsigned long long)s->payload);
    size_t begin = (map_bytes + 7) & ~(size_t)7;
    if (begin > n || n - begin != s->payload)
        return td_fail(err, TD_E_PROTOCOL, "",
                       "a payload of %llu bytes was said, %zu are there",
                       (unsigned long long)s->payload, begin > n ? 0 : n - begin);
    f->payload_bytes = (size_t)s->payload;
    return 0;
}

int td_frame_parse(const void *bytes, size_t n, td_frame *f, td_err *err) {
    *f = (td_frame){0};
    if (n > TD_FRAME_MAX)
        return td_fail(err, TD_E_LIMIT, "", "a frame of %zu bytes, at most %u go", n,
                       TD_FRAME_MAX);
    td_reader r = {.data = bytes, .size = n < MAP_MAX ? n : MAP_MAX};
    seen s = {0};
    unsigned count = take_count(&r);
    if (r.failed)
        return td_fail(err, TD_E_PROTOCOL, "", "a frame does not begin with a map");
    for (unsigned i = 0; i < count; i++) {
        int rc = take_field(&r, f, &s, err);
        if (rc) return rc;
    }
    int rc = check_frame(f, &s, r.at, n, err);
    if (rc == 0) f->payload = (const unsigned char *)bytes + (n - f->payload_bytes);
    return rc;
}
