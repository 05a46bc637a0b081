/* Views: those that change nothing go, those of views become one, and an operation that broadcasts its
 * inputs anyway takes what an expand or a reshape with more 1s was made of. */
#include "vm/apply.h"
#include "vm/passes/rewrite.h"

TD_OP_USE(expand);
TD_OP_USE(narrow);
TD_OP_USE(permute);
TD_OP_USE(reshape);
TD_OP_USE(squeeze);
TD_OP_USE(transpose);
TD_OP_USE(unsqueeze);

static const td_instr *view_behind(const td_program *p, uint32_t v) {
    const td_value *value = &p->value[v];
    const td_instr *maker =
        value->kind == TD_VALUE_RESULT ? &p->instr[value->maker] : NULL;
    return maker && (maker->op->flags & TD_OP_VIEW) ? maker : NULL;
}

static const td_shape *shape_of(const td_program *p, uint32_t v) {
    return &p->value[v].meta.shape;
}

/* A reshape may copy, which nobody can tell as long as nothing writes to that memory and no caller
 * gets it. */
static bool is_quiet(const td_program *p, uint32_t v) {
    const td_value *root = &p->value[td_program_root(p, v)];
    return !root->assigned && !root->given;
}

/* ---- dimensions in another order ---- */

/* Where each dimension of the view comes from; false for other views. */
static bool order_of(const td_program *p, const td_instr *in, int from[TD_MAX_DIM]) {
    int ndim = shape_of(p, in->out)->ndim;
    if (in->op == &td_op_permute) {
        for (int d = 0; d < ndim; d++) from[d] = (int)in->attrs->v[0].list[d];
        return true;
    }
    if (in->op != &td_op_transpose) return false;
    for (int d = 0; d < ndim; d++) from[d] = d;
    int64_t a = in->attrs->v[0].i, b = in->attrs->v[1].i;
    from[a] = (int)b;
    from[b] = (int)a;
    return true;
}

static void put_order(td_rewrite *w, uint32_t i, uint32_t x, const int *from, int ndim) {
    int64_t list[TD_MAX_DIM];
    int moved = 0, first = 0, last = 0;
    for (int d = 0; d < ndim; d++) {
        list[d] = from[d];
        if (from[d] == d) continue;
        if (moved++ == 0) first = d;
        last = d;
    }
    td_attrs a = {0};
    uint32_t in = td_rewrite_value(w, x);
    w->changed = true;
    if (moved == 0) {
        td_rewrite_replace(w, w->p->instr[i].out, in);
    } else if (moved == 2) {
        td_attr_set_i(&a, 0, TD_ATTR_DIM, first);
        td_attr_set_i(&a, 1, TD_ATTR_DIM, last);
        td_rewrite_op(w, i, &td_op_transpose, &in, 1, &a);
    } else {
        td_attr_set_list(&a, 0, TD_ATTR_DIMS, list, ndim);
        td_rewrite_op(w, i, &td_op_permute, &in, 1, &a);
    }
}

static bool order_of_order(td_rewrite *w, uint32_t i) {
    const td_program *p = w->p;
    const td_instr *in = &p->instr[i], *before = view_behind(p, in->in[0]);
    int outer[TD_MAX_DIM], inner[TD_MAX_DIM], both[TD_MAX_DIM];
    if (before == NULL || !order_of(p, in, outer) || !order_of(p, before, inner))
        return false;
    int ndim = shape_of(p, in->out)->ndim;
    for (int d = 0; d < ndim; d++) both[d] = inner[outer[d]];
    put_order(w, i, before->in[0], both, ndim);
    return true;
}

/* ---- the same elements in other sizes ---- */

static bool is_reshape(const td_op *op) {
    return op == &td_op_reshape || op == &td_op_squeeze || op == &td_op_unsqueeze;
}

static void put_sized(td_rewrite *w, uint32_t i, const td_op *op, uint32_t x) {
    td_attrs a = {0};
    td_attr_set_sizes(&a, 0, shape_of(w->p, w->p->instr[i].out));
    uint32_t in = td_rewrite_value(w, x);
    td_rewrite_op(w, i, op, &in, 1, &a);
    w->changed = true;
}

static bool size_of_size(td_rewrite *w, uint32_t i) {
    const td_program *p = w->p;
    const td_instr *in = &p->instr[i], *before = view_behind(p, in->in[0]);
    if (before == NULL) return false;
    uint32_t x = before->in[0];
    if (in->op == &td_op_expand && before->op == &td_op_expand) {
        put_sized(w, i, &td_op_expand, x);
        return true;
    }
    if (!is_reshape(in->op) || !is_reshape(before->op)) return false;
    bool pure = td_view_is_pure(in->op) && td_view_is_pure(before->op);
    bool back = td_shape_equal(shape_of(p, x), shape_of(p, in->out));
    if (!is_quiet(p, x) && !(pure && back)) return false;
    if (back)
        td_rewrite_replace(w, in->out, td_rewrite_value(w, x));
    else
        put_sized(w, i, &td_op_reshape, x);
    return true;
}

/* A view that leaves everything where it is. */
static bool is_nothing(const td_program *p, const td_instr *in) {
    int from[TD_MAX_DIM];
    if (!td_shape_equal(shape_of(p, in->in[0]), shape_of(p, in->out))) return false;
    if (!order_of(p, in, from))
        return is_reshape(in->op) || in->op == &td_op_expand || in->op == &td_op_narrow;
    for (int d = 0; d < shape_of(p, in->out)->ndim; d++)
        if (from[d] != d) return false;
    return true;
}

/* ---- what broadcasts anyway ---- */

/* Do both stand for the same elements when they are broadcast to something larger? */
static bool is_same_but_ones(const td_shape *a, const td_shape *b) {
    int i = 0, j = 0;
    while (i < a->ndim && a->dim[i] == 1) i++;
    while (j < b->ndim && b->dim[j] == 1) j++;
    if (a->ndim - i != b->ndim - j) return false;
    for (; i < a->ndim; i++, j++)
        if (a->dim[i] != b->dim[j]) return false;
    return true;
}

/* What an operand of a broadcasting operation may be instead, or v itself. */
static uint32_t plain_operand(const td_program *p, uint32_t v) {
    const td_instr *view = view_behind(p, v);
    if (view == NULL) return v;
    uint32_t x = view->in[0];
    if (view->op == &td_op_expand) return x;
    if (is_reshape(view->op) && is_same_but_ones(shape_of(p, x), shape_of(p, v)) &&
        (td_view_is_pure(view->op) || is_quiet(p, x)))
        return x;
    return v;
}

/* One operand after the other, as long as the result keeps its sizes. */
static bool use_plain(td_rewrite *w, uint32_t i) {
    const td_program *p = w->p;
    const td_instr *in = &p->instr[i];
    td_meta meta[8], out;
    uint32_t use[8];
    bool any = false;
    if (!(in->op->flags & TD_OP_ELEMENTWISE) || in->nin > 8 || in->op->nout != 1)
        return false;
    for (uint32_t k = 0; k < in->nin; k++) {
        use[k] = in->in[k];
        meta[k] = p->value[use[k]].meta;
    }
    for (uint32_t k = 0; k < in->nin; k++) {
        uint32_t x = plain_operand(p, use[k]);
        if (x == use[k]) continue;
        td_meta old = meta[k];
        td_attrs attrs = {0};
        if (in->attrs) attrs = *in->attrs;
        meta[k] = p->value[x].meta;
        if (td_op_infer(in->op, meta, (int)in->nin, &attrs, &out, NULL) == 0 &&
            td_shape_equal(&out.shape, shape_of(p, in->out))) {
            use[k] = x;
            any = true;
        } else {
            meta[k] = old;
        }
    }
    if (!any) return false;
    for (uint32_t k = 0; k < in->nin; k++) use[k] = td_rewrite_value(w, use[k]);
    td_rewrite_op(w, i, in->op, use, in->nin, in->attrs);
    w->changed = true;
    return true;
}

static bool simpler(td_rewrite *w, uint32_t i) {
    const td_program *p = w->p;
    const td_instr *in = &p->instr[i];
    if (!(in->op->flags & TD_OP_VIEW)) return use_plain(w, i);
    if (is_nothing(p, in)) {
        td_rewrite_replace(w, in->out, td_rewrite_value(w, in->in[0]));
        return true;
    }
    return order_of_order(w, i) || size_of_size(w, i);
}

int td_pass_views(td_program *p, td_program **out, td_err *err) {
    td_rewrite w;
    if (td_rewrite_begin(&w, p, err) == 0)
        for (uint32_t i = 0; i < p->instr_count; i++)
            if (!simpler(&w, i)) td_rewrite_copy(&w, i);
    return td_rewrite_end(&w, out, err);
}
