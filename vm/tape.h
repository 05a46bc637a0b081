/* The tape's inside, shared by its two halves: recording (tape.c) and walking (backward.c). */
#ifndef TD_TAPE_H
#define TD_TAPE_H

#include "vm/grad.h"

/* Where an input came from. */
typedef struct td_edge {
    td_node *node; /* counted; NULL: needs no gradient */
    int out;
} td_edge;

/* What a rule will want to see again: the data as it was, and how often it had been changed. */
typedef struct td_saved {
    bool set;
    td_tensor *t;
    td_obj *obj;
    td_coming *coming;
    uint32_t version;
} td_saved;

struct td_node {
    int refs;
    uint64_t seq;    /* order of making: a node's inputs have smaller ones */
    const td_op *op; /* NULL: an accumulator, the end of a path at a leaf */
    td_val *leaf;    /* of an accumulator, counted */
    td_attrs *attrs; /* NULL when op has none */
    int nin, nout;
    bool spent; /* walked without keep_graph: what was saved is gone */
    /* nin and nout of them, in the node's own block */
    td_edge *edge;
    td_meta *in_meta, *out_meta;
    td_saved *saved_in, *saved_out; /* NULL when the rule reads none */
    size_t bytes;                   /* of the block */
    /* Of the walk that is under way: */
    uint64_t walk;                 /* which one has seen it */
    bool wanted;                   /* a gradient is wanted at or below it */
    td_val *gout[TD_OP_MAX_OUT];   /* what has flowed in so far */
    td_val **catch[TD_OP_MAX_OUT]; /* where td_grad_of wants this gradient put, or NULL */
};

/* The accumulator of a leaf, made when there is none. A new reference. */
td_node *td_tape_leaf(td_val *leaf, td_err *err);
/* The saved input or output as a value on the tape. A new reference; STATE when it has been changed. */
td_val *td_saved_in(td_node *n, int i, td_err *err);
td_val *td_saved_out(td_node *n, int k, td_err *err);
void td_node_forget(td_node *n); /* drops what was saved */

#endif
