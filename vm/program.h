/* Programs: straight-line, typed, small. A program is a list of operations of the op table over numbered
 * values: inputs first, then constants, then what the operations make. It is what tide.compile traces,
 * what passes rewrite, what is hashed, sent, verified and inspected; a plan (plan.h) is what runs it.
 *
 *     td_builder *b = td_builder_new(&err);
 *     uint32_t x = td_build_input(b, &meta);
 *     uint32_t y = td_build_op(b, td_op_find("relu"), &x, 1, NULL, "net.lua:3");
 *     td_build_output(b, y);
 *     td_program *p = td_builder_seal(&b, &err);    // NULL: something failed on the way
 *
 * Operations are in an order that may be run as it stands. An operation with TD_OP_VIEW makes another
 * look at its input's memory (reshape may make a copy instead, when a run's input lies in a way that has
 * no such view); one with TD_OP_ASSIGN changes the memory of its input 0, an input of the program, a
 * result, or a view of one, and has no output: operations behind it that read the same memory see what it
 * wrote. No operation may move across one that changes what it reads. Constants are never changed.
 *
 * Inputs are bound at each run: arguments first, then what the function captured (parameters, states).
 * Outputs are looked at when all operations have run. An output whose root is an input shares that
 * input's memory; one whose root is a constant is handed out as a copy.
 *
 * The random operations of a program have no streams of their own: attribute `stream` holds 0 .. draws-1,
 * `seed` 0, and a run is given the seed and the first of `draws` streams to use.
 *
 * A program is not changed once it is made, and is shared between threads. */
#ifndef TD_PROGRAM_H
#define TD_PROGRAM_H

#include "vm/op.h"

#define TD_PROGRAM_HASH 32
#define TD_NO_VALUE UINT32_MAX
/* Constants of at most so many bytes are one when they are alike. */
#define TD_PROGRAM_SHARE_BYTES 64

typedef enum td_value_kind {
    TD_VALUE_INPUT,
    TD_VALUE_CONST,
    TD_VALUE_RESULT
} td_value_kind;

typedef struct td_value {
    td_meta meta; /* never weak: promotion was done when the operation was traced */
    td_value_kind kind;
    uint32_t maker;  /* of a RESULT: the operation */
    uint32_t root;   /* whose memory it looks at: itself unless its maker is a view */
    bool assigned;   /* of a root: some operation changes its memory */
    bool given;      /* of a root: an output looks at its memory */
    td_tensor *data; /* of a CONST: contiguous, counted; never changed */
} td_value;

typedef struct td_instr {
    const td_op *op;
    uint32_t nin;
    const uint32_t *in; /* values, all made before */
    uint32_t out;       /* output 0; the others follow on; TD_NO_VALUE when op has none */
    const td_attrs *attrs; /* complete, checked, unused bytes 0; NULL when op has none */
    const char
        *where; /* "file.lua:12", the line that made it, or NULL; not part of the hash */
} td_instr;

typedef struct td_program {
    atomic_int refs;
    uint32_t input_count, const_count, value_count, instr_count, output_count;
    uint32_t draws;
    bool fixed_seeds; /* random operations keep seed and stream as they are written */
    td_value *value;
    td_instr *instr;
    uint32_t *output; /* values; an input or a constant may be one */
    /* what instr points into */
    uint32_t *in_pool;
    td_attrs *attrs_pool;
    char *where_pool;
} td_program;

td_program *td_program_ref(td_program *p);
void td_program_unref(td_program **p);

/* ---- making one ---- */

/* A program under construction: values and operations are appended, then it is sealed. After an error
 * (kept in the builder) every call gives TD_NO_VALUE, and takes TD_NO_VALUE, so that one check at the end
 * is enough. */
typedef struct td_builder td_builder;

td_builder *td_builder_new(td_err *err);
void td_builder_free(td_builder **b);
/* In whichever order they are made, inputs stand first in the sealed program, then the constants that are
 * used, as operations and outputs come to them: numbers are the builder's own until then. */
uint32_t td_build_input(td_builder *b, const td_meta *meta);
/* Takes a reference of its own when t is contiguous and large: the caller vouches that nobody changes it.
 * Else a copy. */
uint32_t td_build_const(td_builder *b, td_tensor *t);
/* A 0-d constant: f for float dtypes, i for the others. */
uint32_t td_build_number(td_builder *b, td_dtype t, double f, int64_t i);
/* Checks attributes and shapes (td_op_infer), appends; gives output 0 (0 for an op that has none). attrs
 * may be NULL. Errors are td_op_infer's, with `where` in them; STATE when a constant would be changed. */
uint32_t td_build_op(td_builder *b, const td_op *op, const uint32_t *in, uint32_t nin,
                     const td_attrs *attrs, const char *where);
void td_build_output(td_builder *b, uint32_t value);
/* NULL for TD_NO_VALUE. Good until the next call that appends. */
const td_meta *td_build_meta(const td_builder *b, uint32_t value);
uint32_t td_build_draw(td_builder *b); /* the next of the program's random streams */
/* For those that write a program anew: so many streams in all, seeds as in p. */
void td_build_seeds(td_builder *b, uint32_t draws, bool fixed_seeds);
/* The first error so far, or NULL. */
const td_err *td_build_error(const td_builder *b);
/* Ends b. NULL with err when anything failed on the way. */
td_program *td_builder_seal(td_builder **b, td_err *err);

/* ---- looking at one ---- */

/* The input, constant or result whose memory v looks at: v itself unless its maker is a view. */
uint32_t td_program_root(const td_program *p, uint32_t v);
/* Is the input changed by the program? */
bool td_program_assigns(const td_program *p, uint32_t input);
/* Which attribute of a random op is `seed` (`stream` is the one behind it); -1 for other ops. */
int td_op_seed_attr(const td_op *op);
/* Has the view no more to it than another header, whatever its input's strides? (reshape may copy) */
bool td_view_is_pure(const td_op *op);
/* Are the operations and values the same, bit by bit? Lines are not looked at. */
bool td_program_equal(const td_program *a, const td_program *b);
/* Readable text, an operation a line: "%7 = relu(%5)  f32 64x128  -- net.lua:12". Freed by td_free; NULL
 * when memory is out. */
char *td_program_text(const td_program *p);

#endif
