/* Text that grows: for dumps and drawings that people read. Memory that runs out is told once, at the
 * end. */
#ifndef TD_TEXT_H
#define TD_TEXT_H

#include "vm/op.h"

typedef struct td_text {
    char *data;
    size_t size, room; /* size without the 0 at the end */
    bool failed;       /* memory ran out; everything after it is ignored */
} td_text;

void td_text_put(td_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Blanks until the line that began at `start` has `column` characters; one blank if it has more. */
void td_text_pad(td_text *t, size_t start, size_t column);
/* With as few digits as tell it from its neighbours in that dtype: 0.1 and not 0.100000001. */
void td_text_put_float(td_text *t, td_dtype dtype, double v);
/* Attributes that are not their presets, "dim=1, keepdim=true", as scripts count; `before` in front of
 * the first. Those from `skip` on, two of them, are left out (a random op's seed and stream); -1: none. */
void td_text_put_attrs(td_text *t, const td_op *op, const td_attrs *attrs,
                       const char *before, int skip);
/* The text, freed by td_free; NULL when memory ran out. */
char *td_text_end(td_text *t);

#endif
