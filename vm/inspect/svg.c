/* The drawing of our own: boxes in layers, curves between them, a line of figures above. */
#include <string.h>

#include "runtime/mem.h"
#include "vm/inspect.h"
#include "vm/inspect/layout.h"
#include "vm/text.h"

enum { MARGIN = 24, HEAD = 56, BOX_HEIGHT = 36, GAP_X = 14, GAP_Y = 30, LETTER = 7 };

static const char *const style =
    "text { font: 12px ui-sans-serif, system-ui, 'DejaVu Sans', sans-serif; fill: "
    "#1f2937; "
    "text-anchor: middle }\n"
    ".name { font-weight: 600 }\n"
    ".sizes { font-size: 10px; fill: #5b6675 }\n"
    ".head { font-size: 14px; font-weight: 600; text-anchor: start }\n"
    ".figures { fill: #5b6675; text-anchor: start }\n"
    "rect { stroke-width: 1.2 }\n"
    "path { fill: none; stroke: #98a2b0; stroke-width: 1.3 }\n"
    ".product { fill: #dbe8fb; stroke: #4f83cc }\n"
    ".elementwise { fill: #fdf6d8; stroke: #cfae3c }\n"
    ".other { fill: #def1e1; stroke: #5aa469 }\n"
    ".view { fill: #ffffff; stroke: #a3adb9; stroke-dasharray: 4 3 }\n"
    ".random { fill: #efe4f9; stroke: #9a6fc4 }\n"
    ".assign, .parameter { fill: #fde9d3; stroke: #dd8a34 }\n"
    ".input { fill: #eef2f6; stroke: #8593a3 }\n"
    ".constant { fill: #f7f7f7; stroke: #b5b5b5 }\n"
    ".output { fill: #fbe0df; stroke: #cf5b57 }\n";

static const char *class_of(const td_box *b) {
    switch (b->kind) {
    case TD_BOX_INPUT: return b->assigned ? "parameter" : "input";
    case TD_BOX_CONST: return "constant";
    case TD_BOX_PRODUCT: return "product";
    case TD_BOX_VIEW: return "view";
    case TD_BOX_RANDOM: return "random";
    case TD_BOX_OTHER: return "other";
    case TD_BOX_ASSIGN: return "assign";
    case TD_BOX_OUTPUT: return "output";
    default: return "elementwise";
    }
}

static bool is_pill(const td_box *b) {
    return b->kind == TD_BOX_INPUT || b->kind == TD_BOX_CONST || b->kind == TD_BOX_OUTPUT;
}

static double width_of(const td_box *b) {
    double name = (double)strlen(b->name) * LETTER,
           sizes = (double)strlen(b->sizes) * (LETTER - 1.1);
    double most = name > sizes ? name : sizes;
    return (most < 40 ? 40 : most) + (is_pill(b) ? 30 : 22);
}

/* A text from a script (its path) may hold what XML does not bear. */
static void put_escaped(td_text *t, const char *s) {
    for (; *s; s++) {
        switch (*s) {
        case '<': td_text_put(t, "&lt;"); break;
        case '>': td_text_put(t, "&gt;"); break;
        case '&': td_text_put(t, "&amp;"); break;
        default: td_text_put(t, "%c", (unsigned char)*s < 32 ? ' ' : *s);
        }
    }
}

static void put_box(td_text *t, const td_box *b, td_spot at, double width) {
    double x = at.x - width / 2, y = at.y - BOX_HEIGHT / 2.0;
    td_text_put(t, "<g><title>");
    put_escaped(t, b->name);
    if (b->instr) td_text_put_attrs(t, b->instr->op, b->instr->attrs, "  ", -1);
    if (b->instr && b->instr->where) {
        td_text_put(t, "  -- ");
        put_escaped(t, b->instr->where);
    }
    td_text_put(t,
                "</title><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                "height=\"%d\" rx=\"%d\"/>",
                class_of(b), x, y, width, BOX_HEIGHT, is_pill(b) ? BOX_HEIGHT / 2 : 6);
    td_text_put(t, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">", at.x, at.y - 2);
    put_escaped(t, b->name);
    td_text_put(t, "</text><text class=\"sizes\" x=\"%.1f\" y=\"%.1f\">%s</text></g>\n",
                at.x, at.y + 12, b->sizes);
}

/* A curve that leaves and arrives upright, past the points on its way. */
static void put_line(td_text *t, const td_graph *g, const td_layout *l, uint32_t i) {
    td_spot at = l->box[g->line[i].from], end = l->box[g->line[i].to];
    at.y += BOX_HEIGHT / 2.0;
    td_text_put(t, "<path d=\"M%.1f %.1f", at.x, at.y);
    for (uint32_t k = l->first[i]; k <= l->first[i + 1]; k++) {
        bool is_last = k == l->first[i + 1];
        td_spot to = is_last ? end : l->point[k];
        double arrive = to.y - BOX_HEIGHT / 2.0, middle = (at.y + arrive) / 2;
        td_text_put(t, " C%.1f %.1f %.1f %.1f %.1f %.1f", at.x, middle, to.x, middle,
                    to.x, arrive);
        if (!is_last) td_text_put(t, " V%.1f", to.y + BOX_HEIGHT / 2.0);
        at = (td_spot){to.x, to.y + BOX_HEIGHT / 2.0};
    }
    td_text_put(t, "\" marker-end=\"url(#tip)\"/>\n");
}

static void put_head(td_text *t, const td_program *p, double width, double height) {
    td_text_put(t,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
                "height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n<style>\n%s</style>\n",
                width, height, width, height, style);
    td_text_put(t,
                "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" "
                "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 "
                "0.8L8 4L0 7.2z\" style=\"fill:#98a2b0;stroke:none\"/></marker></defs>\n"
                "<rect width=\"100%%\" height=\"100%%\" style=\"fill:#fff\"/>\n");
    td_text_put(t, "<text class=\"head\" x=\"%d\" y=\"%d\">%u operation%s</text>\n",
                MARGIN, MARGIN + 4, p->instr_count, p->instr_count == 1 ? "" : "s");
    char *figures = td_inspect_figures(p);
    td_text_put(t, "<text class=\"figures\" x=\"%d\" y=\"%d\">%s</text>\n", MARGIN,
                MARGIN + 22, figures ? figures : "");
    td_free(figures);
}

/* What is drawn in place of what nobody could read. */
static char *too_large(const td_program *p) {
    td_text t = {0};
    put_head(&t, p, 420, 110);
    td_text_put(&t,
                "<text class=\"figures\" x=\"%d\" y=\"%d\">too large to be drawn</text>\n"
                "</svg>\n",
                MARGIN, MARGIN + 48);
    return td_text_end(&t);
}

char *td_inspect_svg(const td_program *p) {
    td_graph g;
    td_layout l;
    if (p->instr_count > TD_DRAW_MAX) return too_large(p);
    if (!td_graph_make(&g, p)) return NULL;
    double *width = td_new_array((size_t)g.boxes + 1, sizeof *width);
    for (uint32_t b = 0; width && b < g.boxes; b++) width[b] = width_of(&g.box[b]);
    if (width == NULL || !td_layout_make(&l, &g, width, BOX_HEIGHT, GAP_X, GAP_Y)) {
        td_free(width);
        td_graph_free(&g);
        return too_large(p);
    }
    for (uint32_t b = 0; b < g.boxes; b++) {
        l.box[b].x += MARGIN;
        l.box[b].y += MARGIN + HEAD;
    }
    for (uint32_t k = 0; k < l.first[g.lines]; k++) {
        l.point[k].x += MARGIN;
        l.point[k].y += MARGIN + HEAD;
    }
    td_text t = {0};
    double wide = l.width + 2 * MARGIN;
    put_head(&t, p, wide < 420 ? 420 : wide, l.height + 2 * MARGIN + HEAD);
    for (uint32_t i = 0; i < g.lines; i++) put_line(&t, &g, &l, i);
    for (uint32_t b = 0; b < g.boxes; b++) put_box(&t, &g.box[b], l.box[b], width[b]);
    td_text_put(&t, "</svg>\n");
    td_layout_free(&l);
    td_free(width);
    td_graph_free(&g);
    return td_text_end(&t);
}
