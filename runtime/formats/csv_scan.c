/* Cuts CSV into fields. Strict where a guess could shift columns: a quote inside an unquoted field, or
 * text behind a closing one, is an error. */
#include <string.h>

#include "runtime/formats/csv.h"

#define SAMPLE_RECORDS 20

static bool is_newline(char c) { return c == '\n' || c == '\r'; }

/* Past the newline at p, which may be LF, CRLF or CR. */
static const char *past_newline(const char *p, const char *end) {
    return *p == '\r' && end - p > 1 && p[1] == '\n' ? p + 2 : p + 1;
}

/* Whether this separator cuts the first records into equally many fields, and how many the first has. */
static bool try_separator(td_csv_scan s, char separator, size_t *fields) {
    td_csv_field f;
    td_err ignored;
    s.separator = separator;
    *fields = 0;
    for (int record = 0; record < SAMPLE_RECORDS && !s.is_done; record++) {
        size_t n = 0;
        do {
            if (td_csv_next(&s, &f, &ignored) != 0) return false;
            n++;
        } while (!f.is_last);
        if (record == 0) *fields = n;
        if (n != *fields) return false;
    }
    return *fields > 1;
}

void td_csv_start(td_csv_scan *s, td_bytes in, size_t skip, char separator) {
    *s = (td_csv_scan){.at = (const char *)in.at, .line = 1};
    s->end = s->at + in.count;
    if (in.count >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0) s->at += 3;
    while (s->end > s->at && is_newline(s->end[-1])) s->end--;
    for (; skip > 0 && s->at < s->end; skip--, s->line++) {
        while (s->at < s->end && !is_newline(*s->at)) s->at++;
        if (s->at < s->end) s->at = past_newline(s->at, s->end);
    }
    s->is_done = s->at == s->end;
    s->separator = separator ? separator : ',';
    if (separator) return;
    size_t most = 0, n;
    bool was_even = false;
    for (const char *c = ",;\t"; *c; c++) {
        bool is_even = try_separator(*s, *c, &n);
        if (n < 2 || is_even < was_even || (is_even == was_even && n <= most)) continue;
        was_even = is_even;
        most = n;
        s->separator = *c;
    }
}

static bool is_blank(const td_csv_scan *s, char c) {
    return (c == ' ' || c == '\t') && c != s->separator;
}

/* The inside of a quoted field, the cursor being behind the opening quote. */
static int scan_quoted(td_csv_scan *s, td_csv_field *f, td_err *err) {
    const char *p = s->at;
    f->at = p;
    for (;; p++) {
        if (p == s->end)
            return td_fail(err, TD_E_FORMAT, "", "line %zu: a quoted field without end",
                           f->line);
        if (*p == 0)
            return td_fail(err, TD_E_FORMAT, "", "line %zu: a zero byte", s->line);
        if (*p == '\n' || (*p == '\r' && !(s->end - p > 1 && p[1] == '\n'))) s->line++;
        if (*p != '"') continue;
        if (s->end - p < 2 || p[1] != '"') break;
        p++;
    }
    f->count = (size_t)(p - f->at);
    s->at = p + 1;
    while (s->at < s->end && is_blank(s, *s->at)) s->at++;
    if (s->at < s->end && *s->at != s->separator && !is_newline(*s->at))
        return td_fail(err, TD_E_FORMAT, "", "line %zu: text behind a closing quote",
                       s->line);
    return 0;
}

static int scan_plain(td_csv_scan *s, td_csv_field *f, td_err *err) {
    const char *p = s->at, *end = s->end;
    char separator = s->separator;
    f->at = p;
    while (p < end && *p != separator && *p != '\n' && *p != '\r') {
        if (*p == 0)
            return td_fail(err, TD_E_FORMAT, "", "line %zu: a zero byte", s->line);
        if (*p == '"')
            return td_fail(err, TD_E_FORMAT, "",
                           "line %zu: a quote inside an unquoted field", s->line);
        p++;
    }
    s->at = p;
    while (p > f->at && is_blank(s, p[-1])) p--;
    f->count = (size_t)(p - f->at);
    return 0;
}

int td_csv_next(td_csv_scan *s, td_csv_field *f, td_err *err) {
    while (s->at < s->end && is_blank(s, *s->at)) s->at++;
    f->line = s->line;
    f->is_quoted = s->at < s->end && *s->at == '"';
    s->at += f->is_quoted;
    int code = f->is_quoted ? scan_quoted(s, f, err) : scan_plain(s, f, err);
    if (code != 0) return code;
    f->is_last = s->at == s->end || *s->at != s->separator;
    if (s->at == s->end) {
        s->is_done = true;
    } else if (f->is_last) {
        s->at = past_newline(s->at, s->end);
        s->line++;
    } else {
        s->at++; /* a separator: at least an empty field follows */
    }
    return 0;
}

size_t td_csv_text(const td_csv_field *f, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++) {
        out[n++] = f->at[i];
        if (f->is_quoted && f->at[i] == '"') i++; /* its double */
    }
    out[n] = 0;
    return n;
}
