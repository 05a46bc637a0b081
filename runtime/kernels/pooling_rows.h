/* Pooling of one plane in rows, for one element type: pooling_simd.c defines REAL, WORD (an integer as
 * wide) and TYPED(name), and includes this. */

/* Which element of a window is largest is a matter of luck, and a wrong guess would cost more than the
 * window: so there are selections in place of jumps, and places are kept in integers as wide as the
 * elements, so that the compiler can take many windows at a time. */
static void TYPED(max_2x2_part)(const REAL *restrict top, const REAL *restrict bottom,
                                WORD width, int64_t n, REAL *restrict y,
                                WORD *restrict place) {
    for (int64_t j = 0; j < n; j++) {
        REAL b = top[2 * j + 1], c = bottom[2 * j], d = bottom[2 * j + 1];
        REAL most = top[2 * j];
        WORD at = TYPED(beats)(b, most) ? 1 : 0;
        most = TYPED(beats)(b, most) ? b : most;
        at = TYPED(beats)(c, most) ? width : at;
        most = TYPED(beats)(c, most) ? c : most;
        at = TYPED(beats)(d, most) ? width + 1 : at;
        y[j] = TYPED(beats)(d, most) ? d : most;
        place[j] = at;
    }
}

/* A row of the output; first is the position of the window's first element. */
static void TYPED(max_2x2_row)(const td_pooling *p, const REAL *top, int64_t first,
                               REAL *y, int32_t *index) {
    WORD place[PART];
    for (int64_t from = 0; from < p->ow; from += PART) {
        int64_t n = p->ow - from < PART ? p->ow - from : PART;
        const REAL *part = top + 2 * from;
        TYPED(max_2x2_part)(part, part + p->w, (WORD)p->w, n, y + from, place);
        for (int64_t j = 0; j < n; j++)
            index[from + j] = (int32_t)(first + 2 * (from + j) + place[j]);
    }
}

static void TYPED(max_row)(const td_pooling *p, const REAL *plane, int64_t i, REAL *y,
                           int32_t *index) {
    span rows = inside(i, p->sh, p->ph, p->kh, p->h);
    for (int64_t j = 0; j < p->ow; j++) {
        span columns = inside(j, p->sw, p->pw, p->kw, p->w);
        int64_t at = rows.from * p->w + columns.from;
        REAL most = plane[at];
        for (int64_t r = rows.from; r < rows.to; r++)
            for (int64_t c = columns.from; c < columns.to; c++) {
                REAL v = plane[r * p->w + c];
                bool more = TYPED(beats)(v, most);
                most = more ? v : most;
                at = more ? r * p->w + c : at;
            }
        y[j] = most;
        index[j] = (int32_t)(1 + at);
    }
}

static void TYPED(rows_max)(const td_pooling *p, const void *from, void *to,
                            int32_t *index) {
    const REAL *x = from;
    REAL *y = to;
    bool plain = is_plain_2x2(p);
    for (int64_t i = 0; i < p->oh; i++, y += p->ow, index += p->ow) {
        if (plain)
            TYPED(max_2x2_row)(p, x + 2 * i * p->w, 1 + 2 * i * p->w, y, index);
        else
            TYPED(max_row)(p, x, i, y, index);
    }
}

static void TYPED(rows_max_back)(const td_pooling *p, const void *from,
                                 const int32_t *index, void *to) {
    const REAL *dy = from;
    REAL *dx = to;
    memset(dx, 0, (size_t)(p->h * p->w) * sizeof *dx);
    for (int64_t j = 0; j < p->oh * p->ow; j++) dx[index[j] - 1] += dy[j];
}

static void TYPED(rows_avg)(const td_pooling *p, const void *from, void *to) {
    const REAL *x = from;
    REAL *y = to;
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

static void TYPED(rows_avg_back)(const td_pooling *p, const void *from, void *to) {
    const REAL *dy = from;
    REAL *dx = to;
    memset(dx, 0, (size_t)(p->h * p->w) * sizeof *dx);
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
