/* Programs written to bytes and read from them. What is read may be anybody's. */
#include "vm/program_codec.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/apply.h"

#define MAGIC "TDPR"
#define VERSION 1

static size_t const_bytes(const td_tensor *t) {
    return (size_t)td_tensor_numel(t) * td_dtype_bytes(t->dtype);
}

/* ---- writing ---- */

static void put_meta(td_writer *w, const td_meta *m) {
    td_put_byte(w, (unsigned)m->dtype);
    td_put_shape(w, &m->shape);
}

static void put_instr(td_writer *w, td_op_names *names, const td_instr *in) {
    td_put_op_name(w, names, in->op);
    if (in->op->nin < 0) td_put_uint(w, in->nin);
    for (uint32_t k = 0; k < in->nin; k++) td_put_uint(w, in->in[k]);
    if (in->attrs) td_put_attrs(w, in->op, in->attrs);
}

void td_put_program(td_writer *w, const td_program *p) {
    td_op_names names = {0};
    td_put_bytes(w, MAGIC, 4);
    td_put_byte(w, VERSION);
    td_put_byte(w, p->fixed_seeds);
    td_put_uint(w, p->draws);
    td_put_uint(w, p->input_count);
    for (uint32_t v = 0; v < p->input_count; v++) put_meta(w, &p->value[v].meta);
    td_put_uint(w, p->const_count);
    for (uint32_t v = p->input_count; v < p->input_count + p->const_count; v++) {
        put_meta(w, &p->value[v].meta);
        td_put_bytes(w, td_tensor_data(p->value[v].data), const_bytes(p->value[v].data));
    }
    td_put_uint(w, p->instr_count);
    for (uint32_t i = 0; i < p->instr_count; i++) put_instr(w, &names, &p->instr[i]);
    td_put_uint(w, p->output_count);
    for (uint32_t k = 0; k < p->output_count; k++) td_put_uint(w, p->output[k]);
    td_op_names_free(&names);
}

void td_program_hash_bytes(const void *data, size_t size,
                           unsigned char hash[TD_PROGRAM_HASH]) {
    crypto_generichash(hash, TD_PROGRAM_HASH, data, size, NULL, 0);
}

int td_program_hash(const td_program *p, unsigned char hash[TD_PROGRAM_HASH],
                    td_err *err) {
    td_writer w = {0};
    td_put_program(&w, p);
    int rc = w.failed ? td_fail(err, TD_E_MEMORY, "program", "out of memory") : 0;
    if (rc == 0) td_program_hash_bytes(w.data, w.size, hash);
    td_writer_free(&w);
    return rc;
}

/* ---- reading ---- */

typedef struct decoder {
    td_reader r;
    td_builder *b;
    td_op_names names;
    td_program_size size;
    const td_program_limits *limits;
    uint32_t values; /* so far */
    bool fixed_seeds;
    uint64_t draws, drawn; /* streams; random operations so far */
    td_err *err;
} decoder;

static int cut_short(const decoder *d) {
    return td_fail(d->err, TD_E_PROTOCOL, "program", "it is cut short");
}

/* A count of things of at least so many bytes each. */
static int take_count(decoder *d, size_t least, uint32_t *count) {
    uint64_t n = td_take_uint(&d->r);
    if (d->r.failed || n > (d->r.size - d->r.at) / least) return cut_short(d);
    if (n > UINT32_MAX / 2)
        return td_fail(d->err, TD_E_LIMIT, "program", "more than 2^31 values");
    *count = (uint32_t)n;
    return 0;
}

static int take_header(decoder *d) {
    const unsigned char *magic = td_take_bytes(&d->r, 4);
    if (magic == NULL || memcmp(magic, MAGIC, 4) != 0)
        return td_fail(d->err, TD_E_PROTOCOL, "program", "this is no program");
    unsigned version = td_take_byte(&d->r);
    if (!d->r.failed && version != VERSION)
        return td_fail(d->err, TD_E_PROTOCOL, "program", "it is of version %u, not %u",
                       version, VERSION);
    unsigned fixed = td_take_byte(&d->r);
    d->draws = td_take_uint(&d->r);
    if (d->r.failed) return cut_short(d);
    if (fixed > 1)
        return td_fail(d->err, TD_E_PROTOCOL, "program", "flags of %u mean nothing",
                       fixed);
    d->fixed_seeds = fixed;
    if (d->draws > UINT32_MAX)
        return td_fail(d->err, TD_E_LIMIT, "program", "more than 2^32 random streams");
    td_build_seeds(d->b, (uint32_t)d->draws, fixed);
    return 0;
}

/* An input's or constant's dtype and sizes, counted. */
static int take_meta(decoder *d, td_value_kind kind, td_meta *m) {
    *m = (td_meta){.dtype = td_take_dtype(&d->r)};
    td_take_shape(&d->r, &m->shape);
    if (d->r.failed)
        return td_fail(d->err, TD_E_PROTOCOL, "program",
                       "value %u has no dtype or sizes that there are", d->values);
    td_value v = {.meta = *m, .kind = kind};
    return td_size_value(&d->size, d->limits, &v, d->err);
}

static int take_inputs(decoder *d) {
    uint32_t count;
    int rc = take_count(d, 2, &count);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        td_meta m;
        rc = take_meta(d, TD_VALUE_INPUT, &m);
        if (rc == 0) td_build_input(d->b, &m);
        d->values++;
    }
    return rc;
}

static int take_const(decoder *d) {
    td_meta m;
    int rc = take_meta(d, TD_VALUE_CONST, &m);
    if (rc) return rc;
    size_t bytes = (size_t)td_shape_numel(&m.shape) * td_dtype_bytes(m.dtype);
    const unsigned char *data = td_take_bytes(&d->r, bytes);
    if (data == NULL) return cut_short(d);
    td_tensor *t = td_tensor_new(m.dtype, &m.shape, d->err);
    if (t == NULL) return TD_E_MEMORY;
    memcpy(td_tensor_data(t), data, bytes);
    uint32_t v = td_build_const(d->b, t);
    td_tensor_unref(&t);
    if (v != TD_NO_VALUE && v != d->values)
        return td_fail(d->err, TD_E_PROTOCOL, "program",
                       "constants %u and %u are the same", v, d->values);
    d->values++;
    return 0;
}

static int take_consts(decoder *d) {
    uint32_t count;
    int rc = take_count(d, 2, &count);
    for (uint32_t i = 0; rc == 0 && i < count; i++) rc = take_const(d);
    return rc;
}

/* Puts "operation 3: " in front of what was said about it. */
static int at_instr(decoder *d, uint32_t i, int rc) {
    if (d->err == NULL || rc == 0) return rc;
    td_err e = *d->err;
    size_t n = (size_t)snprintf(d->err->msg, sizeof e.msg, "operation %u: ", i);
    size_t rest = strlen(e.msg);
    if (rest > sizeof e.msg - 1 - n) rest = sizeof e.msg - 1 - n;
    memcpy(d->err->msg + n, e.msg, rest);
    d->err->msg[n + rest] = 0;
    return rc;
}

/* Streams come in their order, but not all of them: operations that nobody needed have gone. */
static int check_seeds(decoder *d, const td_op *op, const td_attrs *a) {
    int seed = td_op_seed_attr(op);
    if (seed < 0 || d->fixed_seeds) return 0;
    uint64_t stream = (uint64_t)a->v[seed + 1].i;
    if (a->v[seed].i != 0)
        return td_fail(d->err, TD_E_PROTOCOL, op->name, "a seed of its own");
    if (stream < d->drawn || stream >= d->draws)
        return td_fail(d->err, TD_E_PROTOCOL, op->name,
                       "random stream %lld, wanted one from %llu to below %llu",
                       (long long)stream, (unsigned long long)d->drawn,
                       (unsigned long long)d->draws);
    d->drawn = stream + 1;
    return 0;
}

static int take_operands(decoder *d, const td_op *op, uint32_t *in, uint32_t *nin) {
    uint64_t n = op->nin < 0 ? td_take_uint(&d->r) : (uint64_t)op->nin;
    if (n > TD_OP_MAX_IN)
        return td_fail(d->err, TD_E_PROTOCOL, op->name, "%llu tensors",
                       (unsigned long long)n);
    *nin = (uint32_t)n;
    for (uint32_t k = 0; k < *nin; k++) {
        uint64_t v = td_take_uint(&d->r);
        if (d->r.failed) return cut_short(d);
        if (v >= d->values)
            return td_fail(d->err, TD_E_PROTOCOL, op->name,
                           "value %llu, %u are made before", (unsigned long long)v,
                           d->values);
        in[k] = (uint32_t)v;
    }
    return 0;
}

static int take_instr(decoder *d) {
    const td_op *op = td_take_op_name(&d->r, &d->names, d->err);
    if (op == NULL) return d->err ? d->err->code : TD_E_PROTOCOL;
    uint32_t in[TD_OP_MAX_IN], nin = 0;
    td_meta meta[TD_OP_MAX_IN], out[TD_OP_MAX_OUT];
    td_attrs attrs;
    int rc = take_operands(d, op, in, &nin);
    if (rc) return rc;
    td_take_attrs(&d->r, op, &attrs);
    if (d->r.failed) return cut_short(d);
    for (uint32_t k = 0; k < nin; k++) meta[k] = *td_build_meta(d->b, in[k]);
    rc = td_op_infer(op, meta, (int)nin, &attrs, out, d->err);
    if (rc == 0) rc = check_seeds(d, op, &attrs);
    if (rc == 0)
        rc = td_size_instr(&d->size, d->limits, op, meta, nin, &attrs, out, d->err);
    if (rc) return rc;
    td_build_op(d->b, op, in, nin, &attrs, NULL);
    d->values += (uint32_t)op->nout;
    const td_err *failed = td_build_error(d->b);
    if (failed && d->err) *d->err = *failed;
    return failed ? failed->code : 0;
}

static int take_instrs(decoder *d) {
    uint32_t count;
    int rc = take_count(d, 1, &count);
    for (uint32_t i = 0; rc == 0 && i < count; i++) rc = at_instr(d, i, take_instr(d));
    return rc;
}

static int take_outputs(decoder *d) {
    uint32_t count;
    int rc = take_count(d, 1, &count);
    for (uint32_t k = 0; rc == 0 && k < count; k++) {
        uint64_t v = td_take_uint(&d->r);
        if (d->r.failed) return cut_short(d);
        if (v >= d->values)
            return td_fail(d->err, TD_E_PROTOCOL, "program",
                           "output %llu, there are %u values", (unsigned long long)v,
                           d->values);
        td_build_output(d->b, (uint32_t)v);
    }
    if (rc == 0 && d->r.at != d->r.size)
        return td_fail(d->err, TD_E_PROTOCOL, "program", "%zu bytes behind its end",
                       d->r.size - d->r.at);
    return rc;
}

/* Numbers in their shortest form, constants in the order of their use, no attribute left to be worked
 * out: whatever else may be said in two ways. */
static int check_form(const td_program *p, const void *data, size_t size, td_err *err) {
    td_writer w = {0};
    td_writer_reserve(&w, size);
    td_put_program(&w, p);
    bool same = !w.failed && w.size == size && memcmp(w.data, data, size) == 0;
    int rc = 0;
    if (w.failed)
        rc = td_fail(err, TD_E_MEMORY, "program", "out of memory");
    else if (!same)
        rc = td_fail(err, TD_E_PROTOCOL, "program", "it is not in the one form it has");
    td_writer_free(&w);
    return rc;
}

td_program *td_program_decode(const void *data, size_t size,
                              const td_program_limits *limits, td_err *err) {
    decoder d = {.r = {.data = data, .size = size}, .limits = limits, .err = err};
    td_program *p = NULL;
    d.b = td_builder_new(err);
    int rc = d.b ? take_header(&d) : TD_E_MEMORY;
    if (rc == 0) rc = take_inputs(&d);
    if (rc == 0) rc = take_consts(&d);
    if (rc == 0) rc = take_instrs(&d);
    if (rc == 0) rc = take_outputs(&d);
    if (rc == 0) p = td_builder_seal(&d.b, err);
    if (p && check_form(p, data, size, err) != 0) td_program_unref(&p);
    td_builder_free(&d.b);
    td_op_names_free(&d.names);
    return p;
}
