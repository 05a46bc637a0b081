/* Writes data files. A file is written beside its target under another name, synced, and renamed over
 * it: whatever fails, the old file is as it was and nothing else is left behind. */
#ifndef TD_FORMATS_SAVE_H
#define TD_FORMATS_SAVE_H

#include <limits.h>

#include "runtime/formats/table.h"

/* Safetensors, all entries and meta. The header has the table's order, the data lie by falling element
 * size, so that every tensor is aligned. Names and meta must be UTF-8, names different and none
 * "__metadata__". Tensors need not be contiguous. Errors: ARGUMENT (names), IO, MEMORY. */
int td_safetensors_save(const char *path, const td_table *t, td_err *err);

/* NPY, version 1. bf16, which the format does not have, is UNSUPPORTED. Errors: IO, MEMORY. */
int td_npy_save(const char *path, const td_tensor *x, td_err *err);

/* The writer underneath, for other formats. open, put ..., then commit; abort is to be called when
 * something failed and does nothing after commit or a failed open. A target that is a symbolic link is
 * written through; one that is not a regular file is refused. An old file's permissions are kept. */
typedef struct td_writer {
    int fd; /* -1 when closed */
    char path[PATH_MAX], temp[PATH_MAX];
} td_writer;

int td_writer_open(td_writer *w, const char *path, td_err *err);
int td_writer_put(td_writer *w, const void *bytes, size_t count, td_err *err);
int td_writer_commit(td_writer *w, td_err *err);
void td_writer_abort(td_writer *w);

#endif
