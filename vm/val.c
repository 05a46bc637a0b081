/* Places, objects, values on their way, values: their making and their ends. */
#include "vm/val.h"

#include "runtime/mem.h"
#include "vm/grad.h"
#include "vm/rows.h"
#include "vm/trace.h"

/* Per thread, as the values are: each Lua state works in one thread. */
static _Thread_local td_away_account account;
static _Thread_local uint64_t last_id;

td_away_account td_away(void) { return account; }
uint64_t td_obj_fresh_id(void) { return ++last_id; }

td_place *td_place_ref(td_place *p) {
    p->refs++;
    return p;
}

void td_place_unref(td_place **pp) {
    td_place *p = *pp;
    *pp = NULL;
    if (p && --p->refs == 0) p->ops->destroy(p);
}

td_obj *td_obj_new(td_place *place, uint64_t id, size_t bytes, const td_obj *view_of) {
    td_obj *o = td_new(td_obj);
    if (o == NULL) return NULL;
    o->version = view_of ? view_of->version : td_new(td_version);
    if (o->version == NULL) {
        td_free(o);
        return NULL;
    }
    o->version->refs++;
    o->refs = 1;
    o->place = td_place_ref(place);
    o->id = id;
    o->bytes = bytes;
    o->is_view = view_of != NULL;
    account.live_objects++;
    account.total_objects++;
    account.live_bytes += bytes;
    account.total_bytes += bytes;
    return o;
}

td_obj *td_obj_ref(td_obj *o) {
    o->refs++;
    return o;
}

void td_obj_unref(td_obj **op) {
    td_obj *o = *op;
    *op = NULL;
    if (o == NULL || --o->refs > 0) return;
    if (!o->gone && !o->keep) o->place->ops->drop(o->place, o);
    account.live_objects--;
    account.live_bytes -= o->bytes;
    if (--o->version->refs == 0) td_free(o->version);
    td_place_unref(&o->place);
    td_free(o);
}

td_coming *td_coming_new(td_place *place, uint64_t id) {
    td_coming *c = td_new(td_coming);
    if (c == NULL) return NULL;
    c->refs = 1;
    c->place = td_place_ref(place);
    c->id = id;
    return c;
}

td_coming *td_coming_later(td_obj *obj) {
    td_coming *c = td_coming_new(obj->place, 0);
    if (c) c->from = td_obj_ref(obj);
    return c;
}

td_coming *td_coming_ref(td_coming *c) {
    c->refs++;
    return c;
}

void td_coming_unref(td_coming **cp) {
    td_coming *c = *cp;
    *cp = NULL;
    if (c == NULL || --c->refs > 0) return;
    td_tensor_unref(&c->t);
    td_obj_unref(&c->from);
    td_place_unref(&c->place);
    td_free(c);
}

static td_val *val_blank(td_err *err) {
    td_val *v = td_new(td_val);
    if (v == NULL) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    v->refs = 1;
    return v;
}

td_val *td_val_new(td_tensor *t, td_err *err) {
    if (t == NULL) return NULL;
    td_val *v = val_blank(err);
    if (v == NULL) {
        td_tensor_unref(&t);
        return NULL;
    }
    v->t = t;
    v->meta.dtype = t->dtype;
    v->meta.shape = t->shape;
    return v;
}

td_val *td_val_number(double x, td_err *err) {
    td_val *v = td_val_new(td_tensor_from_f64(TD_F64, x, err), err);
    if (v) v->meta.weak = true;
    return v;
}

td_val *td_val_integer(int64_t x, td_err *err) {
    td_val *v = td_val_new(td_tensor_from_i64(TD_I64, x, err), err);
    if (v) v->meta.weak = true;
    return v;
}

td_val *td_val_away(td_obj *obj, const td_meta *meta, td_err *err) {
    if (obj == NULL) return NULL;
    td_val *v = val_blank(err);
    if (v == NULL) {
        td_obj_unref(&obj);
        return NULL;
    }
    v->obj = obj;
    v->id = obj->id;
    v->meta = *meta;
    return v;
}

td_val *td_val_coming(td_coming *c, const td_meta *meta, td_err *err) {
    if (c == NULL) return NULL;
    td_val *v = val_blank(err);
    if (v == NULL) {
        td_coming_unref(&c);
        return NULL;
    }
    v->coming = c;
    v->meta = *meta;
    return v;
}

td_val *td_val_ref(td_val *v) {
    v->refs++;
    return v;
}

/* A pointer's pointer's pointer may go on for as long as a script likes: no recursion on them. */
void td_val_unref(td_val **vp) {
    td_val *v = *vp;
    *vp = NULL;
    while (v && --v->refs == 0) {
        td_val *inner = v->inner;
        td_tensor_unref(&v->t);
        td_obj_unref(&v->obj);
        td_coming_unref(&v->coming);
        td_node_unref(&v->node);
        td_val_unref(&v->grad);
        td_rows_free(&v->rows);
        td_free(v->tag);
        td_delete(td_val, v);
        v = inner;
    }
}

td_place *td_val_place(const td_val *v) {
    if (v->rows) return td_rows_place(v->rows);
    return v->obj ? v->obj->place : NULL;
}

bool td_val_is_leaf(const td_val *v) { return v->node == NULL; }

/* What has come is what was asked for, or nothing: a place may be anybody's, and kernels believe the meta. */
static void check_arrival(const td_meta *want, td_coming *c) {
    char came[TD_SHAPE_TEXT], wanted[TD_SHAPE_TEXT];
    if (c->t->dtype == want->dtype && td_shape_equal(&c->t->shape, &want->shape)) return;
    td_fail(&c->err, TD_E_PROTOCOL, "", "%s sent %s %s, what was asked for is %s %s",
            c->place->name, td_shape_text(&c->t->shape, came), td_dtype_name(c->t->dtype),
            td_shape_text(&want->shape, wanted), td_dtype_name(want->dtype));
    td_tensor_unref(&c->t);
}

td_tensor *td_val_tensor(td_val *v, const char *call, td_err *err) {
    if (v->t) return v->t;
    if (v->rows && td_rows_make_whole(v, err)) return NULL;
    if (v->t) return v->t;
    if (v->obj && td_place_is_trace(v->obj->place)) {
        td_trace_refuse(v->obj->place, call, err);
        return NULL;
    }
    if (v->obj) {
        td_fail(err, TD_E_LOCATION, call, "the tensor is at %s", v->obj->place->name);
        td_hint(err, "bring it here with get() or copy()");
        return NULL;
    }
    td_coming *c = v->coming;
    if (!c->done && c->place->ops->wait(c->place, c, err) != 0) return NULL;
    if (c->err.code == 0) check_arrival(&v->meta, c);
    if (c->err.code) {
        *err = c->err;
        return NULL;
    }
    v->t = td_tensor_ref(c->t);
    td_coming_unref(&v->coming);
    return v->t;
}

static void forget_data(td_val *v) {
    td_tensor_unref(&v->t);
    td_obj_unref(&v->obj);
    td_coming_unref(&v->coming);
}

void td_val_become_away(td_val *v, td_obj *obj) {
    forget_data(v);
    v->obj = obj;
    v->id = obj->id;
}

void td_val_become_coming(td_val *v, td_coming *c) {
    forget_data(v);
    v->coming = c;
}

void td_val_become_here(td_val *v, td_tensor *t) {
    forget_data(v);
    v->t = t;
}
