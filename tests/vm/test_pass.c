/* Passes: what each does and leaves alone, on programs written down here; and that runs of random programs
 * keep every bit, every shared storage and every error through each pass, and through all. A failing seed is
 * run again alone with TIDE_SEED=n. */
#include "tests/vm/programs.h"
#include "vm/passes.h"

static td_err err;

/* ---- writing programs ---- */

static td_builder *b;

static uint32_t input(td_dtype t, int ndim, const int64_t *dim) {
    td_meta m = {.dtype = t, .shape = {.ndim = ndim}};
    for (int d = 0; d < ndim; d++) m.shape.dim[d] = dim[d];
    return td_build_input(b, &m);
}
#define F32(...)                                                                         \
    input(TD_F32, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})
#define I64(...)                                                                         \
    input(TD_I64, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

static uint32_t op(const char *name, uint32_t x, const td_attrs *a) {
    return td_build_op(b, td_op_find(name), &x, 1, a, NULL);
}
static uint32_t op2(const char *name, uint32_t x, uint32_t y) {
    return td_build_op(b, td_op_find(name), (uint32_t[]){x, y}, 2, NULL, NULL);
}
static uint32_t num(double v) { return td_build_number(b, TD_F32, v, 0); }
static uint32_t list(const char *name, uint32_t x, td_attr_kind kind, int n,
                     const int64_t *v) {
    td_attrs a = {0};
    td_attr_set_list(&a, 0, kind, v, n);
    return op(name, x, &a);
}
#define SIZED(name, x, ...)                                                              \
    list(name, x, TD_ATTR_SIZES, sizeof((int64_t[]){__VA_ARGS__}) / 8,                   \
         (int64_t[]){__VA_ARGS__})
static uint32_t permute(uint32_t x, int64_t a, int64_t c, int64_t d) {
    return list("permute", x, TD_ATTR_DIMS, 3, (int64_t[]){a, c, d});
}
static uint32_t transpose(uint32_t x, int64_t i, int64_t j) {
    td_attrs a = {0};
    td_attr_set_i(&a, 0, TD_ATTR_DIM, i);
    td_attr_set_i(&a, 1, TD_ATTR_DIM, j);
    return op("transpose", x, &a);
}
static uint32_t cast(uint32_t x, td_dtype t) {
    td_attrs a = {0};
    td_attr_set_i(&a, 0, TD_ATTR_DTYPE, t);
    return op("cast", x, &a);
}
static uint32_t full(td_dtype t, double v, int64_t m, int64_t n) {
    td_attrs a = {0};
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){m, n}, 2);
    td_attr_set_f(&a, 1, v);
    td_attr_set_i(&a, 2, TD_ATTR_DTYPE, t);
    return td_build_op(b, td_op_find("full"), NULL, 0, &a, NULL);
}
static uint32_t randn(int64_t n) {
    td_attrs a = {0};
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, &n, 1);
    td_attr_set_i(&a, 1, TD_ATTR_INT, 0);
    td_attr_set_i(&a, 2, TD_ATTR_INT, td_build_draw(b));
    return td_build_op(b, td_op_find("randn"), NULL, 0, &a, NULL);
}

static void begin(void) {
    td_builder_free(&b);
    b = td_builder_new(&err);
}

/* Ends the program, runs the pass and the dead-code pass over it, and wants to see these operations, "add
 * mul", and the same runs. "=" in front: the pass must give back the very program. */
static void expect(td_pass *pass, const char *want) {
    bool unchanged = want[0] == '=';
    td_program *p = td_builder_seal(&b, &err), *q = NULL, *r = NULL;
    if (p == NULL) fail_msg("%s: %s", err.call, err.msg);
    if (pass(p, &q, &err)) fail_msg("%s: %s", err.call, err.msg);
    assert_same_runs(p, q, 1);
    assert_same_runs(p, q, 2);
    if (unchanged) assert_ptr_equal(p, q);
    if (td_pass_dead(unchanged ? p : q, &r, &err)) fail_msg("%s: %s", err.call, err.msg);
    char have[400] = "";
    for (uint32_t i = 0; i < (unchanged ? p : r)->instr_count; i++) {
        strcat(have, i ? " " : "");
        strcat(have, (unchanged ? p : r)->instr[i].op->name);
    }
    if (strcmp(have, want + unchanged) != 0) {
        char *before = td_program_text(p), *after = td_program_text(r);
        printf("%s%s", before, after);
        fail_msg("wanted '%s', got '%s'", want, have);
    }
    td_program_unref(&p);
    td_program_unref(&q);
    td_program_unref(&r);
    begin();
}

/* What must not be got rid of is given back. */
static void give(uint32_t v) { td_build_output(b, v); }

/* ---- views ---- */

static void test_views_of_views(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(2, 3, 4);
    give(op("relu", transpose(transpose(x, 0, 2), 0, 2), NULL));
    expect(td_pass_views, "relu");
    x = F32(2, 3, 4);
    give(op("relu", permute(permute(x, 1, 2, 0), 1, 0, 2), NULL)); /* two change places */
    expect(td_pass_views, "transpose relu");
    x = F32(2, 3, 4);
    give(op("relu", transpose(transpose(x, 0, 2), 0, 1), NULL));
    expect(td_pass_views, "permute relu");
    x = F32(2, 3, 4);
    give(op("relu", SIZED("reshape", SIZED("reshape", x, 6, 4), 24), NULL));
    expect(td_pass_views, "reshape relu");
    x = F32(2, 3, 4);
    give(op("relu", SIZED("reshape", SIZED("reshape", x, 6, 4), 2, 3, 4), NULL));
    expect(td_pass_views, "relu");
    x = F32(1, 3);
    give(op("relu", SIZED("expand", SIZED("expand", x, 2, 3), 4, 2, 3), NULL));
    expect(td_pass_views, "expand relu");
    x = F32(2, 3, 4);
    give(SIZED("reshape", op("relu", SIZED("expand", permute(x, 0, 1, 2), 2, 3, 4), NULL),
               2, 3, 4));
    expect(td_pass_views, "relu");
}

/* A change of the memory in between, or a caller that gets it: a reshape may have copied, or not. */
static void test_views_that_stay(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(2, 3), y = SIZED("reshape", x, 6);
    op2("assign", x, num(1));
    give(op("relu", SIZED("reshape", y, 3, 2), NULL));
    expect(td_pass_views, "=reshape assign reshape relu");
    x = F32(2, 3);
    give(SIZED("reshape", SIZED("reshape", x, 6), 3, 2));
    expect(td_pass_views, "=reshape reshape");
    x = F32(2, 3); /* but a header is a header, whatever is written */
    y = transpose(x, 0, 1);
    op2("assign", x, num(1));
    give(transpose(y, 0, 1));
    expect(td_pass_views, "assign");
    x = F32(2, 3);
    give(transpose(x, 0, 1));
    expect(td_pass_views, "=transpose");
}

static void test_broadcast_views(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(4, 3), y = F32(3);
    give(op2("add", x, SIZED("expand", y, 4, 3)));
    expect(td_pass_views, "add");
    x = F32(4, 3), y = F32(3);
    give(op2("add", x, SIZED("reshape", y, 1, 3)));
    expect(td_pass_views, "add");
    x = F32(3), y = F32(3); /* both expanded: one has to make the sizes */
    give(op2("add", SIZED("expand", x, 4, 3), SIZED("expand", y, 4, 3)));
    expect(td_pass_views, "expand add");
    x = F32(4, 3), y = F32(4);
    give(op2("add", x, SIZED("reshape", y, 4, 1))); /* along the rows: it is needed */
    expect(td_pass_views, "=reshape add");
    x = F32(3);
    give(op("relu", SIZED("expand", x, 4, 3), NULL));
    expect(td_pass_views, "=expand relu");
}

/* ---- products ---- */

static void test_products(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(5, 3), y = F32(3, 4), in[2] = {x, y};
    give(op("relu",
            transpose(td_build_op(b, td_op_find("matmul"), in, 2, NULL, NULL), 0, 1),
            NULL));
    expect(td_pass_products, "transpose transpose matmul relu");
    x = F32(5, 3), y = F32(3, 4);
    in[0] = x, in[1] = y;
    uint32_t z = td_build_op(b, td_op_find("matmul"), in, 2, NULL, NULL);
    give(op("relu", transpose(z, 0, 1), NULL));
    give(op("relu", z, NULL)); /* looked at both ways */
    expect(td_pass_products, "=matmul transpose relu relu");
    x = F32(2, 5, 3), y = F32(2, 3, 4);
    in[0] = x, in[1] = y;
    z = td_build_op(b, td_op_find("matmul"), in, 2, NULL, NULL);
    give(op("relu", transpose(z, 1, 2), NULL)); /* a batch of them */
    expect(td_pass_products, "=matmul transpose relu");
}

/* ---- algebra ---- */

static void test_neutral_numbers(void **state) {
    (void)state;
    static const struct {
        const char *op;
        double number;
        bool left, goes;
    } row[] = {
        {"mul", 1, false, true},     {"mul", 1, true, true},   {"mul", -1, false, false},
        {"div", 1, false, true},     {"div", 1, true, false},  {"sub", 0, false, true},
        {"sub", -0.0, false, false}, {"sub", 0, true, false},  {"add", -0.0, false, true},
        {"add", -0.0, true, true},   {"add", 0, false, false}, {"mul", 0, false, false},
    };
    begin();
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        uint32_t x = F32(7), n = num(row[i].number);
        uint32_t y = row[i].left ? op2(row[i].op, n, x) : op2(row[i].op, x, n);
        give(op("exp", y, NULL));
        char want[40];
        snprintf(want, sizeof want, row[i].goes ? "exp" : "=%s exp", row[i].op);
        expect(td_pass_algebra, want);
    }
    uint32_t x = I64(7), none = td_build_number(b, TD_I64, 0, 0);
    give(op("neg", op2("add", x, none), NULL));
    expect(td_pass_algebra, "neg");
    uint32_t y = F32(1); /* the number broadcasts x: it stays */
    td_tensor *ones = td_tensor_new(TD_F32, &(td_shape){1, {3}}, &err);
    for (int i = 0; i < 3; i++) ((float *)td_tensor_data(ones))[i] = 1;
    give(op("exp", op2("mul", y, td_build_const(b, ones)), NULL));
    expect(td_pass_algebra, "=mul exp");
    y = F32(3);
    give(op("exp", op2("mul", y, td_build_const(b, ones)), NULL));
    expect(td_pass_algebra, "exp");
    td_tensor_unref(&ones);
}

static void test_copies(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(5);
    give(op("exp", op("clone", x, NULL), NULL));
    expect(td_pass_algebra, "exp");
    x = F32(5);
    give(op("clone", x, NULL)); /* the caller gets memory of its own */
    expect(td_pass_algebra, "=clone");
    x = F32(5);
    uint32_t y = op("clone", x, NULL);
    op2("assign", x, num(3));
    give(op("exp", y, NULL)); /* what x was */
    expect(td_pass_algebra, "=clone assign exp");
    x = F32(5), y = op("clone", x, NULL);
    op2("assign", y, num(3));
    give(op("exp", x, NULL));
    give(op("exp", y, NULL));
    expect(td_pass_algebra, "=clone assign exp exp");
    x = F32(5);
    op2("assign", x, num(3));
    give(op("exp", op("clone", x, NULL), NULL)); /* changed before: no matter */
    expect(td_pass_algebra, "assign exp");
    x = F32(5);
    give(op("exp", op("neg", op("neg", x, NULL), NULL), NULL));
    expect(td_pass_algebra, "exp");
    x = F32(5), y = op("neg", x, NULL);
    op2("assign", x, num(3));
    give(op("exp", op("neg", y, NULL), NULL));
    expect(td_pass_algebra, "=neg assign neg exp");
}

static void test_casts(void **state) {
    (void)state;
    static const struct {
        td_dtype x, wide, t;
        const char *want;
    } row[] = {
        {TD_F32, TD_F32, TD_F32, "flip"},
        {TD_F32, TD_F64, TD_F32, "flip"},
        {TD_F32, TD_F64, TD_F16, "cast flip"},
        {TD_F32, TD_F16, TD_F32, "=cast cast flip"},
        {TD_F32, TD_I64, TD_F32, "=cast cast flip"},
        {TD_I32, TD_I64, TD_U8, "cast flip"},
        {TD_I64, TD_F64, TD_I64, "=cast cast flip"},
        {TD_I32, TD_F64, TD_I32, "flip"},
        {TD_I32, TD_F32, TD_I32, "=cast cast flip"},
        {TD_BOOL, TD_F32, TD_BOOL, "flip"},
        {TD_BOOL, TD_F32, TD_F64, "cast flip"},
        {TD_U8, TD_BF16, TD_I32, "cast flip"},
        {TD_F32, TD_F64, TD_U8, "=cast cast flip"},
        {TD_I64, TD_BOOL, TD_I64, "=cast cast flip"},
    };
    begin();
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        uint32_t x = input(row[i].x, 1, (int64_t[]){300});
        uint32_t y = cast(cast(x, row[i].wide), row[i].t);
        give(list("flip", y, TD_ATTR_DIMS, 1, (int64_t[]){0})); /* takes any dtype */
        expect(td_pass_algebra, row[i].want);
    }
}

static void test_full(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(4, 3);
    give(op2("mul", x, full(TD_F32, 0.3, 4, 3)));
    expect(td_pass_algebra, "mul");
    x = F32(3);
    give(op2("mul", x, full(TD_F32, 0.3, 4, 3))); /* it gives the sizes */
    expect(td_pass_algebra, "=full mul");
    x = F32(4, 3);
    uint32_t y = full(TD_F32, 0, 4, 3);
    op2("assign", y, x);
    give(op2("mul", x, y));
    expect(td_pass_algebra, "=full assign mul");
}

/* ---- fold ---- */

static void test_fold(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(2);
    give(op2("mul", x, op("exp", op2("add", num(1), num(2)), NULL)));
    expect(td_pass_fold, "exp mul"); /* one a round */
    x = F32(2);
    give(op2("mul", x, op("exp", op2("add", num(1), num(2)), NULL)));
    expect(td_passes_run, "mul");
    give(op2("add", num(1), num(2))); /* memory that a caller gets */
    expect(td_pass_fold, "=add");
    uint32_t y = full(TD_F32, 2, 40, 40); /* too large to be carried about */
    give(op("exp", y, NULL));
    expect(td_pass_fold, "=full exp");
    y = full(TD_F32, 2, 4, 4);
    give(op("exp", y, NULL));
    expect(td_pass_fold, "exp");
    y = full(TD_F32, 2, 4, 4);
    op2("assign", y, num(1));
    give(op("exp", y, NULL));
    expect(td_pass_fold, "=full assign exp");
    give(op("exp", randn(3), NULL));
    expect(td_pass_fold, "=randn exp");
    uint32_t one = td_build_number(b, TD_I64, 0, 1),
             less = td_build_number(b, TD_I64, 0, -1);
    give(op("neg", op2("pow", one, less), NULL)); /* says what is wrong when it runs */
    expect(td_pass_fold, "=pow neg");
}

/* ---- common subexpressions ---- */

static void test_cse(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(3);
    give(op2("add", op("exp", x, NULL), op("exp", x, NULL)));
    expect(td_pass_cse, "exp add");
    x = F32(3); /* and what hangs on them */
    give(op2("add", op("neg", op("exp", x, NULL), NULL),
             op("neg", op("exp", x, NULL), NULL)));
    expect(td_pass_cse, "exp neg add");
    uint32_t y = F32(3, 3);
    give(op2("mul", transpose(y, 0, 1), transpose(y, 1, 0))); /* attributes differ */
    expect(td_pass_cse, "=transpose transpose mul");
    x = F32(3);
    give(op2("add", randn(3), randn(3)));
    expect(td_pass_cse, "=randn randn add");
}

static void test_cse_memory(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(3), y = op("exp", x, NULL);
    op2("assign", x, num(2));
    give(op2("add", y, op("exp", x, NULL))); /* x is another by then */
    expect(td_pass_cse, "=exp assign exp add");
    x = F32(2, 3), y = transpose(x, 0, 1);
    op2("assign", x, num(2));
    give(op2("add", y, transpose(x, 0, 1))); /* both see it */
    expect(td_pass_cse, "transpose assign add");
    x = F32(2, 3), y = op("exp", x, NULL);
    op2("assign", transpose(x, 0, 1), num(2)); /* through a view */
    give(op2("add", y, op("exp", x, NULL)));
    expect(td_pass_cse, "=exp transpose assign exp add");
    y = full(TD_F32, 0, 2, 3);
    x = full(TD_F32, 0, 2, 3);
    op2("assign", y, num(1)); /* two tensors that begin alike */
    give(op2("add", x, y));
    expect(td_pass_cse, "=full full assign add");
    x = F32(3);
    give(op("exp", x, NULL)); /* the caller may write to one of them */
    give(op("exp", x, NULL));
    expect(td_pass_cse, "=exp exp");
    x = F32(3);
    y = op("exp", x, NULL);
    give(op("exp", x, NULL)); /* one of three is the caller's, then another */
    give(op("exp", x, NULL));
    give(op("neg", y, NULL));
    expect(td_pass_cse, "exp exp neg");
    x = F32(2, 3);
    y = SIZED("reshape", x, 6);
    op2("assign", x, num(2));
    give(op2("add", y, SIZED("reshape", x, 6))); /* the first may have been a copy */
    expect(td_pass_cse, "=reshape assign reshape add");
}

/* ---- dead code ---- */

static void test_dead(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(3);
    op("exp", op("neg", x, NULL), NULL);
    give(op("relu", x, NULL));
    expect(td_pass_dead, "relu");
    x = F32(3); /* an input's change is seen from outside */
    op2("assign", x, op("exp", x, NULL));
    expect(td_pass_dead, "=exp assign");
    uint32_t y = full(TD_F32, 1, 2, 2);
    op2("assign", y, num(2)); /* nobody looks at y */
    give(num(1));
    expect(td_pass_dead, "");
    y = full(TD_F32, 1, 2, 2);
    op2("assign", transpose(y, 0, 1), num(2));
    give(y);
    expect(td_pass_dead, "=full transpose assign");
    y = full(TD_F32, 1, 2, 2);
    give(op("exp", y, NULL));
    op2("assign", y, num(2)); /* too late for exp */
    expect(td_pass_dead, "full exp");
    randn(3), give(randn(3));
    expect(td_pass_dead, "randn"); /* still the second stream: runs are compared */
    x = F32(3, 3);
    uint32_t id = I64(2);
    td_attrs along = {0};
    td_attr_set_i(&along, 0, TD_ATTR_DIM, 0);
    td_build_op(b, td_op_find("index_select"), (uint32_t[]){x, id}, 2, &along, NULL);
    give(num(1)); /* a position out of range is still told */
    expect(td_pass_dead, "=index_select");
}

/* ---- all of them ---- */

/* A step of plain gradient descent for logistic regression, as a tracer writes it down. */
static void test_training_step(void **state) {
    (void)state;
    begin();
    uint32_t x = F32(8, 5), y = I64(8), w = F32(3, 5), bias = F32(3);
    uint32_t z = op2("add", op2("matmul", x, transpose(w, 0, 1)), bias);
    td_attrs last = {0};
    td_attr_set_i(&last, 0, TD_ATTR_DIM, 1);
    uint32_t logp = op("log_softmax", z, &last), loss = op2("nll_loss", logp, y);
    td_attrs shape = {0};
    td_attr_set_list(&shape, 0, TD_ATTR_SIZES, (int64_t[]){8, 3}, 2);
    td_attr_set_i(&shape, 1, TD_ATTR_INT, 1);
    uint32_t seed = num(1);
    uint32_t g = td_build_op(b, td_op_find("nll_loss_grad"), (uint32_t[]){seed, y}, 2,
                             &shape, NULL);
    td_attrs rows = {0};
    td_attr_set_list(&rows, 0, TD_ATTR_DIMS, (int64_t[]){1}, 1);
    td_attr_set_i(&rows, 1, TD_ATTR_BOOL, 1);
    uint32_t total = SIZED("expand", op("sum", g, &rows), 8, 3);
    uint32_t p = op("exp", logp, NULL), gz = op2("sub", g, op2("mul", p, total));
    uint32_t gw = transpose(op2("matmul", transpose(x, 0, 1), gz), 0, 1);
    op2("matmul", gz, transpose(transpose(w, 0, 1), 0, 1)); /* nobody asked for x's */
    td_attrs cols = {0};
    td_attr_set_list(&cols, 0, TD_ATTR_DIMS, (int64_t[]){0}, 1);
    uint32_t gb = op("sum", gz, &cols);
    op2("assign", w, op2("sub", w, op2("mul", op2("mul", gw, num(1)), num(0.1))));
    op2("assign", bias, op2("sub", bias, op2("mul", op2("mul", gb, num(1)), num(0.1))));
    give(loss);
    expect(td_passes_run, "transpose matmul add log_softmax nll_loss nll_loss_grad sum "
                          "exp mul sub transpose matmul "
                          "sum mul sub assign mul sub assign");
}

static void test_random(void **state) {
    (void)state;
    static td_pass *const pass[] = {td_pass_views,   td_pass_algebra, td_pass_fold,
                                    td_pass_cse,     td_pass_dead,    td_passes_run,
                                    td_pass_products};
    const char *only = getenv("TIDE_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only ? first : 3000;
    unsigned changed[7] = {0}, ran = 0, fewer = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        td_program *p = chance_make(seed, 10 + (int)(seed % 20));
        for (int k = 0; k < 7; k++) {
            td_program *q = NULL;
            if (pass[k](p, &q, &err)) fail_msg("seed %d: %s", (int)seed, err.msg);
            changed[k] += q != p;
            fewer += p->instr_count - q->instr_count;
            if (q != p) ran += assert_same_runs(p, q, seed) == 0;
            td_program_unref(&q);
        }
        td_program_unref(&p);
    }
    printf("changed: views %u, algebra %u, fold %u, cse %u, dead %u, all %u; %u ran, %u "
           "fewer\n",
           changed[0], changed[1], changed[2], changed[3], changed[4], changed[5], ran,
           fewer);
    for (int k = 0; k < 6 && !only; k++) assert_true(changed[k] > 20);
}

/* Once more changes nothing: what a round of all passes makes is what hash and cache go by. */
static void test_settles(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        td_program *p = chance_make(seed, 20), *q = NULL, *r = NULL;
        assert_int_equal(td_passes_run(p, &q, &err), 0);
        assert_int_equal(td_passes_run(q, &r, &err), 0);
        assert_true(td_program_equal(q, r));
        td_program_unref(&p);
        td_program_unref(&q);
        td_program_unref(&r);
    }
}

static int no_builder(void **state) {
    (void)state;
    td_builder_free(&b);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_views_of_views),
        cmocka_unit_test(test_views_that_stay),
        cmocka_unit_test(test_broadcast_views),
        cmocka_unit_test(test_neutral_numbers),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_cse),
        cmocka_unit_test(test_cse_memory),
        cmocka_unit_test(test_dead),
        cmocka_unit_test(test_training_step),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_settles),
    };
    return cmocka_run_group_tests_name("passes", tests, NULL, no_builder);
}
