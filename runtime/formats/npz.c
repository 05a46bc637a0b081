/* NPZ, NumPy's format of several arrays: a zip file whose members are NPY files. */
#include <string.h>
#include <zlib.h>

#include "runtime/formats/zip.h"
#include "runtime/mem.h"

static int fail_member(td_err *err, const td_zip_member *m) {
    char text[TD_SHOW];
    return td_err_prefix(err, "npz: %s: ", td_show(text, m->name.at, m->name.count));
}

/* The whole member, checked; *owned must be freed (bytes m->bytes) if it is not NULL. */
static int unpack(const td_zip_member *m, uint8_t **owned, td_bytes *out, td_err *err) {
    *out = m->data;
    if (m->deflated) {
        *owned = td_data_new(m->bytes, err);
        if (*owned == NULL) return err->code;
        int code = td_deflate_unpack(m->data, *owned, m->bytes, err);
        if (code != 0) return code;
        *out = (td_bytes){*owned, m->bytes};
    }
    uint32_t crc = (uint32_t)crc32_z(0, out->at, out->count);
    if (crc != m->crc)
        return td_fail(err, TD_E_FORMAT, "", "checksum %08x, the directory says %08x",
                       crc, m->crc);
    return 0;
}

static int read_member(const td_zip_member *m, const td_file_options *o, size_t *unpacked,
                       td_table *t, td_err *err) {
    size_t length = m->name.count;
    if (memchr(m->name.at, 0, length))
        return td_fail(err, TD_E_FORMAT, "", "a zero byte in the name");
    if (length < 4 || memcmp(m->name.at + length - 4, ".npy", 4) != 0) {
        td_fail(err, TD_E_FORMAT, "", "is no array: wanted names that end in .npy");
        td_hint(err, "a PyTorch file must be saved as safetensors first");
        return TD_E_FORMAT;
    }
    if (m->deflated && m->bytes > o->max_unpacked_bytes - *unpacked)
        return td_fail(err, TD_E_LIMIT, "",
                       "unpacks to %zu bytes more after %zu, and %zu are allowed in all",
                       m->bytes, *unpacked, o->max_unpacked_bytes);
    uint8_t *owned = NULL;
    td_bytes bytes;
    char *name = td_new_bytes(length - 3);
    int code = name ? 0 : td_fail(err, TD_E_MEMORY, "", "out of memory");
    if (code == 0) {
        memcpy(name, m->name.at, length - 4);
        code = unpack(m, &owned, &bytes, err);
    }
    if (code == 0) code = td_npy_read_named(bytes, o, name, t, err);
    if (m->deflated) *unpacked += m->bytes;
    td_data_free(owned, m->bytes);
    td_free(name);
    return code;
}

/* Two arrays of one name would leave it open which is meant. */
static int check_names(const td_table *t, td_err *err) {
    char **name = td_new_array(t->count, sizeof *name);
    if (name == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    bool are_unique = true;
    size_t a = 0, b = 0;
    for (size_t i = 0; i < t->count; i++) name[i] = t->entry[i].name;
    int code = td_names_check(name, t->count, &are_unique, &a, &b, err);
    if (code == 0 && !are_unique) {
        char text[TD_SHOW];
        code =
            td_fail(err, TD_E_FORMAT, "", "npz: members %zu and %zu are both called %s",
                    a + 1, b + 1, td_show(text, name[a], strlen(name[a])));
    }
    td_free(name);
    return code;
}

int td_npz_read(td_bytes in, const td_file_options *o, td_table *t, td_err *err) {
    td_zip z;
    size_t unpacked = 0;
    int code = td_zip_open(&z, in, err);
    if (code == 0 && z.members > o->max_entries)
        code = td_fail(err, TD_E_LIMIT, "", "%zu members, %zu are allowed", z.members,
                       o->max_entries);
    for (size_t i = 0; code == 0 && i < z.members; i++) {
        td_zip_member m;
        code = td_zip_next(&z, &m, err);
        if (code == 0) {
            code = read_member(&m, o, &unpacked, t, err);
            if (code != 0) {
                fail_member(err, &m);
                return code;
            }
        }
    }
    if (code == 0) code = td_zip_close(&z, err);
    if (code != 0) {
        td_err_prefix(err, "npz: ");
        return code;
    }
    return check_names(t, err);
}
