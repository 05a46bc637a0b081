/* Storage, tensor headers, shapes and plain copies. */
#include "runtime/tensor.h"

#include <stdio.h>
#include <string.h>

#include "runtime/kernels/convert.h"
#include "runtime/kernels/product.h"
#include "runtime/loop.h"
#include "runtime/mem.h"

int64_t td_shape_numel(const td_shape *s) {
    int64_t n = 1;
    for (int i = 0; i < s->ndim; i++) n *= s->dim[i];
    return n;
}

int td_shape_bytes(const td_shape *s, td_dtype t, size_t *bytes, td_err *err) {
    /* Sizes of 1 stand in for zeros, so that a zero cannot hide an overflow of strides. */
    size_t n = td_dtype_bytes(t);
    bool empty = false;
    for (int i = 0; i < s->ndim; i++) {
        if (s->dim[i] < 0)
            return td_fail(err, TD_E_SHAPE, "", "a size of %lld is below 0",
                           (long long)s->dim[i]);
        if (s->dim[i] == 0) {
            empty = true;
        } else if (!td_mul_size(n, (size_t)s->dim[i], &n) || n > (SIZE_MAX >> 2)) {
            char text[TD_SHAPE_TEXT];
            return td_fail(err, TD_E_LIMIT, "", "a %s tensor of %s is too large",
                           td_dtype_name(t), td_shape_text(s, text));
        }
    }
    *bytes = empty ? 0 : n;
    return 0;
}

bool td_shape_equal(const td_shape *a, const td_shape *b) {
    if (a->ndim != b->ndim) return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

const char *td_shape_text(const td_shape *s, char text[TD_SHAPE_TEXT]) {
    if (s->ndim == 0) {
        snprintf(text, TD_SHAPE_TEXT, "scalar");
        return text;
    }
    int at = 0;
    for (int i = 0; i < s->ndim; i++)
        at += snprintf(text + at, (size_t)(TD_SHAPE_TEXT - at), i ? "x%lld" : "%lld",
                       (long long)s->dim[i]);
    return text;
}

int td_shape_broadcast(const td_shape *a, const td_shape *b, td_shape *out,
                       const char *call, td_err *err) {
    td_shape r = {.ndim = a->ndim > b->ndim ? a->ndim : b->ndim};
    for (int i = 1; i <= r.ndim; i++) {
        int64_t x = i <= a->ndim ? a->dim[a->ndim - i] : 1;
        int64_t y = i <= b->ndim ? b->dim[b->ndim - i] : 1;
        if (x != y && x != 1 && y != 1) {
            char ta[TD_SHAPE_TEXT], tb[TD_SHAPE_TEXT];
            return td_fail(err, TD_E_SHAPE, call, "%s does not broadcast with %s",
                           td_shape_text(a, ta), td_shape_text(b, tb));
        }
        r.dim[r.ndim - i] = x == 1 ? y : x;
    }
    *out = r;
    return 0;
}

void td_shape_strides(const td_shape *s, int64_t stride[TD_MAX_DIM]) {
    int64_t n = 1;
    for (int i = s->ndim - 1; i >= 0; i--) {
        stride[i] = n;
        n *= s->dim[i] > 0 ? s->dim[i] : 1;
    }
}

void td_shape_strides_in(const td_shape *s, td_order order, int64_t stride[TD_MAX_DIM]) {
    if (order == TD_ORDER_ROWS || s->ndim != 4) {
        td_shape_strides(s, stride);
        return;
    }
    int64_t c = s->dim[1] > 0 ? s->dim[1] : 1, h = s->dim[2] > 0 ? s->dim[2] : 1,
            w = s->dim[3] > 0 ? s->dim[3] : 1;
    stride[0] = c * h * w;
    stride[1] = 1;
    stride[2] = w * c;
    stride[3] = c;
}

/* A storage whose first header is in the same block: most tensors are the only one of their storage, and
 * this saves them a piece of memory. The block goes with the storage, which outlives its headers. */
typedef struct whole {
    td_storage storage;
    td_tensor tensor;
} whole;

static int fill_storage(td_storage *s, size_t bytes, td_err *err) {
    if (s == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    s->data = td_data_new(bytes, err);
    if (s->data == NULL) return TD_E_MEMORY;
    s->bytes = bytes;
    atomic_init(&s->refs, 1);
    return 0;
}

td_storage *td_storage_new(size_t bytes, td_err *err) {
    td_storage *s = td_new(td_storage);
    if (fill_storage(s, bytes, err) == 0) return s;
    td_free(s);
    return NULL;
}

td_storage *td_storage_lend(void *data, size_t bytes,
                            void (*release)(void *, void *, size_t), void *ctx,
                            td_err *err) {
    td_storage *s = td_new(td_storage);
    if (s == NULL) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        release(ctx, data, bytes);
        return NULL;
    }
    s->data = data;
    s->bytes = bytes;
    s->release = release;
    s->ctx = ctx;
    atomic_init(&s->refs, 1);
    return s;
}

td_storage *td_storage_ref(td_storage *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void td_storage_unref(td_storage **sp) {
    td_storage *s = *sp;
    *sp = NULL;
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (s->release)
        s->release(s->ctx, s->data, s->bytes);
    else
        td_data_free(s->data, s->bytes);
    td_free_bytes(s, s->has_tensor ? sizeof(whole) : sizeof *s);
}

td_tensor *td_tensor_view(const td_tensor *base, const td_shape *shape,
                          const int64_t *stride, int64_t offset, td_err *err) {
    td_tensor *x = td_new(td_tensor);
    if (x == NULL) {
        td_fail(err, TD_E_MEMORY, "", "out of memory");
        return NULL;
    }
    atomic_init(&x->refs, 1);
    x->dtype = base->dtype;
    x->shape = *shape;
    for (int i = 0; i < shape->ndim; i++) x->stride[i] = stride[i];
    x->offset = offset;
    x->storage = td_storage_ref(base->storage);
    return x;
}

td_tensor *td_tensor_over(td_storage *storage, td_dtype t, const td_shape *shape,
                          td_err *err) {
    size_t bytes;
    if (td_shape_bytes(shape, t, &bytes, err) != 0) return NULL;
    if (bytes > storage->bytes) {
        char text[TD_SHAPE_TEXT];
        td_fail(err, TD_E_SHAPE, "", "%s of %s takes %zu bytes, got %zu",
                td_shape_text(shape, text), td_dtype_name(t), bytes, storage->bytes);
        return NULL;
    }
    td_tensor base = {.dtype = t, .storage = storage};
    int64_t stride[TD_MAX_DIM];
    td_shape_strides(shape, stride);
    return td_tensor_view(&base, shape, stride, 0, err);
}

td_tensor *td_tensor_new(td_dtype t, const td_shape *shape, td_err *err) {
    size_t bytes;
    if (td_shape_bytes(shape, t, &bytes, err) != 0) return NULL;
    whole *w = td_new(whole);
    if (fill_storage(w ? &w->storage : NULL, bytes, err) != 0) {
        td_free(w);
        return NULL;
    }
    w->storage.has_tensor = true;
    td_tensor *x = &w->tensor;
    atomic_init(&x->refs, 1);
    x->dtype = t;
    x->shape = *shape;
    td_shape_strides(shape, x->stride);
    x->storage = &w->storage;
    return x;
}

td_tensor *td_tensor_new_in(td_dtype t, const td_shape *shape, td_order order,
                            td_err *err) {
    td_tensor *x = td_tensor_new(t, shape, err);
    if (x) td_shape_strides_in(shape, order, x->stride);
    return x;
}

td_tensor *td_tensor_ref(td_tensor *x) {
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void td_tensor_unref(td_tensor **xp) {
    td_tensor *x = *xp;
    *xp = NULL;
    if (x == NULL || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
        return;
    td_storage *s = x->storage;
    if (!s->has_tensor || x != &((whole *)s)->tensor) td_delete(td_tensor, x);
    td_storage_unref(&s);
}

int64_t td_tensor_numel(const td_tensor *x) { return td_shape_numel(&x->shape); }

bool td_tensor_is_contiguous(const td_tensor *x) {
    int64_t want = 1;
    for (int i = x->shape.ndim - 1; i >= 0; i--) {
        if (x->shape.dim[i] == 0) return true;
        if (x->shape.dim[i] != 1 && x->stride[i] != want) return false;
        want *= x->shape.dim[i];
    }
    return true;
}

bool td_tensor_is_channels_last(const td_tensor *x) {
    if (x->shape.ndim != 4) return false;
    int64_t want[TD_MAX_DIM];
    td_shape_strides_in(&x->shape, TD_ORDER_CHANNELS, want);
    for (int i = 0; i < 4; i++) {
        if (x->shape.dim[i] == 0) return true;
        if (x->shape.dim[i] != 1 && x->stride[i] != want[i]) return false;
    }
    return true;
}

void *td_tensor_data(const td_tensor *x) {
    return x->storage->data + x->offset * (int64_t)td_dtype_bytes(x->dtype);
}

void *td_tensor_at(const td_tensor *x, const int64_t *index) {
    int64_t at = x->offset;
    for (int i = 0; i < x->shape.ndim; i++) at += index[i] * x->stride[i];
    return x->storage->data + at * (int64_t)td_dtype_bytes(x->dtype);
}

td_tensor *td_tensor_contiguous(td_tensor *x, td_err *err) {
    if (td_tensor_is_contiguous(x)) return td_tensor_ref(x);
    td_tensor *copy = td_tensor_new(x->dtype, &x->shape, err);
    if (copy) td_tensor_copy(copy, x);
    return copy;
}

/* Images from one order to the other; false when it is not that. */
static bool copy_turned(td_tensor *dst, const td_tensor *src) {
    size_t each = td_dtype_bytes(src->dtype);
    if (dst->dtype != src->dtype || !td_shape_equal(&dst->shape, &src->shape) ||
        (each != 4 && each != 8) ||
        (td_tensor_is_contiguous(dst) && td_tensor_is_contiguous(src)))
        return false;
    bool to_channels = td_tensor_is_channels_last(dst) && td_tensor_is_contiguous(src);
    if (!to_channels &&
        !(td_tensor_is_channels_last(src) && td_tensor_is_contiguous(dst)))
        return false;
    int64_t channels = src->shape.dim[1], pixels = src->shape.dim[2] * src->shape.dim[3];
    int64_t rows = to_channels ? channels : pixels,
            cols = to_channels ? pixels : channels;
    char *to = td_tensor_data(dst);
    const char *from = td_tensor_data(src);
    size_t image = (size_t)(rows * cols) * each;
    for (int64_t i = 0; i < src->shape.dim[0]; i++, to += image, from += image)
        td_transpose(each, rows, cols, from, cols, to, rows);
    return true;
}

void td_tensor_copy(td_tensor *dst, const td_tensor *src) {
    if (copy_turned(dst, src)) return;
    td_loop loop;
    td_tensor *operand[2] = {dst, (td_tensor *)src};
    td_loop_init(&loop, &dst->shape, operand, 2);
    td_loop_run(&loop, td_convert_inner(dst->dtype, src->dtype), NULL);
}

td_tensor *td_tensor_from_f64(td_dtype t, double v, td_err *err) {
    td_shape scalar = {0};
    td_tensor *x = td_tensor_new(t, &scalar, err);
    if (x) td_store_f64(t, x->storage->data, v);
    return x;
}

td_tensor *td_tensor_from_i64(td_dtype t, int64_t v, td_err *err) {
    td_shape scalar = {0};
    td_tensor *x = td_tensor_new(t, &scalar, err);
    if (x) td_store_i64(t, x->storage->data, v);
    return x;
}
