/* td_host_batch with batches written by hand: what refuses a whole batch, what fails when it runs and what that
 * does to the rest, and limits. Exact replies stand in tests/wire/ (test_wire.c). */
#include "tests/plans/host_rig.h"

/* ---- writing a batch, and what came back ---- */

static host_rig rig;
static td_writer head, bulk;
static td_op_names names;

/* A reply taken apart. Answers in order; their tensors' elements stand in values. */
static struct {
    bool refused;
    td_err why;
    int failures;
    td_failure failure[8];
    int answers;
    struct {
        uint64_t key;
        bool well;
        td_failure failure;
        td_about about[4];
        int count;
    } answer[8];
    size_t bulk_bytes;
    float values[64];
} got;

static void begin(void) {
    td_writer_free(&head);
    td_writer_free(&bulk);
    td_op_names_free(&names);
    td_put_uint(&head, 7);
}

/* One letter tells what an answer is, in the order of the batch's keys: t a tensor, l a list. */
static void read_reply(const td_letter *reply, const char *kinds) {
    td_reader r = {.data = reply->bytes, .size = reply->head_bytes};
    memset(&got, 0, sizeof got);
    assert_int_equal(reply->kind, TD_LETTER_REPLY);
    assert_int_equal(td_take_uint(&r), 7);
    got.refused = td_take_byte(&r) == 1;
    if (got.refused) td_take_err(&r, &got.why);
    got.failures = (int)td_take_uint(&r);
    assert_true(got.failures <= 8);
    for (int i = 0; i < got.failures; i++) td_take_failure(&r, &got.failure[i]);
    got.answers = (int)td_take_uint(&r);
    assert_true(got.answers <= 8);
    for (int i = 0; i < got.answers; i++) {
        got.answer[i].key = td_take_uint(&r);
        got.answer[i].well = td_take_byte(&r) == 1;
        if (!got.answer[i].well) {
            td_take_failure(&r, &got.answer[i].failure);
        } else if (kinds[i] == 't') {
            td_about *a = &got.answer[i].about[0];
            a->meta.dtype = td_take_dtype(&r);
            td_take_shape(&r, &a->meta.shape);
        } else {
            got.answer[i].count = (int)td_take_uint(&r);
            for (int k = 0; k < got.answer[i].count; k++)
                td_take_about(&r, &got.answer[i].about[k % 4]);
        }
    }
    assert_false(r.failed);
    assert_int_equal(r.at, r.size);
    got.bulk_bytes = reply->size - reply->head_bytes;
    memcpy(got.values, reply->bytes + reply->head_bytes,
           got.bulk_bytes < sizeof got.values ? got.bulk_bytes : sizeof got.values);
}

static void run(const char *kinds) {
    td_letter reply;
    td_err err = {0};
    if (td_host_batch(rig.host, 0, head.data, head.size, bulk.data, bulk.size, &reply,
                      &err))
        fail_msg("%s", err.msg);
    read_reply(&reply, kinds);
    td_free(reply.bytes);
}

static void tensor(uint64_t id, int n, const float *v) {
    const td_shape s = {1, {n}};
    put_f32(&head, &bulk, id, &s, v);
}

static const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};

static void op(const char *name, int nin, const uint64_t *in, const td_attrs *attrs,
               uint64_t out) {
    static const td_attrs none;
    const td_op *o = td_op_find(name);
    td_obj obj[4] = {0};
    td_arg arg[4] = {0};
    for (int i = 0; i < nin; i++) {
        obj[i].id = in[i];
        arg[i].obj = &obj[i];
    }
    td_put_byte(&head, TD_REC_OP);
    td_put_op(&head, &names, o, arg, nin, attrs ? attrs : &none, out);
}

static void op1(const char *name, uint64_t a, uint64_t out) {
    op(name, 1, &a, NULL, out);
}
static void op2(const char *name, uint64_t a, uint64_t b, uint64_t out) {
    op(name, 2, (uint64_t[]){a, b}, NULL, out);
}

static void record1(td_record kind, uint64_t v) {
    td_put_byte(&head, kind);
    td_put_uint(&head, v);
}

static void get(uint64_t key, uint64_t id, bool drop) {
    record1(TD_REC_GET, key);
    td_put_uint(&head, id);
    td_put_byte(&head, drop);
}

static void dataset(uint64_t key, const char *name, uint64_t x, uint64_t y) {
    record1(TD_REC_DATASET, key);
    td_put_text(&head, name);
    td_put_uint(&head, x);
    td_put_uint(&head, y);
}

static void assert_error(const td_err *e, int code, const char *call, const char *msg) {
    assert_string_equal(e->msg, msg);
    assert_string_equal(e->call, call);
    assert_int_equal(e->code, code);
}

/* Refused as a whole: nothing of it, not even the tensor that came first, is there. */
static void assert_refused(int code, const char *call, const char *msg) {
    run("");
    if (!got.refused) fail_msg("accepted, and not refused with: %s", msg);
    assert_error(&got.why, code, call, msg);
    assert_int_equal(got.failures, 0);
    assert_int_equal(got.answers, 0);
    assert_int_equal(td_host_object_count(rig.host), 0);
}

static int open_rig(void **state) {
    (void)state;
    rig_open(&rig);
    return 0;
}

static int close_rig(void **state) {
    (void)state;
    td_writer_free(&head);
    td_writer_free(&bulk);
    td_op_names_free(&names);
    rig_close(&rig);
    return 0;
}

/* ---- refusals ---- */

/* A batch of one good PUT and these octets. */
static void refuse_octets(const char *octets, size_t n, int code, const char *call,
                          const char *msg) {
    begin();
    tensor(1, 2, ones);
    td_put_bytes(&head, octets, n);
    assert_refused(code, call, msg);
}
#define REFUSE(octets, code, call, msg)                                                  \
    refuse_octets(octets, sizeof(octets) - 1, code, call, msg)

static void malformed_records(void **state) {
    (void)state;
    REFUSE("\x00", TD_E_PROTOCOL, "", "there is no record of kind 0");
    REFUSE("\x0a", TD_E_PROTOCOL, "", "there is no record of kind 10");
    REFUSE("\x01", TD_E_PROTOCOL, "", "an operation's number is out of range");
    REFUSE("\x01\x01\x01\x02", TD_E_PROTOCOL, "",
           "an operation's number is out of range");
    REFUSE("\x01\x00\x03nix", TD_E_PROTOCOL, "", "there is no operation 'nix' here");
    REFUSE("\x01\x00\x09neg", TD_E_PROTOCOL, "", "there is no operation '' here");
    REFUSE("\x01\x00\x03neg\x01", TD_E_PROTOCOL, "neg",
           "the operation's record is cut short");
    REFUSE("\x01\x00\x03neg\x01\x00", TD_E_PROTOCOL, "neg", "a result has no id");
    REFUSE("\x01\x00\x03neg\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", TD_E_PROTOCOL,
           "neg", "a result has no id");
    REFUSE("\x01\x00\x03neg\x00\x09\x02\x02", TD_E_PROTOCOL, "neg",
           "the operation's record is cut short");
    REFUSE("\x01\x00\x03"
           "cat\x00",
           TD_E_PROTOCOL, "cat", "0 tensors");
    REFUSE("\x01\x00\x03"
           "cat\x81\x02",
           TD_E_PROTOCOL, "cat", "257 tensors");
    REFUSE("\x01\x00\x07reshape\x01\x09", TD_E_PROTOCOL, "reshape",
           "the operation's record is cut short");
    REFUSE("\x02\x00\x02\x00\x00\x00", TD_E_PROTOCOL, "send",
           "the tensor's record is malformed");
    REFUSE("\x02\x05\x09\x00\x00\x00", TD_E_PROTOCOL, "send",
           "the tensor's record is malformed");
    REFUSE("\x02\x05\x02\x09", TD_E_PROTOCOL, "send", "the tensor's record is malformed");
    REFUSE("\x02\x05\x02\x00\x11", TD_E_PROTOCOL, "send",
           "the tensor's record is malformed");
    REFUSE("\x02\x05\x02\x00\x01\x03"
           "a\0b\x00",
           TD_E_PROTOCOL, "send", "the tensor's record is malformed");
    REFUSE("\x03\x00", TD_E_PROTOCOL, "", "a record of kind 3 is malformed");
    REFUSE("\x03", TD_E_PROTOCOL, "", "a record of kind 3 is malformed");
    REFUSE("\x04\x01\x00\x00", TD_E_PROTOCOL, "", "a record of kind 4 is malformed");
    REFUSE("\x04\x01\x01\x02", TD_E_PROTOCOL, "", "a record of kind 4 is malformed");
    REFUSE("\x04\x01\x01", TD_E_PROTOCOL, "", "a record of kind 4 is malformed");
    REFUSE("\x05\x00\x00\x00", TD_E_PROTOCOL, "", "a record of kind 5 is malformed");
    REFUSE("\x05\x01", TD_E_PROTOCOL, "", "a record of kind 5 is malformed");
    REFUSE("\x07", TD_E_PROTOCOL, "", "a record of kind 7 is malformed");
    REFUSE("\x08\x01\x02\x01"
           "a",
           TD_E_PROTOCOL, "", "a record of kind 8 is malformed");
    REFUSE("\x09\x01\x04open\x05\x05", TD_E_PROTOCOL, "dataset",
           "the record is malformed");
    REFUSE("\x09\x01\x04open\x05\x00", TD_E_PROTOCOL, "dataset",
           "the record is malformed");
    REFUSE("\x09\x01\x04open\x05", TD_E_PROTOCOL, "dataset", "the record is malformed");
}

static void batch_without_number(void **state) {
    (void)state;
    td_letter reply;
    td_err err = {0}, why;
    assert_int_equal(td_host_batch(rig.host, 0, (const unsigned char *)"\x80", 1, NULL, 0,
                                   &reply, &err),
                     0);
    td_reader r = {.data = reply.bytes, .size = reply.head_bytes};
    assert_int_equal(td_take_uint(&r), 0);
    assert_int_equal(td_take_byte(&r), 1);
    td_take_err(&r, &why);
    assert_error(&why, TD_E_PROTOCOL, "", "a batch has no number");
    td_free(reply.bytes);
}

static void bytes_against_the_bulk(void **state) {
    (void)state;
    begin();
    tensor(1, 2, ones);
    bulk.size -= 1;
    assert_refused(TD_E_PROTOCOL, "send", "a tensor of 8 bytes, 7 were brought");
    begin();
    tensor(1, 2, ones);
    td_put_byte(&bulk, 0);
    assert_refused(TD_E_PROTOCOL, "", "9 bytes were brought, the records take 8");
    begin();
    td_put_byte(&bulk, 0);
    assert_refused(TD_E_PROTOCOL, "", "1 bytes were brought, the records take 0");
}

/* What a header claims is judged before anything is allocated for it. */
static void hostile_sizes(void **state) {
    (void)state;
    static const td_shape huge[] = {{1, {INT64_MAX >> 1}},
                                    {2, {(int64_t)1 << 31, (int64_t)1 << 31}},
                                    {3, {(int64_t)1 << 40, 0, (int64_t)1 << 40}}};
    static const char *const text[] = {
        "a f32 tensor of 4611686018427387903 is too large",
        "a f32 tensor of 2147483648x2147483648 is too large",
        "a f32 tensor of 1099511627776x0x1099511627776 is too large"};
    for (int i = 0; i < 3; i++) {
        begin();
        put_f32(&head, &bulk, 1, &(td_shape){1, {0}}, ones);
        head.size -= 1 + 1 + 2; /* the tags and the shape again */
        td_put_shape(&head, &huge[i]);
        td_put_byte(&head, 0);
        td_put_byte(&head, 0);
        run("");
        assert_true(got.refused);
        assert_error(&got.why, TD_E_LIMIT, "", text[i]);
    }
    begin(); /* 2^40 elements that nobody brought */
    td_put_byte(&head, TD_REC_PUT);
    td_put_uint(&head, 1);
    td_put_byte(&head, TD_F32);
    td_put_shape(&head, &(td_shape){1, {(int64_t)1 << 40}});
    td_put_byte(&head, 0);
    td_put_byte(&head, 0);
    assert_refused(TD_E_PROTOCOL, "send",
                   "a tensor of 4398046511104 bytes, 0 were brought");
}

static void refuse_op(const char *name, const td_attrs *a, int code, const char *msg) {
    begin();
    tensor(1, 4, ones);
    op(name, td_op_find(name)->nin, (uint64_t[]){1, 1, 1}, a, 2);
    assert_refused(code, name, msg);
}

/* Attributes at the ends of their range: the rules say no, and do not overflow while they do. */
static void hostile_attributes(void **state) {
    (void)state;
    td_attrs a = {0};
    td_attr_set_i(&a, 0, TD_ATTR_DIM, INT64_MAX);
    td_attr_set_i(&a, 1, TD_ATTR_POS, 0);
    refuse_op("select", &a, TD_E_INDEX,
              "dim 9223372036854775807 of a tensor with 1 dimensions");
    td_attr_set_i(&a, 0, TD_ATTR_DIM, -1);
    refuse_op("select", &a, TD_E_INDEX, "dim -1 of a tensor with 1 dimensions");
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&a, 1, TD_ATTR_POS, INT64_MAX);
    refuse_op("select", &a, TD_E_INDEX,
              "position 9223372036854775807 of dimension 1, which has 4");
    td_attr_set_i(&a, 1, TD_ATTR_POS, INT64_MIN);
    refuse_op("select", &a, TD_E_INDEX,
              "position -9223372036854775808 of dimension 1, which has 4");
    td_attr_set_i(&a, 1, TD_ATTR_POS, 2);
    td_attr_set_i(&a, 2, TD_ATTR_INT, INT64_MAX);
    refuse_op("narrow", &a, TD_E_INDEX,
              "9223372036854775807 entries from position 3 of dimension 1, which has 4");
    a = (td_attrs){0};
    td_attr_set_i(&a, 0, TD_ATTR_DTYPE, 9);
    refuse_op("cast", &a, TD_E_DTYPE, "there is no dtype number 9");
    a = (td_attrs){0};
    td_attr_set_list(&a, 0, TD_ATTR_DIMS, (int64_t[]){0, 0}, 2);
    td_attr_set_i(&a, 1, TD_ATTR_BOOL, 0);
    refuse_op("sum", &a, TD_E_ARGUMENT, "dimension 1 is named twice");
    td_attr_set_list(&a, 0, TD_ATTR_DIMS, (int64_t[]){0}, 1);
    td_attr_set_i(&a, 1, TD_ATTR_BOOL, 2);
    refuse_op("sum", &a, TD_E_ARGUMENT, "keepdim is true or false, got 2");
    a = (td_attrs){0};
    td_attr_set_list(&a, 0, TD_ATTR_SIZES,
                     (int64_t[]){(int64_t)1 << 40, (int64_t)1 << 40}, 2);
    td_attr_set_f(&a, 1, 1);
    td_attr_set_i(&a, 2, TD_ATTR_DTYPE, TD_F32);
    refuse_op("full", &a, TD_E_LIMIT,
              "a f32 tensor of 1099511627776x1099511627776 is too large");
}

/* ---- failures of single records ---- */

/* Memory is asked for before time is spent: 2^40 elements are refused at once, and others go on. */
static void memory_before_time(void **state) {
    (void)state;
    td_attrs a = {0}, b = {0};
    td_data_set_limit(1 << 20);
    begin();
    td_attr_set_list(&a, 0, TD_ATTR_SIZES, (int64_t[]){(int64_t)1 << 40}, 1);
    td_attr_set_f(&a, 1, 1);
    td_attr_set_i(&a, 2, TD_ATTR_DTYPE, TD_F32);
    op("full", 0, NULL, &a, 10);
    td_attr_set_i(&b, 0, TD_ATTR_INT, (int64_t)1 << 40);
    td_attr_set_i(&b, 1, TD_ATTR_INT, 1);
    td_attr_set_i(&b, 2, TD_ATTR_INT, 1);
    op("randperm", 0, NULL, &b, 11);
    tensor(1, 2, ones);
    get(1, 1, false);
    get(2, 10, false);
    run("tt");
    assert_false(got.refused);
    assert_int_equal(got.failures, 2);
    assert_int_equal(got.failure[0].record, 0);
    assert_int_equal(got.failure[0].err.code, TD_E_MEMORY);
    assert_non_null(
        strstr(got.failure[0].err.msg, "4398046511104 bytes more do not fit: "));
    assert_string_equal(got.failure[1].err.call, "randperm");
    assert_true(got.answer[0].well);
    assert_false(got.answer[1].well);
    assert_int_equal(got.answer[1].failure.err.code, TD_E_MEMORY);
}

static void missing_poisons_what_depends(void **state) {
    (void)state;
    begin();
    tensor(1, 2, ones);
    op2("add", 1, 99, 2); /* record 1: no 99 */
    op1("neg", 2, 3);
    op2("add", 3, 1, 4);
    op2("add", 1, 1, 5);
    get(1, 4, true);
    get(2, 5, true);
    run("tt");
    assert_int_equal(got.failures, 1);
    assert_int_equal(got.failure[0].batch, 7);
    assert_int_equal(got.failure[0].record, 1);
    assert_error(&got.failure[0].err, TD_E_NOT_FOUND, "add", "object 99 is not at bob");
    assert_false(got.answer[0].well);
    assert_int_equal(got.answer[0].failure.record, 1);
    assert_true(got.answer[1].well);
    assert_true(got.values[0] == 2 && got.values[1] == 2);
    assert_int_equal(td_host_object_count(rig.host), 3); /* 1, and the poisoned 2 and 3 */
    begin(); /* the poison outlives the batch, and goes with its objects */
    op1("neg", 3, 6);
    get(1, 6, true);
    record1(TD_REC_FREE, 2);
    record1(TD_REC_FREE, 3);
    record1(TD_REC_FREE, 12345);
    run("t");
    assert_int_equal(got.failures, 0);
    assert_int_equal(got.answer[0].failure.record, 1);
    assert_int_equal(td_host_object_count(rig.host), 1);
}

static void assignments_before_stay(void **state) {
    (void)state;
    static const float five[] = {5, 5};
    begin();
    tensor(1, 2, ones);
    tensor(2, 2, five);
    get(1, 1, false); /* as it is here, whatever comes */
    op2("assign", 1, 2, 0);
    op2("assign", 1, 99, 0);
    op1("neg", 1, 3);
    get(2, 1, false);
    get(3, 3, false);
    run("ttt");
    assert_int_equal(got.failures, 1);
    assert_int_equal(got.failure[0].record, 4);
    assert_true(got.values[0] == 1 && got.values[2] == 5 && got.values[4] == -5);
}

static void ids_in_use(void **state) {
    (void)state;
    static const float three[] = {3, 3};
    td_attrs a = {0};
    begin();
    tensor(1, 2, ones);
    tensor(1, 2, three);
    op1("neg", 1, 1);
    get(1, 1, false);
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&a, 1, TD_ATTR_BOOL, 0);
    tensor(11, 2, three);
    op("max_dim", 1, (uint64_t[]){11}, &a, 10); /* results 10 and 11, which is there */
    get(2, 10, false);
    get(3, 11, false);
    run("ttt");
    assert_int_equal(got.failures, 3);
    assert_error(&got.failure[0].err, TD_E_STATE, "send", "object 1 is there already");
    assert_error(&got.failure[1].err, TD_E_STATE, "", "object 1 is there already");
    assert_true(got.values[0] == 1);  /* the first one */
    assert_false(got.answer[1].well); /* no half of an operation */
    assert_int_equal(got.answer[1].failure.record, 5);
    assert_true(got.answer[2].well && got.values[2] == 3);
}

static void object_limit(void **state) {
    (void)state;
    rig.config.max_objects = 3; /* read when the host was made: a new one */
    td_host_free(&rig.host);
    td_err err;
    rig.host = td_host_new(&rig.config, rig_session, &err);
    begin();
    for (uint64_t id = 1; id <= 5; id++) tensor(id, 1, ones);
    record1(TD_REC_FREE, 1);
    op1("neg", 2, 6);
    get(1, 6, false);
    run("t");
    assert_int_equal(got.failures, 2);
    assert_error(&got.failure[0].err, TD_E_LIMIT, "send",
                 "the session holds 3 objects, more are not allowed");
    assert_int_equal(got.failure[1].record, 4);
    assert_true(got.answer[0].well);
    assert_int_equal(td_host_object_count(rig.host), 3);
}

static void views(void **state) {
    (void)state;
    static const float four[] = {1, 2, 3, 4};
    td_attrs a = {0};
    begin();
    put_f32(&head, &bulk, 1, &(td_shape){2, {2, 2}}, four);
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&a, 1, TD_ATTR_DIM, 1);
    op("transpose", 1, (uint64_t[]){1}, &a, 2);
    get(1, 2, false);
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 1);
    td_attr_set_i(&a, 1, TD_ATTR_POS, -1);
    op("select", 1, (uint64_t[]){1}, &a, 3); /* the last column */
    record1(TD_REC_FREE, 1);                 /* the view keeps what it shows */
    get(2, 3, false);
    op2("assign", 2, 2, 0);
    run("tt");
    assert_int_equal(got.failures, 0);
    static const float want[] = {1, 3, 2, 4, 2, 4};
    assert_int_equal(got.bulk_bytes, sizeof want);
    assert_memory_equal(got.values, want, sizeof want);
}

static void clear_in_the_middle(void **state) {
    (void)state;
    begin();
    tensor(1, 2, ones);
    td_put_byte(&head, TD_REC_CLEAR);
    get(1, 1, false);
    tensor(1, 4, ones); /* the id is free again, for another shape */
    op2("add", 1, 1, 2);
    get(2, 2, false);
    record1(TD_REC_OBJECTS, 3);
    run("ttl");
    assert_int_equal(got.failures, 1);
    assert_error(&got.answer[0].failure.err, TD_E_NOT_FOUND, "get",
                 "object 1 is not at bob");
    assert_true(got.answer[1].well);
    assert_int_equal(got.answer[1].about[0].meta.shape.dim[0], 4);
    assert_int_equal(got.answer[2].count, 2);
}

/* What is known of a freed, dropped or cleared id is forgotten, and no old shape is taken for the new one. */
static void ids_used_again(void **state) {
    (void)state;
    begin();
    tensor(1, 2, ones);
    record1(TD_REC_FREE, 1);
    tensor(1, 3, ones);
    tensor(2, 3, ones);
    op2("add", 1, 2, 3);
    get(1, 1, true);
    tensor(1, 1, ones);
    op2("mul", 1, 2, 4);
    get(2, 4, true);
    run("tt");
    assert_false(got.refused);
    assert_int_equal(got.failures, 0);
    begin();
    record1(TD_REC_FREE, 1);
    op2("add", 1, 2, 5); /* judged when it runs: 1 is gone */
    run("");
    assert_false(got.refused);
    assert_error(&got.failure[0].err, TD_E_NOT_FOUND, "add", "object 1 is not at bob");
}

static void bools_are_0_or_1(void **state) {
    (void)state;
    static const td_tags none;
    begin();
    td_put_byte(&head, TD_REC_PUT);
    td_put_uint(&head, 1);
    td_put_byte(&head, TD_BOOL);
    td_put_shape(&head, &(td_shape){1, {3}});
    td_put_tags(&head, &none);
    td_put_bytes(&bulk, "\x00\x02\xff", 3);
    get(1, 1, false);
    run("t");
    assert_memory_equal(got.values, "\x00\x01\x01", 3);
}

/* ---- data sets ---- */

static void data_sets(void **state) {
    (void)state;
    begin();
    dataset(1, "open", 10, 11);
    dataset(2, "closed", 12, 13);
    dataset(3, "none", 14, 15);
    record1(TD_REC_OBJECTS, 4);
    run("llll");
    assert_int_equal(got.failures, 0);
    assert_true(got.answer[0].well);
    assert_int_equal(got.answer[0].count, 2);
    assert_int_equal(got.answer[0].about[0].id, 10);
    assert_string_equal(got.answer[0].about[1].dataset, "open");
    assert_error(&got.answer[1].failure.err, TD_E_DENIED, "dataset",
                 "the policy of 'closed' at bob lets no pointer touch its rows");
    assert_error(&got.answer[2].failure.err, TD_E_NOT_FOUND, "dataset",
                 "bob has no data set 'none'");
    assert_int_equal(got.answer[3].count,
                     0); /* the owner's rows are no objects of the session */
    begin();
    op2("assign", 10, 10, 0);
    op2("add", 10, 10, 20);
    get(1, 20, true);
    get(2, 10, true); /* goes from the session, not from bob */
    dataset(3, "open", 10, 12);
    run("ttl");
    assert_int_equal(got.failures, 1);
    assert_error(&got.failure[0].err, TD_E_DENIED, "assign",
                 "a data set's rows cannot be changed");
    assert_true(got.values[0] == 2 && got.values[3] == 8 && got.values[4] == 1 &&
                got.values[7] == 4);
    assert_true(got.answer[2].well);
}

/* A view of the owner's rows is as read-only as they are. */
static void views_of_rows(void **state) {
    (void)state;
    td_attrs a = {0};
    begin();
    dataset(1, "open", 10, 11);
    run("l");
    begin();
    tensor(1, 2, ones);
    td_attr_set_i(&a, 0, TD_ATTR_DIM, 0);
    td_attr_set_i(&a, 1, TD_ATTR_POS, 0);
    op("select", 1, (uint64_t[]){10}, &a, 12);
    op2("assign", 12, 1, 0);
    get(1, 12, false);
    run("t");
    assert_error(&got.failure[0].err, TD_E_DENIED, "assign",
                 "a data set's rows cannot be changed");
    assert_true(got.values[0] == 1 && got.values[1] == 2);
}

static void data_set_ids_in_use(void **state) {
    (void)state;
    begin();
    tensor(11, 1, ones);
    dataset(1, "open", 10, 11);
    get(2, 10, false);
    run("lt");
    assert_error(&got.answer[0].failure.err, TD_E_STATE, "",
                 "object 11 is there already");
    assert_false(got.answer[1].well); /* no x without its y */
}

/* ---- bounds of replies ---- */

static void many_failures(void **state) {
    (void)state;
    td_letter reply;
    td_err err = {0};
    begin();
    for (int i = 0; i < 3000; i++) op2("assign", 98, 99, 0);
    assert_int_equal(
        td_host_batch(rig.host, 0, head.data, head.size, NULL, 0, &reply, &err), 0);
    td_reader r = {.data = reply.bytes, .size = reply.head_bytes};
    td_take_uint(&r);
    td_take_byte(&r);
    assert_int_equal(td_take_uint(&r), 1000);
    td_free(reply.bytes);
}

static void many_lists(void **state) {
    (void)state;
    td_letter reply;
    td_err err = {0};
    td_tags tags = {.count = TD_TAGS_MAX};
    for (int i = 0; i < TD_TAGS_MAX; i++) memset(tags.tag[i], 'a' + i, TD_TAG_BYTES - 1);
    begin();
    for (uint64_t id = 1; id <= 500; id++) {
        tensor(id, 1, ones);
        record1(TD_REC_TAG, id);
        td_put_tags(&head, &tags);
    }
    run("");
    begin();
    for (uint64_t key = 1; key <= 1000; key++)
        record1(TD_REC_OBJECTS, key); /* 500 MB of answers */
    assert_int_equal(
        td_host_batch(rig.host, 0, head.data, head.size, NULL, 0, &reply, &err), 0);
    assert_true(reply.size > (size_t)64 << 20 && reply.size < (size_t)66 << 20);
    td_free(reply.bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_rig, close_rig)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(malformed_records),
        TEST(batch_without_number),
        TEST(bytes_against_the_bulk),
        TEST(hostile_sizes),
        TEST(hostile_attributes),
        TEST(memory_before_time),
        TEST(missing_poisons_what_depends),
        TEST(assignments_before_stay),
        TEST(ids_in_use),
        TEST(object_limit),
        TEST(views),
        TEST(clear_in_the_middle),
        TEST(ids_used_again),
        TEST(bools_are_0_or_1),
        TEST(data_sets),
        TEST(views_of_rows),
        TEST(data_set_ids_in_use),
        TEST(many_failures),
        TEST(many_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
