/* The first pass over a batch: nothing is allocated for tensors and nothing runs before every record has
 * been judged. Shapes of results are inferred by the same rules that ran at the client. */
#include "plans/session/run.h"
#include "runtime/mem.h"
#include "vm/apply.h"

/* What is known of an id while the batch is judged: its meta, or that it is gone or not known. */
typedef struct fact {
    td_meta meta;
    bool known;
} fact;

typedef struct judge {
    td_run *run;
    td_idmap facts; /* of ids that this batch made or freed */
    bool cleared;
    size_t bulk_at;
    td_op_names names;
    td_op_record rec;
} judge;

static int note(judge *j, uint64_t id, const td_meta *meta, td_err *err) {
    fact *f = td_idmap_get(&j->facts, id);
    if (f == NULL) {
        f = td_new(fact);
        if (f == NULL || !td_idmap_set(&j->facts, id, f)) {
            td_free(f);
            return td_fail(err, TD_E_MEMORY, "", "out of memory");
        }
    }
    f->known = meta != NULL;
    if (meta) f->meta = *meta;
    return 0;
}

static bool meta_of(const judge *j, uint64_t id, td_meta *meta) {
    const fact *f = td_idmap_get(&j->facts, id);
    if (f) {
        *meta = f->meta;
        return f->known;
    }
    const td_object *o = j->cleared ? NULL : td_store_get(j->run->store, id);
    if (o == NULL || o->t == NULL) return false;
    *meta = (td_meta){.dtype = o->t->dtype, .shape = o->t->shape};
    return true;
}

static int judge_op(judge *j, td_reader *r, td_err *err) {
    int rc = td_take_op(r, &j->names, &j->rec, err);
    if (rc) return rc;
    const td_op *op = j->rec.op;
    td_meta in[TD_OP_MAX_IN], out[TD_OP_MAX_OUT];
    bool known = true;
    for (int i = 0; i < j->rec.nin; i++) {
        const td_op_arg *a = &j->rec.in[i];
        in[i] = (td_meta){.dtype = a->dtype, .weak = true};
        if (a->id) known &= meta_of(j, a->id, &in[i]);
    }
    if (known) {
        rc = td_op_infer(op, in, j->rec.nin, &j->rec.attrs, out, err);
        if (rc) return rc;
    }
    for (int k = 0; rc == 0 && k < op->nout; k++)
        rc = note(j, j->rec.out + (uint64_t)k, known ? &out[k] : NULL, err);
    return rc;
}

static int judge_put(judge *j, td_reader *r, td_err *err) {
    uint64_t id = td_take_uint(r);
    td_meta meta = {.dtype = td_take_dtype(r)};
    td_tags tags;
    td_take_shape(r, &meta.shape);
    td_take_tags(r, &tags);
    if (r->failed || id == 0)
        return td_fail(err, TD_E_PROTOCOL, "send", "the tensor's record is malformed");
    size_t bytes;
    int rc = td_shape_bytes(&meta.shape, meta.dtype, &bytes, err);
    if (rc) return rc;
    if (bytes > j->run->bulk_bytes - j->bulk_at)
        return td_fail(err, TD_E_PROTOCOL, "send",
                       "a tensor of %zu bytes, %zu were brought", bytes,
                       j->run->bulk_bytes - j->bulk_at);
    j->bulk_at += bytes;
    return note(j, id, &meta, err);
}

static int judge_dataset(judge *j, td_reader *r, td_err *err) {
    char name[TD_NAME_BYTES];
    td_take_uint(r);
    td_take_text(r, name, sizeof name);
    uint64_t x = td_take_uint(r), y = td_take_uint(r);
    if (r->failed || x == 0 || y == 0 || x == y)
        return td_fail(err, TD_E_PROTOCOL, "dataset", "the record is malformed");
    /* its shape is told in the answer; nothing can be built on it before */
    int rc = note(j, x, NULL, err);
    return rc ? rc : note(j, y, NULL, err);
}

static uint64_t take_id(td_reader *r) {
    uint64_t id = td_take_uint(r);
    if (id == 0) r->failed = true;
    return id;
}

static int judge_record(judge *j, td_reader *r, td_err *err) {
    td_tags tags;
    uint64_t id;
    unsigned kind = td_take_byte(r);
    switch (kind) {
    case TD_REC_OP: return judge_op(j, r, err);
    case TD_REC_PUT: return judge_put(j, r, err);
    case TD_REC_FREE:
        id = take_id(r);
        if (r->failed) break;
        return note(j, id, NULL, err);
    case TD_REC_GET: {
        td_take_uint(r);
        id = take_id(r);
        unsigned drop = td_take_byte(r);
        if (drop > 1) r->failed = true;
        if (r->failed) break;
        return drop ? note(j, id, NULL, err) : 0;
    }
    case TD_REC_TAG:
        take_id(r);
        td_take_tags(r, &tags);
        break;
    case TD_REC_CLEAR: {
        uint64_t key;
        void *f;
        j->cleared = true;
        for (size_t at = 0; td_idmap_next(&j->facts, &at, &key, &f);)
            ((fact *)f)->known = false;
        break;
    }
    case TD_REC_OBJECTS: td_take_uint(r); break;
    case TD_REC_SEARCH:
        td_take_uint(r);
        td_take_tags(r, &tags);
        break;
    case TD_REC_DATASET: return judge_dataset(j, r, err);
    default:
        return td_fail(err, TD_E_PROTOCOL, "", "there is no record of kind %u", kind);
    }
    return r->failed
               ? td_fail(err, TD_E_PROTOCOL, "", "a record of kind %u is malformed", kind)
               : 0;
}

int td_verify(td_run *run, td_err *err) {
    judge *j = td_new(judge);
    if (j == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    j->run = run;
    td_reader r = {.data = run->head, .size = run->head_bytes};
    run->number = td_take_uint(&r);
    int rc = r.failed ? td_fail(err, TD_E_PROTOCOL, "", "a batch has no number") : 0;
    while (rc == 0 && r.at < r.size) rc = judge_record(j, &r, err);
    if (rc == 0 && j->bulk_at != run->bulk_bytes)
        rc = td_fail(err, TD_E_PROTOCOL, "",
                     "%zu bytes were brought, the records take %zu", run->bulk_bytes,
                     j->bulk_at);
    uint64_t id;
    void *f;
    for (size_t at = 0; td_idmap_next(&j->facts, &at, &id, &f);) td_free(f);
    td_idmap_free(&j->facts);
    td_op_names_free(&j->names);
    td_free(j);
    return rc;
}
