/* Reverse-mode gradients: the tape's nodes, gradient rules, backward.
 *
 * A rule is given the gradients of the outputs and leaves those of the inputs. Everything that it
 * computes goes through td_apply, so the same rule serves tensors here, at a worker, while tracing, and
 * second derivatives. Values made inside a rule belong to the rule's context and are released after it:
 *
 *     // y = a * b:  da = g * b,  db = g * a
 *     static int mul_grad(td_grad *g) {
 *         g->gin[0] = g_mul(g, g->gout[0], g->in[1]);
 *         g->gin[1] = g_mul(g, g->gout[0], g->in[0]);
 *         return 0;
 *     }
 *
 * g_ functions return NULL after an error (kept in g->err) and pass NULL through, so that rules need no
 * checks in between. A gradient whose shape is its input's before broadcasting, or whose dtype differs,
 * is summed and cast by the caller: rules do not care. Only those with g->need[i] have to be set. */
#ifndef TD_GRAD_H
#define TD_GRAD_H

#include "vm/apply.h"

typedef struct td_grad {
    const td_op *op;
    const td_attrs *attrs;
    int nin, nout;
    const td_meta *in_meta; /* of the promoted inputs */
    const td_meta *out_meta;
    td_val *const *in;   /* those that op->save names; NULL otherwise */
    td_val *const *out;  /* likewise */
    td_val *const *gout; /* gradient of each output; NULL where nothing flowed in */
    const bool *need;    /* which inputs want one */
    td_val **gin;        /* to be set */
    td_err *err;
    struct td_grad_pool *pool; /* owns what the rule makes */
} td_grad;

/* Output 0 of op on inputs; NULL inputs or an earlier error give NULL. */
td_val *g_op(td_grad *g, const td_op *op, const td_attrs *attrs, int nin,
             td_val *const *in);
/* All outputs. False after an error. */
bool g_op_n(td_grad *g, const td_op *op, const td_attrs *attrs, int nin,
            td_val *const *in, td_val **out);
td_val *g_num(td_grad *g, double v); /* a plain number */
td_val *g_neg(td_grad *g, td_val *a);
td_val *g_add(td_grad *g, td_val *a, td_val *b);
td_val *g_sub(td_grad *g, td_val *a, td_val *b);
td_val *g_mul(td_grad *g, td_val *a, td_val *b);
td_val *g_div(td_grad *g, td_val *a, td_val *b);
td_val *g_unary(td_grad *g, const td_op *op, td_val *a);
td_val *g_binary(td_grad *g, const td_op *op, td_val *a, td_val *b);
td_val *g_reshape(td_grad *g, td_val *a, const td_shape *to);
td_val *g_expand(td_grad *g, td_val *a, const td_shape *to);
td_val *g_sum_to(td_grad *g, td_val *a, const td_shape *to); /* undoes a broadcast */
td_val *g_cast(td_grad *g, td_val *a, td_dtype to);
/* A gradient of input i, [rows, width], that is zero but for a few rows; see rows.h. It arrives in a leaf's
 * .grad as it is, anywhere else whole. The parts must be memory of their own. */
td_val *g_rows(td_grad *g, int i, td_val *ids, td_val *values, td_val *first);
/* Zeros of a shape where `like` lives. */
td_val *g_zeros(td_grad *g, const td_meta *meta, td_val *like);

/* Gradients of the scalar-or-seeded y with respect to all leaves: added to their .grad. seed NULL: y
 * must have one element, and 1 is taken. keep_graph: the tape can be walked again; create_graph: the
 * gradients are on the tape themselves (a leaf whose .grad is on the tape holds its own graph: it goes when
 * .grad is let go). A first gradient is memory of its own, never shared with another leaf's or the seed.
 * STATE: y is not on a tape, walked twice, changed in place. */
int td_backward(td_val *y, td_val *seed, bool keep_graph, bool create_graph, td_err *err);
/* Gradients of y with respect to xs, returned and not accumulated; NULL where y does not depend on it. */
int td_grad_of(td_val *y, td_val *seed, td_val *const *xs, int count, bool keep_graph,
               bool create_graph, td_val **grads, td_err *err);

/* A value that shares data with v and is on no tape. */
td_val *td_val_detach(td_val *v, td_err *err);
/* Marks a leaf. DTYPE unless float; STATE for a value that is the result of something. */
int td_val_require_grad(td_val *v, bool on, td_err *err);

/* For td_apply: enters an operation on the tape, marks out. in are the promoted inputs. */
int td_tape_record(const td_op *op, td_val *const *in, int nin, const td_attrs *attrs,
                   td_val *const *out, td_err *err);
void td_node_unref(td_node **n);
td_node *td_node_ref(td_node *n);

#endif
