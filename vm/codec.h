/* Bytes: a writer that grows, a reader that never runs past its end, and the binary form of an operation
 * (docs/wire.md has the grammar). Programs and batches are made of these.
 *
 * Integers are LEB128 varints (signed ones zigzag), floats 8 bytes little-endian, texts a length and
 * bytes. Within one stream an op is named once and numbered from then on, so that both ends need no
 * common numbering. */
#ifndef TD_CODEC_H
#define TD_CODEC_H

#include "vm/val.h"

typedef struct td_writer {
    unsigned char *data;
    size_t size, room;
    bool failed; /* memory ran out; everything after it is ignored */
} td_writer;

void td_writer_free(td_writer *w);
/* Makes room for that many bytes more at once, where a lot is known to come. */
void td_writer_reserve(td_writer *w, size_t more);
void td_put_byte(td_writer *w, unsigned v);
void td_put_uint(td_writer *w, uint64_t v);
void td_put_int(td_writer *w, int64_t v);
void td_put_f64(td_writer *w, double v);
void td_put_bytes(td_writer *w, const void *p, size_t n); /* without a length */
void td_put_text(td_writer *w, const char *s);            /* with one */
void td_put_shape(td_writer *w, const td_shape *s);
void td_put_err(td_writer *w, const td_err *e);

/* Reading past the end, or a value out of bounds, sets failed and gives 0 from then on: check once. */
typedef struct td_reader {
    const unsigned char *data;
    size_t size, at;
    bool failed;
} td_reader;

unsigned td_take_byte(td_reader *r);
uint64_t td_take_uint(td_reader *r);
int64_t td_take_int(td_reader *r);
double td_take_f64(td_reader *r);
const unsigned char *td_take_bytes(td_reader *r,
                                   size_t n); /* NULL when there are not so many */
/* Into text of room bytes, cut never: a longer one fails. */
void td_take_text(td_reader *r, char *text, size_t room);
/* The other end's words may be shown at a terminal: control characters become '?'. */
void td_text_clean(char *text);
td_dtype td_take_dtype(td_reader *r);
void td_take_shape(td_reader *r,
                   td_shape *s); /* sizes >= 0, at most TD_MAX_DIM of them */
void td_take_err(td_reader *r, td_err *e);

/* The ops that a stream has named so far, on either side. */
typedef struct td_op_names {
    const td_op **op;
    int count, room;
} td_op_names;
void td_op_names_free(td_op_names *n);

void td_put_op_name(td_writer *w, td_op_names *names, const td_op *op);
/* NULL with PROTOCOL when there is no such op here. */
const td_op *td_take_op_name(td_reader *r, td_op_names *names, td_err *err);
/* All attributes of op, in its order; attrs is complete. */
void td_put_attrs(td_writer *w, const td_op *op, const td_attrs *attrs);
void td_take_attrs(td_reader *r, const td_op *op, td_attrs *attrs);

/* An operation as written down. Numbers stand where args[i].obj_id is 0. */
typedef struct td_op_arg {
    uint64_t id;
    td_dtype dtype; /* of a number */
    double f;
    int64_t i;
} td_op_arg;
typedef struct td_op_record {
    const td_op *op;
    int nin;
    td_op_arg in[TD_OP_MAX_IN];
    td_attrs attrs;
    uint64_t out; /* id of output 0; the others follow on */
} td_op_record;

void td_put_op(td_writer *w, td_op_names *names, const td_op *op, const td_arg *in,
               int nin, const td_attrs *attrs, uint64_t out);
/* PROTOCOL error for an unknown op, a bad count, an attribute of a wrong kind. What the shape rule judges
 * is not judged here. */
int td_take_op(td_reader *r, td_op_names *names, td_op_record *rec, td_err *err);

#endif
