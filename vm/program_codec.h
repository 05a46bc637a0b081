/* A program's binary form: what is sent, what is hashed, and what it is named by. docs/wire.md has the
 * grammar. One program has one form: what is decoded and encoded again is the same bytes, or it is refused.
 * The lines of scripts are not in it. */
#ifndef TD_PROGRAM_CODEC_H
#define TD_PROGRAM_CODEC_H

#include "vm/codec.h"
#include "vm/verify.h"

/* Appends it to w (w->failed when memory is out). */
void td_put_program(td_writer *w, const td_program *p);
/* BLAKE2b-256 of the binary form. */
int td_program_hash(const td_program *p, unsigned char hash[TD_PROGRAM_HASH],
                    td_err *err);
void td_program_hash_bytes(const void *data, size_t size,
                           unsigned char hash[TD_PROGRAM_HASH]);

/* The program whose form is all of data. Checked, before anything of it is allocated: grammar, counts
 * against the bytes that are left, names of operations, values made before they are used, dtypes, attributes
 * and shapes (td_op_infer), limits. Errors: PROTOCOL, LIMIT, MEMORY, and those of td_op_infer and
 * td_build_op with the operation's number: "matmul: operation 3: 2x3 does not multiply 4x5". */
td_program *td_program_decode(const void *data, size_t size,
                              const td_program_limits *limits, td_err *err);

#endif
