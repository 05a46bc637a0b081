/* Texts of files that are shown to people: UTF-8 checks and harmless quoting. Knows no format. */
#include <stdio.h>
#include <string.h>

#include "runtime/formats/reader.h"

size_t td_utf8_char(const uint8_t *p, size_t left) {
    if (left == 0) return 0;
    if (p[0] < 0x80) return 1;
    size_t n = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    /* longer than need be, surrogates, past U+10FFFF */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
    return n;
}

bool td_utf8_is_valid(const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    while (count > 0) {
        size_t n = td_utf8_char(p, count);
        if (n == 0) return false;
        p += n;
        count -= n;
    }
    return true;
}

const char *td_show(char text[TD_SHOW], const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    size_t at = 0, i = 0;
    text[at++] = '\'';
    while (i < count && at < TD_SHOW - 10) {
        size_t n = td_utf8_char(p + i, count - i);
        bool is_control =
            p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && n == 2 && p[i + 1] < 0xa0);
        if (n == 0 || is_control) {
            at += (size_t)snprintf(text + at, TD_SHOW - at, "\\x%02x", p[i]);
            n = 1;
        } else {
            memcpy(text + at, p + i, n);
            at += n;
        }
        i += n;
    }
    snprintf(text + at, TD_SHOW - at, i < count ? "...'" : "'");
    return text;
}

int td_err_prefix(td_err *err, const char *fmt, ...) {
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, "%s", old);
    return err->code;
}
