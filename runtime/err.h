/* Errors: one struct, one table of codes, used from the kernels to the wire.
 *
 * A function that can fail returns int (0, or the code) and takes a td_err * last. The code's number
 * is the same in C, on the wire and as err.code in Lua; numbers are never reused. A message says what
 * was got and what was wanted; the call's name stands in its own field and is put in front when the
 * error is shown ("matmul: 2x3 does not multiply 4x5"). */
#ifndef TD_ERR_H
#define TD_ERR_H

#include <stdarg.h>

/*     name         number  word     meaning */
#define TD_ERRORS(X)                                                                     \
    X(OK, 0, "ok")                /* no error */                                         \
    X(ARGUMENT, 1, "argument")    /* an argument of a wrong kind or count */             \
    X(SHAPE, 2, "shape")          /* shapes do not go together */                        \
    X(DTYPE, 3, "dtype")          /* a dtype that the call does not take */              \
    X(INDEX, 4, "index")          /* a position, dimension or label out of range */      \
    X(VALUE, 5, "value")          /* a value out of range */                             \
    X(STATE, 6, "state")          /* not possible now (backward twice, in place) */      \
    X(MEMORY, 7, "memory")        /* out of memory, or over the budget */                \
    X(IO, 8, "io")                /* a file or socket that cannot be read, written */    \
    X(FORMAT, 9, "format")        /* a file that is not what it says it is */            \
    X(LOCATION, 10, "location")   /* tensors live at different places */                 \
    X(NOT_FOUND, 11, "not-found") /* no such object, data set, worker or name */         \
    X(GONE, 12, "gone")           /* the worker or its session process has ended */      \
    X(TIMEOUT, 13, "timeout")     /* no answer in time */                                \
    X(DENIED, 14, "denied")       /* admission or a policy says no */                    \
    X(LIMIT, 15, "limit")         /* a bound on size, count or depth is exceeded */      \
    X(PROTOCOL, 16, "protocol")   /* a message that breaks the grammar */                \
    X(INTERRUPTED, 17, "interrupted") /* Ctrl-C or a cancel */                           \
    X(UNSUPPORTED, 18, "unsupported") /* no way to do this here; the hint names one */   \
    X(POISONED, 19, "poisoned")       /* depends on an operation that failed */          \
    X(SCRIPT, 20, "script")           /* an error that a script raised */                \
    X(INTERNAL, 21, "internal")       /* our own fault */

typedef enum td_code {
#define TD_X(name, number, word) TD_E_##name = number,
    TD_ERRORS(TD_X)
#undef TD_X
        TD_E_COUNT
} td_code;

typedef struct td_err {
    int code;        /* a td_code; 0 when there is no error */
    char call[48];   /* the call that failed: "matmul"; empty when unknown */
    char msg[400];   /* what was got and what was wanted */
    char hint[200];  /* what to do instead; empty when there is nothing to say */
    char where[160]; /* "file:line" of the script, filled in by the layers that know it */
} td_err;

/* No error. Cheaper than zeroing all of it, where this is done for each operation. */
static inline void td_err_clear(td_err *err) {
    err->code = 0;
    err->call[0] = err->msg[0] = err->hint[0] = err->where[0] = 0;
}

/* The word for a code ("shape"), or "unknown". */
const char *td_code_word(int code);

/* Fills in *err and returns code. A NULL err is allowed. Text that does not fit is cut. */
int td_fail(td_err *err, td_code code, const char *call, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same, with a hint set first by td_hint after the failure: td_hint(err, "..."). */
void td_hint(td_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "call: msg" (or msg alone) into text of size bytes; always ends in 0. */
void td_err_text(const td_err *err, char *text, int size);

#endif
