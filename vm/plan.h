/* Plans: a program made ready to run on this machine. What is decided once: which operations become one
 * (plan_fuse.c), the memory order of each value (the rule of order.h, which the eager executor follows
 * too), where each value lies in one block of memory and what is changed in place (plan_memory.c), and the
 * headers of all tensors. A run computes and allocates nothing but its outputs.
 *
 * A plan is not changed by running: several threads may run it at once, each run with memory of its own
 * from the plan's list of idle ones. */
#ifndef TD_PLAN_H
#define TD_PLAN_H

#include "vm/program.h"

typedef struct td_plan td_plan;

/* Takes its own reference of p. The passes have been run by whoever calls. */
td_plan *td_plan_new(td_program *p, td_err *err);
td_plan *td_plan_ref(td_plan *plan);
void td_plan_unref(td_plan **plan);

/* Runs it. in: one tensor for each input of the program, of its dtype and sizes, any strides; those that
 * are assigned must overlap no other (td_plan_overlaps). out: one new reference for each output. seed,
 * stream: see program.h. Errors: of the value checks of operations (INDEX, VALUE), with the line that
 * made the operation as where; STATE for read-only memory that would be changed; MEMORY. After an error,
 * assignments before it stand. */
int td_plan_run(td_plan *plan, td_tensor *const *in, uint64_t seed, uint64_t stream,
                td_tensor **out, td_err *err);

/* Does memory that the program changes overlap another input's? */
bool td_plan_overlaps(const td_plan *plan, td_tensor *const *in);

/* What a run of it costs, for inspect. */
typedef struct td_plan_cost {
    size_t
        memory_bytes; /* one run's own memory: activations, gradients, scratch that is known */
    size_t input_bytes, output_bytes;
    uint32_t steps; /* calls of kernels, blocks counted once */
} td_plan_cost;
td_plan_cost td_plan_costs(const td_plan *plan);
/* Readable text: steps, blocks with what they fuse, memory orders, places. Freed by td_free. */
char *td_plan_text(const td_plan *plan);

#endif
