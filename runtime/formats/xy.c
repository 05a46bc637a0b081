/* Examples and targets of a data file. The worker loads its data sets by this. */
#include "runtime/formats/xy.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/formats/file.h"

static const char *names_of(const td_table *t, char *text, size_t room) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < t->count && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%.40s", i ? ", " : "",
                                 t->entry[i].name);
    return text;
}

static int no_entry(const td_table *t, const char *path, const char *name, td_err *err) {
    char names[200];
    if (t->count == 1 && t->entry[0].name[0] == 0)
        return td_fail(err, TD_E_NOT_FOUND, "load", "%s has one array and no '%.60s'",
                       path, name);
    return td_fail(err, TD_E_NOT_FOUND, "load", "%s has no '%.60s', it has: %s", path,
                   name, names_of(t, names, sizeof names));
}

/* Columns side by side, as f32. */
static td_tensor *join_columns(const td_table *t, const td_entry *without,
                               const char *path, td_err *err) {
    int64_t columns = (int64_t)t->count - (without ? 1 : 0), at = 0;
    if (columns < 1) {
        td_fail(err, TD_E_SHAPE, "load", "%s has no column but '%.60s'", path,
                without ? without->name : "");
        return NULL;
    }
    td_shape shape = {.ndim = 2, .dim = {t->entry[0].tensor->shape.dim[0], columns}};
    td_tensor *x = td_tensor_new(TD_F32, &shape, err);
    for (size_t i = 0; x && i < t->count; i++) {
        const td_entry *e = &t->entry[i];
        if (e == without) continue;
        td_shape one = {.ndim = 1, .dim = {shape.dim[0]}};
        int64_t stride = columns;
        td_tensor *column = td_tensor_view(x, &one, &stride, at++, err);
        if (column)
            td_tensor_copy(column, e->tensor);
        else
            td_tensor_unref(&x);
        td_tensor_unref(&column);
    }
    return x;
}

/* A target column: whole numbers stay, others are f32. */
static td_tensor *target_column(const td_tensor *column, td_err *err) {
    td_dtype d = td_dtype_is_float(column->dtype) ? TD_F32 : column->dtype;
    td_tensor *y = td_tensor_new(d, &column->shape, err);
    if (y) td_tensor_copy(y, column);
    return y;
}

static const td_entry *find_x(const td_table *t, const td_entry *y) {
    const td_entry *x = td_table_find(t, "x"), *only = NULL;
    if (x && x != y) return x;
    size_t others = 0;
    for (size_t i = 0; i < t->count; i++)
        if (&t->entry[i] != y) {
            only = &t->entry[i];
            others++;
        }
    return others == 1 ? only : NULL;
}

static int pick(const td_table *t, const char *path, const char *target, td_tensor **x,
                td_tensor **y, td_err *err) {
    bool is_csv = strcmp(t->format, "csv") == 0, named = target && target[0];
    const td_entry *ye = td_table_find(t, named ? target : is_csv ? "" : "y");
    if (named && (ye == NULL || t->entry[0].name[0] == 0))
        return no_entry(t, path, target, err);
    if (t->count == 0)
        return td_fail(err, TD_E_NOT_FOUND, "load", "%s has no tensor in it", path);
    if (is_csv) {
        *x = join_columns(t, ye, path, err);
        if (*x && ye) *y = target_column(ye->tensor, err);
        if (*x == NULL || (ye && *y == NULL)) return TD_E_SHAPE;
    } else {
        const td_entry *xe = find_x(t, ye);
        if (xe == NULL) return no_entry(t, path, "x", err);
        *x = td_tensor_ref(xe->tensor);
    }
    if (ye && *y == NULL) *y = td_tensor_ref(ye->tensor);
    if ((*x)->shape.ndim == 0)
        return td_fail(err, TD_E_SHAPE, "load", "%s: a scalar has no rows", path);
    if (*y && ((*y)->shape.ndim == 0 || (*y)->shape.dim[0] != (*x)->shape.dim[0])) {
        char xs[TD_SHAPE_TEXT], ys[TD_SHAPE_TEXT];
        return td_fail(err, TD_E_SHAPE, "load",
                       "%s: x is %s and '%.60s' is %s: the rows differ in number", path,
                       td_shape_text(&(*x)->shape, xs), ye->name,
                       td_shape_text(&(*y)->shape, ys));
    }
    return 0;
}

int td_file_load_xy(const char *path, const char *target, td_tensor **x, td_tensor **y,
                    td_err *err) {
    td_table t = {0};
    td_err inside = {0};
    *x = *y = NULL;
    int rc = td_file_load(path, NULL, &t, &inside);
    if (rc == 0 && pick(&t, path, target, x, y, &inside)) rc = inside.code;
    td_table_clear(&t);
    if (rc) {
        td_tensor_unref(x);
        td_tensor_unref(y);
        if (err) *err = inside;
    }
    return rc;
}
