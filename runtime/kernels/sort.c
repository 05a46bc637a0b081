/* Sorting by keys. Called by the ops of vm/ops/sort.c. */
#include "runtime/kernels/sort.h"

#include <string.h>

#define SIGN ((uint64_t)1 << 63)

/* The bits of floats above 0 are in order already; those below 0 run backwards (IEEE 754, 5.10). */
static uint64_t key_of_float(double v) {
    if (v != v) return UINT64_MAX;
    if (v == 0) v = 0; /* -0 too */
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

void td_keys_read(td_dtype t, bool descending, int64_t n, const char *x, int64_t step,
                  td_key *keys) {
    bool is_float = td_dtype_is_float(t);
    for (int64_t i = 0; i < n; i++, x += step) {
        uint64_t key = is_float ? key_of_float(td_load_f64(t, x))
                                : (uint64_t)td_load_i64(t, x) ^ SIGN;
        keys[i] = (td_key){descending ? ~key : key, i};
    }
}

static bool is_before(const td_key *a, const td_key *b) {
    return a->key < b->key || (a->key == b->key && a->at < b->at);
}

#define RUN 16 /* sorted by insertion before the merging begins */

static void sort_run(td_key *k, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        td_key moved = k[i];
        int64_t j = i;
        for (; j > 0 && is_before(&moved, &k[j - 1]); j--) k[j] = k[j - 1];
        k[j] = moved;
    }
}

static void merge(const td_key *a, int64_t na, const td_key *b, int64_t nb, td_key *to) {
    while (na > 0 && nb > 0) {
        if (is_before(b, a)) {
            *to++ = *b++;
            nb--;
        } else {
            *to++ = *a++;
            na--;
        }
    }
    memcpy(to, na > 0 ? a : b, (size_t)(na + nb) * sizeof *to);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void td_keys_sort(td_key *keys, td_key *spare, int64_t n) {
    for (int64_t i = 0; i < n; i += RUN) sort_run(keys + i, least(RUN, n - i));
    td_key *from = keys, *to = spare;
    for (int64_t width = RUN; width < n; width *= 2) {
        for (int64_t i = 0; i < n; i += 2 * width) {
            int64_t left = least(width, n - i), right = least(width, n - i - left);
            merge(from + i, left, from + i + left, right, to + i);
        }
        td_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, (size_t)n * sizeof *keys);
}

/* A heap with the last of those kept at its top. */
static void sift_down(td_key *heap, int64_t n, int64_t i) {
    td_key moved = heap[i];
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && is_before(&heap[child], &heap[child + 1])) child++;
        if (!is_before(&moved, &heap[child])) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

void td_keys_sort_first(td_key *keys, td_key *spare, int64_t n, int64_t k) {
    if (k > n / 8) {
        td_keys_sort(keys, spare, n);
        return;
    }
    if (k == 0) return;
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift_down(keys, k, i);
    for (int64_t i = k; i < n; i++) {
        if (!is_before(&keys[i], &keys[0])) continue;
        keys[0] = keys[i];
        sift_down(keys, k, 0);
    }
    td_keys_sort(keys, spare, k);
}
