/* Pooling kernels. Called by the ops of vm/ops/pool.c. */
#include "runtime/kernels/pool.h"

#include <string.h>

/* The part of a window that lies inside: [from, to) along one side. */
typedef struct span {
    int64_t from, to;
} span;

static inline span inside(int64_t at, int64_t stride, int64_t padding, int64_t kernel,
                          int64_t size) {
    int64_t from = at * stride - padding, to = from + kernel;
    return (span){from > 0 ? from : 0, to < size ? to : size};
}

/* How many elements an average is over. */
static inline int64_t divisor(const td_pool *p, span rows, span columns) {
    if (p->count_pad) return p->kh * p->kw;
    return (rows.to - rows.from) * (columns.to - columns.from);
}

/* Windows of 2 x 2 without overlap or border are what most networks have. */
static bool is_plain_2x2(const td_pool *p) {
    return p->kh == 2 && p->kw == 2 && p->sh == 2 && p->sw == 2 && p->ph == 0 &&
           p->pw == 0 && p->w < INT32_MAX;
}

#define PART 64 /* windows taken together */

#define REAL float
#define WORD int32_t
#define TYPED(name) name##_f32
#include "runtime/kernels/pool_typed.h"
#undef REAL
#undef WORD
#undef TYPED
#define REAL double
#define WORD int64_t
#define TYPED(name) name##_f64
#include "runtime/kernels/pool_typed.h"
#undef REAL
#undef WORD
#undef TYPED

static void clear(const td_pool *p, td_dtype t, void *dx) {
    memset(dx, 0, (size_t)(p->planes * p->h * p->w) * td_dtype_bytes(t));
}

void td_max_pool(const td_pool *p, td_dtype t, const void *x, void *y, int64_t *index) {
    if (t == TD_F32)
        max_pool_f32(p, x, y, index);
    else
        max_pool_f64(p, x, y, index);
}

void td_max_pool_back(const td_pool *p, td_dtype t, const void *dy, const int64_t *index,
                      void *dx) {
    clear(p, t, dx);
    if (t == TD_F32)
        max_back_f32(p, dy, index, dx);
    else
        max_back_f64(p, dy, index, dx);
}

void td_avg_pool(const td_pool *p, td_dtype t, const void *x, void *y) {
    if (t == TD_F32)
        avg_pool_f32(p, x, y);
    else
        avg_pool_f64(p, x, y);
}

void td_avg_pool_back(const td_pool *p, td_dtype t, const void *dy, void *dx) {
    clear(p, t, dx);
    if (t == TD_F32)
        avg_back_f32(p, dy, dx);
    else
        avg_back_f64(p, dy, dx);
}
