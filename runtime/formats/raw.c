/* Element types as files have them, made into those that tensors have. Knows no format. */
#include <string.h>

#include "runtime/formats/reader.h"
#include "runtime/mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "files and host have the same order");

typedef struct raw_row {
    const char *name;
    size_t bytes;
    td_dtype into;
} raw_row;

static const raw_row rows[] = {
#define TD_X(NAME, word, bytes, into) [TD_RAW_##NAME] = {word, bytes, TD_##into},
    TD_RAWS(TD_X)
#undef TD_X
};
_Static_assert(sizeof rows / sizeof rows[0] == TD_RAW_COUNT, "a row for each type");

const char *td_raw_name(td_raw r) { return rows[r].name; }
size_t td_raw_size(td_raw r) { return rows[r].bytes; }

int td_raw_bytes(td_raw r, const td_shape *s, size_t *bytes, td_err *err) {
    /* No element grows smaller, so the tensor's bytes bound the file's. */
    int code = td_shape_bytes(s, rows[r].into, bytes, err);
    if (code == 0) *bytes = *bytes / td_dtype_bytes(rows[r].into) * rows[r].bytes;
    return code;
}

static uint16_t get16(const uint8_t *p, bool big) {
    return big ? __builtin_bswap16(td_le16(p)) : td_le16(p);
}
static uint32_t get32(const uint8_t *p, bool big) {
    return big ? td_be32(p) : td_le32(p);
}
static uint64_t get64(const uint8_t *p, bool big) {
    return big ? __builtin_bswap64(td_le64(p)) : td_le64(p);
}

/* n elements to dst. Returns n, or the position of the first one that does not fit. */
static size_t convert(td_raw r, bool big, const uint8_t *p, size_t n, void *dst) {
    uint8_t *d8 = dst;
    uint16_t *d16 = dst;
    uint32_t *d32 = dst;
    uint64_t *d64 = dst;
    int32_t *i32 = dst;
    int64_t *i64 = dst;
    switch (r) {
    case TD_RAW_BOOL: /* a file may have any byte here, kernels rely on 0 and 1 */
        for (size_t i = 0; i < n; i++) d8[i] = p[i] != 0;
        break;
    case TD_RAW_U8: memcpy(dst, p, n); break;
    case TD_RAW_I8:
        for (size_t i = 0; i < n; i++) i32[i] = (int8_t)p[i];
        break;
    case TD_RAW_I16:
        for (size_t i = 0; i < n; i++) i32[i] = (int16_t)get16(p + 2 * i, big);
        break;
    case TD_RAW_U16:
        for (size_t i = 0; i < n; i++) i32[i] = get16(p + 2 * i, big);
        break;
    case TD_RAW_U32:
        for (size_t i = 0; i < n; i++) i64[i] = get32(p + 4 * i, big);
        break;
    case TD_RAW_U64:
        for (size_t i = 0; i < n; i++) {
            uint64_t v = get64(p + 8 * i, big);
            if (v > INT64_MAX) return i;
            i64[i] = (int64_t)v;
        }
        break;
    case TD_RAW_F16:
    case TD_RAW_BF16:
        for (size_t i = 0; i < n; i++) d16[i] = get16(p + 2 * i, big);
        break;
    case TD_RAW_I32:
    case TD_RAW_F32:
        if (!big) memcpy(dst, p, 4 * n);
        for (size_t i = 0; big && i < n; i++) d32[i] = td_be32(p + 4 * i);
        break;
    case TD_RAW_I64:
    case TD_RAW_F64:
        if (!big) memcpy(dst, p, 8 * n);
        for (size_t i = 0; big && i < n; i++) d64[i] = get64(p + 8 * i, true);
        break;
    case TD_RAW_COUNT: break;
    }
    return n;
}

/* x, filled in the order of its first index, as a tensor in the usual order. Takes x over. */
static td_tensor *from_fortran(td_tensor *x, const td_shape *s, td_err *err) {
    int64_t stride[TD_MAX_DIM], n = 1;
    for (int i = 0; i < s->ndim; i++) {
        stride[i] = n;
        n *= s->dim[i] > 0 ? s->dim[i] : 1;
    }
    td_tensor *turned = td_tensor_view(x, s, stride, 0, err), *result = NULL;
    if (turned) result = td_tensor_contiguous(turned, err);
    td_tensor_unref(&turned);
    td_tensor_unref(&x);
    return result;
}

int td_raw_add(td_table *t, const td_file_options *o, const char *name, td_raw r,
               bool big_endian, bool fortran_order, const td_shape *s, const uint8_t *src,
               td_err *err) {
    td_tensor *x = td_table_tensor(t, o, rows[r].into, s, err);
    if (x == NULL) return err->code;
    size_t n = (size_t)td_shape_numel(s),
           done = convert(r, big_endian, src, n, td_tensor_data(x));
    if (done < n) {
        td_tensor_unref(&x);
        return td_fail(err, TD_E_VALUE, "", "element %zu is %llu, which does not fit i64",
                       done + 1, (unsigned long long)get64(src + 8 * done, big_endian));
    }
    if (fortran_order && s->ndim > 1 && n > 1) x = from_fortran(x, s, err);
    if (x == NULL) return err->code;
    return td_table_add(t, name, &x, err);
}
