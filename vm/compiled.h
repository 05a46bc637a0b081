/* A traced function made ready to run: passes, plan, and the binding of each run. Captured values are taken
 * as they are at the run, gradients are set as the trace found that they end. Knows no Lua; one thread
 * at a time, as with values. */
#ifndef TD_COMPILED_H
#define TD_COMPILED_H

#include "vm/plan.h"
#include "vm/trace.h"

typedef struct td_compiled td_compiled;

/* Takes over *made, also when it fails. */
td_compiled *td_compiled_new(td_traced **made, td_err *err);
void td_compiled_free(td_compiled **c);

/* Do captured values have the shapes, dtypes and marks that they had, and are gradients there or not as they
 * were? False: the function has to be traced again. Arguments are the caller's to compare. Waits for values
 * that are on their way. */
bool td_compiled_fits(td_compiled *c, td_val *const *args);

typedef enum td_compiled_answer {
    TD_COMPILED_READY,
    TD_COMPILED_OVERLAPS, /* it would change memory that another input looks at: not for a plan */
    TD_COMPILED_FAILED
} td_compiled_answer;

/* Binds the inputs of the next run. args: values that are here, of the shapes of the trace; scalars: a
 * number for each td_trace_scalar. */
td_compiled_answer td_compiled_bind(td_compiled *c, td_val *const *args,
                                    const double *scalars, td_err *err);
/* Runs what was bound, with the same args. seed, stream: see program.h. out: new references.
 * Errors: td_plan_run's; gradients are set only when all went well. */
int td_compiled_run(td_compiled *c, td_val *const *args, uint64_t seed, uint64_t stream,
                    td_val **out, td_err *err);

uint32_t td_compiled_draws(const td_compiled *c); /* random streams that a run uses */
td_program *td_compiled_program(const td_compiled *c); /* after the passes; borrowed */
td_plan *td_compiled_plan(const td_compiled *c);       /* borrowed */

#endif
