/* The tracer: turns values into numbers of a program under construction. What is traced knows nothing of
 * it: td_apply, the tape and the bindings ask here while a trace is current. trace_end.c makes of it what
 * runs need. */
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/apply.h"
#include "vm/tape.h"
#include "vm/trace_state.h"

TD_OP_USE(clone);

static _Thread_local td_trace *current;
static _Thread_local uint64_t last_marker;

td_trace *td_trace_current(void) { return current; }

td_trace *td_trace_set_current(td_trace *t) {
    td_trace *old = current;
    current = t;
    return old;
}

/* ---- the place ---- */

static int place_apply(td_place *p, const td_op *op, const td_arg *in, int nin,
                       const td_attrs *attrs, const td_meta *out_meta, td_obj **out,
                       td_err *err) {
    (void)in, (void)nin, (void)attrs, (void)out_meta, (void)out;
    return td_trace_refuse(p, op->name, err);
}

static int place_put(td_place *p, td_tensor *t, td_obj **out, td_err *err) {
    (void)t, (void)out;
    return td_trace_refuse(p, "send", err);
}

static void place_drop(td_place *p, td_obj *obj) { (void)p, (void)obj; }

static int place_wait(td_place *p, td_coming *c, td_err *err) {
    (void)c;
    return td_trace_refuse(p, "get", err);
}

static void place_destroy(td_place *p) { td_free(p); }

static const td_place_ops trace_ops = {.apply = place_apply,
                                       .put = place_put,
                                       .drop = place_drop,
                                       .wait = place_wait,
                                       .destroy = place_destroy};

bool td_place_is_trace(const td_place *p) { return p->ops == &trace_ops; }

int td_trace_refuse(const td_place *p, const char *call, td_err *err) {
    if (current && p == current->place) {
        td_fail(err, TD_E_STATE, call,
                "the tensor has no value while tide.compile traces '%s'", p->name);
        td_hint(err, "return it, keep the decision outside, or use tide.where");
    } else {
        td_fail(
            err, TD_E_STATE, call,
            "the tensor belongs to a run of the compiled function '%s' that has ended",
            p->name);
        td_hint(err, "return it from the function");
    }
    return TD_E_STATE;
}

int td_trace_refuse_here(const char *call, td_err *err) {
    td_fail(err, TD_E_STATE, call,
            "tide.compile traces '%s', and each run may find another value",
            current->place->name);
    td_hint(err, "look at it outside of the function");
    return TD_E_STATE;
}

/* ---- beginning and end ---- */

static int out_of_memory(td_err *err) {
    return td_fail(err, TD_E_MEMORY, "compile", "out of memory");
}

td_trace *td_trace_new(const char *name, td_err *err) {
    td_trace *t = td_new(td_trace);
    td_place *p = td_new(td_place);
    if (t == NULL || p == NULL) {
        td_free(t);
        td_free(p);
        out_of_memory(err);
        return NULL;
    }
    p->ops = &trace_ops;
    p->refs = 1;
    snprintf(p->name, sizeof p->name, "%s", name);
    t->place = p;
    t->marker = UINT64_C(0x9e3779b97f4a7c15) * ++last_marker;
    t->builder = td_builder_new(err);
    if (t->builder == NULL) td_trace_free(&t);
    return t;
}

void td_trace_free(td_trace **tp) {
    td_trace *t = *tp;
    *tp = NULL;
    if (t == NULL) return;
    if (current == t) current = NULL;
    td_trace_restore_grads(t);
    for (int i = 0; i < t->inputs; i++) {
        td_obj_unref(&t->input[i].obj);
        td_val_unref(&t->input[i].value);
        td_tensor_unref(&t->input[i].data);
    }
    for (int i = 0; i < t->leaves; i++) {
        td_val_unref(&t->leaf[i].value);
        td_val_unref(&t->leaf[i].before);
    }
    for (int i = 0; i < t->arguments; i++) td_val_unref(&t->argument[i].stand_in);
    td_free(t->input);
    td_free(t->leaf);
    td_free(t->argument);
    td_free(t->made);
    if (t->builder) td_builder_free(&t->builder);
    td_place_unref(&t->place);
    td_free(t);
}

const char *td_trace_name(const td_trace *t) { return t->place->name; }

void td_trace_set_line(td_trace *t, td_trace_line *line) { t->line = line; }

/* ---- objects and their numbers ---- */

bool td_trace_grow(void *array, size_t each, int count, int *room) {
    if (count < *room) return true;
    int wider = *room ? 2 * *room : 16;
    void *old, *bigger;
    memcpy(&old, array, sizeof old);
    bigger = td_grow_bytes(old, each * (size_t)wider);
    if (bigger == NULL) return false;
    memcpy(array, &bigger, sizeof bigger);
    *room = wider;
    return true;
}

/* A new object for a value of the program. */
static td_obj *new_object(td_trace *t, uint32_t value, const td_obj *view_of,
                          td_err *err) {
    if (value == TD_NO_VALUE) {
        const td_err *why = td_build_error(t->builder);
        if (why) *err = *why;
        return NULL;
    }
    td_obj *o = td_trace_grow(&t->made, sizeof *t->made, t->made_count, &t->made_room)
                    ? td_obj_new(t->place, td_obj_fresh_id(), 0, view_of)
                    : NULL;
    if (o == NULL) {
        out_of_memory(err);
        return NULL;
    }
    t->made[t->made_count++] = (td_made){.id = o->id, .value = value};
    return o;
}

/* Ids grow, so the list is sorted. */
uint32_t td_trace_value_of(const td_trace *t, const td_obj *o) {
    int low = 0, high = t->made_count;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (t->made[mid].id < o->id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->made_count && t->made[low].id == o->id ? t->made[low].value
                                                           : TD_NO_VALUE;
}

/* ---- inputs ---- */

static td_input *new_input(td_trace *t, td_bind_kind kind, const td_meta *meta,
                           td_err *err) {
    if (!td_trace_grow(&t->input, sizeof *t->input, t->inputs, &t->input_room)) {
        out_of_memory(err);
        return NULL;
    }
    td_obj *o = new_object(t, td_build_input(t->builder, meta), NULL, err);
    if (o == NULL) return NULL;
    td_input *in = &t->input[t->inputs++];
    *in = (td_input){.kind = kind, .obj = o};
    return in;
}

td_val *td_trace_argument(td_trace *t, td_val *given, td_err *err) {
    if (!td_trace_grow(&t->argument, sizeof *t->argument, t->arguments,
                       &t->argument_room)) {
        out_of_memory(err);
        return NULL;
    }
    td_input *in = new_input(t, TD_BIND_ARGUMENT, &given->meta, err);
    if (in == NULL) return NULL;
    in->index = t->arguments;
    td_meta meta = given->meta;
    meta.weak = false;
    td_val *v = td_val_away(td_obj_ref(in->obj), &meta, err);
    if (v == NULL) return NULL;
    v->requires_grad = given->requires_grad;
    if (given->grad) v->grad = td_val_ref(given->grad);
    t->argument[t->arguments++] =
        (td_argument){.stand_in = td_val_ref(v), .is_leaf = td_val_is_leaf(given)};
    return v;
}

td_val *td_trace_scalar(td_trace *t, td_err *err) {
    td_meta meta = {.dtype = TD_F64};
    td_input *in = new_input(t, TD_BIND_SCALAR, &meta, err);
    if (in == NULL) return NULL;
    in->index = t->scalars++;
    meta.weak = true;
    return td_val_away(td_obj_ref(in->obj), &meta, err);
}

int td_trace_argument_of(const td_trace *t, const td_val *v) {
    for (int i = 0; i < t->arguments; i++)
        if (t->argument[i].stand_in == v) return i;
    return -1;
}

static int refuse_away(const td_place *p, const char *call, td_err *err) {
    if (td_place_is_trace(p)) return td_trace_refuse(p, call, err);
    td_fail(err, TD_E_LOCATION, call,
            "the tensor is at %s, what tide.compile traces runs here", p->name);
    td_hint(err, "give pointers as arguments: then the function runs as it stands");
    return TD_E_LOCATION;
}

/* The input that stands for v, or for the .grad of a leaf (v is that gradient). */
static td_input *capture(td_trace *t, td_val *v, td_bind_kind kind, const char *call,
                         td_err *err) {
    for (int i = 0; i < t->inputs; i++)
        if (t->input[i].value == v) return &t->input[i];
    current = NULL; /* a gradient of rows becomes whole, here and not in the program */
    td_tensor *data = td_val_tensor(v, call, err);
    current = t;
    td_input *in = data ? new_input(t, kind, &v->meta, err) : NULL;
    if (in == NULL) return NULL;
    in->value = td_val_ref(v);
    in->data = td_tensor_ref(data);
    in->requires_grad = v->requires_grad;
    return in;
}

/* A gradient would go back to where no program reaches. */
static int refuse_outer_tape(const td_val *v, const td_place *p, const char *call,
                             td_err *err) {
    if (!v->requires_grad || v->node == NULL || v->node->op == NULL || td_tape_is_off())
        return 0;
    td_fail(err, TD_E_STATE, call,
            "the tensor was computed outside of the compiled function '%s' and wants a "
            "gradient",
            p->name);
    td_hint(err, "detach() it, or compute it inside");
    return TD_E_STATE;
}

td_obj *td_trace_object(td_val *v, const char *call, td_err *err) {
    td_trace *t = current;
    if (v->obj && !v->inner && v->obj->place == t->place) return v->obj;
    if (v->obj) {
        refuse_away(v->obj->place, call, err);
        return NULL;
    }
    if (refuse_outer_tape(v, t->place, call, err)) return NULL;
    td_input *in = capture(t, v, TD_BIND_VALUE, call, err);
    return in ? in->obj : NULL;
}

/* ---- gradients of leaves ---- */

static td_leaf *find_leaf(td_trace *t, td_val *leaf) {
    for (int i = 0; i < t->leaves; i++)
        if (t->leaf[i].value == leaf) return &t->leaf[i];
    return NULL;
}

int td_trace_grad(td_val *leaf, bool write, td_err *err) {
    td_trace *t = current;
    if (t == NULL || leaf->node) return 0;
    int argument = td_trace_argument_of(t, leaf);
    if (leaf->obj && argument < 0) return 0; /* made in the trace, or at a worker */
    td_leaf *l = find_leaf(t, leaf);
    if (l == NULL) {
        if (!td_trace_grow(&t->leaf, sizeof *t->leaf, t->leaves, &t->leaf_room))
            return out_of_memory(err);
        l = &t->leaf[t->leaves++];
        *l = (td_leaf){.value = td_val_ref(leaf),
                       .before = leaf->grad ? td_val_ref(leaf->grad) : NULL,
                       .argument = argument,
                       .is_read = !write};
        if (!write && leaf->grad) {
            td_place *away = td_val_place(leaf->grad);
            if (away) return refuse_away(away, "grad", err);
            td_input *in = capture(t, leaf->grad, TD_BIND_GRAD, "grad", err);
            if (in == NULL) return err->code;
            in->leaf = t->leaves - 1;
        }
    }
    if (write) {
        l->is_written = true;
        l->written_at = ++t->clock;
    }
    return 0;
}

void td_trace_restore_grads(td_trace *t) {
    for (int i = 0; i < t->leaves; i++) {
        td_leaf *l = &t->leaf[i];
        td_val *made = l->value->grad;
        l->value->grad = l->before ? td_val_ref(l->before) : NULL;
        td_val_unref(&made);
    }
}

/* ---- operations ---- */

void td_trace_draw(td_trace *t, uint64_t *seed, uint64_t *stream) {
    *seed = t->marker;
    *stream = td_build_draw(t->builder);
}

/* A value that nobody else knows; memory of its own, since the script may change it. */
td_val *td_trace_made(td_trace *t, td_tensor *data, td_err *err) {
    td_meta meta = {.dtype = data->dtype, .shape = data->shape};
    uint32_t number = td_build_const(t->builder, data);
    td_tensor_unref(&data);
    uint32_t copy = td_build_op(t->builder, &td_op_clone, &number, 1, NULL, NULL);
    td_obj *o = new_object(t, copy, NULL, err);
    return o ? td_val_away(o, &meta, err) : NULL;
}

static uint32_t operand(td_trace *t, const td_op *op, td_val *v, td_err *err) {
    if (v->meta.weak && v->t) {
        const void *p = v->t->storage->data;
        td_dtype d = v->meta.dtype;
        return td_build_number(t->builder, d, td_load_f64(d, p), td_load_i64(d, p));
    }
    td_obj *o = td_trace_object(v, op->name, err);
    return o ? td_trace_value_of(t, o) : TD_NO_VALUE;
}

/* A seed that the script chose gives the same numbers at every call: they are made now. */
static int draw_now(td_trace *t, const td_op *op, const td_attrs *attrs,
                    const td_meta *meta, td_val **out, td_err *err) {
    td_tensor *data = NULL;
    int rc = td_op_run(op, NULL, 0, attrs, meta, &data, err);
    if (rc == 0) *out = td_trace_made(t, data, err);
    return rc == 0 && *out == NULL ? err->code : rc;
}

/* Whoever looks at the same memory is told: the tape here and now, and the bindings afterwards. */
static int note_change(td_trace *t, const td_op *op, const td_val *dst, td_err *err) {
    td_obj *o = td_trace_object((td_val *)(uintptr_t)dst, op->name, err);
    if (o == NULL) return err->code;
    o->version->changes++;
    t->clock++;
    for (int i = 0; i < t->inputs; i++) {
        td_input *in = &t->input[i];
        if (in->obj->version != o->version) continue;
        in->changed_at = t->clock;
        if (in->data == NULL) continue;
        if (in->data->storage->readonly)
            return td_fail(err, TD_E_DENIED, op->name,
                           "a data set's rows cannot be changed");
        in->data->storage->version++;
    }
    return 0;
}

static int record(td_trace *t, const td_op *op, td_val *const *in, int nin,
                  const uint32_t *number, const td_attrs *attrs, const td_meta *out_meta,
                  td_val **out, td_err *err) {
    char line[160] = "";
    if (t->line) t->line(line, sizeof line);
    uint32_t first = td_build_op(t->builder, op, number, (uint32_t)nin, attrs, line);
    const td_err *why = td_build_error(t->builder);
    if (why) {
        *err = *why;
        return err->code;
    }
    const td_obj *view_of = NULL;
    if (op->flags & TD_OP_VIEW) view_of = td_trace_object(in[0], op->name, err);
    for (int k = 0; k < op->nout; k++) {
        td_obj *o = new_object(t, first + (uint32_t)k, view_of, err);
        out[k] = o ? td_val_away(o, &out_meta[k], err) : NULL;
        if (out[k] == NULL) return err->code;
        out[k]->meta.weak = false;
    }
    return op->flags & TD_OP_ASSIGN ? note_change(t, op, in[0], err) : 0;
}

int td_trace_apply(const td_op *op, td_val *const *in, int nin, const td_attrs *attrs,
                   const td_meta *out_meta, td_val **out, td_err *err) {
    td_trace *t = current;
    td_attrs own = *attrs;
    int seed = td_op_seed_attr(op);
    if (seed >= 0) {
        if ((uint64_t)own.v[seed].i != t->marker)
            return draw_now(t, op, attrs, out_meta, out, err);
        own.v[seed].i = 0;
    }
    uint32_t few[8], *number = nin <= 8 ? few : td_new_array((size_t)nin, sizeof *number);
    if (number == NULL) return out_of_memory(err);
    int rc = 0;
    for (int i = 0; rc == 0 && i < nin; i++) {
        number[i] = operand(t, op, in[i], err);
        if (number[i] != TD_NO_VALUE) continue;
        const td_err *why = td_build_error(t->builder);
        if (why) *err = *why;
        rc = err->code ? err->code : TD_E_INTERNAL;
    }
    if (rc == 0) rc = record(t, op, in, nin, number, &own, out_meta, out, err);
    if (number != few) td_free(number);
    return rc;
}
