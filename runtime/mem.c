/* The heap. Tensor data is counted here, so that budgets and Lua's collector can see it; small
 * structs are not. Called by everything; knows nothing of tensors.
 *
 * Small blocks that are freed are kept in lists of the thread's own: a collector frees thousands of
 * headers and small tensors at once, and the system's malloc would put each together with its
 * neighbours only to cut them apart again (half of the time of a small operation). */
#include "runtime/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/bigblock.h"
#include "runtime/scratch.h"

static atomic_size_t live_bytes, peak_bytes, limit_bytes;
static _Thread_local uint64_t total_bytes;

/* ---- small blocks ---- */

#define SMALL_BYTES 1024      /* the largest block that is kept */
#define KEEP_BYTES (1u << 20) /* at most in one list */
#define STRUCT_STEP 16        /* malloc's own grain */
#define DATA_STEP 64          /* tensor data is aligned to that */
#define STRUCT_LISTS (SMALL_BYTES / STRUCT_STEP + 1)
#define DATA_LISTS (SMALL_BYTES / DATA_STEP + 1)

typedef struct block {
    struct block *next;
} block;

typedef struct block_list {
    block *first;
    size_t bytes;
} block_list;

typedef struct small_blocks {
    block_list structs[STRUCT_LISTS], data[DATA_LISTS];
    bool is_watched; /* the thread's end will empty it */
} small_blocks;

static _Thread_local small_blocks small;
static pthread_key_t small_key;
static pthread_once_t small_once = PTHREAD_ONCE_INIT;

/* The sanitizers want to see each block come and go. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP_SMALL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEP_SMALL 0
#endif
#endif
#ifndef KEEP_SMALL
#define KEEP_SMALL 1
#endif

static void free_aligned(void *data);

static void empty_lists(block_list *lists, int count, void (*give_back)(void *)) {
    for (int i = 0; i < count; i++) {
        for (block *b = lists[i].first, *next; b; b = next) {
            next = b->next;
            give_back(b);
        }
        lists[i] = (block_list){0};
    }
}

static void empty_small(void *blocks) {
    small_blocks *s = blocks;
    empty_lists(s->structs, STRUCT_LISTS, free);
    empty_lists(s->data, DATA_LISTS, free_aligned);
    s->is_watched = false;
}

void td_mem_give_back(void) {
    empty_lists(small.structs, STRUCT_LISTS, free);
    empty_lists(small.data, DATA_LISTS, free_aligned);
    td_scratch_trim();
    td_big_trim();
}

static void make_small_key(void) { pthread_key_create(&small_key, empty_small); }

static void *take(block_list *list, size_t bytes) {
    block *b = list->first;
    if (b == NULL) return NULL;
    list->first = b->next;
    list->bytes -= bytes;
    return b;
}

/* False: the list is full, the block goes back to the system. */
static bool keep(block_list *list, void *p, size_t bytes) {
    if (!KEEP_SMALL || list->bytes + bytes > KEEP_BYTES) return false;
    if (!small.is_watched) {
        pthread_once(&small_once, make_small_key);
        if (pthread_setspecific(small_key, &small) != 0) return false;
        small.is_watched = true;
    }
    block *b = p;
    b->next = list->first;
    list->first = b;
    list->bytes += bytes;
    return true;
}

/* What malloc makes of a request: the grain less the 8 bytes that it keeps for itself. Lists are by the
 * usable size, so a block taken from one is at least as big as asked for. */
static size_t struct_size(size_t bytes) {
    return bytes <= 24 ? 24
                       : (bytes + 8 + STRUCT_STEP - 1) / STRUCT_STEP * STRUCT_STEP - 8;
}

void *td_new_bytes(size_t bytes) {
    size_t size = struct_size(bytes);
    if (bytes <= SMALL_BYTES - 8) {
        void *p = take(&small.structs[size / STRUCT_STEP], size);
        if (p) return memset(p, 0, bytes);
        bytes = size;
    }
    return calloc(1, bytes);
}

void *td_grow_bytes(void *old, size_t bytes) { return realloc(old, bytes ? bytes : 1); }

void *td_new_array(size_t count, size_t each) {
    size_t bytes;
    if (!td_mul_size(count, each, &bytes)) return NULL;
    return td_new_bytes(bytes);
}

void td_free(void *p) {
    if (p == NULL) return;
    size_t size = malloc_usable_size(p);
    if (size <= SMALL_BYTES - 8 && size == struct_size(size) &&
        keep(&small.structs[size / STRUCT_STEP], p, size))
        return;
    free(p);
}

void td_free_bytes(void *p, size_t bytes) {
    size_t size = struct_size(bytes);
    if (p == NULL || bytes > SMALL_BYTES - 8 ||
        !keep(&small.structs[size / STRUCT_STEP], p, size))
        free(p);
}

static void *new_block(size_t bytes) {
    size_t size = struct_size(bytes);
    if (bytes > SMALL_BYTES - 8) return malloc(bytes);
    void *p = take(&small.structs[size / STRUCT_STEP], size);
    return p ? p : malloc(size);
}

void *td_resize_bytes(void *p, size_t old_bytes, size_t bytes) {
    if (p == NULL) return bytes ? new_block(bytes) : NULL;
    if (bytes == 0) {
        td_free_bytes(p, old_bytes);
        return NULL;
    }
    const size_t large = SMALL_BYTES - 8;
    if (old_bytes > large && bytes > large) return realloc(p, bytes);
    if (old_bytes <= large && bytes <= large &&
        struct_size(old_bytes) == struct_size(bytes))
        return p;
    void *moved = new_block(bytes);
    if (moved == NULL) return NULL;
    memcpy(moved, p, old_bytes < bytes ? old_bytes : bytes);
    td_free_bytes(p, old_bytes);
    return moved;
}

char *td_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = td_new_bytes(n);
    if (copy) memcpy(copy, s, n);
    return copy;
}

/* ---- tensor data ---- */

static size_t data_size(size_t bytes) {
    return bytes ? (bytes + DATA_STEP - 1) / DATA_STEP * DATA_STEP : DATA_STEP;
}

static bool is_big(size_t bytes) { return KEEP_SMALL && bytes >= TD_BIG_BYTES; }

/* Aligned by hand, with what malloc gave in front of it: an aligned block that posix_memalign cut out of a
 * larger one leaves a hole that the next of the same size does not fit. */
static void *aligned_block(size_t bytes) {
    size_t room;
    void *exact = NULL;
    if (!KEEP_SMALL) /* a sanitizer looks at the very end of a block */
        return posix_memalign(&exact, DATA_STEP, bytes ? bytes : 1) == 0 ? exact : NULL;
    if (!td_add_size(bytes, DATA_STEP + sizeof(void *), &room)) return NULL;
    char *base = malloc(room);
    if (base == NULL) return NULL;
    uintptr_t first = (uintptr_t)base + sizeof(void *);
    char *data = base + sizeof(void *) + (DATA_STEP - first % DATA_STEP) % DATA_STEP;
    memcpy(data - sizeof base, &base, sizeof base);
    return data;
}

static void free_aligned(void *data) {
    char *base = data;
    if (KEEP_SMALL) memcpy(&base, (char *)data - sizeof base, sizeof base);
    free(base);
}

/* NULL when the system has none. */
static void *data_block(size_t bytes) {
    if (bytes > PTRDIFF_MAX) return NULL;
    if (is_big(bytes)) return td_big_new(bytes);
    if (bytes > SMALL_BYTES || !KEEP_SMALL) return aligned_block(bytes);
    size_t size = data_size(bytes);
    void *data = take(&small.data[size / DATA_STEP], size);
    return data ? data : aligned_block(size);
}

static void free_data_block(void *data, size_t bytes) {
    if (is_big(bytes)) {
        td_big_free(data, bytes);
        return;
    }
    size_t size = data_size(bytes);
    if (bytes <= SMALL_BYTES && keep(&small.data[size / DATA_STEP], data, size)) return;
    free_aligned(data);
}

void *td_data_new(size_t bytes, td_err *err) {
    size_t limit = atomic_load_explicit(&limit_bytes, memory_order_relaxed);
    size_t live =
        atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed) + bytes;
    if ((limit && live > limit) || live < bytes) {
        atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
        td_fail(err, TD_E_MEMORY, "",
                "%zu bytes more do not fit: %zu of %zu bytes are in use", bytes,
                live - bytes, limit);
        return NULL;
    }
    void *data = data_block(bytes);
    if (data == NULL) {
        atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
        td_fail(err, TD_E_MEMORY, "", "the system has no %zu bytes to give", bytes);
        return NULL;
    }
    total_bytes += bytes;
    size_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, live)) {
    }
    return data;
}

void td_data_free(void *data, size_t bytes) {
    if (data == NULL) return;
    atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
    free_data_block(data, bytes);
}

size_t td_data_live_bytes(void) { return atomic_load(&live_bytes); }
size_t td_data_peak_bytes(void) { return atomic_load(&peak_bytes); }
uint64_t td_data_total_bytes(void) { return total_bytes; }
void td_data_set_limit(size_t bytes) { atomic_store(&limit_bytes, bytes); }

void td_mem_setup(void) {
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 128 << 20);
}
