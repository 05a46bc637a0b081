/* The error table and the few functions that fill in a td_err. Knows nothing of who reads it. */
#include "runtime/err.h"

#include <stdio.h>

const char *td_code_word(int code) {
    switch (code) {
#define TD_X(name, number, word)                                                         \
    case number: return word;
        TD_ERRORS(TD_X)
#undef TD_X
    default: return "unknown";
    }
}

int td_fail(td_err *err, td_code code, const char *call, const char *fmt, ...) {
    if (err == NULL) return (int)code;
    err->code = (int)code;
    snprintf(err->call, sizeof err->call, "%s", call ? call : "");
    err->hint[0] = 0;
    err->where[0] = 0;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return (int)code;
}

void td_hint(td_err *err, const char *fmt, ...) {
    if (err == NULL) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}

void td_err_text(const td_err *err, char *text, int size) {
    if (size <= 0) return;
    if (err->call[0])
        snprintf(text, (size_t)size, "%s: %s", err->call, err->msg);
    else
        snprintf(text, (size_t)size, "%s", err->msg);
}
