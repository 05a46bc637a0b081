/* The pool: every piece once, on as many threads as were asked for, whatever else goes on; calls from
 * inside and from other threads; sleeping, ending, forking; the count from the environment.
 *
 * With the word "count" behind it the program prints the count and ends: tests start it so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/pool.h"

#define PIECES 1000

/* ThreadSanitizer cannot follow a forked child that starts threads of its own. */
#define CAN_FORK 1
#if defined(__SANITIZE_THREAD__)
#undef CAN_FORK
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef CAN_FORK
#endif
#endif

static int threads_alive(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A thread that was joined is still listed for a moment. */
static void assert_threads_become(int wanted) {
    for (int i = 0; i < 1000 && threads_alive() != wanted; i++) usleep(1000);
    assert_int_equal(threads_alive(), wanted);
}

/* A sanitizer has a thread of its own, once there is any. */
static void *do_nothing(void *unused) { return unused; }

static int threads_without_ours(void) {
    pthread_t first;
    assert_int_equal(pthread_create(&first, NULL, do_nothing, NULL), 0);
    pthread_join(first, NULL);
    usleep(50000);
    return threads_alive();
}

typedef struct tally {
    int done[PIECES]; /* plain: the end of a call makes them visible to its caller */
} tally;

static void count_piece(void *ctx, int64_t i) {
    tally *t = ctx;
    t->done[i]++;
    if (!td_pool_is_inside()) t->done[i] = -1000;
}

static int wrong_pieces(int64_t pieces) {
    tally t = {0};
    td_pool_run(count_piece, &t, pieces);
    int wrong = 0;
    for (int i = 0; i < PIECES; i++) wrong += t.done[i] != (i < pieces);
    return wrong;
}

static void test_each_piece_once(void **state) {
    (void)state;
    static const int counts[] = {1, 2, 3, 8, 2, 64, 1, 4};
    static const int64_t pieces[] = {0, 1, 2, 3, 7, 64, 65, PIECES};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        td_pool_set_threads(counts[c]);
        assert_int_equal(td_pool_threads(), counts[c]);
        for (int round = 0; round < 20; round++)
            for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++)
                assert_int_equal(wrong_pieces(pieces[p]), 0);
        assert_false(td_pool_is_inside());
    }
    td_pool_set_threads(0);
    assert_int_equal(td_pool_threads(), 1);
    td_pool_set_threads(1000);
    assert_int_equal(td_pool_threads(), 256);
}

/* Calls in quick succession and after pauses of every length around that at which threads go to sleep. */
static void test_threads_that_sleep_are_woken(void **state) {
    (void)state;
    td_pool_set_threads(4);
    for (int i = 0; i < 2000; i++) assert_int_equal(wrong_pieces(2 + i % 5), 0);
    for (unsigned us = 0; us < 400; us += 4) {
        usleep(us);
        assert_int_equal(wrong_pieces(5), 0);
    }
}

/* Each piece waits for all others to have begun: it takes that many threads. */
static atomic_int begun;

static void meet(void *ctx, int64_t i) {
    (void)i;
    int64_t give_up = td_clock_ms() + 20000;
    atomic_fetch_add(&begun, 1);
    while (atomic_load(&begun) < *(int *)ctx && td_clock_ms() < give_up) sched_yield();
}

static void test_threads_work_side_by_side(void **state) {
    (void)state;
    for (int n = 2; n <= 5; n++) {
        td_pool_set_threads(n);
        for (int round = 0; round < 20; round++) {
            int64_t start = td_clock_ms();
            atomic_store(&begun, 0);
            td_pool_run(meet, &n, n);
            assert_int_equal(atomic_load(&begun), n);
            assert_true(td_clock_ms() - start < 20000);
            if (round % 5 == 0) usleep(500);
        }
    }
}

/* The caller finds no piece left while another thread is at its own for long: it sleeps, and is woken. */
static _Thread_local bool is_caller;

static void linger(void *ctx, int64_t i) {
    meet(ctx, i);
    if (!is_caller) usleep(3000);
    atomic_fetch_add(&begun, 1);
}

static void test_caller_waits_for_the_slow(void **state) {
    (void)state;
    int n = 2;
    is_caller = true;
    td_pool_set_threads(n);
    for (int round = 0; round < 10; round++) {
        atomic_store(&begun, 0);
        td_pool_run(linger, &n, n);
        assert_int_equal(atomic_load(&begun), 2 * n);
    }
}

/* ---- calls from inside, and from other threads ---- */

typedef struct nest {
    pthread_t thread[8];
    tally inner[8];
    int astray;
} nest;

static _Thread_local nest *nest_of;
static _Thread_local int64_t nest_at;

static void inner_piece(void *ctx, int64_t i) {
    count_piece(ctx, i);
    if (nest_of == NULL || !pthread_equal(pthread_self(), nest_of->thread[nest_at]))
        ((tally *)ctx)->done[i] = -1000;
}

static void outer_piece(void *ctx, int64_t i) {
    nest *n = nest_of = ctx;
    nest_at = i;
    n->thread[i] = pthread_self();
    td_pool_run(inner_piece, &n->inner[i], 50);
    if (!td_pool_is_inside()) n->astray++;
    nest_of = NULL;
}

static void test_calls_from_inside_stay_on_their_thread(void **state) {
    (void)state;
    td_pool_set_threads(3);
    for (int round = 0; round < 100; round++) {
        nest n = {0};
        td_pool_run(outer_piece, &n, 8);
        assert_int_equal(n.astray, 0);
        for (int i = 0; i < 8; i++)
            for (int k = 0; k < 50; k++) assert_int_equal(n.inner[i].done[k], 1);
    }
}

static void *call_often(void *wrong) {
    for (int i = 0; i < 500; i++) *(int *)wrong += wrong_pieces(i % 40);
    return NULL;
}

static void *change_count(void *unused) {
    (void)unused;
    for (int i = 0; i < 100; i++) {
        td_pool_set_threads(1 + i % 5);
        usleep(100);
    }
    return NULL;
}

static void test_several_callers(void **state) {
    (void)state;
    td_pool_set_threads(3);
    pthread_t caller[4], changer;
    int wrong[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&caller[i], NULL, call_often, &wrong[i]), 0);
    assert_int_equal(pthread_create(&changer, NULL, change_count, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(caller[i], NULL);
    pthread_join(changer, NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(wrong[i], 0);
}

/* ---- the threads' lives ---- */

static void test_threads_start_when_needed_and_end(void **state) {
    (void)state;
    td_pool_set_threads(1);
    int others = threads_without_ours() - 1;
    assert_int_equal(wrong_pieces(100), 0);
    td_pool_set_threads(4);
    assert_int_equal(wrong_pieces(1), 0);
    assert_int_equal(threads_alive(), others + 1); /* no use for more so far */
    assert_int_equal(wrong_pieces(2), 0);
    assert_int_equal(threads_alive(), others + 4);
    usleep(2000); /* asleep by now */
    td_pool_set_threads(2);
    assert_threads_become(others + 2);
    assert_int_equal(wrong_pieces(100), 0);
    td_pool_set_threads(1);
    assert_threads_become(others + 1);
}

static void ask_signals(void *ctx, int64_t i) {
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    ((int *)ctx)[i] = sigismember(&now, SIGINT) == 0;
    int n = 2;
    meet(&n, i);
}

static void test_signals_go_to_the_caller(void **state) {
    (void)state;
    td_pool_set_threads(2);
    int takes[2] = {0, 0};
    atomic_store(&begun, 0);
    td_pool_run(ask_signals, takes, 2);
    assert_int_equal(takes[0] + takes[1], 1);
}

#ifdef CAN_FORK

/* The child's answer to whatever f asks. */
static int in_child(int (*f)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(f());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int works_alone_then_with_others(void) {
    if (threads_alive() != 1) return 1;
    int n = td_pool_threads();
    atomic_store(&begun, 0);
    td_pool_run(meet, &n, n);
    return wrong_pieces(100) || threads_alive() != n ? 2 : 0;
}

static void test_forks(void **state) {
    (void)state;
    td_pool_set_threads(3);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(wrong_pieces(100), 0);
        if (i % 2) usleep(500);
        assert_int_equal(in_child(works_alone_then_with_others), 0);
    }
}

/* A fork while another thread uses the pool: the child must not wait for what never comes. */
static void test_fork_amid_another_call(void **state) {
    (void)state;
    td_pool_set_threads(3);
    pthread_t caller;
    int wrong = 0;
    assert_int_equal(pthread_create(&caller, NULL, call_often, &wrong), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(in_child(works_alone_then_with_others), 0);
    pthread_join(caller, NULL);
    assert_int_equal(wrong, 0);
}

#endif

/* No address space holds such a stack. */
static void test_system_that_starts_none(void **state) {
    (void)state;
    pthread_attr_t usual, huge;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    pthread_attr_init(&huge);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 60), 0);
    td_pool_set_threads(1);
    int before = threads_without_ours();
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    td_pool_set_threads(4);
    assert_int_equal(wrong_pieces(100), 0);
    assert_int_equal(wrong_pieces(100), 0);
    assert_int_equal(threads_alive(), before);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    td_pool_set_threads(2); /* tries again */
    assert_int_equal(wrong_pieces(100), 0);
    assert_int_equal(threads_alive(), before + 1);
    td_pool_set_threads(1);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
}

/* ---- the count ---- */

static char *what_it_prints(const char *threads) {
    static char text[300];
    char command[400];
    snprintf(command, sizeof command, "TIDE_THREADS='%s' /proc/%d/exe count 2>&1",
             threads, (int)getpid());
    FILE *p = popen(command, "r");
    assert_non_null(p);
    size_t n = fread(text, 1, sizeof text - 1, p);
    text[n] = 0;
    assert_int_equal(pclose(p), 0);
    return text;
}

static void test_count_from_the_environment(void **state) {
    (void)state;
    assert_string_equal(what_it_prints("3"), "3\n");
    assert_string_equal(what_it_prints("256"), "256\n");
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    char all[20];
    snprintf(all, sizeof all, "%d\n", CPU_COUNT(&before));
    assert_string_equal(what_it_prints(""), all);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_string_equal(what_it_prints(""), "1\n");
    static const char *const wrong[] = {"0", "257", "two", "2x"};
    for (int i = 0; i < 4; i++) {
        char text[100];
        snprintf(text, sizeof text,
                 "tide: TIDE_THREADS=%s: not a number from 1 to 256; taking 1\n1\n",
                 wrong[i]);
        assert_string_equal(what_it_prints(wrong[i]), text);
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "count") == 0) {
        printf("%d\n", td_pool_threads());
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_start_when_needed_and_end),
        cmocka_unit_test(test_each_piece_once),
        cmocka_unit_test(test_threads_that_sleep_are_woken),
        cmocka_unit_test(test_threads_work_side_by_side),
        cmocka_unit_test(test_caller_waits_for_the_slow),
        cmocka_unit_test(test_calls_from_inside_stay_on_their_thread),
        cmocka_unit_test(test_several_callers),
        cmocka_unit_test(test_signals_go_to_the_caller),
#ifdef CAN_FORK
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_fork_amid_another_call),
#endif
        cmocka_unit_test(test_system_that_starts_none),
        cmocka_unit_test(test_count_from_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
