/* The thread's stack of scratch memory: blocks, each with a mark of how far it is used. A block stays where
 * it is while anything in it is in use; a larger need gets a block on top of it. */
#include "runtime/scratch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/mem.h"

#define ALIGN 64u
#define GRAIN ((size_t)4096) /* blocks are whole pages */

/* Before each piece stands where it began, so that giving back needs no size. */
typedef struct piece {
    struct block *home;
    size_t before; /* the home's mark before this piece */
} piece;

typedef struct block {
    struct block *below;
    size_t bytes, used;
    char *data;
} block;

typedef struct stack {
    block *top;
    size_t used, most; /* bytes of all pieces together: now, and at the most so far */
    bool is_watched;
} stack;

static _Thread_local stack own;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void pop(stack *s) {
    block *b = s->top;
    s->top = b->below;
    td_data_free(b->data, b->bytes);
    td_free(b);
}

static void at_thread_end(void *p) {
    stack *s = p;
    while (s->top) pop(s);
    *s = (stack){0};
}

static void make_key(void) { pthread_key_create(&key, at_thread_end); }

static void watch(void) {
    if (own.is_watched) return;
    pthread_once(&once, make_key);
    own.is_watched = pthread_setspecific(key, &own) == 0;
}

static bool push(size_t bytes, td_err *err) {
    size_t room = (bytes + GRAIN - 1) / GRAIN * GRAIN;
    block *b = td_new(block);
    char *data = b ? td_data_new(room, err) : NULL;
    if (data == NULL) {
        if (b == NULL) td_fail(err, TD_E_MEMORY, "", "out of memory");
        td_free(b);
        return false;
    }
    *b = (block){.below = own.top, .bytes = room, .data = data};
    own.top = b;
    watch();
    return true;
}

/* When nothing is in use any more, one block takes the place of several: from then on everything that was
 * in use at once fits into it. */
static void settle(void) {
    if (own.used > 0 || own.top == NULL) return;
    if (own.top->below == NULL && own.top->bytes >= own.most) return;
    while (own.top) pop(&own);
    push(own.most, NULL); /* if there is none, the next that is taken asks again */
}

void *td_scratch_take(size_t bytes, td_err *err) {
    size_t whole;
    if (!td_add_size(bytes, 2 * ALIGN - 1, &whole)) {
        td_fail(err, TD_E_LIMIT, "", "%zu bytes are too many", bytes);
        return NULL;
    }
    whole = whole / ALIGN * ALIGN; /* the piece's head takes one ALIGN */
    if (own.top && own.used == 0 && own.top->bytes < whole) pop(&own);
    if ((own.top == NULL || own.top->bytes - own.top->used < whole) &&
        !push(own.used == 0 && own.most > whole ? own.most : whole, err))
        return NULL;
    block *b = own.top;
    char *at = b->data + b->used;
    *(piece *)(void *)at = (piece){b, b->used};
    b->used += whole;
    own.used += whole;
    if (own.used > own.most) own.most = own.used;
    return at + ALIGN;
}

void td_scratch_give(void *p) {
    if (p == NULL) return;
    piece *head = (piece *)(void *)((char *)p - ALIGN);
    block *b = head->home;
    while (own.top != b) pop(&own); /* those above are empty */
    own.used -= b->used - head->before;
    b->used = head->before;
    settle();
}

void td_scratch_trim(void) {
    if (own.used > 0) return;
    while (own.top) pop(&own);
    own.most = 0;
}
