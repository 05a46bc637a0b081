/* Transforms of Winograd's minimal filtering ("Arithmetic complexity of computations", 1980; for networks:
 * Lavin and Gray, 2016) in the form F(4x4, 3x3): a tile of 4x4 results of a 3x3 kernel from 6x6 elements
 * takes 36 multiplications instead of 144.
 *
 * Its polynomials are taken at 0, +-sqrt(1/2), +-sqrt(2) and infinity. With these points errors are about
 * twice those of plain sums, where the usual +-1 and +-2 make it four times (rms, 64 channels, f32).
 *
 * A tile's 36 numbers lie `plane` elements apart, a channel beside the next. */
#ifndef TD_CONV_WINOGRAD_H
#define TD_CONV_WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

enum { TD_WINOGRAD_OUT = 4, TD_WINOGRAD_IN = 6, TD_WINOGRAD_POINTS = 36 };

/* channels is a multiple of 16. Pixels are pointers to their channel 0. */
typedef struct td_winograd_loops {
    /* to = B' d B of the 6x6 pixels d */
    void (*image)(const void *const pixel[36], int64_t channels, void *to, int64_t plane);
    /* The 4x4 pixels y = A' m A, then bias (or NULL) and relu. */
    void (*result)(const void *from, int64_t plane, int64_t channels, const void *bias,
                   bool relu, void *const pixel[16]);
    /* to = A y A' of 4x4 pixels y: what `result` is the adjoint of */
    void (*gradient)(const void *const pixel[16], int64_t channels, void *to,
                     int64_t plane);
    /* G g G' of count filters g, 9 numbers each, `between` elements apart; turn: from the last to the
     * first. count is a multiple of 16. Computed in double. */
    void (*filters)(const void *weight, int64_t between, bool turn, int64_t count,
                    void *to, int64_t plane);
    /* The adjoint: 9 numbers for each of count filters, `between` elements apart. */
    void (*filters_back)(const void *from, int64_t plane, int64_t count, void *weight,
                         int64_t between);
} td_winograd_loops;

typedef struct td_winograd_level {
    td_winograd_loops f32, f64;
} td_winograd_level;

#endif
