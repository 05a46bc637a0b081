/* Tiles whose last vector would hold four columns or fewer (n = 20, 50): there a quarter of a vector is
 * enough for a row, and four rows share one. f32 with 16 lanes; included by product_simd.c. */

#define EACH_FOUR WRITTEN_OUT for (int f = 0; f < rows / 4; f++)
#define EACH_OF_FOUR WRITTEN_OUT for (int r = 0; r < 4; r++)
#define EACH_FULL WRITTEN_OUT for (int v = 0; v < width - 1; v++)

/* One number of each of four rows, each in its quarter. */
INLINE vec_f32 join_quarter(vec_f32 four, int r, vec_f32 x) {
    return r == 0 ? x : _mm512_mask_mov_ps(four, (mask_f32)(0xf << 4 * r), x);
}

/* The quarter of row r of a vector stands in memory where it would if the vector lay there. */
INLINE float *quarter_at(float *c, int r) {
    return (float *)((uintptr_t)c - (uintptr_t)r * 16);
}

INLINE vec_f32 spread_quarter(const float *p, mask_f32 last) {
    return _mm512_broadcast_f32x4(_mm_maskz_loadu_ps((__mmask8)last, p));
}

INLINE void narrow_tile(const int rows, const int width, const td_part *p, const float *a,
                        const float *b, float *c, int64_t c_row, const float *bias,
                        mask_f32 last) {
    vec_f32 sum[TALLEST][TD_PART_WIDEST], tail[TALLEST / 4];
    const int64_t row = p->a_row * (int64_t)sizeof *a,
                  step = p->a_col * (int64_t)sizeof *a;
    float *c_tail = c + (width - 1) * 16;
    EACH_FOUR {
        tail[f] = zero_f32();
        EACH_OF_FOUR {
            EACH_FULL sum[4 * f + r][v] =
                p->add ? load_f32(c + (4 * f + r) * c_row + v * 16) : zero_f32();
            if (p->add)
                tail[f] =
                    _mm512_mask_loadu_ps(tail[f], (mask_f32)(last << 4 * r),
                                         quarter_at(c_tail + (4 * f + r) * c_row, r));
        }
    }
    for (int64_t s = 0; s < p->segments; s++, a += p->a_seg, b += p->b_seg) {
        const char *four[4] = {(const char *)a};
        WRITTEN_OUT for (int f = 1; f < 4; f++) four[f] = four[f - 1] + 4 * row;
        const float *from = b;
        for (int64_t q = p->k; q > 0; q--) {
            vec_f32 column[TD_PART_WIDEST];
            EACH_FULL column[v] = load_f32(from + v * 16);
            vec_f32 quarter = spread_quarter(from + (width - 1) * 16, last);
            EACH_FOUR {
                vec_f32 joined = zero_f32();
                EACH_OF_FOUR {
                    const float *at = (const float *)(const void *)(four[f] + r * row);
                    vec_f32 x = spread_f32(*at);
                    EACH_FULL sum[4 * f + r][v] =
                        link_f32(x, column[v], sum[4 * f + r][v]);
                    joined = join_quarter(joined, r, x);
                }
                tail[f] = link_f32(joined, quarter, tail[f]);
            }
            WRITTEN_OUT for (int f = 0; f < 4; f++) four[f] += step;
            from += p->b_row;
        }
    }
    if (bias && p->bias_row) {
        EACH_FOUR {
            vec_f32 joined = zero_f32();
            EACH_OF_FOUR {
                vec_f32 x = spread_f32(bias[4 * f + r]);
                EACH_FULL sum[4 * f + r][v] += x;
                joined = join_quarter(joined, r, x);
            }
            tail[f] += joined;
        }
    } else if (bias) {
        vec_f32 quarter = spread_quarter(bias + (width - 1) * 16, last);
        EACH_FULL {
            vec_f32 x = load_f32(bias + v * 16);
            EACH_FOUR EACH_OF_FOUR sum[4 * f + r][v] += x;
        }
        EACH_FOUR tail[f] += quarter;
    }
    EACH_FOUR {
        if (p->relu) tail[f] = relu_f32(tail[f]);
        EACH_OF_FOUR {
            EACH_FULL {
                vec_f32 x = sum[4 * f + r][v];
                store_f32(c + (4 * f + r) * c_row + v * 16, p->relu ? relu_f32(x) : x);
            }
            store_part_f32(quarter_at(c_tail + (4 * f + r) * c_row, r),
                           (mask_f32)(last << 4 * r), tail[f]);
        }
    }
}

#define TILE(rows, width)                                                                \
    static void narrow_##rows##x##width(const td_part *p, const float *a,                \
                                        const float *b, float *c, int64_t c_row,         \
                                        const float *bias, mask_f32 last) {              \
        narrow_tile(rows, width, p, a, b, c, c_row, bias, last);                         \
    }
NARROW_TILES(TILE)
#undef TILE

#define TILE(rows, width) [width][rows] = narrow_##rows##x##width,
static void (*const narrow_tiles_f32[TD_PART_WIDEST + 1][TALLEST + 1])(
    const td_part *, const float *, const float *, float *, int64_t, const float *,
    mask_f32) = {NARROW_TILES(TILE)};
#undef TILE

#undef EACH_FOUR
#undef EACH_OF_FOUR
#undef EACH_FULL
