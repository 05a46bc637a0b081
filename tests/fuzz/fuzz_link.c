/* Fuzzes a session's worker side with frames: an input is a row of them, each behind its length (two bytes,
 * little-endian). Whatever comes, the host answers or refuses, and gives all its memory back. */
#include "runtime/scratch.h"
#include "tests/fuzz/fuzz_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_err err = {0};
    td_frame f;
    td_writer out = {0};
    td_data_set_limit(0);
    const td_host_config *config = fuzz_host_config();
    td_scratch_trim();
    size_t before = td_data_live_bytes();
    td_data_set_limit(FUZZ_MEMORY);
    td_host *h = td_host_new(config, fuzz_session, &err);
    if (h == NULL) abort();
    for (int64_t now = 0; size >= 2; now += 100) {
        size_t n = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2, size -= 2;
        if (n > size) n = size;
        err = (td_err){0};
        int rc = td_host_frame(h, data, n, now, &err);
        if ((rc != 0) != (err.code != 0)) abort();
        for (int k = 0; td_host_next(h, now, &out); k++)
            if (k > 2 * TD_WINDOW || td_frame_parse(out.data, out.size, &f, &err))
                abort();
        data += n, size -= n;
    }
    td_host_free(&h);
    td_writer_free(&out);
    fuzz_check_rows();
    td_scratch_trim();
    if (td_data_live_bytes() != before) abort();
    return 0;
}
