/* Tensors: refcounted storage, and views of it. Knows no operations and no gradients.
 *
 * A tensor is a header (dtype, sizes, strides, offset) over a storage. Headers are never changed after
 * they are made; several may share one storage. Reference counts are atomic, contents are not guarded:
 * whoever writes must be the only one that looks. */
#ifndef TD_TENSOR_H
#define TD_TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/dtype.h"
#include "runtime/err.h"

#define TD_MAX_DIM 8

/* Sizes of a tensor. dim[0..ndim-1] are >= 0; ndim 0 is a single element. */
typedef struct td_shape {
    int32_t ndim;
    int64_t dim[TD_MAX_DIM];
} td_shape;

/* Element count; td_shape_bytes fails with LIMIT when the product does not fit 2^62 bytes. */
int64_t td_shape_numel(const td_shape *s);
int td_shape_bytes(const td_shape *s, td_dtype t, size_t *bytes, td_err *err);
bool td_shape_equal(const td_shape *a, const td_shape *b);
/* "2x3"; a 0-d shape is "scalar". Returns text. */
#define TD_SHAPE_TEXT 200
const char *td_shape_text(const td_shape *s, char text[TD_SHAPE_TEXT]);
/* NumPy's rule: aligned at the right, sizes equal or 1. SHAPE error: "add: 2x3 does not broadcast with
 * 4x5". out may be a or b. */
int td_shape_broadcast(const td_shape *a, const td_shape *b, td_shape *out,
                       const char *call, td_err *err);

typedef struct td_storage {
    atomic_int refs;
    uint32_t version; /* bumped by each in-place change; the tape compares it */
    size_t bytes;
    char *data;
    bool readonly;   /* a data owner's rows: assigning to them is refused */
    bool has_tensor; /* its first header lies behind it in the same block */
    void (*release)(void *ctx, void *data, size_t bytes); /* NULL: td_data_free */
    void *ctx;
} td_storage;

/* Owned memory, not zeroed. */
td_storage *td_storage_new(size_t bytes, td_err *err);
/* Memory lent by somebody else (a mapped file, a frame); release is called once at the end, also when
 * this call fails. */
td_storage *td_storage_lend(void *data, size_t bytes,
                            void (*release)(void *, void *, size_t), void *ctx,
                            td_err *err);
td_storage *td_storage_ref(td_storage *s);
void td_storage_unref(td_storage **s);

typedef struct td_tensor {
    atomic_int refs;
    td_dtype dtype;
    td_shape shape;
    int64_t stride[TD_MAX_DIM]; /* in elements; 0 on broadcast dimensions */
    int64_t offset;             /* in elements, of the first element */
    td_storage *storage;
} td_tensor;

/* A fresh contiguous tensor; its values are not set. */
td_tensor *td_tensor_new(td_dtype t, const td_shape *shape, td_err *err);
/* A view with the given sizes, strides and offset; the caller vouches for the bounds. Takes its own
 * reference of the storage. */
td_tensor *td_tensor_view(const td_tensor *base, const td_shape *shape,
                          const int64_t *stride, int64_t offset, td_err *err);
/* Over a storage, contiguous from byte 0. Takes its own reference. SHAPE error if it is too small. */
td_tensor *td_tensor_over(td_storage *storage, td_dtype t, const td_shape *shape,
                          td_err *err);
td_tensor *td_tensor_ref(td_tensor *x);
void td_tensor_unref(td_tensor **x);

int64_t td_tensor_numel(const td_tensor *x);
bool td_tensor_is_contiguous(const td_tensor *x);
/* Address of the first element. */
void *td_tensor_data(const td_tensor *x);
/* Address of the element at the (0-based) index. */
void *td_tensor_at(const td_tensor *x, const int64_t *index);
/* x itself (another reference) when it is contiguous, else a contiguous copy. */
td_tensor *td_tensor_contiguous(td_tensor *x, td_err *err);
/* Strides of a contiguous tensor of that shape. */
void td_shape_strides(const td_shape *s, int64_t stride[TD_MAX_DIM]);

/* How the elements of a dense tensor lie: row by row; or, for images [N, C, H, W], with the channels of a
 * pixel side by side (the layout of the convolutions' products). Sizes and positions are the same in
 * both; other ranks than 4 know rows alone. Where both orders have the same strides (one channel, or one
 * pixel) a tensor is in both. */
typedef enum td_order { TD_ORDER_ROWS, TD_ORDER_CHANNELS } td_order;
void td_shape_strides_in(const td_shape *s, td_order order, int64_t stride[TD_MAX_DIM]);
td_tensor *td_tensor_new_in(td_dtype t, const td_shape *shape, td_order order,
                            td_err *err);
/* Does x lie in channels order, with nothing between its elements? */
bool td_tensor_is_channels_last(const td_tensor *x);
/* dst's elements become src's, which is broadcast and converted: sizes must already go together. */
void td_tensor_copy(td_tensor *dst, const td_tensor *src);

/* 0-d tensors from a number. */
td_tensor *td_tensor_from_f64(td_dtype t, double v, td_err *err);
td_tensor *td_tensor_from_i64(td_dtype t, int64_t v, td_err *err);

#endif
