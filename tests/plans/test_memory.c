/* Links and batches while memory runs out: each allocation fails once, and nothing is lost without a word. */
#include "tests/failing_heap.h"
#include "tests/plans/host_rig.h"

#include "plans/session/link.h"
#include "vm/apply.h"

#if HEAP_CAN_FAIL
/* A letter whose frame finds no memory is taken when it comes again. */
static void a_letter_comes_again(void **state) {
    (void)state;
    td_err err = {0};
    td_link *from = td_link_new(rig_session, 1 << 20, &err);
    td_letter letter = {
        .kind = 1, .bytes = td_new_bytes(5000), .head_bytes = 8, .size = 5000};
    td_writer w = {0};
    td_frame f;
    assert_int_equal(td_link_send(from, &letter, &err), 0);
    assert_true(td_link_next(from, 0, &w));
    assert_int_equal(td_frame_parse(w.data, w.size, &f, &err), 0);
    long failures = 0;
    for (int code = 1; code != 0; failures++) {
        td_link *to = td_link_new(rig_session, 1 << 20, &err);
        td_mem_give_back();
        heap_calls_left = failures;
        code = td_link_frame(to, &f, 0, &err);
        heap_calls_left = -1;
        if (code) {
            assert_int_equal(code, TD_E_MEMORY);
            assert_false(td_link_letter(to, &letter));
            assert_int_equal(td_link_frame(to, &f, 0, &err), 0);
        }
        assert_true(td_link_letter(to, &letter));
        assert_int_equal(letter.size, 5000);
        td_free(letter.bytes);
        td_link_free(&to);
    }
    assert_true(failures > 2);
    td_writer_free(&w);
    td_link_free(&from);
}

/* Two tensors, and between them every operation that takes only the first, once or twice: more than the table of names
 * has room for to begin with. The number of objects. */
static int write_batch(td_writer *head, td_writer *bulk) {
    const float v[2] = {1, 2};
    const td_shape two = {1, {2}};
    td_op_names names = {0};
    td_obj x = {.id = 1};
    const td_meta meta[2] = {{.dtype = TD_F32, .shape = two},
                             {.dtype = TD_F32, .shape = two}};
    const td_arg args[2] = {{.obj = &x, .meta = meta[0]}, {.obj = &x, .meta = meta[0]}};
    int objects = 2;
    td_put_uint(head, 1);
    put_f32(head, bulk, 1, &two, v);
    for (int k = 0; k < td_op_count(); k++) {
        const td_op *op = td_op_at(k);
        td_attrs attrs = {0};
        td_meta out[TD_OP_MAX_OUT];
        if (op->nin < 1 || op->nin > 2 || op->nout != 1 || td_op_attr_count(op) > 0 ||
            td_op_infer(op, meta, op->nin, &attrs, out, NULL) != 0)
            continue;
        td_put_byte(head, TD_REC_OP);
        td_put_op(head, &names, op, args, op->nin, &attrs, 10 + (uint64_t)k);
        objects++;
    }
    assert_true(names.count > 32);
    put_f32(head, bulk, 2, &two, v);
    td_op_names_free(&names);
    return objects;
}

/* A batch is refused, or it says that something failed, or all of it is there. */
static void a_batch_says_what_it_lacks(void **state) {
    (void)state;
    td_writer head = {0}, bulk = {0};
    int objects = write_batch(&head, &bulk);
    long failures = 0;
    for (bool was_reached = true; was_reached; failures++) {
        host_rig rig;
        td_err err = {0};
        td_letter reply = {0};
        rig_open(&rig);
        td_mem_give_back();
        heap_calls_left = failures;
        int code = td_host_batch(rig.host, 1, head.data, head.size, bulk.data, bulk.size,
                                 &reply, &err);
        was_reached = heap_calls_left < 0;
        heap_calls_left = -1;
        if (code == 0) {
            td_reader r = {.data = reply.bytes, .size = reply.head_bytes};
            td_take_uint(&r);
            bool is_told = td_take_byte(&r) != 0 || td_take_uint(&r) > 0;
            assert_true(is_told == was_reached);
            if (!is_told) assert_int_equal(td_host_object_count(rig.host), objects);
        } else {
            assert_int_equal(code, TD_E_MEMORY);
        }
        td_free(reply.bytes);
        rig_close(&rig);
    }
    assert_true(failures > objects);
    td_writer_free(&head);
    td_writer_free(&bulk);
}
#else
static void a_letter_comes_again(void **state) {
    (void)state;
    skip();
}
static void a_batch_says_what_it_lacks(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_comes_again),
        cmocka_unit_test(a_batch_says_what_it_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
