/* The front: fetches the bytes, unpacks them, finds out what they are, and calls that format's reader. */
#include "runtime/formats/file.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/formats/reader.h"
#include "runtime/mem.h"

static const struct {
    const char *name;
    td_reader *read;
} formats[] = {{"idx", td_idx_read},
               {"npy", td_npy_read},
               {"npz", td_npz_read},
               {"csv", td_csv_read},
               {"safetensors", td_safetensors_read}};
enum { IDX, NPY, NPZ, CSV, SAFETENSORS, FORMATS };
_Static_assert(sizeof formats / sizeof formats[0] == FORMATS, "a row for each format");

/* What people have as well, and what to do with it. */
static const struct {
    const char *magic;
    size_t count;
    const char *what;
} strangers[] = {
    {"PAR1", 4, "a Parquet file"},
    {"ARROW1", 6, "an Arrow file"},
    {"\x89HDF", 4, "an HDF5 file"},
    {"\x80\x02", 2, "a Python pickle"},
    {"\x80\x03", 2, "a Python pickle"},
    {"\x80\x04", 2, "a Python pickle"},
    {"\x80\x05", 2, "a Python pickle"},
    {"MATLAB", 6, "a MATLAB file"},
    {"%PDF", 4, "a PDF file"},
    {"\x89PNG", 4, "a PNG picture"},
    {"\xff\xd8\xff", 3, "a JPEG picture"},
    {"SQLite format 3", 15, "an SQLite data base"},
    {"BZh", 3, "a bzip2 file"},
    {"\xfd"
     "7zXZ",
     5, "an xz file"},
    {"\x28\xb5\x2f\xfd", 4, "a zstd file"},
    {"\xff\xfe", 2, "UTF-16 text"},
    {"\xfe\xff", 2, "UTF-16 text"},
};

static bool begins_with(td_bytes in, const char *magic, size_t count) {
    return in.count >= count && memcmp(in.at, magic, count) == 0;
}

static bool is_idx(td_bytes in) {
    return in.count >= 4 && in.at[0] == 0 && in.at[1] == 0 && in.at[2] >= 0x08 &&
           in.at[2] <= 0x0e && in.at[2] != 0x0a && in.at[3] >= 1 &&
           in.at[3] <= TD_MAX_DIM;
}

/* A length below 16 MiB, whose upper bytes are 0, or any length that fits, and then an object. */
static bool is_safetensors(td_bytes in) {
    if (in.count < 9 || in.at[8] != '{') return false;
    return td_le64(in.at) <= in.count - 8 || memcmp(in.at + 3, "\0\0\0\0\0", 5) == 0;
}

/* No control characters at the beginning but those that text has. */
static bool is_text(td_bytes in) {
    for (size_t i = 0; i < in.count && i < 4096; i++)
        if (in.at[i] < 0x20 && (in.at[i] < '\t' || in.at[i] > '\r')) return false;
    return true;
}

static int detect(td_bytes in, int *format, td_err *err) {
    if (in.count == 0) return td_fail(err, TD_E_FORMAT, "", "is empty");
    if (begins_with(in, "\x93NUMPY", 6))
        *format = NPY;
    else if (begins_with(in, "PK\3\4", 4) || begins_with(in, "PK\5\6", 4))
        *format = NPZ;
    else if (is_safetensors(in))
        *format = SAFETENSORS;
    else if (is_idx(in))
        *format = IDX;
    else {
        for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
            if (begins_with(in, strangers[i].magic, strangers[i].count)) {
                td_fail(err, TD_E_FORMAT, "",
                        "is %s; wanted IDX, NPY, NPZ, CSV or safetensors",
                        strangers[i].what);
                td_hint(err, "export it as %s",
                        in.at[0] == 0xff || in.at[0] == 0xfe ? "UTF-8 text"
                                                             : "CSV, NPY or safetensors");
                return TD_E_FORMAT;
            }
        if (!is_text(in)) {
            char text[TD_SHOW];
            return td_fail(
                err, TD_E_FORMAT, "",
                "is of an unknown kind: begins with %s; wanted IDX, NPY, NPZ, CSV or "
                "safetensors",
                td_show(text, in.at, in.count < 8 ? in.count : 8));
        }
        *format = CSV;
    }
    return 0;
}

static int fill_in(const td_file_options *given, td_file_options *o, int *format,
                   td_err *err) {
    *o = given ? *given : (td_file_options){0};
    if (o->max_bytes == 0) o->max_bytes = (size_t)8 << 30;
    if (o->max_unpacked_bytes == 0) o->max_unpacked_bytes = (size_t)2 << 30;
    if (o->max_entries == 0) o->max_entries = 100000;
    if (o->csv_float == TD_NONE) o->csv_float = TD_F32;
    if (o->csv_float != TD_F32 && o->csv_float != TD_F64)
        return td_fail(err, TD_E_ARGUMENT, "", "option csv_float is neither f32 nor f64");
    if (o->csv_separator && strchr("\"\r\n+-.0123456789", o->csv_separator))
        return td_fail(err, TD_E_ARGUMENT, "",
                       "option csv_separator cannot be that character");
    *format = -1;
    if (o->format == NULL) return 0;
    for (int i = 0; i < FORMATS; i++)
        if (strcmp(formats[i].name, o->format) == 0) *format = i;
    if (*format >= 0) return 0;
    char text[TD_SHOW];
    return td_fail(err, TD_E_ARGUMENT, "",
                   "format %s is none of idx, npy, npz, csv, safetensors",
                   td_show(text, o->format, strlen(o->format)));
}

static int load(td_bytes in, const td_file_options *o, int format, td_table *out,
                td_err *err) {
    uint8_t *unpacked = NULL;
    size_t size = 0;
    int code = 0;
    if (td_gzip_is(in)) {
        code = td_gzip_unpack(in, o->max_unpacked_bytes, &unpacked, &size, err);
        in = (td_bytes){unpacked, size};
    }
    if (code == 0 && format < 0) code = detect(in, &format, err);
    if (code == 0) {
        out->format = formats[format].name;
        code = formats[format].read(in, o, out, err);
    }
    td_data_free(unpacked, size);
    if (code != 0) td_table_clear(out);
    return code;
}

int td_bytes_load(const void *bytes, size_t count, const td_file_options *options,
                  td_table *out, td_err *err) {
    td_file_options o;
    td_err ignored;
    int format;
    if (err == NULL) err = &ignored;
    int code = fill_in(options, &o, &format, err);
    if (code == 0 && count > o.max_bytes)
        code = td_fail(err, TD_E_LIMIT, "", "has %zu bytes, %zu are allowed", count,
                       o.max_bytes);
    if (code != 0) return code;
    return load((td_bytes){count ? bytes : "", count}, &o, format, out, err);
}

int td_file_load(const char *path, const td_file_options *options, td_table *out,
                 td_err *err) {
    td_file_options o;
    td_err ignored;
    int format;
    if (err == NULL) err = &ignored;
    int code = fill_in(options, &o, &format, err);
    if (code != 0) return code;
    uint8_t *at;
    size_t count;
    code = td_source_read(path, o.max_bytes, &at, &count, err);
    if (code == 0) {
        code = load((td_bytes){at, count}, &o, format, out, err);
        td_data_free(at, count);
    }
    if (code != 0) { /* the end of a long path tells more than its beginning */
        char text[TD_SHOW];
        size_t n = strlen(path), most = 50;
        while (n > most && td_utf8_char((const uint8_t *)path + n - most, most) == 0 &&
               most > 46)
            most--;
        td_show(text, n > most ? path + n - most : path, n > most ? most : n);
        td_err_prefix(err, "%s%s: ", n > most ? "..." : "", text);
    }
    return code;
}
