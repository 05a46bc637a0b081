/* Bounds on programs that came from elsewhere: how large one may be, and what a run of it may take. Counted
 * while it is read, so that nothing is allocated, and nothing runs, beyond them. */
#ifndef TD_VERIFY_H
#define TD_VERIFY_H

#include "vm/program.h"

typedef struct td_program_limits {
    uint32_t values;    /* inputs, constants and results */
    uint32_t instrs;    /* operations */
    size_t const_bytes; /* of constants' elements */
    size_t
        bytes; /* of all values together, views not counted: more than a run holds at once */
    double work; /* additions and multiplications of a run (td_op_work) */
} td_program_limits;

/* What a worker takes that says nothing else: 100,000 operations, constants of 64 MB, values of 64 GB, 1e15
 * additions and multiplications. */
td_program_limits td_program_limits_preset(void);

typedef struct td_program_size {
    uint64_t values, instrs;
    size_t const_bytes, bytes;
    double work;
} td_program_size;

/* Counts a value, or an operation, into size. LIMIT, with what was wanted: "values of 80000000000 bytes, at
 * most 64000000000 go". limits may be NULL: nothing is too much, though all must fit size_t. */
int td_size_value(td_program_size *size, const td_program_limits *limits,
                  const td_value *value, td_err *err);
int td_size_instr(td_program_size *size, const td_program_limits *limits, const td_op *op,
                  const td_meta *in, uint32_t nin, const td_attrs *attrs,
                  const td_meta *out, td_err *err);

/* The whole of a program that is here. */
int td_program_sized(const td_program *p, const td_program_limits *limits,
                     td_program_size *size, td_err *err);

#endif
