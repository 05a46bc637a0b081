/* From text and bindings back to plain records, which are judged like any others: nothing here knows what an
 * object is. What comes out is longer than what went in by a bounded factor. */
#include "plans/session/text.h"
#include "runtime/mem.h"

typedef struct number {
    bool is_float;
    double f;
    int64_t i;
} number;

typedef struct expander {
    td_reader text, ids, numbers, frees;
    td_writer *out;
    td_op_names names;
    uint64_t next_id, left, run_first; /* the run of ids that is being used */
    uint64_t *id;                      /* by place - 1 */
    uint64_t id_count, id_room;
    number *number; /* by place - 1 */
    uint64_t number_count, number_room;
    uint64_t records, due; /* since the last frees; when the next are due */
    uint64_t last_freed;
    bool has_due;
} expander;

static int malformed(td_err *err, const char *what) {
    return td_fail(err, TD_E_PROTOCOL, "", "the batch's text %s", what);
}

static bool grow(void **array, uint64_t count, uint64_t *room, size_t each) {
    if (count < *room) return true;
    uint64_t more = *room ? 2 * *room : 64;
    void *bigger = td_grow_bytes(*array, (size_t)more * each);
    if (bigger == NULL) return false;
    *array = bigger;
    *room = more;
    return true;
}

/* ---- bindings ---- */

/* The id of the next place. 0 is none: it would read as a plain number. */
static int new_id(expander *e, uint64_t *id, td_err *err) {
    if (e->left == 0) {
        e->next_id = e->run_first += (uint64_t)td_take_int(&e->ids);
        e->left = td_take_uint(&e->ids);
    }
    if (e->ids.failed || e->left == 0 || e->next_id == 0)
        return malformed(err, "wants more ids than are bound");
    void *array = e->id;
    if (!grow(&array, e->id_count, &e->id_room, sizeof *e->id))
        return td_fail(err, TD_E_MEMORY, "", "out of memory");
    e->id = array;
    e->left--;
    *id = e->id[e->id_count++] = e->next_id++;
    return 0;
}

static int put_new_id(expander *e, td_err *err) {
    uint64_t id;
    int rc = new_id(e, &id, err);
    if (rc == 0) td_put_uint(e->out, id);
    return rc;
}

static int put_named(expander *e, uint64_t place, td_err *err) {
    if (place == e->id_count + 1) return put_new_id(e, err);
    if (place == 0 || place > e->id_count)
        return malformed(err, "names an object that has no place");
    td_put_uint(e->out, e->id[place - 1]);
    return 0;
}

static int put_number(expander *e, bool is_float, td_err *err) {
    uint64_t place = td_take_uint(&e->text);
    if (place == e->number_count + 1) {
        void *array = e->number;
        if (!grow(&array, e->number_count, &e->number_room, sizeof *e->number))
            return td_fail(err, TD_E_MEMORY, "", "out of memory");
        e->number = array;
        number *n = &e->number[e->number_count++];
        *n = (number){.is_float = is_float};
        if (is_float)
            n->f = td_take_f64(&e->numbers);
        else
            n->i = td_take_int(&e->numbers);
    }
    if (e->numbers.failed || place == 0 || place > e->number_count ||
        e->number[place - 1].is_float != is_float)
        return malformed(err, "names a number that is not bound");
    if (is_float)
        td_put_f64(e->out, e->number[place - 1].f);
    else
        td_put_int(e->out, e->number[place - 1].i);
    return 0;
}

static void read_due(expander *e) {
    e->has_due = e->frees.at < e->frees.size;
    e->due = e->has_due ? td_take_uint(&e->frees) : 0;
    e->records = 0;
}

/* The frees that stand here, between two records of the text. */
static int put_frees(expander *e, td_err *err) {
    while (e->has_due && e->due == e->records) {
        uint64_t count = td_take_uint(&e->frees);
        for (; count > 0 && !e->frees.failed; count--) {
            e->last_freed += (uint64_t)td_take_int(&e->frees);
            td_put_byte(e->out, TD_REC_FREE);
            td_put_uint(e->out, e->last_freed);
        }
        read_due(e);
        if (e->frees.failed) return malformed(err, "has malformed frees");
    }
    return 0;
}

/* ---- records ---- */

/* What was read of the text since `from` stands in the record as it is. */
static void copy_since(expander *e, size_t from) {
    if (!e->text.failed) td_put_bytes(e->out, e->text.data + from, e->text.at - from);
}

static int put_arg(expander *e, td_err *err) {
    uint64_t place = td_take_uint(&e->text);
    if (place > 0) return put_named(e, place, err);
    td_dtype dtype = td_take_dtype(&e->text);
    td_put_byte(e->out, 0);
    td_put_byte(e->out, (unsigned)dtype);
    return put_number(e, td_dtype_is_float(dtype), err);
}

static int put_attr(expander *e, td_attr_kind kind, td_err *err) {
    size_t from = e->text.at;
    switch (kind) {
    case TD_ATTR_FLOAT: return put_number(e, true, err);
    case TD_ATTR_INT:
    case TD_ATTR_POS: return put_number(e, false, err);
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES:
    case TD_ATTR_INTS:
        for (unsigned n = td_take_byte(&e->text); n > 0 && !e->text.failed; n--)
            td_take_int(&e->text);
        break;
    default: td_take_int(&e->text);
    }
    copy_since(e, from);
    return 0;
}

static int expand_op(expander *e, td_err *err) {
    size_t from = e->text.at;
    const td_op *op = td_take_op_name(&e->text, &e->names, err);
    if (op == NULL) return err ? err->code : TD_E_PROTOCOL;
    uint64_t nin = op->nin < 0 ? td_take_uint(&e->text) : (uint64_t)op->nin;
    copy_since(e, from);
    if (nin > TD_OP_MAX_IN) return malformed(err, "has an operation of too many inputs");
    int rc = 0;
    for (uint64_t i = 0; i < nin && rc == 0 && !e->text.failed; i++) rc = put_arg(e, err);
    for (int k = 0, n = td_op_attr_count(op); k < n && rc == 0 && !e->text.failed; k++)
        rc = put_attr(e, op->attr[k].kind, err);
    /* the record has the first result's id alone: the others must follow on */
    uint64_t first = 0, id;
    for (int k = 0; k < op->nout && rc == 0; k++) {
        rc = new_id(e, &id, err);
        if (rc == 0 && k == 0) td_put_uint(e->out, first = id);
        if (rc == 0 && id != first + (uint64_t)k)
            rc = malformed(err, "has results whose ids do not follow on");
    }
    return rc;
}

static void copy_tags(expander *e) {
    td_tags tags;
    size_t from = e->text.at;
    td_take_tags(&e->text, &tags);
    copy_since(e, from);
}

static int expand_put(expander *e, td_err *err) {
    int rc = put_new_id(e, err);
    td_shape shape;
    size_t from = e->text.at;
    td_take_dtype(&e->text);
    td_take_shape(&e->text, &shape);
    copy_since(e, from);
    copy_tags(e);
    return rc;
}

static int expand_dataset(expander *e, td_err *err) {
    char name[TD_NAME_BYTES];
    int rc = put_new_id(e, err);
    size_t from = e->text.at;
    td_take_text(&e->text, name, sizeof name);
    copy_since(e, from);
    if (rc == 0) rc = put_new_id(e, err);
    return rc ? rc : put_new_id(e, err);
}

static int expand_record(expander *e, td_err *err) {
    unsigned kind = td_take_byte(&e->text);
    size_t from;
    int rc = 0;
    td_put_byte(e->out, kind);
    switch (kind) {
    case TD_REC_OP: return expand_op(e, err);
    case TD_REC_PUT: return expand_put(e, err);
    case TD_REC_GET:
        rc = put_new_id(e, err);
        if (rc == 0) rc = put_named(e, td_take_uint(&e->text), err);
        from = e->text.at;
        td_take_byte(&e->text);
        copy_since(e, from);
        return rc;
    case TD_REC_TAG:
        rc = put_named(e, td_take_uint(&e->text), err);
        copy_tags(e);
        return rc;
    case TD_REC_CLEAR: return 0;
    case TD_REC_OBJECTS: return put_new_id(e, err);
    case TD_REC_SEARCH:
        rc = put_new_id(e, err);
        copy_tags(e);
        return rc;
    case TD_REC_DATASET: return expand_dataset(e, err);
    default:
        return td_fail(err, TD_E_PROTOCOL, "", "there is no record of kind %u in a text",
                       kind);
    }
}

static bool take_part(td_reader *r, td_reader *part) {
    uint64_t bytes = td_take_uint(r);
    if (bytes > r->size - r->at) r->failed = true;
    *part = (td_reader){.size = r->failed ? 0 : (size_t)bytes};
    part->data = td_take_bytes(r, part->size);
    return !r->failed;
}

static int expand_all(expander *e, td_err *err) {
    int rc = 0;
    read_due(e);
    while (rc == 0 && !e->text.failed && e->text.at < e->text.size) {
        rc = put_frees(e, err);
        if (rc == 0) rc = expand_record(e, err);
        e->records++;
    }
    if (rc == 0) rc = put_frees(e, err);
    if (rc) return rc;
    if (e->text.failed) return malformed(err, "is malformed");
    if (e->left > 0 || e->ids.at < e->ids.size || e->numbers.at < e->numbers.size ||
        e->has_due)
        return malformed(err, "does not use all that is bound");
    return 0;
}

int td_text_expand(const unsigned char *text, size_t bytes, td_reader *r, td_writer *out,
                   td_err *err) {
    expander e = {.text = {.data = text, .size = bytes}, .out = out};
    if (!take_part(r, &e.ids) || !take_part(r, &e.numbers))
        return td_fail(err, TD_E_PROTOCOL, "", "the batch's bindings are cut short");
    e.frees = (td_reader){.data = r->data + r->at, .size = r->size - r->at};
    r->at = r->size;
    int rc = expand_all(&e, err);
    td_free(e.id);
    td_free(e.number);
    td_op_names_free(&e.names);
    if (rc == 0 && out->failed) rc = td_fail(err, TD_E_MEMORY, "", "out of memory");
    return rc;
}
