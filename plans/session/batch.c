/* The small parts that batches and replies share. */
#include "plans/session/batch.h"

void td_put_tags(td_writer *w, const td_tags *t) {
    td_put_byte(w, (unsigned)t->count);
    for (int i = 0; i < t->count; i++) td_put_text(w, t->tag[i]);
    td_put_text(w, t->description);
}

void td_take_tags(td_reader *r, td_tags *t) {
    unsigned n = td_take_byte(r);
    t->count = 0;
    if (n > TD_TAGS_MAX) r->failed = true;
    for (unsigned i = 0; i < n && !r->failed; i++) {
        td_take_text(r, t->tag[i], sizeof t->tag[i]);
        td_text_clean(t->tag[i]);
        t->count = (int)i + 1;
    }
    td_take_text(r, t->description, sizeof t->description);
    td_text_clean(t->description);
}

void td_put_about(td_writer *w, const td_about *a) {
    td_put_uint(w, a->id);
    td_put_byte(w, (unsigned)a->meta.dtype);
    td_put_shape(w, &a->meta.shape);
    td_put_tags(w, &a->tags);
    td_put_text(w, a->dataset);
}

void td_take_about(td_reader *r, td_about *a) {
    a->id = td_take_uint(r);
    a->meta.weak = false;
    a->meta.dtype = td_take_dtype(r);
    td_take_shape(r, &a->meta.shape);
    td_take_tags(r, &a->tags);
    td_take_text(r, a->dataset, sizeof a->dataset);
    td_text_clean(a->dataset);
    size_t bytes;
    if (td_shape_bytes(&a->meta.shape, a->meta.dtype, &bytes, NULL) != 0)
        r->failed = true;
    if (a->id == 0 && a->dataset[0] == 0) r->failed = true; /* it stands for nothing */
}

void td_put_failure(td_writer *w, const td_failure *f) {
    td_put_uint(w, f->batch);
    td_put_uint(w, f->record);
    td_put_err(w, &f->err);
}

void td_take_failure(td_reader *r, td_failure *f) {
    f->batch = td_take_uint(r);
    f->record = td_take_uint(r);
    td_take_err(r, &f->err);
}
