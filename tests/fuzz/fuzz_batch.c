/* Fuzzes the reading, judging and running of batches. An input is the number of bulk bytes (two, little-endian),
 * the batch, and those bytes. */
#include "tests/fuzz/fuzz_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t bulk = (size_t)data[0] | (size_t)data[1] << 8, rest = size - 2;
    if (bulk > rest) bulk = rest;
    fuzz_run_batch(data + 2, rest - bulk, data + size - bulk, bulk);
    return 0;
}
