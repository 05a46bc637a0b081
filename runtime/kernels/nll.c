/* The negative log likelihood, in two dtypes. */
#include "runtime/kernels/nll.h"

#include <string.h>

#include "runtime/kernels/lanes.h"

/* Sums as td_reduce does, over all lines. */
typedef struct summing {
    double lane[TD_LANES], total;
    int64_t count;
} summing;

static void end_block(summing *s) {
    s->total += td_join_lanes(s->lane);
    memset(s->lane, 0, sizeof s->lane);
    s->count = 0;
}

static inline void add(summing *s, double v) {
    s->lane[s->count % TD_LANES] += v;
    if (++s->count == TD_LANE_BLOCK) end_block(s);
}

#define TYPED(T, S)                                                                      \
    static void run_##S(const td_nll *l, const T *logp, const int64_t *label, T *y) {    \
        summing s = {{0}, 0, 0};                                                         \
        for (int64_t n = 0; n < l->outer; n++, logp += l->classes * l->inner)            \
            for (int64_t i = 0; i < l->inner; i++, label++) {                            \
                const T loss = -logp[*label * l->inner + i];                             \
                if (l->each)                                                             \
                    *y++ = loss;                                                         \
                else                                                                     \
                    add(&s, (double)loss);                                               \
            }                                                                            \
        if (l->each) return;                                                             \
        end_block(&s);                                                                   \
        *y = (T)(s.total / l->scale);                                                    \
    }                                                                                    \
    static void grad_##S(const td_nll *l, const T *g, const int64_t *label, T *to) {     \
        memset(to, 0, (size_t)(l->outer * l->classes * l->inner) * sizeof *to);          \
        T share = (T)(-(double)*g / l->scale);                                           \
        for (int64_t n = 0; n < l->outer; n++, to += l->classes * l->inner)              \
            for (int64_t i = 0; i < l->inner; i++, label++)                              \
                to[*label * l->inner + i] = l->each ? -*g++ : share;                     \
    }
TYPED(double, f64)
TYPED(float, f32)

void td_nll_run(const td_nll *l, const void *logp, const int64_t *label, void *y) {
    if (l->t == TD_F32)
        run_f32(l, logp, label, y);
    else
        run_f64(l, logp, label, y);
}

void td_nll_grad(const td_nll *l, const void *g, const int64_t *label, void *dlogp) {
    if (l->outer == 0 || l->inner == 0) return;
    if (l->t == TD_F32)
        grad_f32(l, g, label, dlogp);
    else
        grad_f64(l, g, label, dlogp);
}
