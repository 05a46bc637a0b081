/* Copies that turn a matrix, in squares that stay in the first cache. */
#include <stddef.h>

#include "runtime/kernels/product.h"

#define SIDE 16

#define TURN(name, T)                                                                    \
    static void name(int64_t rows, int64_t cols, const T *from, int64_t from_row, T *to, \
                     int64_t to_row) {                                                   \
        for (int64_t i = 0; i < rows; i += SIDE)                                         \
            for (int64_t j = 0; j < cols; j += SIDE) {                                   \
                int64_t end_i = rows - i < SIDE ? rows : i + SIDE;                       \
                int64_t end_j = cols - j < SIDE ? cols : j + SIDE;                       \
                for (int64_t c = j; c < end_j; c++)                                      \
                    for (int64_t r = i; r < end_i; r++)                                  \
                        to[c * to_row + r] = from[r * from_row + c];                     \
            }                                                                            \
    }
TURN(turn_4, uint32_t)
TURN(turn_8, uint64_t)

void td_transpose(size_t each, int64_t rows, int64_t cols, const void *from,
                  int64_t from_row, void *to, int64_t to_row) {
    if (each == 4)
        turn_4(rows, cols, from, from_row, to, to_row);
    else
        turn_8(rows, cols, from, from_row, to, to_row);
}
