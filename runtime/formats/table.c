/* The list of named tensors that every reader fills. Knows no format. */
#include "runtime/formats/table.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/formats/reader.h"
#include "runtime/mem.h"

void td_table_clear(td_table *t) {
    for (size_t i = 0; i < t->count; i++) {
        td_free(t->entry[i].name);
        td_tensor_unref(&t->entry[i].tensor);
        td_free(t->entry[i].category);
    }
    for (size_t i = 0; i < t->metas; i++) {
        td_free(t->meta[i].key);
        td_free(t->meta[i].value);
    }
    td_free(t->entry);
    td_free(t->meta);
    *t = (td_table){0};
}

const td_entry *td_table_find(const td_table *t, const char *name) {
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->entry[i].name, name) == 0) return &t->entry[i];
    return NULL;
}

/* Room for one more of `each` bytes; the array doubles whenever count is a power of two. */
static void *grow(void *old, size_t count, size_t each) {
    if (count & (count - 1)) return old;
    size_t bytes;
    if (!td_mul_size(count ? 2 * count : 1, each, &bytes)) return NULL;
    return td_grow_bytes(old, bytes);
}

int td_table_add(td_table *t, const char *name, td_tensor **x, td_err *err) {
    td_entry e = {.name = td_strdup(name), .tensor = *x};
    *x = NULL;
    td_entry *entry = grow(t->entry, t->count, sizeof *entry);
    if (entry) t->entry = entry;
    if (entry == NULL || e.name == NULL) {
        td_free(e.name);
        td_tensor_unref(&e.tensor);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    t->entry[t->count++] = e;
    return 0;
}

int td_table_add_meta(td_table *t, const char *key, const char *value, td_err *err) {
    td_note m = {td_strdup(key), td_strdup(value)};
    td_note *meta = grow(t->meta, t->metas, sizeof *meta);
    if (meta) t->meta = meta;
    if (meta == NULL || m.key == NULL || m.value == NULL) {
        td_free(m.key);
        td_free(m.value);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    t->meta[t->metas++] = m;
    return 0;
}

td_tensor *td_table_tensor(td_table *t, const td_file_options *o, td_dtype d,
                           const td_shape *s, td_err *err) {
    size_t bytes, sum;
    if (td_shape_bytes(s, d, &bytes, err) != 0) return NULL;
    if (!td_add_size(t->bytes, bytes, &sum) || sum > o->max_bytes) {
        char text[TD_SHAPE_TEXT];
        td_fail(err, TD_E_LIMIT, "",
                "%s of %s takes %zu bytes more after %zu, and %zu are allowed in all",
                td_shape_text(s, text), td_dtype_name(d), bytes, t->bytes, o->max_bytes);
        return NULL;
    }
    td_tensor *x = td_tensor_new(d, s, err);
    if (x) t->bytes = sum;
    return x;
}

static int by_name(const void *a, const void *b) {
    char *const *x = *(char *const *const *)a, *const *y = *(char *const *const *)b;
    int order = strcmp(*x, *y);
    return order ? order : (x > y) - (x < y);
}

int td_names_check(char *const *name, size_t count, bool *are_unique, size_t *a,
                   size_t *b, td_err *err) {
    *are_unique = true;
    char *const **sorted = td_new_array(count, sizeof *sorted);
    if (sorted == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    for (size_t i = 0; i < count; i++) sorted[i] = &name[i];
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(*sorted[i - 1], *sorted[i]) != 0) continue;
        *are_unique = false;
        *a = (size_t)(sorted[i - 1] - name);
        *b = (size_t)(sorted[i] - name);
        break;
    }
    td_free(sorted);
    return 0;
}
