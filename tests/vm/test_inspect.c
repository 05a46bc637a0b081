/* inspect: figures worked out by hand, the text and the drawings of small programs to the letter; and of random
 * ones, that boxes in a layer stand apart, that lines lead down, and that what is written is well-formed. */
#include "tests/vm/programs.h"
#include "vm/inspect.h"
#include "vm/inspect/layout.h"

static td_err err;

static td_meta f32s(int ndim, int64_t a, int64_t b) {
    return (td_meta){.dtype = TD_F32, .shape = {.ndim = ndim, .dim = {a, b}}};
}
static uint32_t op(td_builder *b, const char *name, uint32_t nin, const uint32_t *in,
                   const td_attrs *a) {
    return td_build_op(b, td_op_find(name), in, nin, a, "net.lua:<3>");
}
#define OP(b, name, ...)                                                                 \
    op(b, name, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__}, NULL)

/* w <- w - 0.1 relu(x w'), 64 rows; returns the relu. */
static td_program *small(void) {
    td_builder *b = td_builder_new(&err);
    td_meta of_x = f32s(2, 64, 64), of_w = f32s(2, 64, 64);
    td_attrs turn = {0};
    td_attr_set_i(&turn, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&turn, 1, TD_ATTR_DIM, 1);
    uint32_t x = td_build_input(b, &of_x), w = td_build_input(b, &of_w);
    uint32_t wt = op(b, "transpose", 1, &w, &turn), y = OP(b, "matmul", x, wt);
    uint32_t r = OP(b, "relu", y), tenth = td_build_number(b, TD_F32, 0.1, 0);
    uint32_t step = OP(b, "mul", r, tenth);
    OP(b, "assign", w, OP(b, "sub", w, step));
    td_build_output(b, r);
    td_program *p = td_builder_seal(&b, &err);
    assert_non_null(p);
    return p;
}

static void test_report(void **state) {
    (void)state;
    td_program *p = small();
    td_report *r = td_inspect(p, NULL, &err);
    enum { N = 64 * 64, BYTES = 4 * N };
    assert_int_equal(r->row_count, 6);
    assert_string_equal(r->row[0].op->name, "matmul");
    assert_true(r->row[0].flops == 2.0 * N * 64);
    assert_true(r->row[0].read_bytes == 2 * BYTES && r->row[0].written_bytes == BYTES);
    assert_string_equal(r->row[5].op->name, "transpose");
    assert_true(r->row[5].flops == 0 && r->row[5].read_bytes == 0);
    /* relu, mul (and its number), sub, assign */
    assert_true(r->flops == 2.0 * N * 64 + 4 * N);
    assert_true(r->read_bytes == (2 + 1 + 1 + 2 + 1) * BYTES + 4);
    assert_true(r->written_bytes == (1 + 1 + 1 + 1 + 1) * BYTES);
    assert_int_equal(r->input_bytes, 2 * BYTES);
    assert_int_equal(r->const_bytes, 4);
    assert_int_equal(r->output_bytes, BYTES);
    assert_int_equal(r->assigned_count, 1);
    assert_int_equal(r->assigned_bytes, BYTES);
    /* relu's stays for the caller; beside it, two of the others at a time */
    assert_int_equal(r->memory_bytes, 3 * BYTES);
    assert_int_equal(r->steps, 0);
    td_report_free(&r);
    assert_null(r);
    td_program_unref(&p);
}

static void test_text(void **state) {
    (void)state;
    td_program *p = small();
    char *text = td_inspect_text(p, NULL);
    assert_string_equal(text,
                        "inputs    2 tensors, 32.0 KB; 1 changed in place, 16.0 KB\n"
                        "outputs   f32 64x64\n"
                        "work      541 kFLOP in 6 operations\n"
                        "traffic   112 KB read, 80.0 KB written\n"
                        "memory    48.0 KB beside the inputs, 4 B of constants\n"
                        "\n"
                        "operation  count      FLOP   share       read    written\n"
                        "matmul         1     524 k  97.0 %    32.0 KB    16.0 KB\n"
                        "assign         1    4.10 k   0.8 %    16.0 KB    16.0 KB\n"
                        "mul            1    4.10 k   0.8 %    16.0 KB    16.0 KB\n"
                        "relu           1    4.10 k   0.8 %    16.0 KB    16.0 KB\n"
                        "sub            1    4.10 k   0.8 %    32.0 KB    16.0 KB\n"
                        "transpose      1        0    0.0 %        0 B        0 B\n");
    td_free(text);
    text = td_inspect_figures(p);
    assert_string_equal(text, "541 kFLOP, 112 KB read, 80.0 KB written");
    td_free(text);
    td_program_unref(&p);
    td_builder *b = td_builder_new(&err);
    p = td_builder_seal(&b, &err);
    text = td_inspect_text(p, NULL);
    assert_string_equal(text, "inputs    0 tensors, 0 B\noutputs   none\n"
                              "work      0 FLOP in 0 operations\n"
                              "traffic   0 B read, 0 B written\n"
                              "memory    0 B beside the inputs\n");
    td_free(text);
    td_program_unref(&p);
}

/* The plan's own figures stand in place of the count. */
static void test_with_plan(void **state) {
    (void)state;
    td_program *p = small();
    td_plan *plan = td_plan_new(p, &err);
    if (plan == NULL) fail_msg("%s: %s", err.call, err.msg);
    td_plan_cost cost = td_plan_costs(plan);
    td_report *r = td_inspect(p, plan, &err);
    assert_int_equal(r->memory_bytes, cost.memory_bytes);
    assert_int_equal(r->steps, cost.steps);
    assert_true(r->steps > 0 && r->steps <= 6);
    td_report_free(&r);
    td_plan_unref(&plan);
    td_program_unref(&p);
}

static void test_dot(void **state) {
    (void)state;
    td_program *p = small();
    char *dot = td_inspect_dot(p);
    static const char *const want[] = {
        "digraph program {\n",
        "[label=\"%1\\n64x64\", shape=ellipse, fillcolor=\"#fde3c8\"]",
        "[label=\"%0\\n64x64\", shape=ellipse, fillcolor=\"#e8edf3\"]",
        "[label=\"matmul\\n64x64\", fillcolor=\"#cfe0f7\"]",
        "[label=\"mul 0.1\\n64x64\", ",
        "[label=\"new %1\\n64x64\", fillcolor=\"#fde3c8\"]",
        "[label=\"output 1\\n64x64\", shape=ellipse, fillcolor=\"#f9d6d5\"]",
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        if (strstr(dot, want[i]) == NULL) fail_msg("no %s in\n%s", want[i], dot);
    int lines = 0;
    for (const char *at = dot; (at = strstr(at, " -> ")); at++) lines++;
    /* w to transpose, and to sub; x and w' to matmul; relu; mul; sub; new w; the output */
    assert_int_equal(lines, 9);
    td_free(dot);
    td_program_unref(&p);
}

/* Tags are closed in their order, attributes quoted, no character out of place. */
static void assert_well_formed(const char *xml, uint64_t seed) {
    char open[64][32];
    int depth = 0;
    for (const char *at = xml; *at; at++) {
        if (*at == '>') fail_msg("seed %d: a stray >", (int)seed);
        if (*at == '&' && strncmp(at, "&lt;", 4) != 0 && strncmp(at, "&gt;", 4) != 0 &&
            strncmp(at, "&amp;", 5) != 0)
            fail_msg("seed %d: a stray &", (int)seed);
        if (*at != '<') continue;
        bool closes = at[1] == '/';
        char name[32];
        int n = 0;
        for (at += closes ? 2 : 1; n < 31 && strchr(" />\n", *at) == NULL; at++)
            name[n++] = *at;
        name[n] = 0;
        bool quoted = false, single = false;
        for (; *at && (quoted || *at != '>'); at++) {
            if (*at == '"') quoted = !quoted;
            assert_true(*at != '<');
            single = *at == '/';
        }
        assert_true(*at == '>' && !quoted);
        if (closes) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (!single) {
            assert_true(depth < 64);
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
}

static void test_svg(void **state) {
    (void)state;
    td_program *p = small();
    char *svg = td_inspect_svg(p);
    assert_well_formed(svg, 0);
    assert_non_null(strstr(svg, ">541 kFLOP, 112 KB read, 80.0 KB written</text>"));
    assert_non_null(
        strstr(svg, "<title>transpose  dim1=1, dim2=2  -- net.lua:&lt;3&gt;</title>"));
    int boxes = 0;
    for (const char *at = svg; (at = strstr(at, "<rect class=")); at++) boxes++;
    assert_int_equal(boxes, 10); /* 6 operations, x, w twice, the output */
    td_free(svg);
    td_program_unref(&p);
}

static void test_too_large(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    td_meta m = f32s(1, 1, 0);
    uint32_t x = td_build_input(b, &m);
    for (int i = 0; i < TD_DRAW_MAX; i++) x = OP(b, "neg", x);
    td_program *p = td_builder_seal(&b, &err);
    char *svg = td_inspect_svg(p);
    assert_null(strstr(svg, "too large"));
    td_free(svg);
    td_program_unref(&p);
    b = td_builder_new(&err);
    x = td_build_input(b, &m);
    for (int i = 0; i < TD_DRAW_MAX + 1; i++) x = OP(b, "neg", x);
    p = td_builder_seal(&b, &err);
    svg = td_inspect_svg(p);
    assert_well_formed(svg, 0);
    assert_non_null(strstr(svg, ">2001 operations<"));
    assert_non_null(strstr(svg, ">too large to be drawn<"));
    td_free(svg);
    td_program_unref(&p);
}

/* Straight chains stay straight; boxes of a layer stand at least the gap apart; all is on the page. */
static void check_layout(const td_graph *g, uint64_t seed) {
    enum { HEIGHT = 10, GAP_X = 5, GAP_Y = 20 };
    double width[400];
    td_layout l;
    assert_true(g->boxes < 400);
    for (uint32_t i = 0; i < g->boxes; i++) width[i] = 20 + i % 7 * 10;
    assert_true(td_layout_make(&l, g, width, HEIGHT, GAP_X, GAP_Y));
    for (uint32_t i = 0; i < g->boxes; i++) {
        assert_true(l.box[i].x - width[i] / 2 > -1e-6);
        assert_true(l.box[i].x + width[i] / 2 < l.width + 1e-6);
        assert_true(l.box[i].y == HEIGHT / 2 + g->box[i].layer * (HEIGHT + GAP_Y));
        for (uint32_t j = 0; j < i; j++) {
            double between = l.box[i].x - l.box[j].x;
            if (between < 0) between = -between;
            if (g->box[i].layer == g->box[j].layer &&
                between < (width[i] + width[j]) / 2 + GAP_X - 1e-6)
                fail_msg("seed %d: boxes %u and %u stand in each other's way", (int)seed,
                         i, j);
        }
    }
    for (uint32_t i = 0; i < g->lines; i++) {
        double y = l.box[g->line[i].from].y;
        for (uint32_t k = l.first[i]; k < l.first[i + 1]; k++) {
            assert_true(l.point[k].y == y + HEIGHT + GAP_Y);
            y = l.point[k].y;
        }
        assert_true(l.box[g->line[i].to].y == y + HEIGHT + GAP_Y);
    }
    td_layout_free(&l);
}

static void test_random(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        td_program *p = chance_make(seed, 5 + (int)(seed % 30));
        td_graph g;
        assert_true(td_graph_make(&g, p));
        uint32_t operations = 0;
        for (uint32_t i = 0; i < g.boxes; i++) operations += g.box[i].instr != NULL;
        assert_int_equal(operations, p->instr_count);
        for (uint32_t i = 0; i < g.lines; i++)
            assert_true(g.box[g.line[i].from].layer < g.box[g.line[i].to].layer);
        check_layout(&g, seed);
        td_graph_free(&g);
        char *svg = td_inspect_svg(p), *dot = td_inspect_dot(p),
             *text = td_inspect_text(p, NULL);
        assert_well_formed(svg, seed);
        assert_true(dot && text);
        td_free(svg);
        td_free(dot);
        td_free(text);
        td_program_unref(&p);
    }
}

/* A chain is a straight line, whatever the widths. */
static void test_straight(void **state) {
    (void)state;
    td_builder *b = td_builder_new(&err);
    td_meta m = f32s(1, 5, 0);
    uint32_t x = td_build_input(b, &m);
    static const char *const chain[] = {"neg", "leaky_relu", "exp", "reciprocal", "abs"};
    for (int i = 0; i < 5; i++) x = OP(b, chain[i], x);
    td_build_output(b, x);
    td_program *p = td_builder_seal(&b, &err);
    td_graph g;
    td_layout l;
    assert_true(td_graph_make(&g, p));
    double width[7] = {30, 80, 20, 90, 50, 10, 60};
    assert_int_equal(g.boxes, 7);
    assert_true(td_layout_make(&l, &g, width, 10, 5, 20));
    for (int i = 1; i < 7; i++) {
        double off = l.box[i].x - l.box[0].x;
        assert_true(off < 1e-6 && off > -1e-6);
    }
    assert_true(l.width == 90 && l.height == 7 * 30 - 20);
    td_layout_free(&l);
    td_graph_free(&g);
    td_program_unref(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report),    cmocka_unit_test(test_text),
        cmocka_unit_test(test_with_plan), cmocka_unit_test(test_dot),
        cmocka_unit_test(test_svg),       cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_random),    cmocka_unit_test(test_straight),
    };
    return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
