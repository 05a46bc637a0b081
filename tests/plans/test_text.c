/* Batches as text and bindings: what is read back is what plain records would be, whatever was recorded; equal
 * scripts have equal texts; client and worker agree on what is known, also when texts go; what is refused. */
#include "runtime/scratch.h"
#include "tests/plans/host_rig.h"

#include "plans/session/known.h"
#include "plans/session/text.h"
#include "plans/session/virtual.h"
#include "vm/apply.h"

static uint64_t state_of_draws;
static uint64_t draw(uint64_t below) { /* splitmix64 */
    uint64_t z = state_of_draws += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

/* ---- random records, written both ways ---- */

#define OBJECTS 30

typedef struct both {
    td_text text;
    td_writer plain; /* by what wrote batches before there were texts */
    td_op_names names;
    td_obj obj[OBJECTS];
    uint64_t next_id;
} both;

static uint64_t fresh(both *b) { return b->next_id += draw(4) ? 1 : draw(1000) + 1; }

/* An object that may be of an earlier batch, or one that is made now. */
static td_obj *some(both *b) { return &b->obj[draw(OBJECTS)]; }

static td_attr random_attr(const td_attr_spec *spec) {
    td_attr a = {.kind = (uint8_t)spec->kind};
    switch (spec->kind) {
    case TD_ATTR_FLOAT: a.f = (double)draw(5) / 4; break;
    case TD_ATTR_DIMS:
    case TD_ATTR_SIZES:
    case TD_ATTR_INTS:
        a.n = (uint8_t)draw(4);
        for (int i = 0; i < a.n; i++) a.list[i] = (int64_t)draw(9) - 4;
        break;
    default: a.i = (int64_t)(draw(3) ? draw(3) : draw(UINT64_MAX)) - 1;
    }
    return a;
}

static void write_op(both *b) {
    const td_op *op = NULL;
    while (op == NULL) op = td_op_at((int)draw((uint64_t)td_op_count()));
    int nin = op->nin < 0 ? 1 + (int)draw(4) : op->nin;
    td_arg in[TD_OP_MAX_IN];
    td_attrs attrs = {0};
    for (int i = 0; i < nin; i++) {
        in[i] = (td_arg){.obj = draw(4) ? some(b) : NULL,
                         .meta = {.dtype = draw(2) ? TD_F32 : TD_I64}};
        in[i].f = (double)draw(40);
        in[i].i = -(int64_t)draw(40);
    }
    for (int k = 0, n = td_op_attr_count(op); k < n; k++)
        attrs.v[k] = random_attr(&op->attr[k]);
    uint64_t first = fresh(b);
    td_put_byte(&b->plain, TD_REC_OP);
    td_put_op(&b->plain, &b->names, op, in, nin, &attrs, first);
    td_text_record(&b->text, TD_REC_OP);
    td_text_op(&b->text, op, in, nin, &attrs);
    for (int k = 0; k < op->nout; k++) {
        td_obj *o = some(b);
        *o = (td_obj){.id = first + (uint64_t)k};
        td_text_new_id(&b->text, o->id, o);
        b->next_id = o->id;
    }
}

static void write_put(both *b) {
    static const td_tags tags = {.count = 1, .tag = {"#a"}, .description = "six"};
    const td_shape shape = {(int32_t)draw(3), {2, 300}};
    td_obj *o = some(b);
    *o = (td_obj){.id = fresh(b)};
    td_put_byte(&b->plain, TD_REC_PUT);
    td_put_uint(&b->plain, o->id);
    td_text_record(&b->text, TD_REC_PUT);
    td_text_new_id(&b->text, o->id, o);
    for (int way = 0; way < 2; way++) {
        td_writer *w = way ? &b->plain : &b->text.text;
        td_put_byte(w, TD_I32);
        td_put_shape(w, &shape);
        td_put_tags(w, &tags);
    }
}

static void write_question(both *b, td_record kind) {
    static const td_tags tags = {.count = 2, .tag = {"#a", "#b"}};
    uint64_t id[3] = {fresh(b), fresh(b), fresh(b)};
    td_obj *o = some(b);
    bool drop = draw(2) == 0;
    td_text_record(&b->text, kind);
    td_put_byte(&b->plain, kind);
    if (kind != TD_REC_TAG) td_text_new_id(&b->text, id[0], NULL);
    if (kind != TD_REC_TAG) td_put_uint(&b->plain, id[0]);
    if (kind == TD_REC_GET || kind == TD_REC_TAG) {
        td_text_name(&b->text, o);
        td_put_uint(&b->plain, o->id);
    }
    for (int way = 0; way < 2; way++) {
        td_writer *w = way ? &b->plain : &b->text.text;
        if (kind == TD_REC_GET) td_put_byte(w, drop);
        if (kind == TD_REC_TAG || kind == TD_REC_SEARCH) td_put_tags(w, &tags);
        if (kind == TD_REC_DATASET) td_put_text(w, "open");
    }
    for (int k = 1; k < 3 && kind == TD_REC_DATASET; k++) {
        td_text_new_id(&b->text, id[k], NULL);
        td_put_uint(&b->plain, id[k]);
    }
}

static void write_record(both *b) {
    switch (draw(12)) {
    case 0: write_put(b); break;
    case 1: write_question(b, TD_REC_GET); break;
    case 2: write_question(b, TD_REC_TAG); break;
    case 3: write_question(b, TD_REC_OBJECTS); break;
    case 4: write_question(b, TD_REC_SEARCH); break;
    case 5: write_question(b, TD_REC_DATASET); break;
    case 6:
        td_text_record(&b->text, TD_REC_CLEAR);
        td_put_byte(&b->plain, TD_REC_CLEAR);
        break;
    case 7:
    case 8:
        for (uint64_t n = 1 + draw(3); n > 0; n--) {
            uint64_t id = some(b)->id;
            td_text_drop(&b->text, id);
            td_put_byte(&b->plain, TD_REC_FREE);
            td_put_uint(&b->plain, id);
        }
        break;
    default: write_op(b);
    }
}

static void expand(const td_text *t, td_writer *out) {
    td_writer bindings = {0};
    td_err err = {0};
    td_text_put_bindings(t, &bindings);
    td_reader r = {.data = bindings.data, .size = bindings.size};
    if (td_text_expand(t->text.data, t->text.size, &r, out, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(r.at, r.size);
    td_writer_free(&bindings);
}

/* The oracle is the encoding of plain records, which is older than texts and shares nothing with them. */
static void round_trips(void **state) {
    (void)state;
    both *b = td_new(both);
    state_of_draws = 1;
    for (int i = 0; i < OBJECTS; i++) b->obj[i].id = fresh(b);
    for (uint64_t batch = 1; batch <= 3000; batch++) {
        td_writer out = {0};
        b->plain.size = 0;
        b->names.count = 0;
        td_text_begin(&b->text, batch);
        for (uint64_t n = draw(40); n > 0; n--) write_record(b);
        td_text_close(&b->text);
        assert_false(td_text_failed(&b->text));
        expand(&b->text, &out);
        char what[40];
        snprintf(what, sizeof what, "batch %d", (int)batch);
        assert_same_bytes(what, out.data, out.size, b->plain.data, b->plain.size);
        td_writer_free(&out);
    }
    td_text_free(&b->text);
    td_writer_free(&b->plain);
    td_op_names_free(&b->names);
    td_free(b);
}

/* ---- the list of what is known ---- */

/* Against the rule itself: of all uses, the newest of each text, as many as fit. */
#define USES 4000

static void known_by_the_rule(void **state) {
    (void)state;
    static struct {
        unsigned name;
        size_t bytes;
    } use[USES];
    td_known k = {0};
    static unsigned char bytes[TD_KNOWN_BYTES];
    state_of_draws = 5;
    for (int n = 0; n < USES; n++) {
        /* now many small ones, so that the count bounds; now few large ones, so that bytes do */
        bool large = n % 1000 >= 500;
        unsigned name = (unsigned)draw(large ? 40 : 400) + (large ? 1000 : 0);
        size_t size = large ? 20000 + name % 97 * 5000 : 40 + name;
        unsigned char hash[TD_TEXT_HASH] = {(unsigned char)name,
                                            (unsigned char)(name >> 8)};
        memset(bytes, (int)name, size);
        use[n].name = name;
        use[n].bytes = size;
        assert_true(td_known_use(&k, hash, bytes, size));
        if (n % 50) continue;
        size_t total = 0;
        int count = 0;
        bool is_full = false;
        for (int i = n; i >= 0; i--) {
            bool again = false;
            for (int j = i + 1; j <= n; j++) again |= use[j].name == use[i].name;
            if (again) continue;
            total += use[i].bytes;
            is_full |= count == TD_KNOWN_MOST || total > TD_KNOWN_BYTES;
            unsigned char h[TD_TEXT_HASH] = {(unsigned char)use[i].name,
                                             (unsigned char)(use[i].name >> 8)};
            const td_known_text *t = td_known_find(&k, h);
            assert_int_equal(t != NULL, !is_full);
            if (t) assert_int_equal(t->text[t->bytes - 1], (unsigned char)use[i].name);
            count += t != NULL;
        }
        assert_int_equal(count, k.count);
    }
    td_known_clear(&k);
    assert_int_equal(k.bytes, 0);
}

/* ---- a session with a whole worker ---- */

typedef struct client {
    td_session *s;
    td_val *x;
} client;

static td_val *put(td_session *s, float first) {
    td_err err = {0};
    const td_shape shape = {1, {3}};
    td_tensor *t = td_tensor_new(TD_F32, &shape, &err);
    for (int i = 0; i < 3; i++) ((float *)td_tensor_data(t))[i] = first + (float)i;
    td_obj *obj = NULL;
    assert_int_equal(td_session_send(s, t, 0, NULL, &obj, &err), 0);
    td_tensor_unref(&t);
    return td_val_away(obj, &(td_meta){.dtype = TD_F32, .shape = shape}, &err);
}

static void open_client(client *c) {
    td_err err = {0};
    td_transport t;
    assert_int_equal(td_virtual_new("bob", &t, &err), 0);
    c->s = td_session_new("bob", &t, NULL, &err);
    assert_non_null(c->s);
    c->x = put(c->s, 1);
    assert_int_equal(td_session_wait(c->s, &err), 0);
}

static void close_client(client *c) {
    td_place *place = td_session_place(c->s);
    td_val_unref(&c->x);
    td_session_end(c->s);
    td_place_unref(&place);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

static td_val *binary(const char *op, td_val *a, td_val *b) {
    td_err err = {0};
    td_val *out;
    if (td_apply(td_op_find(op), (td_val *[]){a, b}, 2, NULL, &out, &err))
        fail_msg("%s", err.msg);
    return out;
}

/* ((x + addend) - x) * ... `more` further times by itself; gives element 1 of what comes back. What it makes is
 * freed in the middle of it when `early`, behind it otherwise. */
static float script(client *c, double addend, int more, bool early) {
    td_err err = {0};
    td_val *number = td_val_number(addend, &err), *sum = binary("add", c->x, number);
    td_val *y = binary("sub", sum, c->x);
    if (early) td_val_unref(&sum);
    for (int i = 0; i < more; i++) {
        td_val *next = binary("mul", y, y);
        td_val_unref(&y);
        y = next;
    }
    td_coming *coming;
    assert_int_equal(td_session_get(c->s, y->obj, true, &coming, &err), 0);
    td_val_unref(&y);
    td_val_unref(&sum);
    td_val_unref(&number);
    if (td_session_wait(c->s, &err)) fail_msg("%s", err.msg);
    assert_non_null(coming->t);
    float v = ((float *)td_tensor_data(coming->t))[1];
    td_coming_unref(&coming);
    return v;
}

static uint64_t named(const client *c) { return td_session_get_stats(c->s).named; }

static void scripts_that_repeat_are_named(void **state) {
    (void)state;
    client c;
    open_client(&c);
    assert_true(script(&c, 3, 3, true) == 6561);
    assert_int_equal(named(&c), 0);
    uint64_t before = td_session_get_stats(c.s).bytes_out;
    assert_true(script(&c, 2, 3, true) == 256); /* other numbers are bindings */
    assert_int_equal(named(&c), 1);
    assert_true(script(&c, -2, 3, false) == 256); /* and so are frees */
    assert_int_equal(named(&c), 2);
    assert_true(script(&c, 2, 4, true) == 65536); /* another text */
    assert_int_equal(named(&c), 2);
    assert_true(script(&c, -1, 4, true) == 1);
    assert_true(script(&c, 1, 3, true) == 1);
    assert_int_equal(named(&c), 4);
    assert_true(script(&c, 5, 0, true) == 5); /* no longer than its name */
    assert_true(script(&c, 5, 0, true) == 5);
    assert_int_equal(named(&c), 4);
    uint64_t batches = td_session_get_stats(c.s).batches;
    assert_true(td_session_get_stats(c.s).bytes_out - before < (batches - 2) * 250);
    close_client(&c);
}

/* More texts than are kept: both ends let go of the same ones. */
static void texts_that_went_are_sent_again(void **state) {
    (void)state;
    client c;
    open_client(&c);
    enum { TEXTS = TD_KNOWN_MOST + 40 };
    for (int i = 0; i < TEXTS; i++) assert_true(script(&c, 1, 3 + i, true) == 1);
    assert_int_equal(named(&c), 0);
    for (int i = 0; i < 40; i++) /* the newest are there */
        assert_true(script(&c, 1, 3 + TEXTS - 1 - i, true) == 1);
    assert_int_equal(named(&c), 40);
    for (int i = 0; i < 40; i++) assert_true(script(&c, 1, 3 + i, true) == 1); /* gone */
    assert_int_equal(named(&c), 40);
    state_of_draws = 9;
    for (int i = 0; i < 1500; i++)
        assert_true(script(&c, 1, 3 + (int)draw(TEXTS), true) == 1);
    assert_true(named(&c) > 1000 && named(&c) < 1500);
    close_client(&c);
}

/* Enough operations for a text that is not kept; it is sent as plain records. */
static void long_texts_are_sent_as_records(void **state) {
    (void)state;
    client c;
    td_err err = {0};
    open_client(&c);
    td_val *y = td_val_ref(c.x), *zero = td_val_number(0, &err);
    for (int i = 0; i < 150000; i++) {
        td_val *next = binary("add", y, zero);
        td_val_unref(&y);
        y = next;
    }
    td_coming *coming;
    assert_int_equal(td_session_get(c.s, y->obj, false, &coming, &err), 0);
    if (td_session_wait(c.s, &err)) fail_msg("%s", err.msg);
    assert_true(((float *)td_tensor_data(coming->t))[2] == 3);
    assert_int_equal(named(&c), 0);
    td_coming_unref(&coming);
    td_val_unref(&y);
    td_val_unref(&zero);
    close_client(&c);
}

/* ---- what a worker refuses ---- */

static host_rig rig;

/* Sends a batch of that text and bindings by hand; the refusal's text, or "" when it was run. */
static const char *refusal(const void *text, size_t n, const char *ids, size_t ids_n,
                           const char *numbers, size_t numbers_n, const char *frees,
                           size_t frees_n) {
    static td_err why;
    td_writer head = {0};
    td_letter reply;
    td_err err = {0};
    td_put_uint(&head, 9);
    td_put_byte(&head, 0);
    td_put_uint(&head, n);
    td_put_bytes(&head, text, n);
    td_put_uint(&head, ids_n);
    td_put_bytes(&head, ids, ids_n);
    td_put_uint(&head, numbers_n);
    td_put_bytes(&head, numbers, numbers_n);
    td_put_bytes(&head, frees, frees_n);
    assert_int_equal(
        td_host_text_batch(rig.host, head.data, head.size, NULL, 0, &reply, &err), 0);
    td_reader r = {.data = reply.bytes, .size = reply.head_bytes};
    memset(&why, 0, sizeof why);
    assert_int_equal(td_take_uint(&r), 9);
    if (td_take_byte(&r)) td_take_err(&r, &why);
    td_writer_free(&head);
    td_free(reply.bytes);
    return why.msg;
}
#define REFUSAL(text, ids, numbers, frees)                                               \
    refusal(text, sizeof(text) - 1, ids, sizeof(ids) - 1, numbers, sizeof(numbers) - 1,  \
            frees, sizeof(frees) - 1)

static void malformed_texts(void **state) {
    (void)state;
    rig_open(&rig);
#define NEG "\x01\0\x03neg"
    assert_string_equal(REFUSAL("", "", "", ""), "");
    assert_string_equal(REFUSAL("\x07", "\x0a\x01", "", ""), ""); /* OBJECTS */
    assert_string_equal(REFUSAL("\x03\x01", "", "", ""),
                        "there is no record of kind 3 in a text");
    assert_string_equal(REFUSAL("\x07", "", "", ""),
                        "the batch's text wants more ids than are bound");
    assert_string_equal(REFUSAL("\x07", "\0\x01", "", ""), /* the id 0 */
                        "the batch's text wants more ids than are bound");
    assert_string_equal(REFUSAL("\x07", "\x0a\0", "", ""), /* a run of none */
                        "the batch's text wants more ids than are bound");
    assert_string_equal(REFUSAL("\x07", "\x0a\x02", "", ""),
                        "the batch's text does not use all that is bound");
    assert_string_equal(REFUSAL("\x07", "\x0a\x01", "\x02", ""),
                        "the batch's text does not use all that is bound");
    assert_string_equal(REFUSAL("\x07", "\x0a\x01", "", "\x02\x01\x0a"),
                        "the batch's text does not use all that is bound");
    assert_string_equal(REFUSAL("\x07", "\x0a\x01", "", "\x01\x05\x0a"),
                        "the batch's text has malformed frees");
    assert_string_equal(REFUSAL("\x07", "\x0a\x01", "", "\x01\x02\x0a\x01"), "");
    assert_string_equal(REFUSAL(NEG "\x02", "\x0a\x01", "", ""),
                        "the batch's text names an object that has no place");
    assert_string_equal(REFUSAL(NEG "\0\x02\x02", "\x0a\x01", "12345678", ""),
                        "the batch's text names a number that is not bound");
    assert_string_equal(REFUSAL(NEG "\0\x02\x01", "\x0a\x01", "1234567", ""),
                        "the batch's text names a number that is not bound");
    assert_string_equal(
        REFUSAL(NEG "\0\x02\x01\x01\x01\0\x05\x01", "\x0a\x02", "12345678", ""),
        "the batch's text names a number that is not bound"); /* an i64 */
    assert_string_equal(REFUSAL("\x01\0\x03non", "", "", ""),
                        "there is no operation 'non' here");
    assert_string_equal(REFUSAL("\x01\0\x07max_dim\x01\0\0", "\x0a\x02\x0a\x01", "", ""),
                        "the batch's text has results whose ids do not follow on");
    assert_string_equal(REFUSAL("\x02", "\x0a\x01", "", ""),
                        "the batch's text is malformed");
    assert_int_equal(td_host_object_count(rig.host), 0);

    td_letter reply;
    td_err err = {0}, why = {0};
    unsigned char head[40] = {9, 1}; /* a name that nobody knows */
    assert_int_equal(td_host_text_batch(rig.host, head, 34, NULL, 0, &reply, &err), 0);
    td_reader r = {.data = reply.bytes + 2, .size = reply.head_bytes - 2};
    td_take_err(&r, &why);
    td_free(reply.bytes);
    assert_int_equal(why.code, TD_E_NOT_FOUND);
    assert_string_equal(why.msg, "bob does not keep the batch's text any more");
    for (size_t n = 1; n < 34; n++) { /* cut short anywhere */
        assert_int_equal(td_host_text_batch(rig.host, head, n, NULL, 0, &reply, &err), 0);
        assert_int_equal(reply.bytes[1], 1);
        td_free(reply.bytes);
    }
    static char long_text[TD_KNOWN_BYTES + 1];
    assert_string_equal(refusal(long_text, sizeof long_text, "", 0, "", 0, "", 0),
                        "a text of 1048577 bytes, at most 1048576 go");
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(known_by_the_rule),
        cmocka_unit_test(scripts_that_repeat_are_named),
        cmocka_unit_test(texts_that_went_are_sent_again),
        cmocka_unit_test(long_texts_are_sent_as_records),
        cmocka_unit_test(malformed_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
