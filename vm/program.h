/* Programs: straight-line, typed, small. A program is a list of operations of the op table over numbered
 * values: inputs first, then constants, then what the operations make. It is what tide.compile traces,
 * what passes rewrite, what is hashed, sent, verified and inspected; a plan (plan.h) is what runs it.
 *
 * Operations are in an order that may be run as it stands. An operation with TD_OP_VIEW makes another
 * look at its input's memory; one with TD_OP_ASSIGN changes the memory of its input 0, an input of the
 * program or a view of it or of a value, and has no output: operations behind it that read the same
 * memory see what it wrote. No operation may move across one that changes what it reads.
 *
 * Inputs are bound at each run: arguments first, then what the function captured (parameters, states).
 * The random operations of a program have no streams of their own: attribute `stream` holds 0 .. draws-1,
 * and a run is given the seed and the first of `draws` streams to use.
 *
 * A program is not changed once it is made, and is shared between threads. */
#ifndef TD_PROGRAM_H
#define TD_PROGRAM_H

#include "vm/op.h"

#define TD_PROGRAM_HASH 32
#define TD_NO_VALUE UINT32_MAX

typedef enum td_value_kind { TD_VALUE_INPUT, TD_VALUE_CONST, TD_VALUE_RESULT } td_value_kind;

typedef struct td_value {
    td_meta meta; /* never weak: promotion was done when the operation was traced */
    td_value_kind kind;
    uint32_t maker;  /* of a RESULT: the operation */
    td_tensor *data; /* of a CONST: contiguous, counted; never changed */
} td_value;

typedef struct td_instr {
    const td_op *op;
    uint32_t nin;
    uint32_t *in;    /* values, all made before */
    uint32_t out;    /* output 0; the others follow on; TD_NO_VALUE when op has none */
    td_attrs *attrs; /* complete, checked; NULL when op has none */
    char *where;     /* "file.lua:12", the line that made it, or NULL; not part of the hash */
} td_instr;

typedef struct td_program {
    int refs; /* atomic */
    uint32_t input_count, value_count, instr_count, output_count;
    uint32_t draws;
    bool fixed_seeds; /* random operations keep seed and stream as they are written */
    td_value *value;
    td_instr *instr;
    uint32_t *output; /* values; an input or a constant may be one */
} td_program;

td_program *td_program_ref(td_program *p);
void td_program_unref(td_program **p);

/* ---- making one ---- */

/* A program under construction: values and operations are appended, then it is sealed. After an error
 * (kept in the builder) every call gives TD_NO_VALUE, so that one check at the end is enough. */
typedef struct td_builder td_builder;

td_builder *td_builder_new(td_err *err);
void td_builder_free(td_builder **b);
/* Inputs come before everything else when `late` is false; a tracer finds captured ones as it goes, so
 * the builder renumbers when it is sealed: numbers are the builder's own until then. */
uint32_t td_build_input(td_builder *b, const td_meta *meta);
uint32_t td_build_const(td_builder *b, td_tensor *t);      /* takes its own reference, or a copy */
uint32_t td_build_number(td_builder *b, td_dtype t, double f, int64_t i); /* 0-d constant */
/* Checks attributes and shapes (td_op_infer), appends; gives output 0. attrs may be NULL. */
uint32_t td_build_op(td_builder *b, const td_op *op, const uint32_t *in, uint32_t nin,
                     const td_attrs *attrs, const char *where);
void td_build_output(td_builder *b, uint32_t value);
const td_meta *td_build_meta(const td_builder *b, uint32_t value);
uint32_t td_build_draw(td_builder *b); /* the next of the program's random streams */
/* Ends b. NULL with err when anything failed on the way. */
td_program *td_builder_seal(td_builder **b, td_err *err);

/* ---- looking at one ---- */

/* The input or result whose memory v looks at: v itself unless its maker is a view. */
uint32_t td_program_root(const td_program *p, uint32_t v);
/* Is the input changed by the program? */
bool td_program_assigns(const td_program *p, uint32_t input);
/* Readable text, an operation a line: "%7 = relu(%5)  f32 64x128  -- net.lua:12". Freed by td_free. */
char *td_program_text(const td_program *p);

#endif
