/* Mappings for big blocks, and the list of freed ones. Called by the heap alone. */
#include "runtime/bigblock.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define KEPT_MAX 128
#define KEPT_BYTES ((size_t)96 << 20) /* in all: a collector frees some 64 MB at once */

typedef struct kept_block {
    void *p;
    size_t size;
} kept_block;

/* Oldest first. Guarded by the lock. */
static kept_block kept[KEPT_MAX];
static int kept_count;
static size_t kept_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Rounded up to an eighth of its power of two, so that sizes that differ a little share blocks; 0 when it
 * does not fit. */
static size_t rounded(size_t bytes) {
    size_t step = (size_t)64 << 10;
    while (step <= bytes / 16) step *= 2;
    if (bytes > SIZE_MAX - step) return 0;
    return (bytes + step - 1) / step * step;
}

static void remove_kept(int at) {
    kept_bytes -= kept[at].size;
    kept_count--;
    memmove(&kept[at], &kept[at + 1], sizeof kept[0] * (size_t)(kept_count - at));
}

static void *take_kept(size_t size) {
    void *p = NULL;
    pthread_mutex_lock(&lock);
    for (int i = kept_count - 1; i >= 0 && p == NULL; i--) {
        if (kept[i].size != size) continue;
        p = kept[i].p;
        remove_kept(i);
    }
    pthread_mutex_unlock(&lock);
    return p;
}

void td_big_trim(void) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < kept_count; i++) munmap(kept[i].p, kept[i].size);
    kept_count = 0;
    kept_bytes = 0;
    pthread_mutex_unlock(&lock);
}

void *td_big_new(size_t bytes) {
    size_t size = rounded(bytes);
    if (size == 0) return NULL;
    void *p = take_kept(size);
    for (int attempt = 0; p == NULL && attempt < 2; attempt++) {
        if (attempt > 0) td_big_trim();
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) p = NULL;
    }
    return p;
}

void td_big_free(void *p, size_t bytes) {
    size_t size = rounded(bytes);
    if (size > KEPT_BYTES / 2) {
        munmap(p, size);
        return;
    }
    pthread_mutex_lock(&lock);
    while (kept_count == KEPT_MAX || kept_bytes + size > KEPT_BYTES) {
        munmap(kept[0].p, kept[0].size);
        remove_kept(0);
    }
    kept[kept_count++] = (kept_block){p, size};
    kept_bytes += size;
    pthread_mutex_unlock(&lock);
}
