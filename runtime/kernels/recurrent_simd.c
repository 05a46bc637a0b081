/* The passes of recurrent layers over a row, compiled once for each processor level. Sums and products are
 * rounded one by one and the functions are math_core.h's, so that all levels give the same bits. */
#include "runtime/cpu.h"
#include "runtime/kernels/math_core.h"
#include "runtime/kernels/recurrent_loops.h"

/* Gate q of a block of gates. */
#define GATE(T, base, q) ((T *)(base) + (q)*row->hidden)
#define GATE_IN(T, base, q) ((const T *)(base) + (q)*row->hidden)

/* f and its slope in terms of y = f(x). */
#define ELMAN(name, T, f, slope)                                                         \
    static void name(const td_cell_row *row) {                                           \
        T *y = row->y;                                                                   \
        TD_VECTOR for (int64_t j = 0; j < row->n; j++) {                                 \
            const T x = y[j];                                                            \
            y[j] = f;                                                                    \
        }                                                                                \
    }                                                                                    \
    static void name##_back(const td_cell_row_back *row) {                               \
        const T *out = row->y, *dy = row->dy, *dh = row->dh;                             \
        T *dw = row->dw;                                                                 \
        TD_VECTOR for (int64_t j = 0; j < row->n; j++) {                                 \
            const T y = out[j], flow = dy[j] + dh[j];                                    \
            dw[j] = slope;                                                               \
        }                                                                                \
    }

#define GRU(T, S)                                                                        \
    static void gru_##S(const td_cell_row *row) {                                        \
        T *r = GATE(T, row->gates, 0), *z = GATE(T, row->gates, 1),                      \
          *n = GATE(T, row->gates, 2), *y = row->y;                                      \
        const T *u = GATE(T, row->gates, 3), *h = row->h;                                \
        TD_VECTOR for (int64_t j = 0; j < row->n; j++) {                                 \
            const T reset = td_sigmoid_##S(r[j]), keep = td_sigmoid_##S(z[j]);           \
            const T fresh = td_tanh_##S(n[j] + reset * u[j]);                            \
            r[j] = reset;                                                                \
            z[j] = keep;                                                                 \
            n[j] = fresh;                                                                \
            y[j] = (1 - keep) * fresh + keep * h[j];                                     \
        }                                                                                \
    }                                                                                    \
    static void gru_##S##_back(const td_cell_row_back *row) {                            \
        const T *r = GATE_IN(T, row->gates, 0), *z = GATE_IN(T, row->gates, 1),          \
                *n = GATE_IN(T, row->gates, 2), *u = GATE_IN(T, row->gates, 3);          \
        const T *h = row->h, *dy = row->dy;                                              \
        T *dh = row->dh;                                                                 \
        T *wr = GATE(T, row->dw, 0), *wz = GATE(T, row->dw, 1),                          \
          *wn = GATE(T, row->dw, 2);                                                     \
        T *ur = GATE(T, row->du, 0), *uz = GATE(T, row->du, 1),                          \
          *un = GATE(T, row->du, 2);                                                     \
        TD_VECTOR for (int64_t j = 0; j < row->n; j++) {                                 \
            const T flow = dy[j] + dh[j], keep = z[j], fresh = n[j], reset = r[j];       \
            const T dn = flow * (1 - keep) * (1 - fresh * fresh);                        \
            const T dz = flow * (h[j] - fresh) * keep * (1 - keep);                      \
            const T dr = dn * u[j] * reset * (1 - reset);                                \
            wr[j] = ur[j] = dr;                                                          \
            wz[j] = uz[j] = dz;                                                          \
            wn[j] = dn;                                                                  \
            un[j] = dn * reset;                                                          \
            dh[j] = flow * keep;                                                         \
        }                                                                                \
    }

#define LSTM(T, S)                                                                       \
    static void lstm_##S(const td_cell_row *row) {                                       \
        T *gi = GATE(T, row->gates, 0), *gf = GATE(T, row->gates, 1),                    \
          *gg = GATE(T, row->gates, 2), *go = GATE(T, row->gates, 3);                    \
        const T *c = row->c;                                                             \
        T *y = row->y, *next = row->next;                                                \
        TD_VECTOR for (int64_t j = 0; j < row->n; j++) {                                 \
            const T i = td_sigmoid_##S(gi[j]), f = td_sigmoid_##S(gf[j]);                \
            const T g = td_tanh_##S(gg[j]);                                              \
            gi[j] = i;                                                                   \
            gf[j] = f;                                                                   \
            gg[j] = g;                                                                   \
            next[j] = f * c[j] + i * g;                                                  \
        }                                                                                \
        TD_VECTOR for (int64_t j = 0; j < row->n; j++) {                                 \
            const T o = td_sigmoid_##S(go[j]);                                           \
            go[j] = o;                                                                   \
            y[j] = o * td_tanh_##S(next[j]);                                             \
        }                                                                                \
    }                                                                                    \
    static void lstm_##S##_back(const td_cell_row_back *row) {                           \
        const T *gi = GATE_IN(T, row->gates, 0), *gf = GATE_IN(T, row->gates, 1),        \
                *gg = GATE_IN(T, row->gates, 2), *go = GATE_IN(T, row->gates, 3);        \
        const T *c = row->c, *next = row->next;                                          \
        const T *dy = row->dy, *dnext = row->dnext, *dh = row->dh;                       \
        T *dc = row->dc;                                                                 \
        T *wi = GATE(T, row->dw, 0), *wf = GATE(T, row->dw, 1),                          \
          *wg = GATE(T, row->dw, 2), *wo = GATE(T, row->dw, 3);                          \
        TD_VECTOR for (int64_t j = 0; j < row->n; j++) {                                 \
            const T i = gi[j], f = gf[j], g = gg[j], o = go[j];                          \
            const T bent = td_tanh_##S(next[j]), flow = dy[j] + dh[j];                   \
            const T into = dc[j] + dnext[j] + flow * o * (1 - bent * bent);              \
            wi[j] = into * g * i * (1 - i);                                              \
            wf[j] = into * c[j] * f * (1 - f);                                           \
            wg[j] = into * i * (1 - g * g);                                              \
            wo[j] = flow * bent * o * (1 - o);                                           \
            dc[j] = into * f;                                                            \
        }                                                                                \
    }

#define ALL(T, S)                                                                        \
    ELMAN(tanh_##S, T, td_tanh_##S(x), flow *(1 - y * y))                                \
    ELMAN(relu_##S, T, x <= 0 ? 0 : x, y <= 0 ? 0 : flow)                                \
    GRU(T, S)                                                                            \
    LSTM(T, S)
ALL(float, f32)
ALL(double, f64)

#define PAIR(cell)                                                                       \
    {                                                                                    \
        {cell##_f32, cell##_f32_back}, { cell##_f64, cell##_f64_back }                   \
    }
const td_recurrent_loops TD_LEVELED(td_recurrent_loops) = {
    [TD_CELL_TANH] = PAIR(tanh),
    [TD_CELL_RELU] = PAIR(relu),
    [TD_CELL_GRU] = PAIR(gru),
    [TD_CELL_LSTM] = PAIR(lstm),
};
