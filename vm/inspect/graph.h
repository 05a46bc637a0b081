/* A program as boxes and lines, for whoever draws it. Small constants stand in the boxes of the operations that
 * use them; an input has a box near each use, since one that is used all over would tie everything
 * together; an assignment to an input is a box of its own at the end. */
#ifndef TD_INSPECT_GRAPH_H
#define TD_INSPECT_GRAPH_H

#include "vm/program.h"

typedef enum td_box_kind {
    TD_BOX_INPUT,
    TD_BOX_CONST,
    TD_BOX_PRODUCT, /* operations with work of their own: matmul, conv2d, lstm */
    TD_BOX_ELEMENTWISE,
    TD_BOX_VIEW,
    TD_BOX_RANDOM,
    TD_BOX_OTHER,
    TD_BOX_ASSIGN,
    TD_BOX_OUTPUT,
} td_box_kind;

typedef struct td_box {
    td_box_kind kind;
    bool assigned; /* INPUT: its memory is changed */
    int layer;     /* from 0, above; lines lead downwards */
    char name[64]; /* "mul 0.1" */
    char sizes[64];
    const td_instr *instr; /* of operations */
} td_box;

typedef struct td_line {
    uint32_t from, to; /* boxes */
} td_line;

typedef struct td_graph {
    td_box *box;
    td_line *line;
    uint32_t boxes, lines;
    int layers;
} td_graph;

/* False when memory is out. */
bool td_graph_make(td_graph *g, const td_program *p);
void td_graph_free(td_graph *g);

#endif
