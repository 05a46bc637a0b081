/* A data file as examples and targets: which of its tensors is x, which y. */
#ifndef TD_FORMATS_XY_H
#define TD_FORMATS_XY_H

#include "runtime/tensor.h"

/* Reads the file (runtime/formats/file.h). *x and *y are new references; *y is NULL when there is none.
 *
 * IDX, NPY: x is the array; there is no y. NPZ, safetensors: y is the entry named target, or "y" when
 * target is NULL or ""; x is the entry "x", or the only other one. CSV: y is the column named target (i64, or
 * f32); x is all other columns side by side, rows x columns, f32; text is its codes. x and y have the same number of rows, or it is a SHAPE error.
 *
 * Errors: those of td_file_load, NOT_FOUND (no such entry; it names those there are), SHAPE. */
int td_file_load_xy(const char *path, const char *target, td_tensor **x, td_tensor **y,
                    td_err *err);

#endif
