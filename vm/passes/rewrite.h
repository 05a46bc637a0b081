/* Writing a program anew, operation by operation: what all passes share. Called by passes alone.
 *
 *     td_rewrite w;
 *     if (td_rewrite_begin(&w, p, err) == 0)
 *         for (uint32_t i = 0; i < p->instr_count; i++)
 *             if (!simpler(&w, i)) td_rewrite_copy(&w, i);
 *     return td_rewrite_end(&w, out, err);
 */
#ifndef TD_PASSES_REWRITE_H
#define TD_PASSES_REWRITE_H

#include "vm/passes.h"

typedef struct td_rewrite {
    td_program *p; /* the old one */
    td_builder *b; /* the new one */
    uint32_t *to;  /* old value to the builder's, TD_NO_VALUE while it has none */
    /* of a root: how many operations from the start hold the last that changes its memory; 0: none does */
    uint32_t *changed_until;
    bool changed; /* set by whoever does not copy */
} td_rewrite;

int td_rewrite_begin(td_rewrite *w, td_program *p, td_err *err);
/* Old value v in the new program. */
uint32_t td_rewrite_value(td_rewrite *w, uint32_t v);
/* Operation i as it was. */
void td_rewrite_copy(td_rewrite *w, uint32_t i);
/* Operation op in place of i, whose output 0 it makes; in are values of the new program. */
void td_rewrite_op(td_rewrite *w, uint32_t i, const td_op *op, const uint32_t *in,
                   uint32_t nin, const td_attrs *attrs);
/* Old value v is the builder's value `is` from now on. */
void td_rewrite_replace(td_rewrite *w, uint32_t v, uint32_t is);
/* The new program, or another reference of p when nothing was changed. Frees what w holds. */
int td_rewrite_end(td_rewrite *w, td_program **out, td_err *err);

/* May whoever reads v read x instead, whose elements are equal once v is made? Not when v is memory that a
 * caller gets or an operation changes; nor when x changes afterwards. v is no view. */
bool td_rewrite_may_be(const td_rewrite *w, uint32_t v, uint32_t x);
/* Can it raise an error when it runs? Checks of values are about integers: positions, labels, exponents. An
 * assignment fails when what it writes to is read-only, or shares memory with itself. */
bool td_instr_may_fail(const td_program *p, const td_instr *in);

#endif
