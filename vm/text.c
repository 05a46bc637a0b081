/* Text that grows. */
#include "vm/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"

static bool reserve(td_text *t, size_t more) {
    if (t->failed) return false;
    if (more < t->room - t->size) return true;
    size_t room = 2 * t->room + more + 256;
    char *bigger = td_grow_bytes(t->data, room);
    if (bigger == NULL) {
        t->failed = true;
        return false;
    }
    t->data = bigger;
    t->room = room;
    return true;
}

void td_text_put(td_text *t, const char *fmt, ...) {
    va_list args;
    if (!reserve(t, 64)) return;
    va_start(args, fmt);
    int n = vsnprintf(t->data + t->size, t->room - t->size, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(t, (size_t)n)) {
        t->failed = true;
        return;
    }
    va_start(args, fmt);
    vsnprintf(t->data + t->size, t->room - t->size, fmt, args);
    va_end(args);
    t->size += (size_t)n;
}

void td_text_pad(td_text *t, size_t start, size_t column) {
    size_t have = t->size - start, blanks = have < column ? column - have : 1;
    if (!reserve(t, blanks)) return;
    memset(t->data + t->size, ' ', blanks);
    t->size += blanks;
    t->data[t->size] = 0;
}

void td_text_put_float(td_text *t, td_dtype dtype, double v) {
    char digits[40];
    for (int n = 1; n <= 17; n++) {
        uint64_t bits[2] = {0};
        snprintf(digits, sizeof digits, "%.*g", n, v);
        td_store_f64(dtype, &bits[0], v);
        td_store_f64(dtype, &bits[1], strtod(digits, NULL));
        if (bits[0] == bits[1] || v != v) break;
    }
    td_text_put(t, "%s", digits);
}

char *td_text_end(td_text *t) {
    if (t->size == 0) td_text_put(t, "%s", "");
    if (t->failed) {
        td_free(t->data);
        t->data = NULL;
    }
    return t->data;
}

/* ---- attributes ---- */

static void put_int(td_text *t, td_attr_kind kind, int64_t v) {
    switch (kind) {
    case TD_ATTR_BOOL: td_text_put(t, v ? "true" : "false"); break;
    case TD_ATTR_DTYPE: td_text_put(t, "%s", td_dtype_name((td_dtype)v)); break;
    case TD_ATTR_DIM:
    case TD_ATTR_NEWDIM:
    case TD_ATTR_DIMS:
    case TD_ATTR_POS: td_text_put(t, "%lld", (long long)(v < 0 ? v : v + 1)); break;
    default: td_text_put(t, "%lld", (long long)v);
    }
}

static bool is_list(td_attr_kind kind) {
    return kind == TD_ATTR_DIMS || kind == TD_ATTR_SIZES || kind == TD_ATTR_INTS;
}

/* Is it what stands there when nothing is given? */
static bool is_preset(const td_attr_spec *spec, const td_attr *a) {
    if (spec->required) return false;
    if (spec->kind == TD_ATTR_FLOAT) return a->f == spec->preset;
    if (!is_list(spec->kind)) return a->i == (int64_t)spec->preset;
    bool is = a->n == spec->count;
    for (int i = 0; is && i < a->n; i++) is = a->list[i] == (int64_t)spec->preset;
    return is;
}

static void put_attr(td_text *t, const td_attr_spec *spec, const td_attr *a) {
    td_text_put(t, "%s=", spec->name);
    if (spec->kind == TD_ATTR_FLOAT) {
        td_text_put_float(t, TD_F64, a->f);
    } else if (!is_list(spec->kind)) {
        put_int(t, spec->kind, a->i);
    } else {
        td_text_put(t, "{");
        for (int i = 0; i < a->n; i++) {
            if (i) td_text_put(t, ", ");
            put_int(t, spec->kind, a->list[i]);
        }
        td_text_put(t, "}");
    }
}

void td_text_put_attrs(td_text *t, const td_op *op, const td_attrs *attrs,
                       const char *before, int skip) {
    for (int k = 0; attrs && k < td_op_attr_count(op); k++) {
        if (skip >= 0 && (k == skip || k == skip + 1)) continue;
        if (is_preset(&op->attr[k], &attrs->v[k])) continue;
        td_text_put(t, "%s", before);
        put_attr(t, &op->attr[k], &attrs->v[k]);
        before = ", ";
    }
}
