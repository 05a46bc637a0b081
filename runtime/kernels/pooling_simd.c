/* The loops of pooling, for both element types and both memory orders, compiled once for each processor
 * level. */
#include "runtime/kernels/pooling.h"

#include <string.h>

#include "runtime/cpu.h"

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
static inline int64_t divisor(const td_pooling *p, span rows, span columns) {
    if (p->count_pad) return p->kh * p->kw;
    return (rows.to - rows.from) * (columns.to - columns.from);
}

/* Windows of 2 x 2 without overlap or border are what most networks have. */
static bool is_plain_2x2(const td_pooling *p) {
    return p->kh == 2 && p->kw == 2 && p->sh == 2 && p->sw == 2 && p->ph == 0 &&
           p->pw == 0 && p->w < INT32_MAX;
}

/* Does each element belong to one window at most, and each window lie inside? */
static bool is_tiled(const td_pooling *p) {
    return p->kh == p->sh && p->kw == p->sw && p->ph == 0 && p->pw == 0;
}

#define PART 64 /* windows taken together */

#define REAL float
#define WORD int32_t
#define TYPED(name) name##_f32
#include "runtime/kernels/pooling_channels.h"
#include "runtime/kernels/pooling_rows.h"
#undef REAL
#undef WORD
#undef TYPED
#define REAL double
#define WORD int64_t
#define TYPED(name) name##_f64
#include "runtime/kernels/pooling_channels.h"
#include "runtime/kernels/pooling_rows.h"
#undef REAL
#undef WORD
#undef TYPED

#define LOOPS(order, t)                                                                  \
    { order##_max_##t, order##_max_back_##t, order##_avg_##t, order##_avg_back_##t }
extern const td_pooling_table TD_LEVELED(td_pooling_table);
const td_pooling_table TD_LEVELED(td_pooling_table) = {
    {LOOPS(rows, f32), LOOPS(channels, f32)}, {LOOPS(rows, f64), LOOPS(channels, f64)}};
