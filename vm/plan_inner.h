/* The inside of a plan, shared by the files that make it (plan_layout.c, plan_fuse.c, plan_memory.c), run
 * it (plan_run.c) and print it (plan_text.c). */
#ifndef TD_PLAN_INNER_H
#define TD_PLAN_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/kernels/conv.h"
#include "vm/block.h"
#include "vm/plan.h"

typedef enum td_home {
    TD_HOME_NONE,  /* lives in a block's chunks or in a product's panel alone */
    TD_HOME_ARENA, /* in the run's block of memory */
    TD_HOME_INPUT,
    TD_HOME_CONST,
    TD_HOME_OUTPUT, /* fresh memory for each run, handed out */
} td_home;

/* Memory of one value and of all views of it. */
typedef struct td_root {
    td_home home;
    size_t bytes, at;     /* at: in the arena */
    uint32_t first, last; /* the steps between which it must be kept */
    uint32_t shares; /* the root whose place it takes over (in place), or TD_NO_VALUE */
} td_root;

typedef enum td_step_kind {
    TD_STEP_OP, /* an operation's own kernel */
    TD_STEP_FLATTEN, /* a view that no strides can express: the input is laid out in rows first */
    TD_STEP_ASSIGN,
    TD_STEP_BLOCK,   /* fused elementwise operations */
    TD_STEP_PRODUCT, /* a matmul of two matrices, and what is fused behind it */
    TD_STEP_CONV,    /* a conv2d or conv2d_input, and what is fused behind it */
} td_step_kind;

typedef struct td_step {
    td_step_kind kind;
    uint32_t instr;   /* the operation; of a block the first */
    uint32_t *member; /* BLOCK, PRODUCT, CONV: all operations of it, ascending */
    uint32_t member_count;
    td_block *block;   /* BLOCK; PRODUCT and CONV: what follows the product, or NULL */
    uint32_t *operand; /* of the block: values */
    uint32_t operand_count;
    uint32_t *
        share; /* for each operand that is written: one whose memory it may take, or NO_VALUE */
    uint32_t bias;    /* PRODUCT, CONV: added inside, or TD_NO_VALUE */
    bool relu;        /* PRODUCT, CONV: taken inside */
    uint32_t head;    /* PRODUCT, CONV: the value that the product itself makes */
    int head_operand; /* which operand of the block that is; -1: none */
} td_step;

/* One run's memory. */
typedef struct td_run {
    struct td_run *next;
    td_tensor *tensor;   /* of each value */
    td_storage *storage; /* of each root */
    td_tensor **arg; /* inputs, then outputs, of each operation: from plan->arg_at on */
    char *arena;
} td_run;

struct td_plan {
    atomic_int refs;
    td_program *program;
    td_tensor *header; /* of each value: sizes, strides, offset in its root; no storage */
    uint32_t *root;    /* of each value */
    td_root *memory;   /* of each value that is a root */
    uint32_t *arg_at;  /* of each operation: where run->arg has its tensors */
    uint32_t arg_count;
    td_step *step;
    uint32_t step_count, step_room;
    size_t arena_bytes;
    uint32_t *viewer_at, *viewer; /* the values that look at each root */
    pthread_mutex_t lock;         /* guards idle */
    td_run *idle;
};

/* Who uses what, worked out once: the operations that read each value (views and assignments among them),
 * and whether anything but an operation does. */
typedef struct td_uses {
    uint32_t *at,
        *by; /* by[at[v]] .. by[at[v + 1] - 1], ascending, an operation once for each input */
} td_uses;

int td_uses_init(td_uses *u, const td_program *p, td_err *err);
void td_uses_free(td_uses *u);

/* A block out of `count` elementwise operations and assignments, ascending. head: the value that comes
 * from a product in front of them, or TD_NO_VALUE. False when it is too large for one block (err unset),
 * or memory is out (err set). */
bool td_plan_block(td_plan *plan, const td_uses *uses, const uint32_t *member,
                   uint32_t count, uint32_t head, td_step *step, td_err *err);
/* Can the operation stand at the head of a step, with a block behind it? */
bool td_plan_is_head(const td_plan *plan, uint32_t instr);
/* Is the matmul a product that td_product can run into its result as it lies: of any number of rows by one
 * matrix? */
bool td_plan_multiplies(const td_plan *plan, uint32_t instr);
/* Sizes of a conv2d or conv2d_input; false when there is nothing to compute. */
bool td_plan_convolves(const td_plan *plan, uint32_t instr, td_conv *v);
/* Completes a PRODUCT or CONV step out of its members, of which `head` stands in front: bias, activation,
 * the block behind them. False as td_plan_block. */
bool td_plan_lead(td_plan *plan, const td_uses *uses, uint32_t head, td_step *step,
                  td_err *err);

/* Headers and roots of all values; flattening views become roots. */
int td_plan_layout(td_plan *plan, td_err *err);
/* Operations to steps, in an order that keeps every dependence. */
int td_plan_fuse(td_plan *plan, td_err *err);
/* Places of all roots. */
int td_plan_place(td_plan *plan, td_err *err);
/* Do two headers over one root look at the same elements in the same places? */
bool td_plan_same_look(const td_tensor *a, const td_tensor *b);
/* Does the view's step copy its input first? */
bool td_plan_flattens(const td_plan *plan, uint32_t instr);

void td_step_free(td_step *step); /* what it holds */
int td_step_product(const td_plan *plan, const td_step *step, td_run *run, td_err *err);
int td_step_conv(const td_plan *plan, const td_step *step, td_run *run, td_err *err);
int td_step_run(const td_plan *plan, const td_step *step, td_run *run, uint64_t seed,
                uint64_t stream, td_err *err);

#endif
