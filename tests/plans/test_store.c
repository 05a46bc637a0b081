/* The map of ids against a plain array, over long random runs; and the store of objects: limits, ids in use, poison. */
#include "runtime/scratch.h"
#include "tests/plans/host_rig.h"

#include "plans/session/store.h"

static uint64_t draw(uint64_t *x, uint64_t below) { /* splitmix64 */
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

#define KEYS 200

/* The same calls go to the map and to an array of KEYS values. spread: ids lie close together, or far apart, or all
 * in a few places of the table. */
static void run_map(uint64_t seed, uint64_t spread) {
    static char value[1000];
    void *model[KEYS] = {NULL};
    td_idmap m = {0};
    uint64_t x = seed;
    size_t count = 0;
    for (int step = 0; step < 5000; step++) {
        uint64_t k = draw(&x, KEYS), id = 1 + k * spread;
        switch (draw(&x, 5)) {
        case 0:
        case 1: {
            void *v = &value[draw(&x, sizeof value)];
            assert_true(td_idmap_set(&m, id, v));
            count += model[k] == NULL;
            model[k] = v;
            break;
        }
        case 2:
        case 3:
            assert_ptr_equal(td_idmap_remove(&m, id), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
            break;
        default: assert_ptr_equal(td_idmap_get(&m, id), model[k]);
        }
        assert_int_equal(m.count, count);
        if (step % 500) continue;
        for (k = 0; k < KEYS; k++)
            assert_ptr_equal(td_idmap_get(&m, 1 + k * spread), model[k]);
        uint64_t got;
        void *v;
        size_t walked = 0;
        for (size_t at = 0; td_idmap_next(&m, &at, &got, &v); walked++)
            assert_ptr_equal(model[(got - 1) / spread], v);
        assert_int_equal(walked, count);
    }
    td_idmap_free(&m);
    assert_null(td_idmap_get(&m, 1));
    assert_null(td_idmap_remove(&m, 1));
}

static void map_against_array(void **state) {
    (void)state;
    static const uint64_t spread[] = {1, 64, 1u << 20, (uint64_t)1 << 44,
                                      0x9e3779b97f4a7c15u >> 9};
    for (uint64_t seed = 1; seed <= 20; seed++)
        for (int i = 0; i < 5; i++) run_map(seed, spread[i]);
}

static void map_of_nothing(void **state) {
    (void)state;
    td_idmap m = {0};
    size_t at = 0;
    uint64_t id;
    void *v;
    assert_null(td_idmap_get(&m, 5));
    assert_null(td_idmap_remove(&m, 5));
    assert_false(td_idmap_next(&m, &at, &id, &v));
    assert_true(td_idmap_set(&m, 5, &m));
    assert_null(td_idmap_get(&m, 0));
    assert_null(td_idmap_remove(&m, 0));
    td_idmap_free(&m);
}

static td_tensor *number(double v) { return td_tensor_from_f64(TD_F64, v, NULL); }

static void store_of_tensors(void **state) {
    (void)state;
    td_store s = {.max_objects = 2};
    td_object *o = NULL;
    td_err err = {0};
    assert_int_equal(td_store_put(&s, 1, number(1), &o, &err), 0);
    assert_ptr_equal(td_store_get(&s, 1), o);
    assert_int_equal(td_store_put(&s, 1, number(2), NULL, &err), TD_E_STATE);
    assert_string_equal(err.msg, "object 1 is there already");
    assert_int_equal(td_store_put(&s, 2, number(2), NULL, NULL), 0);
    assert_int_equal(td_store_put(&s, 3, number(3), NULL, &err), TD_E_LIMIT);
    assert_string_equal(err.msg, "the session holds 2 objects, more are not allowed");
    td_store_remove(&s, 1);
    td_store_remove(&s, 1);
    assert_null(td_store_get(&s, 1));
    assert_int_equal(td_store_put(&s, 3, number(3), NULL, &err), 0);
    td_store_clear(&s);
    assert_null(td_store_get(&s, 3));
    assert_int_equal(td_store_put(&s, 3, number(3), NULL, &err),
                     0); /* it may be used again */
    td_store_clear(&s);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

static void store_of_poison(void **state) {
    (void)state;
    td_store s = {.max_objects = 10};
    td_poison *p = td_new(td_poison);
    td_about a;
    p->refs = 1;
    td_fail(&p->failure.err, TD_E_INDEX, "select", "position 9");
    assert_int_equal(td_store_put(&s, 1, number(1), NULL, NULL), 0);
    td_store_poison(&s, 1, p); /* what is there stays */
    td_store_poison(&s, 2, p);
    td_store_poison(&s, 3, p);
    assert_non_null(td_store_get(&s, 1)->t);
    assert_null(td_store_get(&s, 2)->t);
    assert_ptr_equal(td_store_get(&s, 3)->poison, p);
    assert_int_equal(p->refs, 3);
    td_store_about(2, td_store_get(&s, 2), &a);
    assert_true(a.id == 2 && a.meta.dtype == TD_F32 && a.meta.shape.ndim == 0);
    td_store_remove(&s, 2);
    assert_int_equal(p->refs, 2);
    td_store_clear(&s);
    assert_int_equal(p->refs, 1);
    td_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_against_array),
        cmocka_unit_test(map_of_nothing),
        cmocka_unit_test(store_of_tensors),
        cmocka_unit_test(store_of_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
