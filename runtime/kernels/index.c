/* gather and scatter_add over a run. Called by the ops of vm/ops/index.c. */
#include "runtime/kernels/index.h"

#include <stdbool.h>

int64_t td_index_at(const td_index *x, const char *p) {
    int64_t given = x->ids == TD_I64 ? *(const int64_t *)p : *(const int32_t *)p;
    return given < 0 ? given + x->size : given - 1;
}

#define EACH(body)                                                                       \
    for (int64_t i = 0; i < n; i++) {                                                    \
        int64_t at = td_index_at(x, ids) * x->step;                                      \
        body;                                                                            \
        to += stride[0], ids += stride[1], from += stride[2];                            \
    }

void td_gather_run(int64_t n, char *const *ptr, const int64_t *stride, const void *ctx) {
    const td_index *x = ctx;
    char *to = ptr[0];
    const char *ids = ptr[1], *from = ptr[2];
    switch (td_dtype_bytes(x->values)) {
    case 1: EACH(*(uint8_t *)to = *(const uint8_t *)(from + at)) break;
    case 2: EACH(*(uint16_t *)to = *(const uint16_t *)(from + at)) break;
    case 4: EACH(*(uint32_t *)to = *(const uint32_t *)(from + at)) break;
    default: EACH(*(uint64_t *)to = *(const uint64_t *)(from + at))
    }
}

/* Integers are added unsigned: they wrap. */
#define ADD(type)                                                                        \
    EACH(*(type *)(to + at) = (type)(*(type *)(to + at) + *(const type *)from))

void td_scatter_add_run(int64_t n, char *const *ptr, const int64_t *stride,
                        const void *ctx) {
    const td_index *x = ctx;
    char *to = ptr[0];
    const char *ids = ptr[1], *from = ptr[2];
    switch (x->values) {
    case TD_F32: ADD(float) break;
    case TD_F64: ADD(double) break;
    case TD_I64: ADD(uint64_t) break;
    case TD_I32: ADD(uint32_t) break;
    default: ADD(uint8_t)
    }
}
