/* Gradients of a few rows: lists of parts, which are put together and made whole by operations like any
 * other, so that they work wherever the parts live. */
#include "vm/rows.h"

#include "runtime/mem.h"
#include "vm/apply.h"

TD_OP_USE(add);
TD_OP_USE(embedding_grad);

void td_rows_free(struct td_rows **rp) {
    struct td_rows *r = *rp;
    *rp = NULL;
    if (r == NULL) return;
    for (int i = 0; i < r->count; i++) {
        td_val_unref(&r->ids[i]);
        td_val_unref(&r->values[i]);
    }
    td_val_unref(&r->first);
    td_free(r->ids);
    td_free(r->values);
    td_free(r);
}

static int out_of_memory(td_err *err) {
    return td_fail(err, TD_E_MEMORY, "backward", "out of memory");
}

/* An empty list with room for that many pairs. */
static struct td_rows *rows_blank(int room, td_err *err) {
    struct td_rows *r = td_new(struct td_rows);
    if (r) r->ids = td_new_array((size_t)room, sizeof(td_val *));
    if (r) r->values = td_new_array((size_t)room, sizeof(td_val *));
    if (r && r->ids && r->values) return r;
    td_rows_free(&r);
    out_of_memory(err);
    return NULL;
}

static void rows_push(struct td_rows *r, td_val *ids, td_val *values) {
    r->ids[r->count] = td_val_ref(ids);
    r->values[r->count++] = td_val_ref(values);
}

/* Takes over r. */
static td_val *val_of(const td_meta *whole, struct td_rows *r, td_err *err) {
    td_val *v = r ? td_new(td_val) : NULL;
    if (v == NULL) {
        if (r) out_of_memory(err);
        td_rows_free(&r);
        return NULL;
    }
    v->refs = 1;
    v->meta = *whole;
    v->rows = r;
    return v;
}

td_val *td_rows_new(const td_meta *whole, td_val *ids, td_val *values, td_val *first,
                    td_err *err) {
    struct td_rows *r = rows_blank(1, err);
    if (r) {
        rows_push(r, ids, values);
        r->first = td_val_ref(first);
    }
    return val_of(whole, r, err);
}

static td_val *joined(const td_val *a, const td_val *b, td_err *err) {
    struct td_rows *r = rows_blank(a->rows->count + b->rows->count, err);
    for (int i = 0; r && i < a->rows->count; i++)
        rows_push(r, a->rows->ids[i], a->rows->values[i]);
    for (int i = 0; r && i < b->rows->count; i++)
        rows_push(r, b->rows->ids[i], b->rows->values[i]);
    return val_of(&a->meta, r, err);
}

static td_val *plus(td_val *a, td_val *b, td_err *err) {
    td_val *in[2] = {a, b}, *out = NULL;
    td_apply(&td_op_add, in, 2, NULL, &out, err);
    return out;
}

td_val *td_rows_whole(const td_val *v, td_err *err) {
    const struct td_rows *r = v->rows;
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_INT, v->meta.shape.dim[0]);
    td_val *sum = NULL;
    for (int i = 0; i < r->count; i++) {
        td_val *in[2] = {r->values[i], r->ids[i]}, *part = NULL, *more = NULL;
        if (td_apply(&td_op_embedding_grad, in, 2, &at, &part, err)) break;
        if (sum == NULL) {
            sum = part;
            continue;
        }
        more = plus(sum, part, err);
        td_val_unref(&part);
        td_val_unref(&sum);
        sum = more;
        if (sum == NULL) break;
    }
    return err->code ? (td_val_unref(&sum), NULL) : sum;
}

int td_rows_add(td_val **sum, td_val *v, td_err *err) {
    td_val *out;
    if ((*sum)->rows && v->rows) {
        out = joined(*sum, v, err);
    } else {
        td_val *whole = td_rows_whole((*sum)->rows ? *sum : v, err);
        out = whole ? plus((*sum)->rows ? whole : *sum, v->rows ? whole : v, err) : NULL;
        td_val_unref(&whole);
    }
    if (out == NULL) return err->code;
    td_val_unref(sum);
    *sum = out;
    return 0;
}

int td_rows_make_whole(td_val *v, td_err *err) {
    if (v->rows == NULL) return 0;
    td_val *whole = td_rows_whole(v, err);
    if (whole == NULL) return err->code;
    td_rows_free(&v->rows);
    if (whole->obj)
        td_val_become_away(v, td_obj_ref(whole->obj));
    else
        td_val_become_here(v, td_tensor_ref(whole->t));
    td_val_unref(&whole);
    return 0;
}

td_place *td_rows_place(const struct td_rows *r) { return td_val_place(r->values[0]); }
