/* What the readers of data files share. Only runtime/formats includes this. In here err is never NULL. */
#ifndef TD_FORMATS_READER_H
#define TD_FORMATS_READER_H

#include "runtime/formats/file.h"

/* Bytes that belong to somebody else. */
typedef struct td_bytes {
    const uint8_t *at;
    size_t count;
} td_bytes;

/* ---- source.c: where bytes come from ------------------------------------------------------------ */

/* A whole regular file; to be given back with td_data_free(*at, *count). */
int td_source_read(const char *path, size_t max_bytes, uint8_t **at, size_t *count,
                   td_err *err);

/* ---- inflate.c ------------------------------------------------------------------------------------ */

bool td_gzip_is(td_bytes in);
/* Unpacks all gzip members. It does so twice: once to count and check, so that a bomb is refused before
 * anything is allocated. Give back with td_data_free. */
int td_gzip_unpack(td_bytes in, size_t max_bytes, uint8_t **at, size_t *count,
                   td_err *err);
/* Raw deflate of which the unpacked size is known; anything else is a FORMAT error. */
int td_deflate_unpack(td_bytes in, uint8_t *out, size_t count, td_err *err);

/* ---- raw.c: element types as files have them -------------------------------------------------------- */

/*     name  file's name  bytes  becomes */
#define TD_RAWS(X)                                                                       \
    X(BOOL, "bool", 1, BOOL)                                                             \
    X(U8, "u8", 1, U8)                                                                   \
    X(I8, "i8", 1, I32)                                                                  \
    X(I16, "i16", 2, I32)                                                                \
    X(U16, "u16", 2, I32)                                                                \
    X(I32, "i32", 4, I32)                                                                \
    X(U32, "u32", 4, I64)                                                                \
    X(I64, "i64", 8, I64)                                                                \
    X(U64, "u64", 8, I64)                                                                \
    X(F16, "f16", 2, F16)                                                                \
    X(BF16, "bf16", 2, BF16)                                                             \
    X(F32, "f32", 4, F32)                                                                \
    X(F64, "f64", 8, F64)

typedef enum td_raw {
#define TD_X(NAME, word, bytes, into) TD_RAW_##NAME,
    TD_RAWS(TD_X)
#undef TD_X
        TD_RAW_COUNT
} td_raw;

const char *td_raw_name(td_raw r);
size_t td_raw_size(td_raw r);
/* Bytes that the elements take in the file; the tensor's size is checked too. LIMIT. */
int td_raw_bytes(td_raw r, const td_shape *s, size_t *bytes, td_err *err);
/* A tensor of the elements at src, of which there must be enough, and an entry of the table. Errors: LIMIT
 * (options), VALUE (u64 beyond i64), MEMORY. */
int td_raw_add(td_table *t, const td_file_options *o, const char *name, td_raw r,
               bool big_endian, bool fortran_order, const td_shape *s, const uint8_t *src,
               td_err *err);

/* ---- table.c -------------------------------------------------------------------------------------------- */

/* A tensor that is going to be t's: counts it, and refuses what goes beyond max_bytes. */
td_tensor *td_table_tensor(td_table *t, const td_file_options *o, td_dtype d,
                           const td_shape *s, td_err *err);
/* False when two names are the same; *a < *b are their positions then. n log n, for hostile lists. MEMORY
 * is reported through err. */
int td_names_check(char *const *name, size_t count, bool *are_unique, size_t *a,
                   size_t *b, td_err *err);

/* ---- text.c ------------------------------------------------------------------------------------------------ */

/* Length of the UTF-8 character at p (1 to 4), 0 when there is none. */
size_t td_utf8_char(const uint8_t *p, size_t left);
bool td_utf8_is_valid(const void *p, size_t count);
/* Bytes of a file for an error text: in quotes, cut when long, nothing that a terminal would obey. */
#define TD_SHOW 72
const char *td_show(char text[TD_SHOW], const void *p, size_t count);
/* Puts text in front of err's message. Returns err's code. */
int td_err_prefix(td_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- the readers ---------------------------------------------------------------------------------------- */

/* Each appends to t. Options are filled in. On failure t may hold a part; the caller clears it. */
typedef int td_reader(td_bytes in, const td_file_options *o, td_table *t, td_err *err);
td_reader td_idx_read, td_npy_read, td_npz_read, td_csv_read, td_safetensors_read;
/* An NPY array as the entry `name`. */
int td_npy_read_named(td_bytes in, const td_file_options *o, const char *name,
                      td_table *t, td_err *err);

/* ---- numbers in files --------------------------------------------------------------------------------------- */

static inline uint16_t td_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t td_le32(const uint8_t *p) {
    return (uint32_t)td_le16(p) | (uint32_t)td_le16(p + 2) << 16;
}
static inline uint64_t td_le64(const uint8_t *p) {
    return (uint64_t)td_le32(p) | (uint64_t)td_le32(p + 4) << 32;
}
static inline uint32_t td_be32(const uint8_t *p) { return __builtin_bswap32(td_le32(p)); }

#endif
