/* Bytes out and in, and an operation's binary form. */
#include "vm/codec.h"

#include <string.h>

#include "runtime/mem.h"

/* ---- writing ---- */

void td_writer_free(td_writer *w) {
    td_free(w->data);
    *w = (td_writer){0};
}

void td_writer_reserve(td_writer *w, size_t more) {
    if (w->failed || more <= w->room - w->size) return;
    size_t room;
    unsigned char *bigger =
        td_add_size(w->size, more, &room) ? td_grow_bytes(w->data, room) : NULL;
    if (bigger == NULL) {
        w->failed = true;
        return;
    }
    w->data = bigger;
    w->room = room;
}

static unsigned char *reserve(td_writer *w, size_t n) {
    if (w->failed) return NULL;
    if (n > w->room - w->size) {
        size_t room = w->room ? w->room : 256;
        while (room - w->size < n) room += room / 2;
        unsigned char *bigger = td_grow_bytes(w->data, room);
        if (bigger == NULL) {
            w->failed = true;
            return NULL;
        }
        w->data = bigger;
        w->room = room;
    }
    unsigned char *p = w->data + w->size;
    w->size += n;
    return p;
}

void td_put_bytes(td_writer *w, const void *p, size_t n) {
    unsigned char *to = n ? reserve(w, n) : NULL;
    if (to) memcpy(to, p, n);
}

void td_put_byte(td_writer *w, unsigned v) {
    unsigned char *to = reserve(w, 1);
    if (to) *to = (unsigned char)v;
}

void td_put_uint(td_writer *w, uint64_t v) {
    unsigned char b[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) b[n++] = (unsigned char)(v | 0x80);
    b[n++] = (unsigned char)v;
    td_put_bytes(w, b, n);
}

void td_put_int(td_writer *w, int64_t v) {
    td_put_uint(w, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_u64(td_writer *w, uint64_t u) {
    unsigned char b[8];
    for (int i = 0; i < 8; i++) b[i] = (unsigned char)(u >> (8 * i));
    td_put_bytes(w, b, 8);
}

void td_put_f64(td_writer *w, double v) {
    uint64_t u;
    memcpy(&u, &v, 8);
    put_u64(w, u);
}

void td_put_text(td_writer *w, const char *s) {
    size_t n = strlen(s);
    td_put_uint(w, n);
    td_put_bytes(w, s, n);
}

void td_put_shape(td_writer *w, const td_shape *s) {
    td_put_byte(w, (unsigned)s->ndim);
    for (int i = 0; i < s->ndim; i++) td_put_uint(w, (uint64_t)s->dim[i]);
}

void td_put_err(td_writer *w, const td_err *e) {
    td_put_byte(w, (unsigned)e->code);
    td_put_text(w, e->call);
    td_put_text(w, e->msg);
    td_put_text(w, e->hint);
}

/* ---- reading ---- */

const unsigned char *td_take_bytes(td_reader *r, size_t n) {
    if (r->failed || n > r->size - r->at) {
        r->failed = true;
        return NULL;
    }
    const unsigned char *p = r->data + r->at;
    r->at += n;
    return p;
}

unsigned td_take_byte(td_reader *r) {
    const unsigned char *p = td_take_bytes(r, 1);
    return p ? *p : 0;
}

uint64_t td_take_uint(td_reader *r) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        unsigned b = td_take_byte(r);
        if (r->failed) return 0;
        if (shift == 63 && b > 1) break; /* past 64 bits */
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return v;
    }
    r->failed = true;
    return 0;
}

int64_t td_take_int(td_reader *r) {
    uint64_t u = td_take_uint(r);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

static uint64_t take_u64(td_reader *r) {
    const unsigned char *p = td_take_bytes(r, 8);
    uint64_t u = 0;
    for (int i = 0; p && i < 8; i++) u |= (uint64_t)p[i] << (8 * i);
    return u;
}

double td_take_f64(td_reader *r) {
    uint64_t u = take_u64(r);
    double v;
    memcpy(&v, &u, 8);
    return v;
}

void td_take_text(td_reader *r, char *text, size_t room) {
    uint64_t n = td_take_uint(r);
    text[0] = 0;
    if (n >= room) r->failed = true;
    const unsigned char *p = r->failed ? NULL : td_take_bytes(r, (size_t)n);
    if (p == NULL) return;
    if (memchr(p, 0, (size_t)n)) {
        r->failed = true;
        return;
    }
    memcpy(text, p, (size_t)n);
    text[n] = 0;
}

void td_text_clean(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 32 || *text == 127) *text = '?';
}

td_dtype td_take_dtype(td_reader *r) {
    unsigned b = td_take_byte(r);
    if (td_dtype_is_valid((int)b)) return (td_dtype)b;
    r->failed = true;
    return TD_U8;
}

void td_take_shape(td_reader *r, td_shape *s) {
    unsigned n = td_take_byte(r);
    *s = (td_shape){0};
    if (n > TD_MAX_DIM) {
        r->failed = true;
        return;
    }
    s->ndim = (int32_t)n;
    for (unsigned i = 0; i < n; i++) {
        uint64_t d = td_take_uint(r);
        if (d > (UINT64_MAX >> 2)) r->failed = true;
        s->dim[i] = r->failed ? 0 : (int64_t)d;
    }
}

void td_take_err(td_reader *r, td_err *e) {
    *e = (td_err){0};
    unsigned code = td_take_byte(r);
    td_take_text(r, e->call, sizeof e->call);
    td_take_text(r, e->msg, sizeof e->msg);
    td_take_text(r, e->hint, sizeof e->hint);
    td_text_clean(e->call);
    td_text_clean(e->msg);
    td_text_clean(e->hint);
    e->code = code > TD_E_OK && code < TD_E_COUNT ? (int)code : TD_E_INTERNAL;
}

/* ---- operations ---- */

void td_op_names_free(td_op_names *n) {
    td_free(n->op);
    *n = (td_op_names){0};
}

static int names_add(td_op_names *n, const td_op *op) {
    if (n->count == n->room) {
        int room = n->room ? 2 * n->room : 32;
        const td_op **bigger = td_grow_bytes(n->op, sizeof *bigger * (size_t)room);
        if (bigger == NULL) return -1;
        n->op = bigger;
        n->room = room;
    }
    n->op[n->count++] = op;
    return 0;
}

/* An op is 0 and its name the first time, its number from 1 afterwards. The newest are looked at first:
 * a training step uses few. */
void td_put_op_name(td_writer *w, td_op_names *names, const td_op *op) {
    for (int i = 0; i < names->count; i++) {
        if (names->op[i] != op) continue;
        td_put_uint(w, (uint64_t)i + 1);
        return;
    }
    td_put_uint(w, 0);
    td_put_text(w, op->name);
    if (names_add(names, op) != 0) w->failed = true;
}

static void put_number(td_writer *w, const td_arg *a) {
    td_put_uint(w, 0);
    td_put_byte(w, (unsigned)a->meta.dtype);
    if (td_dtype_is_float(a->meta.dtype))
        td_put_f64(w, a->f);
    else
        td_put_int(w, a->i);
}

static void put_attr(td_writer *w, const td_attr *a) {
    switch ((td_attr_kind)a->kind) {
    case TD_ATTR_FLOAT: td_put_f64(w, a->f); break;
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES:
    case TD_ATTR_INTS:
        td_put_byte(w, a->n);
        for (int i = 0; i < a->n; i++) td_put_int(w, a->list[i]);
        break;
    default: td_put_int(w, a->i);
    }
}

void td_put_attrs(td_writer *w, const td_op *op, const td_attrs *attrs) {
    for (int k = 0, n = td_op_attr_count(op); k < n; k++) put_attr(w, &attrs->v[k]);
}

void td_put_op(td_writer *w, td_op_names *names, const td_op *op, const td_arg *in,
               int nin, const td_attrs *attrs, uint64_t out) {
    td_put_op_name(w, names, op);
    if (op->nin < 0) td_put_uint(w, (uint64_t)nin);
    for (int i = 0; i < nin; i++) {
        if (in[i].obj)
            td_put_uint(w, in[i].obj->id);
        else
            put_number(w, &in[i]);
    }
    td_put_attrs(w, op, attrs);
    if (op->nout > 0) td_put_uint(w, out);
}

const td_op *td_take_op_name(td_reader *r, td_op_names *names, td_err *err) {
    uint64_t k = td_take_uint(r);
    if (r->failed || k > (uint64_t)names->count) {
        td_fail(err, TD_E_PROTOCOL, "", "an operation's number is out of range");
        return NULL;
    }
    if (k > 0) return names->op[k - 1];
    char name[48];
    td_take_text(r, name, sizeof name);
    const td_op *op = r->failed ? NULL : td_op_find(name);
    if (op == NULL) {
        td_fail(err, TD_E_PROTOCOL, "", "there is no operation '%s' here",
                r->failed ? "" : name);
        return NULL;
    }
    if (names_add(names, op) != 0) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    return op;
}

static void take_attr(td_reader *r, const td_attr_spec *spec, td_attr *a) {
    a->kind = (uint8_t)spec->kind;
    a->n = 0;
    switch (spec->kind) {
    case TD_ATTR_FLOAT: a->f = td_take_f64(r); break;
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES:
    case TD_ATTR_INTS: {
        unsigned n = td_take_byte(r);
        if (n > TD_ATTR_MAX_LIST) r->failed = true;
        if (r->failed) return;
        a->n = (uint8_t)n;
        for (unsigned i = 0; i < n; i++) a->list[i] = td_take_int(r);
        break;
    }
    default: a->i = td_take_int(r);
    }
}

void td_take_attrs(td_reader *r, const td_op *op, td_attrs *attrs) {
    *attrs = (td_attrs){0};
    for (int k = 0, n = td_op_attr_count(op); k < n; k++)
        take_attr(r, &op->attr[k], &attrs->v[k]);
}

static void take_arg(td_reader *r, td_op_arg *a) {
    *a = (td_op_arg){.id = td_take_uint(r)};
    if (a->id != 0) return;
    a->dtype = td_take_dtype(r);
    if (td_dtype_is_float(a->dtype))
        a->f = td_take_f64(r);
    else
        a->i = td_take_int(r);
}

int td_take_op(td_reader *r, td_op_names *names, td_op_record *rec, td_err *err) {
    rec->op = td_take_op_name(r, names, err);
    if (rec->op == NULL) return err ? err->code : TD_E_PROTOCOL;
    const td_op *op = rec->op;
    uint64_t nin = op->nin < 0 ? td_take_uint(r) : (uint64_t)op->nin;
    if (nin > TD_OP_MAX_IN || (op->nin < 0 && nin < 1))
        return td_fail(err, TD_E_PROTOCOL, op->name, "%llu tensors",
                       (unsigned long long)nin);
    rec->nin = (int)nin;
    for (int i = 0; i < rec->nin; i++) take_arg(r, &rec->in[i]);
    td_take_attrs(r, op, &rec->attrs);
    rec->out = op->nout > 0 ? td_take_uint(r) : 0;
    if (r->failed)
        return td_fail(err, TD_E_PROTOCOL, op->name,
                       "the operation's record is cut short");
    if (op->nout > 0 && (rec->out == 0 || rec->out > UINT64_MAX - TD_OP_MAX_OUT))
        return td_fail(err, TD_E_PROTOCOL, op->name, "a result has no id");
    return 0;
}
