/* What a program does, before anybody runs it: operations by kind, work, bytes, memory; as numbers, as text,
 * and drawn. Code in vm/inspect/. */
#ifndef TD_INSPECT_H
#define TD_INSPECT_H

#include "vm/plan.h"

/* The operations of one kind. Bytes are those of the tensors that are read and written, each time: views
 * move none. */
typedef struct td_report_row {
    const td_op *op;
    uint32_t count;
    double flops; /* td_op_work */
    double read_bytes, written_bytes;
} td_report_row;

typedef struct td_report {
    td_report_row *row; /* those with the most flops first */
    uint32_t row_count, instr_count;
    double flops, read_bytes, written_bytes;
    size_t input_bytes, const_bytes, output_bytes;
    size_t assigned_bytes; /* of inputs that are changed */
    uint32_t assigned_count;
    /* What a run holds beside its inputs: the plan's block, or without a plan what it takes one operation
     * after the other. */
    size_t memory_bytes;
    uint32_t steps; /* the plan's; 0: no plan */
} td_report;

/* plan may be NULL. NULL with err when memory is out. Freed by td_report_free. */
td_report *td_inspect(const td_program *p, const td_plan *plan, td_err *err);
void td_report_free(td_report **r);

/* All of these are freed by td_free; NULL when memory is out. */

/* The report as text in columns. */
char *td_inspect_text(const td_program *p, const td_plan *plan);
/* The figures in one line: "1.20 MFLOP, 3.4 MB read, 1.1 MB written, ...". */
char *td_inspect_figures(const td_program *p);
/* A drawing for Graphviz. */
char *td_inspect_dot(const td_program *p);
/* A drawing of our own, from top to bottom. Programs of more than TD_DRAW_MAX operations are too large to be
 * looked at: the drawing says so instead. */
#define TD_DRAW_MAX 2000
char *td_inspect_svg(const td_program *p);

#endif
