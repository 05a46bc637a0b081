/* CSV (RFC 4180) taken apart: fields, and what a field's text says. Only runtime/formats includes this. */
#ifndef TD_FORMATS_CSV_H
#define TD_FORMATS_CSV_H

#include "runtime/formats/reader.h"

/* ---- csv_scan.c ---------------------------------------------------------------------------------- */

typedef struct td_csv_field {
    const char *
        at; /* in the file; without quotes and blanks around; "" inside stands for one " */
    size_t count;
    bool is_quoted;
    bool is_last; /* of its record */
    size_t line;  /* on which it begins, from 1 */
} td_csv_field;

typedef struct td_csv_scan {
    const char *at, *end;
    char separator;
    size_t line;
    bool is_done;
} td_csv_scan;

/* At the file's first record: past a byte order mark and `skip` lines; empty lines at the end are not
 * records. separator 0: the one of , ; and tab that cuts the first records into equally many fields, or
 * else the first record into several; the one that makes most; otherwise a comma. */
void td_csv_start(td_csv_scan *s, td_bytes in, size_t skip, char separator);
/* The next field, unless is_done. FORMAT errors name the line: a quote where none may be, a zero byte, a
 * quoted field without end. */
int td_csv_next(td_csv_scan *s, td_csv_field *f, td_err *err);
/* The field's text, quotes undoubled, to out, which has room for count + 1; its length. */
size_t td_csv_text(const td_csv_field *f, char *out);

/* ---- csv_number.c -------------------------------------------------------------------------------- */

typedef enum td_csv_kind {
    TD_CSV_MISSING,
    TD_CSV_INTEGER,
    TD_CSV_FLOAT,
    TD_CSV_TEXT
} td_csv_kind;

/* What the text is. An integer fits i64; both integers and floats fill in *f, rounded once. Decimal
 * point, no thousands; inf and infinity are floats, nan is missing. */
td_csv_kind td_csv_classify(const char *at, size_t count, int64_t *i, double *f);

/* ---- csv_text.c ------------------------------------------------------------------------------------ */

typedef struct td_csv_cell {
    const char *at;
    uint32_t count, row;
} td_csv_cell;

/* Codes of a text column: sorts the cells, numbers the different texts in byte order, writes code[row] for
 * each cell and makes the list of texts, one block to be freed by td_free. Errors: LIMIT (too many
 * different texts), MEMORY. */
int td_csv_encode(td_csv_cell *cell, size_t count, int64_t *code, char ***category,
                  size_t *categories, td_err *err);

#endif
