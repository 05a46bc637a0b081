/* Writing a batch as text and bindings. */
#include "plans/session/text.h"

#include <string.h>

#include "runtime/mem.h"

void td_text_begin(td_text *t, uint64_t batch) {
    td_writer *const parts[] = {&t->text, &t->ids, &t->numbers, &t->frees, &t->run};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        parts[i]->size = 0;
        parts[i]->failed = false;
    }
    t->names.count = 0;
    t->batch = batch;
    t->places = t->number_places = 0;
    t->count = t->last = 0;
    t->records = t->freed = t->freed_after = t->last_freed = 0;
}

void td_text_free(td_text *t) {
    td_writer *const parts[] = {&t->text, &t->ids, &t->numbers, &t->frees, &t->run};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) td_writer_free(parts[i]);
    td_op_names_free(&t->names);
}

bool td_text_failed(const td_text *t) {
    return t->text.failed || t->ids.failed || t->numbers.failed || t->frees.failed ||
           t->run.failed;
}

/* ---- ids: runs of which each is one more than the one before ---- */

static void end_id_run(td_text *t) {
    if (t->count == 0) return;
    td_put_int(&t->ids, (int64_t)(t->first - t->last));
    td_put_uint(&t->ids, t->count);
    t->last = t->first;
    t->count = 0;
}

void td_text_new_id(td_text *t, uint64_t id, td_obj *obj) {
    if (t->count == 0 || id != t->first + t->count) {
        end_id_run(t);
        t->first = id;
    }
    t->count++;
    t->places++;
    if (obj == NULL) return;
    obj->noted_in = t->batch;
    obj->noted_at = t->places;
}

void td_text_name(td_text *t, td_obj *obj) {
    if (obj->noted_in != t->batch) td_text_new_id(t, obj->id, obj);
    td_put_uint(&t->text, obj->noted_at);
}

/* ---- numbers ---- */

static void name_number(td_text *t, bool is_float, uint64_t bits) {
    uint64_t n = t->number_places, oldest = n < TD_TEXT_RECENT ? 0 : n - TD_TEXT_RECENT;
    for (uint64_t at = n; at > oldest; at--) {
        uint64_t k = (at - 1) % TD_TEXT_RECENT;
        if (t->recent[k].is_float != is_float || t->recent[k].bits != bits) continue;
        td_put_uint(&t->text, at);
        return;
    }
    t->recent[n % TD_TEXT_RECENT].is_float = is_float;
    t->recent[n % TD_TEXT_RECENT].bits = bits;
    t->number_places = n + 1;
    td_put_uint(&t->text, n + 1);
    if (is_float) {
        double v;
        memcpy(&v, &bits, sizeof v);
        td_put_f64(&t->numbers, v);
    } else {
        td_put_int(&t->numbers, (int64_t)bits);
    }
}

static void name_float(td_text *t, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    name_number(t, true, bits);
}

/* ---- records ---- */

static void end_frees(td_text *t) {
    if (t->freed == 0) return;
    td_put_uint(&t->frees, t->freed_after);
    td_put_uint(&t->frees, t->freed);
    td_put_bytes(&t->frees, t->run.data, t->run.size);
    t->run.size = 0;
    t->freed = 0;
}

void td_text_record(td_text *t, td_record kind) {
    end_frees(t);
    t->records++;
    td_put_byte(&t->text, (unsigned)kind);
}

void td_text_drop(td_text *t, uint64_t id) {
    if (t->freed == 0) {
        t->freed_after = t->records;
        t->records = 0;
    }
    t->freed++;
    td_put_int(&t->run, (int64_t)(id - t->last_freed));
    t->last_freed = id;
}

static void put_arg(td_text *t, const td_arg *a) {
    if (a->obj) {
        td_text_name(t, a->obj);
        return;
    }
    td_put_uint(&t->text, 0);
    td_put_byte(&t->text, (unsigned)a->meta.dtype);
    if (td_dtype_is_float(a->meta.dtype))
        name_float(t, a->f);
    else
        name_number(t, false, (uint64_t)a->i);
}

static void put_attr(td_text *t, const td_attr *a) {
    switch ((td_attr_kind)a->kind) {
    case TD_ATTR_FLOAT: name_float(t, a->f); break;
    case TD_ATTR_INT:
    case TD_ATTR_POS: name_number(t, false, (uint64_t)a->i); break;
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES:
    case TD_ATTR_INTS:
        td_put_byte(&t->text, a->n);
        for (int i = 0; i < a->n; i++) td_put_int(&t->text, a->list[i]);
        break;
    default: td_put_int(&t->text, a->i);
    }
}

void td_text_op(td_text *t, const td_op *op, const td_arg *in, int nin,
                const td_attrs *attrs) {
    td_put_op_name(&t->text, &t->names, op);
    if (op->nin < 0) td_put_uint(&t->text, (uint64_t)nin);
    for (int i = 0; i < nin; i++) put_arg(t, &in[i]);
    for (int k = 0, n = td_op_attr_count(op); k < n; k++) put_attr(t, &attrs->v[k]);
}

void td_text_close(td_text *t) {
    end_id_run(t);
    end_frees(t);
}

void td_text_put_bindings(const td_text *t, td_writer *w) {
    td_put_uint(w, t->ids.size);
    td_put_bytes(w, t->ids.data, t->ids.size);
    td_put_uint(w, t->numbers.size);
    td_put_bytes(w, t->numbers.data, t->numbers.size);
    td_put_bytes(w, t->frees.data, t->frees.size);
}
