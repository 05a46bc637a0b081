/* Numbers in text, the same in every locale. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/formats/csv.h"

#define LONGEST 255 /* characters; a longer field is text */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(const char *at, size_t count, const char *word) {
    return strlen(word) == count && strncasecmp(at, word, count) == 0;
}

static bool is_missing(const char *at, size_t count) {
    static const char *const words[] = {"", "na", "n/a", "nan", "null", "none", "?"};
    if (count > 4) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is_word(at, count, words[i])) return true;
    return false;
}

/* The C library's conversion, for what the short ways below do not round rightly. */
static double convert(const char *at, size_t count) {
    char text[LONGEST + 1];
    memcpy(text, at, count);
    text[count] = 0;
    locale_t c = newlocale(LC_ALL_MASK, "C",
                           (locale_t)0); /* a constant of the library: no memory */
    double v = c ? strtod_l(text, NULL, c) : strtod(text, NULL);
    if (c) freelocale(c);
    return v;
}

td_csv_kind td_csv_classify(const char *at, size_t count, int64_t *i, double *f) {
    static const double power[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *p = at, *end = at + count;
    if (is_missing(at, count)) return TD_CSV_MISSING;
    if (count > LONGEST) return TD_CSV_TEXT;
    bool is_negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    size_t left = (size_t)(end - p);
    if (is_word(p, left, "inf") || is_word(p, left, "infinity")) {
        *f = is_negative ? -(double)INFINITY : (double)INFINITY;
        return TD_CSV_FLOAT;
    }
    /* digits [. digits] [e [sign] digits]; the digits' value while they fit 64 bits */
    uint64_t v = 0;
    int digits = 0, after_point = 0, exponent = 0;
    bool fits = true, is_integer = true;
    for (; p < end && (is_digit(*p) || (*p == '.' && is_integer)); p++) {
        if (*p == '.') {
            is_integer = false;
            continue;
        }
        digits++;
        after_point += !is_integer;
        fits = fits && !__builtin_mul_overflow(v, 10u, &v) &&
               !__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v);
    }
    if (digits == 0) return TD_CSV_TEXT;
    if (p < end && (*p == 'e' || *p == 'E')) {
        is_integer = false;
        bool is_small = ++p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        if (p == end) return TD_CSV_TEXT;
        for (; p < end && is_digit(*p); p++)
            if (exponent < 100000) exponent = exponent * 10 + (*p - '0');
        if (is_small) exponent = -exponent;
    }
    if (p != end) return TD_CSV_TEXT;
    exponent -= after_point;
    if (is_integer && fits && v <= (uint64_t)INT64_MAX + is_negative) {
        *i = is_negative ? (int64_t)(0 - v) : (int64_t)v;
        *f = (double)*i;
        return TD_CSV_INTEGER;
    }
    if (fits && v <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
        /* Both factors are exact, so the result is rounded once. */
        double d =
            exponent < 0 ? (double)v / power[-exponent] : (double)v * power[exponent];
        *f = is_negative ? -d : d;
    } else {
        *f = convert(at, count);
    }
    return TD_CSV_FLOAT;
}
