/* A heap that fails when a test says so: included by one file of a test program, its functions come before the C
 * library's. A sanitizer has its own ideas of that: HEAP_CAN_FAIL is 0 there. */
#ifndef TESTS_FAILING_HEAP_H
#define TESTS_FAILING_HEAP_H

#include <stdbool.h>
#include <stdlib.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                   \
    defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define HEAP_CAN_FAIL 1

extern void *__libc_calloc(size_t count, size_t each);
extern void *__libc_malloc(size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

/* Calls until one fails; below 0: none does. td_mem_give_back first, or a block that was kept will do. */
static long heap_calls_left = -1;

static bool heap_fails_now(void) {
    if (heap_calls_left < 0) return false;
    return heap_calls_left-- == 0;
}

void *calloc(size_t count, size_t each) {
    return heap_fails_now() ? NULL : __libc_calloc(count, each);
}
void *malloc(size_t bytes) { return heap_fails_now() ? NULL : __libc_malloc(bytes); }
void *realloc(void *old, size_t bytes) {
    return heap_fails_now() ? NULL : __libc_realloc(old, bytes);
}
int posix_memalign(void **out, size_t align, size_t bytes) {
    void *p = heap_fails_now() ? NULL : __libc_memalign(align, bytes);
    if (p) *out = p;
    return p ? 0 : 12;
}
#else
#define HEAP_CAN_FAIL 0
#endif

#endif
