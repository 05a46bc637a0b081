/* From a program to boxes and lines. */
#include "vm/inspect/graph.h"

#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/text.h"

typedef struct maker {
    const td_program *p;
    td_graph *g;
    uint32_t *box_of;  /* of an operation */
    uint32_t *copy_of; /* of an input or constant: its box made last */
} maker;

static td_box_kind kind_of(const td_op *op) {
    if (op->flags & TD_OP_ASSIGN) return TD_BOX_ASSIGN;
    if (op->flags & TD_OP_VIEW) return TD_BOX_VIEW;
    if (op->flags & TD_OP_ELEMENTWISE) return TD_BOX_ELEMENTWISE;
    if (op->work) return TD_BOX_PRODUCT;
    return td_op_seed_attr(op) >= 0 ? TD_BOX_RANDOM : TD_BOX_OTHER;
}

static void put_sizes(char text[64], const td_meta *m) {
    char shape[TD_SHAPE_TEXT];
    td_shape_text(&m->shape, shape);
    if (m->dtype == TD_F32)
        snprintf(text, 64, "%.60s", shape);
    else
        snprintf(text, 64, "%s %.50s", td_dtype_name(m->dtype), shape);
}

static bool is_number(const td_value *v) {
    return v->kind == TD_VALUE_CONST && v->meta.shape.ndim == 0;
}

/* "mul 0.1": the operation, and the numbers among its inputs; "%2 <-" for an assignment. */
static void put_name(const maker *m, td_box *b, const td_instr *in) {
    td_text t = {0};
    uint32_t root = in->nin ? td_program_root(m->p, in->in[0]) : 0;
    if (b->kind == TD_BOX_ASSIGN && m->p->value[root].kind == TD_VALUE_INPUT)
        td_text_put(&t, in->in[0] == root ? "new %%%u" : "part of %%%u", root);
    else
        td_text_put(&t, "%s", in->op->name);
    for (uint32_t k = 0; k < in->nin; k++) {
        const td_value *v = &m->p->value[in->in[k]];
        if (!is_number(v)) continue;
        const void *data = td_tensor_data(v->data);
        td_text_put(&t, " ");
        if (td_dtype_is_float(v->meta.dtype))
            td_text_put_float(&t, v->meta.dtype, td_load_f64(v->meta.dtype, data));
        else
            td_text_put(&t, "%lld", (long long)td_load_i64(v->meta.dtype, data));
    }
    char *text = td_text_end(&t);
    snprintf(b->name, sizeof b->name, "%.63s", text ? text : in->op->name);
    td_free(text);
}

static uint32_t add_box(maker *m, td_box_kind kind, int layer) {
    td_box *b = &m->g->box[m->g->boxes];
    *b = (td_box){.kind = kind, .layer = layer};
    return m->g->boxes++;
}

static void add_line(maker *m, uint32_t from, uint32_t to) {
    m->g->line[m->g->lines++] = (td_line){from, to};
}

/* ---- layers ---- */

/* An operation stands below those whose results it uses; one that uses inputs alone, just above whoever uses
 * it first. */
static void put_layers(const maker *m, int *layer) {
    const td_program *p = m->p;
    for (uint32_t i = 0; i < p->instr_count; i++) {
        layer[i] = 1;
        for (uint32_t k = 0; k < p->instr[i].nin; k++) {
            const td_value *v = &p->value[p->instr[i].in[k]];
            if (v->kind == TD_VALUE_RESULT && layer[i] <= layer[v->maker])
                layer[i] = layer[v->maker] + 1;
        }
    }
    int lowest = 1;
    for (uint32_t i = 0; i < p->instr_count; i++)
        if (layer[i] > lowest) lowest = layer[i];
    m->g->layers = lowest + 2;
}

static void lower_sources(const maker *m, int *layer, int *first_use) {
    const td_program *p = m->p;
    for (uint32_t i = 0; i < p->instr_count; i++) first_use[i] = m->g->layers - 1;
    for (uint32_t i = p->instr_count; i-- > 0;) {
        const td_instr *in = &p->instr[i];
        bool is_source = in->op->nout > 0;
        for (uint32_t k = 0; k < in->nin; k++)
            is_source &= p->value[in->in[k]].kind != TD_VALUE_RESULT;
        if (is_source && first_use[i] - 1 > layer[i]) layer[i] = first_use[i] - 1;
        for (uint32_t k = 0; k < in->nin; k++) {
            const td_value *v = &p->value[in->in[k]];
            if (v->kind == TD_VALUE_RESULT && layer[i] < first_use[v->maker])
                first_use[v->maker] = layer[i];
        }
    }
}

/* ---- boxes ---- */

/* The box of an input or constant for a use in that layer: the one before, if it is near enough. */
static uint32_t source_box(maker *m, uint32_t v, int layer) {
    const td_value *value = &m->p->value[v];
    uint32_t old = m->copy_of[v];
    if (old != TD_NO_VALUE && m->g->box[old].layer < layer &&
        m->g->box[old].layer >= layer - 2)
        return old;
    uint32_t at = add_box(m, value->kind == TD_VALUE_INPUT ? TD_BOX_INPUT : TD_BOX_CONST,
                          layer - 1);
    td_box *b = &m->g->box[at];
    b->assigned = value->assigned;
    snprintf(b->name, sizeof b->name, "%%%u", v);
    put_sizes(b->sizes, &value->meta);
    m->copy_of[v] = at;
    return at;
}

/* Which inputs of the operation are lines into its box. */
static bool has_line(const maker *m, const td_instr *in, uint32_t k) {
    const td_value *v = &m->p->value[in->in[k]];
    bool names_it = (in->op->flags & TD_OP_ASSIGN) && k == 0 &&
                    m->p->value[td_program_root(m->p, in->in[0])].kind == TD_VALUE_INPUT;
    return !names_it && !is_number(v);
}

static void add_instr(maker *m, uint32_t i, int layer) {
    const td_instr *in = &m->p->instr[i];
    uint32_t at = add_box(m, kind_of(in->op), layer);
    td_box *b = &m->g->box[at];
    b->instr = in;
    put_name(m, b, in);
    put_sizes(b->sizes, &m->p->value[in->op->nout ? in->out : in->in[0]].meta);
    m->box_of[i] = at;
    for (uint32_t k = 0; k < in->nin; k++) {
        const td_value *v = &m->p->value[in->in[k]];
        bool seen = !has_line(m, in, k);
        for (uint32_t j = 0; j < k; j++) seen |= in->in[j] == in->in[k];
        if (seen) continue;
        add_line(m,
                 v->kind == TD_VALUE_RESULT ? m->box_of[v->maker]
                                            : source_box(m, in->in[k], layer),
                 at);
    }
}

static void add_output(maker *m, uint32_t k) {
    uint32_t v = m->p->output[k];
    const td_value *value = &m->p->value[v];
    int layer =
        value->kind == TD_VALUE_RESULT ? m->g->box[m->box_of[value->maker]].layer + 1 : 1;
    uint32_t from = value->kind == TD_VALUE_RESULT ? m->box_of[value->maker]
                                                   : source_box(m, v, layer);
    uint32_t at = add_box(m, TD_BOX_OUTPUT, layer);
    td_box *b = &m->g->box[at];
    snprintf(b->name, sizeof b->name, "output %u", k + 1);
    put_sizes(b->sizes, &value->meta);
    add_line(m, from, at);
}

bool td_graph_make(td_graph *g, const td_program *p) {
    *g = (td_graph){0};
    maker m = {.p = p, .g = g};
    size_t uses = p->output_count, n = (size_t)p->instr_count + 1;
    for (uint32_t i = 0; i < p->instr_count; i++) uses += p->instr[i].nin;
    g->box = td_new_array(n + uses + p->output_count, sizeof *g->box);
    g->line = td_new_array(uses + 1, sizeof *g->line);
    m.box_of = td_new_array(n, sizeof *m.box_of);
    m.copy_of = td_new_array((size_t)p->value_count + 1, sizeof *m.copy_of);
    int *layer = td_new_array(n, sizeof *layer), *first = td_new_array(n, sizeof *first);
    bool well = g->box && g->line && m.box_of && m.copy_of && layer && first;
    if (well) {
        for (uint32_t v = 0; v < p->value_count; v++) m.copy_of[v] = TD_NO_VALUE;
        put_layers(&m, layer);
        lower_sources(&m, layer, first);
        for (uint32_t i = 0; i < p->instr_count; i++) add_instr(&m, i, layer[i]);
        for (uint32_t k = 0; k < p->output_count; k++) add_output(&m, k);
        g->layers = 0;
        for (uint32_t b = 0; b < g->boxes; b++)
            if (g->box[b].layer >= g->layers) g->layers = g->box[b].layer + 1;
    } else {
        td_graph_free(g);
    }
    td_free(m.box_of);
    td_free(m.copy_of);
    td_free(layer);
    td_free(first);
    return well;
}

void td_graph_free(td_graph *g) {
    td_free(g->box);
    td_free(g->line);
    *g = (td_graph){0};
}
