/* Takes JSON apart, token by token. */
#include "runtime/formats/json.h"

#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"

static void skip_space(td_json *j) {
    while (j->at < j->end &&
           (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
}

int td_json_fail(td_json *j, const char *wanted) {
    char text[TD_SHOW];
    size_t left = (size_t)(j->end - j->at);
    return td_fail(j->err, TD_E_FORMAT, "", "header at byte %zu: wanted %s, got %s",
                   (size_t)(j->at - j->start), wanted,
                   left ? td_show(text, j->at, left < 12 ? left : 12) : "its end");
}

bool td_json_take(td_json *j, char ch) {
    skip_space(j);
    if (j->at == j->end || *j->at != (uint8_t)ch) return false;
    j->at++;
    return true;
}

int td_json_expect(td_json *j, char ch) {
    char wanted[4];
    if (td_json_take(j, ch)) return 0;
    snprintf(wanted, sizeof wanted, "'%c'", ch);
    return td_json_fail(j, wanted);
}

int td_json_end(td_json *j) {
    skip_space(j);
    return j->at == j->end ? 0 : td_json_fail(j, "its end");
}

int td_json_count(td_json *j, int64_t *out) {
    skip_space(j);
    const uint8_t *from = j->at;
    int64_t v = 0;
    for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, *j->at - '0', &v)) {
            j->at = from;
            return td_json_fail(j, "an integer below 2^63");
        }
    bool has_fraction =
        j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E');
    if (j->at == from || (*from == '0' && j->at - from > 1) || has_fraction) {
        j->at = from;
        return td_json_fail(j, "an integer of 0 or more");
    }
    *out = v;
    return 0;
}

/* Four hexadecimal digits at p, or -1. */
static int hex4(const uint8_t *p, const uint8_t *end) {
    int v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t put_utf8(char *out, unsigned u) {
    if (u < 0x80) {
        out[0] = (char)u;
        return 1;
    }
    size_t n = u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, u >>= 6) out[i] = (char)(0x80 | (u & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xf0) | u);
    return n;
}

/* What follows a backslash, as UTF-8. 0: not an escape, or one that has no place in a name. */
static size_t unescape(td_json *j, char *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (j->at == j->end) return 0;
    const char *known = *j->at ? strchr(from, *j->at) : NULL;
    if (known) {
        *out = to[known - from];
        j->at++;
        return 1;
    }
    int u = *j->at == 'u' ? hex4(j->at + 1, j->end) : -1;
    if (u <= 0 || (u >= 0xdc00 && u < 0xe000)) return 0;
    j->at += 5;
    if (u >= 0xd800 && u < 0xdc00) { /* the first of a surrogate pair */
        bool has_second = j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u';
        int low = has_second ? hex4(j->at + 2, j->end) : -1;
        if (low < 0xdc00 || low >= 0xe000) return 0;
        j->at += 6;
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(out, (unsigned)u);
}

int td_json_string(td_json *j, char **out) {
    skip_space(j);
    if (j->at == j->end || *j->at != '"') return td_json_fail(j, "a string");
    const uint8_t *close = ++j->at;
    while (close < j->end && *close != '"') close += *close == '\\' ? 2 : 1;
    if (close >= j->end) return td_json_fail(j, "a string with an end");
    /* Decoding makes nothing longer. */
    char *text = td_new_bytes((size_t)(close - j->at) + 1);
    if (text == NULL) return td_fail(j->err, TD_E_MEMORY, "", "out of memory");
    size_t length = 0;
    while (j->at < close) {
        size_t n = td_utf8_char(j->at, (size_t)(close - j->at));
        const uint8_t *from = j->at;
        if (n == 1 && *from == '\\') {
            j->at++;
            n = unescape(j, text + length);
        } else if (n != 0 && *from >= 0x20) {
            memcpy(text + length, from, n);
            j->at += n;
        } else {
            n = 0;
        }
        if (n == 0) {
            td_free(text);
            j->at = from;
            return td_json_fail(j, "a character of a string");
        }
        length += n;
    }
    j->at++;
    *out = text;
    return 0;
}
