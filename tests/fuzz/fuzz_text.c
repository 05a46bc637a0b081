/* Fuzzes batches that come as text and bindings. An input is the number of bulk bytes (two, little-endian), the batch,
 * and those bytes. It is sent twice, so that a text that is kept is also named. */
#include "runtime/scratch.h"
#include "tests/fuzz/fuzz_host.h"

#include "plans/session/known.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send(td_host *h, const td_writer *head, const uint8_t *bulk,
                 size_t bulk_bytes) {
    td_err err = {0};
    td_letter reply = {0};
    if (td_host_text_batch(h, head->data, head->size, bulk, bulk_bytes, &reply, &err))
        abort();
    if (reply.kind != TD_LETTER_REPLY || reply.head_bytes > reply.size || reply.size == 0)
        abort();
    if ((size_t)td_host_object_count(h) > fuzz_host_config()->max_objects) abort();
    td_free(reply.bytes);
}

/* The same batch with its text's name in the text's stead, where it has one. */
static void name_text(const uint8_t *head, size_t bytes, td_writer *w) {
    unsigned char hash[TD_TEXT_HASH];
    td_reader r = {.data = head, .size = bytes};
    td_put_uint(w, td_take_uint(&r));
    if (td_take_byte(&r) != 0) r.failed = true;
    uint64_t n = td_take_uint(&r);
    const unsigned char *text = td_take_bytes(&r, n > bytes ? bytes + 1 : (size_t)n);
    if (text == NULL) return;
    td_text_hash(text, (size_t)n, hash);
    td_put_byte(w, 1);
    td_put_bytes(w, hash, sizeof hash);
    td_put_bytes(w, head + r.at, bytes - r.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t bulk = (size_t)data[0] | (size_t)data[1] << 8, rest = size - 2;
    if (bulk > rest) bulk = rest;
    td_err err = {0};
    td_writer head = {0}, named = {0};
    td_put_bytes(&head, data + 2, rest - bulk);
    name_text(data + 2, rest - bulk, &named);
    const td_host_config *config = fuzz_host_config();
    td_data_set_limit(0);
    td_scratch_trim();
    size_t before = td_data_live_bytes();
    td_data_set_limit(FUZZ_MEMORY);
    td_host *h = td_host_new(config, fuzz_session, &err);
    if (h == NULL) abort();
    send(h, &head, data + size - bulk, bulk);
    send(h, &named, data + size - bulk, bulk);
    td_host_free(&h);
    td_writer_free(&head);
    td_writer_free(&named);
    fuzz_check_rows();
    td_scratch_trim();
    if (td_data_live_bytes() != before) abort();
    return 0;
}
