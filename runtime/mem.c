/* The heap. Tensor data is counted here, so that budgets and Lua's collector can see it; small
 * structs are not. Called by everything; knows nothing of tensors. */
#include "runtime/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t live_bytes, peak_bytes, limit_bytes;
static _Atomic uint64_t total_bytes;

void *td_new_bytes(size_t bytes) { return calloc(1, bytes ? bytes : 1); }

void *td_grow_bytes(void *old, size_t bytes) { return realloc(old, bytes ? bytes : 1); }

void *td_new_array(size_t count, size_t each) {
    size_t bytes;
    if (!td_mul_size(count, each, &bytes)) return NULL;
    return td_new_bytes(bytes);
}

void td_free(void *p) { free(p); }

char *td_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = td_new_bytes(n);
    if (copy) memcpy(copy, s, n);
    return copy;
}

void *td_data_new(size_t bytes, td_err *err) {
    size_t limit = atomic_load_explicit(&limit_bytes, memory_order_relaxed);
    size_t live = atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed) + bytes;
    if ((limit && live > limit) || live < bytes) {
        atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
        td_fail(err, TD_E_MEMORY, "", "%zu bytes more do not fit: %zu of %zu bytes are in use", bytes,
                live - bytes, limit);
        return NULL;
    }
    void *data = NULL;
    if (bytes > SIZE_MAX - 64 || posix_memalign(&data, 64, bytes ? bytes : 1) != 0) {
        atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
        td_fail(err, TD_E_MEMORY, "", "the system has no %zu bytes to give", bytes);
        return NULL;
    }
    atomic_fetch_add_explicit(&total_bytes, bytes, memory_order_relaxed);
    size_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, live)) {
    }
    return data;
}

void td_data_free(void *data, size_t bytes) {
    if (data == NULL) return;
    atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
    free(data);
}

size_t td_data_live_bytes(void) { return atomic_load(&live_bytes); }
size_t td_data_peak_bytes(void) { return atomic_load(&peak_bytes); }
uint64_t td_data_total_bytes(void) {
    return atomic_load_explicit(&total_bytes, memory_order_relaxed);
}
void td_data_set_limit(size_t bytes) { atomic_store(&limit_bytes, bytes); }
size_t td_data_limit(void) { return atomic_load(&limit_bytes); }

void td_mem_setup(void) {
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 128 << 20);
}
