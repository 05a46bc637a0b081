/* Plans against the same programs run operation by operation: bits, errors, what inputs become, what
 * outputs share. */
#include "programs.h"

#include "runtime/pool.h"
#include "vm/passes.h"
#include "vm/plan.h"

static td_tensor *in_rows(td_tensor *t) {
    td_err err = {0};
    td_tensor *y = td_tensor_new(t->dtype, &t->shape, &err);
    assert_non_null(y);
    td_tensor_copy(y, t);
    td_tensor_unref(&t);
    return y;
}

static bool assigns_any(const td_program *p) {
    for (uint32_t i = 0; i < p->input_count; i++)
        if (p->value[i].assigned) return true;
    return false;
}

static void differ(const td_program *p, const td_plan *plan, uint64_t seed,
                   const char *what, const td_err *a, const td_err *b) {
    char *text = td_program_text(p), *steps = td_plan_text(plan);
    fprintf(stderr, "%s%s", text, steps); /* too long for a message */
    fail_msg("seed %llu: %s (%s / %s)", (unsigned long long)seed, what, a->msg, b->msg);
}

/* Runs p both ways, the plan `times` times in a row. */
static void assert_plan_runs(td_program *p, uint64_t seed, int times) {
    td_err err_a = {0}, err_b = {0};
    td_plan *plan = td_plan_new(p, &err_b);
    if (plan == NULL) fail_msg("seed %llu: %s", (unsigned long long)seed, err_b.msg);
    for (int round = 0; round < times; round++) {
        uint64_t x = seed ^ (0xabcdefu + (uint64_t)round);
        td_tensor *a[CHANCE_PLACES] = {NULL}, *b[CHANCE_PLACES] = {NULL},
                  *out_a[CHANCE_PLACES], *out_b[CHANCE_PLACES];
        for (uint32_t i = 0; i < p->input_count; i++) {
            a[i] = chance_tensor(&x, &p->value[i].meta);
            if (assigns_any(p)) a[i] = in_rows(a[i]);
            b[i] = twin(a[i]);
        }
        err_a.msg[0] = err_b.msg[0] = 0;
        uint64_t stream = 100 + (uint64_t)round;
        int rc = plain_run(p, a, 7, stream, out_a, &err_a);
        int other = td_plan_run(plan, b, 7, stream, out_b, &err_b);
        if (rc != other) differ(p, plan, seed, "other codes", &err_a, &err_b);
        for (uint32_t i = 0; rc == 0 && i < p->input_count; i++)
            if (!same_numbers(a[i], b[i]))
                differ(p, plan, seed, "inputs", &err_a, &err_b);
        for (uint32_t k = 0; rc == 0 && k < p->output_count; k++) {
            if (!same_numbers(out_a[k], out_b[k]))
                differ(p, plan, seed, "outputs", &err_a, &err_b);
            /* constants, and inputs that did not lie in rows, are handed out as copies */
            for (uint32_t i = 0; i < k; i++)
                if (p->value[p->value[p->output[k]].root].kind == TD_VALUE_RESULT &&
                    (out_a[k]->storage == out_a[i]->storage) !=
                        (out_b[k]->storage == out_b[i]->storage))
                    differ(p, plan, seed, "shared outputs", &err_a, &err_b);
        }
        for (uint32_t i = 0; i < p->input_count; i++) {
            td_tensor_unref(&a[i]);
            td_tensor_unref(&b[i]);
        }
        for (uint32_t k = 0; k < p->output_count; k++) {
            td_tensor_unref(&out_a[k]);
            td_tensor_unref(&out_b[k]);
        }
    }
    td_plan_unref(&plan);
}

static void test_random_programs(void **state) {
    (void)state;
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t from = only ? strtoull(only, NULL, 10) : 1;
    uint64_t to = only ? from : many ? strtoull(many, NULL, 10) : 1500;
    for (uint64_t seed = from; seed <= to; seed++) {
        td_program *p = chance_make(seed, 1 + (int)(seed % 30));
        assert_plan_runs(p, seed, 2);
        td_program_unref(&p);
    }
}

/* ---- programs like those of networks: products, biases, activations, updates ---- */

typedef struct network {
    td_builder *b;
    uint64_t x;
    uint32_t value[80];
    int count;
} network;

static const td_meta *meta_of(const network *w, uint32_t v) {
    return td_build_meta(w->b, v);
}

static uint32_t any(network *w) { return w->value[chance(&w->x, (uint64_t)w->count)]; }

/* One of w's values of those sizes; TD_NO_VALUE when chance finds none. */
static uint32_t any_like(network *w, const td_shape *shape) {
    for (int tries = 0; tries < 30; tries++) {
        uint32_t v = any(w);
        if (td_shape_equal(&meta_of(w, v)->shape, shape)) return v;
    }
    return TD_NO_VALUE;
}

static void apply(network *w, const char *name, uint32_t a, uint32_t b,
                  const td_attrs *at) {
    const td_op *op = td_op_find(name);
    uint32_t in[2] = {a, b};
    td_meta meta[2] = {*meta_of(w, a)}, out[TD_OP_MAX_OUT];
    if (op->nin == 2) meta[1] = *meta_of(w, b);
    td_attrs tried = {0};
    if (at) tried = *at;
    if (w->count == 80 || td_op_infer(op, meta, op->nin, &tried, out, NULL) != 0) return;
    if (op->nout && td_shape_numel(&out[0].shape) > 40000) return;
    uint32_t v = td_build_op(w->b, op, in, (uint32_t)op->nin, at, NULL);
    if (op->nout) w->value[w->count++] = v;
}

static void grow(network *w) {
    static const char *const unary[] = {"relu", "sigmoid", "tanh", "neg", "square"};
    static const char *const binary[] = {"add", "mul", "sub", "maximum", "add"};
    td_attrs at = {0};
    uint32_t a = any(w), b;
    const td_shape shape = meta_of(w, a)->shape;
    switch (chance(&w->x, 9)) {
    case 0: apply(w, "matmul", a, any(w), NULL); break;
    case 1: apply(w, "conv2d", a, any(w), NULL); break;
    case 2: apply(w, unary[chance(&w->x, 5)], a, 0, NULL); break;
    case 3: apply(w, binary[chance(&w->x, 5)], a, any(w), NULL); break;
    case 4:
        if ((b = any_like(w, &shape)) != TD_NO_VALUE)
            apply(w, binary[chance(&w->x, 5)], a, b, NULL);
        break;
    case 5:
        if ((b = any_like(w, &shape)) != TD_NO_VALUE && chance(&w->x, 2))
            apply(w, "assign", a, b, NULL);
        break;
    case 6:
        if (shape.ndim != 2) break;
        td_attr_set_i(&at, 0, TD_ATTR_DIM, 0);
        td_attr_set_i(&at, 1, TD_ATTR_DIM, 1);
        apply(w, "transpose", a, 0, &at);
        break;
    case 7: {
        int64_t dim = 0;
        if (shape.ndim == 0) break;
        td_attr_set_list(&at, 0, TD_ATTR_DIMS, &dim, 1);
        apply(w, "sum", a, 0, &at);
        break;
    }
    default:
        if (shape.ndim == 1) {
            int64_t channels[4] = {1, -1, 1, 1};
            td_attr_set_list(&at, 0, TD_ATTR_SIZES, channels, 4);
            apply(w, "reshape", a, 0, &at);
        } else if (shape.ndim == 4) { /* the gradient of a convolution that made it */
            b = any(w);
            const td_shape f = meta_of(w, b)->shape;
            if (f.ndim != 4) break;
            int64_t images[4] = {shape.dim[0], f.dim[1], shape.dim[2] + f.dim[2] - 1,
                                 shape.dim[3] + f.dim[3] - 1};
            td_attr_set_list(&at, 0, TD_ATTR_SIZES, images, 4);
            apply(w, "conv2d_input", a, b, &at);
        }
    }
}

static td_program *network_make(uint64_t seed) {
    td_err err = {0};
    network w = {.b = td_builder_new(&err), .x = seed * 77};
    static const int64_t side[] = {1, 2, 7, 16, 24, 33, 60, 100, 200};
    int64_t m = side[chance(&w.x, 9)], n = side[chance(&w.x, 9)],
            k = side[chance(&w.x, 7)];
    int64_t c = 1 + (int64_t)chance(&w.x, 5), o = 1 + (int64_t)chance(&w.x, 20);
    const td_shape shape[] = {
        {.ndim = 2, .dim = {m, k}},       {.ndim = 2, .dim = {k, n}},
        {.ndim = 2, .dim = {n, k}},       {.ndim = 2, .dim = {m, n}},
        {.ndim = 1, .dim = {n}},          {.ndim = 0},
        {.ndim = 4, .dim = {3, c, 9, 7}}, {.ndim = 4, .dim = {o, c, 3, 2}},
        {.ndim = 1, .dim = {o}},          {.ndim = 4, .dim = {3, o, 7, 6}},
        {.ndim = 3, .dim = {3, m, k}},
    };
    td_meta meta = {.dtype = chance(&w.x, 4) ? TD_F32 : TD_F64};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        meta.shape = shape[i];
        w.value[w.count++] = td_build_input(w.b, &meta);
    }
    for (int i = 0; i < 90; i++) grow(&w);
    for (int i = 0; i < 3; i++) td_build_output(w.b, any(&w));
    td_program *p = td_builder_seal(&w.b, &err);
    if (p == NULL)
        fail_msg("seed %llu: %s: %s", (unsigned long long)seed, err.call, err.msg);
    return p;
}

static void test_networks(void **state) {
    (void)state;
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t from = only ? strtoull(only, NULL, 10) : 1;
    uint64_t to = only ? from : many ? strtoull(many, NULL, 10) : 300;
    for (uint64_t seed = from; seed <= to; seed++) {
        td_program *p = network_make(seed);
        for (int threads = 1; threads <= 2; threads++) {
            td_pool_set_threads(threads);
            assert_plan_runs(p, seed, 1);
        }
        td_program_unref(&p);
    }
}

/* What a constant is repeated to is handed out as a copy, but not written out. */
static void test_repeated_constant(void **state) {
    (void)state;
    td_err err = {0};
    td_builder *b = td_builder_new(&err);
    int64_t sizes[] = {(int64_t)1 << 36, 3};
    td_shape three = {.ndim = 1, .dim = {3}};
    td_tensor *t = td_tensor_new(TD_F32, &three, &err), *out[2];
    for (int i = 0; i < 3; i++) ((float *)td_tensor_data(t))[i] = (float)i;
    uint32_t c = td_build_const(b, t);
    td_attrs a = {0};
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, sizes, 2);
    td_build_output(b, td_build_op(b, td_op_find("expand"), &c, 1, &a, NULL));
    td_build_output(b, c);
    td_program *p = td_builder_seal(&b, &err);
    assert_non_null(p);
    td_plan *plan = td_plan_new(p, &err);
    assert_non_null(plan);
    assert_int_equal(td_plan_run(plan, NULL, 0, 0, out, &err), 0);
    assert_int_equal(out[0]->shape.dim[0], sizes[0]);
    assert_int_equal(out[0]->stride[0], 0);
    assert_memory_equal(td_tensor_data(out[0]), td_tensor_data(t), 12);
    assert_true(same_bits(out[1], t));
    assert_ptr_not_equal(out[0]->storage, out[1]->storage);
    td_tensor_unref(&out[0]);
    td_tensor_unref(&out[1]);
    td_tensor_unref(&t);
    td_plan_unref(&plan);
    td_program_unref(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_programs),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_repeated_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
