/* The layered layout. */
#include "vm/inspect/layout.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"

#define SWEEPS 24
#define LINE_WIDTH 10 /* what a line takes in a layer that it passes */
#define LINE_PULL 6   /* how much more it is drawn to its neighbours than a box */

/* A box, or the place of a line in a layer that it passes. */
typedef struct slot {
    int layer;
    uint32_t at; /* in its layer, from the left */
    double width, pull, x;
} slot;

typedef struct edge {
    uint32_t up, down; /* slots in layers that follow one another */
} edge;

typedef struct work {
    slot *slot;
    edge *edge;
    uint32_t slots, edges;
    uint32_t *row;       /* slots, layer by layer, from the left */
    uint32_t *row_first; /* of a layer; one more at the end */
    uint32_t *above, *above_first, *below, *below_first; /* neighbours of a slot */
    double *mean, *weight;                               /* for place_row */
    struct wish *wish;
    int layers;
    double gap;
} work;

/* ---- slots and edges ---- */

static uint64_t slots_of(const td_graph *g) {
    uint64_t n = g->boxes;
    for (uint32_t i = 0; i < g->lines; i++)
        n += (uint64_t)(g->box[g->line[i].to].layer - g->box[g->line[i].from].layer - 1);
    return n;
}

static void add_edge(work *w, uint32_t up, uint32_t down) {
    w->edge[w->edges++] = (edge){up, down};
}

static void make_slots(work *w, const td_graph *g, const double *width, uint32_t *first) {
    for (uint32_t b = 0; b < g->boxes; b++)
        w->slot[b] = (slot){.layer = g->box[b].layer, .width = width[b], .pull = 1};
    w->slots = g->boxes;
    for (uint32_t i = 0; i < g->lines; i++) {
        uint32_t from = g->line[i].from, to = g->line[i].to;
        first[i] = w->slots - g->boxes;
        for (int layer = g->box[from].layer + 1; layer < g->box[to].layer; layer++) {
            w->slot[w->slots] =
                (slot){.layer = layer, .width = LINE_WIDTH, .pull = LINE_PULL};
            add_edge(w, from, w->slots);
            from = w->slots++;
        }
        add_edge(w, from, to);
    }
    first[g->lines] = w->slots - g->boxes;
}

/* Lists of the ends of edges, by their other ends. */
static void make_lists(const work *w, bool is_above, uint32_t *list, uint32_t *first) {
    memset(first, 0, sizeof *first * ((size_t)w->slots + 2));
    for (uint32_t e = 0; e < w->edges; e++)
        first[(is_above ? w->edge[e].down : w->edge[e].up) + 2]++;
    for (uint32_t s = 2; s < w->slots + 2; s++) first[s] += first[s - 1];
    for (uint32_t e = 0; e < w->edges; e++) {
        uint32_t own = is_above ? w->edge[e].down : w->edge[e].up;
        list[first[own + 1]++] = is_above ? w->edge[e].up : w->edge[e].down;
    }
}

static void make_rows(work *w) {
    memset(w->row_first, 0, sizeof *w->row_first * ((size_t)w->layers + 2));
    for (uint32_t s = 0; s < w->slots; s++) w->row_first[w->slot[s].layer + 2]++;
    for (int l = 2; l < w->layers + 2; l++) w->row_first[l] += w->row_first[l - 1];
    for (uint32_t s = 0; s < w->slots; s++) {
        uint32_t *next = &w->row_first[w->slot[s].layer + 1];
        w->slot[s].at = *next - w->row_first[w->slot[s].layer];
        w->row[(*next)++] = s;
    }
}

/* ---- the order within layers ---- */

typedef struct wish {
    double key;
    uint32_t at, slot;
} wish;

static int by_key(const void *a, const void *b) {
    const wish *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static double mean_of(const work *w, uint32_t s, bool is_above, bool of_x, double none) {
    const uint32_t *list = is_above ? w->above : w->below,
                   *first = is_above ? w->above_first : w->below_first;
    double sum = 0;
    for (uint32_t k = first[s]; k < first[s + 1]; k++)
        sum += of_x ? w->slot[list[k]].x : w->slot[list[k]].at;
    uint32_t n = first[s + 1] - first[s];
    return n ? sum / n : none;
}

/* Each slot of a layer moves to the mean of its neighbours in the layer above or below. */
static void order_row(work *w, int layer, bool by_above) {
    uint32_t from = w->row_first[layer], n = w->row_first[layer + 1] - from;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t s = w->row[from + k];
        w->wish[k] = (wish){mean_of(w, s, by_above, false, k), k, s};
    }
    qsort(w->wish, n, sizeof *w->wish, by_key);
    for (uint32_t k = 0; k < n; k++) {
        w->row[from + k] = w->wish[k].slot;
        w->slot[w->wish[k].slot].at = k;
    }
}

static void order_rows(work *w) {
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int l = 1; l < w->layers; l++)
            order_row(w, sweep % 2 ? w->layers - 1 - l : l, sweep % 2 == 0);
}

/* ---- coordinates ---- */

static double apart(const work *w, uint32_t a, uint32_t b) {
    return (w->slot[a].width + w->slot[b].width) / 2 + w->gap;
}

/* The places of a layer's slots that are nearest to where they would like to be, in the sense of least
 * squares, in their order and far enough apart. With the distances taken off that is an ascending fit, found
 * by pooling neighbours that are the wrong way round. */
static void place_row(work *w, int layer, bool by_above) {
    uint32_t from = w->row_first[layer], n = w->row_first[layer + 1] - from, pools = 0;
    double off = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t s = w->row[from + k];
        if (k) off += apart(w, w->row[from + k - 1], s);
        double want = mean_of(w, s, by_above, true, w->slot[s].x) - off;
        w->mean[pools] = want;
        w->weight[pools] = w->slot[s].pull;
        w->wish[pools].slot = 1; /* slots in the pool */
        pools++;
        while (pools > 1 && w->mean[pools - 2] >= w->mean[pools - 1]) {
            double a = w->weight[pools - 2], b = w->weight[pools - 1];
            w->mean[pools - 2] =
                (w->mean[pools - 2] * a + w->mean[pools - 1] * b) / (a + b);
            w->weight[pools - 2] = a + b;
            w->wish[pools - 2].slot += w->wish[pools - 1].slot;
            pools--;
        }
    }
    off = 0;
    for (uint32_t pool = 0, k = 0; pool < pools; pool++)
        for (uint32_t left = w->wish[pool].slot; left > 0; left--, k++) {
            uint32_t s = w->row[from + k];
            if (k) off += apart(w, w->row[from + k - 1], s);
            w->slot[s].x = w->mean[pool] + off;
        }
}

static void place_rows(work *w) {
    for (int l = 0; l < w->layers; l++) {
        double x = 0;
        for (uint32_t k = w->row_first[l]; k < w->row_first[l + 1]; k++) {
            if (k > w->row_first[l]) x += apart(w, w->row[k - 1], w->row[k]);
            w->slot[w->row[k]].x = x;
        }
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int l = 0; l < w->layers; l++)
            place_row(w, sweep % 2 ? w->layers - 1 - l : l, sweep % 2 == 0);
}

/* ---- all of it ---- */

static bool make_work(work *w, const td_graph *g, uint64_t slots) {
    size_t n = (size_t)slots + 2;
    size_t e = (size_t)(slots - g->boxes) + g->lines + 1, layers = (size_t)w->layers + 3;
    w->slot = td_new_array(n, sizeof *w->slot);
    w->edge = td_new_array(e, sizeof *w->edge);
    w->row = td_new_array(n, sizeof *w->row);
    w->row_first = td_new_array(layers, sizeof *w->row_first);
    w->above = td_new_array(e, sizeof *w->above);
    w->below = td_new_array(e, sizeof *w->below);
    w->above_first = td_new_array(n + 1, sizeof *w->above_first);
    w->below_first = td_new_array(n + 1, sizeof *w->below_first);
    w->mean = td_new_array(n, sizeof *w->mean);
    w->weight = td_new_array(n, sizeof *w->weight);
    w->wish = td_new_array(n, sizeof *w->wish);
    return w->slot && w->edge && w->row && w->row_first && w->above && w->below &&
           w->above_first && w->below_first && w->mean && w->weight && w->wish;
}

static void free_work(work *w) {
    void *all[] = {w->slot,  w->edge,   w->row,         w->row_first,
                   w->above, w->below,  w->above_first, w->below_first,
                   w->mean,  w->weight, w->wish};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) td_free(all[i]);
}

static void copy_out(td_layout *l, const work *w, const td_graph *g, double height,
                     double gap_y) {
    double left = 0, right = 0;
    for (uint32_t s = 0; s < w->slots; s++) {
        double half = w->slot[s].width / 2;
        if (s == 0 || w->slot[s].x - half < left) left = w->slot[s].x - half;
        if (s == 0 || w->slot[s].x + half > right) right = w->slot[s].x + half;
    }
    for (uint32_t s = 0; s < w->slots; s++) {
        td_spot *to = s < g->boxes ? &l->box[s] : &l->point[s - g->boxes];
        *to = (td_spot){w->slot[s].x - left,
                        height / 2 + w->slot[s].layer * (height + gap_y)};
    }
    l->width = right - left;
    l->height = g->layers * (height + gap_y) - gap_y;
}

bool td_layout_make(td_layout *l, const td_graph *g, const double *width, double height,
                    double gap_x, double gap_y) {
    *l = (td_layout){0};
    work w = {.layers = g->layers, .gap = gap_x};
    uint64_t slots = slots_of(g);
    if (slots > TD_LAYOUT_MAX) return false;
    l->box = td_new_array((size_t)g->boxes + 1, sizeof *l->box);
    l->point = td_new_array((size_t)slots - g->boxes + 1, sizeof *l->point);
    l->first = td_new_array((size_t)g->lines + 1, sizeof *l->first);
    bool well = make_work(&w, g, slots) && l->box && l->point && l->first;
    if (well) {
        make_slots(&w, g, width, l->first);
        make_lists(&w, true, w.above, w.above_first);
        make_lists(&w, false, w.below, w.below_first);
        make_rows(&w);
        order_rows(&w);
        place_rows(&w);
        copy_out(l, &w, g, height, gap_y);
    } else {
        td_layout_free(l);
    }
    free_work(&w);
    return well;
}

void td_layout_free(td_layout *l) {
    td_free(l->box);
    td_free(l->point);
    td_free(l->first);
    *l = (td_layout){0};
}
