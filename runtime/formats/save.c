/* Writes safetensors and NPY. */
#include "runtime/formats/save.h"

#include <stdio.h>
#include <string.h>

#include "runtime/formats/reader.h"
#include "runtime/mem.h"

/* Text that grows; after a failure everything is ignored. */
typedef struct text {
    char *at;
    size_t count, room;
    bool is_broken;
} text;

static void put(text *t, const char *s, size_t n) {
    if (t->is_broken) return;
    if (n > t->room - t->count) {
        size_t room = 2 * (t->count + n) + 256;
        char *more = td_grow_bytes(t->at, room);
        if (more == NULL) {
            t->is_broken = true;
            return;
        }
        t->at = more;
        t->room = room;
    }
    memcpy(t->at + t->count, s, n);
    t->count += n;
}

static void put_text(text *t, const char *s) { put(t, s, strlen(s)); }

static void put_count(text *t, uint64_t v) {
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    put_text(t, digits);
}

static void put_string(text *t, const char *s) {
    put(t, "\"", 1);
    for (; *s; s++) {
        char escaped[8];
        if (*s == '"' || *s == '\\') {
            put(t, "\\", 1);
            put(t, s, 1);
        } else if ((unsigned char)*s < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*s);
            put_text(t, escaped);
        } else {
            put(t, s, 1);
        }
    }
    put(t, "\"", 1);
}

/* The elements in order, made contiguous if they are not. */
static int put_tensor(td_writer *w, const td_tensor *x, td_err *err) {
    td_tensor *flat = td_tensor_contiguous((td_tensor *)x, err);
    if (flat == NULL) return TD_E_MEMORY;
    size_t bytes = (size_t)td_tensor_numel(flat) * td_dtype_bytes(flat->dtype);
    int code = td_writer_put(w, td_tensor_data(flat), bytes, err);
    td_tensor_unref(&flat);
    return code;
}

static const char *const dtype_words[] = {
    [TD_F64] = "F64", [TD_F32] = "F32", [TD_F16] = "F16", [TD_BF16] = "BF16",
    [TD_I64] = "I64", [TD_I32] = "I32", [TD_U8] = "U8",   [TD_BOOL] = "BOOL"};
_Static_assert(sizeof dtype_words / sizeof dtype_words[0] == TD_DTYPE_COUNT,
               "a word for each dtype");

static void put_entry(text *h, const td_entry *e, uint64_t at, uint64_t bytes) {
    const td_shape *s = &e->tensor->shape;
    put_string(h, e->name);
    put_text(h, ":{\"dtype\":\"");
    put_text(h, dtype_words[e->tensor->dtype]);
    put_text(h, "\",\"shape\":[");
    for (int d = 0; d < s->ndim; d++) {
        if (d) put_text(h, ",");
        put_count(h, (uint64_t)s->dim[d]);
    }
    put_text(h, "],\"data_offsets\":[");
    put_count(h, at);
    put_text(h, ",");
    put_count(h, at + bytes);
    put_text(h, "]}");
}

static const size_t sizes[] = {8, 4, 2,
                               1}; /* of elements, in the order in which the data lie */

static void put_header(text *h, const td_table *t, uint64_t *place) {
    uint64_t at = 0;
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < t->count; i++) {
            const td_tensor *x = t->entry[i].tensor;
            if (td_dtype_bytes(x->dtype) != sizes[k]) continue;
            place[i] = at;
            at += (uint64_t)td_tensor_numel(x) * sizes[k];
        }
    put(h, "12345678", 8); /* the length, filled in below */
    put_text(h, "{");
    if (t->metas) put_text(h, "\"__metadata__\":{");
    for (size_t i = 0; i < t->metas; i++) {
        if (i) put_text(h, ",");
        put_string(h, t->meta[i].key);
        put_text(h, ":");
        put_string(h, t->meta[i].value);
    }
    if (t->metas) put_text(h, t->count ? "}," : "}");
    for (size_t i = 0; i < t->count; i++) {
        const td_tensor *x = t->entry[i].tensor;
        if (i) put_text(h, ",");
        put_entry(h, &t->entry[i], place[i],
                  (uint64_t)td_tensor_numel(x) * td_dtype_bytes(x->dtype));
    }
    put_text(h, "}");
    while (!h->is_broken && h->count % 8) put(h, " ", 1);
    for (size_t i = 0; !h->is_broken && i < 8; i++)
        h->at[i] = (char)((uint64_t)(h->count - 8) >> 8 * i & 0xff);
}

static int check_text(const char *s, const char *what, td_err *err) {
    char shown[TD_SHOW];
    if (td_utf8_is_valid(s, strlen(s))) return 0;
    return td_fail(err, TD_E_ARGUMENT, "", "safetensors: %s %s is not UTF-8", what,
                   td_show(shown, s, strlen(s)));
}

static int check_table(const td_table *t, char **name, td_err *err) {
    char shown[TD_SHOW];
    bool are_unique = true;
    size_t a = 0, b = 0;
    int code = 0;
    for (size_t i = 0; code == 0 && i < t->metas; i++) {
        name[i] = t->meta[i].key;
        code = check_text(t->meta[i].key, "metadata", err);
        if (code == 0) code = check_text(t->meta[i].value, "metadata", err);
    }
    if (code == 0) code = td_names_check(name, t->metas, &are_unique, &a, &b, err);
    if (code != 0 || !are_unique) goto done;
    for (size_t i = 0; code == 0 && i < t->count; i++) {
        name[i] = t->entry[i].name;
        code = check_text(name[i], "the name", err);
        if (code == 0 && strcmp(name[i], "__metadata__") == 0)
            code = td_fail(err, TD_E_ARGUMENT, "",
                           "safetensors: a tensor cannot be called '__metadata__'");
    }
    if (code == 0) code = td_names_check(name, t->count, &are_unique, &a, &b, err);
done:
    if (code == 0 && !are_unique)
        code = td_fail(err, TD_E_ARGUMENT, "", "safetensors: two entries are called %s",
                       td_show(shown, name[a], strlen(name[a])));
    return code;
}

int td_safetensors_save(const char *path, const td_table *t, td_err *err) {
    td_err ignored;
    td_writer w;
    text h = {0};
    if (err == NULL) err = &ignored;
    char **name = td_new_array(t->count + t->metas, sizeof *name);
    uint64_t *place = td_new_array(t->count, sizeof *place);
    int code = name && place ? 0 : td_fail(err, TD_E_MEMORY, "", "out of memory");
    if (code == 0) code = check_table(t, name, err);
    if (code == 0) put_header(&h, t, place);
    if (code == 0 && h.is_broken) code = td_fail(err, TD_E_MEMORY, "", "out of memory");
    if (code == 0 && h.count - 8 > 100000000u)
        code = td_fail(err, TD_E_LIMIT, "",
                       "safetensors: a header of %zu bytes, 100000000 are allowed",
                       h.count - 8);
    if (code == 0) code = td_writer_open(&w, path, err);
    if (code == 0) {
        code = td_writer_put(&w, h.at, h.count, err);
        for (size_t k = 0; k < 4; k++)
            for (size_t i = 0; code == 0 && i < t->count; i++)
                if (td_dtype_bytes(t->entry[i].tensor->dtype) == sizes[k])
                    code = put_tensor(&w, t->entry[i].tensor, err);
        if (code == 0) code = td_writer_commit(&w, err);
        td_writer_abort(&w);
    }
    td_free(h.at);
    td_free(name);
    td_free(place);
    return code;
}

int td_npy_save(const char *path, const td_tensor *x, td_err *err) {
    static const char *const words[] = {
        [TD_F64] = "<f8", [TD_F32] = "<f4", [TD_F16] = "<f2", [TD_I64] = "<i8",
        [TD_I32] = "<i4", [TD_U8] = "|u1",  [TD_BOOL] = "|b1"};
    td_err ignored;
    td_writer w;
    if (err == NULL) err = &ignored;
    if (x->dtype == TD_BF16) {
        td_fail(err, TD_E_UNSUPPORTED, "", "npy: the format has no bf16");
        td_hint(err, "save f32, or as safetensors");
        return TD_E_UNSUPPORTED;
    }
    text h = {0};
    put(&h, "\x93NUMPY\1\0..", 10);
    put_text(&h, "{'descr': '");
    put_text(&h, words[x->dtype]);
    put_text(&h, "', 'fortran_order': False, 'shape': (");
    for (int d = 0; d < x->shape.ndim; d++) {
        if (d) put_text(&h, ", ");
        put_count(&h, (uint64_t)x->shape.dim[d]);
    }
    put_text(&h, x->shape.ndim == 1 ? ",), }" : "), }");
    while (!h.is_broken && h.count % 64 != 63) put(&h, " ", 1);
    put(&h, "\n", 1);
    if (h.is_broken) {
        td_free(h.at);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    h.at[8] = (char)((h.count - 10) & 0xff);
    h.at[9] = (char)((h.count - 10) >> 8);
    int code = td_writer_open(&w, path, err);
    if (code == 0) {
        code = td_writer_put(&w, h.at, h.count, err);
        if (code == 0) code = put_tensor(&w, x, err);
        if (code == 0) code = td_writer_commit(&w, err);
        td_writer_abort(&w);
    }
    td_free(h.at);
    return code;
}
