/* A trace's inside, shared by its two halves: recording (trace.c) and what comes of it (trace_end.c). */
#ifndef TD_TRACE_STATE_H
#define TD_TRACE_STATE_H

#include "vm/trace.h"

/* An object of the trace and its number in the program. */
typedef struct td_made {
    uint64_t id;
    uint32_t value;
} td_made;

/* An input of the program, in the order of their making, which is the program's. */
typedef struct td_input {
    td_bind_kind kind;
    td_obj *obj; /* counted */
    td_val
        *value; /* what was captured; of a GRAD the gradient itself; counted, or NULL */
    td_tensor *data; /* its contents during the trace; counted, or NULL */
    int index;       /* of an argument or a scalar */
    int leaf;        /* of a GRAD: which of the leaves */
    bool requires_grad;
    uint64_t changed_at; /* the trace's clock when it was last assigned; 0: never */
} td_input;

typedef struct td_argument {
    td_val *stand_in; /* counted */
    bool is_leaf;     /* what was given is one */
} td_argument;

/* A leaf whose .grad the function touched. */
typedef struct td_leaf {
    td_val *value;  /* counted; the stand-in of an argument */
    td_val *before; /* counted: its gradient before the trace, or NULL */
    int argument;   /* or -1 */
    bool is_read;   /* before anything was written */
    bool is_written;
    uint64_t written_at;
} td_leaf;

struct td_trace {
    td_place *place; /* counted; lives on while values are left */
    td_builder *builder;
    td_trace_line *line;
    td_made *made;
    td_input *input;
    td_argument *argument;
    td_leaf *leaf;
    int made_count, made_room, inputs, input_room, arguments, argument_room, leaves,
        leaf_room, scalars;
    uint64_t clock;  /* counts changes, of values and of gradients */
    uint64_t marker; /* the seed of what draws from the run's streams */
};

/* Room for one more; array is the address of a pointer. */
bool td_trace_grow(void *array, size_t each, int count, int *room);
uint32_t td_trace_value_of(const td_trace *t, const td_obj *o);
void td_trace_restore_grads(td_trace *t);

#endif
