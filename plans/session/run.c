/* The second pass over a batch: records run in order. A record that fails poisons what it should have
 * made; what does not hang on it goes on. */
#include "plans/session/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/apply.h"

/* Of one batch: they cost more than the records that cause them. */
#define FAILURES_TOLD 1000
/* No list is added to answers that have grown so large. */
#define ANSWERS_BYTES ((size_t)64 << 20)

/* Enters a failure; the result holds one reference and may be NULL when memory is out. */
static td_poison *fail_record(td_run *r, uint64_t record, const td_err *err) {
    td_failure f = {.batch = r->number, .record = record, .err = *err};
    if (r->failure_count < FAILURES_TOLD) {
        td_put_failure(&r->failures, &f);
        r->failure_count++;
    }
    td_poison *p = td_new(td_poison);
    if (p == NULL) return NULL;
    p->refs = 1;
    p->failure = f;
    return p;
}

static void release(td_poison *p) {
    if (p && --p->refs == 0) td_free(p);
}

static void missing(const td_run *r, const char *call, uint64_t id, td_err *err) {
    td_fail(err, TD_E_NOT_FOUND, call, "object %llu is not at %s", (unsigned long long)id,
            r->config->name);
    td_hint(err, "it may have been fetched by get(), or cleared");
}

/* ---- operations ---- */

typedef struct op_inputs {
    td_tensor *t[TD_OP_MAX_IN];
    td_meta meta[TD_OP_MAX_IN];
    td_tensor *number[TD_OP_MAX_IN]; /* made here */
    td_poison *poison;               /* of an input, borrowed */
} op_inputs;

static int gather_inputs(td_run *r, const td_op_record *rec, op_inputs *in, td_err *err) {
    for (int i = 0; i < rec->nin; i++) {
        const td_op_arg *a = &rec->in[i];
        if (a->id == 0) {
            in->number[i] = td_dtype_is_float(a->dtype)
                                ? td_tensor_from_f64(a->dtype, a->f, err)
                                : td_tensor_from_i64(a->dtype, a->i, err);
            if (in->number[i] == NULL) return err->code;
            in->t[i] = in->number[i];
        } else {
            td_object *o = td_store_get(r->store, a->id);
            if (o == NULL) {
                missing(r, rec->op->name, a->id, err);
                return err->code;
            }
            if (o->t == NULL) {
                in->poison = o->poison;
                return TD_E_POISONED;
            }
            in->t[i] = o->t;
        }
        in->meta[i] = (td_meta){
            .dtype = in->t[i]->dtype, .shape = in->t[i]->shape, .weak = a->id == 0};
    }
    return 0;
}

/* Shapes are inferred again: what was missing when the batch was judged is not here either, but it costs
 * little and leaves no gap between the judgement and the deed. */
static int run_op(td_run *r, const td_op_record *rec, op_inputs *in, td_tensor **out,
                  td_err *err) {
    td_attrs attrs = rec->attrs;
    td_meta meta[TD_OP_MAX_OUT];
    int rc = td_op_infer(rec->op, in->meta, rec->nin, &attrs, meta, err);
    if (rc == 0) rc = td_op_run(rec->op, in->t, rec->nin, &attrs, meta, out, err);
    int stored = 0;
    for (; rc == 0 && stored < rec->op->nout; stored++) {
        rc = td_store_put(r->store, rec->out + (uint64_t)stored, out[stored], NULL, err);
        out[stored] = NULL;
    }
    for (int k = 0; rc && k < stored - 1; k++) /* all of the results or none */
        td_store_remove(r->store, rec->out + (uint64_t)k);
    return rc;
}

static void do_op(td_run *r, uint64_t record, const td_op_record *rec) {
    op_inputs in;
    memset(in.number, 0, sizeof in.number[0] * (size_t)rec->nin);
    in.poison = NULL;
    td_tensor *out[TD_OP_MAX_OUT] = {NULL};
    td_err err = {0};
    int rc = gather_inputs(r, rec, &in, &err);
    if (rc == 0) rc = run_op(r, rec, &in, out, &err);
    for (int i = 0; i < rec->nin; i++) td_tensor_unref(&in.number[i]);
    if (rc == 0) return;
    for (int k = 0; k < rec->op->nout; k++) td_tensor_unref(&out[k]);
    td_poison *p = in.poison;
    if (p == NULL) p = fail_record(r, record, &err);
    for (int k = 0; p && k < rec->op->nout; k++)
        td_store_poison(r->store, rec->out + (uint64_t)k, p);
    if (in.poison == NULL) release(p);
}

/* ---- the other records ---- */

static void do_put(td_run *r, uint64_t record, td_reader *rd, size_t *bulk_at) {
    uint64_t id = td_take_uint(rd);
    td_dtype dtype = td_take_dtype(rd);
    td_shape shape;
    td_tags tags;
    td_take_shape(rd, &shape);
    td_take_tags(rd, &tags);
    td_err err = {0};
    size_t bytes = 0;
    td_shape_bytes(&shape, dtype, &bytes, &err);
    td_tensor *t = td_tensor_new(dtype, &shape, &err);
    if (t && bytes) memcpy(t->storage->data, r->bulk + *bulk_at, bytes);
    if (t && dtype == TD_BOOL) /* any byte may have come; kernels rely on 0 and 1 */
        for (size_t i = 0; i < bytes; i++) t->storage->data[i] = t->storage->data[i] != 0;
    *bulk_at += bytes;
    td_object *o = NULL;
    int rc = t ? td_store_put(r->store, id, t, &o, &err) : err.code;
    if (rc == 0 && (tags.count || tags.description[0])) {
        o->tags = td_new(td_tags);
        if (o->tags) *o->tags = tags;
    }
    if (rc == 0) return;
    if (err.call[0] == 0) snprintf(err.call, sizeof err.call, "send");
    td_poison *p = fail_record(r, record, &err);
    if (p) td_store_poison(r->store, id, p);
    release(p);
}

static void do_tag(td_run *r, uint64_t record, td_reader *rd) {
    td_tags tags;
    uint64_t id = td_take_uint(rd);
    td_take_tags(rd, &tags);
    td_object *o = td_store_get(r->store, id);
    td_err err = {0};
    if (o && o->tags == NULL) o->tags = td_new(td_tags);
    if (o && o->tags) {
        *o->tags = tags;
        return;
    }
    if (o)
        td_fail(&err, TD_E_MEMORY, "tag", "out of memory");
    else
        missing(r, "tag", id, &err);
    release(fail_record(r, record, &err));
}

static void answer_failed(td_run *r, uint64_t key, const td_failure *f) {
    td_put_uint(&r->answers, key);
    td_put_byte(&r->answers, 0);
    td_put_failure(&r->answers, f);
    r->answer_count++;
}

static void answer_well(td_run *r, uint64_t key) {
    td_put_uint(&r->answers, key);
    td_put_byte(&r->answers, 1);
    r->answer_count++;
}

static int keep_fetched(td_run *r, td_tensor *t, td_err *err) {
    if (r->fetched_count == r->fetched_room) {
        int room = r->fetched_room ? 2 * r->fetched_room : 16;
        td_tensor **bigger = td_grow_bytes(r->fetched, sizeof *bigger * (size_t)room);
        if (bigger == NULL) return td_fail(err, TD_E_MEMORY, "get", "out of memory");
        r->fetched = bigger;
        r->fetched_room = room;
    }
    td_tensor *flat = td_tensor_contiguous(t, err);
    if (flat == NULL) return err->code;
    if (flat == t) {
        /* what runs after this record must not change what was asked for here */
        td_tensor *copy = td_tensor_new(t->dtype, &t->shape, err);
        if (copy) td_tensor_copy(copy, t);
        td_tensor_unref(&flat);
        if (copy == NULL) return err->code;
        flat = copy;
    }
    r->fetched[r->fetched_count++] = flat;
    r->fetched_bytes += (size_t)td_tensor_numel(t) * td_dtype_bytes(t->dtype);
    return 0;
}

static void do_get(td_run *r, uint64_t record, td_reader *rd) {
    uint64_t key = td_take_uint(rd), id = td_take_uint(rd);
    bool drop = td_take_byte(rd) == 1;
    td_object *o = td_store_get(r->store, id);
    td_failure f = {.batch = r->number, .record = record};
    if (o == NULL) {
        missing(r, "get", id, &f.err);
    } else if (o->t == NULL) {
        answer_failed(r, key, &o->poison->failure);
        if (drop) td_store_remove(r->store, id);
        return;
    } else if (keep_fetched(r, o->t, &f.err) == 0) {
        answer_well(r, key);
        td_put_byte(&r->answers, (unsigned)o->t->dtype);
        td_put_shape(&r->answers, &o->t->shape);
        if (drop) td_store_remove(r->store, id);
        return;
    }
    answer_failed(r, key, &f);
    release(fail_record(r, record, &f.err));
}

static bool has_tags(const td_tags *have, const td_tags *want) {
    for (int i = 0; i < want->count; i++) {
        int k = 0;
        while (k < have->count && strcmp(have->tag[k], want->tag[i]) != 0) k++;
        if (k == have->count) return false;
    }
    return true;
}

static int by_id(const void *a, const void *b) {
    uint64_t x = ((const td_about *)a)->id, y = ((const td_about *)b)->id;
    return x < y ? -1 : x > y;
}

/* want NULL: all objects; otherwise those, and the data sets that pointers may touch, that have every wanted tag,
 * and any at all. */
static void do_list(td_run *r, uint64_t record, uint64_t key, const td_tags *want) {
    static const td_tags none;
    size_t most = r->store->map.count + (size_t)(want ? r->config->set_count : 0), n = 0;
    td_failure f = {.batch = r->number, .record = record};
    td_about *list = NULL;
    if (r->answers.size > ANSWERS_BYTES)
        td_fail(&f.err, TD_E_LIMIT, want ? "search" : "objects",
                "the answers of one batch have grown past %zu bytes", ANSWERS_BYTES);
    else if ((list = td_new_array(most, sizeof *list)) == NULL)
        td_fail(&f.err, TD_E_MEMORY, want ? "search" : "objects", "out of memory");
    if (list == NULL) {
        answer_failed(r, key, &f);
        return;
    }
    uint64_t id;
    void *o;
    for (size_t at = 0; td_idmap_next(&r->store->map, &at, &id, &o);) {
        const td_object *obj = o;
        const td_tags *have = obj->tags ? obj->tags : &none;
        if (want ? have->count == 0 || obj->set || !has_tags(have, want) : obj->set != 0)
            continue;
        td_store_about(id, obj, &list[n++]);
    }
    if (n > 1) qsort(list, n, sizeof *list, by_id);
    for (int k = 0; want && k < r->config->set_count; k++) {
        const td_shared_set *set = &r->config->sets[k];
        if (!set->open || set->tags.count == 0 || !has_tags(&set->tags, want)) continue;
        td_about *a = &list[n++];
        *a = (td_about){.tags = set->tags};
        a->meta = (td_meta){.dtype = set->x->dtype, .shape = set->x->shape};
        snprintf(a->dataset, sizeof a->dataset, "%s", set->name);
    }
    answer_well(r, key);
    td_put_uint(&r->answers, n);
    for (size_t i = 0; i < n; i++) td_put_about(&r->answers, &list[i]);
    td_free(list);
}

static int bind_set(td_run *r, int at, td_tensor *t, uint64_t id, td_about *a,
                    td_err *err) {
    const td_shared_set *set = &r->config->sets[at];
    td_object *o;
    int rc = td_store_put(r->store, id, td_tensor_ref(t), &o, err);
    if (rc) return rc;
    o->set = at + 1;
    td_store_about(id, o, a);
    a->tags = set->tags;
    snprintf(a->dataset, sizeof a->dataset, "%s", set->name);
    return 0;
}

static int find_set(const td_run *r, const char *name, td_err *err) {
    for (int k = 0; k < r->config->set_count; k++) {
        const td_shared_set *set = &r->config->sets[k];
        if (strcmp(set->name, name) != 0) continue;
        if (set->open) return k;
        td_fail(err, TD_E_DENIED, "dataset",
                "the policy of '%s' at %s lets no pointer touch its rows", name,
                r->config->name);
        td_hint(err, "its owner lets approved plans run on it, not single operations");
        return -1;
    }
    td_fail(err, TD_E_NOT_FOUND, "dataset", "%s has no data set '%s'", r->config->name,
            name);
    return -1;
}

static void do_dataset(td_run *r, uint64_t record, td_reader *rd) {
    char name[TD_NAME_BYTES];
    uint64_t key = td_take_uint(rd);
    td_take_text(rd, name, sizeof name);
    uint64_t x = td_take_uint(rd), y = td_take_uint(rd);
    td_failure f = {.batch = r->number, .record = record};
    td_about about[2];
    int at = find_set(r, name, &f.err), rc = at < 0 ? f.err.code : 0;
    const td_shared_set *set = rc ? NULL : &r->config->sets[at];
    if (rc == 0) rc = bind_set(r, at, set->x, x, &about[0], &f.err);
    if (rc == 0 && set->y) {
        rc = bind_set(r, at, set->y, y, &about[1], &f.err);
        if (rc) td_store_remove(r->store, x);
    }
    if (rc) {
        answer_failed(r, key, &f);
        return;
    }
    answer_well(r, key);
    td_put_uint(&r->answers, set->y ? 2 : 1);
    for (int k = 0; k < (set->y ? 2 : 1); k++) td_put_about(&r->answers, &about[k]);
}

void td_run_records(td_run *r) {
    td_op_record *rec = td_new(td_op_record);
    td_op_names names = {0};
    td_reader rd = {.data = r->head, .size = r->head_bytes};
    td_tags tags;
    td_err err = {0};
    size_t bulk_at = 0;
    uint64_t record = 0, key;
    td_take_uint(&rd); /* the number */
    if (rec == NULL) td_fail(&err, TD_E_MEMORY, "", "out of memory");
    for (; err.code == 0 && !rd.failed && rd.at < rd.size; record++) {
        switch (td_take_byte(&rd)) {
        case TD_REC_OP:
            if (td_take_op(&rd, &names, rec, &err) == 0) do_op(r, record, rec);
            break;
        case TD_REC_PUT: do_put(r, record, &rd, &bulk_at); break;
        case TD_REC_FREE: td_store_remove(r->store, td_take_uint(&rd)); break;
        case TD_REC_GET: do_get(r, record, &rd); break;
        case TD_REC_TAG: do_tag(r, record, &rd); break;
        case TD_REC_CLEAR: td_store_clear(r->store); break;
        case TD_REC_OBJECTS: do_list(r, record, td_take_uint(&rd), NULL); break;
        case TD_REC_SEARCH:
            key = td_take_uint(&rd);
            td_take_tags(&rd, &tags);
            do_list(r, record, key, &tags);
            break;
        case TD_REC_DATASET: do_dataset(r, record, &rd); break;
        default: rd.failed = true; /* td_verify let nothing else through */
        }
    }
    if (err.code) /* of memory: where the next record begins is not known, the rest is left out */
        release(fail_record(r, record > 0 ? record - 1 : 0, &err));
    td_op_names_free(&names);
    td_free(rec);
}

/* ---- the reply ---- */

int td_run_reply(td_run *r, const td_err *refused, td_letter *out, td_err *err) {
    td_writer w = {0};
    td_put_uint(&w, r->number);
    td_put_byte(&w, refused != NULL);
    if (refused) td_put_err(&w, refused);
    td_put_uint(&w, r->failure_count);
    td_put_bytes(&w, r->failures.data, r->failures.size);
    td_put_uint(&w, r->answer_count);
    td_put_bytes(&w, r->answers.data, r->answers.size);
    *out = (td_letter){.kind = TD_LETTER_REPLY, .head_bytes = w.size};
    td_writer_reserve(&w, r->fetched_bytes);
    for (int i = 0; i < r->fetched_count; i++) {
        const td_tensor *t = r->fetched[i];
        td_put_bytes(&w, td_tensor_data(t),
                     (size_t)td_tensor_numel(t) * td_dtype_bytes(t->dtype));
    }
    if (w.failed || r->failures.failed || r->answers.failed) {
        td_writer_free(&w);
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    }
    out->bytes = w.data;
    out->size = w.size;
    return 0;
}

void td_run_free(td_run *r) {
    for (int i = 0; i < r->fetched_count; i++) td_tensor_unref(&r->fetched[i]);
    td_free(r->fetched);
    td_writer_free(&r->failures);
    td_writer_free(&r->answers);
}
