/* Reads a zip's directory, from the end of the file as the format wants it. */
#include "runtime/formats/zip.h"

#include <string.h>

#define END_BYTES 22u     /* end of central directory record */
#define LOCATOR_BYTES 20u /* zip64 end of central directory locator */
#define END64_BYTES 56u
#define ENTRY_BYTES 46u /* central directory file header */
#define LOCAL_BYTES 30u
#define DEFLATE_RATIO 1032u

static bool has_signature(const uint8_t *p, char a, char b) {
    return p[0] == 'P' && p[1] == 'K' && p[2] == (uint8_t)a && p[3] == (uint8_t)b;
}

/* The last place where an end record fits, its comment reaching to the end of the file. */
static bool find_end(td_bytes f, size_t *at) {
    if (f.count < END_BYTES) return false;
    size_t first = f.count > END_BYTES + 65535 ? f.count - END_BYTES - 65535 : 0;
    for (size_t i = f.count - END_BYTES + 1; i-- > first;)
        if (has_signature(f.at + i, 5, 6) &&
            i + END_BYTES + td_le16(f.at + i + 20) == f.count) {
            *at = i;
            return true;
        }
    return false;
}

int td_zip_open(td_zip *z, td_bytes f, td_err *err) {
    size_t end;
    if (!find_end(f, &end))
        return td_fail(err, TD_E_FORMAT, "",
                       "zip: no directory at the end of the file's %zu bytes; cut off?",
                       f.count);
    const uint8_t *p = f.at + end;
    uint64_t disk = td_le16(p + 4), members = td_le16(p + 10), here = td_le16(p + 8);
    uint64_t bytes = td_le32(p + 12), at = td_le32(p + 16);
    bool is_64 =
        disk == 0xffff || members == 0xffff || bytes == 0xffffffff || at == 0xffffffff;
    if (is_64 && end >= LOCATOR_BYTES && has_signature(p - LOCATOR_BYTES, 6, 7)) {
        uint64_t end64 = td_le64(p - LOCATOR_BYTES + 8);
        end -= LOCATOR_BYTES;
        if (end < END64_BYTES || end64 > end - END64_BYTES ||
            !has_signature(f.at + end64, 6, 6))
            return td_fail(err, TD_E_FORMAT, "", "zip: no zip64 end record at byte %llu",
                           (unsigned long long)end64);
        p = f.at + end64;
        end = (size_t)end64;
        disk = td_le32(p + 16);
        here = td_le64(p + 24);
        members = td_le64(p + 32);
        bytes = td_le64(p + 40);
        at = td_le64(p + 48);
    }
    if (disk != 0 || here != members)
        return td_fail(err, TD_E_FORMAT, "", "zip: is one part of several");
    if (at > end || bytes > end - at || members > bytes / ENTRY_BYTES)
        return td_fail(
            err, TD_E_FORMAT, "",
            "zip: a directory of %llu members in %llu bytes at byte %llu does not fit in "
            "%zu bytes",
            (unsigned long long)members, (unsigned long long)bytes,
            (unsigned long long)at, f.count);
    *z = (td_zip){f, (size_t)members, (size_t)at, (size_t)(at + bytes), 0};
    return 0;
}

/* Sizes and place that do not fit 32 bits stand in the extra field 1, in this order, those alone that are
 * all ones in the entry. False when one is missing. */
static bool read_extra64(td_bytes extra, uint64_t *bytes, uint64_t *packed,
                         uint64_t *at) {
    uint64_t *want[3];
    int wants = 0;
    if (*bytes == 0xffffffff) want[wants++] = bytes;
    if (*packed == 0xffffffff) want[wants++] = packed;
    if (*at == 0xffffffff) want[wants++] = at;
    if (wants == 0) return true;
    while (extra.count >= 4) {
        size_t n = td_le16(extra.at + 2);
        const uint8_t *p = extra.at + 4;
        if (n > extra.count - 4) return false;
        if (td_le16(extra.at) == 1) {
            if (n < (size_t)wants * 8) return false;
            for (int i = 0; i < wants; i++) *want[i] = td_le64(p + 8 * i);
            return true;
        }
        extra = (td_bytes){p + n, extra.count - 4 - n};
    }
    return false;
}

int td_zip_next(td_zip *z, td_zip_member *m, td_err *err) {
    td_bytes f = z->file;
    char text[TD_SHOW];
    const uint8_t *p = f.at + z->at;
    if (z->end - z->at < ENTRY_BYTES || !has_signature(p, 1, 2))
        return td_fail(err, TD_E_FORMAT, "", "zip: no directory entry at byte %zu",
                       z->at);
    unsigned flags = td_le16(p + 8), method = td_le16(p + 10);
    uint64_t packed = td_le32(p + 20), bytes = td_le32(p + 24), at = td_le32(p + 42);
    size_t name = td_le16(p + 28), extra = td_le16(p + 30), comment = td_le16(p + 32);
    if (name + extra + comment > z->end - z->at - ENTRY_BYTES)
        return td_fail(err, TD_E_FORMAT, "",
                       "zip: the directory entry at byte %zu is cut off", z->at);
    m->name = (td_bytes){p + ENTRY_BYTES, name};
    m->crc = td_le32(p + 16);
    td_show(text, m->name.at, name);
    if (!read_extra64((td_bytes){m->name.at + name, extra}, &bytes, &packed, &at))
        return td_fail(err, TD_E_FORMAT, "", "zip: %s lacks its zip64 sizes", text);
    z->at += ENTRY_BYTES + name + extra + comment;
    if (flags & 1) return td_fail(err, TD_E_FORMAT, "", "zip: %s is encrypted", text);
    if (method != 0 && method != 8)
        return td_fail(
            err, TD_E_FORMAT, "",
            "zip: %s is packed by method %u, wanted 0 (stored) or 8 (deflated)", text,
            method);
    m->deflated = method == 8;

    /* The local header repeats the name and has an extra field of its own length. */
    if (at > f.count || f.count - at < LOCAL_BYTES || !has_signature(f.at + at, 3, 4))
        return td_fail(err, TD_E_FORMAT, "",
                       "zip: %s should begin at byte %llu, and does not", text,
                       (unsigned long long)at);
    const uint8_t *local = f.at + at;
    size_t skip = LOCAL_BYTES + (size_t)td_le16(local + 26) + td_le16(local + 28);
    if (td_le16(local + 26) != name || td_le16(local + 8) != method ||
        f.count - at < skip || memcmp(local + LOCAL_BYTES, m->name.at, name) != 0)
        return td_fail(err, TD_E_FORMAT, "", "zip: %s is called otherwise at byte %llu",
                       text, (unsigned long long)at);
    if (packed > f.count - at - skip)
        return td_fail(err, TD_E_FORMAT, "",
                       "zip: %s needs %llu bytes from byte %llu on, the file has %zu",
                       text, (unsigned long long)packed, (unsigned long long)(at + skip),
                       f.count);
    if (m->deflated ? bytes / DEFLATE_RATIO > packed : bytes != packed)
        return td_fail(err, TD_E_FORMAT, "",
                       "zip: %s cannot unpack to %llu bytes from %llu", text,
                       (unsigned long long)bytes, (unsigned long long)packed);
    m->data = (td_bytes){local + skip, (size_t)packed};
    m->bytes = (size_t)bytes;
    z->packed += m->data.count; /* both below 2^63: no overflow before the check */
    if (z->packed > f.count)
        return td_fail(err, TD_E_FORMAT, "", "zip: members overlap, at %s", text);
    return 0;
}

int td_zip_close(const td_zip *z, td_err *err) {
    if (z->at == z->end) return 0;
    return td_fail(err, TD_E_FORMAT, "",
                   "zip: %zu bytes of the directory belong to no member", z->end - z->at);
}
