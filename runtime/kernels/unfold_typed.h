/* The loops of unfold.c for one element type: it defines REAL and TYPED(name) and includes this. */

/* Rows are short, 8 to 30 elements: pieces of a fixed size need no call. */
static inline void TYPED(copy_row)(REAL *to, const REAL *from, int64_t n) {
    int64_t j = 0;
    for (; j + 8 <= n; j += 8) memcpy(to + j, from + j, 8 * sizeof *to);
    for (; j < n; j++) to[j] = from[j];
}

static void TYPED(unfold)(const td_unfold *u, const REAL *image, REAL *plane) {
    const td_conv *v = u->conv;
    for (int64_t c = 0; c < v->c; c++, image += v->h * v->w)
        for (int64_t tap = 0; tap < u->taps; tap++, plane += u->line) {
            int64_t shift = tap % v->kw * v->dw - v->pw;
            span met = inside(v, shift);
            REAL *out = plane;
            for (int64_t row = 0; row < u->rows; row++, out += v->ow) {
                int64_t y = image_row(u, tap, row);
                if (y < 0 || y >= v->h) {
                    memset(out, 0, (size_t)v->ow * sizeof *out);
                    continue;
                }
                const REAL *in = image + y * v->w + shift;
                for (int64_t j = 0; j < met.from; j++) out[j] = 0;
                if (v->sw == 1)
                    TYPED(copy_row)(out + met.from, in + met.from, met.to - met.from);
                else
                    for (int64_t j = met.from; j < met.to; j++) out[j] = in[j * v->sw];
                for (int64_t j = met.to; j < v->ow; j++) out[j] = 0;
            }
        }
}

static void TYPED(fold)(const td_unfold *u, const REAL *plane, REAL *image) {
    const td_conv *v = u->conv;
    for (int64_t c = 0; c < v->c; c++, image += v->h * v->w)
        for (int64_t tap = 0; tap < u->taps; tap++, plane += u->line) {
            int64_t shift = tap % v->kw * v->dw - v->pw;
            span met = inside(v, shift);
            const REAL *in = plane;
            for (int64_t row = 0; row < u->rows; row++, in += v->ow) {
                int64_t y = image_row(u, tap, row);
                if (y < 0 || y >= v->h) continue;
                REAL *out = image + y * v->w + shift;
                if (v->sw == 1)
                    for (int64_t j = met.from; j < met.to; j++) out[j] += in[j];
                else
                    for (int64_t j = met.from; j < met.to; j++) out[j * v->sw] += in[j];
            }
        }
}
