/* The drawing that Graphviz makes: dot -Tsvg. */
#include "vm/inspect.h"
#include "vm/inspect/graph.h"
#include "vm/text.h"

static const char *style_of(const td_box *b) {
    switch (b->kind) {
    case TD_BOX_INPUT:
        return b->assigned ? "shape=ellipse, fillcolor=\"#fde3c8\""
                           : "shape=ellipse, fillcolor=\"#e8edf3\"";
    case TD_BOX_CONST: return "shape=ellipse, fillcolor=\"#f4f4f4\"";
    case TD_BOX_PRODUCT: return "fillcolor=\"#cfe0f7\"";
    case TD_BOX_VIEW: return "fillcolor=\"#ffffff\", style=\"filled,rounded,dashed\"";
    case TD_BOX_RANDOM: return "fillcolor=\"#e9dcf5\"";
    case TD_BOX_OTHER: return "fillcolor=\"#d9efdc\"";
    case TD_BOX_ASSIGN: return "fillcolor=\"#fde3c8\"";
    case TD_BOX_OUTPUT: return "shape=ellipse, fillcolor=\"#f9d6d5\"";
    default: return "fillcolor=\"#fbf3cf\"";
    }
}

char *td_inspect_dot(const td_program *p) {
    td_graph g;
    td_text t = {0};
    if (!td_graph_make(&g, p)) return NULL;
    td_text_put(&t,
                "digraph program {\n"
                "  node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\", "
                "fontsize=11]\n  edge [color=\"#7a8594\"]\n");
    for (uint32_t i = 0; i < g.boxes; i++)
        td_text_put(&t, "  b%u [label=\"%s\\n%s\", %s]\n", i, g.box[i].name,
                    g.box[i].sizes, style_of(&g.box[i]));
    for (uint32_t i = 0; i < g.lines; i++)
        td_text_put(&t, "  b%u -> b%u\n", g.line[i].from, g.line[i].to);
    td_text_put(&t, "}\n");
    td_graph_free(&g);
    return td_text_end(&t);
}
