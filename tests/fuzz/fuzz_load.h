/* What the fuzzers of file formats share. */
#ifndef TESTS_FUZZ_LOAD_H
#define TESTS_FUZZ_LOAD_H

#include <stdlib.h>
#include <string.h>

#include "runtime/formats/file.h"
#include "runtime/mem.h"

static inline td_file_options fuzz_options(const char *format) {
    return (td_file_options){.format = format,
                             .max_bytes = 1 << 20,
                             .max_unpacked_bytes = 1 << 20,
                             .max_entries = 1000};
}

/* Loads, looks at every byte of what came, and insists that nothing stays behind. */
static inline void fuzz_load(const uint8_t *data, size_t size, const td_file_options *o) {
    td_table t = {0};
    td_err err = {0};
    td_data_set_limit(8 << 20);
    int code = td_bytes_load(data, size, o, &t, &err);
    unsigned sum = 0;
    if ((code != 0) != (err.code != 0)) abort();
    if (code != 0 &&
        (t.count != 0 || err.msg[0] == 0 || !memchr(err.msg, 0, sizeof err.msg)))
        abort();
    for (size_t i = 0; i < t.count; i++) {
        const td_entry *e = &t.entry[i];
        const uint8_t *p = td_tensor_data(e->tensor);
        size_t n = (size_t)td_tensor_numel(e->tensor),
               bytes = n * td_dtype_bytes(e->tensor->dtype);
        if (!td_tensor_is_contiguous(e->tensor) || strlen(e->name) > size + 32) abort();
        for (size_t k = 0; k < bytes; k++) sum += p[k];
        for (size_t k = 0; e->category && k < n; k++)
            sum += (unsigned)strlen(e->category[td_load_i64(TD_I64, p + 8 * k)]);
    }
    volatile unsigned keep = sum;
    (void)keep;
    td_table_clear(&t);
    if (td_data_live_bytes() != 0) abort();
}

#endif
