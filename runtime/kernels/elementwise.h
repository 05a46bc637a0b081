/* Inner loops of elementwise operations, for td_loop_run: a table of operation by dtype, compiled for
 * each processor level. Operand 0 is the output, the others the inputs, all of the named dtype but
 * for outputs that are bool. Knows no tensors' shapes and cannot fail. */
#ifndef TD_ELEMENTWISE_H
#define TD_ELEMENTWISE_H

#include "runtime/loop.h"

/* One input. CLAMP and LEAKY_RELU read their numbers from a td_unary_args. */
/* clang-format does not agree with itself on these tables. */
/* clang-format off */
#define TD_UNARIES(X)                                                                    \
    X(NEG) X(ABS) X(SIGN) X(FLOOR) X(CEIL) X(ROUND) X(TRUNC) X(SQUARE) X(RELU) X(EXP)    \
    X(LOG) X(SQRT) X(RSQRT) X(RECIPROCAL) X(TANH) X(SIGMOID) X(SIN) X(COS) X(ERF)        \
    X(LOG1P) X(EXPM1) X(SOFTPLUS) X(ISNAN) X(ISFINITE) X(LOGICAL_NOT) X(CLAMP)           \
    X(LEAKY_RELU)
/* clang-format on */
typedef enum td_unary {
#define TD_X(name) TD_UNARY_##name,
    TD_UNARIES(TD_X)
#undef TD_X
        TD_UNARY_COUNT
} td_unary;

typedef struct td_unary_args {
    double low, high, slope; /* bounds for floats; slope */
    int64_t int_low, int_high;
} td_unary_args;

/* Two inputs. From EQ on the output is bool. */
/* clang-format off */
#define TD_BINARIES(X)                                                                   \
    X(ADD) X(SUB) X(MUL) X(DIV) X(POW) X(MAXIMUM) X(MINIMUM) X(REMAINDER)                \
    X(FLOOR_DIVIDE) X(EQ) X(NE) X(LT) X(LE) X(GT) X(GE) X(AND) X(OR) X(XOR)
/* clang-format on */
typedef enum td_binary {
#define TD_X(name) TD_BINARY_##name,
    TD_BINARIES(TD_X)
#undef TD_X
        TD_BINARY_COUNT
} td_binary;

/* The loop of op for inputs of dtype t, NULL where there is none (exp of i64, neg of bool). */
td_inner *td_unary_inner(td_unary op, td_dtype t);
td_inner *td_binary_inner(td_binary op, td_dtype t);
/* out = cond ? a : b, cond being bool; for elements of that many bytes (1, 4, 8). */
td_inner *td_where_inner(size_t bytes);

typedef td_inner *td_unary_table[TD_UNARY_COUNT][TD_DTYPE_COUNT];
typedef td_inner *td_binary_table[TD_BINARY_COUNT][TD_DTYPE_COUNT];
typedef td_inner *td_where_table[9];

#endif
