/* Random numbers that are a function of (seed, stream, position) alone: the same bits on any machine,
 * processor level and number of threads, in any order of asking.
 *
 * The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011), keyed by the seed; its counter is the stream and the number of the block. */
#ifndef TD_RANDOM_H
#define TD_RANDOM_H

#include <stdint.h>

/* The block function itself: ten rounds on counter under key. */
void td_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The 128 bits of one block, as two words. */
typedef struct td_random_block {
    uint64_t word[2];
} td_random_block;
td_random_block td_random_at(uint64_t seed, uint64_t stream, uint64_t block);

/* n values from position 0 of the stream on. Floats take 24 bits of randomness, doubles 53; both are in
 * [0, 1) and may be 0. */
void td_random_uniform_f32(uint64_t seed, uint64_t stream, int64_t n, float *out);
void td_random_uniform_f64(uint64_t seed, uint64_t stream, int64_t n, double *out);
/* Standard normal: Box and Muller's transform, in double, with logarithm, sine and cosine of our own,
 * since those of libm differ between machines. */
void td_random_normal_f32(uint64_t seed, uint64_t stream, int64_t n, float *out);
void td_random_normal_f64(uint64_t seed, uint64_t stream, int64_t n, double *out);
/* Whole numbers in [0, range), range 0 standing for 2^64; each as likely as any other but for 2^-64 range.
 * The high half of a 64 by 64 bit product (Lemire 2019). */
void td_random_below(uint64_t seed, uint64_t stream, uint64_t range, int64_t n,
                     uint64_t *out);
/* A permutation of 1..n, by Fisher and Yates's shuffle. */
void td_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out);

#endif
