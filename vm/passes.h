/* Passes: program to program, each in a file of its own below vm/passes/, each leaves what a caller of any
 * run sees: the bits of outputs and assigned inputs, which of them share memory, the error that is raised.
 * TIDE_DUMP=1 prints a program to stderr before and after each.
 *
 *     td_program *better = NULL;
 *     int rc = td_pass_fold(p, &better, err);    // a new program, or another reference of p
 */
#ifndef TD_PASSES_H
#define TD_PASSES_H

#include "vm/program.h"

typedef int td_pass(td_program *p, td_program **out, td_err *err);

/* views that change nothing, views of views, views that are only broadcast */
td_pass td_pass_views;
/* products that are only looked at transposed are made so (where two NaN meet, the other one may win) */
td_pass td_pass_products;
/* x * 1, x + -0.0, copies of what stays, casts there and back: what keeps every bit (NaN and -0 too) */
td_pass td_pass_algebra;
td_pass td_pass_fold; /* operations on constants alone become constants */
/* an operation with the same inputs, whose memory has not changed in between; random ones never */
td_pass td_pass_cse;
/* what no output, no assignment and no error needs; inputs and numbers of random streams stay */
td_pass td_pass_dead;

/* All of them, in this order, until nothing changes (a bounded number of times). */
int td_passes_run(td_program *p, td_program **out, td_err *err);

#endif
