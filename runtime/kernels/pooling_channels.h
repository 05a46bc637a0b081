/* Pooling of one image with channels last, for one element type: pooling_simd.c defines REAL, WORD (an
 * integer as wide) and TYPED(name), and includes this. A window is worked off for all channels at once, so
 * that every loop runs along memory. */

/* NaN beats everything, other NaNs too: of several, the last one is taken, as in PyTorch. */
static inline bool TYPED(beats)(REAL v, REAL most) { return (v > most) | (v != v); }

/* Channels are taken LANES at a time, then SOME, then one by one; the last LANES or SOME may take some for the
 * second time, which changes nothing: a choice between two numbers is only free of branches where the compiler
 * knows how many there are. */
#ifndef TD_POOLING_LANES
#define TD_POOLING_LANES
enum { LANES = 16, SOME = 4 };
#endif

/* Where the next `n` of channels begin: not behind the last that many. */
#define NEXT(c, n) ((c) + (n) <= channels ? (c) : channels - (n))

/* So many channels of a window of kh x kw that lies inside; all three are known where this is inlined. `first`
 * is the position of x. Places inside the window are kept in integers as wide as the elements. */
static inline __attribute__((always_inline)) void
TYPED(max_lanes)(const REAL *x, int64_t channels, int64_t width, int64_t first,
                 const int n, const int kh, const int kw, REAL *y, int32_t *index) {
    TD_VECTOR for (int c = 0; c < n; c++) {
        REAL most = x[c];
        WORD at = 0;
        for (int r = 0; r < kh; r++)
            for (int s = 0; s < kw; s++) {
                if (r == 0 && s == 0) continue;
                REAL v = x[(r * width + s) * channels + c];
                bool more = TYPED(beats)(v, most);
                at = more ? (WORD)(r * width + s) : at;
                most = more ? v : most;
            }
        y[c] = most;
        index[c] = (int32_t)first + (int32_t)at;
    }
}

static inline __attribute__((always_inline)) void
TYPED(max_window)(const REAL *x, int64_t channels, int64_t width, int64_t first,
                  const int kh, const int kw, REAL *y, int32_t *index) {
    int64_t c = 0;
    for (; channels >= LANES && c < channels; c += LANES) {
        c = NEXT(c, LANES);
        TYPED(max_lanes)(x + c, channels, width, first, LANES, kh, kw, y + c, index + c);
    }
    for (; channels >= SOME && c < channels; c += SOME) {
        c = NEXT(c, SOME);
        TYPED(max_lanes)(x + c, channels, width, first, SOME, kh, kw, y + c, index + c);
    }
    for (; c < channels; c++)
        TYPED(max_lanes)(x + c, channels, width, first, 1, kh, kw, y + c, index + c);
}

/* Any window, element by element of it. */
static void TYPED(max_any)(const td_pooling *p, const REAL *x, span rows, span columns,
                           REAL *y, int32_t *index) {
    const int64_t channels = p->channels; /* which no store can change */
    int64_t at = rows.from * p->w + columns.from;
    for (int64_t c = 0; c < channels; c++) {
        y[c] = x[at * channels + c];
        index[c] = (int32_t)(1 + at);
    }
    for (int64_t r = rows.from; r < rows.to; r++)
        for (int64_t s = columns.from; s < columns.to; s++) {
            int64_t here = r * p->w + s;
            const REAL *v = x + here * channels;
            TD_VECTOR for (int64_t c = 0; c < channels; c++) {
                REAL most = y[c];
                int32_t was = index[c];
                bool more = TYPED(beats)(v[c], most);
                y[c] = more ? v[c] : most;
                index[c] = more ? (int32_t)(1 + here) : was;
            }
        }
}

static void TYPED(channels_max)(const td_pooling *p, const void *from, void *to,
                                int32_t *index) {
    const REAL *x = from;
    REAL *y = to;
    bool small = p->w < INT32_MAX / 4;
    for (int64_t i = 0; i < p->oh; i++) {
        span rows = inside(i, p->sh, p->ph, p->kh, p->h);
        for (int64_t j = 0; j < p->ow; j++, y += p->channels, index += p->channels) {
            span columns = inside(j, p->sw, p->pw, p->kw, p->w);
            int64_t kh = rows.to - rows.from, kw = columns.to - columns.from,
                    at = rows.from * p->w + columns.from;
            const REAL *first = x + at * p->channels;
            if (kh == 2 && kw == 2 && small)
                TYPED(max_window)(first, p->channels, p->w, 1 + at, 2, 2, y, index);
            else if (kh == 3 && kw == 3 && small)
                TYPED(max_window)(first, p->channels, p->w, 1 + at, 3, 3, y, index);
            else
                TYPED(max_any)(p, x, rows, columns, y, index);
        }
    }
}

/* Puts each of n gradients into its place of a window of 2 x 2 and zeros into the others. Returns how many
 * places were none of the four. A sum that begins at 0 has no negative zero. */
static inline __attribute__((always_inline)) int
TYPED(spread_lanes)(int64_t channels, int64_t width, int64_t first, const int n,
                    const REAL *dy, const int32_t *index, REAL *dx) {
    REAL *below = dx + width * channels;
    WORD strays = 0, down = (WORD)width;
    TD_VECTOR for (int c = 0; c < n; c++) {
        REAL g = dy[c] + 0;
        WORD at = (WORD)(index[c] - first);
        dx[c] = at == 0 ? g : 0;
        dx[channels + c] = at == 1 ? g : 0;
        below[c] = at == down ? g : 0;
        below[channels + c] = at == down + 1 ? g : 0;
        strays += (at != 0) & (at != 1) & (at != down) & (at != down + 1);
    }
    return (int)strays;
}

/* Returns whether every place was one of the four. */
static bool TYPED(spread_2x2)(int64_t channels, int64_t width, int64_t first,
                              const REAL *dy, const int32_t *index, REAL *dx) {
    int strays = 0;
    int64_t c = 0;
    for (; channels >= LANES && c < channels; c += LANES) {
        c = NEXT(c, LANES);
        strays +=
            TYPED(spread_lanes)(channels, width, first, LANES, dy + c, index + c, dx + c);
    }
    for (; channels >= SOME && c < channels; c += SOME) {
        c = NEXT(c, SOME);
        strays +=
            TYPED(spread_lanes)(channels, width, first, SOME, dy + c, index + c, dx + c);
    }
    for (; c < channels; c++)
        strays +=
            TYPED(spread_lanes)(channels, width, first, 1, dy + c, index + c, dx + c);
    return strays == 0;
}

/* What windows of kh x kw, laid side by side from the first element, leave over. */
static void TYPED(clear_rest)(const td_pooling *p, int64_t kh, int64_t kw, REAL *dx) {
    int64_t rows = p->oh * kh, columns = p->ow * kw;
    size_t row = (size_t)(p->w * p->channels),
           rest = (size_t)((p->w - columns) * p->channels);
    for (int64_t r = 0; r < rows && rest > 0; r++)
        memset(dx + (size_t)r * row + (row - rest), 0, rest * sizeof *dx);
    memset(dx + (size_t)rows * row, 0, (size_t)(p->h - rows) * row * sizeof *dx);
}

/* From sizes alone it looks as if windows were 2 x 2 side by side; false: they were not. */
static bool TYPED(max_back_2x2)(const td_pooling *p, const REAL *dy, const int32_t *index,
                                REAL *dx) {
    if (p->h / 2 != p->oh || p->w / 2 != p->ow || p->h * p->w >= INT32_MAX) return false;
    bool all = true;
    for (int64_t i = 0; i < p->oh && all; i++)
        for (int64_t j = 0; j < p->ow && all; j++) {
            int64_t at = 2 * i * p->w + 2 * j;
            all = TYPED(spread_2x2)(p->channels, p->w, 1 + at, dy, index,
                                    dx + at * p->channels);
            dy += p->channels, index += p->channels;
        }
    if (all) TYPED(clear_rest)(p, 2, 2, dx);
    return all;
}

static void TYPED(channels_max_back)(const td_pooling *p, const void *from,
                                     const int32_t *index, void *to) {
    const REAL *dy = from;
    REAL *dx = to;
    if (TYPED(max_back_2x2)(p, dy, index, dx)) return;
    const int64_t channels = p->channels, count = p->oh * p->ow;
    memset(dx, 0, (size_t)(p->h * p->w * channels) * sizeof *dx);
    for (int64_t j = 0; j < count; j++) {
        TD_VECTOR for (int64_t c = 0; c < channels; c++)
            dx[(int64_t)(index[c] - 1) * channels + c] += dy[c];
        dy += channels, index += channels;
    }
}

/* ---- averages ---- */

static inline __attribute__((always_inline)) void
TYPED(avg_window)(const REAL *x, int64_t channels, int64_t width, REAL count,
                  const int kh, const int kw, REAL *y) {
    TD_VECTOR for (int64_t c = 0; c < channels; c++) {
        REAL sum = 0;
        for (int r = 0; r < kh; r++)
            for (int s = 0; s < kw; s++) sum += x[(r * width + s) * channels + c];
        y[c] = sum / count;
    }
}

static void TYPED(avg_any)(const td_pooling *p, const REAL *x, span rows, span columns,
                           REAL count, REAL *y) {
    for (int64_t c = 0; c < p->channels; c++) y[c] = 0;
    for (int64_t r = rows.from; r < rows.to; r++)
        for (int64_t s = columns.from; s < columns.to; s++) {
            const REAL *v = x + (r * p->w + s) * p->channels;
            TD_VECTOR for (int64_t c = 0; c < p->channels; c++) y[c] += v[c];
        }
    TD_VECTOR for (int64_t c = 0; c < p->channels; c++) y[c] /= count;
}

static void TYPED(channels_avg)(const td_pooling *p, const void *from, void *to) {
    const REAL *x = from;
    REAL *y = to;
    for (int64_t i = 0; i < p->oh; i++) {
        span rows = inside(i, p->sh, p->ph, p->kh, p->h);
        for (int64_t j = 0; j < p->ow; j++, y += p->channels) {
            span columns = inside(j, p->sw, p->pw, p->kw, p->w);
            int64_t kh = rows.to - rows.from, kw = columns.to - columns.from;
            const REAL *first = x + (rows.from * p->w + columns.from) * p->channels;
            REAL count = (REAL)divisor(p, rows, columns);
            if (kh == 2 && kw == 2)
                TYPED(avg_window)(first, p->channels, p->w, count, 2, 2, y);
            else if (kh == 3 && kw == 3)
                TYPED(avg_window)(first, p->channels, p->w, count, 3, 3, y);
            else
                TYPED(avg_any)(p, x, rows, columns, count, y);
        }
    }
}

/* Where each element has one window at most its gradient is that window's share and nothing is added;
 * a sum that begins at 0 has no negative zero. */
static void TYPED(channels_avg_back)(const td_pooling *p, const void *from, void *to) {
    const REAL *dy = from;
    REAL *dx = to;
    bool tiled = is_tiled(p);
    if (tiled)
        TYPED(clear_rest)(p, p->kh, p->kw, dx);
    else
        memset(dx, 0, (size_t)(p->h * p->w * p->channels) * sizeof *dx);
    for (int64_t i = 0; i < p->oh; i++) {
        span rows = inside(i, p->sh, p->ph, p->kh, p->h);
        for (int64_t j = 0; j < p->ow; j++, dy += p->channels) {
            span columns = inside(j, p->sw, p->pw, p->kw, p->w);
            REAL count = (REAL)divisor(p, rows, columns);
            for (int64_t r = rows.from; r < rows.to; r++)
                for (int64_t s = columns.from; s < columns.to; s++) {
                    REAL *at = dx + (r * p->w + s) * p->channels;
                    if (tiled) {
                        TD_VECTOR for (int64_t c = 0; c < p->channels; c++) at[c] =
                            dy[c] / count + 0;
                    } else {
                        TD_VECTOR for (int64_t c = 0; c < p->channels; c++) at[c] +=
                            dy[c] / count;
                    }
                }
        }
    }
}
