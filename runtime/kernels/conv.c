/* Convolutions: which way is taken, and filters in its order. Called by the ops of vm/ops/conv.c and by
 * plans. */
#include "runtime/kernels/conv.h"

#include "runtime/kernels/conv_inner.h"
#include "runtime/mem.h"

static td_conv turned(const td_conv *v) {
    return (td_conv){.n = v->n,
                     .groups = v->groups,
                     .c = v->o,
                     .h = v->oh,
                     .w = v->ow,
                     .o = v->c,
                     .oh = v->h,
                     .ow = v->w,
                     .kh = v->kh,
                     .kw = v->kw,
                     .sh = 1,
                     .sw = 1,
                     .ph = (v->kh - 1) * v->dh - v->ph,
                     .pw = (v->kw - 1) * v->dw - v->pw,
                     .dh = v->dh,
                     .dw = v->dw};
}

/* Vectors of 16 lanes that n numbers fill. */
static double vectors(int64_t n) { return (double)((n + 15) / 16); }

/* Without a stride the input gradient is a convolution of dy with the kernel turned round. Where channels
 * fill few lanes, or much of the turned kernel meets nothing but padding, adding windows is quicker: a
 * vector of them costs about as much as 8 multiplications to add. */
static bool turns(const td_conv *v) {
    if (v->sh != 1 || v->sw != 1) return false;
    td_conv back = turned(v);
    if (td_conv_is_depthwise(v) || td_conv_winograd_wins(&back)) return true;
    double turning = (double)(v->w * v->kw * v->o) * vectors(v->c);
    double adding = (double)(v->ow * v->o) * vectors(v->kw * v->c) +
                    (double)(v->ow * v->kw) * vectors(v->c) * 8;
    return turning <= adding;
}

/* The convolution that is run for v. */
static td_conv used(const td_conv *v, td_conv_way way) {
    return way == TD_CONV_INPUT && turns(v) ? turned(v) : *v;
}

int td_conv_filters_bytes(const td_conv *v, td_dtype t, td_conv_way way, size_t *bytes,
                          td_err *err) {
    td_conv u = used(v, way);
    if (td_conv_winograd_wins(&u)) return td_conv_winograd_bytes(&u, t, bytes, err);
    const int64_t factor[] = {v->groups, v->o, v->c, v->kh, v->kw};
    *bytes = td_dtype_bytes(t);
    for (int i = 0; i < 5; i++)
        if (!td_mul_size(*bytes, (size_t)factor[i], bytes))
            return td_fail(err, TD_E_LIMIT, "",
                           "%lldx%lldx%lldx%lld filters are too many",
                           (long long)(v->groups * v->o), (long long)v->c,
                           (long long)v->kh, (long long)v->kw);
    return 0;
}

/* to[((g * kh + r) * kw + s) * tap + j * of_o + c * of_c] = from OIHW, the taps in their order or turned
 * round; row_tap: the distances for [kh][o][kw][c]. */
#define ORDER(name, T)                                                                   \
    static void name(const td_conv *v, const T *from, T *to, int64_t of_row,             \
                     int64_t of_tap, int64_t of_o, int64_t of_c, bool turn) {            \
        int64_t taps = v->kh * v->kw;                                                    \
        for (int64_t g = 0; g < v->groups; g++)                                          \
            for (int64_t j = 0; j < v->o; j++)                                           \
                for (int64_t c = 0; c < v->c; c++, from += taps)                         \
                    for (int64_t i = 0; i < taps; i++) {                                 \
                        int64_t r = i / v->kw, s = i % v->kw;                            \
                        T *tap = to + (g * v->kh + r) * of_row + s * of_tap;             \
                        tap[j * of_o + c * of_c] = from[turn ? taps - 1 - i : i];        \
                    }                                                                    \
    }
ORDER(order_f32, float)
ORDER(order_f64, double)

void td_conv_filters(const td_conv *v, td_dtype t, td_conv_way way, const void *weight,
                     void *filters) {
    int64_t tap = v->c * v->o, row = v->kw * tap;
    bool turn = way == TD_CONV_INPUT && turns(v);
    if (td_conv_is_depthwise(v)) {
        td_conv_depth_filters(v, t, turn, weight, filters);
        return;
    }
    td_conv u = used(v, way);
    if (td_conv_winograd_wins(&u)) {
        td_conv_winograd_filters(&u, t, turn, weight, filters);
        return;
    }
    int64_t of_tap = tap, of_o = 1, of_c = v->o;
    if (way == TD_CONV_INPUT) {
        of_tap = turn ? tap : v->c;
        of_o = turn ? v->c : v->kw * v->c;
        of_c = 1;
    }
    if (t == TD_F32)
        order_f32(v, weight, filters, row, of_tap, of_o, of_c, turn);
    else
        order_f64(v, weight, filters, row, of_tap, of_o, of_c, turn);
}

/* Any convolution that is run as one. */
static int run(const td_conv *v, td_dtype t, const void *x, const void *filters,
               const void *bias, bool relu, void *y, int64_t from, int64_t to,
               td_err *err) {
    if (td_conv_is_depthwise(v))
        return td_conv_depth_forward(v, t, x, filters, bias, relu, y, from, to, err);
    if (td_conv_winograd_wins(v))
        return td_conv_by_winograd(v, t, x, filters, bias, relu, y, from, to, err);
    return td_conv_by_rows(v, t, x, filters, bias, relu, y, from, to, err);
}

int td_conv_forward(const td_conv *v, td_dtype t, const void *x, const void *filters,
                    const void *bias, bool relu, void *y, int64_t from, int64_t to,
                    td_err *err) {
    return run(v, t, x, filters, bias, relu, y, from, to, err);
}

int td_conv_input(const td_conv *v, td_dtype t, const void *dy, const void *filters,
                  void *dx, int64_t from, int64_t to, td_err *err) {
    if (!turns(v))
        return td_conv_is_depthwise(v)
                   ? td_conv_depth_input(v, t, dy, filters, dx, from, to, err)
                   : td_conv_input_by_adding(v, t, dy, filters, dx, from, to, err);
    td_conv back = turned(v);
    return run(&back, t, dy, filters, NULL, false, dx, from, to, err);
}

int td_conv_weight(const td_conv *v, td_dtype t, const void *dy, const void *x,
                   void *dweight, td_err *err) {
    if (td_conv_is_depthwise(v)) return td_conv_depth_weight(v, t, dy, x, dweight, err);
    if (td_conv_winograd_wins(v))
        return td_conv_weight_by_winograd(v, t, dy, x, dweight, err);
    return td_conv_weight_by_rows(v, t, dy, x, dweight, err);
}
