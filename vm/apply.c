/* td_apply: dtypes are brought together, the place is found, the shape rule judges, and the operation
 * runs here or is handed on. The only way to an operation, for scripts and gradient rules alike. */
#include "vm/apply.h"

#include <math.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/grad.h"
#include "vm/order.h"
#include "vm/trace.h"

TD_OP_USE(cast);

static _Thread_local bool tape_off;

bool td_tape_is_off(void) { return tape_off; }

bool td_tape_set_off(bool off) {
    bool old = tape_off;
    tape_off = off;
    return old;
}

/* Puts the op's name into an error that a shared rule left without one. */
static int named(const td_op *op, int rc, td_err *err) {
    if (rc && err && err->call[0] == 0) {
        size_t n = strlen(op->name);
        if (n >= sizeof err->call) n = sizeof err->call - 1;
        memcpy(err->call, op->name, n);
        err->call[n] = 0;
    }
    return rc;
}

/* ---- dtypes ---- */

static bool takes_part(const td_op *op, int i) {
    return i >= 32 || !(op->keep_dtype & (1u << i));
}

/* 0 bool, 1 integer, 2 float. */
static int kind_of(td_dtype t) { return td_dtype_is_float(t) ? 2 : t == TD_BOOL ? 0 : 1; }

/* The dtype in which an op computes. Tensors with dimensions decide first; 0-d tensors, then plain
 * numbers, only raise it when they are of a higher kind (float over integer over bool). */
static td_dtype common_dtype(const td_op *op, td_val *const *in, int nin) {
    td_dtype by_rank[3] = {TD_NONE, TD_NONE, TD_NONE}; /* with dimensions, 0-d, numbers */
    for (int i = 0; i < nin; i++) {
        if (!takes_part(op, i)) continue;
        const td_meta *m = &in[i]->meta;
        td_dtype t = m->dtype;
        if (m->weak) t = td_dtype_is_float(t) ? TD_F32 : t == TD_BOOL ? TD_BOOL : TD_I64;
        td_dtype *slot = &by_rank[m->weak ? 2 : m->shape.ndim == 0 ? 1 : 0];
        *slot = *slot == TD_NONE ? t : td_dtype_promote(*slot, t);
    }
    td_dtype common = TD_NONE;
    for (int r = 0; r < 3; r++) {
        if (by_rank[r] == TD_NONE) continue;
        if (common == TD_NONE || kind_of(by_rank[r]) > kind_of(common))
            common = by_rank[r];
    }
    if ((op->flags & TD_OP_FLOAT) && common != TD_NONE && !td_dtype_is_float(common))
        common = TD_F32;
    return common;
}

static int refuse_half(const td_op *op, td_dtype t, td_err *err) {
    td_fail(err, TD_E_DTYPE, op->name,
            "%s is for storage and the wire, not for arithmetic", td_dtype_name(t));
    td_hint(err, "convert it first: x:to(\"f32\")");
    return TD_E_DTYPE;
}

static int number_fits(const td_op *op, const td_val *v, td_dtype t, td_err *err) {
    if (v->meta.dtype != TD_I64) return 0;
    int64_t x = *(const int64_t *)v->t->storage->data;
    if ((t == TD_U8 && (x < 0 || x > 255)) ||
        (t == TD_I32 && (x < INT32_MIN || x > INT32_MAX)))
        return td_fail(err, TD_E_VALUE, op->name, "%lld does not fit %s", (long long)x,
                       td_dtype_name(t));
    return 0;
}

/* v in dtype t: v itself (another reference), a number converted, or a cast on the tape. */
static td_val *in_dtype(const td_op *op, td_val *v, td_dtype t, td_err *err) {
    if (v->meta.dtype == t) return td_val_ref(v);
    if (v->meta.weak && v->t) {
        if (number_fits(op, v, t, err)) return NULL;
        const void *p = v->t->storage->data;
        bool is_int = v->meta.dtype == TD_I64;
        td_val *w =
            td_val_new(is_int ? td_tensor_from_i64(t, td_load_i64(TD_I64, p), err)
                              : td_tensor_from_f64(t, td_load_f64(v->meta.dtype, p), err),
                       err);
        if (w) w->meta.weak = true;
        return w;
    }
    td_attrs a = {0};
    td_attr_set_i(&a, 0, TD_ATTR_DTYPE, t);
    td_val *w = NULL;
    if (td_apply(&td_op_cast, &v, 1, &a, &w, err)) return NULL;
    w->meta.weak = v->meta.weak;
    return w;
}

/* Fills in use[] with new references of inputs that are in the right dtypes. */
static int promote(const td_op *op, td_val *const *in, int nin, td_val **use,
                   td_err *err) {
    td_dtype common = TD_NONE;
    if (op->flags & (TD_OP_PROMOTE | TD_OP_FLOAT)) {
        common = common_dtype(op, in, nin);
        if (td_dtype_is_half(common)) return refuse_half(op, common, err);
    }
    for (int i = 0; i < nin; i++) {
        td_dtype t = common != TD_NONE && takes_part(op, i) ? common : in[i]->meta.dtype;
        use[i] = in_dtype(op, in[i], t, err);
        if (use[i] == NULL) return err ? err->code : TD_E_MEMORY;
    }
    return 0;
}

/* The common case: tensors of one dtype that the op computes in. */
static bool needs_no_promotion(const td_op *op, td_val *const *in, int nin) {
    if (!(op->flags & (TD_OP_PROMOTE | TD_OP_FLOAT))) return true;
    td_dtype common = TD_NONE;
    for (int i = 0; i < nin; i++) {
        if (!takes_part(op, i)) continue;
        td_dtype t = in[i]->meta.dtype;
        if (in[i]->meta.weak || (common != TD_NONE && t != common)) return false;
        common = t;
    }
    return common != TD_NONE && !td_dtype_is_half(common) &&
           (!(op->flags & TD_OP_FLOAT) || td_dtype_is_float(common));
}

/* ---- running ---- */

static int check_count(const td_op *op, int nin, td_err *err) {
    if (op->nin < 0 && (nin < 1 || nin > TD_OP_MAX_IN))
        return td_fail(err, TD_E_ARGUMENT, op->name, "takes 1 to %d tensors, got %d",
                       TD_OP_MAX_IN, nin);
    if (op->nin >= 0 && nin != op->nin)
        return td_fail(err, TD_E_ARGUMENT, op->name, "takes %d tensors, got %d", op->nin,
                       nin);
    return 0;
}

static td_inner *inner_of(const td_op *op, const td_meta *in, int nin,
                          const td_attrs *attrs, td_inner_args *args) {
    memset(args, 0, sizeof *args);
    return op->inner(in, nin, attrs, args);
}

/* Of bool alone once inputs are promoted: every loop knows numbers. */
static int refuse_dtype(td_dtype t, td_err *err) {
    td_fail(err, TD_E_DTYPE, "", "wants numbers, got %s", td_dtype_name(t));
    td_hint(err, "convert it first: x:to(\"i64\") or x:to(\"f32\")");
    return TD_E_DTYPE;
}

int td_op_infer(const td_op *op, const td_meta *in, int nin, td_attrs *attrs,
                td_meta *out, td_err *err) {
    int rc = check_count(op, nin, err);
    if (rc) return rc;
    td_dtype first = TD_NONE;
    for (int i = 0; i < nin; i++) {
        if (!(op->flags & (TD_OP_PROMOTE | TD_OP_FLOAT)) || !takes_part(op, i)) continue;
        if (td_dtype_is_half(in[i].dtype)) return refuse_half(op, in[i].dtype, err);
        if (first == TD_NONE) first = in[i].dtype;
        if (in[i].dtype != first)
            return td_fail(err, TD_E_DTYPE, op->name, "%s does not go with %s",
                           td_dtype_name(in[i].dtype), td_dtype_name(first));
        if ((op->flags & TD_OP_FLOAT) && !td_dtype_is_float(in[i].dtype))
            return td_fail(err, TD_E_DTYPE, op->name, "wants a float dtype, got %s",
                           td_dtype_name(in[i].dtype));
    }
    if (attrs) rc = td_attrs_check(op, in, nin, attrs, err);
    if (rc) return rc;
    memset(out, 0, sizeof *out * (size_t)op->nout);
    rc = op->shape(in, nin, attrs, out, err);
    td_inner_args args;
    if (rc == 0 && op->inner && inner_of(op, in, nin, attrs, &args) == NULL)
        rc = refuse_dtype(in[0].dtype, err);
    for (int k = 0; rc == 0 && k < op->nout; k++) {
        size_t bytes;
        rc = td_shape_bytes(&out[k].shape, out[k].dtype, &bytes, err);
    }
    return named(op, rc, err);
}

static int run_view(const td_op *op, td_tensor *x, const td_attrs *attrs,
                    const td_meta *meta, td_tensor **out, td_err *err) {
    int64_t stride[TD_MAX_DIM], offset = 0;
    bool copy = false;
    int rc = op->view(x, attrs, &meta->shape, stride, &offset, &copy);
    if (rc) return td_fail(err, TD_E_INTERNAL, op->name, "no view");
    if (!copy) {
        *out = td_tensor_view(x, &meta->shape, stride, offset, err);
        return *out ? 0 : TD_E_MEMORY;
    }
    td_tensor *flat = td_tensor_contiguous(x, err);
    if (flat == NULL) return named(op, TD_E_MEMORY, err);
    copy = false;
    op->view(flat, attrs, &meta->shape, stride, &offset, &copy);
    *out = td_tensor_view(flat, &meta->shape, stride, offset, err);
    td_tensor_unref(&flat);
    return *out ? 0 : TD_E_MEMORY;
}

/* The loop of an elementwise op over its whole output. */
static void run_inner(const td_op *op, td_tensor *const *in, int nin,
                      const td_attrs *attrs, td_tensor *out) {
    td_meta meta[TD_LOOP_MAX - 1];
    meta[0] = (td_meta){0}; /* an op without inputs has none to be looked at */
    td_tensor *operand[TD_LOOP_MAX] = {out};
    for (int i = 0; i < nin; i++) {
        meta[i].dtype = in[i]->dtype;
        meta[i].shape = in[i]->shape;
        meta[i].weak = false;
        operand[i + 1] = in[i];
    }
    td_inner_args args;
    td_inner *inner = inner_of(op, meta, nin, attrs, &args);
    if (td_tensor_numel(out) == 1) { /* as in much of what is computed eagerly */
        char *ptr[TD_LOOP_MAX];
        for (int i = 0; i <= nin; i++) ptr[i] = td_tensor_data(operand[i]);
        inner(1, ptr, (const int64_t[TD_LOOP_MAX]){0}, &args);
        return;
    }
    td_loop loop;
    td_loop_init(&loop, &out->shape, operand, nin + 1);
    td_loop_run_cut(&loop, inner, &args);
}

static int check_values(const td_op *op, td_tensor *const *in, int nin,
                        const td_attrs *attrs, td_err *err) {
    int rc = op->check ? op->check(in, nin, attrs, err) : 0;
    if (rc == 0 && (op->flags & TD_OP_ASSIGN) && in[0]->storage->readonly)
        rc = td_fail(err, TD_E_DENIED, op->name, "a data set's rows cannot be changed");
    return rc;
}

static int run_kernel(const td_op *op, td_tensor *const *in, int nin,
                      const td_attrs *attrs, td_tensor *const *out, td_err *err) {
    int rc = 0;
    if (op->inner)
        run_inner(op, in, nin, attrs, out[0]);
    else
        rc = op->kernel(in, nin, attrs, out, err);
    if (rc == 0 && (op->flags & TD_OP_ASSIGN)) in[0]->storage->version++;
    return rc;
}

int td_op_run_into(const td_op *op, td_tensor *const *in, int nin, const td_attrs *attrs,
                   td_tensor *const *out, td_err *err) {
    int rc = check_values(op, in, nin, attrs, err);
    if (rc == 0) rc = run_kernel(op, in, nin, attrs, out, err);
    return named(op, rc, err);
}

int td_op_run(const td_op *op, td_tensor *const *in, int nin, const td_attrs *attrs,
              const td_meta *out_meta, td_tensor **out, td_err *err) {
    for (int k = 0; k < op->nout; k++) out[k] = NULL;
    int rc = check_values(op, in, nin, attrs, err);
    if (rc) return named(op, rc, err);
    if (op->flags & TD_OP_VIEW) return run_view(op, in[0], attrs, out_meta, out, err);
    td_order order = td_op_order_of(op, in, nin, out_meta);
    for (int k = 0; rc == 0 && k < op->nout; k++) {
        out[k] = td_tensor_new_in(out_meta[k].dtype, &out_meta[k].shape, order, err);
        if (out[k] == NULL) rc = TD_E_MEMORY;
    }
    if (rc == 0) rc = run_kernel(op, in, nin, attrs, out, err);
    if (rc)
        for (int k = 0; k < op->nout; k++) td_tensor_unref(&out[k]);
    return named(op, rc, err);
}

/* ---- places ---- */

static int not_together(const td_op *op, const char *a, const char *b, td_err *err) {
    td_fail(err, TD_E_LOCATION, op->name,
            "one tensor is at %s, the other %s%s; move one of them", a,
            b ? "at " : "here", b ? b : "");
    td_hint(err, "%s",
            b ? "p:move(worker), or get() both"
              : "send(worker) the one, or get() the other");
    return TD_E_LOCATION;
}

/* The place where all inputs live, numbers aside; NULL for here. */
static int find_place(const td_op *op, td_val *const *in, int nin, td_place **place,
                      td_err *err) {
    const td_val *first = NULL;
    *place = NULL;
    for (int i = 0; i < nin; i++) {
        if (in[i]->meta.weak) continue;
        if (in[i]->inner) {
            td_fail(err, TD_E_LOCATION, op->name, "a pointer to a pointer at %s",
                    in[i]->obj->place->name);
            td_hint(err, "get() it first: that gives the pointer back");
            return TD_E_LOCATION;
        }
        td_place *here = td_val_place(in[i]);
        if (here && td_place_is_trace(here)) return td_trace_refuse(here, op->name, err);
        if (first == NULL) {
            first = in[i];
            *place = here;
        } else if (here != *place) {
            const char *a = *place ? (*place)->name : here->name;
            const char *b = *place && here ? here->name : NULL;
            return not_together(op, a, b, err);
        }
    }
    return 0;
}

static int check_present(const td_op *op, const td_val *v, td_err *err) {
    if (!v->obj || !v->obj->gone) return 0;
    td_fail(err, TD_E_NOT_FOUND, op->name, "object %llu is no longer at %s",
            (unsigned long long)v->obj->id, v->obj->place->name);
    td_hint(err, "get() and move() take it away from there; copy() leaves it");
    return TD_E_NOT_FOUND;
}

static int run_away(td_place *place, const td_op *op, td_val *const *in, int nin,
                    const td_attrs *attrs, const td_meta *out_meta, td_val **out,
                    td_err *err) {
    td_arg few[8], *args = nin <= 8 ? few : td_new_array((size_t)nin, sizeof *args);
    if (args == NULL) return td_fail(err, TD_E_MEMORY, op->name, "out of memory");
    int rc = 0;
    for (int i = 0; rc == 0 && i < nin; i++) {
        td_val *v = in[i];
        args[i] = (td_arg){.obj = v->obj, .meta = v->meta};
        rc = check_present(op, v, err);
        if (v->meta.weak) {
            args[i].f = td_load_f64(v->meta.dtype, v->t->storage->data);
            args[i].i = td_load_i64(v->meta.dtype, v->t->storage->data);
        }
    }
    td_obj *obj[TD_OP_MAX_OUT] = {NULL};
    if (rc == 0) rc = place->ops->apply(place, op, args, nin, attrs, out_meta, obj, err);
    for (int k = 0; rc == 0 && k < op->nout; k++) {
        out[k] = td_val_away(obj[k], &out_meta[k], err);
        if (out[k] == NULL) rc = TD_E_MEMORY;
    }
    if (rc == 0 && (op->flags & TD_OP_ASSIGN)) in[0]->obj->version->changes++;
    if (args != few) td_free(args);
    return rc;
}

static int run_here(const td_op *op, td_val *const *in, int nin, const td_attrs *attrs,
                    const td_meta *out_meta, td_val **out, td_err *err) {
    td_tensor *few[8], **t = nin <= 8 ? few : td_new_array((size_t)nin, sizeof *t);
    few[0] = NULL; /* an op without inputs has none to be looked at */
    if (t == NULL) return td_fail(err, TD_E_MEMORY, op->name, "out of memory");
    int rc = 0;
    for (int i = 0; rc == 0 && i < nin; i++) {
        t[i] = td_val_tensor(in[i], op->name, err);
        if (t[i] == NULL) rc = err ? err->code : TD_E_INTERNAL;
    }
    td_tensor *made[TD_OP_MAX_OUT];
    if (rc == 0) {
        rc = td_op_run(op, t, nin, attrs, out_meta, made, err);
        for (int k = 0; rc == 0 && k < op->nout; k++) {
            out[k] = td_val_new(made[k], err);
            if (out[k] == NULL) rc = TD_E_MEMORY;
        }
    }
    if (t != few) td_free(t);
    return rc;
}

/* Changing a value in place must not change what a gradient needs behind its back. */
static int check_assign(const td_op *op, td_val *const *in, td_err *err) {
    if (tape_off || (!in[0]->requires_grad && !in[1]->requires_grad)) return 0;
    td_fail(err, TD_E_STATE, op->name, "%s requires a gradient and cannot be %s in place",
            in[0]->requires_grad ? "the tensor" : "the new value",
            in[0]->requires_grad ? "changed" : "written");
    td_hint(
        err,
        "inside tide.no_grad(function() ... end) it can; or use tide.where, tide.cat");
    return TD_E_STATE;
}

static const td_attrs none;

/* The given attributes where the shape rule may complete them; NULL when op has none and none were given,
 * since they are large. */
static td_attrs *complete_attrs(const td_op *op, const td_attrs *given, td_attrs *own) {
    if (given == NULL && op->attr[0].kind == TD_ATTR_NONE) return NULL;
    *own = given ? *given : none;
    return own;
}

static int apply_promoted(const td_op *op, td_val *const *in, int nin,
                          const td_attrs *given, td_val **out, td_err *err) {
    td_meta few[8], *meta = nin <= 8 ? few : td_new_array((size_t)nin, sizeof *meta);
    if (meta == NULL) return td_fail(err, TD_E_MEMORY, op->name, "out of memory");
    for (int i = 0; i < nin; i++) meta[i] = in[i]->meta;
    td_attrs own, *attrs = complete_attrs(op, given, &own);
    td_meta out_meta[TD_OP_MAX_OUT];
    td_place *place = NULL;
    const bool traced = td_trace_current() != NULL;
    int rc = traced ? 0 : find_place(op, in, nin, &place, err);
    if (rc == 0) rc = td_op_infer(op, meta, nin, attrs, out_meta, err);
    if (meta != few) td_free(meta);
    if (rc) return rc;
    if ((op->flags & TD_OP_ASSIGN) && (rc = check_assign(op, in, err)) != 0) return rc;
    rc = traced  ? td_trace_apply(op, in, nin, attrs ? attrs : &none, out_meta, out, err)
         : place ? run_away(place, op, in, nin, attrs ? attrs : &none, out_meta, out, err)
                 : run_here(op, in, nin, attrs, out_meta, out, err);
    if (rc == 0 && op->grad && !tape_off)
        rc = td_tape_record(op, in, nin, attrs, out, err);
    return rc;
}

static int promote_and_apply(const td_op *op, td_val *const *in, int nin,
                             const td_attrs *attrs, td_val **out, td_err *err) {
    td_val *few[8] = {NULL},
           **use = nin <= 8 ? few : td_new_array((size_t)nin, sizeof *use);
    if (use == NULL) return td_fail(err, TD_E_MEMORY, op->name, "out of memory");
    int rc = promote(op, in, nin, use, err);
    if (rc == 0) rc = apply_promoted(op, use, nin, attrs, out, err);
    for (int i = 0; i < nin; i++) td_val_unref(&use[i]);
    if (use != few) td_free(use);
    return rc;
}

int td_apply(const td_op *op, td_val *const *in, int nin, const td_attrs *attrs,
             td_val **out, td_err *err) {
    td_err own;
    if (err == NULL) err = &own;
    for (int k = 0; k < op->nout; k++) out[k] = NULL;
    int rc = check_count(op, nin, err);
    if (rc) return rc;
    rc = needs_no_promotion(op, in, nin)
             ? apply_promoted(op, in, nin, attrs, out, err)
             : promote_and_apply(op, in, nin, attrs, out, err);
    if (rc)
        for (int k = 0; k < op->nout; k++) td_val_unref(&out[k]);
    return named(op, rc, err);
}

int td_apply_create(td_place *place, const td_op *op, const td_attrs *given, td_val **out,
                    td_err *err) {
    td_attrs attrs = {0};
    if (given) attrs = *given;
    for (int k = 0; k < op->nout; k++) out[k] = NULL;
    td_meta out_meta[TD_OP_MAX_OUT];
    int rc = td_op_infer(op, NULL, 0, &attrs, out_meta, err);
    if (rc) return rc;
    rc = td_trace_current() ? td_trace_apply(op, NULL, 0, &attrs, out_meta, out, err)
         : place            ? run_away(place, op, NULL, 0, &attrs, out_meta, out, err)
                            : run_here(op, NULL, 0, &attrs, out_meta, out, err);
    if (rc)
        for (int k = 0; k < op->nout; k++) td_val_unref(&out[k]);
    return named(op, rc, err);
}
