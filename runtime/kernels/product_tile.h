/* The tiles of a product for one element type: it takes S (f32 or f64) and REAL, its C type. A tile is a
 * block of c that stays in registers over the whole sum, some rows of a few vectors each. Included by
 * product_simd.c. */

#define OF_(name, s) name##_##s
#define OF__(name, s) OF_(name, s)
#define OF(name) OF__(name, S)
#define LANES ((int64_t)(VECTOR_BYTES / sizeof(REAL)))

#define EACH_ROW WRITTEN_OUT for (int r = 0; r < rows; r++)
#define EACH_VECTOR WRITTEN_OUT for (int v = 0; v < width; v++)
/* Only the last vector of a row may be short. */
#define LOAD(p)                                                                          \
    (v + 1 < width ? OF(load)((p) + v * LANES) : OF(load_part)((p) + v * LANES, last))

/* Rows of a are read in fours, each four from a pointer of its own, so that all of them share three
 * offsets and everything stays in registers. */
INLINE void OF(tile)(const int rows, const int width, const td_part *p, const REAL *a,
                     const REAL *b, REAL *c, int64_t c_row, const REAL *bias,
                     OF(mask) last) {
    OF(vec) sum[TALLEST][TD_PART_WIDEST];
    const int64_t row = p->a_row * (int64_t)sizeof *a,
                  step = p->a_col * (int64_t)sizeof *a;
    if (p->add) {
        EACH_ROW EACH_VECTOR sum[r][v] = LOAD(c + r * c_row);
    } else {
        EACH_ROW EACH_VECTOR sum[r][v] = OF(zero)();
    }
    for (int64_t s = 0; s < p->segments; s++, a += p->a_seg, b += p->b_seg) {
        const char *four[4] = {(const char *)a};
        WRITTEN_OUT for (int f = 1; f < 4; f++) four[f] = four[f - 1] + 4 * row;
        const REAL *from = b;
        for (int64_t q = p->k; q > 0; q--) {
            OF(vec) column[TD_PART_WIDEST];
            EACH_VECTOR column[v] = LOAD(from);
            if (p->ahead)
                EACH_VECTOR __builtin_prefetch(from + p->ahead + v * LANES, 0, 3);
            EACH_ROW {
                const REAL *at = (const REAL *)(const void *)(four[r / 4] + r % 4 * row);
                const OF(vec) x = OF(spread)(*at);
                EACH_VECTOR sum[r][v] = OF(link)(x, column[v], sum[r][v]);
            }
            WRITTEN_OUT for (int f = 0; f < 4; f++) four[f] += step;
            from += p->b_row;
        }
    }
    if (bias && p->bias_row) {
        EACH_ROW EACH_VECTOR sum[r][v] += OF(spread)(bias[r]);
    } else if (bias) {
        EACH_VECTOR {
            const OF(vec) x = LOAD(bias);
            EACH_ROW sum[r][v] += x;
        }
    }
    if (p->relu) EACH_ROW EACH_VECTOR sum[r][v] = OF(relu)(sum[r][v]);
    EACH_ROW EACH_VECTOR {
        REAL *to = c + r * c_row + v * LANES;
        if (v + 1 < width)
            OF(store)(to, sum[r][v]);
        else
            OF(store_part)(to, last, sum[r][v]);
    }
}

#define TILE(rows, width)                                                                \
    static void OF(tile_##rows##x##width)(const td_part *p, const REAL *a,               \
                                          const REAL *b, REAL *c, int64_t c_row,         \
                                          const REAL *bias, OF(mask) last) {             \
        OF(tile)(rows, width, p, a, b, c, c_row, bias, last);                            \
    }
TILES(TILE)
#undef TILE

typedef void OF(tile_fn)(const td_part *, const REAL *, const REAL *, REAL *, int64_t,
                         const REAL *, OF(mask));
#define TILE(rows, width) [width][rows] = OF(tile_##rows##x##width),
static OF(tile_fn) *const OF(tiles)[TD_PART_WIDEST + 1][TALLEST + 1] = {TILES(TILE)};
#undef TILE

/* A tile of c that does not lie by rows: it is made in a square of its own and copied. */
static void OF(tile_apart)(const td_part *p, OF(tile_fn) * tile, int64_t rows,
                           int64_t cols, const REAL *a, const REAL *b, REAL *c,
                           const REAL *bias, OF(mask) last) {
    REAL square[TALLEST * TD_PART_WIDEST * VECTOR_BYTES / sizeof(REAL)];
    const int64_t wide = TD_PART_WIDEST * LANES;
    if (p->add)
        for (int64_t j = 0; j < cols; j++)
            for (int64_t i = 0; i < rows; i++)
                square[i * wide + j] = c[i * p->c_row + j * p->c_col];
    tile(p, a, b, square, wide, bias, last);
    if (p->c_row == 1) {
        OF(turn_all)(rows, cols, square, wide, c, p->c_col);
        return;
    }
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++)
            c[i * p->c_row + j * p->c_col] = square[i * wide + j];
}

/* The tile that begins at row i and column j. */
INLINE void OF(one)(const td_part *p, OF(tile_fn) *const (*tiles)[TALLEST + 1], int64_t i,
                    int64_t rows, int64_t j) {
    int64_t panel = p->width * LANES;
    int64_t cols = p->n - j < panel ? p->n - j : panel;
    int64_t width = (cols + LANES - 1) / LANES;
    OF(mask) last = OF(mask_of)(cols - (width - 1) * LANES);
    OF(tile_fn) *tile = tiles[width][rows];
    const REAL *a = (const REAL *)p->a + i * p->a_row;
    const REAL *b = (const REAL *)p->b + j / panel * p->b_panel;
    const REAL *bias = p->bias;
    if (bias) bias += i * p->bias_row + j * p->bias_col;
    REAL *c = (REAL *)p->c + i * p->c_row + j * p->c_col;
    if (p->c_col == 1)
        tile(p, a, b, c, p->c_row, bias, last);
    else
        OF(tile_apart)(p, tile, rows, cols, a, b, c, bias, last);
}

#if NARROW
/* Tiles that share their last vector have rows in fours. */
static void OF(run_narrow)(const td_part *p) {
    int64_t i = 0, tall = NARROW_HEIGHT(p->width);
    for (int64_t rows; p->m - i >= 4; i += rows) {
        rows = p->m - i < tall ? (p->m - i) / 4 * 4 : tall;
        OF(one)(p, OF(narrow_tiles), i, rows, 0);
    }
    if (i < p->m) OF(one)(p, OF(tiles), i, p->m - i, 0);
}
#endif

/* Rows are dealt to tiles evenly, so that none is much lower than the others. */
static void OF(run)(const td_part *p) {
#if NARROW
    if (td_is_narrow(p->n, LANES) && p->n < p->width * LANES) {
        OF(run_narrow)(p);
        return;
    }
#endif
    int64_t panel = p->width * LANES, tallest = OF(tallest)[p->width];
    int64_t tiles = (p->m + tallest - 1) / tallest;
    int64_t rows = p->m / tiles, taller = p->m % tiles;
    if (p->rows_first) {
        for (int64_t t = 0, i = 0; t < tiles; i += rows + (t < taller), t++)
            for (int64_t j = 0; j < p->n; j += panel)
                OF(one)(p, OF(tiles), i, rows + (t < taller), j);
    } else {
        for (int64_t j = 0; j < p->n; j += panel)
            for (int64_t t = 0, i = 0; t < tiles; i += rows + (t < taller), t++)
                OF(one)(p, OF(tiles), i, rows + (t < taller), j);
    }
}

#undef OF
#undef OF_
#undef OF__
#undef LANES
#undef EACH_ROW
#undef EACH_VECTOR
#undef LOAD
