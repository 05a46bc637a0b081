/* The pool's threads, and how a call's pieces are handed out.
 *
 * A call is a job. The caller writes it down, then opens the gate, one atomic word: the job's number, how
 * many threads have a part in it, a bit that says whether they may still join, and how many are at work. A
 * thread joins by adding itself to the word while the gate is open; the caller shuts the gate when it finds
 * no piece left, and returns when nobody is at work any more. So a thread that comes too late costs nothing
 * and cannot mistake one job for the next.
 *
 * Each thread has a range of the pieces that it begins with, the same one from call to call where the
 * pieces are as many, so that what it left in its cache is there again; then it helps with the others'.
 *
 * Threads that wait first watch the gate (a step of training is one call after another), giving way to other
 * programs as they do, and soon sleep. */
#include "runtime/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/clock.h"

#define MOST 256        /* threads, the caller's included */
#define WATCH_NS 100000 /* how long a thread watches before it sleeps */
#define GLANCES 64      /* looks at the gate between two looks at the clock */
#define LINE 64         /* bytes that one thread's writing may disturb */

/* The gate's fields. */
#define JOINED UINT64_C(0xffff)
#define OPEN UINT64_C(0x10000)
#define PART UINT64_C(0x20000) /* 9 bits */
#define PARTS UINT64_C(0x1ff)
#define NUMBER UINT64_C(0x4000000)

/* A thread's place: slot 0 is the caller's. */
typedef struct place {
    _Alignas(LINE) atomic_int_fast64_t
        next; /* pieces [next, end) of its range are still to be done */
    int64_t end;
    pthread_t thread;
    pthread_cond_t called;
    atomic_bool is_asleep;
} place;

static struct pool {
    /* the job: written by the caller while the gate is shut and nobody is at work */
    void (*piece)(void *, int64_t);
    void *ctx;
    int parts; /* threads that have a range, the caller's included */

    _Alignas(LINE) atomic_uint_fast64_t gate;
    _Alignas(LINE) atomic_bool is_taken; /* a call uses the pool */
    atomic_int wanted; /* threads on a call, or 0: nobody has asked yet */

    /* of whoever has taken the pool */
    int started;     /* threads that run, the caller's not among them */
    bool is_refused; /* the system would start no more */
    atomic_int last; /* threads in places behind this one shall end */

    pthread_mutex_t lock; /* of those that sleep */
    pthread_cond_t work_done;
    atomic_bool caller_sleeps;

    place place[MOST];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work_done = PTHREAD_COND_INITIALIZER};

static _Thread_local bool is_inside;

static void rest(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- the count ---- */

static int processors(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > MOST ? MOST : n;
}

static int first_count(void) {
    int n = processors();
    const char *text = getenv("TIDE_THREADS");
    if (text == NULL || *text == 0) return n;
    char *end;
    long v = strtol(text, &end, 10);
    if (*end == 0 && v >= 1 && v <= MOST) return (int)v;
    fprintf(stderr, "tide: TIDE_THREADS=%s: not a number from 1 to %d; taking %d\n", text,
            MOST, n);
    return n;
}

int td_pool_threads(void) {
    int n = atomic_load_explicit(&pool.wanted, memory_order_relaxed);
    if (n) return n;
    int fresh = first_count();
    return atomic_compare_exchange_strong(&pool.wanted, &n, fresh) ? fresh : n;
}

bool td_pool_is_inside(void) { return is_inside; }

/* ---- work ---- */

static void do_pieces(int slot) {
    int parts = pool.parts;
    for (int i = 0; i < parts; i++) {
        place *p = &pool.place[(slot + i) % parts];
        for (;;) {
            int64_t at = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
            if (at >= p->end) break;
            pool.piece(pool.ctx, at);
        }
    }
}

static void do_all_here(void (*piece)(void *, int64_t), void *ctx, int64_t pieces) {
    bool was = is_inside;
    is_inside = true;
    for (int64_t i = 0; i < pieces; i++) piece(ctx, i);
    is_inside = was;
}

/* ---- the other threads ---- */

/* Is it a job that this thread has a part in and has not seen? */
static bool calls(uint64_t gate, int slot, uint64_t seen) {
    return (gate & OPEN) && gate / NUMBER != seen &&
           (uint64_t)slot < (gate / PART & PARTS);
}

static bool shall_end(int slot) { return slot > atomic_load(&pool.last); }

/* The gate, once it calls this thread to a job that it has not seen, or 0 when it shall end. */
static uint64_t await_job(int slot, uint64_t seen) {
    uint64_t g;
    int64_t since = td_clock_ns();
    do {
        for (int i = 0; i < GLANCES; i++) {
            g = atomic_load_explicit(&pool.gate, memory_order_acquire);
            if (calls(g, slot, seen)) return g;
            rest();
        }
        if (shall_end(slot)) return 0;
        sched_yield();
    } while (td_clock_ns() - since < WATCH_NS);

    place *own = &pool.place[slot];
    pthread_mutex_lock(&pool.lock);
    atomic_store(&own->is_asleep,
                 true); /* before the looks: whoever opens looks at it after */
    while (!calls(g = atomic_load(&pool.gate), slot, seen) && !shall_end(slot))
        pthread_cond_wait(&own->called, &pool.lock);
    atomic_store(&own->is_asleep, false);
    pthread_mutex_unlock(&pool.lock);
    return calls(g, slot, seen) ? g : 0;
}

static bool join_job(uint64_t g, uint64_t number) {
    while ((g & OPEN) && g / NUMBER == number)
        if (atomic_compare_exchange_weak_explicit(
                &pool.gate, &g, g + 1, memory_order_acquire, memory_order_acquire))
            return true;
    return false;
}

static void leave(void) {
    uint64_t g = atomic_fetch_sub(&pool.gate, 1) - 1;
    if ((g & JOINED) == 0 && atomic_load(&pool.caller_sleeps)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_signal(&pool.work_done);
        pthread_mutex_unlock(&pool.lock);
    }
}

static void *serve(void *slot_of) {
    int slot = (int)(intptr_t)slot_of;
    uint64_t seen = 0, g;
    is_inside = true;
    while ((g = await_job(slot, seen)) != 0) {
        seen = g / NUMBER;
        if (!join_job(g, seen)) continue;
        do_pieces(slot);
        leave();
    }
    return NULL;
}

/* ---- their lives; the caller has taken the pool ---- */

static bool take_pool(void) {
    return !atomic_load_explicit(&pool.is_taken, memory_order_relaxed) &&
           !atomic_exchange_explicit(&pool.is_taken, true, memory_order_acquire);
}

static void give_pool(void) {
    atomic_store_explicit(&pool.is_taken, false, memory_order_release);
}

static void end_all_but(int count) {
    atomic_store(&pool.last, count);
    pthread_mutex_lock(&pool.lock);
    for (int i = count + 1; i <= pool.started; i++)
        pthread_cond_signal(&pool.place[i].called);
    pthread_mutex_unlock(&pool.lock);
    for (; pool.started > count; pool.started--) {
        place *p = &pool.place[pool.started];
        pthread_join(p->thread, NULL);
        pthread_cond_destroy(&p->called);
    }
}

static void at_exit(void) {
    if (is_inside || !take_pool()) return;
    end_all_but(0);
    give_pool();
}

/* The child of a fork has this thread alone, whatever the others were about. */
static void in_child(void) {
    pool.started = 0;
    pool.is_refused = false;
    atomic_store(&pool.gate, 0);
    atomic_store(&pool.caller_sleeps, false);
    pool.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool.work_done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    give_pool();
}

static void set_up(void) {
    pthread_atfork(NULL, NULL, in_child);
    atexit(at_exit);
}

static bool start_thread(int slot) {
    place *p = &pool.place[slot];
    atomic_store(&p->is_asleep, false);
    if (pthread_cond_init(&p->called, NULL) != 0) return false;
    if (pthread_create(&p->thread, NULL, serve, (void *)(intptr_t)slot) != 0) {
        pthread_cond_destroy(&p->called);
        return false;
    }
    pthread_setname_np(p->thread, "tide-pool");
    return true;
}

/* Starts or ends threads until there are `count`, or as many as the system lets there be. Signals are the
 * other threads' business. */
static void have_threads(int count) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (pool.started > count) end_all_but(count);
    if (pool.started == count || pool.is_refused) return;
    pthread_once(&once, set_up);
    atomic_store(&pool.last, count);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.started < count && !pool.is_refused) {
        if (start_thread(pool.started + 1))
            pool.started++;
        else
            pool.is_refused = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void td_pool_set_threads(int count) {
    atomic_store(&pool.wanted, count < 1 ? 1 : count > MOST ? MOST : count);
    if (is_inside || !take_pool()) return; /* the next call sees to it */
    pool.is_refused = false;
    if (pool.started > count - 1) end_all_but(count < 1 ? 0 : count - 1);
    give_pool();
}

/* ---- a call ---- */

static void open_gate(int parts) {
    uint64_t g = atomic_load_explicit(&pool.gate, memory_order_relaxed);
    atomic_store(&pool.gate, (g / NUMBER + 1) * NUMBER + (uint64_t)parts * PART + OPEN);
    for (int i = 1; i < parts; i++) {
        place *p = &pool.place[i];
        if (!atomic_load(&p->is_asleep)) continue;
        pthread_mutex_lock(&pool.lock);
        pthread_cond_signal(&p->called);
        pthread_mutex_unlock(&pool.lock);
    }
}

static void await_others(void) {
    uint64_t g = atomic_fetch_and(&pool.gate, ~OPEN);
    if ((g & JOINED) == 0) return;
    int64_t since = td_clock_ns();
    do {
        for (int i = 0; i < GLANCES; i++) {
            if ((atomic_load_explicit(&pool.gate, memory_order_acquire) & JOINED) == 0)
                return;
            rest();
        }
        sched_yield();
    } while (td_clock_ns() - since < WATCH_NS);
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.caller_sleeps, true);
    while (atomic_load(&pool.gate) & JOINED)
        pthread_cond_wait(&pool.work_done, &pool.lock);
    atomic_store(&pool.caller_sleeps, false);
    pthread_mutex_unlock(&pool.lock);
}

void td_pool_run(void (*piece)(void *ctx, int64_t i), void *ctx, int64_t pieces) {
    int threads = pieces > 1 && !is_inside ? td_pool_threads() : 1;
    if (threads == 1 || !take_pool()) {
        do_all_here(piece, ctx, pieces);
        return;
    }
    have_threads(threads - 1);
    int64_t parts = pool.started + 1;
    if (parts > pieces) parts = pieces;
    if (parts == 1) {
        give_pool();
        do_all_here(piece, ctx, pieces);
        return;
    }
    pool.piece = piece;
    pool.ctx = ctx;
    pool.parts = (int)parts;
    int64_t each = pieces / parts, more = pieces % parts, at = 0;
    for (int64_t i = 0; i < parts; i++) {
        atomic_store_explicit(&pool.place[i].next, at, memory_order_relaxed);
        at += each + (i < more);
        pool.place[i].end = at;
    }
    is_inside = true;
    open_gate((int)parts);
    do_pieces(0);
    await_others();
    is_inside = false;
    give_pool();
}
