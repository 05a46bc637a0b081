/* Fuzzes the csv reader, from bytes in memory. The bounds are small, so that a header which lies cannot
 * allocate much; whatever is read must be whole and give all its memory back. */
#include "tests/fuzz/fuzz_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_file_options o = fuzz_options("csv");
    /* The first byte chooses options; any text is read with some of them. */
    static const char separators[] = {0, 0, ',', ';', '\t', ' ', '|', 0};
    unsigned how = size ? data[0] : 0;
    if (how >= 0x80) {
        o.csv_separator = separators[how & 7];
        o.csv_header = (td_csv_header)((how >> 3 & 3) % 3);
        o.csv_float = how & 0x20 ? TD_F64 : TD_F32;
        o.csv_skip_lines = how >> 6 & 1;
        data++;
        size--;
    }
    fuzz_load(data, size, &o);
    return 0;
}
