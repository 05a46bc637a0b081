/* What the fuzzers of a session's worker side share: a host with two small data sets and little memory. */
#ifndef TESTS_FUZZ_HOST_H
#define TESTS_FUZZ_HOST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plans/session/host.h"
#include "runtime/mem.h"
#include "runtime/scratch.h"

#define FUZZ_MEMORY ((size_t)8 << 20)

static const unsigned char fuzz_session[TD_SESSION_BYTES] = "fuzz";

static inline td_tensor *fuzz_rows(td_dtype t, td_shape shape) {
    td_tensor *x = td_tensor_new(t, &shape, NULL);
    for (int64_t i = 0; i < td_tensor_numel(x); i++)
        td_store_i64(t, x->storage->data + (size_t)i * td_dtype_bytes(t), i % 3);
    x->storage->readonly = true;
    return x;
}

/* The sets are made once and stay; what a run leaves behind beyond them is a leak. */
static inline const td_host_config *fuzz_host_config(void) {
    static td_shared_set set[2];
    static td_host_config config;
    if (config.sets) return &config;
    set[0] = (td_shared_set){
        .name = "open", .open = true, .tags = {.count = 1, .tag = {"#open"}}};
    set[0].x = fuzz_rows(TD_F32, (td_shape){2, {4, 3}});
    set[0].y = fuzz_rows(TD_I64, (td_shape){1, {4}});
    set[1] = (td_shared_set){.name = "closed", .tags = {.count = 1, .tag = {"#closed"}}};
    set[1].x = td_tensor_ref(set[0].x);
    config = (td_host_config){.name = "bob",
                              .max_letter_bytes = 1 << 20,
                              .max_objects = 64,
                              .sets = set,
                              .set_count = 2};
    return &config;
}

/* Rows of the data owner's are never changed, whatever was run. */
static inline void fuzz_check_rows(void) {
    const td_tensor *x = fuzz_host_config()->sets[0].x;
    for (int64_t i = 0; i < 12; i++)
        if (((const float *)td_tensor_data(x))[i] != (float)(i % 3)) abort();
}

/* Runs one batch on a new host; insists on a reply, and that nothing stays behind. */
static inline void fuzz_run_batch(const uint8_t *head, size_t head_bytes,
                                  const uint8_t *bulk, size_t bulk_bytes) {
    const td_host_config *config = fuzz_host_config();
    td_err err = {0};
    td_letter reply = {0};
    td_data_set_limit(0);
    td_scratch_trim();
    size_t before = td_data_live_bytes();
    td_data_set_limit(FUZZ_MEMORY);
    td_host *h = td_host_new(config, fuzz_session, &err);
    if (h == NULL ||
        td_host_batch(h, 0, head, head_bytes, bulk, bulk_bytes, &reply, &err))
        abort();
    if (reply.kind != TD_LETTER_REPLY || reply.head_bytes > reply.size || reply.size == 0)
        abort();
    if ((size_t)td_host_object_count(h) > config->max_objects) abort();
    td_free(reply.bytes);
    td_host_free(&h);
    fuzz_check_rows();
    td_scratch_trim();
    if (td_data_live_bytes() != before) abort();
}

#endif
