/* The thread's stack of scratch memory: a list of blocks, each with a mark of how far it is used. A block
 * stays where it is while anything in it is in use; a larger need gets a larger block behind it. */
#include "runtime/scratch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/mem.h"

#define ALIGN 64u
#define LEAST_BLOCK ((size_t)256 << 10)

/* Before each piece stands where it began, so that giving back needs no size. */
typedef struct piece {
    struct block *home;
    size_t before; /* the home's mark before this piece */
} piece;

typedef struct block {
    struct block *below, *above;
    size_t bytes, used;
    char *data;
} block;

typedef struct stack {
    block *first, *top; /* top: the highest one in use, or first */
    bool is_watched;
} stack;

static _Thread_local stack own;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_above(block *b) {
    while (b) {
        block *next = b->above;
        td_data_free(b->data, b->bytes);
        td_free(b);
        b = next;
    }
}

static void at_thread_end(void *p) {
    stack *s = p;
    free_above(s->first);
    *s = (stack){0};
}

static void make_key(void) { pthread_key_create(&key, at_thread_end); }

static void watch(void) {
    if (own.is_watched) return;
    pthread_once(&once, make_key);
    own.is_watched = pthread_setspecific(key, &own) == 0;
}

/* A block with room for that many bytes more at the top of the stack, or NULL. */
static block *with_room(size_t bytes, td_err *err) {
    block *b = own.top ? own.top : own.first;
    if (b && b->bytes - b->used >= bytes) return b;
    if (b && b->above && b->above->bytes >= bytes) return b->above;
    if (b) {
        free_above(b->above); /* too small to serve */
        b->above = NULL;
    }
    if (b && b->used == 0 && b->below == NULL) { /* nothing is in use: grow in place */
        free_above(b);
        own.first = own.top = b = NULL;
    }
    size_t room = bytes > LEAST_BLOCK ? bytes : LEAST_BLOCK;
    block *fresh = td_new(block);
    char *data = fresh ? td_data_new(room, err) : NULL;
    if (data == NULL) {
        if (fresh == NULL) td_fail(err, TD_E_MEMORY, "", "out of memory");
        td_free(fresh);
        return NULL;
    }
    *fresh = (block){.below = b, .bytes = room, .data = data};
    if (b)
        b->above = fresh;
    else
        own.first = fresh;
    watch();
    return fresh;
}

void *td_scratch_take(size_t bytes, td_err *err) {
    size_t whole;
    if (!td_add_size(bytes, 2 * ALIGN - 1, &whole)) {
        td_fail(err, TD_E_LIMIT, "", "%zu bytes are too many", bytes);
        return NULL;
    }
    whole = whole / ALIGN * ALIGN; /* the piece's head takes one ALIGN */
    block *b = with_room(whole, err);
    if (b == NULL) return NULL;
    char *at = b->data + b->used;
    *(piece *)(void *)at = (piece){b, b->used};
    b->used += whole;
    own.top = b;
    return at + ALIGN;
}

void td_scratch_give(void *p) {
    if (p == NULL) return;
    piece *head = (piece *)(void *)((char *)p - ALIGN);
    block *b = head->home;
    b->used = head->before;
    own.top = b->used == 0 && b->below ? b->below : b;
}

void td_scratch_trim(void) {
    block *b = own.top;
    if (b == NULL) return;
    free_above(b->above);
    b->above = NULL;
    if (b->used == 0 && b->below == NULL) {
        free_above(b);
        own.first = own.top = NULL;
    }
}
