/* Walking the tape backwards. Nodes are taken in the reverse order of their making, so every gradient of
 * an output has arrived when its node's turn comes, and sums are made in the same order each time. */
#include <stdlib.h>

#include "runtime/mem.h"
#include "vm/rows.h"
#include "vm/tape.h"
#include "vm/trace.h"

TD_OP_USE(add);
TD_OP_USE(sub);
TD_OP_USE(mul);
TD_OP_USE(div);
TD_OP_USE(neg);
TD_OP_USE(sum);
TD_OP_USE(reshape);
TD_OP_USE(expand);
TD_OP_USE(cast);
TD_OP_USE(clone);
TD_OP_USE(full);

/* ---- what rules are written with ---- */

/* Values that a rule made, released after it. */
struct td_grad_pool {
    td_val **v;
    int count, room;
};

static td_val *pool_keep(struct td_grad_pool *p, td_val *v, td_err *err) {
    if (v == NULL) return NULL;
    if (p->count == p->room) {
        int room = p->room ? 2 * p->room : 16;
        td_val **bigger = td_grow_bytes(p->v, sizeof *bigger * (size_t)room);
        if (bigger == NULL) {
            td_fail(err, TD_E_MEMORY, "backward", "out of memory");
            td_val_unref(&v);
            return NULL;
        }
        p->v = bigger;
        p->room = room;
    }
    return p->v[p->count++] = v;
}

static void pool_drain(struct td_grad_pool *p) {
    for (int i = 0; i < p->count; i++) td_val_unref(&p->v[i]);
    p->count = 0;
}

bool g_op_n(td_grad *g, const td_op *op, const td_attrs *attrs, int nin,
            td_val *const *in, td_val **out) {
    for (int k = 0; k < op->nout; k++) out[k] = NULL;
    if (g->err->code) return false;
    for (int i = 0; i < nin; i++)
        if (in[i] == NULL) return false;
    if (td_apply(op, in, nin, attrs, out, g->err) != 0) return false;
    bool well = true;
    for (int k = 0; k < op->nout; k++) {
        out[k] = pool_keep(g->pool, out[k], g->err);
        well &= out[k] != NULL;
    }
    return well;
}

td_val *g_op(td_grad *g, const td_op *op, const td_attrs *attrs, int nin,
             td_val *const *in) {
    td_val *out[TD_OP_MAX_OUT];
    return g_op_n(g, op, attrs, nin, in, out) ? out[0] : NULL;
}

td_val *g_num(td_grad *g, double v) {
    if (g->err->code) return NULL;
    return pool_keep(g->pool, td_val_number(v, g->err), g->err);
}

td_val *g_unary(td_grad *g, const td_op *op, td_val *a) {
    return g_op(g, op, NULL, 1, &a);
}

td_val *g_binary(td_grad *g, const td_op *op, td_val *a, td_val *b) {
    td_val *in[2] = {a, b};
    return g_op(g, op, NULL, 2, in);
}

td_val *g_neg(td_grad *g, td_val *a) { return g_unary(g, &td_op_neg, a); }
td_val *g_add(td_grad *g, td_val *a, td_val *b) { return g_binary(g, &td_op_add, a, b); }
td_val *g_sub(td_grad *g, td_val *a, td_val *b) { return g_binary(g, &td_op_sub, a, b); }
td_val *g_mul(td_grad *g, td_val *a, td_val *b) { return g_binary(g, &td_op_mul, a, b); }
td_val *g_div(td_grad *g, td_val *a, td_val *b) { return g_binary(g, &td_op_div, a, b); }

td_val *g_reshape(td_grad *g, td_val *a, const td_shape *to) {
    if (a == NULL || td_shape_equal(&a->meta.shape, to)) return a;
    td_attrs at = {0};
    td_attr_set_sizes(&at, 0, to);
    return g_op(g, &td_op_reshape, &at, 1, &a);
}

td_val *g_expand(td_grad *g, td_val *a, const td_shape *to) {
    if (a == NULL || td_shape_equal(&a->meta.shape, to)) return a;
    td_attrs at = {0};
    td_attr_set_sizes(&at, 0, to);
    return g_op(g, &td_op_expand, &at, 1, &a);
}

td_val *g_cast(td_grad *g, td_val *a, td_dtype to) {
    if (a == NULL || a->meta.dtype == to) return a;
    td_attrs at = {0};
    td_attr_set_i(&at, 0, TD_ATTR_DTYPE, to);
    return g_op(g, &td_op_cast, &at, 1, &a);
}

td_val *g_sum_to(td_grad *g, td_val *a, const td_shape *to) {
    if (a == NULL || td_shape_equal(&a->meta.shape, to)) return a;
    const td_shape *from = &a->meta.shape;
    int64_t dims[TD_MAX_DIM];
    int n = 0, lead = from->ndim - to->ndim;
    for (int i = 0; i < from->ndim; i++)
        if (i < lead || (to->dim[i - lead] == 1 && from->dim[i] != 1)) dims[n++] = i;
    if (n > 0) {
        td_attrs at = {0};
        td_attr_set_list(&at, 0, TD_ATTR_DIMS, dims, n);
        td_attr_set_i(&at, 1, TD_ATTR_BOOL, 1);
        a = g_op(g, &td_op_sum, &at, 1, &a);
    }
    return g_reshape(g, a, to);
}

static void full_attrs(td_attrs *at, const td_meta *meta, double v) {
    *at = (td_attrs){0};
    td_attr_set_sizes(at, 0, &meta->shape);
    td_attr_set_f(at, 1, v);
    td_attr_set_i(at, 2, TD_ATTR_DTYPE, meta->dtype);
}

td_val *g_zeros(td_grad *g, const td_meta *meta, td_val *like) {
    if (g->err->code || like == NULL) return NULL;
    td_attrs at;
    full_attrs(&at, meta, 0);
    td_val *v = NULL;
    if (td_apply_create(td_val_place(like), &td_op_full, &at, &v, g->err) != 0)
        return NULL;
    return pool_keep(g->pool, v, g->err);
}

td_val *g_rows(td_grad *g, int i, td_val *ids, td_val *values, td_val *first) {
    if (g->err->code || !ids || !values || !first) return NULL;
    td_val *v = td_rows_new(&g->in_meta[i], ids, values, first, g->err);
    return pool_keep(g->pool, v, g->err);
}

/* ---- the walk ---- */

typedef struct walk {
    td_node **node; /* counted: a leaf's own handle may go while its gradient is stored */
    int count, room;
    uint64_t mark;
    td_err *err;
} walk;

static _Thread_local uint64_t last_walk;

static bool walk_push(walk *w, td_node *n) {
    if (n == NULL || n->walk == w->mark) return true;
    if (w->count == w->room) {
        int room = w->room ? 2 * w->room : 64;
        td_node **bigger = td_grow_bytes(w->node, sizeof *bigger * (size_t)room);
        if (bigger == NULL) {
            td_fail(w->err, TD_E_MEMORY, "backward", "out of memory");
            return false;
        }
        w->node = bigger;
        w->room = room;
    }
    n->walk = w->mark;
    n->wanted = false;
    for (int k = 0; k < TD_OP_MAX_OUT; k++) n->catch[k] = NULL;
    w->node[w->count++] = td_node_ref(n);
    return true;
}

static int newest_first(const void *a, const void *b) {
    uint64_t x = (*(td_node *const *)a)->seq, y = (*(td_node *const *)b)->seq;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Everything that can be reached from root; accumulators have seq 0 and come last, as they were found. */
static bool walk_collect(walk *w, td_node *root) {
    if (!walk_push(w, root)) return false;
    for (int at = 0; at < w->count; at++) {
        td_node *n = w->node[at];
        for (int i = 0; i < n->nin; i++)
            if (!walk_push(w, n->edge[i].node)) return false;
    }
    qsort(w->node, (size_t)w->count, sizeof *w->node, newest_first);
    return true;
}

static void walk_end(walk *w) {
    for (int i = 0; i < w->count; i++) {
        for (int k = 0; k < TD_OP_MAX_OUT; k++) td_val_unref(&w->node[i]->gout[k]);
        td_node_unref(&w->node[i]);
    }
    td_free(w->node);
}

/* *sum += v; takes no reference of v. */
static int flow_into(td_val **sum, td_val *v, td_err *err) {
    if (*sum == NULL) {
        *sum = td_val_ref(v);
        return 0;
    }
    if (v->rows || (*sum)->rows) return td_rows_add(sum, v, err);
    td_val *in[2] = {*sum, v}, *out = NULL;
    int rc = td_apply(&td_op_add, in, 2, NULL, &out, err);
    if (rc) return rc;
    td_val_unref(sum);
    *sum = out;
    return 0;
}

/* A gradient of before, at another place than the new one (its leaf has moved meanwhile), goes there. */
static int bring_along(td_val **old, const td_val *new, td_err *err) {
    if (td_trace_current()) return 0;
    td_place *to = td_val_place(new);
    if (*old == NULL || to == NULL || td_val_place(*old) == to) return 0;
    td_tensor *t = td_val_tensor(*old, "backward", err);
    td_obj *obj = NULL;
    if (t == NULL) return err->code;
    int rc = to->ops->put(to, t, &obj, err);
    if (rc) return rc;
    td_val *there = td_val_away(obj, &(*old)->meta, err);
    if (there == NULL) return TD_E_MEMORY;
    td_val_unref(old);
    *old = there;
    return 0;
}

/* Is v the only handle of memory that nothing else looks at, each element once? */
static bool is_ours_alone(const td_val *v) {
    if (v->rows) return true; /* whoever looks at it makes memory of its own */
    if (v->refs > 1) return false;
    if (v->t)
        return v->t->refs == 1 && v->t->storage->refs == 1 &&
               td_tensor_is_contiguous(v->t);
    return v->obj && v->obj->refs == 1 && v->obj->version->refs == 1 && !v->obj->is_view;
}

/* A leaf's gradient is the script's to change in place, so the first one must not be memory that another
 * leaf's gradient, the seed or a broadcast shares. */
static int flow_into_leaf(td_val *leaf, td_val *v, td_err *err) {
    if (leaf->grad || is_ours_alone(v)) return flow_into(&leaf->grad, v, err);
    return td_apply(&td_op_clone, &v, 1, NULL, &leaf->grad, err);
}

static int spent_twice(td_err *err) {
    td_fail(err, TD_E_STATE, "backward",
            "the graph has been walked already and its values are freed");
    td_hint(err, "keep them the first time: loss:backward{retain_graph = true}");
    return TD_E_STATE;
}

/* A gradient as its input wants it. One of rows alone stays so on its way into a leaf's .grad. */
static td_val *fitted(td_grad *g, td_val *v, const td_node *to, const td_meta *like,
                      bool to_leaves) {
    if (v->rows == NULL) return g_cast(g, g_sum_to(g, v, &like->shape), like->dtype);
    if (to->op == NULL && to_leaves) return v;
    return pool_keep(g->pool, td_rows_whole(v, g->err), g->err);
}

/* One rule: the gradients of n's inputs from those of its outputs. */
static int run_rule(td_node *n, bool to_leaves, td_err *err) {
    const int nin = n->nin, nout = n->op->nout;
    struct td_grad_pool pool = {0};
    td_val *few[3 * 8] = {NULL}, **room = few, *out[TD_OP_MAX_OUT] = {NULL};
    bool few_need[8] = {false}, *need = few_need;
    if (nin > 8) {
        room = td_new_array((size_t)nin * 3, sizeof *room);
        need = td_new_array((size_t)nin, sizeof *need);
    }
    int rc = 0;
    if (!room || !need) {
        rc = td_fail(err, TD_E_MEMORY, "backward", "out of memory");
        goto done;
    }
    td_val **in = room, **gin = room + nin;
    for (int i = 0; i < nin; i++) {
        need[i] = n->edge[i].node && n->edge[i].node->wanted;
        in[i] = td_saved_in(n, i, err);
        if (err->code) rc = err->code;
    }
    for (int k = 0; k < nout; k++) {
        out[k] = td_saved_out(n, k, err);
        if (err->code) rc = err->code;
    }
    if (rc) goto done;
    td_grad g = {.op = n->op,
                 .attrs = n->attrs,
                 .nin = nin,
                 .nout = nout,
                 .in_meta = n->in_meta,
                 .out_meta = n->out_meta,
                 .in = in,
                 .out = out,
                 .gout = n->gout,
                 .need = need,
                 .gin = gin,
                 .err = err,
                 .pool = &pool};
    rc = n->op->grad(&g);
    if (rc == 0) rc = err->code;
    for (int i = 0; rc == 0 && i < nin; i++) {
        if (!need[i] || gin[i] == NULL) continue;
        td_val *v = fitted(&g, gin[i], n->edge[i].node, &n->in_meta[i], to_leaves);
        rc = v ? flow_into(&n->edge[i].node->gout[n->edge[i].out], v, err) : err->code;
    }
done:
    pool_drain(&pool);
    td_free(pool.v);
    for (int i = 0; room && i < nin; i++) td_val_unref(&room[i]);
    for (int k = 0; k < nout; k++) td_val_unref(&out[k]);
    if (room != few) td_free(room);
    if (need != few_need) td_free(need);
    return rc;
}

static void catch_gradients(td_node *n) {
    for (int k = 0; k < TD_OP_MAX_OUT; k++)
        if (n->catch[k] && n->gout[k]) *n->catch[k] = td_val_ref(n->gout[k]);
}

static bool goes_on(const td_node *n) {
    for (int i = 0; i < n->nin; i++)
        if (n->edge[i].node && n->edge[i].node->wanted) return true;
    return false;
}

static int visit(td_node *n, bool to_leaves, bool keep_graph, td_err *err) {
    bool any = false;
    for (int k = 0; k < TD_OP_MAX_OUT; k++) any |= n->gout[k] != NULL;
    if (!any) return 0;
    catch_gradients(n);
    int rc = 0;
    if (n->op == NULL) {
        if (to_leaves) rc = td_trace_grad(n->leaf, false, err);
        if (to_leaves && rc == 0) rc = td_trace_grad(n->leaf, true, err);
        if (to_leaves && rc == 0) rc = bring_along(&n->leaf->grad, n->gout[0], err);
        if (to_leaves && rc == 0) rc = flow_into_leaf(n->leaf, n->gout[0], err);
    } else if (goes_on(n)) {
        rc = n->spent && n->op->save ? spent_twice(err) : run_rule(n, to_leaves, err);
        if (!keep_graph) {
            td_node_forget(n);
            n->spent = true;
        }
    }
    for (int k = 0; k < TD_OP_MAX_OUT; k++) td_val_unref(&n->gout[k]);
    return rc;
}

static int seed_of(td_val *y, td_val *seed, td_val **out, td_err *err) {
    if (seed) {
        if (!td_shape_equal(&seed->meta.shape, &y->meta.shape)) {
            char a[TD_SHAPE_TEXT], b[TD_SHAPE_TEXT];
            return td_fail(
                err, TD_E_SHAPE, "backward", "a gradient of %s for a tensor of %s",
                td_shape_text(&seed->meta.shape, a), td_shape_text(&y->meta.shape, b));
        }
        if (!seed->meta.weak && td_val_place(seed) != td_val_place(y)) {
            const td_place *from = td_val_place(seed), *to = td_val_place(y);
            td_fail(err, TD_E_LOCATION, "backward",
                    "the gradient is %s%s, the tensor %s%s", from ? "at " : "",
                    from ? from->name : "here", to ? "at " : "", to ? to->name : "here");
            td_hint(err, "the gradient lives where the tensor does: g:send(worker)");
            return TD_E_LOCATION;
        }
        if (seed->meta.dtype == y->meta.dtype && !seed->meta.weak) {
            *out = td_val_ref(seed);
            return 0;
        }
        td_attrs to = {0};
        td_attr_set_i(&to, 0, TD_ATTR_DTYPE, y->meta.dtype);
        return td_apply(&td_op_cast, &seed, 1, &to, out, err);
    }
    if (td_shape_numel(&y->meta.shape) != 1) {
        char a[TD_SHAPE_TEXT];
        td_fail(err, TD_E_SHAPE, "backward", "wants a tensor of one element, got %s",
                td_shape_text(&y->meta.shape, a));
        td_hint(err, "sum or average it first, or give the gradient: y:backward(g)");
        return TD_E_SHAPE;
    }
    td_attrs at;
    full_attrs(&at, &y->meta, 1);
    return td_apply_create(td_val_place(y), &td_op_full, &at, out, err);
}

static int need_tape(const td_val *y, td_err *err) {
    if (td_trace_current() && y->obj == NULL && y->node) {
        td_fail(err, TD_E_STATE, "backward",
                "the tensor was computed outside of the compiled function");
        td_hint(err, "compute it inside, or call backward outside");
        return TD_E_STATE;
    }
    if (y->requires_grad) return 0;
    td_fail(err, TD_E_STATE, "backward",
            "nothing that this tensor came from requires a gradient");
    td_hint(err, "mark the leaves: w:requires_grad_()");
    return TD_E_STATE;
}

/* A node is wanted when it ends at something wanted: oldest first, so that inputs are known. */
static void mark_wanted(walk *w) {
    for (int at = w->count - 1; at >= 0; at--) {
        td_node *n = w->node[at];
        for (int i = 0; i < n->nin && !n->wanted; i++)
            n->wanted = n->edge[i].node && n->edge[i].node->wanted;
    }
}

static int walk_back(walk *w, td_node *root, int root_out, td_val *y, td_val *seed,
                     bool to_leaves, bool keep_graph, bool create_graph, td_err *err) {
    bool old = td_tape_set_off(!create_graph);
    td_val *first = NULL;
    int rc = seed_of(y, seed, &first, err);
    if (rc == 0) {
        root->gout[root_out] = first;
        for (int at = 0; rc == 0 && at < w->count; at++)
            rc = visit(w->node[at], to_leaves, keep_graph || create_graph, err);
    }
    td_tape_set_off(old);
    return rc;
}

int td_backward(td_val *y, td_val *seed, bool keep_graph, bool create_graph,
                td_err *err) {
    err->code = 0;
    int rc = need_tape(y, err);
    if (rc) return rc;
    td_node *root = y->node ? td_node_ref(y->node) : td_tape_leaf(y, err);
    if (root == NULL) return TD_E_MEMORY;
    walk w = {.mark = ++last_walk, .err = err};
    if (walk_collect(&w, root)) {
        for (int i = 0; i < w.count; i++) w.node[i]->wanted = w.node[i]->op == NULL;
        mark_wanted(&w);
        rc = walk_back(&w, root, y->node_out, y, seed, true, keep_graph, create_graph,
                       err);
    } else {
        rc = err->code;
    }
    walk_end(&w);
    td_node_unref(&root);
    return rc;
}

int td_grad_of(td_val *y, td_val *seed, td_val *const *xs, int count, bool keep_graph,
               bool create_graph, td_val **grads, td_err *err) {
    err->code = 0;
    for (int i = 0; i < count; i++) grads[i] = NULL;
    int rc = need_tape(y, err);
    for (int i = 0; rc == 0 && i < count; i++)
        if (!xs[i]->requires_grad)
            rc = td_fail(err, TD_E_STATE, "grad", "tensor %d does not require a gradient",
                         i + 1);
    if (rc) return rc;
    td_node *root = y->node ? td_node_ref(y->node) : td_tape_leaf(y, err);
    if (root == NULL) return TD_E_MEMORY;
    walk w = {.mark = ++last_walk, .err = err};
    rc = walk_collect(&w, root) ? 0 : err->code;
    for (int i = 0; rc == 0 && i < count; i++) {
        td_node *n = xs[i]->node ? xs[i]->node : xs[i]->leaf_node;
        if (n == NULL || n->walk != w.mark) continue; /* y does not depend on it */
        td_val ***slot = &n->catch[xs[i]->node ? xs[i]->node_out : 0];
        n->wanted = true;
        if (*slot == NULL) *slot = &grads[i];
    }
    if (rc == 0) {
        mark_wanted(&w);
        rc = walk_back(&w, root, y->node_out, y, seed, false, keep_graph, create_graph,
                       err);
    }
    for (int i = 1; rc == 0 && i < count; i++) /* the same tensor asked for twice */
        for (int j = 0; j < i && grads[i] == NULL; j++)
            if (xs[j] == xs[i] && grads[j]) grads[i] = td_val_ref(grads[j]);
    walk_end(&w);
    td_node_unref(&root);
    if (rc)
        for (int i = 0; i < count; i++) td_val_unref(&grads[i]);
    return rc;
}

/* ---- marks ---- */

td_val *td_val_detach(td_val *v, td_err *err) {
    td_val *d;
    if (td_trace_current()) {
        bool old = td_tape_set_off(true);
        td_obj *obj = td_trace_object(v, "detach", err);
        td_tape_set_off(old);
        return obj ? td_val_away(td_obj_ref(obj), &v->meta, err) : NULL;
    }
    if (v->t)
        d = td_val_new(td_tensor_ref(v->t), err);
    else if (v->obj)
        d = td_val_away(td_obj_ref(v->obj), &v->meta, err);
    else
        d = td_val_coming(td_coming_ref(v->coming), &v->meta, err);
    return d;
}

int td_val_require_grad(td_val *v, bool on, td_err *err) {
    if (v->node) {
        if (on) return 0;
        td_fail(err, TD_E_STATE, "requires_grad_",
                "the tensor is the result of an operation");
        td_hint(err, "x:detach() gives one without gradients");
        return TD_E_STATE;
    }
    if (on && !td_dtype_is_float(v->meta.dtype))
        return td_fail(err, TD_E_DTYPE, "requires_grad_", "wants a float dtype, got %s",
                       td_dtype_name(v->meta.dtype));
    v->requires_grad = on;
    return 0;
}
