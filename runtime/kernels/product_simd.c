/* The loops of products, compiled once for each processor level: which tiles there are. A tile's sums, one
 * row of b and one number of a fill the registers. */
#include "runtime/cpu.h"
#include "runtime/kernels/product_loops.h"
#include "runtime/kernels/product_vector.h"

#define ROWS_4(X, w) X(1, w) X(2, w) X(3, w) X(4, w)
#define ROWS_6(X, w) ROWS_4(X, w) X(5, w) X(6, w)
#define ROWS_9(X, w) ROWS_6(X, w) X(7, w) X(8, w) X(9, w)
#define ROWS_12(X, w) ROWS_9(X, w) X(10, w) X(11, w) X(12, w)
#define ROWS_14(X, w) ROWS_12(X, w) X(13, w) X(14, w)

#if defined(__AVX512F__) /* 32 registers */
#define TALLEST 14
#define TILES(X) ROWS_14(X, 1) ROWS_14(X, 2) ROWS_9(X, 3) ROWS_6(X, 4)
#define HEIGHTS                                                                          \
    { 0, 14, 14, 9, 6 }
#elif defined(__AVX2__) /* 16 */
#define TALLEST 12
#define TILES(X) ROWS_12(X, 1) ROWS_6(X, 2) ROWS_4(X, 3) X(1, 4) X(2, 4)
#define HEIGHTS                                                                          \
    { 0, 12, 6, 4, 2 }
#else /* 16, and one holds a product before it is added */
#define TALLEST 9
#define TILES(X) ROWS_9(X, 1) ROWS_4(X, 2) X(1, 3) X(2, 3) X(3, 3) X(1, 4) X(2, 4)
#define HEIGHTS                                                                          \
    { 0, 9, 4, 3, 2 }
#endif

static const int tallest_f32[TD_PART_WIDEST + 1] = HEIGHTS;
static const int tallest_f64[TD_PART_WIDEST + 1] = HEIGHTS;

#if defined(__AVX512F__)
#define NARROW 1
#define NARROW_TILES(X) X(4, 2) X(8, 2) X(12, 2) X(4, 3) X(8, 3) X(4, 4) X(8, 4)
#define NARROW_HEIGHT(width) ((width) == 2 ? 12 : 8)
#include "runtime/kernels/product_narrow.h"
#endif

#define S f32
#define REAL float
#include "runtime/kernels/transpose_tile.h"

#include "runtime/kernels/product_tile.h"
#undef S
#undef REAL
#undef NARROW
#define S f64
#define REAL double
#include "runtime/kernels/transpose_tile.h"

#include "runtime/kernels/product_tile.h"

extern const td_product_level TD_LEVELED(td_product_level);
const td_product_level TD_LEVELED(td_product_level) = {
    .f32 = {VECTOR_BYTES / 4, HEIGHTS, VECTOR_BYTES == 64, run_f32, turn_all_f32,
            copy_all_f32},
    .f64 = {VECTOR_BYTES / 8, HEIGHTS, false, run_f64, turn_all_f64, copy_all_f64},
};
