/* The builder of programs: appends values and operations, judges each operation as it comes, numbers
 * everything anew when it is sealed. Called by the tracer, by passes and by the decoder. */
#include <string.h>

#include "runtime/mem.h"
#include "vm/apply.h"
#include "vm/program.h"

/* An operation while its program grows: arrays may still move, so places are numbers. */
typedef struct draft {
    const td_op *op;
    uint32_t nin, first_in; /* of ins */
    uint32_t out;
    uint32_t attrs; /* of attrs, or TD_NO_VALUE */
    uint32_t where; /* of texts, or TD_NO_VALUE */
} draft;

struct td_builder {
    td_err err; /* the first; code 0: none */
    td_value *value;
    draft *instr;
    uint32_t *in, *output;
    td_attrs *attrs;
    char *text; /* lines of scripts, each ended by 0 */
    uint32_t values, value_room, instrs, instr_room, ins, in_room, outputs, output_room,
        attr_count, attr_room, text_size, text_room;
    uint32_t inputs, draws, last_where;
    bool fixed_seeds;
    uint32_t *shared; /* hash table of small constants: value + 1, 0: free */
    uint32_t shared_count, shared_room;
};

td_builder *td_builder_new(td_err *err) {
    td_builder *b = td_new(td_builder);
    if (b == NULL) td_fail(err, TD_E_MEMORY, "program", "out of memory");
    if (b) b->last_where = TD_NO_VALUE;
    return b;
}

void td_builder_free(td_builder **slot) {
    td_builder *b = *slot;
    *slot = NULL;
    if (b == NULL) return;
    for (uint32_t v = 0; v < b->values; v++) td_tensor_unref(&b->value[v].data);
    td_free(b->value);
    td_free(b->instr);
    td_free(b->in);
    td_free(b->output);
    td_free(b->attrs);
    td_free(b->text);
    td_free(b->shared);
    td_free(b);
}

const td_err *td_build_error(const td_builder *b) { return b->err.code ? &b->err : NULL; }

static uint32_t out_of_memory(td_builder *b) {
    if (b->err.code == 0) td_fail(&b->err, TD_E_MEMORY, "program", "out of memory");
    return TD_NO_VALUE;
}

/* Room for `more` entries behind count; false after an error. */
static bool grow(td_builder *b, void *array, size_t each, uint32_t count, uint32_t more,
                 uint32_t *room) {
    if (b->err.code) return false;
    if (more <= *room - count) return true;
    uint64_t want = (uint64_t)count + more, next = 2 * (uint64_t)*room + 16;
    if (next < want) next = want;
    if (next > UINT32_MAX / 2) {
        td_fail(&b->err, TD_E_LIMIT, "program", "more than 2^31 values");
        return false;
    }
    void *old, *bigger;
    memcpy(&old, array, sizeof old);
    bigger = td_grow_bytes(old, (size_t)next * each);
    if (bigger == NULL) {
        out_of_memory(b);
        return false;
    }
    memcpy(array, &bigger, sizeof bigger);
    *room = (uint32_t)next;
    return true;
}
#define GROW(b, array, count, more, room)                                                \
    grow(b, &(b)->array, sizeof *(b)->array, (b)->count, more, &(b)->room)

/* ---- values ---- */

static uint32_t add_value(td_builder *b, const td_meta *meta, td_value_kind kind) {
    if (!GROW(b, value, values, 1, value_room)) return TD_NO_VALUE;
    td_value *v = &b->value[b->values];
    *v = (td_value){.meta = *meta, .kind = kind, .root = b->values};
    v->meta.weak = false;
    return b->values++;
}

uint32_t td_build_input(td_builder *b, const td_meta *meta) {
    uint32_t v = add_value(b, meta, TD_VALUE_INPUT);
    if (v != TD_NO_VALUE) b->inputs++;
    return v;
}

static size_t data_bytes(const td_tensor *t) {
    return (size_t)td_tensor_numel(t) * td_dtype_bytes(t->dtype);
}

static bool same_const(const td_tensor *a, const td_tensor *b) {
    return a->dtype == b->dtype && td_shape_equal(&a->shape, &b->shape) &&
           memcmp(td_tensor_data(a), td_tensor_data(b), data_bytes(a)) == 0;
}

static uint64_t const_key(const td_tensor *t) {
    uint64_t h = 14695981039346656037u ^ (uint64_t)t->dtype; /* FNV-1a */
    const unsigned char *p = td_tensor_data(t);
    for (size_t i = 0, n = data_bytes(t); i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    for (int d = 0; d < t->shape.ndim; d++)
        h = (h ^ (uint64_t)t->shape.dim[d]) * 1099511628211u;
    return h ^ (h >> 32);
}

/* Where t stands in the table, or the free place where it would. */
static uint32_t *shared_slot(const td_builder *b, const td_tensor *t) {
    uint64_t at = const_key(t);
    for (;; at++) {
        uint32_t *slot = &b->shared[at & (b->shared_room - 1)];
        if (*slot == 0 || same_const(b->value[*slot - 1].data, t)) return slot;
    }
}

static bool shared_grow(td_builder *b) {
    if (2 * (b->shared_count + 1) <= b->shared_room) return true;
    uint32_t *old = b->shared, old_room = b->shared_room;
    uint32_t room = old_room ? 2 * old_room : 32;
    b->shared = td_new_array(room, sizeof *b->shared);
    if (b->shared == NULL) {
        b->shared = old;
        out_of_memory(b);
        return false;
    }
    b->shared_room = room;
    for (uint32_t i = 0; i < old_room; i++)
        if (old[i]) *shared_slot(b, b->value[old[i] - 1].data) = old[i];
    td_free(old);
    return true;
}

/* Takes over the reference of t, contiguous memory that nobody changes. */
static uint32_t add_const(td_builder *b, td_tensor *t) {
    bool small = data_bytes(t) <= TD_PROGRAM_SHARE_BYTES;
    td_meta meta = {.dtype = t->dtype, .shape = t->shape};
    uint32_t *slot = NULL, v = TD_NO_VALUE;
    if (!small || shared_grow(b)) {
        slot = small ? shared_slot(b, t) : NULL;
        if (slot && *slot) {
            td_tensor_unref(&t);
            return *slot - 1;
        }
        v = add_value(b, &meta, TD_VALUE_CONST);
    }
    if (v == TD_NO_VALUE) {
        td_tensor_unref(&t);
        return v;
    }
    b->value[v].data = t;
    if (slot) {
        *slot = v + 1;
        b->shared_count++;
    }
    return v;
}

uint32_t td_build_const(td_builder *b, td_tensor *t) {
    if (b->err.code) return TD_NO_VALUE;
    td_tensor *own;
    if (td_tensor_is_contiguous(t) && data_bytes(t) > TD_PROGRAM_SHARE_BYTES) {
        own = td_tensor_ref(t);
    } else {
        own = td_tensor_new(t->dtype, &t->shape, &b->err);
        if (own == NULL) return TD_NO_VALUE;
        td_tensor_copy(own, t);
    }
    return add_const(b, own);
}

uint32_t td_build_number(td_builder *b, td_dtype t, double f, int64_t i) {
    if (b->err.code) return TD_NO_VALUE;
    td_tensor *one = td_dtype_is_float(t) ? td_tensor_from_f64(t, f, &b->err)
                                          : td_tensor_from_i64(t, i, &b->err);
    return one ? add_const(b, one) : TD_NO_VALUE;
}

const td_meta *td_build_meta(const td_builder *b, uint32_t value) {
    return value < b->values ? &b->value[value].meta : NULL;
}

uint32_t td_build_draw(td_builder *b) { return b->draws++; }

void td_build_seeds(td_builder *b, uint32_t draws, bool fixed_seeds) {
    b->draws = draws;
    b->fixed_seeds = fixed_seeds;
}

/* ---- operations ---- */

/* Lines come in runs: the one that came last is not kept twice. */
static uint32_t keep_where(td_builder *b, const char *where) {
    if (where == NULL || where[0] == 0) return TD_NO_VALUE;
    if (b->last_where != TD_NO_VALUE && strcmp(b->text + b->last_where, where) == 0)
        return b->last_where;
    size_t size = strlen(where) + 1;
    if (size > UINT16_MAX || !GROW(b, text, text_size, (uint32_t)size, text_room))
        return TD_NO_VALUE;
    memcpy(b->text + b->text_size, where, size);
    b->last_where = b->text_size;
    b->text_size += (uint32_t)size;
    return b->last_where;
}

/* Only what the op's specs name is kept, so that two lists of attributes compare as bytes. */
static uint32_t keep_attrs(td_builder *b, const td_op *op, const td_attrs *attrs) {
    int count = td_op_attr_count(op);
    if (count == 0 || !GROW(b, attrs, attr_count, 1, attr_room)) return TD_NO_VALUE;
    td_attrs *to = &b->attrs[b->attr_count];
    memset(to, 0, sizeof *to);
    for (int k = 0; k < count; k++) {
        const td_attr *a = &attrs->v[k];
        to->v[k].kind = a->kind;
        switch (op->attr[k].kind) {
        case TD_ATTR_FLOAT: to->v[k].f = a->f; break;
        case TD_ATTR_DIMS:
        case TD_ATTR_SIZES:
        case TD_ATTR_INTS:
            to->v[k].n = a->n;
            memcpy(to->v[k].list, a->list, sizeof a->list[0] * a->n);
            break;
        default: to->v[k].i = a->i;
        }
    }
    return b->attr_count++;
}

static void fail_at(td_builder *b, const char *where) {
    size_t n = where ? strlen(where) : 0;
    if (n == 0 || n >= sizeof b->err.where || b->err.where[0]) return;
    memcpy(b->err.where, where, n + 1);
}

/* Output metas, attributes filled in. */
static int infer(td_builder *b, const td_op *op, const uint32_t *in, uint32_t nin,
                 td_attrs *attrs, td_meta *out) {
    if (nin > TD_OP_MAX_IN)
        return td_fail(&b->err, TD_E_ARGUMENT, op->name, "takes %d tensors, got %u",
                       op->nin < 0 ? TD_OP_MAX_IN : op->nin, nin);
    td_meta few[8] = {{0}}, *meta = nin <= 8 ? few : td_new_array(nin, sizeof *meta);
    if (meta == NULL) {
        out_of_memory(b);
        return TD_E_MEMORY;
    }
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < nin; i++) {
        if (in[i] >= b->values)
            rc = td_fail(&b->err, TD_E_INTERNAL, op->name, "there is no value %u", in[i]);
        else
            meta[i] = b->value[in[i]].meta;
    }
    if (rc == 0) rc = td_op_infer(op, meta, (int)nin, attrs, out, &b->err);
    if (meta != few) td_free(meta);
    if (rc == 0 && (op->flags & TD_OP_ASSIGN) &&
        b->value[b->value[in[0]].root].kind == TD_VALUE_CONST)
        rc = td_fail(&b->err, TD_E_STATE, op->name, "a constant cannot be changed");
    return rc;
}

uint32_t td_build_op(td_builder *b, const td_op *op, const uint32_t *in, uint32_t nin,
                     const td_attrs *given, const char *where) {
    if (b->err.code) return TD_NO_VALUE;
    td_attrs attrs = {0};
    if (given) attrs = *given;
    td_meta meta[TD_OP_MAX_OUT] = {{0}};
    if (infer(b, op, in, nin, &attrs, meta)) {
        fail_at(b, where);
        return TD_NO_VALUE;
    }
    draft d = {.op = op, .nin = nin, .first_in = b->ins, .out = b->values};
    d.attrs = keep_attrs(b, op, &attrs);
    d.where = keep_where(b, where);
    if (!GROW(b, instr, instrs, 1, instr_room) || !GROW(b, in, ins, nin, in_room))
        return TD_NO_VALUE;
    if (nin) memcpy(b->in + b->ins, in, sizeof *in * nin);
    for (int k = 0; k < op->nout; k++) {
        uint32_t v = add_value(b, &meta[k], TD_VALUE_RESULT);
        if (v == TD_NO_VALUE) return v;
        b->value[v].maker = b->instrs;
        if (op->flags & TD_OP_VIEW) b->value[v].root = b->value[b->in[b->ins]].root;
    }
    if (op->flags & TD_OP_ASSIGN) b->value[b->value[b->in[b->ins]].root].assigned = true;
    if (op->nout == 0) d.out = TD_NO_VALUE;
    b->ins += nin;
    b->instr[b->instrs++] = d;
    return op->nout ? d.out : 0;
}

void td_build_output(td_builder *b, uint32_t value) {
    if (b->err.code || !GROW(b, output, outputs, 1, output_room)) return;
    if (value >= b->values) {
        td_fail(&b->err, TD_E_INTERNAL, "program", "there is no value %u", value);
        return;
    }
    b->value[b->value[value].root].given = true;
    b->output[b->outputs++] = value;
}

/* ---- sealing ---- */

/* Numbers as they will be: inputs, the constants that something uses, results. to[] is the builder's. */
static uint32_t number(const td_builder *b, uint32_t *to, uint32_t *consts) {
    uint32_t next = 0;
    for (uint32_t v = 0; v < b->values; v++)
        to[v] = b->value[v].kind == TD_VALUE_INPUT ? next++ : TD_NO_VALUE;
    uint32_t first = next;
    for (uint32_t i = 0; i < b->ins; i++)
        if (b->value[b->in[i]].kind == TD_VALUE_CONST && to[b->in[i]] == TD_NO_VALUE)
            to[b->in[i]] = next++;
    for (uint32_t k = 0; k < b->outputs; k++)
        if (b->value[b->output[k]].kind == TD_VALUE_CONST &&
            to[b->output[k]] == TD_NO_VALUE)
            to[b->output[k]] = next++;
    *consts = next - first;
    for (uint32_t v = 0; v < b->values; v++)
        if (b->value[v].kind == TD_VALUE_RESULT) to[v] = next++;
    return next;
}

static void copy_values(td_program *p, td_builder *b, const uint32_t *to) {
    for (uint32_t v = 0; v < b->values; v++) {
        if (to[v] == TD_NO_VALUE) continue;
        td_value *value = &p->value[to[v]];
        *value = b->value[v];
        value->root = to[value->root];
        b->value[v].data = NULL; /* its reference has moved */
    }
}

static void copy_instrs(td_program *p, const td_builder *b, const uint32_t *to) {
    for (uint32_t i = 0; i < b->ins; i++) p->in_pool[i] = to[b->in[i]];
    for (uint32_t i = 0; i < b->instrs; i++) {
        const draft *d = &b->instr[i];
        p->instr[i] = (td_instr){
            .op = d->op,
            .nin = d->nin,
            .in = p->in_pool + d->first_in,
            .out = d->out == TD_NO_VALUE ? TD_NO_VALUE : to[d->out],
            .attrs = d->attrs == TD_NO_VALUE ? NULL : p->attrs_pool + d->attrs,
            .where = d->where == TD_NO_VALUE ? NULL : p->where_pool + d->where,
        };
    }
    for (uint32_t k = 0; k < b->outputs; k++) p->output[k] = to[b->output[k]];
}

static td_program *seal(td_builder *b) {
    uint32_t *to = td_new_array((size_t)b->values + 1, sizeof *to), consts = 0;
    uint32_t count = to ? number(b, to, &consts) : 0;
    td_program *p = to ? td_new(td_program) : NULL;
    if (p) {
        atomic_init(&p->refs, 1);
        p->value = td_new_array((size_t)count + 1, sizeof *p->value);
        p->instr = td_new_array((size_t)b->instrs + 1, sizeof *p->instr);
        p->output = td_new_array((size_t)b->outputs + 1, sizeof *p->output);
        p->in_pool = td_new_array((size_t)b->ins + 1, sizeof *p->in_pool);
    }
    if (p == NULL || !p->value || !p->instr || !p->output || !p->in_pool) {
        td_program_unref(&p);
        td_free(to);
        out_of_memory(b);
        return NULL;
    }
    p->attrs_pool = b->attrs;
    p->where_pool = b->text;
    b->attrs = NULL;
    b->text = NULL;
    p->input_count = b->inputs;
    p->const_count = consts;
    p->value_count = count;
    p->instr_count = b->instrs;
    p->output_count = b->outputs;
    p->draws = b->draws;
    p->fixed_seeds = b->fixed_seeds;
    copy_values(p, b, to);
    copy_instrs(p, b, to);
    td_free(to);
    return p;
}

td_program *td_builder_seal(td_builder **slot, td_err *err) {
    td_builder *b = *slot;
    td_program *p = b->err.code ? NULL : seal(b);
    if (p == NULL && err) *err = b->err;
    td_builder_free(slot);
    return p;
}
