/* The loops of pool.c for one element type: it defines REAL and TYPED(name) and includes this. */

/* NaN beats every number, and nothing beats NaN: the first one stays. */
static inline bool TYPED(beats)(REAL v, REAL most) {
    return v > most || (v != v && most == most);
}

/* Two rows are read in step, without bounds and with selections in place of jumps. */
static void TYPED(max_2x2_row)(const td_pool *p, const REAL *top, int64_t base, REAL *y,
                               int64_t *index) {
    const REAL *bottom = top + p->w;
    for (int64_t j = 0; j < p->ow; j++) {
        int64_t left = 2 * j, right = left + 1;
        bool upper = TYPED(beats)(top[right], top[left]);
        bool lower = TYPED(beats)(bottom[right], bottom[left]);
        REAL above = upper ? top[right] : top[left],
             below = lower ? bottom[right] : bottom[left];
        int64_t at_above = upper ? right : left, at_below = p->w + (lower ? right : left);
        bool second = TYPED(beats)(below, above);
        y[j] = second ? below : above;
        index[j] = 1 + base + (second ? at_below : at_above);
    }
}

static void TYPED(max_row)(const td_pool *p, const REAL *plane, int64_t i, REAL *y,
                           int64_t *index) {
    span rows = inside(i, p->sh, p->ph, p->kh, p->h);
    for (int64_t j = 0; j < p->ow; j++) {
        span columns = inside(j, p->sw, p->pw, p->kw, p->w);
        int64_t at = rows.from * p->w + columns.from;
        REAL most = plane[at];
        for (int64_t r = rows.from; r < rows.to; r++)
            for (int64_t c = columns.from; c < columns.to; c++) {
                REAL v = plane[r * p->w + c];
                if (!TYPED(beats)(v, most)) continue;
                most = v;
                at = r * p->w + c;
            }
        y[j] = most;
        index[j] = 1 + at;
    }
}

static void TYPED(max_pool)(const td_pool *p, const REAL *x, REAL *y, int64_t *index) {
    bool plain = is_plain_2x2(p);
    for (int64_t n = 0; n < p->planes; n++, x += p->h * p->w)
        for (int64_t i = 0; i < p->oh; i++, y += p->ow, index += p->ow) {
            if (plain)
                TYPED(max_2x2_row)(p, x + 2 * i * p->w, 2 * i * p->w, y, index);
            else
                TYPED(max_row)(p, x, i, y, index);
        }
}

static void TYPED(max_back)(const td_pool *p, const REAL *dy, const int64_t *index,
                            REAL *dx) {
    int64_t each = p->oh * p->ow;
    for (int64_t n = 0; n < p->planes; n++, dx += p->h * p->w, dy += each, index += each)
        for (int64_t j = 0; j < each; j++) dx[index[j] - 1] += dy[j];
}

static void TYPED(avg_pool)(const td_pool *p, const REAL *x, REAL *y) {
    for (int64_t n = 0; n < p->planes; n++, x += p->h * p->w)
        for (int64_t i = 0; i < p->oh; i++) {
            span rows = inside(i, p->sh, p->ph, p->kh, p->h);
            for (int64_t j = 0; j < p->ow; j++) {
                span columns = inside(j, p->sw, p->pw, p->kw, p->w);
                REAL sum = 0;
                for (int64_t r = rows.from; r < rows.to; r++)
                    for (int64_t c = columns.from; c < columns.to; c++)
                        sum += x[r * p->w + c];
                *y++ = sum / (REAL)divisor(p, rows, columns);
            }
        }
}

static void TYPED(avg_back)(const td_pool *p, const REAL *dy, REAL *dx) {
    for (int64_t n = 0; n < p->planes; n++, dx += p->h * p->w)
        for (int64_t i = 0; i < p->oh; i++) {
            span rows = inside(i, p->sh, p->ph, p->kh, p->h);
            for (int64_t j = 0; j < p->ow; j++) {
                span columns = inside(j, p->sw, p->pw, p->kw, p->w);
                REAL share = *dy++ / (REAL)divisor(p, rows, columns);
                for (int64_t r = rows.from; r < rows.to; r++)
                    for (int64_t c = columns.from; c < columns.to; c++)
                        dx[r * p->w + c] += share;
            }
        }
}
