/* Tracing: a function's operations are written down instead of run. While a trace is current in a
 * thread, td_apply sends every operation to it; what the operations make are values at the trace, a
 * place like a worker, whose shapes are known and whose contents are not.
 *
 *     td_trace *t = td_trace_new("step", &err);
 *     td_trace *before = td_trace_set_current(t);
 *     td_val *x = td_trace_argument(t, given, &err), *y;
 *     td_apply(&td_op_relu, &x, 1, NULL, &y, &err);
 *     td_trace_set_current(before);
 *     td_traced *made = td_trace_finish(t, &y, 1, false, &err);
 *     td_trace_free(&t);
 *
 * Tensors that are here and no arguments are captured by reference: each run takes what the value holds
 * then. Plain numbers are constants. The tape works with traced values as with any others, so backward
 * and an optimiser's step are traced too; what happened to the .grad of captured leaves is undone when
 * the trace ends, and told as rules that each run carries out. */
#ifndef TD_TRACE_H
#define TD_TRACE_H

#include "vm/program.h"
#include "vm/val.h"

typedef struct td_trace td_trace;

/* The name stands in errors: "item: the tensor has no value while tide.compile traces 'step'". */
td_trace *td_trace_new(const char *name, td_err *err);
/* Gradients that the function changed are as they were before. Values that are left over of it raise
 * errors from now on. */
void td_trace_free(td_trace **t);
const char *td_trace_name(const td_trace *t);

/* This thread's; NULL when nothing is traced. set_current returns the old one, to be put back: NULL for a
 * while makes operations run as usual (an optimiser's state that is made on the way). */
td_trace *td_trace_current(void);
td_trace *td_trace_set_current(td_trace *t);

/* Who knows the line of the script that an operation comes from; text stays empty where there is none. */
typedef void td_trace_line(char *text, size_t size);
void td_trace_set_line(td_trace *t, td_trace_line *line);

/* ---- what goes in ---- */

/* A stand-in for the next argument: a leaf that wants a gradient when `given` does. The contents of `given`
 * are not looked at. */
td_val *td_trace_argument(td_trace *t, td_val *given, td_err *err);
/* A plain number that each run is given anew, f64 and weak: a learning rate. */
td_val *td_trace_scalar(td_trace *t, td_err *err);
/* A tensor that the function makes of numbers of its own; takes over the reference. */
td_val *td_trace_made(td_trace *t, td_tensor *data, td_err *err);
/* Seed and stream for the function's next random operation: a run is given the real ones, in this order. */
void td_trace_draw(td_trace *t, uint64_t *seed, uint64_t *stream);

/* ---- what comes out ---- */

typedef enum td_bind_kind {
    TD_BIND_ARGUMENT, /* number `index` */
    TD_BIND_VALUE,    /* what `value` holds */
    TD_BIND_GRAD,     /* what the .grad of `value`, or of argument `index`, holds */
    TD_BIND_SCALAR    /* number `index` */
} td_bind_kind;

/* Where an input of the program comes from at each run. */
typedef struct td_bind {
    td_bind_kind kind;
    td_val *value; /* counted, or NULL */
    int index;
    bool requires_grad; /* of a VALUE: it did when it was captured */
} td_bind;

typedef enum td_grad_end {
    TD_GRAD_STAYS,  /* it was only read */
    TD_GRAD_NONE,   /* nil: zeroed, or used up by a step */
    TD_GRAD_OUTPUT, /* output number `output` of the program */
    TD_GRAD_VALUE   /* `value`, a tensor from outside */
} td_grad_end;

/* What happens to the .grad of a leaf. */
typedef struct td_grad_rule {
    td_val *leaf; /* counted; NULL: argument `index` */
    int index;
    bool
        is_read; /* the program holds only where .grad is (or is not) there beforehand ... */
    bool was_there; /* ... as it was then */
    td_grad_end end;
    uint32_t output;
    td_val *value; /* counted, or NULL */
} td_grad_rule;

typedef struct td_traced {
    td_program
        *program;  /* outputs: what was asked for, then gradients; no pass has been run */
    td_bind *bind; /* program->input_count of them */
    td_grad_rule *rule;
    int rules, outputs, arguments, scalars; /* outputs: without gradients */
} td_traced;

/* Ends the recording; the outputs are values at the trace. keep_grads: gradients that a step inside the
 * function has used are outputs too; without it such a .grad is nil after a run, if the function zeroed
 * it first: no later call could see it. Freed with td_traced_free. */
td_traced *td_trace_finish(td_trace *t, td_val *const *out, int nout, bool keep_grads,
                           td_err *err);
void td_traced_free(td_traced **made);

/* Which argument v is the stand-in of, or -1. */
int td_trace_argument_of(const td_trace *t, const td_val *v);

/* ---- for those that work with values, while a trace is current ---- */

/* Records an operation whose inputs are promoted and whose shapes are known. */
int td_trace_apply(const td_op *op, td_val *const *in, int nin, const td_attrs *attrs,
                   const td_meta *out_meta, td_val **out, td_err *err);
/* The object at the trace that stands for v, captured if it has to be. Borrowed. */
td_obj *td_trace_object(td_val *v, const char *call, td_err *err);
/* To be called before the .grad of a leaf is read, or written, by anybody. Nothing to do (0) when nothing is
 * traced. */
int td_trace_grad(td_val *leaf, bool write, td_err *err);
/* Is the place a trace, current or ended? */
bool td_place_is_trace(const td_place *p);
/* The error of whoever wants the contents of a value there, or uses it after the end. */
int td_trace_refuse(const td_place *p, const char *call, td_err *err);
/* The same for a tensor that is here, whose contents each run may find changed. */
int td_trace_refuse_here(const char *call, td_err *err);

#endif
