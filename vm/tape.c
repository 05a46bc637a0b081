/* The tape: a node for each operation that a gradient may go back through. A node keeps what its rule
 * will read (data and version, not the value's handle: a parameter may move house before backward) and
 * the way to where its inputs came from. */
#include "vm/tape.h"

#include "runtime/mem.h"
#include "vm/trace.h"

static _Thread_local uint64_t last_seq;

td_node *td_node_ref(td_node *n) {
    n->refs++;
    return n;
}

static void saved_drop(td_saved *s) {
    s->set = false;
    td_tensor_unref(&s->t);
    td_obj_unref(&s->obj);
    td_coming_unref(&s->coming);
}

void td_node_forget(td_node *n) {
    for (int i = 0; n->saved_in && i < n->nin; i++) saved_drop(&n->saved_in[i]);
    for (int k = 0; n->saved_out && k < n->nout; k++) saved_drop(&n->saved_out[k]);
}

/* A tape can be as long as a script runs, so ends are worked off a list and not by recursion: a node
 * that dies is chained through its first edge's slot. */
void td_node_unref(td_node **np) {
    td_node *first = *np;
    *np = NULL;
    if (first == NULL || --first->refs > 0) return;
    td_node *dead = first;
    first->walk = 0;
    td_node *chain = NULL; /* linked by gout[0] cast: a dead node has no gradients */
    for (;;) {
        td_node *n = dead;
        td_node_forget(n);
        for (int k = 0; k < n->nout; k++) td_val_unref(&n->gout[k]);
        for (int i = 0; i < n->nin; i++) {
            td_node *m = n->edge[i].node;
            if (m == NULL || --m->refs > 0) continue;
            td_val_unref(&m->gout[0]);
            m->gout[0] = (td_val *)(void *)chain;
            chain = m;
        }
        if (n->leaf) {
            n->leaf->leaf_node = NULL;
            td_val_unref(&n->leaf);
        }
        td_free_bytes(n, n->bytes);
        if (chain == NULL) return;
        dead = chain;
        chain = (td_node *)(void *)dead->gout[0];
        dead->gout[0] = NULL;
    }
}

/* A zeroed part of the block that is cut up at *at; the parts' sizes keep each other aligned. */
static void *part(char **at, size_t count, size_t each) {
    void *p = *at;
    *at += count * each;
    return p;
}

/* A node with its arrays in one piece of memory. saves: those of inputs, of outputs. */
static td_node *new_node(int nin, int nout, bool saves_in, bool saves_out,
                         const td_attrs *attrs, td_err *err) {
    _Static_assert(sizeof(td_node) % 8 == 0 && sizeof(td_edge) % 8 == 0 &&
                       sizeof(td_meta) % 8 == 0 && sizeof(td_saved) % 8 == 0,
                   "parts of a node's block follow each other without gaps");
    size_t in = (size_t)nin, out = (size_t)nout;
    size_t bytes = sizeof(td_node) + in * sizeof(td_edge) + (in + out) * sizeof(td_meta);
    if (saves_in) bytes += in * sizeof(td_saved);
    if (saves_out) bytes += out * sizeof(td_saved);
    if (attrs) bytes += sizeof *attrs;
    td_node *n = td_new_bytes(bytes);
    if (n == NULL) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    char *at = (char *)(n + 1);
    n->refs = 1;
    n->nin = nin;
    n->nout = nout;
    n->bytes = bytes;
    n->edge = part(&at, in, sizeof(td_edge));
    n->in_meta = part(&at, in, sizeof(td_meta));
    n->out_meta = part(&at, out, sizeof(td_meta));
    if (saves_in) n->saved_in = part(&at, in, sizeof(td_saved));
    if (saves_out) n->saved_out = part(&at, out, sizeof(td_saved));
    if (attrs) {
        n->attrs = part(&at, 1, sizeof *attrs);
        *n->attrs = *attrs;
    }
    return n;
}

td_node *td_tape_leaf(td_val *leaf, td_err *err) {
    if (leaf->leaf_node) return td_node_ref(leaf->leaf_node);
    td_node *n = new_node(0, 1, false, false, NULL, err);
    if (n == NULL) return NULL;
    n->leaf = td_val_ref(leaf);
    n->out_meta[0] = leaf->meta;
    leaf->leaf_node = n;
    return n;
}

static void save(td_saved *s, const td_val *v) {
    s->set = true;
    td_obj *traced = NULL;
    if (td_trace_current() && !(v->meta.weak && v->t))
        traced = td_trace_object((td_val *)(uintptr_t)v, "backward", &(td_err){0});
    if (traced) {
        s->obj = td_obj_ref(traced);
        s->version = traced->version->changes;
    } else if (v->t) {
        s->t = td_tensor_ref(v->t);
        s->version = v->t->storage->version;
    } else if (v->obj) {
        s->obj = td_obj_ref(v->obj);
        s->version = v->obj->version->changes;
    } else {
        s->coming = td_coming_ref(v->coming);
    }
}

static int changed(const td_node *n, td_err *err) {
    td_fail(
        err, TD_E_STATE, "backward",
        "a tensor that the gradient of %s needs was changed in place after it was used",
        n->op->name);
    td_hint(err, "change a copy: x:clone()");
    return TD_E_STATE;
}

static td_val *restore(const td_node *n, const td_saved *s, const td_meta *meta,
                       td_node *maker, int maker_out, td_err *err) {
    td_val *v = NULL;
    if (s->t) {
        if (s->t->storage->version != s->version) {
            changed(n, err);
            return NULL;
        }
        v = td_val_new(td_tensor_ref(s->t), err);
    } else if (s->obj) {
        if (s->obj->version->changes != s->version) {
            changed(n, err);
            return NULL;
        }
        v = td_val_away(td_obj_ref(s->obj), meta, err);
    } else if (s->coming) {
        v = td_val_coming(td_coming_ref(s->coming), meta, err);
    }
    if (v == NULL) return NULL;
    v->meta.weak = meta->weak;
    if (maker) {
        v->requires_grad = true;
        v->node = td_node_ref(maker);
        v->node_out = maker_out;
    }
    return v;
}

td_val *td_saved_in(td_node *n, int i, td_err *err) {
    if (n->saved_in == NULL || !n->saved_in[i].set) return NULL;
    return restore(n, &n->saved_in[i], &n->in_meta[i], n->edge[i].node, n->edge[i].out,
                   err);
}

td_val *td_saved_out(td_node *n, int k, td_err *err) {
    if (n->saved_out == NULL || !n->saved_out[k].set) return NULL;
    return restore(n, &n->saved_out[k], &n->out_meta[k], n, k, err);
}

static int make_edges(td_node *n, td_val *const *in, td_err *err) {
    for (int i = 0; i < n->nin; i++) {
        td_val *v = in[i];
        n->in_meta[i] = v->meta;
        if (!v->requires_grad) continue;
        if (v->node) {
            n->edge[i].node = td_node_ref(v->node);
            n->edge[i].out = v->node_out;
        } else {
            n->edge[i].node = td_tape_leaf(v, err);
            if (n->edge[i].node == NULL) return TD_E_MEMORY;
        }
    }
    return 0;
}

int td_tape_record(const td_op *op, td_val *const *in, int nin, const td_attrs *attrs,
                   td_val *const *out, td_err *err) {
    bool any = false;
    for (int i = 0; i < nin; i++) any |= in[i]->requires_grad;
    if (!any) return 0;
    td_node *n = new_node(nin, op->nout, op->save & TD_SAVE_ALL_IN,
                          op->save & ~TD_SAVE_ALL_IN, attrs, err);
    if (n == NULL) return TD_E_MEMORY;
    n->seq = ++last_seq;
    n->op = op;
    int rc = make_edges(n, in, err);
    for (int i = 0; rc == 0 && n->saved_in && i < nin && i < 16; i++)
        if (op->save & TD_SAVE_IN(i)) save(&n->saved_in[i], in[i]);
    for (int k = 0; rc == 0 && k < op->nout; k++) {
        n->out_meta[k] = out[k]->meta;
        if (op->save & TD_SAVE_OUT(k)) save(&n->saved_out[k], out[k]);
        if (!td_dtype_is_float(out[k]->meta.dtype))
            continue; /* positions carry no gradient */
        out[k]->requires_grad = true;
        out[k]->node = td_node_ref(n);
        out[k]->node_out = k;
    }
    td_node_unref(&n);
    return rc;
}
