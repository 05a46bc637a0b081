/* Fuzzes the npz reader, from bytes in memory. The bounds are small, so that a header which lies cannot
 * allocate much; whatever is read must be whole and give all its memory back. */
#include "tests/fuzz/fuzz_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_file_options o = fuzz_options("npz");
    fuzz_load(data, size, &o);
    return 0;
}
