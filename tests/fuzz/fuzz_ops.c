/* Fuzzes the operations themselves: the input's bytes are choices from which well-formed batches are written,
 * so that every one of them reaches shape rules and kernels. Tensors of many dtypes and shapes are there; each
 * record takes an op of the table, inputs among them and among earlier results, and attributes that like to be
 * at the edges. What the rules accept, the kernels must survive within the bounds of memory and time. */
#include "tests/fuzz/fuzz_host.h"
#include "vm/op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct choices {
    const uint8_t *at, *end;
} choices;

static unsigned pick(choices *c, unsigned below) {
    return c->at < c->end ? *c->at++ % below : 0;
}

static const td_shape shapes[] = {
    {0, {0}},          {1, {0}},          {1, {1}},
    {1, {4}},          {1, {7}},          {2, {0, 3}},
    {2, {3, 0}},       {2, {2, 3}},       {2, {3, 2}},
    {2, {4, 4}},       {2, {1, 5}},       {3, {2, 1, 3}},
    {3, {2, 3, 4}},    {4, {1, 1, 5, 5}}, {4, {2, 3, 6, 5}},
    {4, {2, 3, 3, 2}}, {4, {0, 2, 3, 3}}, {8, {1, 2, 1, 2, 1, 1, 2, 1}},
};
#define SHAPES (sizeof shapes / sizeof shapes[0])
#define TENSORS 12

static int64_t integer(choices *c) {
    static const int64_t edges[] = {INT64_MAX,
                                    INT64_MIN,
                                    INT64_MIN + 1,
                                    INT64_MAX - 1,
                                    INT32_MAX,
                                    INT32_MIN,
                                    (int64_t)1 << 32,
                                    (int64_t)1 << 40,
                                    (int64_t)1 << 62,
                                    100,
                                    1000,
                                    4096,
                                    -100,
                                    65536};
    unsigned k = pick(c, 40);
    if (k < 14) return edges[k];
    return (int64_t)pick(c, 12) - 3;
}

static double real(choices *c) {
    static const double edges[] = {0.0,   -0.0,   1.0,    -1.0, 0.5,  2.0,
                                   1e300, -1e300, 1e-300, 1e18, 1e10, 0x1p53};
    unsigned k = pick(c, 16);
    if (k < 12) return edges[k];
    return k == 12   ? (double)__builtin_nan("")
           : k == 13 ? (double)__builtin_inf()
                     : (double)pick(c, 100) / 8 - 4;
}

static void put_tensors(choices *c, td_writer *head, td_writer *bulk) {
    static const td_tags none;
    for (uint64_t id = 1; id <= TENSORS; id++) {
        td_dtype t = (td_dtype)(1 + pick(c, TD_DTYPE_COUNT - 1));
        if (id > 3 && pick(c, 2)) t = TD_F32;
        const td_shape *s = &shapes[pick(c, SHAPES)];
        td_put_byte(head, TD_REC_PUT);
        td_put_uint(head, id);
        td_put_byte(head, t);
        td_put_shape(head, s);
        td_put_tags(head, &none);
        unsigned char element[8];
        for (int64_t i = 0, n = td_shape_numel(s); i < n; i++) {
            td_store_i64(t, element, i < 8 ? (int64_t)pick(c, 9) - 2 : i % 4);
            td_put_bytes(bulk, element, td_dtype_bytes(t));
        }
    }
}

static void put_attribute(choices *c, td_writer *w, const td_attr_spec *spec) {
    unsigned n;
    switch (spec->kind) {
    case TD_ATTR_FLOAT: td_put_f64(w, real(c)); break;
    case TD_ATTR_BOOL: td_put_int(w, (int64_t)pick(c, 2)); break;
    case TD_ATTR_DTYPE: td_put_int(w, 1 + (int64_t)pick(c, TD_DTYPE_COUNT)); break;
    case TD_ATTR_DIM:
    case TD_ATTR_NEWDIM: td_put_int(w, (int64_t)pick(c, 5)); break;
    case TD_ATTR_DIMS:
        n = pick(c, 5);
        td_put_byte(w, n);
        for (unsigned i = 0; i < n; i++) td_put_int(w, (int64_t)pick(c, 5));
        break;
    case TD_ATTR_SIZES:
    case TD_ATTR_INTS:
        n = spec->count > 0 && pick(c, 8) ? (unsigned)spec->count
                                          : pick(c, TD_MAX_DIM + 1);
        td_put_byte(w, n);
        for (unsigned i = 0; i < n; i++) td_put_int(w, integer(c));
        break;
    default: td_put_int(w, integer(c));
    }
}

static void put_input(choices *c, td_writer *w, uint64_t made) {
    if (pick(c, 8) != 0) {
        td_put_uint(w, 1 + pick(c, (unsigned)made));
        return;
    }
    td_dtype t = (td_dtype)(1 + pick(c, TD_DTYPE_COUNT - 1));
    td_put_uint(w, 0);
    td_put_byte(w, t);
    if (td_dtype_is_float(t))
        td_put_f64(w, real(c));
    else
        td_put_int(w, integer(c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    choices c = {data, data + size};
    td_writer head = {0}, bulk = {0};
    uint64_t made = TENSORS;
    td_put_uint(&head, 1);
    unsigned records = 1 + pick(&c, 6);
    int first = (int)pick(&c, 256); /* an op number may need more than a byte */
    put_tensors(&c, &head, &bulk);
    for (unsigned k = 0; k < records; k++) {
        const td_op *op = td_op_at((first + (int)pick(&c, 256)) % td_op_count());
        int nin = op->nin < 0 ? 1 + (int)pick(&c, 4) : op->nin;
        td_put_byte(&head, TD_REC_OP);
        td_put_uint(&head, 0); /* every op by its name */
        td_put_text(&head, op->name);
        if (op->nin < 0) td_put_uint(&head, (uint64_t)nin);
        for (int i = 0; i < nin; i++) put_input(&c, &head, made);
        for (int i = 0; i < td_op_attr_count(op); i++)
            put_attribute(&c, &head, &op->attr[i]);
        if (op->nout > 0) td_put_uint(&head, made + 1);
        made += (uint64_t)op->nout;
    }
    if (head.failed || bulk.failed) abort();
    fuzz_run_batch(head.data, head.size, bulk.data, bulk.size);
    td_writer_free(&head);
    td_writer_free(&bulk);
    return 0;
}
