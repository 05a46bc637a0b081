/* The loops of normalisation for one dtype: included by norm_simd.c with REAL (float, double), TYPED(name)
 * and LOAD8. */

/* A run: blocks, each with its lanes; EACH adds element(s) to lanes. Elements past the end are given to
 * lanes that are already there: as numbers that add nothing. */
static void TYPED(run_sums)(int64_t n, const void *x_, double shift, double *sum) {
    const REAL *x = x_;
    double total = 0, square = 0;
    for (int64_t from = 0; from < n; from += TD_LANE_BLOCK) {
        int64_t left = n - from < TD_LANE_BLOCK ? n - from : TD_LANE_BLOCK, i = 0;
        const REAL *at = x + from;
        td_v8d a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
        for (; i + TD_LANES <= left; i += TD_LANES) {
            td_v8d d0, d1;
            LOAD8(d0, at + i);
            LOAD8(d1, at + i + 8);
            d0 -= shift;
            d1 -= shift;
            a0 += d0;
            a1 += d1;
            b0 += d0 * d0;
            b1 += d1 * d1;
        }
        double a[TD_LANES], b[TD_LANES];
        memcpy(a, &a0, sizeof a0);
        memcpy(a + 8, &a1, sizeof a1);
        memcpy(b, &b0, sizeof b0);
        memcpy(b + 8, &b1, sizeof b1);
        for (int j = 0; i < left; i++, j++) {
            double d = (double)at[i] - shift;
            a[j] += d;
            b[j] += d * d;
        }
        total += td_join_lanes(a);
        square += td_join_lanes(b);
    }
    sum[0] = total;
    sum[1] = square;
}

static void TYPED(run_grad_sums)(int64_t n, const void *x_, const void *dy_,
                                 const void *w_, double mean, double *sum) {
    const REAL *x = x_, *dy = dy_, *w = w_;
    double total = 0, product = 0;
    for (int64_t from = 0; from < n; from += TD_LANE_BLOCK) {
        int64_t left = n - from < TD_LANE_BLOCK ? n - from : TD_LANE_BLOCK, i = 0;
        td_v8d a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
        for (; i + TD_LANES <= left; i += TD_LANES) {
            td_v8d d0, d1, g0, g1;
            LOAD8(d0, x + from + i);
            LOAD8(d1, x + from + i + 8);
            LOAD8(g0, dy + from + i);
            LOAD8(g1, dy + from + i + 8);
            if (w) {
                td_v8d w0, w1;
                LOAD8(w0, w + from + i);
                LOAD8(w1, w + from + i + 8);
                g0 *= w0;
                g1 *= w1;
            }
            a0 += g0;
            a1 += g1;
            b0 += g0 * (d0 - mean);
            b1 += g1 * (d1 - mean);
        }
        double a[TD_LANES], b[TD_LANES];
        memcpy(a, &a0, sizeof a0);
        memcpy(a + 8, &a1, sizeof a1);
        memcpy(b, &b0, sizeof b0);
        memcpy(b + 8, &b1, sizeof b1);
        for (int j = 0; i < left; i++, j++) {
            double g = (double)dy[from + i] * (w ? (double)w[from + i] : 1);
            a[j] += g;
            b[j] += g * ((double)x[from + i] - mean);
        }
        total += td_join_lanes(a);
        product += td_join_lanes(b);
    }
    sum[0] = total;
    sum[1] = product;
}

/* ---- columns: lane[j] has one number for each column ---- */

typedef double TYPED(lane_row)[TD_NORM_COLUMNS];

/* Joins the lanes and adds them to the totals. */
static void TYPED(join_columns)(int64_t lanes, int64_t count, TYPED(lane_row) * lane,
                                double *total) {
    for (int64_t j = lanes; j < TD_LANES; j++)
        for (int64_t c = 0; c < count; c++) lane[j][c] = 0;
    for (int64_t width = TD_LANES / 2; width > 0; width /= 2)
        for (int64_t j = 0; j < width; j++) {
            const double *restrict from = lane[j + width];
            double *restrict to = lane[j];
            for (int64_t c = 0; c < count; c++) to[c] += from[c];
        }
    for (int64_t c = 0; c < count; c++) total[c] += lane[0][c];
}

static void TYPED(column_sums)(int64_t rows, int64_t step, int64_t count, const void *x_,
                               const double *restrict shift, double *sum,
                               double *square) {
    const REAL *x = x_;
    TYPED(lane_row) a[TD_LANES], b[TD_LANES];
    for (int64_t c = 0; c < count; c++) sum[c] = square[c] = 0;
    for (int64_t from = 0; from < rows; from += TD_LANE_BLOCK) {
        int64_t left = rows - from < TD_LANE_BLOCK ? rows - from : TD_LANE_BLOCK, i = 0;
        int64_t lanes = left < TD_LANES ? left : TD_LANES;
        for (int64_t j = 0; j < lanes; j++)
            for (int64_t c = 0; c < count; c++) a[j][c] = b[j][c] = 0;
        for (; i + 4 * TD_LANES <= left; i += 4 * TD_LANES)
            for (int64_t j = 0; j < TD_LANES; j++) {
                const REAL *restrict p0 = x + (from + i + j) * step;
                const REAL *restrict p1 = p0 + TD_LANES * step;
                const REAL *restrict p2 = p1 + TD_LANES * step;
                const REAL *restrict p3 = p2 + TD_LANES * step;
                double *restrict aj = a[j], *restrict bj = b[j];
                for (int64_t c = 0; c < count; c++) {
                    double d0 = (double)p0[c] - shift[c], d1 = (double)p1[c] - shift[c];
                    double d2 = (double)p2[c] - shift[c], d3 = (double)p3[c] - shift[c];
                    aj[c] = aj[c] + d0 + d1 + d2 + d3;
                    bj[c] = bj[c] + d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3;
                }
            }
        for (; i < left; i++) {
            const REAL *restrict p = x + (from + i) * step;
            double *restrict aj = a[i % TD_LANES], *restrict bj = b[i % TD_LANES];
            for (int64_t c = 0; c < count; c++) {
                double d = (double)p[c] - shift[c];
                aj[c] += d;
                bj[c] += d * d;
            }
        }
        TYPED(join_columns)(lanes, count, a, sum);
        TYPED(join_columns)(lanes, count, b, square);
    }
}

static void TYPED(column_grad_sums)(int64_t rows, int64_t step, int64_t count,
                                    const void *x_, const void *dy_,
                                    const double *restrict mean, double *sum,
                                    double *product) {
    const REAL *x = x_, *dy = dy_;
    TYPED(lane_row) a[TD_LANES], b[TD_LANES];
    for (int64_t c = 0; c < count; c++) sum[c] = product[c] = 0;
    for (int64_t from = 0; from < rows; from += TD_LANE_BLOCK) {
        int64_t left = rows - from < TD_LANE_BLOCK ? rows - from : TD_LANE_BLOCK, i = 0;
        int64_t lanes = left < TD_LANES ? left : TD_LANES;
        for (int64_t j = 0; j < lanes; j++)
            for (int64_t c = 0; c < count; c++) a[j][c] = b[j][c] = 0;
        for (; i + 4 * TD_LANES <= left; i += 4 * TD_LANES)
            for (int64_t j = 0; j < TD_LANES; j++) {
                int64_t at = (from + i + j) * step, far = TD_LANES * step;
                const REAL *restrict p = x + at, *restrict g = dy + at;
                double *restrict aj = a[j], *restrict bj = b[j];
                for (int64_t c = 0; c < count; c++) {
                    double m = mean[c];
                    double g0 = (double)g[c], g1 = (double)g[far + c];
                    double g2 = (double)g[2 * far + c], g3 = (double)g[3 * far + c];
                    aj[c] = aj[c] + g0 + g1 + g2 + g3;
                    bj[c] = bj[c] + g0 * ((double)p[c] - m) +
                            g1 * ((double)p[far + c] - m) +
                            g2 * ((double)p[2 * far + c] - m) +
                            g3 * ((double)p[3 * far + c] - m);
                }
            }
        for (; i < left; i++) {
            const REAL *restrict p = x + (from + i) * step;
            const REAL *restrict g = dy + (from + i) * step;
            double *restrict aj = a[i % TD_LANES], *restrict bj = b[i % TD_LANES];
            for (int64_t c = 0; c < count; c++) {
                aj[c] += (double)g[c];
                bj[c] += (double)g[c] * ((double)p[c] - mean[c]);
            }
        }
        TYPED(join_columns)(lanes, count, a, sum);
        TYPED(join_columns)(lanes, count, b, product);
    }
}

/* ---- element by element ---- */

static void TYPED(run_scale)(int64_t n, const void *x_, const void *m_, const void *a_,
                             const void *b_, void *y_) {
    const REAL *restrict x = x_;
    REAL *restrict y = y_;
    const REAL m = *(const REAL *)m_, a = *(const REAL *)a_, b = *(const REAL *)b_;
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - m) * a + b;
}

static void TYPED(column_scale)(int64_t rows, int64_t count, const void *x_,
                                const void *m_, const void *a_, const void *b_,
                                void *y_) {
    const REAL *restrict m = m_, *restrict a = a_, *restrict b = b_;
    for (int64_t r = 0; r < rows; r++) {
        const REAL *restrict x = (const REAL *)x_ + r * count;
        REAL *restrict y = (REAL *)y_ + r * count;
        for (int64_t c = 0; c < count; c++) y[c] = (x[c] - m[c]) * a[c] + b[c];
    }
}

static void TYPED(line_scale)(int64_t n, const void *x_, double m_, double r_,
                              const void *w_, const void *b_, void *y_) {
    const REAL *restrict x = x_, *restrict w = w_, *restrict b = b_;
    REAL *restrict y = y_;
    const REAL m = (REAL)m_, r = (REAL)r_;
    if (w)
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - m) * r * w[i] + b[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - m) * r;
}

static void TYPED(run_grad)(int64_t n, const void *x_, const void *dy_, const void *m_,
                            const void *a_, const void *b_, const void *c_, void *dx_) {
    const REAL *restrict x = x_, *restrict dy = dy_;
    REAL *restrict dx = dx_;
    const REAL m = *(const REAL *)m_, a = *(const REAL *)a_, b = *(const REAL *)b_;
    const REAL c = *(const REAL *)c_;
    for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * a + (x[i] - m) * b + c;
}

static void TYPED(column_grad)(int64_t rows, int64_t count, const void *x_,
                               const void *dy_, const void *m_, const void *a_,
                               const void *b_, const void *c_, void *dx_) {
    const REAL *restrict m = m_, *restrict a = a_, *restrict b = b_, *restrict e = c_;
    for (int64_t r = 0; r < rows; r++) {
        const REAL *restrict x = (const REAL *)x_ + r * count;
        const REAL *restrict dy = (const REAL *)dy_ + r * count;
        REAL *restrict dx = (REAL *)dx_ + r * count;
        for (int64_t c = 0; c < count; c++)
            dx[c] = dy[c] * a[c] + (x[c] - m[c]) * b[c] + e[c];
    }
}

static void TYPED(line_grad)(int64_t n, const void *x_, const void *dy_, const void *w_,
                             double m_, double r_, double b_, double c_, void *dx_,
                             double *restrict dw, double *restrict db) {
    const REAL *restrict x = x_, *restrict dy = dy_, *restrict w = w_;
    REAL *restrict dx = dx_;
    const REAL m = (REAL)m_, r = (REAL)r_, b = (REAL)b_, c = (REAL)c_;
    if (w)
        for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * (r * w[i]) + (x[i] - m) * b + c;
    else
        for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * r + (x[i] - m) * b + c;
    for (int64_t i = 0; i < n; i++) {
        dw[i] += (double)dy[i] * ((double)x[i] - m_) * r_;
        db[i] += (double)dy[i];
    }
}

static const td_norm_loops TYPED(loops) = {
    TYPED(run_sums),         TYPED(column_sums), TYPED(run_grad_sums),
    TYPED(column_grad_sums), TYPED(run_scale),   TYPED(column_scale),
    TYPED(line_scale),       TYPED(run_grad),    TYPED(column_grad),
    TYPED(line_grad),
};
