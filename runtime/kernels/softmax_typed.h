/* The loops of softmax for one dtype: included by softmax_simd.c with REAL (float, double), TYPED(name), EXP
 * and LOG (of a double at least 1, to a REAL) and LOAD8.
 *
 * A tile has TILE lines as its columns: row k holds element k of each. Sums have LANES rows of as many
 * doubles. */

typedef double TYPED(lane_row)[TILE];

static inline __attribute__((always_inline)) void
TYPED(clear_lanes)(int64_t width, int64_t left, TYPED(lane_row) * lane) {
    for (int64_t j = 0; j < TD_LANES && j < left; j++)
        for (int64_t w = 0; w < width; w++) lane[j][w] = 0;
}

/* Joins the lanes of a block of `left` rows as a tree; lanes past them hold nothing. */
static inline __attribute__((always_inline)) void
TYPED(join_lanes)(int64_t width, int64_t left, TYPED(lane_row) * lane, double *total) {
    for (int64_t half = TD_LANES / 2; half > 0; half /= 2)
        for (int64_t j = 0; j < half && j + half < left; j++)
            for (int64_t w = 0; w < width; w++) lane[j][w] += lane[j + half][w];
    for (int64_t w = 0; w < width; w++) total[w] += lane[0][w];
}

/* A NaN is never the largest and passes through the differences. */
static inline __attribute__((always_inline)) void
TYPED(tile)(bool as_log, int64_t width, int64_t length, int64_t step,
            const REAL *restrict x, REAL *restrict y) {
    REAL most[TILE], change[TILE];
    double total[TILE] = {0};
    TYPED(lane_row) lane[TD_LANES];
    for (int64_t w = 0; w < width; w++) most[w] = x[w];
    for (int64_t w = 0; w < width; w++)
        most[w] = most[w] == most[w] ? most[w] : -(REAL)INFINITY;
    for (int64_t k = 1; k < length; k++)
        for (int64_t w = 0; w < width; w++)
            most[w] = x[k * step + w] > most[w] ? x[k * step + w] : most[w];
    for (int64_t from = 0; from < length; from += TD_LANE_BLOCK) {
        int64_t left = length - from < TD_LANE_BLOCK ? length - from : TD_LANE_BLOCK;
        TYPED(clear_lanes)(width, left, lane);
        for (int64_t k = 0; k < left; k++) {
            const REAL *restrict xk = x + (from + k) * step;
            REAL *restrict yk = y + (from + k) * step;
            double *restrict sum = lane[k % TD_LANES];
            TD_VECTOR for (int64_t w = 0; w < width; w++) {
                REAL d = xk[w] - most[w], e = EXP(d);
                sum[w] += (double)e;
                yk[w] = as_log ? d : e;
            }
        }
        TYPED(join_lanes)(width, left, lane, total);
    }
    TD_VECTOR for (int64_t w = 0; w < width; w++) change[w] =
        as_log ? LOG(total[w]) : (REAL)(1 / total[w]);
    for (int64_t k = 0; k < length; k++) {
        REAL *restrict yk = y + k * step;
        for (int64_t w = 0; w < width; w++)
            yk[w] = as_log ? yk[w] - change[w] : yk[w] * change[w];
    }
}

static inline __attribute__((always_inline)) void
TYPED(grad_tile)(bool as_log, int64_t width, int64_t length, int64_t step,
                 const REAL *restrict dy, const REAL *restrict y, REAL *restrict dx) {
    REAL sum[TILE];
    double total[TILE] = {0};
    TYPED(lane_row) lane[TD_LANES];
    for (int64_t from = 0; from < length; from += TD_LANE_BLOCK) {
        int64_t left = length - from < TD_LANE_BLOCK ? length - from : TD_LANE_BLOCK;
        TYPED(clear_lanes)(width, left, lane);
        for (int64_t k = 0; k < left; k++) {
            const REAL *restrict g = dy + (from + k) * step;
            const REAL *restrict yk = y + (from + k) * step;
            double *restrict to = lane[k % TD_LANES];
            for (int64_t w = 0; w < width; w++)
                to[w] += as_log ? (double)g[w] : (double)g[w] * (double)yk[w];
        }
        TYPED(join_lanes)(width, left, lane, total);
    }
    for (int64_t w = 0; w < width; w++) sum[w] = (REAL)total[w];
    for (int64_t k = 0; k < length; k++) {
        const REAL *restrict g = dy + k * step, *restrict yk = y + k * step;
        REAL *restrict to = dx + k * step;
        TD_VECTOR for (int64_t w = 0; w < width; w++) to[w] =
            as_log ? g[w] - EXP(yk[w]) * sum[w] : yk[w] * (g[w] - sum[w]);
    }
}

static void TYPED(columns)(bool as_log, int64_t width, int64_t length, int64_t step,
                           const void *x, void *y) {
    if (width == TILE)
        as_log ? TYPED(tile)(true, TILE, length, step, x, y)
               : TYPED(tile)(false, TILE, length, step, x, y);
    else
        TYPED(tile)(as_log, width, length, step, x, y);
}

static void TYPED(grad_columns)(bool as_log, int64_t width, int64_t length, int64_t step,
                                const void *dy, const void *y, void *dx) {
    if (width == TILE)
        as_log ? TYPED(grad_tile)(true, TILE, length, step, dy, y, dx)
               : TYPED(grad_tile)(false, TILE, length, step, dy, y, dx);
    else
        TYPED(grad_tile)(as_log, width, length, step, dy, y, dx);
}

/* ---- lines one after another ---- */

/* The lines of x, shorter than SHORT, as the columns of a tile; columns past them repeat the last. */
static void TYPED(turn)(int64_t lines, int64_t length, const REAL *restrict x,
                        REAL *restrict tile) {
    for (int64_t k = 0; k < length; k++)
        for (int64_t w = 0; w < TILE; w++)
            tile[k * TILE + w] = x[(w < lines ? w : lines - 1) * length + k];
}

static void TYPED(turn_back)(int64_t lines, int64_t length, const REAL *restrict tile,
                             REAL *restrict y) {
    for (int64_t w = 0; w < lines; w++)
        for (int64_t k = 0; k < length; k++) y[w * length + k] = tile[k * TILE + w];
}

/* The sum of n numbers, in the order of all sums. */
static double TYPED(sum)(int64_t n, const REAL *x) {
    td_v8d a0 = {0}, a1 = {0};
    int64_t i = 0;
    for (; i + TD_LANES <= n; i += TD_LANES) {
        td_v8d x0, x1;
        LOAD8(x0, x + i);
        LOAD8(x1, x + i + 8);
        a0 += x0;
        a1 += x1;
    }
    double lane[TD_LANES];
    memcpy(lane, &a0, sizeof a0);
    memcpy(lane + 8, &a1, sizeof a1);
    for (int j = 0; i < n; i++, j++) lane[j] += (double)x[i];
    return td_join_lanes(lane);
}

static REAL TYPED(largest)(int64_t n, const REAL *x) {
    REAL lane[TILE];
    for (int j = 0; j < TILE; j++) lane[j] = -(REAL)INFINITY;
    int64_t i = 0;
    for (; i + TILE <= n; i += TILE)
        ROLLED for (int j = 0; j < TILE; j++) lane[j] =
            x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (int j = 0; i < n; i++, j++) lane[j] = x[i] > lane[j] ? x[i] : lane[j];
    REAL most = lane[0];
    for (int j = 1; j < TILE; j++) most = lane[j] > most ? lane[j] : most;
    return most;
}

/* e = exp(x - most) for n elements, and y the difference or e. Whole tiles, so that no element is left to
 * a loop of single ones. */
static void TYPED(exps)(bool as_log, int64_t n, REAL most, const REAL *restrict x,
                        REAL *restrict e, REAL *restrict y) {
    int64_t whole = n / TILE * TILE;
    TD_VECTOR for (int64_t i = 0; i < whole; i++) {
        REAL d = x[i] - most;
        e[i] = EXP(d);
        y[i] = as_log ? d : e[i];
    }
    if (whole == n) return;
    REAL d[TILE];
    for (int64_t i = 0; i < TILE; i++) d[i] = x[whole + i < n ? whole + i : n - 1] - most;
    TD_VECTOR for (int64_t i = 0; i < TILE; i++) e[whole + i] = EXP(d[i]);
    for (int64_t i = whole; i < n; i++) y[i] = as_log ? d[i - whole] : e[i];
}

static void TYPED(line)(bool as_log, int64_t length, const REAL *restrict x,
                        REAL *restrict y) {
    REAL e[TD_LANE_BLOCK], most = TYPED(largest)(length, x);
    double total = 0;
    for (int64_t from = 0; from < length; from += TD_LANE_BLOCK) {
        int64_t left = length - from < TD_LANE_BLOCK ? length - from : TD_LANE_BLOCK;
        TYPED(exps)(as_log, left, most, x + from, e, y + from);
        total += TYPED(sum)(left, e);
    }
    const REAL change = as_log ? LOG(total) : (REAL)(1 / total);
    if (as_log)
        for (int64_t i = 0; i < length; i++) y[i] -= change;
    else
        for (int64_t i = 0; i < length; i++) y[i] *= change;
}

static void TYPED(grad_line)(bool as_log, int64_t length, const REAL *restrict dy,
                             const REAL *restrict y, REAL *restrict dx) {
    double total = 0;
    for (int64_t from = 0; from < length; from += TD_LANE_BLOCK) {
        int64_t left = length - from < TD_LANE_BLOCK ? length - from : TD_LANE_BLOCK;
        if (as_log) {
            total += TYPED(sum)(left, dy + from);
        } else {
            double product[TD_LANE_BLOCK];
            for (int64_t i = 0; i < left; i++)
                product[i] = (double)dy[from + i] * (double)y[from + i];
            total += sum_f64(left, product);
        }
    }
    const REAL sum = (REAL)total;
    if (!as_log) {
        for (int64_t i = 0; i < length; i++) dx[i] = y[i] * (dy[i] - sum);
        return;
    }
    int64_t whole = length / TILE * TILE;
    TD_VECTOR for (int64_t i = 0; i < whole; i++) dx[i] = dy[i] - EXP(y[i]) * sum;
    if (whole == length) return;
    REAL e[TILE];
    for (int64_t i = 0; i < TILE; i++)
        e[i] = y[whole + i < length ? whole + i : length - 1];
    TD_VECTOR for (int64_t i = 0; i < TILE; i++) e[i] = EXP(e[i]);
    for (int64_t i = whole; i < length; i++) dx[i] = dy[i] - e[i - whole] * sum;
}

static void TYPED(lines)(bool as_log, int64_t lines, int64_t length, const void *x_,
                         void *y_) {
    const REAL *x = x_;
    REAL *y = y_, tile[TD_SOFTMAX_SHORT * TILE], made[TD_SOFTMAX_SHORT * TILE];
    if (length >= TD_SOFTMAX_SHORT) {
        for (int64_t i = 0; i < lines; i++)
            TYPED(line)(as_log, length, x + i * length, y + i * length);
        return;
    }
    TYPED(turn)(lines, length, x, tile);
    TYPED(columns)(as_log, TILE, length, TILE, tile, made);
    TYPED(turn_back)(lines, length, made, y);
}

static void TYPED(grad_lines)(bool as_log, int64_t lines, int64_t length, const void *dy_,
                              const void *y_, void *dx_) {
    const REAL *dy = dy_, *y = y_;
    REAL *dx = dx_, made[TD_SOFTMAX_SHORT * TILE];
    REAL tile[TD_SOFTMAX_SHORT * TILE], g[TD_SOFTMAX_SHORT * TILE];
    if (length >= TD_SOFTMAX_SHORT) {
        for (int64_t i = 0; i < lines; i++) TYPED(grad_line)
        (as_log, length, dy + i * length, y + i * length, dx + i * length);
        return;
    }
    TYPED(turn)(lines, length, dy, g);
    TYPED(turn)(lines, length, y, tile);
    TYPED(grad_columns)(as_log, TILE, length, TILE, g, tile, made);
    TYPED(turn_back)(lines, length, made, dx);
}

static const td_softmax_loops TYPED(loops) = {TYPED(lines), TYPED(grad_lines),
                                              TYPED(columns), TYPED(grad_columns)};
