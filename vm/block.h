/* Blocks: several elementwise operations run together, a chunk of elements at a time, so that what passes
 * between them stays in the first-level cache. Each operation's own inner loop does the arithmetic, so a
 * block gives the same bits as its operations one by one.
 *
 * A block works over one shape. Its operands (what it reads and writes in memory) broadcast to that shape;
 * an operand that lies flat under a chunk is read and written where it lies, any other is gathered into a
 * buffer first. What an operation makes for another one alone lives in a buffer of the chunk's size.
 *
 * Knows tensors' headers and inner loops, no programs. */
#ifndef TD_BLOCK_H
#define TD_BLOCK_H

#include "runtime/loop.h"
#include "vm/op.h"

#define TD_BLOCK_OPERANDS 16
#define TD_BLOCK_BUFFERS 10
#define TD_BLOCK_OPS 32

typedef struct td_block td_block;

/* One operation: reads and writes places, which are operands (0 ..) and buffers (TD_BLOCK_OPERANDS ..). */
typedef struct td_block_op {
    td_inner *loop;
    td_inner_args args;
    int nin;
    int dst, src[TD_LOOP_MAX - 1];
    uint8_t out_bytes, in_bytes[TD_LOOP_MAX - 1]; /* of an element */
} td_block_op;

typedef struct td_block_draft {
    td_shape shape;
    td_order order; /* in which the block walks over shape */
    bool
        by_rows; /* runs ranges of rows: of all dimensions but the last one in the order of the walk */
    int operand_count;
    td_tensor operand[TD_BLOCK_OPERANDS]; /* headers; dtype, sizes and strides count */
    bool written[TD_BLOCK_OPERANDS];      /* must lie flat and be of the block's shape */
    int op_count;
    td_block_op op[TD_BLOCK_OPS];
} td_block_draft;

/* NULL when memory is out. */
td_block *td_block_new(const td_block_draft *d, td_err *err);
void td_block_free(td_block **b);

/* Can an operand of these strides be written by a block over that shape and order? */
bool td_block_writes(const td_tensor *operand, const td_shape *shape, td_order order);

/* Runs all of it; data: the first element of each operand. Large ones are cut over the pool. */
void td_block_run(const td_block *b, char *const *data);
/* Only the rows [from, to) of a block that was made by_rows. data as above: of row 0. */
void td_block_run_rows(const td_block *b, char *const *data, int64_t from, int64_t to);

#endif
