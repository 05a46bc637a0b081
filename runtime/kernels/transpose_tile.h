/* Transposition for one element type: it takes S (f32 or f64) and REAL, its C type. Squares of 16 bytes a
 * row are turned within the quarters of vectors; a vector holds as many rows of `from` as it has lanes.
 * Included by product_simd.c. */

#define OF_(name, s) name##_##s
#define OF__(name, s) OF_(name, s)
#define OF(name) OF__(name, S)
#define LANES ((int64_t)(VECTOR_BYTES / sizeof(REAL)))
#define SIDE ((int)(16 / sizeof(REAL))) /* of a square */
#define QUARTERS (VECTOR_BYTES / 16)

/* As many rows as a vector has lanes, or fewer; then the last of them is read for those that are not there,
 * and not stored. */
INLINE void OF(turn_band)(const bool full, int64_t rows, int64_t cols, const REAL *from,
                          int64_t from_row, REAL *to, int64_t to_row) {
    OF(mask) some = OF(mask_of)(full ? 0 : rows);
    int64_t start[QUARTERS * SIDE];
    for (int r = 0; r < QUARTERS * SIDE; r++)
        start[r] = (full || r < rows ? r : rows - 1) * from_row;
    int64_t j = 0;
    for (; j + SIDE <= cols; j += SIDE) {
        OF(vec) x[SIDE];
        WRITTEN_OUT for (int i = 0; i < SIDE; i++) {
            const REAL *place[QUARTERS];
            WRITTEN_OUT for (int q = 0; q < QUARTERS; q++) place[q] =
                from + j + start[q * SIDE + i];
            x[i] = OF(gather)(place);
        }
        OF(turn)(x);
        WRITTEN_OUT for (int i = 0; i < SIDE; i++) {
            if (full)
                OF(store)(to + (j + i) * to_row, x[i]);
            else
                OF(store_part)(to + (j + i) * to_row, some, x[i]);
        }
    }
    for (; j < cols; j++)
        for (int64_t r = 0; r < rows; r++) to[j * to_row + r] = from[r * from_row + j];
}

static __attribute__((noinline)) void OF(turn_all)(int64_t rows, int64_t cols,
                                                   const void *from, int64_t from_row,
                                                   void *to, int64_t to_row) {
    const REAL *x = from;
    REAL *y = to;
    int64_t i = 0;
    for (; i + LANES <= rows; i += LANES)
        OF(turn_band)(true, LANES, cols, x + i * from_row, from_row, y + i, to_row);
    if (i < rows)
        OF(turn_band)(false, rows - i, cols, x + i * from_row, from_row, y + i, to_row);
}

/* rows x cols numbers, row by row. */
static void OF(copy_all)(int64_t rows, int64_t cols, const void *from, int64_t from_row,
                         void *to, int64_t to_row) {
    const REAL *x = from;
    REAL *y = to;
    for (; rows > 0; rows--, x += from_row, y += to_row) {
        int64_t j = 0;
        for (; j + LANES <= cols; j += LANES) OF(store)(y + j, OF(load)(x + j));
        OF(mask) some = OF(mask_of)(cols - j);
        if (j < cols) OF(store_part)(y + j, some, OF(load_part)(x + j, some));
    }
}

#undef OF
#undef OF_
#undef OF__
#undef LANES
#undef SIDE
#undef QUARTERS
