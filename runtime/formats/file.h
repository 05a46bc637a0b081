/* Reads data files: IDX, NPY, NPZ, CSV and safetensors, each of them also gzipped, told apart by what is
 * in them and not by name. A file is taken for hostile: every size is checked before memory is asked for,
 * and what does not fit together is refused by an error that names the format, what was got, what was
 * wanted and where. Nothing is ever unpacked to disk. */
#ifndef TD_FORMATS_FILE_H
#define TD_FORMATS_FILE_H

#include "runtime/formats/table.h"

typedef enum td_csv_header {
    TD_CSV_HEADER_DETECT = 0,
    TD_CSV_HEADER_YES,
    TD_CSV_HEADER_NO
} td_csv_header;

/* All zeros, or NULL in place of a pointer to it, are the defaults. */
typedef struct td_file_options {
    const char *format; /* NULL: by content; "csv" etc.: that one, or an error */
    size_t max_bytes;   /* of the file, and of all its tensors; default 8 GiB */
    /* what gzip or a zip's members may unpack to in all; 2 GiB */
    size_t max_unpacked_bytes;
    size_t max_entries; /* tensors in a file, columns in a CSV; 100,000 */

    td_csv_header csv_header;
    char csv_separator;    /* 0: the one of , ; and tab that fits */
    td_dtype csv_float;    /* F32 (the default) or F64 */
    size_t csv_skip_lines; /* lines before the header */
    const char *const
        *csv_text; /* names of columns that are text even if they look like numbers */
    size_t csv_texts;
} td_file_options;

/* Reads the regular file at path. out must be empty, and is so again after a failure.
 *
 * Dtypes. Those that tide has come as they are; i8, i16 and u16 come as i32, u32 as i64, u64 as i64 when
 * its values fit. NPZ members lose their ".npy".
 *
 * CSV. Each column is an entry of its own, rows long: i64 when all values are integers, otherwise floats,
 * NaN where a value is missing (empty, NA, N/A, NaN, null, None, ?, in any case). Integers with missing
 * values, or too large for i64, are f64 when f32 would not hold them exactly. A column whose first value
 * is text is text: i64 codes 0, 1, ... of its different values in byte order (`category` has them), so
 * that the codes do not depend on the order of the rows; an empty field is the text "". Blanks round an
 * unquoted field are dropped. Without a header columns are named column1, column2, ...
 *
 * Errors: IO (no file, not a regular one, cannot be read, changed meanwhile), FORMAT, DTYPE (one that
 * tide cannot hold), LIMIT (over the options' bounds), MEMORY, ARGUMENT (options). The message begins
 * with the path. Thread-safe. */
int td_file_load(const char *path, const td_file_options *options, td_table *out,
                 td_err *err);

/* The same for bytes in memory; they are not needed afterwards. The message has no path. */
int td_bytes_load(const void *bytes, size_t count, const td_file_options *options,
                  td_table *out, td_err *err);

#endif
