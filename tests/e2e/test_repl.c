/* The session at a terminal, driven through a pseudo terminal as a user would: results, unfinished lines,
 * errors, Tab, history, Ctrl-C, Ctrl-D. The program is $TIDE, or build/tide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20000

typedef struct session {
    pid_t pid;
    int fd;
    char seen[1 << 16]; /* output since the last expect that matched */
    size_t n;
} session;

static char state_folder[] = "/tmp/tide-repl.XXXXXX";

/* libedit does not free the names of keys that were added to it: in a build with the address sanitizer that
 * alone is forgiven. */
static char leak_options[200];

static int write_suppressions(void) {
    char path[100];
    snprintf(path, sizeof path, "%s/leaks", state_folder);
    snprintf(leak_options, sizeof leak_options, "suppressions=%s:print_suppressions=0",
             path);
    FILE *f = fopen(path, "w");
    if (f == NULL) return -1;
    fputs("leak:wcsdup\n", f);
    return fclose(f);
}

static const char *program(void) {
    const char *tide = getenv("TIDE");
    return tide ? tide : "build/tide";
}

static void start(session *s) {
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    s->n = 0;
    s->pid = forkpty(&s->fd, NULL, NULL, &size);
    assert_true(s->pid >= 0);
    if (s->pid > 0) return;
    setenv("TERM", "xterm", 1);
    setenv("XDG_STATE_HOME", state_folder, 1);
    setenv("NO_COLOR", "1", 1);
    setenv("LSAN_OPTIONS", leak_options, 1);
    unsetenv("COLUMNS");
    execl(program(), program(), (char *)NULL);
    _exit(127);
}

static long long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads what is there; 0 at the end of the output, or when nothing came for ms. */
static int read_some(session *s, long long ms) {
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    if (poll(&p, 1, ms > 0 ? (int)ms : 0) <= 0) return 0;
    if (s->n + 1 >= sizeof s->seen) s->n = 0;
    ssize_t got = read(s->fd, s->seen + s->n, sizeof s->seen - 1 - s->n);
    if (got <= 0) return 0;
    s->n += (size_t)got;
    s->seen[s->n] = 0;
    return 1;
}

/* Waits until the text comes, and forgets all up to its end. */
static void expect(session *s, const char *text) {
    long long end = now_ms() + WAIT_MS;
    for (;;) {
        s->seen[s->n] = 0;
        char *at = s->n ? memmem(s->seen, s->n, text, strlen(text)) : NULL;
        if (at) {
            at += strlen(text);
            s->n -= (size_t)(at - s->seen);
            memmove(s->seen, at, s->n);
            return;
        }
        if (!read_some(s, end - now_ms()))
            fail_msg("no '%s' came, but:\n%s", text, s->seen);
    }
}

static void say(session *s, const char *keys) {
    size_t n = strlen(keys);
    assert_int_equal(write(s->fd, keys, n), n);
}

/* A line, and the answer to it; the echo of the line goes by first. */
static void ask(session *s, const char *line, const char *answer) {
    say(s, line);
    expect(s, line);
    say(s, "\r");
    expect(s, answer);
    expect(s, "> ");
}

/* Ctrl-C drops the line that is edited. */
static void cancel(session *s) {
    say(s, "\003");
    expect(s, "^C\r\n");
    expect(s, "> ");
}

/* Ends the session and gives its exit status. */
static int finish(session *s) {
    int status = 0;
    long long end = now_ms() + WAIT_MS;
    say(s, "\004");
    while (waitpid(s->pid, &status, WNOHANG) == 0) {
        read_some(s, 20);
        if (now_ms() > end) {
            kill(s->pid, SIGKILL);
            fail_msg("it does not end at Ctrl-D");
        }
    }
    close(s->fd);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_results(void **state) {
    (void)state;
    session s;
    start(&s);
    expect(&s, "help()");
    expect(&s, "> ");
    ask(&s, "1 + 1", "2\r\n");
    ask(&s, "x = tide.tensor{{1, 2}, {3, 4}}", "\r\n");
    ask(&s, "x", " 1  2\r\n 3  4\r\n[2x2 f32]\r\n");
    ask(&s, "\"a\", nil, {b = 3}", "\"a\"\r\nnil\r\n{b = 3}\r\n");
    ask(&s, "print(\"p\")", "p\r\n");
    assert_int_equal(finish(&s), 0);
}

static void test_unfinished_lines(void **state) {
    (void)state;
    session s;
    start(&s);
    expect(&s, "> ");
    say(&s, "for i = 1, 2 do\r");
    expect(&s, ">> ");
    say(&s, "print(i * 10)\r");
    expect(&s, ">> ");
    say(&s, "end\r");
    expect(&s, "10\r\n20\r\n");
    expect(&s, "> ");
    say(&s, "f = function(\r");
    expect(&s, ">> ");
    cancel(&s);
    ask(&s, "7 * 6", "42\r\n");
    assert_int_equal(finish(&s), 0);
}

static void test_errors(void **state) {
    (void)state;
    session s;
    start(&s);
    expect(&s, "> ");
    ask(&s, "tide.ones(2, 3):matmul(tide.ones(4, 5))",
        "repl:1: matmul: 2x3 does not multiply 4x5\r\n");
    ask(&s, "trace()", "stack traceback:");
    ask(&s, "tide.ones(2) < tide.ones(2)",
        "hint: x:lt(y) compares element by element\r\n");
    ask(&s, "x = = 3", "repl:1: unexpected symbol near '='\r\n");
    ask(&s, "error({})", "repl");
    ask(&s, "nil .. 1", "repl:1: attempt to concatenate a nil value\r\n");
    ask(&s, "1 + 1", "2\r\n");
    assert_int_equal(finish(&s), 0);
}

static void test_tab(void **state) {
    (void)state;
    session s;
    start(&s);
    expect(&s, "> ");
    ask(&s, "x = tide.ones(3)", "\r\n");
    say(&s, "tide.manu\t");
    expect(&s, "al_seed"); /* libedit goes back to column 12 and writes the rest */
    say(&s, "(1)\r");
    expect(&s, "> ");
    say(&s, "x:requires\t");
    expect(&s, "_grad_");
    cancel(&s);
    say(&s, "x.loc\t"); /* a field */
    expect(&s, "ation");
    cancel(&s);
    say(&s, "x:log\t\t"); /* several: they are listed */
    expect(&s, "logical_and");
    expect(&s, "logsumexp");
    cancel(&s);
    /* Nothing is called to find out: this object fails at every touch. */
    ask(&s, "o = setmetatable({name = 1}, {__index = function() error(\"touched\") end})",
        "\r\n");
    say(&s, "o.na\t");
    expect(&s, "me");
    cancel(&s);
    say(&s, "o.name.zz\t");
    cancel(&s);
    assert_null(strstr(s.seen, "touched"));
    assert_int_equal(finish(&s), 0);
}

static void test_interrupt(void **state) {
    (void)state;
    session s;
    start(&s);
    expect(&s, "> ");
    say(&s, "while true do end\r");
    usleep(300000);
    say(&s, "\003");
    expect(&s, "interrupted");
    expect(&s, "> ");
    say(&s, "x = tide.ones(100) while true do x = x + 1 end\r");
    usleep(300000);
    say(&s, "\003");
    expect(&s, "interrupted");
    expect(&s, "> ");
    say(&s,
        "c = coroutine.wrap(function() while true do x = x + 1 end end) c()\r"); /* in a coroutine */
    usleep(300000);
    say(&s, "\003");
    expect(&s, "interrupted");
    expect(&s, "> ");
    ask(&s, "6 * 7", "42\r\n");
    /* A signal that comes when nothing runs ends nothing. */
    for (int i = 0; i < 20; i++) {
        kill(s.pid, SIGINT);
        usleep(5000);
    }
    cancel(&s); /* what it may have broken off is typed anew */
    ask(&s, "6 * 8", "48\r\n");
    assert_int_equal(finish(&s), 0);
}

static void test_history(void **state) {
    (void)state;
    session s;
    start(&s);
    expect(&s, "> ");
    ask(&s, "marker = 123456", "\r\n");
    assert_int_equal(finish(&s), 0);

    char path[200];
    snprintf(path, sizeof path, "%s/tide/history", state_folder);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    start(&s);
    expect(&s, "> ");
    say(&s, "\033[A"); /* up: from the session before */
    expect(&s, "marker = 123456");
    say(&s, "\r");
    expect(&s, "> ");
    ask(&s, "marker", "123456\r\n");
    assert_int_equal(finish(&s), 0);
}

static void test_help(void **state) {
    (void)state;
    session s;
    start(&s);
    expect(&s, "> ");
    ask(&s, "help(tide.zeros)", "A tensor of zeros.");
    ask(&s, "help \"relu\"", "x:relu()");
    ask(&s, "help \"rellu\"", "did you mean 'relu'?");
    assert_int_equal(finish(&s), 0);
}

static int remove_state(void **state) {
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", state_folder);
    return system(command);
}

static int make_state(void **state) {
    (void)state;
    return mkdtemp(state_folder) ? write_suppressions() : -1;
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),   cmocka_unit_test(test_unfinished_lines),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_tab),
        cmocka_unit_test(test_interrupt), cmocka_unit_test(test_history),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, make_state, remove_state);
}
