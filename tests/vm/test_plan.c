/* Plans against the same programs run operation by operation: bits, errors, what inputs become, what
 * outputs share. */
#include "programs.h"

#include "runtime/pool.h"
#include "vm/passes.h"
#include "vm/plan.h"

TD_OP_USE(matmul);
TD_OP_USE(add);
TD_OP_USE(mul);
TD_OP_USE(sub);
TD_OP_USE(relu);
TD_OP_USE(sigmoid);
TD_OP_USE(assign);
TD_OP_USE(transpose);
TD_OP_USE(sum);

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
            if (!same_bits(a[i], b[i])) differ(p, plan, seed, "inputs", &err_a, &err_b);
        for (uint32_t k = 0; rc == 0 && k < p->output_count; k++) {
            if (!same_bits(out_a[k], out_b[k]))
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
