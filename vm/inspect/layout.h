/* Where boxes and lines go on the page: layers from top to bottom, few crossings, lines as straight as can be. The
 * way of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures",
 * 1981: places for lines in the layers that they pass, the order within layers by the means of the
 * neighbours, then coordinates. */
#ifndef TD_INSPECT_LAYOUT_H
#define TD_INSPECT_LAYOUT_H

#include "vm/inspect/graph.h"

/* More places than this, and the drawing would help nobody. */
#define TD_LAYOUT_MAX 100000

typedef struct td_spot {
    double x, y;
} td_spot;

typedef struct td_layout {
    td_spot *box; /* centres */
    td_spot *
        point; /* of the lines: line i goes through points first[i] .. first[i + 1] - 1, */
    uint32_t *first; /* between the boxes that it joins; often through none */
    double width, height;
} td_layout;

/* width: of each box. False when memory is out, or the graph is too large. */
bool td_layout_make(td_layout *l, const td_graph *g, const double *width, double height,
                    double gap_x, double gap_y);
void td_layout_free(td_layout *l);

#endif
