/* NPY, NumPy's format of one array (NEP 1): a magic string, a version, the length of a header, the header,
 * which is a Python dict display with exactly three keys, and the elements. The parser below takes that
 * dict and no more of Python. */
#include <string.h>

#include "runtime/formats/reader.h"

#define HEADER_MAX 65536

typedef struct cursor {
    const uint8_t *start, *at,
        *end; /* of the whole file, of what is left of the header */
    td_err *err;
} cursor;

typedef struct header {
    td_raw type;
    bool big_endian, fortran_order;
    td_shape shape;
} header;

static int fail_at(cursor *c, const char *wanted) {
    char text[TD_SHOW];
    size_t left = (size_t)(c->end - c->at);
    return td_fail(c->err, TD_E_FORMAT, "", "npy: header at byte %zu: wanted %s, got %s",
                   (size_t)(c->at - c->start), wanted,
                   left ? td_show(text, c->at, left < 12 ? left : 12) : "its end");
}

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

/* Takes ch, after blanks, if it comes next. */
static bool take(cursor *c, char ch) {
    skip_space(c);
    if (c->at == c->end || *c->at != (uint8_t)ch) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
    c->at += n;
    return true;
}

/* A string without escapes. */
static int parse_string(cursor *c, td_bytes *out) {
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return fail_at(c, "a string");
    const uint8_t *from = c->at + 1;
    const uint8_t *to = memchr(from, *c->at, (size_t)(c->end - from));
    if (to == NULL || memchr(from, '\\', (size_t)(to - from)))
        return fail_at(c, "a plain string");
    *out = (td_bytes){from, (size_t)(to - from)};
    c->at = to + 1;
    return 0;
}

static int parse_size(cursor *c, int64_t *out) {
    skip_space(c);
    int64_t v = 0;
    const uint8_t *from = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, *c->at - '0', &v))
            return td_fail(c->err, TD_E_LIMIT, "",
                           "npy: header at byte %zu: a size is too large",
                           (size_t)(from - c->start));
    if (c->at == from) return fail_at(c, "a size");
    if (c->at < c->end && *c->at == 'L') c->at++; /* Python 2 wrote 3L */
    *out = v;
    return 0;
}

/* A tuple; one size has a comma behind it, as Python has it. */
static int parse_shape(cursor *c, td_shape *s) {
    bool comma = true;
    if (!take(c, '(')) return fail_at(c, "'(' of the shape");
    while (!take(c, ')')) {
        if (!comma) return fail_at(c, "',' or ')'");
        if (s->ndim == TD_MAX_DIM)
            return td_fail(c->err, TD_E_LIMIT, "", "npy: more than %d dimensions",
                           TD_MAX_DIM);
        int code = parse_size(c, &s->dim[s->ndim++]);
        if (code != 0) return code;
        comma = take(c, ',');
        if (!comma && s->ndim == 1) return fail_at(c, "',' behind the size");
    }
    return 0;
}

/* "<f4": byte order, kind and size. */
static int parse_type(cursor *c, header *h) {
    static const struct {
        char name[3];
        td_raw type;
    } types[] = {{"b1", TD_RAW_BOOL}, {"u1", TD_RAW_U8},  {"i1", TD_RAW_I8},
                 {"u2", TD_RAW_U16},  {"i2", TD_RAW_I16}, {"u4", TD_RAW_U32},
                 {"i4", TD_RAW_I32},  {"u8", TD_RAW_U64}, {"i8", TD_RAW_I64},
                 {"f2", TD_RAW_F16},  {"f4", TD_RAW_F32}, {"f8", TD_RAW_F64}};
    char text[TD_SHOW];
    skip_space(c);
    if (c->at < c->end && *c->at == '[')
        return td_fail(c->err, TD_E_DTYPE, "",
                       "npy: records (structured dtypes) are not read");
    td_bytes d;
    int code = parse_string(c, &d);
    if (code != 0) return code;
    if (d.count >= 2 && memchr(d.at, 'O', d.count)) {
        td_fail(c->err, TD_E_DTYPE, "", "npy: Python objects (dtype %s) are not read",
                td_show(text, d.at, d.count));
        td_hint(c->err, "save numbers: a.astype('f4')");
        return TD_E_DTYPE;
    }
    if (d.count == 3 && memchr("<>=|", d.at[0], 4))
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
            if (memcmp(types[i].name, d.at + 1, 2) == 0 &&
                (d.at[0] != '|' || td_raw_size(types[i].type) == 1)) {
                h->type = types[i].type;
                h->big_endian = d.at[0] == '>';
                return 0;
            }
    return td_fail(
        c->err, TD_E_DTYPE, "",
        "npy: dtype %s is not read, only b1, u1 to u8, i1 to i8, f2, f4 and f8",
        td_show(text, d.at, d.count));
}

static int parse_order(cursor *c, header *h) {
    skip_space(c);
    h->fortran_order = take_word(c, "True");
    if (h->fortran_order || take_word(c, "False")) return 0;
    return fail_at(c, "True or False");
}

static int parse_header(cursor *c, header *h) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    bool comma = true;
    if (!take(c, '{')) return fail_at(c, "'{'");
    while (!take(c, '}')) {
        if (!comma) return fail_at(c, "',' or '}'");
        td_bytes name;
        int code = parse_string(c, &name);
        if (code != 0) return code;
        unsigned k = 0;
        while (k < 3 && (strlen(keys[k]) != name.count ||
                         memcmp(keys[k], name.at, name.count) != 0))
            k++;
        if (k == 3 || (seen & 1u << k)) {
            char text[TD_SHOW];
            return td_fail(c->err, TD_E_FORMAT, "", "npy: header has the key %s%s",
                           td_show(text, name.at, name.count),
                           k == 3 ? "; wanted descr, fortran_order, shape" : " twice");
        }
        seen |= 1u << k;
        if (!take(c, ':')) return fail_at(c, "':'");
        code = k == 0   ? parse_type(c, h)
               : k == 1 ? parse_order(c, h)
                        : parse_shape(c, &h->shape);
        if (code != 0) return code;
        comma = take(c, ',');
    }
    for (unsigned k = 0; k < 3; k++)
        if (!(seen & 1u << k))
            return td_fail(c->err, TD_E_FORMAT, "", "npy: header has no '%s'", keys[k]);
    skip_space(c);
    return c->at == c->end ? 0 : fail_at(c, "its end");
}

int td_npy_read_named(td_bytes in, const td_file_options *o, const char *name,
                      td_table *t, td_err *err) {
    if (in.count < 10)
        return td_fail(err, TD_E_FORMAT, "",
                       "npy: a header needs 10 bytes, the file has %zu", in.count);
    if (memcmp(in.at, "\x93NUMPY", 6) != 0)
        return td_fail(err, TD_E_FORMAT, "", "npy: does not begin with \\x93NUMPY");
    unsigned version = in.at[6];
    if (version < 1 || version > 3 || in.at[7] != 0)
        return td_fail(err, TD_E_FORMAT, "", "npy: version %u.%u, wanted 1.0, 2.0 or 3.0",
                       version, in.at[7]);
    size_t from = version == 1 ? 10 : 12, length = td_le16(in.at + 8), bytes;
    if (version > 1 && in.count >= from) length = td_le32(in.at + 8);
    if (length > HEADER_MAX)
        return td_fail(err, TD_E_LIMIT, "", "npy: a header of %zu bytes, %d are allowed",
                       length, HEADER_MAX);
    if (in.count < from || in.count - from < length)
        return td_fail(err, TD_E_FORMAT, "",
                       "npy: the header needs %zu bytes, the file has %zu", from + length,
                       in.count);
    cursor c = {in.at, in.at + from, in.at + from + length, err};
    header h = {0};
    int code = parse_header(&c, &h);
    if (code != 0) return code;
    code = td_raw_bytes(h.type, &h.shape, &bytes, err);
    if (code == 0 && in.count - from - length != bytes) {
        char text[TD_SHAPE_TEXT];
        return td_fail(err, TD_E_FORMAT, "",
                       "npy: %s %s needs %zu bytes, the file has %zu",
                       td_shape_text(&h.shape, text), td_raw_name(h.type),
                       from + length + bytes, in.count);
    }
    if (code == 0)
        code = td_raw_add(t, o, name, h.type, h.big_endian, h.fortran_order, &h.shape,
                          in.at + from + length, err);
    if (code != 0) td_err_prefix(err, "npy: ");
    return code;
}

int td_npy_read(td_bytes in, const td_file_options *o, td_table *t, td_err *err) {
    return td_npy_read_named(in, o, "", t, err);
}
