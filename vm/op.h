/* The op table: an operation is one place in the code, read by every executor, by the gradient, by the
 * wire's verifier, by the bindings, by `help` and by the op tests.
 *
 * An op is a constant struct in a file of vm/ops/, put into the table by TD_OP. Nothing else lists ops:
 *
 *     // y = -x
 *     static int neg_grad(td_grad *g) { g->gin[0] = g_neg(g, g->gout[0]); return 0; }
 *     TD_OP(neg) = {
 *         .name = "neg", .doc = "The negative of each element: y = -x.\n\n  tide.tensor{1, -2}:neg()",
 *         .nin = 1, .nout = 1, .flags = TD_OP_METHOD,
 *         .shape = td_shape_elementwise, .inner = neg_inner, .grad = neg_grad,
 *     };
 *
 * Dimensions and positions inside C count from 0 and dimension attributes arrive normalised, in
 * [0, ndim); bindings translate from Lua's 1. An attribute is checked against its spec (kind, presence)
 * before the shape rule sees it, wherever it came from. */
#ifndef TD_OP_H
#define TD_OP_H

#include "runtime/loop.h"
#include "runtime/tensor.h"

#define TD_OP_MAX_IN 256 /* of a variadic op (cat) */
#define TD_OP_MAX_OUT 3
#define TD_OP_MAX_ATTRS 6
#define TD_ATTR_MAX_LIST TD_MAX_DIM

typedef enum td_attr_kind {
    TD_ATTR_NONE = 0,
    TD_ATTR_INT,   /* .i */
    TD_ATTR_FLOAT, /* .f */
    TD_ATTR_BOOL,  /* .i, 0 or 1 */
    TD_ATTR_DTYPE, /* .i, a td_dtype */
    TD_ATTR_DIM,   /* .i, 0-based dimension of input 0; Lua gives 1-based or negative */
    TD_ATTR_NEWDIM, /* .i, 0-based place of a new dimension: one more than input 0 has may be named */
    TD_ATTR_DIMS, /* .list of them, each at most once; n = 0: all dimensions */
    TD_ATTR_POS, /* .i, 0-based position; Lua gives 1-based or negative (the op resolves negative:
                      bindings pass -1 for Lua's -1, and subtract 1 from positive ones) */
    TD_ATTR_SIZES, /* .list of sizes as given (-1 may mean "work it out", as the op says) */
    TD_ATTR_INTS, /* .list of plain integers: stride, padding. One number in Lua fills the list to
                      the spec's `count` */
} td_attr_kind;

typedef struct td_attr {
    uint8_t kind; /* a td_attr_kind; TD_ATTR_NONE: not given */
    uint8_t n;    /* entries of list */
    union {
        int64_t i;
        double f;
        int64_t list[TD_ATTR_MAX_LIST];
    };
} td_attr;

typedef struct td_attrs {
    td_attr v[TD_OP_MAX_ATTRS];
} td_attrs;

typedef struct td_attr_spec {
    const char *name;
    td_attr_kind kind;
    bool required;
    /* value when not given and not required (lists: every entry; DIMS: ignored) */
    double preset;
    int count; /* INTS: entries of the list; 0 for any number */
} td_attr_spec;

/* What is known of a value without looking at it. */
typedef struct td_meta {
    td_dtype dtype;
    td_shape shape;
    bool weak; /* a plain number: takes the dtype of what it meets */
} td_meta;

enum {
    TD_OP_METHOD = 1 << 0,   /* x:name(...) in Lua */
    TD_OP_FUNCTION = 1 << 1, /* tide.name(...) in Lua */
    /* tensor inputs are cast to one dtype first, and are never f16 or bf16; inputs
     * named by keep_dtype are left alone */
    TD_OP_PROMOTE = 1 << 2,
    TD_OP_VIEW = 1 << 3, /* output shares input 0's storage: `view` instead of `kernel` */
    /* an output element depends on one of each (broadcast) input: `inner` instead of `kernel` */
    TD_OP_ELEMENTWISE = 1 << 4,
    TD_OP_CREATE = 1 << 5, /* no inputs: runs where it is told to */
    TD_OP_ASSIGN = 1 << 6, /* changes input 0 in place, has no output */
    TD_OP_FLOAT = 1 << 7, /* integer inputs are cast to f32 first (exp, mean, division) */
    /* How outputs lie in memory (vm/order.h has the whole rule; rows without either). The kernel of an op
     * with one of them writes outputs of both orders. */
    TD_OP_CHANNELS = 1 << 8, /* outputs of 4 dimensions have channels last */
    TD_OP_FOLLOWS = 1 << 9,  /* outputs of 4 dimensions lie as input 0 does */
    TD_OP_RANDOM = 1 << 10,  /* attributes `seed` and `stream` fix what is drawn */
};

/* Numbers that an inner loop reads, taken from the attributes: clamp's bounds. */
typedef struct td_inner_args {
    int64_t words[6];
} td_inner_args;

struct td_grad;

typedef struct td_op {
    const char *name;
    /* one sentence, then arguments and an example that shows its result with --> */
    const char *doc;
    int nin; /* inputs; -1: 1 to TD_OP_MAX_IN */
    int nout;
    unsigned flags;
    /* bit i: PROMOTE and FLOAT leave input i alone (conditions, indices) */
    unsigned keep_dtype;
    /* what `grad` reads: TD_SAVE_IN(i), TD_SAVE_OUT(i); the rest is not kept */
    unsigned save;
    td_attr_spec attr[TD_OP_MAX_ATTRS];

    /* Output dtypes and shapes from the inputs'; every shape error of the op is raised here, with the
     * op's name as the call ("matmul: 2x3 does not multiply 4x5"). May complete *attrs (a -1 in sizes).
     * Inputs have been promoted. Must bound everything: it also judges what came over the wire. */
    int (*shape)(const td_meta *in, int nin, td_attrs *attrs, td_meta *out, td_err *err);

    /* Checks of values (labels and positions in range), run before the kernel; may be NULL. */
    int (*check)(td_tensor *const *in, int nin, const td_attrs *attrs, td_err *err);

    /* TD_OP_ELEMENTWISE: the loop over runs of elements (see runtime/loop.h; operand 0 is the output, the
     * others the inputs), whose ctx is *args. NULL where the op knows none for the inputs' dtypes, which is
     * a DTYPE error. A loop's bits depend neither on strides nor on where runs are cut. attrs may be NULL
     * when the op has none; args has been zeroed. */
    td_inner *(*inner)(const td_meta *in, int nin, const td_attrs *attrs,
                       td_inner_args *args);

    /* Others: fills in the outputs, of the shapes that `shape` gave: dense, in rows, or for ops with
     * TD_OP_CHANNELS and TD_OP_FOLLOWS in either order. They overlap no input. Inputs may have any strides.
     * Scratch memory comes from td_scratch_take: the only way to fail. */
    int (*kernel)(td_tensor *const *in, int nin, const td_attrs *attrs,
                  td_tensor *const *out, td_err *err);

    /* TD_OP_VIEW: strides and offset over input 0's storage for the shape that `shape` gave. When no
     * such view exists (reshape of a transposed tensor) sets *copy: input 0 is made contiguous first,
     * and the call repeated. */
    int (*view)(const td_tensor *in, const td_attrs *attrs, const td_shape *out_shape,
                int64_t stride[TD_MAX_DIM], int64_t *offset, bool *copy);

    /* The gradient rule, see vm/grad.h; NULL: not differentiable (outputs never require a gradient). */
    int (*grad)(struct td_grad *g);

    /* Additions and multiplications of a run, for inspect and for limits on strange programs. NULL: as many
     * as the largest input or output has elements; none for views. */
    double (*work)(const td_meta *in, int nin, const td_attrs *attrs, const td_meta *out);
} td_op;

#define TD_SAVE_IN(i) (1u << (i))
#define TD_SAVE_OUT(i) (1u << (16 + (i)))
#define TD_SAVE_ALL_IN 0xffffu

/* Defines an op and puts it into the table. The section keeps pointers, not structs, so that padding
 * does not matter. */
#define TD_OP(id)                                                                        \
    extern const td_op td_op_##id;                                                       \
    static const td_op *const td_op_row_##id __attribute__((section("td_ops"), used)) =  \
        &td_op_##id;                                                                     \
    const td_op td_op_##id
/* Makes an op of another file usable here. */
#define TD_OP_USE(id) extern const td_op td_op_##id

/* The table, sorted by name. */
int td_op_count(void);
const td_op *td_op_at(int i);
/* NULL when there is none of that name. */
const td_op *td_op_find(const char *name);

/* Attributes: how many specs an op has; fills in presets and checks kinds, bounds of dims against
 * input 0 (or `ndim` given), lists. ARGUMENT and INDEX errors. */
int td_op_attr_count(const td_op *op);
int td_attrs_check(const td_op *op, const td_meta *in, int nin, td_attrs *attrs,
                   td_err *err);

/* op->work, or what NULL stands for. */
double td_op_work(const td_op *op, const td_meta *in, int nin, const td_attrs *attrs,
                  const td_meta *out);

/* Shape rules that many ops share. */
int td_shape_same(const td_meta *in, int nin, td_attrs *a, td_meta *out, td_err *err);
/* All inputs broadcast together; dtype of input 0 after promotion. */
int td_shape_elementwise(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err);

/* Setters for C callers: td_attrs a = {0}; td_attr_set_i(&a, 0, TD_ATTR_DIM, 1); */
void td_attr_set_i(td_attrs *a, int at, td_attr_kind kind, int64_t v);
void td_attr_set_f(td_attrs *a, int at, double v);
void td_attr_set_list(td_attrs *a, int at, td_attr_kind kind, const int64_t *v, int n);
void td_attr_set_sizes(td_attrs *a, int at, const td_shape *s);
/* The sizes of a list attribute as they are: nothing is checked. */
td_shape td_attr_sizes(const td_attrs *a, int at);

#endif
