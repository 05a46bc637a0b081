/* Safetensors (described in its README): the length of a header in 8 bytes, the header, which is a JSON
 * object of name -> {dtype, shape, data_offsets}, and the data, of which every byte belongs to exactly
 * one tensor. */
#include <stdlib.h>
#include <string.h>

#include "runtime/formats/json.h"
#include "runtime/mem.h"

#define HEADER_MAX 100000000u

typedef struct item {
    char *name;
    td_raw type;
    td_shape shape;
    int64_t begin, end; /* in the data */
} item;

typedef struct reader {
    td_json json;
    const td_file_options *o;
    td_table *t;
    item *items;
    size_t count;
    bool has_meta;
} reader;

static int fail_item(td_err *err, td_code code, const char *name, const char *what,
                     const char *got) {
    char text[TD_SHOW], more[TD_SHOW];
    return td_fail(err, code, "", "%s %s%s", td_show(text, name, strlen(name)), what,
                   got ? td_show(more, got, strlen(got)) : "");
}

static int read_type(reader *r, item *e) {
    static const struct {
        const char *name;
        td_raw type;
    } types[] = {{"F64", TD_RAW_F64},   {"F32", TD_RAW_F32}, {"F16", TD_RAW_F16},
                 {"BF16", TD_RAW_BF16}, {"I64", TD_RAW_I64}, {"I32", TD_RAW_I32},
                 {"I16", TD_RAW_I16},   {"I8", TD_RAW_I8},   {"U64", TD_RAW_U64},
                 {"U32", TD_RAW_U32},   {"U16", TD_RAW_U16}, {"U8", TD_RAW_U8},
                 {"BOOL", TD_RAW_BOOL}};
    char *word = NULL;
    int code = td_json_string(&r->json, &word);
    if (code != 0) return code;
    size_t i = 0, n = sizeof types / sizeof types[0];
    while (i < n && strcmp(types[i].name, word) != 0) i++;
    if (i < n)
        e->type = types[i].type;
    else
        code = fail_item(r->json.err, TD_E_DTYPE, e->name,
                         "has a dtype that is not read: ", word);
    td_free(word);
    return code;
}

/* [1, 2, 3], at most max of them. */
static int read_counts(reader *r, const item *e, int64_t *out, int max, int *count) {
    td_json *j = &r->json;
    int code = td_json_expect(j, '[');
    *count = 0;
    if (code != 0 || td_json_take(j, ']')) return code;
    do {
        if (*count == max)
            return max == 2 ? td_json_fail(j, "two offsets")
                            : fail_item(j->err, TD_E_LIMIT, e->name,
                                        "has more than 8 dimensions", NULL);
        code = td_json_count(j, &out[(*count)++]);
        if (code != 0) return code;
    } while (td_json_take(j, ','));
    return td_json_expect(j, ']');
}

/* {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, in any order. */
static int read_item(reader *r, item *e) {
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    td_json *j = &r->json;
    unsigned seen = 0;
    int64_t offset[2] = {0, 0};
    int count = 0, code = td_json_expect(j, '{');
    if (code != 0) return code;
    if (!td_json_take(j, '}')) {
        do {
            char *key = NULL;
            unsigned k = 0;
            code = td_json_string(j, &key);
            if (code != 0) return code;
            while (k < 3 && strcmp(keys[k], key) != 0) k++;
            if (k == 3)
                code =
                    fail_item(j->err, TD_E_FORMAT, e->name, "has the unknown key ", key);
            else if (seen & 1u << k)
                code = fail_item(j->err, TD_E_FORMAT, e->name, "has twice the key ", key);
            td_free(key);
            if (code == 0) code = td_json_expect(j, ':');
            if (code != 0) return code;
            seen |= 1u << k;
            if (k == 0) {
                code = read_type(r, e);
            } else if (k == 1) {
                code = read_counts(r, e, e->shape.dim, TD_MAX_DIM, &e->shape.ndim);
            } else {
                code = read_counts(r, e, offset, 2, &count);
                if (code == 0 && count != 2) code = td_json_fail(j, "two offsets");
            }
            if (code != 0) return code;
        } while (td_json_take(j, ','));
        code = td_json_expect(j, '}');
        if (code != 0) return code;
    }
    for (unsigned k = 0; k < 3; k++)
        if (!(seen & 1u << k))
            return fail_item(j->err, TD_E_FORMAT, e->name, "has no ", keys[k]);
    e->begin = offset[0];
    e->end = offset[1];
    return 0;
}

static int read_meta(reader *r) {
    td_json *j = &r->json;
    if (r->has_meta)
        return td_fail(j->err, TD_E_FORMAT, "", "there are two __metadata__");
    r->has_meta = true;
    int code = td_json_expect(j, '{');
    if (code != 0 || td_json_take(j, '}')) return code;
    do {
        char *key = NULL, *value = NULL;
        if (r->t->metas == r->o->max_entries)
            return td_fail(j->err, TD_E_LIMIT, "", "more than %zu keys in __metadata__",
                           r->o->max_entries);
        code = td_json_string(j, &key);
        if (code == 0) code = td_json_expect(j, ':');
        if (code == 0) code = td_json_string(j, &value);
        if (code == 0) code = td_table_add_meta(r->t, key, value, j->err);
        td_free(key);
        td_free(value);
        if (code != 0) return code;
    } while (td_json_take(j, ','));
    return td_json_expect(j, '}');
}

/* One name and what belongs to it. */
static int read_pair(reader *r) {
    td_json *j = &r->json;
    char *name = NULL;
    int code = td_json_string(j, &name);
    if (code == 0) code = td_json_expect(j, ':');
    if (code == 0 && strcmp(name, "__metadata__") == 0) {
        code = read_meta(r);
        td_free(name);
        return code;
    }
    if (code == 0 && r->count == r->o->max_entries)
        code =
            td_fail(j->err, TD_E_LIMIT, "", "more than %zu tensors", r->o->max_entries);
    if (code == 0 &&
        (r->count & (r->count - 1)) == 0) { /* full: room for twice as many */
        item *more =
            td_grow_bytes(r->items, (r->count ? 2 * r->count : 1) * sizeof *more);
        if (more)
            r->items = more;
        else
            code = td_fail(j->err, TD_E_MEMORY, "", "out of memory");
    }
    if (code != 0) {
        td_free(name);
        return code;
    }
    item *e = &r->items[r->count++];
    *e = (item){.name = name};
    return read_item(r, e);
}

static int read_header(reader *r) {
    td_json *j = &r->json;
    int code = td_json_expect(j, '{');
    if (code == 0 && !td_json_take(j, '}')) {
        do {
            code = read_pair(r);
            if (code != 0) return code;
        } while (td_json_take(j, ','));
        code = td_json_expect(j, '}');
    }
    return code != 0 ? code : td_json_end(j);
}

/* Names are different, in the tensors and in the metadata. */
static int check_names(const reader *r) {
    td_err *err = r->json.err;
    size_t most = r->count > r->t->metas ? r->count : r->t->metas, a = 0, b = 0;
    char **name = td_new_array(most, sizeof *name);
    if (name == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    bool are_unique = true;
    for (size_t i = 0; i < r->count; i++) name[i] = r->items[i].name;
    int code = td_names_check(name, r->count, &are_unique, &a, &b, err);
    if (code == 0 && are_unique) {
        for (size_t i = 0; i < r->t->metas; i++) name[i] = r->t->meta[i].key;
        code = td_names_check(name, r->t->metas, &are_unique, &a, &b, err);
    }
    if (code == 0 && !are_unique)
        code = fail_item(err, TD_E_FORMAT, name[a], "stands twice in the header", NULL);
    td_free(name);
    return code;
}

static int by_place(const void *a, const void *b) {
    const item *x = *(const item *const *)a, *y = *(const item *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return (x > y) - (x < y);
}

/* Sizes agree with dtype and shape; the tensors cover the data without gap or overlap. */
static int check_places(const reader *r, size_t data_bytes) {
    td_err *err = r->json.err;
    const item **sorted = td_new_array(r->count, sizeof *sorted);
    if (sorted == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    int code = 0;
    char text[TD_SHOW], shape[TD_SHAPE_TEXT];
    for (size_t i = 0; code == 0 && i < r->count; i++) {
        const item *e = sorted[i] = &r->items[i];
        size_t bytes;
        td_show(text, e->name, strlen(e->name));
        code = td_raw_bytes(e->type, &e->shape, &bytes, err);
        if (code != 0) {
            td_err_prefix(err, "%s: ", text);
        } else if (e->end < e->begin || (uint64_t)e->end > data_bytes) {
            code = td_fail(err, TD_E_FORMAT, "",
                           "%s lies at %lld to %lld, the data have %zu bytes", text,
                           (long long)e->begin, (long long)e->end, data_bytes);
        } else if ((uint64_t)(e->end - e->begin) != bytes) {
            code = td_fail(err, TD_E_FORMAT, "",
                           "%s, %s %s, needs %zu bytes, its offsets give it %lld", text,
                           td_shape_text(&e->shape, shape), td_raw_name(e->type), bytes,
                           (long long)(e->end - e->begin));
        }
    }
    if (code == 0) qsort(sorted, r->count, sizeof *sorted, by_place);
    int64_t at = 0;
    for (size_t i = 0; code == 0 && i < r->count; i++) {
        const item *e = sorted[i];
        if (e->begin != at)
            code = td_fail(err, TD_E_FORMAT, "",
                           "%s begins at %lld of the data, the one before it "
                           "ends at %lld: %s",
                           td_show(text, e->name, strlen(e->name)), (long long)e->begin,
                           (long long)at, e->begin < at ? "an overlap" : "a hole");
        at = e->end;
    }
    if (code == 0 && (uint64_t)at != data_bytes)
        code = td_fail(err, TD_E_FORMAT, "",
                       "the tensors need %lld bytes of data, the file has %zu",
                       (long long)at, data_bytes);
    td_free(sorted);
    return code;
}

int td_safetensors_read(td_bytes in, const td_file_options *o, td_table *t, td_err *err) {
    if (in.count < 8)
        return td_fail(err, TD_E_FORMAT, "",
                       "safetensors: the header's length needs 8 bytes, the file has %zu",
                       in.count);
    uint64_t header = td_le64(in.at);
    if (header > HEADER_MAX)
        return td_fail(err, TD_E_LIMIT, "",
                       "safetensors: a header of %llu bytes, %u are allowed",
                       (unsigned long long)header, HEADER_MAX);
    if (header > in.count - 8)
        return td_fail(err, TD_E_FORMAT, "",
                       "safetensors: the header needs %llu bytes, the file has %zu",
                       (unsigned long long)(header + 8), in.count);
    const uint8_t *data = in.at + 8 + header;
    reader r = {.json = {in.at, in.at + 8, data, err}, .o = o, .t = t};
    int code = read_header(&r);
    if (code == 0) code = check_names(&r);
    if (code == 0) code = check_places(&r, in.count - 8 - (size_t)header);
    for (size_t i = 0; code == 0 && i < r.count; i++) {
        const item *e = &r.items[i];
        code = td_raw_add(t, o, e->name, e->type, false, false, &e->shape,
                          data + e->begin, err);
        if (code != 0) {
            char text[TD_SHOW];
            td_err_prefix(err, "%s: ", td_show(text, e->name, strlen(e->name)));
        }
    }
    if (code != 0) td_err_prefix(err, "safetensors: ");
    for (size_t i = 0; i < r.count; i++) td_free(r.items[i].name);
    td_free(r.items);
    return code;
}
