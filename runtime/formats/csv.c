/* CSV to columns, in two walks over the file: the first counts rows and finds out what each column is, the
 * second fills tensors of exactly that size. No field is stored in between. */
#include "runtime/formats/csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"

/* What the rows of a column were found to be. */
typedef struct facts {
    td_csv_kind first; /* of the first value that is not missing; MISSING when all are */
    bool has_missing, has_float;
    bool is_wide;     /* an integer that f32 does not hold, or that i64 does not */
    size_t text_line; /* of the first text; 0 when there is none */
    td_bytes text;
} facts;

typedef struct column {
    td_csv_field top; /* its field in the first record */
    facts top_facts;  /* of the first record alone */
    facts rest;       /* of all others */
    char *name;
    bool is_text;
    td_tensor *tensor; /* borrowed from the table */
    td_csv_cell *cell; /* of a text column: a cell for each row */
} column;

typedef struct reader {
    const td_file_options *o;
    td_table *t;
    td_err *err;
    td_csv_scan start;
    column *columns;
    size_t count, records; /* columns; records, the header among them */
    bool has_header;
} reader;

static size_t rows(const reader *r) { return r->records - r->has_header; }

static void learn(facts *k, const td_csv_field *f) {
    int64_t i = 0;
    double d = 0;
    td_csv_kind kind = td_csv_classify(f->at, f->count, &i, &d);
    if (kind == TD_CSV_MISSING) {
        k->has_missing = true;
        return;
    }
    if (k->first == TD_CSV_MISSING) k->first = kind;
    if (kind == TD_CSV_FLOAT) {
        /* written like an integer, but too large for one */
        if (isfinite(d) && !memchr(f->at, '.', f->count) &&
            !memchr(f->at, 'e', f->count) && !memchr(f->at, 'E', f->count))
            k->is_wide = true;
        k->has_float = true;
    }
    /* i64 to double rounds past 2^53, where f64 is no worse than any other choice */
    if (kind == TD_CSV_INTEGER &&
        ((double)(float)d != d || i >= (int64_t)1 << 53 || i <= -((int64_t)1 << 53)))
        k->is_wide = true;
    if (kind == TD_CSV_TEXT && k->text_line == 0) {
        k->text_line = f->line;
        k->text = (td_bytes){(const uint8_t *)f->at, f->count};
    }
}

/* The facts of the first record and those of the rest, together. */
static facts join(const facts *a, const facts *b) {
    facts k = *b;
    if (a->first != TD_CSV_MISSING) k.first = a->first;
    k.has_missing |= a->has_missing;
    k.has_float |= a->has_float;
    k.is_wide |= a->is_wide;
    if (a->text_line) {
        k.text_line = a->text_line;
        k.text = a->text;
    }
    return k;
}

static int add_column(reader *r, const td_csv_field *f) {
    if (r->count == r->o->max_entries)
        return td_fail(r->err, TD_E_LIMIT, "", "csv: more than %zu columns",
                       r->o->max_entries);
    if ((r->count & (r->count - 1)) == 0) {
        column *more =
            td_grow_bytes(r->columns, (r->count ? 2 * r->count : 1) * sizeof *more);
        if (more == NULL) return td_fail(r->err, TD_E_MEMORY, "", "csv: out of memory");
        r->columns = more;
    }
    column *c = &r->columns[r->count++];
    *c = (column){.top = *f};
    learn(&c->top_facts, f);
    return 0;
}

/* The first walk. */
static int survey(reader *r) {
    td_csv_scan s = r->start;
    td_csv_field f;
    while (!s.is_done) {
        size_t n = 0, line = s.line;
        do {
            int code = td_csv_next(&s, &f, r->err);
            if (code != 0) {
                td_err_prefix(r->err, "csv: ");
                return code;
            }
            if (f.count > UINT32_MAX)
                return td_fail(r->err, TD_E_LIMIT, "",
                               "csv: line %zu: a field of %zu bytes", f.line, f.count);
            if (r->records == 0) {
                code = add_column(r, &f);
                if (code != 0) return code;
            } else if (n < r->count) {
                learn(&r->columns[n].rest, &f);
            }
            n++;
        } while (!f.is_last);
        if (n != r->count)
            return td_fail(r->err, TD_E_FORMAT, "",
                           "csv: line %zu has %zu fields, line %zu has %zu", line, n,
                           r->columns[0].top.line, r->count);
        r->records++;
    }
    return 0;
}

static char *text_of(const td_csv_field *f) {
    char *text = td_new_bytes(f->count + 1);
    if (text) td_csv_text(f, text);
    return text;
}

/* Whether the first record's fields are texts, all different: then they can be names. */
static int can_be_names(reader *r, bool *yes) {
    bool are_unique = true;
    size_t a, b;
    *yes = false;
    for (size_t i = 0; i < r->count; i++)
        if (r->columns[i].top_facts.first != TD_CSV_TEXT && r->columns[i].top.count != 0)
            return 0;
    char **name = td_new_array(r->count, sizeof *name);
    int code = name ? 0 : td_fail(r->err, TD_E_MEMORY, "", "csv: out of memory");
    for (size_t i = 0; code == 0 && i < r->count; i++) {
        name[i] = text_of(&r->columns[i].top);
        if (name[i] == NULL)
            code = td_fail(r->err, TD_E_MEMORY, "", "csv: out of memory");
    }
    if (code == 0) code = td_names_check(name, r->count, &are_unique, &a, &b, r->err);
    for (size_t i = 0; name && i < r->count; i++) td_free(name[i]);
    td_free(name);
    *yes = are_unique;
    return code;
}

/* The first record is a header if it has texts over numbers, and not if it has numbers; both at a time
 * would be a guess. When everything is text, it is one if its fields could be names. */
static int find_header(reader *r) {
    const column *text = NULL, *number = NULL;
    if (r->o->csv_header != TD_CSV_HEADER_DETECT) {
        r->has_header = r->o->csv_header == TD_CSV_HEADER_YES;
        return 0;
    }
    for (size_t i = 0; i < r->count; i++) {
        const column *c = &r->columns[i];
        bool rest_is_number =
            c->rest.first == TD_CSV_INTEGER || c->rest.first == TD_CSV_FLOAT;
        if (c->top_facts.first == TD_CSV_TEXT && rest_is_number && text == NULL) text = c;
        if (c->top_facts.first != TD_CSV_TEXT && c->top_facts.first != TD_CSV_MISSING &&
            number == NULL)
            number = c;
    }
    if (text && number) {
        char a[TD_SHOW], b[TD_SHOW];
        td_fail(r->err, TD_E_FORMAT, "",
                "csv: line %zu may be a header or not: %s stands over numbers, but %s is "
                "a number",
                text->top.line, td_show(a, text->top.at, text->top.count),
                td_show(b, number->top.at, number->top.count));
        td_hint(r->err, "say which, with the option header");
        return TD_E_FORMAT;
    }
    if (number) return 0;
    if (text) {
        r->has_header = true;
        return 0;
    }
    return can_be_names(r, &r->has_header);
}

static int name_columns(reader *r) {
    td_err *err = r->err;
    char **name = td_new_array(r->count, sizeof *name);
    int code = name ? 0 : td_fail(err, TD_E_MEMORY, "", "csv: out of memory");
    bool are_unique = true;
    size_t a = 0, b = 0;
    for (size_t i = 0; code == 0 && i < r->count; i++) {
        column *c = &r->columns[i];
        char numbered[32];
        snprintf(numbered, sizeof numbered, "column%zu", i + 1);
        c->name = r->has_header && c->top.count ? text_of(&c->top) : td_strdup(numbered);
        if (c->name == NULL) code = td_fail(err, TD_E_MEMORY, "", "csv: out of memory");
        name[i] = c->name;
    }
    if (code == 0) code = td_names_check(name, r->count, &are_unique, &a, &b, err);
    if (code == 0 && !are_unique) {
        char text[TD_SHOW];
        code =
            td_fail(err, TD_E_FORMAT, "", "csv: columns %zu and %zu are both called %s",
                    a + 1, b + 1, td_show(text, name[a], strlen(name[a])));
    }
    td_free(name);
    return code;
}

static int force_texts(reader *r) {
    for (size_t k = 0; k < r->o->csv_texts; k++) {
        const char *wanted = r->o->csv_text[k];
        size_t i = 0;
        while (i < r->count && strcmp(r->columns[i].name, wanted) != 0) i++;
        if (i == r->count) {
            char text[TD_SHOW];
            return td_fail(r->err, TD_E_ARGUMENT, "", "csv: no column is called %s",
                           td_show(text, wanted, strlen(wanted)));
        }
        r->columns[i].is_text = true;
    }
    return 0;
}

/* What the column is going to be. */
static int choose_dtype(reader *r, size_t i, td_dtype *d) {
    column *c = &r->columns[i];
    facts k = r->has_header ? c->rest : join(&c->top_facts, &c->rest);
    *d = TD_I64;
    if (c->is_text) return 0;
    c->is_text = k.first == TD_CSV_TEXT;
    if (c->is_text) return 0;
    if (k.text_line) {
        char name[TD_SHOW], text[TD_SHOW];
        td_fail(r->err, TD_E_FORMAT, "",
                "csv: line %zu, column %zu %s: %s is text in a column of numbers",
                k.text_line, i + 1, td_show(name, c->name, strlen(c->name)),
                td_show(text, k.text.at, k.text.count));
        td_hint(r->err,
                "if all of the column is meant as text, name it in the option text");
        return TD_E_FORMAT;
    }
    if (k.first == TD_CSV_MISSING || k.has_missing || k.has_float)
        *d = k.is_wide ? TD_F64 : r->o->csv_float;
    return 0;
}

static int make_column(reader *r, size_t i) {
    td_dtype d;
    td_shape shape = {.ndim = 1, .dim = {(int64_t)rows(r)}};
    column *c = &r->columns[i];
    int code = choose_dtype(r, i, &d);
    if (code != 0) return code;
    td_tensor *x = td_table_tensor(r->t, r->o, d, &shape, r->err);
    c->tensor = x;
    code = x ? td_table_add(r->t, c->name, &x, r->err) : r->err->code;
    if (code == 0 && c->is_text) {
        c->cell = td_data_new(rows(r) * sizeof *c->cell, r->err);
        if (c->cell == NULL) code = r->err->code;
    }
    if (code != 0) td_err_prefix(r->err, "csv: ");
    return code;
}

static void put_value(column *c, const td_csv_field *f, size_t row) {
    int64_t i = 0;
    double d = 0;
    char *base = td_tensor_data(c->tensor);
    if (c->is_text) {
        c->cell[row] = (td_csv_cell){f->at, (uint32_t)f->count, (uint32_t)row};
        return;
    }
    if (td_csv_classify(f->at, f->count, &i, &d) == TD_CSV_MISSING) d = (double)NAN;
    if (c->tensor->dtype == TD_I64)
        ((int64_t *)(void *)base)[row] = i;
    else if (c->tensor->dtype == TD_F64)
        ((double *)(void *)base)[row] = d;
    else
        ((float *)(void *)base)[row] = (float)d;
}

/* The second walk. The first one saw no error, so there is none. */
static void fill(reader *r) {
    td_csv_scan s = r->start;
    td_csv_field f;
    for (size_t record = 0; record < r->records; record++)
        for (size_t i = 0; i < r->count; i++) {
            if (td_csv_next(&s, &f, r->err) != 0) return;
            if (record >= r->has_header)
                put_value(&r->columns[i], &f, record - r->has_header);
        }
}

static int encode_texts(reader *r) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < r->count; i++) {
        column *c = &r->columns[i];
        td_entry *e = &r->t->entry[r->t->count - r->count + i];
        if (c->is_text)
            code = td_csv_encode(c->cell, rows(r), td_tensor_data(c->tensor),
                                 &e->category, &e->categories, r->err);
        if (code != 0) {
            char text[TD_SHOW];
            td_err_prefix(r->err, "csv: column %zu %s: ", i + 1,
                          td_show(text, c->name, strlen(c->name)));
        }
    }
    return code;
}

int td_csv_read(td_bytes in, const td_file_options *o, td_table *t, td_err *err) {
    reader r = {.o = o, .t = t, .err = err};
    td_csv_start(&r.start, in, o->csv_skip_lines, o->csv_separator);
    if (r.start.is_done)
        return td_fail(err, TD_E_FORMAT, "", "csv: the file has no lines");
    int code = survey(&r);
    if (code == 0 && r.records > UINT32_MAX)
        code = td_fail(err, TD_E_LIMIT, "", "csv: %zu lines, %u are allowed", r.records,
                       UINT32_MAX);
    if (code == 0) code = find_header(&r);
    if (code == 0) code = name_columns(&r);
    if (code == 0) code = force_texts(&r);
    for (size_t i = 0; code == 0 && i < r.count; i++) code = make_column(&r, i);
    if (code == 0) {
        fill(&r);
        code = encode_texts(&r);
    }
    for (size_t i = 0; i < r.count; i++) {
        td_free(r.columns[i].name);
        td_data_free(r.columns[i].cell, rows(&r) * sizeof(td_csv_cell));
    }
    td_free(r.columns);
    return code;
}
