/* A cursor over JSON text (RFC 8259) that takes what the caller expects, and builds no tree: a header of
 * 100 MB costs no more memory than its strings, and nothing recurses. Only runtime/formats includes this. */
#ifndef TD_FORMATS_JSON_H
#define TD_FORMATS_JSON_H

#include "runtime/formats/reader.h"

typedef struct td_json {
    const uint8_t *start, *at, *end;
    td_err *err;
} td_json;

/* Each skips blanks first. Errors: FORMAT, "header at byte 12: wanted ',', got '}'". */
int td_json_expect(td_json *j, char ch);
/* Takes ch if it comes next. */
bool td_json_take(td_json *j, char ch);
/* A string, decoded, to be given back with td_free. Invalid UTF-8 and zero characters are errors. */
int td_json_string(td_json *j, char **out);
/* An integer from 0 to 2^63 - 1, written without fraction or exponent. */
int td_json_count(td_json *j, int64_t *out);
/* Nothing but blanks is left. */
int td_json_end(td_json *j);
/* The error above, for the place where the cursor stands. */
int td_json_fail(td_json *j, const char *wanted);

#endif
