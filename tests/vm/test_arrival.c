/* Values that come from elsewhere are what was asked for, or an error: the other end may send anything. And
 * how values end. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/mem.h"
#include "vm/val.h"

/* A place that delivers whatever it has. */
typedef struct liar {
    td_place place;
    td_tensor *sends;
} liar;

static int deliver(td_place *p, td_coming *c, td_err *err) {
    (void)err;
    c->t = td_tensor_ref(((liar *)p)->sends);
    c->done = true;
    return 0;
}

static void nothing(td_place *p) { (void)p; }

static const td_place_ops liar_ops = {.wait = deliver, .destroy = nothing};

/* What comes of a value of that dtype and shape when 2x3 f32 are sent. */
static void expect(td_dtype dtype, td_shape shape, const char *message) {
    td_err err = {0};
    td_shape sent = {2, {2, 3}};
    liar bob = {.place = {.ops = &liar_ops, .refs = 1, .name = "bob"},
                .sends = td_tensor_new(TD_F32, &sent, &err)};
    td_meta meta = {.dtype = dtype, .shape = shape};
    td_val *v = td_val_coming(td_coming_new(&bob.place, 1), &meta, &err);
    assert_non_null(v);
    for (int look = 0; look < 2; look++) { /* the second time it is the same */
        td_tensor *t = td_val_tensor(v, "item", &err);
        if (message) {
            assert_null(t);
            assert_int_equal(err.code, TD_E_PROTOCOL);
            assert_string_equal(err.msg, message);
        } else {
            assert_ptr_equal(t, bob.sends);
        }
    }
    td_val_unref(&v);
    td_tensor_unref(&bob.sends);
    assert_int_equal(bob.place.refs, 1);
    assert_int_equal(td_data_live_bytes(), 0);
}

static void what_was_asked_for(void **state) {
    (void)state;
    expect(TD_F32, (td_shape){2, {2, 3}}, NULL);
}

static void another_shape(void **state) {
    (void)state;
    expect(TD_F32, (td_shape){2, {200, 300}},
           "bob sent 2x3 f32, what was asked for is 200x300 f32");
    expect(TD_F32, (td_shape){1, {6}}, "bob sent 2x3 f32, what was asked for is 6 f32");
    expect(TD_F32, (td_shape){0}, "bob sent 2x3 f32, what was asked for is scalar f32");
}

static void another_dtype(void **state) {
    (void)state;
    expect(TD_F64, (td_shape){2, {2, 3}},
           "bob sent 2x3 f32, what was asked for is 2x3 f64");
}

/* The chain of a script that sends a pointer, then the pointer to that, and so on. */
static void *end_long_chain(void *arg) {
    td_err err = {0};
    td_val *last = NULL;
    for (int i = 0; i < 100000; i++) {
        td_val *v = td_val_new(td_tensor_from_i64(TD_I64, i, &err), &err);
        if (v == NULL) return NULL;
        v->inner = last;
        last = v;
    }
    td_val_unref(&last);
    *(bool *)arg = true;
    return NULL;
}

static void a_long_chain_of_pointers_needs_little_stack(void **state) {
    (void)state;
    pthread_attr_t small;
    pthread_t thread;
    bool done = false;
    pthread_attr_init(&small);
    assert_int_equal(pthread_attr_setstacksize(&small, 256 << 10), 0);
    assert_int_equal(pthread_create(&thread, &small, end_long_chain, &done), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&small);
    assert_true(done);
    assert_int_equal(td_data_live_bytes(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked_for),
        cmocka_unit_test(another_shape),
        cmocka_unit_test(another_dtype),
        cmocka_unit_test(a_long_chain_of_pointers_needs_little_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
