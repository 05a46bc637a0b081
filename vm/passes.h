/* Passes: program to program, each in a file of its own below vm/passes/, each leaves the outputs and the
 * assigned inputs of every run the same bits. TIDE_DUMP=1 prints a program to stderr before and after
 * each.
 *
 *     td_program *better = NULL;
 *     int rc = td_pass_fold(p, &better, err);    // a new program, or another reference of p
 */
#ifndef TD_PASSES_H
#define TD_PASSES_H

#include "vm/program.h"

typedef int td_pass(td_program *p, td_program **out, td_err *err);

td_pass td_pass_fold; /* operations on constants alone become constants; x * 1, x + 0 and
                         casts to the same dtype go where that keeps every bit (NaN and -0 too) */
td_pass td_pass_cse;  /* an operation with the same inputs, whose memory has not changed in between */
td_pass td_pass_dead; /* what no output and no assignment needs; inputs stay */

/* All of them, in their order, until nothing changes (a bounded number of times). */
int td_passes_run(td_program *p, td_program **out, td_err *err);

#endif
